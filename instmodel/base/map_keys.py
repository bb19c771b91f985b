"""Whole numbers that are looked up in a map, and that float32 would round to another one.

The engine holds every value as float32 (docs/numerics.md), which has all whole numbers up to 2^24
and from there on only some: 16777217 would be 16777216, and get the row of that key. Who hands over
wider numbers is told so; float32 itself holds what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.errors import InputError

MESSAGE = "float32 rounds this map key to another number"
EXPECTED = "a whole number that float32 holds, as it does all up to 2^24"

# Keys are int32; beyond, any number takes the default.
_FIRST, _END = -(2.0**31), 2.0**31
# Up to here, float32 holds every whole number.
_ALL_HELD = 2**24
# Rows that are looked at together.
_ROWS = 1 << 16


def inexact(values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which values float32 would round from a key to another number, or to another key.

    Fractions are not among them: they are no keys, and rounding them is what a lookup does.

    Parameters
    ----------
    values : array of booleans, integers or floats, of any shape

    Returns
    -------
    ndarray of bool, like `values`, or None
        None: there are none.
    """
    if not values.size or np.can_cast(values.dtype, np.float32):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        if values.min() >= -_ALL_HELD and values.max() <= _ALL_HELD:
            return None
        # float64 has every int32. What it rounds lies outside, before and after.
        exact = values.astype(np.float64)
        rounded = exact.astype(np.float32)
        found: NDArray[np.bool_] = rounded != exact
        if not found.any():
            return None
        # A value outside of int32 may round to its smallest key, never to its largest.
        found &= (rounded >= _FIRST) & (exact < _END) & (exact == np.trunc(exact))
    return found if found.any() else None


def is_inexact(number: float) -> bool:
    """Tell whether a single number is `inexact`."""
    return abs(number) > _ALL_HELD and inexact(np.array(number)) is not None


def are_held(numbers: Sequence[float]) -> bool:
    """Tell fast that no number is `inexact`, if they are small: else, or with NaN, look closer."""
    # A NaN that comes first stays the least and the greatest; a later one never becomes it.
    return min(numbers) >= -_ALL_HELD and max(numbers) <= _ALL_HELD


def find(rows: NDArray[Any], columns: Sequence[int]) -> tuple[int, int] | None:
    """Return row and column of the first inexact key in some columns of a matrix (N, F)."""
    if not columns or np.can_cast(rows.dtype, np.float32):
        return None
    places = list(columns)
    for start in range(0, len(rows), _ROWS):
        found = inexact(rows[start : start + _ROWS, places])
        if found is not None:
            row, place = np.argwhere(found)[0].tolist()
            return start + row, places[place]
    return None


def check(
    rows: NDArray[Any],
    columns: Sequence[int],
    names: Callable[[], Sequence[str]],
    first_row: int | None = 0,
) -> None:
    """Refuse a matrix (N, F) that has an inexact key in some columns.

    Parameters
    ----------
    names : callable
        Gives the names of all columns, or none: then they count from 1.
    first_row : int or None
        Number of the first row, for the error; None where there is but one.

    Raises
    ------
    InputError
        ``inexact_key``.
    """
    place = find(rows, columns)
    if place is not None:
        row, column = place
        named = names()
        raise error(
            rows[place],
            column=named[column] if named else column + 1,
            row=None if first_row is None else first_row + row,
        )


def error(value: Any, **place: Any) -> InputError:
    """Build the error for an inexact key; `place` as for `InstModelError`."""
    return InputError("inexact_key", MESSAGE, expected=EXPECTED, actual=int(value), **place)
