"""scikit-learn's QuantileTransformer: how much of the training data is below a number.

Design
------
A. To a uniform distribution, it is a curve of lines and jumps; see `sklearn_curves`.
B. To a normal distribution, the share p of the data on the nearer side counts, because the tails
   are long there: from the upper end it is added up anew, not subtracted from 1.
C. The normal quantile of p is -t, with t = √(-2 ln p), and a polynomial of t that is fitted to the
   rest on [1.17, 5.69]; p never leaves [1e-7, 1/2].
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Value
from instmodel.importers.sklearn_curves import Curves, column_of, distance, drawn, read
from instmodel.importers.sklearn_thresholds import exceeds, falls_below
from instmodel.importers.sklearn_walk import Walk

# scikit-learn's: so far beyond the ends a number is outside, and so near to 0 and 1 a share ends.
_BOUND = 1e-7
# The rest, by powers of (t - 3.43) / 2.26: within 7e-8.
_CENTER, _REACH = 3.43, 2.26
_REST = (
    0.658268036,
    -0.263540335,
    0.124072099,
    -0.0623989358,
    0.0326290829,
    -0.017703271,
    0.00974021352,
    -0.00467929122,
    0.00262667656,
    -0.00340631011,
    0.00204967408,
    0.00125691073,
    -0.000793249252,
    -0.001165841,
    0.000718379412,
)


def quantiles(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return ``transform`` of a QuantileTransformer."""
    uniform = copy.copy(e)
    uniform.output_distribution = "uniform"
    normal = e.output_distribution == "normal"
    columns = []
    for position, places in enumerate(np.asarray(e.quantiles_, float).T):
        curves = read(column_of(uniform, position, e.quantiles_[0]), np.unique(places), 1, True)
        column = ex.rearrange(x, np.array([position]))
        columns.append((_nearer_share if normal else drawn)(walk, column, curves))
    if not normal:
        return ex.concatenate(columns)
    shares = ex.reshape(ex.concatenate(columns), (x.size, 2))
    share, side = (ex.rearrange(shares, ex.positions_of(shares)[:, i]) for i in (0, 1))
    deviations = ex.multiply(_normal_quantile(share), side)
    return ex.add(deviations, ex.multiply(x, ex.constant(0.0)))  # NaN stays


def _nearer_share(walk: Walk, x: Value, curves: Curves) -> Value:
    """Return two numbers: the share of the data below x, or above if that is less, and 1 or -1."""
    first, last = curves.places[[0, -1]]
    below = _sum_of(walk, x, curves, upward=True)
    above = _sum_of(walk, x, curves, upward=False)
    low = falls_below(walk, x, [first + _BOUND])
    high = exceeds(walk, x, [last - _BOUND])
    below = ex.multiply(below, ex.activation(low, "INVERSE"))
    above = ex.multiply(above, ex.activation(high, "INVERSE"))
    is_upper = fn.positive(ex.subtract(below, above))
    is_lower = ex.activation(is_upper, "INVERSE")
    share = ex.add(ex.multiply(below, is_lower), ex.multiply(above, is_upper))
    return ex.concatenate([share, ex.subtract(is_lower, is_upper)])


def _sum_of(walk: Walk, x: Value, curves: Curves, *, upward: bool) -> Value:
    """Return the sum of all rises and jumps that x has behind it, or still has before it."""
    places = curves.places
    wide = ex.broadcast(x, places.shape)
    not_reached = falls_below(walk, wide, places)
    exceeded = exceeds(walk, wide, places)
    jumps = [(ex.activation(not_reached, "INVERSE"), exceeded)]
    jumps.append((not_reached, ex.activation(exceeded, "INVERSE")))
    reached, gone = jumps[0 if upward else 1]
    terms = [
        ex.multiply(reached, ex.constant(curves.reached[:, 0])),
        ex.multiply(gone, ex.constant(curves.exceeded[:, 0])),
    ]
    if curves.pieces:
        widths = np.diff(places)
        along = ex.broadcast(x, widths.shape)
        ends = (places[:-1], widths) if upward else (places[1:], -widths)
        part = ex.clip(distance(along, *ends), 0.0, 1.0)
        rises = np.array([piece[0, 0] for piece in curves.pieces])
        terms.append(ex.multiply(part, ex.constant(rises)))
    return ex.reduce_sum(ex.concatenate(terms), keep=True)


def _normal_quantile(share: Value) -> Value:
    """Return the normal quantile of a share, 1e-7 … 1/2: never positive."""
    scale = 2.0**27
    scaled = ex.multiply(ex.clip(share, _BOUND, 0.5), ex.constant(scale))
    log = ex.activation(ex.add(scaled, ex.constant(-1.0)), "LOG")
    log = ex.subtract(log, ex.constant(math.log(scale)))
    root = ex.activation(ex.multiply(log, ex.constant(-2.0)), "SQRT")
    u = ex.divide(ex.subtract(root, ex.constant(_CENTER)), ex.constant(_REACH))
    rest = ex.add(ex.multiply(u, ex.constant(_REST[-1])), ex.constant(_REST[-2]))
    for factor in _REST[-3::-1]:
        rest = ex.add(ex.multiply(rest, u), ex.constant(factor))
    return ex.subtract(rest, root)
