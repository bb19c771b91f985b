"""Curves of single numbers that scikit-learn draws piece by piece: splines, rising lines.

Design
------
A. A curve is a start and what every piece adds to it: the share of the piece that x has passed,
   from 0 to 1, in powers. So nothing large cancels, and what is beyond a piece keeps its whole sum.
B. Between two places a curve is a polynomial, and there is one before the first place and one after
   the last. They are read off the source's own numbers, so that no quirk of it needs a second
   description. Where a curve jumps, it jumps when x reaches a place, when x exceeds it, or both.
C. A place is compared exactly, and subtracted in two parts if float32 does not hold it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.sklearn_encoders import dense_array
from instmodel.importers.sklearn_thresholds import exceeds, falls_below
from instmodel.importers.sklearn_walk import Walk, require

Floats = NDArray[np.float64]

# Of the largest number of a curve: less is rounding in float64.
_NOTHING = 1e-11


def isotonic(walk: Walk, e: Any, x: Value) -> Value:
    """Return ``predict`` of an IsotonicRegression: lines between its thresholds."""
    require(x.size == 1, "a curve of several numbers")
    places = np.asarray(e.X_thresholds_, float)
    heights = np.asarray(e.y_thresholds_, float)
    if len(places) == 1:
        return ex.add(ex.multiply(x, ex.constant(0.0)), ex.constant(heights))
    curve = ex.dense(_shares(x, places), np.diff(heights)[None], heights[:1])
    if e.out_of_bounds == "clip":
        return curve
    outside = ex.add(falls_below(walk, x, places[:1]), exceeds(walk, x, places[-1:]))
    if e.out_of_bounds == "raise":
        walk.refuse(outside)
        return curve
    return ex.add(curve, fn.nan_where(outside))


def splines(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return ``transform`` of a SplineTransformer."""
    periodic = e.extrapolation == "periodic"
    require(e.degree > 0 or not periodic, "degree=0 with extrapolation='periodic'")
    fails = e.degree == 0 and e.extrapolation == "constant"
    require(not fails, "degree=0 with extrapolation='constant', which fails beyond the knots")
    columns = []
    for position, spline in enumerate(e.bsplines_):
        places = np.unique(np.asarray(spline.t, float)[spline.k : len(spline.t) - spline.k])
        column = ex.rearrange(x, np.array([position]))
        gaps = None
        if getattr(e, "handle_missing", "error") == "zeros":
            gaps = fn.is_nan(column)
            column = fn.replace_nan(column, places[0])
        if periodic:
            column = _in_period(walk, column, places[0], places[-1] - places[0])
        strict = e.extrapolation == "error"
        if strict:
            beyond = [falls_below(walk, column, places[:1]), exceeds(walk, column, places[-1:])]
            walk.refuse(ex.concatenate(beyond))
        evaluate = column_of(e, position, [curve.t[curve.k] for curve in e.bsplines_])
        curves = drawn(walk, column, read(evaluate, places, e.degree, not strict and not periodic))
        columns.append(
            curves if gaps is None else ex.multiply(curves, ex.activation(gaps, "INVERSE"))
        )
    return ex.concatenate(columns)


# Farther away, float32 holds too little of the place inside of a period.
_MOST_PERIODS = 1000
# Added to a smaller number, and subtracted again, it leaves the nearest whole number.
_ROUNDER = 1.5 * 2.0**23


def _in_period(walk: Walk, x: Value, low: float, period: float) -> Value:
    """Return x less whole periods: between `low` and the end of its period, but for rounding."""
    far = ex.concatenate(
        [
            falls_below(walk, x, [low - _MOST_PERIODS * period]),
            exceeds(walk, x, [low + _MOST_PERIODS * period]),
        ]
    )
    walk.refuse(far)
    along = distance(x, np.array([low]), 1.0)
    turns = ex.add(ex.multiply(along, ex.constant(1.0 / period)), ex.constant(-0.5))
    turns = ex.add(ex.clip(turns, -(2.0**20), 2.0**20), ex.constant(_ROUNDER))
    # The limits are never reached: they keep what follows from being added to the constant.
    turns = ex.clip(turns, _ROUNDER - 2.0**21, _ROUNDER + 2.0**21)
    turns = ex.add(turns, ex.constant(-_ROUNDER))
    # Of 13 bits: its products with the turns are exact.
    unit = 2.0 ** (np.floor(np.log2(period)) - 12)
    first = np.rint(period / unit) * unit
    rest = ex.subtract(x, ex.multiply(turns, ex.constant(first)))
    return ex.subtract(rest, ex.multiply(turns, ex.constant(period - first)))


