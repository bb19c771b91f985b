"""Functions of single numbers in scikit-learn's steps: ufuncs, powers, bins, rising curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.sklearn_walk import Walk, require

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
    (np.expm1, lambda x: ex.add(_exp(x), ex.constant(-1.0))),
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
    above = _power_of_sum(x, powers)
    below = _power_of_sum(_negative(x), 2.0 - powers)
    return ex.add(ex.subtract(above, below), ex.multiply(x, ex.constant(0.0)))  # NaN stays


def _power_of_sum(x: Value, powers: Floats) -> Value:
    """Return ((x + 1)^p - 1) / p, ln(x + 1) for p = 0; and 0 for x < 0 and NaN, as LOG is then."""
    log = ex.activation(x, "LOG")
    straight = np.abs(powers) < 1e-12
    divisors = np.where(straight, 1.0, powers)
    grown = ex.activation(ex.multiply(log, ex.constant(powers)), "EXP")
    curved = ex.divide(ex.add(grown, ex.constant(-1.0)), ex.constant(divisors))
    if not straight.any():
        return curved
    return ex.add(
        ex.multiply(log, ex.constant(straight)), ex.multiply(curved, ex.constant(~straight))
    )


# -------------------------------------------------------------------------------------------- bins


def bins(e: Any, x: Value) -> Value:
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
    below = fn.falls_below(ex.rearrange(x, owner), np.concatenate(inner))
    return ex.dense(below, np.array(weights), bias)


# ------------------------------------------------------------------------------------------ curves


def isotonic(walk: Walk, e: Any, x: Value) -> Value:
    """Return ``predict`` of an IsotonicRegression: lines between its thresholds."""
    require(x.size == 1, "a curve of several numbers")
    places = np.asarray(e.X_thresholds_, float)
    heights = np.asarray(e.y_thresholds_, float)
    if len(places) == 1:
        return ex.add(ex.multiply(x, ex.constant(0.0)), ex.constant(heights))
    widths = np.diff(places)
    held = places[:-1].astype(np.float32).astype(float)
    along = ex.subtract(ex.broadcast(x, widths.shape), ex.constant(held))
    along = ex.subtract(along, ex.constant(places[:-1] - held))
    share = ex.clip(ex.divide(along, ex.constant(widths)), 0.0, 1.0)
    curve = ex.dense(share, np.diff(heights)[None], heights[:1])
    if e.out_of_bounds == "clip":
        return curve
    outside = ex.add(fn.falls_below(x, places[:1]), fn.exceeds(x, places[-1:]))
    if e.out_of_bounds == "raise":
        walk.refuse(outside)
        return curve
    return ex.add(curve, fn.nan_where(outside))
