"""Functions made of activations give what NumPy does, also of NaN, zero and tiny numbers."""

import math

import numpy as np
import pytest

import instmodel as im
from instmodel.importers import common
from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn

INF, NAN = np.inf, np.nan
NUMBERS = np.float32(
    [0.0, 1.0, -1.0, 0.3, -0.3, 1 + 1e-6, 1 - 1e-6, 1e-30, -1e-30, 1e-5, 7e4, -7e4, 1e30, NAN]
)
PAIRS = np.array([[a, b] for a in NUMBERS for b in NUMBERS], np.float32)


def computed(function, rows, columns=1):
    """Run a function of the columns of `rows`, each a Value of one number."""
    leaf = ex.source(rows.shape[1])
    parts = [ex.rearrange(leaf, np.array([i])) for i in range(rows.shape[1])]
    output = function(*parts) if columns else function(leaf)
    info = common.build(output, [leaf], None, {})
    return im.InstructionModel(info).predict(rows).reshape(len(rows), -1)


ONE = {
    "log": (fn.log, np.log),
    "log1p": (fn.log1p, np.log1p),
    "sqrt": (fn.sqrt, np.sqrt),
    "inverse_root": (fn.inverse_root, lambda x: 1 / np.sqrt(x)),
    "erf": (fn.erf, np.vectorize(math.erf)),
    "expm1": (fn.expm1, np.expm1),
    "softsign": (fn.softsign, lambda x: x / (1 + np.abs(x))),
    "power 3": (lambda x: fn.power(x, 3.0), lambda x: x**3.0),
    "power 0": (lambda x: fn.power(x, 0.0), lambda x: np.ones_like(x)),
    "power -2": (lambda x: fn.power(x, -2.0), lambda x: x**-2.0),
    "power 0.5": (lambda x: fn.power(x, 0.5), lambda x: x**0.5),
    "power 1.3": (lambda x: fn.power(x, 1.3), lambda x: x**1.3),
    "the logarithm of a sum": (
        lambda x: fn.log(ex.add(ex.activation(x, "RELU"), ex.constant(0.5))),
        lambda x: np.log(np.where(x < 0, 0, x) + 0.5),
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_a_function_of_one_number(name):
    function, exact = ONE[name]
    got = computed(function, NUMBERS[:, None])[:, 0]
    with np.errstate(all="ignore"):
        want = exact(NUMBERS.astype(float)).astype(np.float32)
        want = np.where(np.abs(want) < 2.0**-126, 0, want)
    held = ~(np.abs(want) > 1e38)  # beyond, EXP ends
    np.testing.assert_allclose(got[held], want[held], rtol=1e-5, atol=1e-6)
    assert np.all(np.sign(want[~held]) * got[~held] > 1e38)


@pytest.mark.parametrize("name", ["log", "log1p", "sqrt", "inverse_root"])
def test_a_function_of_constants_is_nan_where_it_is_of_numbers(name):
    function, exact = ONE[name]
    made = function(ex.constant(np.array([-2.0, -1e-3, NAN, 0.5, 4.0])))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(made.data, exact(np.array([-2.0, -1e-3, NAN, 0.5, 4.0])))


TWO = {
    "divide": (ex.divide, np.divide),
    "larger": (fn.larger, np.maximum),
    "smaller": (fn.smaller, np.minimum),
    "above": (fn.above, np.greater),
    "equal": (fn.equal, np.equal),
    "a choice": (
        lambda a, b: fn.selected(fn.above(a, ex.constant(0.5)), a, b),
        lambda a, b: np.where(a > 0.5, a, b),
    ),
    "a choice of constants": (
        lambda a, b: fn.selected(fn.above(a, b), ex.constant(2.0), ex.constant(-3.0)),
        lambda a, b: np.where(a > b, 2.0, -3.0),
    ),
}


@pytest.mark.parametrize("name", TWO)
def test_a_function_of_two_numbers(name):
    function, exact = TWO[name]
    got = computed(function, PAIRS)[:, 0]
    with np.errstate(all="ignore"):
        want = exact(*PAIRS.T).astype(np.float32)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_what_is_not_chosen_may_be_anything():
    def chosen(x):
        truth = fn.above(x, ex.constant(0.0))
        return fn.selected(truth, fn.log(x), ex.activation(x, "RECIPROCAL"))

    rows = np.float32([[2.0], [-2.0], [0.0], [NAN], [1e-3]])
    got = computed(chosen, rows)[:, 0]
    np.testing.assert_allclose(got[[0, 1, 4]], [math.log(2), -0.5, math.log(1e-3)], rtol=1e-6)
    assert got[2] > 3e38  # ∞
    assert np.isnan(got[3])


ROWS = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
OVER = {
    "largest": (lambda x: fn.largest_over(x, [0]), lambda x: x.max(axis=1)),
    "smallest": (lambda x: fn.smallest_over(x, [0]), lambda x: x.min(axis=1)),
    "product": (lambda x: fn.product_over(x, [0]), lambda x: x.prod(axis=1)),
    "norm 1": (lambda x: fn.norm(x, [0], order=1), lambda x: np.abs(x).sum(axis=1)),
    "norm 2": (lambda x: fn.norm(x, [0]), lambda x: np.linalg.norm(x, axis=1)),
    "divided by the norm": (
        lambda x: fn.divided_by_norm(x, 0, 1e-12),
        lambda x: x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12),
    ),
    "divided by the largest": (
        lambda x: fn.divided_by_norm(x, 0, 0.0, math.inf),
        lambda x: x / np.abs(x).max(axis=1, keepdims=True),
    ),
    "divided by the sum": (
        lambda x: fn.divided_by_sum(ex.multiply(x, x)),
        lambda x: x * x / (x * x).sum(axis=1, keepdims=True),
    ),
    "standardized": (
        lambda x: fn.standardized(x, [0], 1e-5),
        lambda x: (
            (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        ),
    ),
}


@pytest.mark.parametrize("name", OVER)
def test_a_function_over_an_axis(name):
    function, exact = OVER[name]
    got = computed(function, ROWS, columns=0)
    np.testing.assert_allclose(got, exact(ROWS).reshape(len(ROWS), -1), rtol=1e-5, atol=1e-6)
    missing = ROWS[:1].copy()
    missing[0, 2] = NAN
    assert np.isnan(computed(function, missing, columns=0)).all()
