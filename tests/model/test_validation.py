"""Known outputs that a model must reproduce, when it is built and later."""

from __future__ import annotations

import fractions
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from support.documents import build, dense, everything, identity, one
from support.strategies import samples

import instmodel as im


@pytest.fixture
def model():
    return build(everything())  # 6 features, 2 outputs


def error_of(call, *arguments, **options):
    with pytest.raises(im.InstModelError) as caught:
        call(*arguments, **options)
    assert isinstance(caught.value, ValueError)
    return caught.value


def test_validate_returns_the_largest_error(model):
    x = samples(5, 6, 0)
    y = model.predict(x)
    assert model.validate(x, y) == 0.0
    y[3, 1] += np.float32(2**-18)
    error = model.validate(x, y)
    assert type(error) is float
    assert error == pytest.approx(2**-18, rel=1e-2)
    assert model.validate([], []) == 0.0


def test_validate_names_the_worst_value(model):
    x = samples(5, 6, 0)
    y = model.predict(x)
    y[1, 0] += 1e-4
    y[3, 1] += 1e-3
    error = error_of(model.validate, x, y)
    assert error.code == "validation_mismatch"
    assert error.field == "validation_data.expected_outputs[3][1]"
    assert error.expected == float(y[3, 1])
    assert error.actual == float(model.predict(x)[3, 1])
    assert model.validate(x, y, atol=2e-3) == pytest.approx(1e-3, rel=1e-2)
    assert error_of(model.validate, x, y, atol=5e-4).code == "validation_mismatch"


@pytest.mark.parametrize(
    ("expected", "actual", "passes"),
    [
        (0.9e-5, 0.0, True),
        (1.1e-5, 0.0, False),
        (512.0, 512.005, True),  # 82 ULP
        (512.0, 512.0052, False),
        (-512.0, -512.005, True),
        (0.0, 1.1e-5, False),
    ],
)
def test_the_default_tolerance_is_1e_5_and_1e_5_of_the_value(expected, actual, passes):
    model = build(identity(1))
    error = abs(expected - actual)
    if passes:
        assert model.validate([[actual]], [[expected]]) == pytest.approx(error, rel=1e-2)
    else:
        assert error_of(model.validate, [[actual]], [[expected]]).code == "validation_mismatch"


def doubtful():
    """An identity whose validation data is off by 0.5 of 128."""
    return identity(1) | {"validation_data": {"inputs": [[128.5]], "expected_outputs": [[128.0]]}}


def load_file(document, **options):
    path = Path("model.json")
    path.write_text(json.dumps(document))
    return im.load(path, **options)


WAYS_TO_BUILD = {
    "load": load_file,
    "load binary": lambda document, **options: (
        im.InstructionModelInfo.from_dict(document).save("model.instmodel"),
        im.load("model.instmodel", **options),
    )[1],
    "InstructionModel": lambda document, **options: im.InstructionModel(
        im.InstructionModelInfo.from_dict(document), **options
    ),
}


@pytest.mark.parametrize("way", WAYS_TO_BUILD.values(), ids=WAYS_TO_BUILD)
def test_a_model_is_built_with_the_tolerance_of_the_caller(way, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for narrow in ({}, {"atol": 0.49, "rtol": 0.0}, {"rtol": 0.003}):
        error = error_of(way, doubtful(), **narrow)
        assert error.code == "validation_mismatch"
        assert (error.expected, error.actual) == (128.0, 128.5)
    assert "off by 0.5, more than 1e-05 + 0.003·|expected|" in str(error)
    for wide in ({"atol": 0.5, "rtol": 0.0}, {"atol": 0.0, "rtol": 0.004}, {"validate": False}):
        model = way(doubtful(), **wide)
        assert model.predict_single([128.5]) == 128.5
        assert model.info.validation_data is not None
        assert pickle.loads(pickle.dumps(model)).predict_single([2.0]) == 2.0


@pytest.mark.parametrize("way", WAYS_TO_BUILD.values(), ids=WAYS_TO_BUILD)
def test_what_is_no_tolerance_is_an_error(way, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in (
        *({"atol": value} for value in (-1.0, math.nan, "1", None, True)),
        *({"rtol": value} for value in (-1.0, math.nan, math.inf)),
        *({"validate": value} for value in ("no", None, 0)),
    ):
        error = error_of(way, doubtful(), **wrong)
        assert (error.code, error.field) == ("invalid_type", next(iter(wrong)))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, fractions.Fraction])
@pytest.mark.filterwarnings("error")
def test_a_tolerance_may_be_any_number(kind):
    model = build(identity(1))
    assert model.validate([[1.0]], [[1.5]], rtol=kind(1)) == 0.5
    assert model.validate([[3e38]], [[2e38]], atol=0, rtol=kind(1)) > 0


def test_validation_data_that_does_not_run_must_fit_nevertheless():
    document = identity(2) | {"validation_data": {"inputs": [[1]], "expected_outputs": [[1, 2]]}}
    info = im.InstructionModelInfo.from_dict(document)
    error = error_of(im.InstructionModel, info, validate=False)
    assert error.code == "validation_input_size_mismatch"


def test_an_unnamed_model_takes_its_features_from_validation_data_that_does_not_run():
    document = identity(2, 2) | {"features": []}
    del document["feature_size"]
    document["validation_data"] = {"inputs": [[1, 2]], "expected_outputs": [[3, 4]]}
    info = im.InstructionModelInfo.from_dict(document)
    assert im.InstructionModel(info, validate=False).feature_size == 2


