"""from_logistic_regression_model."""

from __future__ import annotations

import math

import numpy as np
import pytest

import instmodel as im

MODEL = {"age": 0.05, "constant": -2.5, "income": -0.25, "Zip": 1.5}
make = im.InstructionModelInfo.from_logistic_regression_model


def test_what_it_makes():
    info = make(MODEL)
    assert info.features == ["Zip", "age", "income"]
    assert info.buffer_sizes == [3, 1]
    assert info.instructions == [
        im.Dot(input=0, output=1, weights=0, activation=im.Activation.SIGMOID)
    ]
    assert info.weights[0].tolist() == np.float32([[1.5, 0.05, -0.25]]).tolist()
    assert info.bias[0].tolist() == [-2.5]


def test_what_it_computes():
    model = im.InstructionModel(make(MODEL))
    zip_, age, income = 0.5, 40.0, 3.0
    expected = 1 / (1 + math.exp(-(-2.5 + 1.5 * zip_ + 0.05 * age - 0.25 * income)))
    assert model.predict_single([zip_, age, income]) == pytest.approx(expected, rel=1e-6)


def test_the_order_can_be_given():
    order = ["income", "Zip", "age"]
    for feature_order in (order, tuple(order), np.array(order)):
        info = make(MODEL, feature_order=feature_order)
        assert info.features == order
        assert all(type(name) is str for name in info.features)
        assert info.weights[0].tolist() == np.float32([[-0.25, 1.5, 0.05]]).tolist()
    a, b = im.InstructionModel(make(MODEL)), im.InstructionModel(make(MODEL, order))
    assert a.predict_single([1.0, 2.0, 3.0]) == pytest.approx(b.predict_single([3.0, 1.0, 2.0]))


def test_the_constant_is_zero_by_default():
    assert make({"x": 1.0}).bias[0].tolist() == [0.0]
    assert im.InstructionModel(make({"x": 1.0})).predict_single([0.0]) == 0.5


def test_the_given_mapping_stays_as_it_is():
    given = dict(MODEL)
    make(given)
    assert given == MODEL


def test_numpy_numbers_are_numbers():
    info = make({"x": np.float64(0.5), "y": np.int32(2), "constant": np.float32(1)})
    assert info.weights[0].tolist() == [[0.5, 2.0]]


def test_it_survives_json(tmp_path):
    make(MODEL).save(tmp_path / "model.json")
    x = [[1.0, 2.0, 3.0]]
    expected = im.InstructionModel(make(MODEL)).predict(x)
    np.testing.assert_array_equal(im.load(tmp_path / "model.json").predict(x), expected)


@pytest.mark.parametrize(
    ("coefficients", "order", "code"),
    [
        ({}, None, "missing_features"),
        ({"constant": 1.0}, None, "missing_features"),
        (MODEL, [], "feature_size_mismatch"),
        (MODEL, ["age", "income"], "feature_size_mismatch"),
        (MODEL, ["age", "income", "zip"], "feature_size_mismatch"),
        (MODEL, ["age", "income", "Zip", "Zip"], "feature_size_mismatch"),
        (MODEL, ["age", "income", "income"], "feature_size_mismatch"),
        (MODEL, ["age", "income", "Zip", "constant"], "feature_size_mismatch"),
        (MODEL, "age", "feature_size_mismatch"),
        (MODEL, 3, "invalid_type"),
        (MODEL, ["age", "income", 3], "feature_size_mismatch"),
        (MODEL, ["age", "income", ["Zip"]], "invalid_type"),
        ({"x": "1"}, None, "invalid_type"),
        ({"x": None}, None, "invalid_type"),
        ({"x": True}, None, "invalid_type"),
        ({"x": [1.0]}, None, "invalid_type"),
        ({"x": 1.0, "constant": "1"}, None, "invalid_type"),
        ({3: 1.0}, None, "invalid_type"),
        ({3: 1.0, "x": 1.0}, None, "invalid_type"),
        # Four inputs for three weights, and the last of them changed no score.
        ({"age": 1, "emb[1]": 10, "emb[2]": 100}, None, "invalid_feature_format"),
        # One input, but it would be emb[0] to a table.
        ({"age": 1, "emb[1]": 10}, None, "invalid_feature_format"),
        ({"emb[0]": 1, "emb[1]": 10}, None, "invalid_feature_format"),
        ({"x": math.nan}, None, "non_finite_value"),
        ({"x": 1.0, "constant": math.inf}, None, "non_finite_value"),
        ({"x": 1e39}, None, "non_finite_value"),
        ([("x", 1.0)], None, "invalid_type"),
        (None, None, "invalid_type"),
        ("x", None, "invalid_type"),
    ],
)
def test_mistakes(coefficients, order, code):
    with pytest.raises(im.InstModelError) as caught:
        make(coefficients, order)
    assert caught.value.code == code
    assert isinstance(caught.value, ValueError)


def test_a_name_that_is_no_feature_name_is_found_when_the_model_is_made():
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModel(make({"": 1.0}))
    assert caught.value.code == "invalid_feature_format"
