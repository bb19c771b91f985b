"""Which inputs matter, and how the score follows them: as scikit-learn has it, for both models."""

import inspect

import numpy as np
import pytest

import instmodel as im
from instmodel.comparison.importance import permutation_importance
from instmodel.comparison.pair import Pair

pytest.importorskip("sklearn")

from sklearn import inspection
from sklearn.linear_model import LinearRegression, LogisticRegression

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(2000, 4)).astype(np.float32)
NAMES = ["a", "b", "c", "d"]
CLASS = (RNG.random(2000) < 1 / (1 + np.exp(-2 * ROWS[:, 0] + ROWS[:, 2]))).astype(int)
VALUE = (3 * ROWS[:, 1] - ROWS[:, 3] + RNG.normal(size=2000)).astype(np.float32)


def model(estimator):
    return im.importers.from_sklearn(estimator)


def fitted(truth, kind=LogisticRegression, columns=slice(None)):
    rows = ROWS.copy()
    rows[:, [i for i in range(4) if i not in range(4)[columns]]] = 0
    return kind().fit(rows, truth)


@pytest.mark.parametrize(
    ("truth", "kind", "measure", "scoring"),
    [
        (CLASS, LogisticRegression, "roc_auc", "roc_auc"),
        (CLASS + (VALUE > 2), LogisticRegression, "log_loss", "neg_log_loss"),
        (VALUE, LinearRegression, "rmse", "neg_root_mean_squared_error"),
    ],
)
def test_importance_is_that_of_scikit_learn(truth, kind, measure, scoring):
    old, new = fitted(truth, kind, slice(2)), fitted(truth, kind)
    found = im.compare(
        *(model(old), model(new), np.column_stack([ROWS, truth])), labels=4, importance=True
    ).importance
    assert (found.measure, found.rows) == (measure, 2000)
    expected = [
        inspection.permutation_importance(
            estimator, ROWS, truth, scoring=scoring, n_repeats=20, random_state=0
        ).importances_mean
        for estimator in (old, new)
    ]
    got = {item.name: (item.old, item.new) for item in found.inputs}
    for place in range(4):
        sides = got[f"input {place}"]
        assert sides == pytest.approx([side[place] for side in expected], abs=0.02, rel=0.1)
    order = [max(item.old, item.new) for item in found.inputs]
    assert order == sorted(order, reverse=True)


def linear(weights):
    b = im.ModelBuilder()
    return b.build(output=b.dense(b.input(NAMES), np.array([weights]), None))


def test_without_labels_it_is_how_far_the_score_moves():
    found = im.compare(linear([1, 0, 0, 0]), linear([0, 2, 0, 0]), ROWS, importance=True).importance
    assert found.measure == "mean_absolute_change"
    got = {item.name: (item.old, item.new) for item in found.inputs}
    # Of two independent normal values, the mean distance is 2 / √π.
    assert got["a"] == pytest.approx((2 / np.sqrt(np.pi), 0), rel=0.05)
    assert got["b"] == pytest.approx((0, 4 / np.sqrt(np.pi)), rel=0.05)
    assert got["c"] == got["d"] == (0, 0)


def test_labels_of_one_class_tell_no_more():
    table = np.column_stack([ROWS, np.ones(2000)])
    found = im.compare(linear([1, 0, 0, 0]), linear([0, 2, 0, 0]), table, labels=4, importance=True)
    assert (found.task, found.importance.measure) == ("binary", "mean_absolute_change")


def test_scores_of_classes_that_are_no_probabilities_are_judged_by_decisions():
    b = im.ModelBuilder()
    info = b.build(output=b.dense(b.input(NAMES), np.eye(3, 4), None))
    truth = ROWS[:, :3].argmax(axis=1)
    found = im.compare(info, info, np.column_stack([ROWS, truth]), labels=4, importance=True)
    assert found.importance.measure == "accuracy"
    assert found.importance.inputs[-1].name == "d"
    # Of four equal numbers, two are the largest in 1/6 of all orders, and one in 1/4.
    assert found.importance.inputs[0].old == pytest.approx(1 - 2 * (1 / 4) - 1 / 6, abs=0.05)


