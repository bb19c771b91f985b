"""Thresholds of scikit-learn, compared exactly.

Design
------
A. scikit-learn compares in float64. A threshold that float32 lacks is rounded to the side on which
   every float32 number stays where it is (see `functions.exceeds`).
B. Behind a scaler the input itself is compared, with the threshold taken back through the scaler:
   what float32 rounds of the scaled number then decides nothing.
C. Behind an imputer, the number that fills a gap may be one that float32 lacks, too, and often it
   is a threshold: a median is an edge between bins. Where rounding would move it, gaps are decided
   here.
D. Behind what computes, numbers that are an edge in float64 are next to it in float32: all rows of
   a category, perhaps. What is next to an edge is taken for the edge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Value
from instmodel.importers.sklearn_walk import Walk

Floats = NDArray[np.float64]


def exceeds(walk: Walk, x: Value, limits: ArrayLike) -> Value:
    """Return 1 where x > limit, else 0, NaN for NaN."""
    return _compared(walk, x, limits, fn.exceeds, np.greater)


def falls_below(walk: Walk, x: Value, limits: ArrayLike) -> Value:
    """Return 1 where x < limit, else 0, NaN for NaN."""
    return _compared(walk, x, limits, fn.falls_below, np.less)


# Of the largest threshold of a number: what float32 may have rounded of it if it was computed.
_NEAR = 1e-6


def _compared(
    walk: Walk,
    x: Value,
    limits: ArrayLike,
    compare: Callable[[Value, ArrayLike], Value],
    exact: np.ufunc,
) -> Value:
    base, places, wanted = _unscaled(x, np.broadcast_to(np.asarray(limits, float), x.shape))
    if base.kind == "concatenate":
        return _compared_by_part(walk, base, places, wanted, compare, exact)
    filled = walk.filled.get(id(base))
    if filled is None:
        if base.kind not in ("input", "lookup") and not base.whole:
            largest = np.zeros(base.size)
            np.maximum.at(largest, places, np.abs(wanted))
            near = _NEAR * largest[places]
            wanted = wanted + (near if exact is np.greater else -near)
        return compare(ex.rearrange(base, places), wanted)
    flags = compare(ex.rearrange(base, places), wanted)
    _, gaps, fills = filled
    held = np.float32(fills).astype(float)[places]
    decided = exact(fills[places], wanted)
    if np.array_equal(decided, exact(held, wanted)):
        return flags
    missing = ex.rearrange(gaps, places)
    kept = ex.multiply(flags, ex.activation(missing, "INVERSE"))
    return ex.add(kept, ex.multiply(missing, ex.constant(decided)))


def _compared_by_part(
    walk: Walk,
    joined: Value,
    places: NDArray[Any],
    limits: Floats,
    compare: Callable[[Value, ArrayLike], Value],
    exact: np.ufunc,
) -> Value:
    """Compare ``joined.flat[places]``, each number where it comes from."""
    starts = np.cumsum([0, *(part.size for part in joined.inputs)])
    owner = np.searchsorted(starts, places, "right") - 1
    parts, order = [], []
    for nth in np.unique(owner):
        mine = np.flatnonzero(owner == nth)
        numbers = ex.rearrange(joined.inputs[nth], places[mine] - starts[nth])
        parts.append(_compared(walk, numbers, limits[mine], compare, exact))
        order.append(mine)
    return ex.rearrange(ex.concatenate(parts), np.argsort(np.concatenate(order)))


# Of a threshold: two float64 roundings on its way back through scalers, and some more.
_ROUNDED = 1e-14


def _unscaled(x: Value, limits: Floats) -> tuple[Value, NDArray[Any], Floats]:
    """Return (base, places, limits): x and limits compare as base.flat[places] and those do."""
    base, places, wanted = ex.bare(x), ex.positions_of(x), limits
    size = np.zeros(limits.shape)  # the largest number on the way
    while True:
        if base.kind == "rearrange":
            places = base.data[places]
        elif base.kind == "add_constant":
            size = np.maximum(size, np.abs(wanted))
            wanted = wanted - base.data[places]
            size = np.maximum(size, np.abs(wanted))
        elif base.kind == "multiply_constant" and np.all(base.data[places] > 0):
            wanted, size = wanted / base.data[places], size / base.data[places]
            size = np.maximum(size, np.abs(wanted))
        else:
            break
        base = ex.bare(base.inputs[0])
    # An edge is often a number of the training data itself: rounding must not move it.
    near = wanted.astype(np.float32).astype(float)
    return base, places, np.where(np.abs(near - wanted) <= _ROUNDED * size, near, wanted)
