"""The conformance cases: what the original engine computed, and what a real trainer exported."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.bounds import track
from support.documents import build, engine_cases, float32, trainer_exports

import instmodel as im
from instmodel import reference

TOLERANCE = 1e-5  # of the largest intermediate value: the original sums in float32, naively
NORMAL = slice(0, 4)  # the fifth row of each case is hostile
HOSTILE = 4
ENGINE = range(len(engine_cases()))
EXPORTS = range(len(trainer_exports()))


def samples(case):
    return np.array([[float(value) for value in row] for row in case["inputs"]], np.float32)


def run_with_buffer(model, row):
    # Dirty behind the input: the model owes nothing to what was there.
    buffer = np.full(model.required_memory + 3, np.float32(7.5))
    buffer[: model.feature_size] = row
    model.predict_with_buffer(buffer)
    assert (buffer[model.required_memory :] == 7.5).all()
    return buffer[: model.required_memory]


def every_way(model, x):
    """Return whole buffers and outputs, after checking that all ways to run agree to the bit."""
    whole = im.PredictConfig(threads=2, buffer_slice=(0, model.required_memory))
    buffers = np.asarray(model.predict_parallel(x, whole))
    np.testing.assert_array_equal(
        np.stack([run_with_buffer(model, row) for row in x]).view(np.uint32),
        buffers.view(np.uint32),
    )
    outputs = buffers[:, model.output_index_start :]
    for same in (model.predict(x), model.predict_parallel(x), [model.predict(row) for row in x]):
        np.testing.assert_array_equal(
            np.asarray(same).view(np.uint32), outputs.view(np.uint32), strict=True
        )
    for row, output in zip(x, outputs, strict=True):
        np.testing.assert_array_equal(np.float32(model.predict_single(row)), output[-1])
    return buffers, outputs


@pytest.mark.parametrize("index", ENGINE)
def test_engine_case_layout(index):
    case = engine_cases()[index]
    model = build(case["model"])
    assert model.required_memory == case["required_memory"]
    assert model.feature_size == case["feature_size"]
    assert model.output_index_start == case["output_index_start"]
    assert model.is_parallelizable is case["is_parallelizable"]
    assert model.execution_graph.roots == case["root_instructions"]
    assert model.buffer_sizes == case["model"]["buffer_sizes"]
    assert model.output_size == model.buffer_sizes[-1]
    assert model.buffer_offsets == [0, *np.cumsum(model.buffer_sizes)[:-1]]


@pytest.mark.parametrize("index", ENGINE)
def test_engine_case_values(index):
    case = engine_cases()[index]
    buffers, outputs = every_way(build(case["model"]), samples(case))
    want, want_outputs = float32(case["buffers_bits"]), float32(case["outputs_bits"])
    largest = np.abs(want[NORMAL]).max()
    assert np.isfinite(largest)
    np.testing.assert_allclose(buffers[NORMAL], want[NORMAL], rtol=0, atol=TOLERANCE * largest)
    np.testing.assert_allclose(
        outputs[NORMAL], want_outputs[NORMAL], rtol=0, atol=TOLERANCE * largest
    )


@pytest.mark.parametrize("index", ENGINE)
def test_engine_case_against_the_reference(index):
    case = engine_cases()[index]
    model, x = build(case["model"]), samples(case)
    tracked = track(model.info, x)
    assert np.isfinite(tracked.error[NORMAL]).all()
    tracked.check(every_way(model, x)[0])


@pytest.mark.parametrize("index", ENGINE)
def test_reference_against_the_original_engine(index):
    case = engine_cases()[index]
    info = im.InstructionModelInfo.from_dict(case["model"])
    want = float32(case["buffers_bits"])[NORMAL].astype(float)
    got = reference.unified_buffers(info, samples(case)[NORMAL])
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * np.abs(want).max())
    np.testing.assert_array_equal(
        reference.predict(info, samples(case)[NORMAL]), got[:, -info.buffer_sizes[-1] :]
    )


def without_map(case):
    # The original looks NaN up as key 0, and clamps what int32 cannot hold.
    return all(item["type"] != "MAP_TRANSFORM" for item in case["model"]["instructions"])


@pytest.mark.parametrize("index", [i for i in ENGINE if without_map(engine_cases()[i])])
def test_hostile_row_where_both_are_finite(index):
    case = engine_cases()[index]
    got = every_way(build(case["model"]), samples(case))[0][HOSTILE].astype(float)
    want = float32(case["buffers_bits"])[HOSTILE].astype(float)
    both = np.isfinite(got) & np.isfinite(want)
    # Subnormal values are flushed here and kept there.
    atol = max(TOLERANCE * np.abs(want[both]).max(initial=0), 2.0**-126)
    np.testing.assert_allclose(got[both], want[both], rtol=0, atol=atol)


def test_engine_cases_are_all_there():
    assert len(ENGINE) == 150
    assert all(len(case["inputs"]) == 5 for case in engine_cases())


# ------------------------------------------------------------------------------------------ trainer


@pytest.mark.parametrize("index", EXPORTS)
def test_trainer_export(index):
    case = trainer_exports()[index]
    document = case["model"]
    assert document["features"] == []
    model = build(document)  # runs the validation data
    x = np.array(document["validation_data"]["inputs"], np.float32)
    assert model.feature_size == x.shape[1]
    outputs = every_way(model, x)[1]
    for name in ("torch", "numpy"):
        np.testing.assert_allclose(outputs, np.array(case[name]), rtol=0, atol=1e-6)
    track(model.info, x).output(model.info).check(outputs)
    np.testing.assert_allclose(
        reference.predict(model.info, x), np.array(case["torch"]), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("index", EXPORTS)
def test_trainer_export_without_its_cases_has_the_same_number_of_features(index):
    document = dict(trainer_exports()[index]["model"])
    cases = document.pop("validation_data")
    assert document["features"] == []
    assert build(document).feature_size == len(cases["inputs"][0])


@pytest.mark.parametrize("index", EXPORTS)
def test_trainer_export_with_a_wrong_expected_output_is_refused(index):
    document = json.loads(json.dumps(trainer_exports()[index]["model"]))
    expected = document["validation_data"]["expected_outputs"]
    expected[3][0] += 2e-5 * (1 + abs(expected[3][0]))
    with pytest.raises(im.InstModelError) as caught:
        build(document)
    assert caught.value.code == "validation_mismatch"
    assert caught.value.field == "validation_data.expected_outputs[3][0]"


@pytest.mark.parametrize("index", EXPORTS)
def test_trainer_export_survives_saving(index, tmp_path):
    document = trainer_exports()[index]["model"]
    x = np.array(document["validation_data"]["inputs"], np.float32)
    model = build(document)
    model.info.save(tmp_path / "model.json")
    np.testing.assert_array_equal(im.load(tmp_path / "model.json").predict(x), model.predict(x))


def test_trainer_exports_are_all_there():
    assert len(EXPORTS) == 16
