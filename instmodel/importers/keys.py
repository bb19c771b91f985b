"""Keys of lookups: what other libraries make of numbers before they look them up.

Design
------
A. A lookup rounds to the nearest whole number, halves away from zero. Other libraries convert to an
   integer first, which drops the fraction: 34.7 is the key 34.
B. Such a conversion is an opaque value: no arithmetic hides in it, only a lookup takes it. What is
   whole already is converted to itself.
C. A key that the source refuses makes its row NaN: no number may look like a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import (
    MOVES,
    ROUNDED,
    TRUNCATED,
    WHOLE_NAMES,
    Unsupported,
    Value,
    bare,
    ordered,
)
from instmodel.importers.patterns import replaced, under_moves

# Up to 2²³, float32 has halves, of which `truncated` makes use.
_HALVES = 1 << 23
# A key that is in no table.
_NOWHERE = float(1 << 30)


def to_integers(x: Value) -> Value:
    """Return x without its fraction, as the conversion to an integer type does."""
    reason = "a conversion to integers, other than of the keys of a lookup"
    return x if x.whole else ex.opaque(x.shape, [x], reason, TRUNCATED)


def without_conversions_of(x: Value, leaves: Sequence[Value]) -> Value:
    """Return x with some inputs in the place of their conversions to integers.

    The source takes integers there, so lookups drop fractions; arithmetic need not.
    """

    def change(node: Value) -> Value:
        if _is_conversion(node) and any(node.inputs[0] is leaf for leaf in leaves):
            return ex.reshape(node.inputs[0], node.shape)
        return node

    return replaced(x, change)


def clipped(x: Value, low: Any, high: Any) -> Value:
    """Return `ex.clip`, also of a conversion to integers: whole limits may come before it."""
    limits = [limit for limit in (low, high) if limit is not None]
    if _is_conversion(x) and np.all(np.mod(limits, 1) == 0):
        inner = ex.clip(ex.reshape(x.inputs[0], x.shape), low, high)
        return ex.opaque(x.shape, [inner], x.data[1], x.data[0])
    return ex.clip(x, low, high)


def embedding(table: NDArray[Any], keys: Value) -> Value:
    """Return the rows of a constant table (keys, width) for keys 0, 1, 2 …; else NaN."""
    if table.ndim != 2 or not len(table):
        raise Unsupported(f"a lookup in a table of shape {table.shape}")
    numbers = rounded_keys(keys, 0, len(table) - 1)
    rows = ex.lookup(numbers, dict(enumerate(table)), np.zeros(table.shape[1]))
    if _always_inside(numbers, len(table)):
        return rows
    return ex.add(rows, ex.reshape(_nan_outside(numbers, len(table)), (*keys.shape, 1)))


def one_hot(keys: Value, count: int, refuses_beyond: bool) -> Value:
    """Return `count` numbers for each key, along a new last axis: 1 at its place, else 0.

    A negative key has no place. So has one that is too large, or it makes the row NaN.
    """
    ex.checked((count, count))
    numbers = rounded_keys(keys, 0, count - 1)
    rows = ex.lookup(numbers, dict(enumerate(np.eye(count))), np.zeros(count))
    if _always_inside(numbers, count):
        return rows
    strange = _nan_outside(numbers, count if refuses_beyond else None, negative=False)
    return ex.add(rows, ex.reshape(strange, (*keys.shape, 1)))


def rounded_keys(keys: Value, lowest: int, highest: int) -> Value:
    """Return what a lookup rounds to the keys of the source.

    Parameters
    ----------
    keys : Value
        Perhaps with conversions to integers in it.
    lowest, highest : int
        The keys of the table.
    """
    flat = bare(keys)
    if flat.kind == "add_constant" and flat.whole and _converts(flat.inputs[0]):
        # Rows of many tables in one: only a lookup makes the whole numbers that the offsets need.
        shifts = flat.data
        low, high = lowest - int(shifts.max()), highest - int(shifts.min())
        inner = _without_conversions(flat.inputs[0], max(-low, high))
        table = {key: np.array([float(key)]) for key in range(low, high + 1)}
        whole = ex.reshape(ex.lookup(inner, table, [_NOWHERE]), keys.shape)
        return ex.add(whole, ex.constant(shifts.reshape(keys.shape)))
    return _without_conversions(keys, max(-lowest, highest))


def equals_key(keys: Value, key: int) -> Value | None:
    """Return 1 where a conversion to integers gives `key`, else 0; None if x is none."""
    if not _converts(keys):
        return None
    numbers = rounded_keys(keys, key, key)
    return ex.reshape(ex.lookup(numbers, {key: np.array([1.0])}, [0.0]), keys.shape)


def exact_keys(x: Value, keys: list[int]) -> Value:
    """Return x where it is whole, and else a number that is no key: fractions are not looked up."""
    if x.whole:
        return x
    table = {key: np.array([float(key)]) for key in keys}
    nearest = ex.reshape(ex.lookup(x, table, [_NOWHERE]), x.shape)
    fraction = ex.multiply(ex.subtract(x, nearest), ex.constant(1e38))
    return ex.add(fraction, nearest)


def _converts(x: Value) -> bool:
    """Whether there is a conversion to integers in x, below what moves numbers."""
    return any(_is_conversion(node) for node in ordered(x, MOVES))


def _is_conversion(x: Value) -> bool:
    return x.kind == "opaque" and x.data[0] in WHOLE_NAMES


def _without_conversions(x: Value, largest: int) -> Value:
    """Return x with a lookup's own rounding in the place of the conversions in it."""

    def converted(node: Value) -> Value:
        if not _is_conversion(node):
            return node
        inner = ex.reshape(node.inputs[0], node.shape)
        if node.data[0] == ROUNDED:
            return inner
        if largest >= _HALVES:
            raise Unsupported(f"keys of {_HALVES} and more, of numbers that may have fractions")
        return ex.truncated(inner)

    return under_moves(x, converted)


def _always_inside(numbers: Value, count: int) -> bool:
    """Whether all numbers round to 0 … count - 1, whatever the sample."""
    for node in ordered(numbers, MOVES):
        if node.kind in MOVES:
            continue
        if node.kind != "lookup":
            return False
        _, table, default = node.data
        found = np.array([*table.values(), default])
        if not np.all((found > -0.5) & (found < count - 0.5)):
            return False
    return True


def _nan_outside(numbers: Value, count: int | None, negative: bool = True) -> Value:
    """Return 0 for numbers that round to 0 … count - 1, else NaN.

    With None, no number is too large; with `negative`, those below 0 are outside.
    """
    edges = np.array([-0.5, (count or 0) - 0.5], np.float32)
    first, last = np.nextafter(edges, np.float32(0)).tolist()
    inside = ex.clip(numbers, first if negative else None, None if count is None else last)
    beyond = ex.subtract(numbers, inside)
    # The smallest step over an edge is 3e-8: its square overflows, and ∞ · 0 is NaN.
    far = ex.multiply(beyond, ex.constant(1e30))
    return ex.multiply(ex.multiply(far, far), ex.constant(0.0))