def test_an_array_feature_is_one_input_whose_values_stay_together():
    b = im.ModelBuilder()
    x = b.input(["a", "e[3]"])
    info = b.build(output=b.dense(x, np.array([[0, 1, -1, 0]]), None))
    rows = ROWS.copy()
    rows[:, 2] = rows[:, 1]  # so that the score is 0, unless they are torn apart
    found = permutation_importance(Pair(info, info, None), rows, None, None, 0)
    assert {item.name: item.old for item in found.inputs} == {"a": 0, "e": 0}
    found = im.compare(info, info, ROWS, dependence=2)
    assert [curve.name for curve in found.dependence] == ["a"]


def test_the_same_data_give_the_same_figures_and_the_sample_is_bounded():
    rows = np.tile(ROWS, (6, 1))
    found = [
        im.compare(linear([1, 2, 3, 4]), linear([4, 3, 2, 1]), rows, dependence=1) for _ in "ab"
    ]
    assert found[0].importance == found[1].importance
    assert found[0].importance.rows == 10_000
    assert found[0].dependence[0].rows == 1000


def test_scores_that_stop_being_numbers_have_no_importance():
    b = im.ModelBuilder()
    total = b.dense(b.input(["a", "b"]), np.array([[1, 1]]), None)
    info = b.build(output=b.activation(total, "RECIPROCAL"))
    rows = np.array([[0.0, 1.0], [-1.0, 3.0]])  # -1 + 1 has no reciprocal
    found = im.compare(info, info, rows, importance=True).importance
    assert np.isnan([found.inputs[0].old, found.inputs[1].new]).all()


def test_an_output_that_nobody_looks_at_may_stop_being_a_number():
    b = im.ModelBuilder()
    x = b.input(["a", "b"])
    total = b.dense(x, np.array([[1, 1]]), None)
    info = b.build(output=b.concatenate([b.activation(total, "RECIPROCAL"), b.copy_masked(x, [0])]))
    rows = np.array([[0.0, 1.0], [-1.0, 3.0]])
    found = im.compare(info, info, rows, task="binary", importance=True).importance
    assert np.isfinite([item.old for item in found.inputs]).all()


# ------------------------------------------------------------------------------ partial dependence


def test_partial_dependence_is_that_of_scikit_learn():
    if "custom_values" not in inspect.signature(inspection.partial_dependence).parameters:
        pytest.skip("this scikit-learn takes no grid")
    old, new = fitted(CLASS, columns=slice(2)), fitted(CLASS)
    rows = ROWS[:1000]
    found = im.compare(model(old), model(new), rows, dependence=4)
    assert len(found.dependence) == 4
    for curve in found.dependence:
        place = int(curve.name.removeprefix("input "))
        for estimator, means in ((old, curve.old), (new, curve.new)):
            expected = inspection.partial_dependence(
                *(estimator, rows, [place]),
                method="brute",
                kind="average",
                custom_values={place: np.array(curve.grid)},
            )
            assert means == pytest.approx(expected["average"][0], abs=1e-5)


def test_the_grid_is_of_values_that_occur():
    rows = ROWS.copy()
    rows[:, 0] = RNG.choice([1, 2, 9], 2000)
    rows[:, 1] = 7
    rows[::3, 2] = np.nan
    b = im.ModelBuilder()
    x = b.input(NAMES)
    info = b.build(output=b.copy_masked(x, [0, 1]))
    curves = im.compare(info, info, rows, dependence=4).dependence
    grids = {curve.name: curve.grid for curve in curves}
    assert grids["a"] == [1, 2, 9]
    assert grids["b"] == [7]
    assert len(grids["c"]) == 20
    assert set(grids["c"]) <= set(rows[:, 2].tolist())


def test_an_input_that_is_always_missing_has_no_curve():
    rows = ROWS.copy()
    rows[:, 3] = np.nan
    b = im.ModelBuilder()
    info = b.build(output=b.copy_masked(b.input(NAMES), [0]))
    curves = im.compare(info, info, rows, dependence=4).dependence
    assert sorted(curve.name for curve in curves) == ["a", "b", "c"]