# -------------------------------------------------------------------------------------- the curves


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves (O) of one number; `before`, `after` and `pieces` hold factors (degree, O) of powers.

    Attributes
    ----------
    places : (P,) array
    start : (O,) array
        Before the first place.
    reached, exceeded : (P, O) arrays
        What a curve jumps by where x reaches a place, and where it exceeds it.
    pieces : list of arrays
        Of the share of the way from each place to the next.
    before, after : arrays
        Of the distance to the first and from the last place, in `units`.
    """

    places: Floats
    start: Floats
    reached: Floats
    exceeded: Floats
    pieces: list[Floats]
    before: Floats
    after: Floats
    units: tuple[float, float]


_Evaluate = Callable[[Floats], Floats]


def column_of(e: Any, position: int, usual: Any) -> _Evaluate:
    """Return what computes the outputs of one column: (P,) numbers -> (P, O)."""

    def evaluate(numbers: Floats) -> Floats:
        rows = np.tile(np.asarray(usual, float), (len(numbers), 1))
        rows[:, position] = numbers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that columns have no names
            table = dense_array(e.transform(rows))
        width = table.shape[1] // rows.shape[1]
        return table[:, position * width : (position + 1) * width]

    return evaluate


def read(evaluate: _Evaluate, places: Floats, degree: int, outside: bool) -> Curves:
    """Read curves off their source: between `places`, and before and after them if it goes on."""
    widths = np.diff(places)
    require(bool(np.isfinite(places).all()), "places that are no finite numbers")
    units = (widths[0], widths[-1]) if len(widths) else (1.0, 1.0)
    at = evaluate(places)
    flat = np.zeros((degree + 1, at.shape[1]))
    first, last = flat.copy(), flat.copy()
    first[0], last[0] = at[0], at[-1]
    if outside:
        first = _polynomial(evaluate, places[0], -units[0], degree)
        first[1::2] *= -1.0  # of what is negative there
        last = _polynomial(evaluate, places[-1], units[1], degree)
    pieces = [
        _polynomial(evaluate, low, width, degree)
        for low, width in zip(places[:-1], widths, strict=True)
    ]
    # What the curve is just before each place, and just after it.
    before = np.array([first[0], *(piece.sum(axis=0) for piece in pieces)])
    after = np.array([*(piece[0] for piece in pieces), last[0]])
    least = _NOTHING * max(1.0, float(np.abs(at).max()))
    parts = [at - before, after - at, *(p[1:] for p in pieces), first[1:], last[1:]]
    for part in parts:
        part[np.abs(part) < least] = 0.0
    return Curves(places, first[0], parts[0], parts[1], parts[2:-2], parts[-2], parts[-1], units)


def _polynomial(evaluate: _Evaluate, low: float, width: float, degree: int) -> Floats:
    """Return the factors (degree + 1, O) of powers of (x - low) / width, between 0 and 1."""
    nodes = 0.5 - 0.5 * np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    points = low + nodes * width
    powers = np.vander((points - low) / width, increasing=True)
    try:
        return np.asarray(np.linalg.solve(powers, evaluate(points)))
    except np.linalg.LinAlgError:
        raise Unsupported(f"places too near to each other, at {low}") from None


def drawn(walk: Walk, x: Value, curves: Curves) -> Value:
    """Return the curves of one number: shape (O,)."""
    terms: list[Value] = []
    factors: list[Floats] = []

    def put(values: Value, weights: Floats) -> None:
        """Note values, of each its weights (O,), as far as they count."""
        some = np.flatnonzero(np.any(weights != 0, axis=1))
        if len(some):
            terms.append(ex.rearrange(values, some))
            factors.append(weights[some])

    def put_powers(values: Value, weights: NDArray[np.float64]) -> None:
        """Note powers of values: weights (V, degree, O)."""
        power = values
        for nth in range(weights.shape[1]):
            put(power, weights[:, nth])
            power = ex.multiply(power, values)

    if curves.pieces:
        put_powers(_shares(x, curves.places), np.array(curves.pieces))
    low, high = curves.places[:1], curves.places[-1:]
    distances = [ex.clip(distance(x, low, curves.units[0]), None, 0.0)]
    distances.append(ex.clip(distance(x, high, curves.units[1]), 0.0, None))
    for values, outer in zip(distances, (curves.before, curves.after), strict=True):
        put_powers(values, outer[None])
    wide = ex.broadcast(x, curves.places.shape)
    put(ex.activation(falls_below(walk, wide, curves.places), "INVERSE"), curves.reached)
    put(exceeds(walk, wide, curves.places), curves.exceeded)

    if not terms:
        return ex.add(ex.multiply(x, ex.constant(0.0)), ex.constant(curves.start))
    joined, weights = ex.concatenate(terms), np.concatenate(factors)
    if len(curves.start) == 1:  # perhaps of a thousand terms: their sum is rounded once
        scaled = ex.multiply(joined, ex.constant(weights[:, 0]))
        total = ex.reduce_sum(scaled, keep=True) if joined.size > 1 else scaled
        return ex.add(total, ex.constant(curves.start))
    return ex.dense(joined, weights.T, curves.start)


def _shares(x: Value, places: Floats) -> Value:
    """Return how much of the way from each place to the next x has passed: 0 … 1."""
    widths = np.diff(places)
    return ex.clip(distance(ex.broadcast(x, widths.shape), places[:-1], widths), 0.0, 1.0)


def distance(x: Value, places: Floats, units: Any) -> Value:
    """Return (x - place) / unit; what float32 cannot hold of a place is subtracted afterwards."""
    held = places.astype(np.float32).astype(float)
    along = ex.subtract(ex.subtract(x, ex.constant(held)), ex.constant(places - held))
    return ex.divide(along, ex.constant(np.broadcast_to(units, places.shape)))
