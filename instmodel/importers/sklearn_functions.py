"""Functions in scikit-learn's steps: ufuncs, powers, bins, norms, shares of a sum, votes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.sklearn_thresholds import falls_below
from instmodel.importers.sklearn_walk import Walk

Floats = NDArray[np.float64]


# ------------------------------------------------------------------------------------------ ufuncs


def apply_function(function: Any, x: Value) -> Value:
    """Return what a NumPy function makes of x; None is the identity."""
    if function is None:
        return x
    for ufunc, make in _UFUNCS:
        if function is ufunc:
            return make(x)
    known = ", ".join(ufunc.__name__ for ufunc, _ in _UFUNCS)
    raise Unsupported(f"a function that nobody can look into; known are NumPy's {known}")


def _sqrt(x: Value) -> Value:
    return ex.add(ex.activation(x, "SQRT"), fn.nan_where(fn.positive(_negative(x))))


def _exp(x: Value) -> Value:
    return ex.activation(x, "EXP")


def _negative(x: Value) -> Value:
    return ex.multiply(x, ex.constant(-1.0))


def _log(x: Value) -> Value:
    """Return ln x: LOG of x - 1 from 1 on, of multiples of x below."""
    parts = [_log_between(x, 2.0**-24, 1.0), _log_between(x, 2.0**-126, 2.0**-24)]
    above = ex.activation(ex.add(x, ex.constant(-1.0)), "LOG")
    return _with_domain(ex.add(ex.add(above, parts[0]), parts[1]), x)


def _log1p(x: Value) -> Value:
    """Return ln(x + 1): LOG from 0 on, and `_log` below, where x + 1 is 2^-24 or more."""
    total = ex.add(x, ex.constant(1.0))
    below = _log_between(total, 2.0**-24, 1.0)
    return _with_domain(ex.add(ex.activation(x, "LOG"), below), total)


def _log_between(x: Value, low: float, high: float) -> Value:
    """Return ln x = ln(x / low) + ln low for low ≤ x < high, else 0."""
    multiple = ex.multiply(ex.clip(x, low, high), ex.constant(1.0 / low))
    log = ex.activation(ex.add(multiple, ex.constant(-1.0)), "LOG")
    log = ex.add(log, ex.constant(math.log(low)))
    inside = ex.subtract(
        fn.positive(ex.subtract(ex.constant(high), x)),
        fn.positive(ex.subtract(ex.constant(low), x)),
    )
    return ex.multiply(inside, log)


def _with_domain(y: Value, x: Value) -> Value:
    """Return the logarithm y of x: -∞ of 0 and NaN of what is less."""
    huge = ex.multiply(fn.equal(x, ex.constant(0.0)), ex.constant(3e38))
    infinite = _negative(ex.multiply(huge, huge))
    return ex.add(ex.add(y, infinite), fn.nan_where(fn.positive(_negative(x))))


_UFUNCS: list[tuple[Any, Callable[[Value], Value]]] = [
    (np.log1p, _log1p),
    (np.log, _log),
    (np.log2, lambda x: ex.multiply(_log(x), ex.constant(1 / math.log(2)))),
    (np.log10, lambda x: ex.multiply(_log(x), ex.constant(1 / math.log(10)))),
    (np.exp, _exp),
    (np.expm1, fn.expm1),
    (np.sqrt, _sqrt),
    (np.square, lambda x: ex.multiply(x, x)),
    (np.absolute, fn.magnitude),
    (np.negative, _negative),
    (np.tanh, lambda x: ex.activation(x, "TANH")),
    (np.sign, lambda x: ex.activation(x, "SIGN")),
]

# Where these are infinite.
POLES = [(np.log, 0.0), (np.log2, 0.0), (np.log10, 0.0), (np.log1p, -1.0)]


# ------------------------------------------------------------------------------------------ powers


def yeo_johnson(x: Value, exponents: Any) -> Value:
    """Return ((x + 1)^λ - 1) / λ of x ≥ 0, and -((1 - x)^(2 - λ) - 1) / (2 - λ) of the others."""
    powers = np.asarray(exponents, float)
    above = _power(ex.activation(x, "LOG"), powers)  # LOG is 0 below 0
    below = _power(ex.activation(_negative(x), "LOG"), 2.0 - powers)
    return ex.add(ex.subtract(above, below), ex.multiply(x, ex.constant(0.0)))  # NaN stays


def inverse_yeo_johnson(y: Value, exponents: Any) -> Value:
    """Return the x of which `yeo_johnson` makes y."""
    powers = np.asarray(exponents, float)
    above = _root(ex.activation(y, "RELU"), powers)
    below = _root(ex.activation(_negative(y), "RELU"), 2.0 - powers)
    return ex.subtract(above, below)


def box_cox(x: Value, exponents: Any) -> Value:
    """Return (x^λ - 1) / λ of what is positive."""
    return _power(_log(x), np.asarray(exponents, float))


def inverse_box_cox(y: Value, exponents: Any) -> Value:
    """Return the x of which `box_cox` makes y."""
    return ex.add(_root(y, np.asarray(exponents, float)), ex.constant(1.0))


def _power(log: Value, powers: Floats) -> Value:
    """Return (e^(p · log) - 1) / p, and `log` itself for p = 0."""
    straight = _are_zero(powers)
    grown = fn.expm1(ex.multiply(log, ex.constant(powers)))
    curved = ex.divide(grown, ex.constant(np.where(straight, 1.0, powers)))
    return _either(straight, log, curved)


def _root(y: Value, powers: Floats) -> Value:
    """Return (p · y + 1)^(1/p) - 1, and e^y - 1 for p = 0."""
    straight = _are_zero(powers)
    log = _log1p(ex.multiply(y, ex.constant(powers)))
    log = ex.divide(log, ex.constant(np.where(straight, 1.0, powers)))
    return fn.expm1(_either(straight, y, log))


def _are_zero(powers: Floats) -> NDArray[np.bool_]:
    return np.abs(powers) < 1e-12


def _either(first: NDArray[np.bool_], one: Value, other: Value) -> Value:
    """Return the numbers of `one` where `first` says so, and else those of `other`."""
    if not first.any():
        return other
    places = np.where(first, 0, one.size) + np.arange(one.size)
    return ex.rearrange(ex.concatenate([one, other]), places)


# -------------------------------------------------------------------------------------------- bins


def bins(walk: Walk, e: Any, x: Value) -> Value:
    """Return ``transform`` of a KBinsDiscretizer: the number of edges that x has reached."""
    inner = [np.asarray(edges, float)[1:-1] for edges in e.bin_edges_]
    owner = np.repeat(np.arange(x.size), [len(edges) for edges in inner])
    start = 0
    weights: list[Floats] = []
    bias: list[float] = []
    for edges in inner:
        under = np.eye(len(owner))[start : start + len(edges)]  # 1 where x is below an edge
        start += len(edges)
        if e.encode == "ordinal":
            weights.append(-under.sum(axis=0))
            bias.append(len(edges))
        else:  # in a bin is below its upper edge, but not below its lower one
            zero = np.zeros((1, len(owner)))
            weights += list(np.concatenate([under, zero]) - np.concatenate([zero, under]))
            bias += [0.0] * len(edges) + [1.0]
    if not len(owner):
        return ex.dense(x, np.zeros((len(bias), x.size)), bias)
    below = falls_below(walk, ex.rearrange(x, owner), np.concatenate(inner))
    return ex.dense(below, np.array(weights), bias)


# -------------------------------------------------------------------------------------- divisions

# scikit-learn leaves rows with a smaller norm as they are.
_LEAST_NORM = 10 * float(np.finfo(float).eps)
# SciPy's expit is 0 below: there e^-x overflows.
_LEAST_LOGIT = -math.log(float(np.finfo(float).max))


def normalized(x: Value, norm: str) -> Value:
    """Return x divided by its norm: l1, l2 or max.

    Everything is divided by a power of two first, so that no sum overflows and no reciprocal
    underflows.
    """
    unit = 2.0 ** -math.ceil(math.log2(8 * x.size))
    y = ex.multiply(x, ex.constant(unit))
    sizes = fn.magnitude(y)
    size = _largest(sizes) if norm == "max" else _total(sizes)
    if norm == "l2":
        directions = ex.multiply(y, _reciprocal(ex.add(size, fn.equal(size, ex.constant(0.0)))))
        squares = _total(ex.multiply(directions, directions))
        size = ex.multiply(size, ex.activation(squares, "SQRT"))
    small = fn.falls_below(size, _LEAST_NORM * unit)
    kept = ex.multiply(size, ex.activation(small, "INVERSE"))
    return ex.multiply(y, _reciprocal(ex.add(kept, ex.multiply(small, ex.constant(unit)))))


def shares(numbers: Value, otherwise: float | None) -> Value:
    """Return numbers that are never negative divided by their sum.

    Where the sum is 0, `otherwise` each, and NaN for None.
    """
    total = _total(numbers)
    empty = ex.activation(fn.positive(total), "INVERSE")
    divided = ex.multiply(numbers, _reciprocal(ex.add(total, empty)))
    return ex.add(divided, _where(empty, otherwise))


def shares_of_sigmoids(scores: Value, otherwise: float | None) -> Value:
    """Return the `shares` of the sigmoids of scores.

    They are the softmax of the logarithms, -ln(1 + e^-x), which float32 holds where it does not
    hold the sigmoids themselves.
    """
    logs = fn.log_sigmoid(scores)
    lost = fn.falls_below(_largest(scores), _LEAST_LOGIT)
    divided = ex.multiply(ex.softmax(logs), ex.activation(lost, "INVERSE"))
    return ex.add(divided, _where(lost, otherwise))


def _where(flags: Value, number: float | None) -> Value:
    """Return a number, NaN for None, where a flag is 1, else 0."""
    return fn.nan_where(flags) if number is None else ex.multiply(flags, ex.constant(number))


def decisions_of_pairs(confidences: Value, count: int) -> Value:
    """Return a number for each class: its wins over the others, and a third at most to break ties.

    Of each pair of classes, in order, a confidence is positive where the second wins.
    """
    pairs = [(one, other) for one in range(count) for other in range(one + 1, count)]
    signs = np.zeros((count, len(pairs)))
    for nth, (one, other) in enumerate(pairs):
        signs[one, nth], signs[other, nth] = -1.0, 1.0
    first_wins = (signs < 0).sum(axis=1)
    votes = ex.dense(fn.positive(confidences), signs, first_wins)
    sums = ex.dense(confidences, signs)
    scale = ex.add(ex.multiply(fn.magnitude(sums), ex.constant(3.0)), ex.constant(3.0))
    return ex.add(votes, ex.multiply(sums, _reciprocal(scale)))


def _reciprocal(x: Value) -> Value:
    return ex.activation(x, "RECIPROCAL")


def _total(x: Value) -> Value:
    return ex.reduce_sum(x, keep=True) if x.size > 1 else x


def _largest(x: Value) -> Value:
    """Return the largest number, from max(a, b) = a + relu(b - a), half against half."""
    while x.size > 1:
        half = x.size // 2
        one, other = (ex.rearrange(x, np.arange(half) + start) for start in (0, half))
        more = ex.activation(ex.subtract(other, one), "RELU")
        odd = [ex.rearrange(x, np.array([x.size - 1]))] if x.size % 2 else []
        x = ex.concatenate([ex.add(one, more), *odd])
    return x