def test_an_infinite_tolerance_measures_the_largest_error():
    model = build(identity(1))
    assert model.validate([[1.0], [2.0]], [[1.5], [-2.0]], atol=math.inf) == 4.0
    assert error_of(model.validate, [[1.0]], [[math.nan]], atol=math.inf)


def test_nan_and_infinity_match_themselves_only():
    model = build(one({"type": "ACTIVATION", "input": 0, "activation": "INVERSE"}, [1]))
    for value, other in [(np.nan, 0.0), (np.inf, -3e38), (-np.inf, np.nan)]:
        expected = 1 - value
        assert model.validate([[value]], [[expected]]) == 0.0
        assert error_of(model.validate, [[value]], [[other]]).code == "validation_mismatch"
    assert error_of(model.validate, [[0.0]], [[np.nan]]).code == "validation_mismatch"


@pytest.mark.parametrize(
    ("inputs", "outputs", "code"),
    [
        ([[0.0] * 6], [], "validation_count_mismatch"),
        ([], [[0.0] * 2], "validation_count_mismatch"),
        ([[0.0] * 5], [[0.0] * 2], "validation_input_size_mismatch"),
        ([[0.0] * 6, [0.0] * 7], [[0.0] * 2] * 2, "validation_input_size_mismatch"),
        ([[0.0] * 6], [[0.0] * 3], "validation_output_size_mismatch"),
        ([[0.0] * 6], [[]], "validation_output_size_mismatch"),
        ([["0"] * 6], [[0.0] * 2], "invalid_type"),
        ([0.0] * 6, [[0.0] * 2], "invalid_type"),
        (None, [], "invalid_type"),
    ],
)
def test_validation_cases_that_do_not_fit(model, inputs, outputs, code):
    assert error_of(model.validate, inputs, outputs).code == code


def test_validation_data_without_cases_is_fine():
    build({**dense(), "validation_data": {"inputs": [], "expected_outputs": []}})


def test_signalling_nan_is_a_nan_like_others():
    signalling = np.array([[0x7F800001]], np.uint32).view(np.float32)
    model = build(one({"type": "ACTIVATION", "input": 0, "activation": "INVERSE"}, [1]))
    assert model.validate(signalling, signalling) == 0.0


@pytest.mark.parametrize("kind", ["array", "float64", "Fortran", "read-only", "masked", "tensor"])
def test_cases_may_be_any_array(model, kind):
    x = samples(5, 6, 0)
    y = model.predict(x).astype(np.float64)
    make = {
        "array": np.asarray,
        "float64": lambda a: a.astype(np.float64),
        "Fortran": np.asfortranarray,
        "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
        "masked": np.ma.array,
        "tensor": lambda a: pytest.importorskip("torch").tensor(a),
    }[kind]
    assert model.validate(make(x), make(y)) < 1e-6
    y[2, 1] += 1
    error = error_of(model.validate, make(x), make(y))
    assert error.field == "validation_data.expected_outputs[2][1]"


def test_masked_outputs_are_missing_not_numbers():
    model = build(identity(1))
    y = np.ma.array([[1.0], [2.0]], mask=[[False], [True]])
    assert error_of(model.validate, [[1.0], [2.0]], y).code == "validation_mismatch"
    assert model.validate([[1.0], [np.nan]], y) == 0.0


def test_cases_may_be_frames():
    pd = pytest.importorskip("pandas")
    document = identity(2) | {"features": ["a", "b"]}
    document["buffer_sizes"] = [2, 1]
    document["instructions"] = [{"type": "REDUCE_SUM", "input": 0, "output": 1}]
    model = build(document)
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "sum": [4.0, 6.0]})
    x = frame[["a", "b"]]
    for y in (
        frame[["sum"]],
        frame["sum"],
        frame["sum"].to_numpy(),
        frame[["sum"]].astype("Int64"),
    ):
        assert model.validate(x, y) == 0.0
    assert model.validate(x.astype("Float32"), frame["sum"]) == 0.0
    assert error_of(model.validate, frame[["b", "a"]], frame["sum"]).code == "column_mismatch"
    assert error_of(model.validate, x, frame["sum"] + 1).code == "validation_mismatch"
    assert error_of(model.validate, x, frame["sum"][:1]).code == "validation_count_mismatch"


@pytest.mark.parametrize(
    "wrong", [np.zeros(2), np.zeros((2, 2, 2)), np.zeros((2, 2), object), {"a": 1}, 1.0]
)
def test_arrays_that_are_no_cases(model, wrong):
    assert error_of(model.validate, wrong, np.zeros((2, 2))).code in (
        "invalid_type",
        "validation_input_size_mismatch",
    )
    assert error_of(model.validate, np.zeros((2, 6)), wrong).code in (
        "invalid_type",
        "validation_output_size_mismatch",
    )


class Doubled(im.InstructionModel):
    """A subclass whose own `predict` needs what its constructor has yet to make."""

    def __init__(self, info):
        super().__init__(info)
        self.factor = 2

    def predict(self, x, out=None):
        return super().predict(x, out) * self.factor


def test_validation_runs_the_engine_whatever_a_subclass_makes_of_its_scores(model):
    x = samples(3, 6, 0)
    y = model.predict(x)
    data = {"inputs": x.tolist(), "expected_outputs": y.tolist()}
    info = im.InstructionModelInfo.from_dict(everything() | {"validation_data": data})
    doubled = Doubled(info)
    assert doubled.validate(x, y) == 0.0
    np.testing.assert_array_equal(doubled.predict(x), 2 * y)
