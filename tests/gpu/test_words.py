"""`GpuModel`: the exact bytes, what they mean, and that no mutant of them reads out of range."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies, words
from support.documents import build, dense, engine_cases, everything, identity, network, one

import instmodel as im
from instmodel import reference
from instmodel.document.instructions import INSTRUCTIONS
from instmodel.gpu import check
from instmodel.gpu.instructions import ROWS

VERSION_1 = [i for i, case in enumerate(engine_cases()) if case["gpu_hex"]]


def pack(document):
    return im.GpuModel.from_info(im.InstructionModelInfo.from_dict(document))


def refused(data, **options):
    with pytest.raises(im.InstModelError) as caught:
        im.GpuModel.from_bytes(data, **options)
    return caught.value


def with_word(model, index, value):
    changed = model.as_words().copy()
    changed[index] = value
    return changed


def same(got, want):
    np.testing.assert_array_equal(np.float32(got), np.float32(want))


# ---------------------------------------------------------------------------------------- the bytes


def test_there_are_30_cases_of_version_1():
    assert len(VERSION_1) == 30


@pytest.mark.parametrize("index", VERSION_1)
def test_version_1_to_the_byte(index):
    case = engine_cases()[index]
    model = pack(case["model"])
    assert model.as_bytes().hex() == case["gpu_hex"]
    assert model.version == 1
    assert model.full_size == len(case["gpu_hex"]) // 8
    assert model.feature_size == case["feature_size"]
    assert model.output_start == case["output_index_start"]
    assert model.compute_buffer_size == case["required_memory"]
    assert model.output_size == case["model"]["buffer_sizes"][-1]


def test_version_2_to_the_byte():
    """A map, a default and an absent bound, word by word, as docs/gpu.md has them."""
    document = one(
        {
            "type": "MAP_TRANSFORM",
            "input": 0,
            "output": 1,
            "map": 0,
            "size": 1,
            "default": [0.5],
            "internal_input_index": 1,
            "internal_output_index": 0,
        },
        [2, 1],
        maps=[{"7": [1.0], "-3": [2.0]}],
        parameters=[[4.0]],
    )
    document["instructions"].append({"type": "CLIP_ELEMENTWISE", "input": 1, "parameters_max": 0})
    floats = np.array([4.0, 2.0, 1.0, 0.5], np.float32).view(np.uint32).tolist()
    absent = 0xFFFFFFFF
    assert pack(document).as_words().tolist() == [
        *(0x494D5047, 2, 2, 1, 3, 2, 17, 33, 0, 33, 1, 2, 39, 34, 0, 34, 5),
        *(8, 1, 2, 1, 0, 2, 4, 0),
        *(9, 2, 2, 1, absent, 0, 0, 0),
        *(floats[0], 2**32 - 3, 7, *floats[1:]),
    ]


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_has_a_row_of_its_own(name):
    opcodes = [row.opcode for row in ROWS.values()]
    assert opcodes.count(ROWS[name].opcode) == 1


def test_no_row_is_about_nothing():
    assert set(ROWS) == set(INSTRUCTIONS)


@given(strategies.documents())
def test_the_version_is_the_lowest_that_will_do(document):
    simple = {"DOT", "ACTIVATION", "ADD_ELEMENTWISE", "MUL_ELEMENTWISE", "COPY"}
    used = {item["type"] for item in document["instructions"]}
    assert pack(document).version == (1 if used <= simple else 2)


@given(strategies.documents(wild=True))
def test_the_words_say_what_the_document_says(document):
    model = pack(document)
    info = im.InstructionModelInfo.from_dict(document)
    for x in strategies.samples(3, model.feature_size, 5, hostile=True):
        same(words.run(model.as_words(), x), reference.unified_buffers(info, x)[0])


@given(strategies.documents())
def test_from_bytes_gives_the_same_model(document):
    model = pack(document)
    for twin in (
        im.GpuModel.from_bytes(model.as_bytes()),
        im.GpuModel.from_bytes(model.as_words()),
        pickle.loads(pickle.dumps(model)),
    ):
        assert twin == model
        assert hash(twin) == hash(model)
        assert twin.as_bytes() == model.as_bytes()
        assert twin.facts() == model.facts()
        assert twin.gaps == model.gaps


@given(strategies.documents())
def test_gaps_are_those_that_matter(document):
    """With NaN everywhere but in the input and the gaps, nothing changes that is read."""
    model = pack(document)
    unwritten = np.ones(model.compute_buffer_size, bool)
    unwritten[: model.feature_size] = False
    for start, stop in model.gaps:
        assert unwritten[start:stop].all()
        unwritten[start:stop] = False
    x = strategies.samples(1, model.feature_size, 5)[0]
    want = words.run(model.as_words(), x)
    original = np.zeros
    try:
        words.np.zeros = lambda size: np.where(unwritten, np.nan, 0.0)
        got = words.run(model.as_words(), x)
    finally:
        words.np.zeros = original
    same(got[model.output_start :], want[model.output_start :])


@given(
    st.integers(0, 20),
    st.lists(st.tuples(st.booleans(), st.integers(0, 19), st.integers(0, 20)), max_size=30),
)
def test_gaps_are_what_is_read_before_it_is_written(features, accesses):
    model = pack(identity(20))
    header = model._checked.header._replace(feature_size=features)
    claims = check._Claims(model.as_words(), header, True)
    written, gap = np.arange(20) < features, np.zeros(20, bool)
    for reads, start, count in accesses:
        place = slice(start, min(start + count, 20))
        if reads and place.stop > start:
            claims.reads("input", start, place.stop - start)
            gap[place] |= ~written[place]
        elif not reads:
            claims.writes("output", start, place.stop - start, least=0)
            written[place] = True
    edges = np.flatnonzero(np.diff(gap, prepend=False, append=False)).tolist()
    assert claims.gaps() == list(zip(edges[::2], edges[1::2], strict=True))


def test_words_are_read_only_and_models_are_values():
    model = pack(dense())
    with pytest.raises(ValueError, match="read-only"):
        model.as_words()[0] = 0
    assert model != pack(everything())
    assert model != "model"
    assert "features=2" in repr(model)


def test_facts():
    info = im.InstructionModelInfo.from_dict(everything())
    facts = im.GpuModel.from_info(info).facts()
    from instmodel.reports.facts import model_facts

    known = model_facts(im.InstructionModel(info))
    for name in ("feature_size", "output_size", "output_index_start", "required_memory"):
        assert facts[name] == known[name]
    assert facts["counts"] == {name: known["counts"][name] for name in facts["counts"]}
    assert [i["type"] for i in facts["instructions"]] == [i["type"] for i in known["instructions"]]
    assert facts["instructions"][5] == {
        "type": "DOT",
        "input": 0,
        "output": 10,
        "size": 4,
        "weights": 0,
        "input_size": 6,
        "activation": "SOFTPLUS",
    }


# ------------------------------------------------------------------------------------------ packing


def test_packed_models_are_found_at_their_offsets():
    models = [pack(document) for document in (dense(), everything(), identity())]
    packed, offsets = im.pack_models(models)
    assert offsets == [0, models[0].full_size, models[0].full_size + models[1].full_size]
    assert len(packed) == sum(model.full_size for model in models)
    for model, offset in zip(models, offsets, strict=True):
        assert im.GpuModel.from_bytes(packed[offset : offset + model.full_size]) == model
    empty, none = im.pack_models([])
    assert (len(empty), none) == (0, [])
    for wrong, field in (([models[0], packed], "models[1]"), (models[0], "models")):
        with pytest.raises(im.InstModelError) as caught:
            im.pack_models(wrong)
        assert (caught.value.code, caught.value.field) == ("invalid_type", field)


# ------------------------------------------------------------------------------------------ refused


def test_a_compute_buffer_may_have_65536_floats_and_no_more():
    assert pack(identity(65_536)).compute_buffer_size == 65_536
    with pytest.raises(im.InstModelError) as caught:
        pack(identity(65_536, 1))
    assert caught.value.code == "buffer_limit_exceeded"
    assert "65,537" in str(caught.value)


def test_what_is_no_document_is_refused():
    for wrong in ({}, None, build(dense())):
        with pytest.raises(im.InstModelError) as caught:
            im.GpuModel.from_info(wrong)
        assert caught.value.code == "invalid_type"


def test_limits_hold_for_words_as_for_documents():
    model = pack(dense())  # 13 weights and bias values, 6 floats
    data, enough = model.as_bytes(), im.Limits(max_weight_count=13, max_buffer_size=6)
    assert im.GpuModel.from_bytes(data, limits=enough) == model
    for limits, code in (
        (im.Limits(max_weight_count=12), "weight_limit_exceeded"),
        (im.Limits(max_buffer_size=5), "buffer_limit_exceeded"),
    ):
        assert refused(data, limits=limits).code == code


def test_a_model_larger_than_the_default_limits_is_pickled():
    info = im.InstructionModelInfo.from_dict(dense())
    info.buffer_sizes, info.features = [10_001, 1000], None
    info.feature_size = 10_001
    info.instructions = [im.Dot(input=0, output=1, weights=0)]
    info.weights, info.bias = [np.ones((1000, 10_001), "f4")], [np.ones(1000, "f4")]
    info.parameters = []
    limits = im.Limits(max_weight_count=20_000_000)
    model = im.GpuModel.from_info(info, limits=limits)
    assert refused(model.as_bytes()).code == "weight_limit_exceeded"
    assert pickle.loads(pickle.dumps(model)) == model


def test_a_document_that_breaks_a_rule_is_refused():
    document = dense()
    document["bias"][0] = [0.0]
    with pytest.raises(im.InstModelError) as caught:
        pack(document)
    assert caught.value.code == "bias_weights_size_mismatch"


@pytest.mark.parametrize("data", [None, 5, "text", [1, 2], np.zeros((4, 4))[::2, ::2]])
def test_what_is_no_bytes_is_refused(data):
    assert refused(data).code in ("invalid_type", "invalid_document")


H = {  # the words of the header by name
    name: index
    for index, name in enumerate(
        [
            "magic",
            "version",
            "features",
            "outputs",
            "total",
            "count",
            "first",
            "weights",
            "weights_count",
            "parameters",
            "parameters_count",
            "output_start",
            "full",
            "integers",
            "integers_count",
            "maps",
            "maps_count",
        ]
    )
}
NAN = 0x7FC00000


@pytest.mark.parametrize(
    ("word", "value", "code"),
    [
        (H["magic"], 0x494D5048, "invalid_document"),
        (H["version"], 0, "unsupported_version"),
        (H["version"], 3, "invalid_document"),  # which has more sections
        (H["version"], 4, "unsupported_version"),
        (H["features"], 0, "feature_size_mismatch"),
        (H["features"], 35, "feature_size_mismatch"),
        (H["outputs"], 0, "invalid_buffer_size"),
        (H["outputs"], 37, "invalid_buffer_size"),
        (H["outputs"], 3, "invalid_buffer_size"),
        (H["total"], 0, "buffer_limit_exceeded"),
        (H["total"], 65_537, "buffer_limit_exceeded"),
        (H["count"], 0, "invalid_document"),
        (H["count"], 2**29, "invalid_document"),  # 8 times it is 2³²
        (H["first"], 18, "invalid_document"),
        (H["weights"], 0, "invalid_document"),
        (H["weights_count"], 39, "invalid_document"),
        (H["parameters"], 0, "invalid_document"),
        (H["full"], 220, "invalid_document"),
        (H["maps_count"], 2**32 - 1, "invalid_document"),
        (17, 15, "unknown_instruction"),
        (17, 0, "unknown_instruction"),
        (17 + 1, 31, "buffer_index_out_of_bounds"),
        (17 + 2, 2**32 - 1, "buffer_index_out_of_bounds"),
        (17 + 4, 1, "invalid_document"),  # another list than the next
        (17 + 6, 1, "unknown_field"),
        (17 + 7, 1, "unknown_field"),
        (25 + 2, 7, "input_buffer_size_mismatch"),
        (25 + 4, 13, "parameters_index_out_of_bounds"),
        (25 + 4, 1, "unused_parameters"),
        (17 + 3 * 8 + 4, 0xFFFFFFFF, "unused_parameters"),
        (17 + 4 * 8 + 6, 0, "missing_field"),
        (17 + 4 * 8 + 6, 14, "unknown_activation"),
        (17 + 5 * 8 + 6, 14, "unknown_activation"),
        (17 + 5 * 8 + 1, 8, "same_input_output"),
        (17 + 5 * 8 + 4, 13, "weights_index_out_of_bounds"),
        (17 + 5 * 8 + 5, 5, "invalid_document"),
        (17 + 7 * 8 + 4, 3, "map_index_out_of_bounds"),
        (17 + 7 * 8 + 5, 2, "unused_map"),
        (17 + 7 * 8 + 6, 2**31, "map_index_out_of_bounds"),
        (17 + 7 * 8 + 3, 0, "buffer_index_out_of_bounds"),
        (17 + 8 * 8 + 5, 0, "buffer_index_out_of_bounds"),
        (17 + 8 * 8 + 5, 3, "invalid_heads_size"),
        (17 + 10 * 8 + 5, 1, "insufficient_input_buffers"),
        (17 + 10 * 8 + 1, 21, "buffer_index_out_of_bounds"),
        (17 + 12 * 8 + 3, 2, "invalid_buffer_size"),
        (145, NAN, "non_finite_value"),  # a weight
        (145 + 40, NAN, "non_finite_value"),  # a parameter
        (145 + 40 + 16, 6, "mask_index_out_of_bounds"),
        (145 + 40 + 16 + 4, 33, "buffer_index_out_of_bounds"),
        (145 + 40 + 16 + 9 + 1, 2**32 - 3, "invalid_map_key"),
        (221 - 1, NAN, "non_finite_value"),  # a default
    ],
)
def test_a_changed_word_has_its_error(word, value, code):
    model = pack(everything())
    assert (model.full_size, model.as_words()[H["weights"]]) == (221, 145)
    error = refused(with_word(model, word, value))
    assert error.code == code
    assert isinstance(error, ValueError)
    if 17 <= word < 145 and not code.startswith(("unused", "invalid_document")):
        assert error.instruction == (word - 17) // 8


def test_a_model_without_instructions_is_refused():
    words_of = pack(identity()).as_words().copy()
    words_of[[5, 7, 9, 12]] = [0, 13, 13, 13]
    assert refused(words_of[:13]).code == "no_instructions"


def test_what_follows_a_wrong_instruction_costs_nothing():
    head = pack(identity()).as_words()[:13].copy()
    count = 20_000
    head[[5, 7, 9, 12]] = [count, *[13 + 8 * count] * 3]
    data = np.concatenate([head, np.full(8 * count, 99, np.uint32)]).tobytes()
    tracemalloc.start()
    try:
        assert refused(data).code == "unknown_instruction"
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data)
    finally:
        tracemalloc.stop()


def test_version_2_for_what_version_1_can_is_refused():
    head = pack(identity()).as_words().tolist()
    for index in (6, 7, 9, 12):
        head[index] += 4
    head[1] = 2
    longer = np.array([*head[:13], 25, 0, 25, 0, *head[13:]], np.uint32)
    assert refused(longer).code == "unsupported_version"


def test_a_value_that_is_not_finite_is_named_by_its_word():
    for word in (145, 145 + 40, 221 - 1):
        assert refused(with_word(pack(everything()), word, NAN)).actual == f"word {word}"


def map_words(*tables):
    """A model whose maps are of the given keys, with one value each."""
    step = {"type": "MAP_TRANSFORM", "input": 0, "output": 1, "size": 1, "default": [0.0]}
    step |= {"internal_input_index": 0, "internal_output_index": 0}
    document = one({**step, "map": 0}, [1, 1], maps=[])
    document["maps"] = [{str(key): [0.5] for key in keys} for keys in tables]
    document["instructions"] = [{**step, "map": index} for index in range(len(tables))]
    return pack(document)


def test_keys_ascend_within_a_map_and_not_from_one_to_the_next():
    model = map_words([5, 2139095041, 2147483647], [], [-3], [-9, -8])  # two look like NaN
    assert im.GpuModel.from_bytes(model.as_bytes()) == model
    first = int(model.as_words()[15])
    for word, value in ((first, 2139095041), (first + 2, 6), (first + 9, -9)):
        changed = with_word(model, word, value % 2**32)
        assert refused(changed).code == "invalid_map_key"


def test_nan_is_accepted_where_it_was_allowed():
    changed = with_word(pack(everything()), 145, NAN)
    model = im.GpuModel.from_bytes(changed, allow_non_finite=True)
    assert pickle.loads(pickle.dumps(model)) == model
    info = im.InstructionModelInfo.from_dict(dense())
    info.weights[0][0, 0], info.allow_non_finite = np.nan, True
    assert np.isnan(im.GpuModel.from_info(info).as_words().view(np.float32)).any()


def test_every_prefix_and_every_longer_array_is_refused():
    for document in (dense(), everything()):
        data = pack(document).as_bytes()
        for size in range(len(data)):
            assert refused(data[:size]).code == "invalid_document"
        assert refused(data + bytes(4)).code == "invalid_document"


def mutants(model, rng):
    """Yield each word changed in many ways, and random changes of two and three words."""
    original = model.as_words()
    pool = np.unique(np.concatenate([original[:13], np.arange(20)]))
    for index, word in enumerate(original.tolist()):
        near = {word + 1, word - 1, word ^ 1, word ^ 2**31, 0, 1, 2**32 - 1, 2**31, 2**29}
        for value in near | set(rng.choice(pool, 4).tolist()):
            if value != word:
                yield with_word(model, index, value % 2**32)
    for _ in range(3000):
        changed = original.copy()
        where = rng.integers(0, min(len(original), 200), rng.integers(2, 4))
        changed[where] = rng.choice(pool, len(where))
        yield changed


def test_an_accepted_mutant_reads_and_writes_in_range():
    rng = np.random.default_rng(0)
    accepted = refusals = 0
    simple = network([3, 4, 2], ["SOFTMAX", None])
    for document in (everything(), dense(), simple, identity(3, 2)):
        for mutant in mutants(pack(document), rng):
            try:
                model = im.GpuModel.from_bytes(mutant, allow_non_finite=True)
            except im.InstModelError:
                refusals += 1
                continue
            accepted += 1
            words.run(mutant, np.ones(model.feature_size))
    assert accepted > 1000
    assert refusals > 5000


def test_the_interpreter_of_these_tests_notices_what_is_out_of_range():
    model = pack(everything())
    for index, value in ((18, 33), (17 + 3 * 8 + 4, 13), (17 + 5 * 8 + 4, 13), (201, 6)):
        with pytest.raises(words.OutOfRange):
            words.run(with_word(model, index, value), np.ones(6))
