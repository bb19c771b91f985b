"""Random valid models of every instruction: engine against reference, and what holds for all."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strategies
from support.bounds import track
from support.documents import build, network
from support.strategies import documents, feature_size, samples

import instmodel as im
from instmodel import reference

SEEDS = st.integers(0, 2**32 - 1)


def whole_buffers(model, x):
    config = im.PredictConfig(threads=2, buffer_slice=(0, model.required_memory))
    return np.asarray(model.predict_parallel(x, config))


def bits(array):
    return np.asarray(array, np.float32).view(np.uint32)


@settings(max_examples=400)
@given(documents(), SEEDS, st.sampled_from([1, 3, 19, 70]))
def test_engine_agrees_with_the_reference(document, seed, rows):
    model = build(document)
    x = samples(rows, feature_size(document), seed)
    tracked = track(model.info, x)
    tracked.check(whole_buffers(model, x), "buffers:")
    tracked.output(model.info).check(model.predict(x), "outputs:")


@settings(max_examples=300)
@given(documents(wild=True), SEEDS)
def test_engine_agrees_with_the_reference_on_hostile_values(document, seed):
    model = build(document)
    x = samples(19, feature_size(document), seed, hostile=True)
    track(model.info, x).check(whole_buffers(model, x))


@given(documents(max_size=80, max_instructions=6), SEEDS)
def test_engine_agrees_with_the_reference_on_wide_buffers(document, seed):
    model = build(document)
    x = samples(5, feature_size(document), seed)
    track(model.info, x).check(whole_buffers(model, x))


@given(
    st.integers(1, 200),
    st.sampled_from([1, 8, 16, 24, 32, 48]),
    st.sampled_from([None, "RELU", "SIGMOID", "SOFTMAX"]),
    st.sampled_from([9, 16, 50, 70]),
    SEEDS,
)
def test_first_layers_narrow_or_not_agree_with_the_reference(
    features, outputs, activation, rows, seed
):
    model = build(network([features, outputs, 3], [activation, None], seed=seed))
    x = samples(rows, features, seed)
    track(model.info, x).output(model.info).check(model.predict(x), "outputs:")


@given(documents(wild=True), SEEDS)
def test_every_way_to_run_gives_the_same_bits(document, seed):
    model = build(document)
    x = samples(21, feature_size(document), seed, hostile=True)
    whole = whole_buffers(model, x)
    outputs = bits(whole[:, model.output_index_start :])
    np.testing.assert_array_equal(bits(model.predict(x)), outputs)
    np.testing.assert_array_equal(bits(model.predict_parallel(x)), outputs)
    np.testing.assert_array_equal(bits([model.predict(row) for row in x]), outputs)
    for row, expected in zip(x, whole, strict=True):
        buffer = np.full(model.required_memory, np.float32(np.nan))
        buffer[: len(row)] = row
        model.predict_with_buffer(buffer)
        np.testing.assert_array_equal(bits(buffer), bits(expected))


@given(documents(wild=True), SEEDS)
def test_a_row_does_not_feel_its_neighbours(document, seed):
    model = build(document)
    x = samples(40, feature_size(document), seed)
    rng = np.random.default_rng(seed)
    others = rng.random(40) < 0.5
    poisoned = x.copy()
    poisoned[others] = samples(int(others.sum()), x.shape[1], seed, hostile=True)
    np.testing.assert_array_equal(
        bits(model.predict(poisoned)[~others]), bits(model.predict(x)[~others])
    )
    order = rng.permutation(40)
    np.testing.assert_array_equal(bits(model.predict(x[order])), bits(model.predict(x)[order]))


@given(documents(wild=True))
def test_json_round_trip_is_exact(document):
    info = im.InstructionModelInfo.from_dict(document)
    twins = [
        im.InstructionModelInfo.from_dict(info.to_dict()),
        im.InstructionModelInfo.from_json(info.to_json()),
        im.InstructionModelInfo.from_json(info.to_json().encode()),
        im.InstructionModelInfo.from_json(json.dumps(document)),
    ]
    for twin in twins:
        assert twin.to_json() == info.to_json()
        assert twin.instructions == info.instructions
        for name in ("weights", "bias", "parameters"):
            for a, b in zip(getattr(twin, name), getattr(info, name), strict=True):
                assert a.dtype == np.float32
                np.testing.assert_array_equal(bits(a), bits(b), strict=True)
        for a, b in zip(twin.maps, info.maps, strict=True):
            assert list(a) == list(b)
            for key in a:
                np.testing.assert_array_equal(bits(a[key]), bits(b[key]))
    for name in ("features", "feature_size", "buffer_sizes"):
        assert info.to_dict().get(name) == document.get(name)
    for name in ("weights", "bias"):
        assert info.to_dict()[name] == document[name]


@given(documents())
def test_graph_invariants(document):
    model = build(document)
    graph = model.execution_graph
    count = len(document["instructions"])
    assert len(graph.nodes) == count
    has_parent = {child for node in graph.nodes for child in node.children}
    assert graph.roots == [i for i in range(count) if i not in has_parent]
    assert 0 in graph.roots
    for index, node in enumerate(graph.nodes):
        assert node.instruction == index
        assert node.children == sorted(set(node.children))
        assert all(child >= index for child in node.children)
        for child in node.children:
            assert index in graph.nodes[child].parents
    branches = any(len(node.children) > 1 for node in graph.nodes)
    assert model.is_parallelizable is (len(graph.roots) > 1 or branches)


@given(documents())
def test_a_reader_comes_after_every_last_writer(document):
    # The graph's edges, found again the slow and obvious way.
    edges, writers = set(), {}
    for index, item in enumerate(build(document).info.instructions):
        kind = item.TYPE
        reads = {
            buffer for name in ("input", "key") for buffer in np.atleast_1d(getattr(item, name, []))
        }
        target = getattr(item, "output", None)
        in_place = target is None
        target = item.input if in_place else target
        edges |= {(writer, index) for buffer in reads for writer in writers.get(buffer, [])}
        if kind in ("COPY", "COPY_MASKED", "MAP_TRANSFORM"):
            writers.setdefault(target, []).append(index)
        else:
            writers[target] = [index]
    graph = build(document).execution_graph
    assert edges == {(i, child) for i, node in enumerate(graph.nodes) for child in node.children}


@given(documents(), SEEDS)
def test_validation_data_of_the_model_itself_passes(document, seed):
    x = samples(4, feature_size(document), seed, hostile=True)
    outputs = build(document).predict(x)
    if not (np.isfinite(x).all() and np.isfinite(outputs).all()):
        x, outputs = x[:0], outputs[:0]
    data = {"inputs": x.tolist(), "expected_outputs": outputs.tolist()}
    model = build({**document, "validation_data": data})
    assert model.validate(x, outputs) == 0.0


def test_strategies_make_everything():
    seen = Counter()

    @settings(max_examples=2000)
    @given(documents())
    def collect(document):
        for item in document["instructions"]:
            seen[item["type"]] += 1
            seen[item["type"], item.get("activation")] += 1
            inputs = np.atleast_1d(item["input"]).tolist()
            if item.get("output") in inputs:
                seen[item["type"], "onto its input"] += 1
            if item["type"] == "MAP_TRANSFORM":
                table = document["maps"][item["map"]]
                seen["empty map"] += not table
                seen["negative key"] += any(key.startswith("-") for key in table)
            if item["type"] == "COPY_MASKED":
                seen["no indexes"] += not item["indexes"]
                seen["repeats"] += len(set(item["indexes"])) < len(item["indexes"])
        model = build(document)
        seen["several inputs"] += model.feature_size > document["buffer_sizes"][0]
        seen["gaps"] += bool(model._checked.gaps)
        seen["in place on a gap"] += any(
            gap.buffer == item["input"]
            for gap in model._checked.gaps
            for item in document["instructions"]
            if "output" not in item
        )

    collect()
    assert set(strategies.INSTRUCTIONS) == set(reference.INSTRUCTIONS)
    assert set(strategies.ACTIVATIONS) == set(reference.ACTIVATIONS)
    wanted = [*strategies.INSTRUCTIONS, "empty map", "negative key", "no indexes", "repeats"]
    wanted += [(kind, name) for kind in ("DOT", "ACTIVATION") for name in strategies.ACTIVATIONS]
    wanted += ["several inputs", "gaps", "in place on a gap"]
    wanted += [
        (kind, "onto its input")
        for kind in (
            "COPY",
            "MAP_TRANSFORM",
            "ADD_ELEMENTWISE_BUFFERS",
            "MULTIPLY_ELEMENTWISE_BUFFERS",
            "ADD_BUFFER_HEADS",
            "MULTIPLY_BUFFER_HEADS",
        )
    ]
    assert [case for case in wanted if not seen[case]] == []
