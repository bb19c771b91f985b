"""Columns of a table, a block of rows at a time, as numbers that NumPy converts to float32.

A column never raises for the value of a cell: it says which cells are missing and which are wrong,
and `instmodel.tables.scoring` decides what that means.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from numbers import Real
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from instmodel.base import map_keys
from instmodel.base.categories import Categories
from instmodel.base.values import hint
from instmodel.errors import InputError
from instmodel.tables.binding import Slot
from instmodel.tables.columns import is_number

Mask = NDArray[np.bool_]
# Categories that an error names, and those among which it looks for the nearest.
_NAMED, _COMPARED = 5, 10_000
# Types whose cells need no closer look.
_NUMBERS = {int, float, bool}
# What pandas and NumPy put where nothing is; their modules need not be imported.
_MISSING = {"NoneType", "NAType", "NaTType", "MaskedConstant"}


# The code of what only an `InputWatch` finds wrong.
UNEXPECTED = "unexpected_value"


class BadCell(NamedTuple):
    """What is wrong with a cell."""

    code: str
    message: str
    expected: str
    actual: str
    advice: Callable[[], str] = str  # what an error adds, and a list of a million cells does not
    line: int | None = None  # of the file, where that is known


class Part(NamedTuple):
    """Some rows of a column: (rows,), or (rows, size) where each cell is a list."""

    values: NDArray[Any]  # real numbers; where `missing`, anything
    missing: Mask | None = None  # like `values`; None: nothing is
    wrong: dict[int, BadCell] = {}  # noqa: RUF012 by row of the part; never changed when empty
    unknown: Mask | None = None  # like `values`: text that became what the categories say


class OddCells(NamedTuple):
    """What of some rows of a column is no value: in a matrix of inputs, something else is there."""

    slot: Slot
    missing: Mask | None  # (rows,) or (rows, size), as for `Part`
    unknown: Mask | None
    wrong: dict[int, BadCell]


class InputWatch(Protocol):
    """Looks at inputs on their way to a model."""

    def look(
        self, rows: NDArray[np.float32], odd: Sequence[OddCells]
    ) -> dict[int, tuple[str, BadCell]]:
        """Look at rows (N, F); return by row what makes it bad: the column and its problem."""


class Column(ABC):
    """A column that fills a slot."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot

    @abstractmethod
    def part(self, start: int, stop: int) -> Part:
        """Return the rows start … stop."""


class NumpyColumn(Column):
    """Numbers in an array: (N,), or (N, size) for an array feature.

    Parameters
    ----------
    values : ndarray of booleans, integers or floats
    missing : ndarray of bool, like `values`, optional
    nan_is_null : bool
        As in pandas.
    """

    def __init__(
        self,
        slot: Slot,
        values: NDArray[Any],
        missing: Mask | None = None,
        nan_is_null: bool = False,
    ) -> None:
        super().__init__(slot)
        self._values = values
        self._missing = missing
        self._nan_is_null = nan_is_null and values.dtype.kind == "f"

    def part(self, start: int, stop: int) -> Part:
        """Return the rows start … stop."""
        values = self._values[start:stop]
        part = Part(values, None if self._missing is None else self._missing[start:stop])
        return nan_as_null(part) if self._nan_is_null else part


class ObjectColumn(Column):
    """Python objects: numbers, None, text of categories, or lists of them."""

    def __init__(self, slot: Slot, cells: Sequence[Any], nan_is_null: bool = False) -> None:
        super().__init__(slot)
        self._cells = cells
        self._nan_is_null = nan_is_null

    def part(self, start: int, stop: int) -> Part:
        """Return the rows start … stop."""
        slot = self.slot
        cells: Any = self._cells[start:stop]
        of_text = isinstance(cells, np.ndarray) and cells.dtype.kind in "UT"
        # Else NumPy would make an object of its own of each text.
        cells = cells.tolist() if of_text else list(cells)

        def read(cells: list[Any]) -> Part:
            return categorised(cells, slot.categories, self._nan_is_null)

        return lists(cells, slot.size, read) if slot.is_array else read(cells)


class CodedColumn(Column):
    """Places in a list of distinct cells, which are read once, however many rows have them.

    Parameters
    ----------
    places : Column
        The place of each row's cell.
    distinct : Part
        The cells.
    """

    def __init__(self, slot: Slot, places: Column, distinct: Part) -> None:
        super().__init__(slot)
        self._places = places
        self._distinct = distinct

    def part(self, start: int, stop: int) -> Part:
        """Return the rows start … stop."""
        found, (values, gaps, wrong, strange) = self._places.part(start, stop), self._distinct
        there: Any = slice(None)
        if found.missing is not None:
            there = ~found.missing  # elsewhere, the place may be anything
        places = found.values[there].astype(np.intp)
        numbers = np.zeros(len(found.values))
        numbers[there] = values[places]
        missing = found.missing
        if gaps is not None:
            missing = np.zeros(len(numbers), bool) if missing is None else missing.copy()
            missing[there] |= gaps[places]
        unknown: Mask | None = None
        if strange is not None:
            unknown = np.zeros(len(numbers), bool)
            unknown[there] = strange[places]
        bad: dict[int, BadCell] = {}
        if wrong:
            rows = np.arange(len(numbers))[there]
            at_fault = np.isin(places, list(wrong))
            bad = {
                row: wrong[place]
                for row, place in zip(
                    rows[at_fault].tolist(), places[at_fault].tolist(), strict=True
                )
            }
        return Part(numbers, missing, bad, unknown)


def categorised(cells: list[Any], categories: Categories | None, nan_is_null: bool = False) -> Part:
    """Read Python objects as numbers, and text as the numbers of its categories."""
    if categories is None:
        return nan_as_null(numbers(cells)) if nan_is_null else numbers(cells)
    codes = categories.codes
    if set(map(type, cells)) == {str}:
        found = list(map(codes.get, cells))
        if None not in found:
            return Part(np.array(found, np.float64))
    unknown = {}
    given: list[Any] = []
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            code = codes.get(cell)
            if code is None:
                unknown[row] = cell
            given.append(code or 0)
        else:
            given.append(cell)
    part = numbers(given)
    if nan_is_null:
        part = nan_as_null(part)
    if unknown and categories.unknown_number is None:
        bad = {row: unknown_category(cell, categories) for row, cell in unknown.items()}
        return part._replace(wrong=part.wrong | bad)
    if not unknown:
        return part
    strange = np.zeros(len(cells), bool)
    strange[list(unknown)] = True
    part.values[strange] = categories.unknown_number
    return part._replace(unknown=strange)


def nan_as_null(part: Part) -> Part:
    """Return floats whose NaN are nulls, too."""
    missing = np.isnan(part.values)
    if not missing.any():
        return part
    if part.missing is not None:
        missing |= part.missing
    return part._replace(missing=missing)


def numbers(cells: list[Any]) -> Part:
    """Read Python objects as numbers."""
    if set(map(type, cells)) <= _NUMBERS:
        try:
            return Part(np.array(cells, np.float64))
        except OverflowError:  # an int beyond float64
            pass
    values = np.zeros(len(cells))
    missing = np.zeros(len(cells), bool)
    wrong = {}
    for row, cell in enumerate(cells):
        if type(cell).__name__ in _MISSING:
            missing[row] = True
        elif _is_number(cell):
            try:
                values[row] = number = float(cell)
                if math.isinf(number) and cell != number:  # a Decimal, or a wider float
                    wrong[row] = too_large(cell)
            except OverflowError:
                wrong[row] = too_large(cell)
            except ValueError:  # a signalling NaN
                wrong[row] = not_a_number(cell)
        else:
            wrong[row] = not_a_number(cell)
    return Part(values, missing if missing.any() else None, wrong)


def _is_number(cell: Any) -> bool:
    if isinstance(cell, np.ndarray):
        return cell.shape == () and cell.dtype.kind in "biuf"
    # NumPy counts its durations among the integers.
    return isinstance(cell, Real | Decimal | np.bool_) and not isinstance(cell, np.timedelta64)


def lists(cells: list[Any], size: int, read: Callable[[list[Any]], Part] = numbers) -> Part:
    """Read Python objects as lists of `size` cells, and those with `read`."""
    values = np.zeros((len(cells), size))
    missing = np.zeros((len(cells), size), bool)
    unknown = np.zeros((len(cells), size), bool)
    wrong = {}
    for row, cell in enumerate(cells):
        if type(cell).__name__ in _MISSING or (isinstance(cell, float) and math.isnan(cell)):
            missing[row] = True  # pandas writes NaN where a list is missing
        elif not isinstance(cell, list | tuple | np.ndarray) or getattr(cell, "ndim", 1) == 0:
            wrong[row] = BadCell(
                "invalid_cell", "not a list of numbers", f"a list of {size} numbers", shown(cell)
            )
        elif len(cell) != size:
            wrong[row] = wrong_length(size, len(cell))
        else:
            found = read(list(cell))
            values[row] = found.values
            if found.missing is not None:
                missing[row] = found.missing
            if found.unknown is not None:
                unknown[row] = found.unknown
            for problem in found.wrong.values():
                wrong.setdefault(row, problem)
    return Part(
        values,
        missing if missing.any() else None,
        wrong,
        unknown if unknown.any() else None,
    )


# ------------------------------------------------------------------------- what is wrong with cells


def shown(cell: Any) -> str:
    """Return a cell as a message shows it: numbers and texts of NumPy as those of Python."""
    # NumPy 2 writes np.str_('1') for what NumPy 1 writes as '1'.
    plain = isinstance(cell, np.generic) and cell.dtype.kind in "?biufcUS"
    text = repr(cell.item() if plain else cell)
    return text if len(text) <= 60 else text[:57] + "..."


def not_a_number(cell: Any) -> BadCell:
    """Return the problem of a cell that is none."""
    return BadCell("invalid_cell", "the cell is not a number", "a number", shown(cell))


def unknown_category(cell: str, categories: Categories) -> BadCell:
    """Return the problem of a text that is none of the categories, which must have it."""
    texts = categories.values
    some = ", ".join(map(shown, texts[:_NAMED])) + (", …" if len(texts) > _NAMED else "")
    return BadCell(
        "unknown_category",
        "not a category of the feature",
        f"one of {some}" if texts else "no text: there are no categories",
        shown(cell),
        partial(_nearest, cell, categories),
    )


def _nearest(cell: str, categories: Categories) -> str:
    return hint(cell, categories.values[:_COMPARED])


def empty_text() -> BadCell:
    """Return the problem of a cell of a CSV file that is not even a null."""
    return BadCell("invalid_cell", "the cell is an empty text in quotes", "a value", "''")


def null_cell(of_text: bool) -> BadCell:
    """Return the problem of a null that nobody said what to make of."""
    wanted = "text or a number" if of_text else "a number"
    return BadCell("null_value", "the value is null", wanted, "null", nulls_advice)


def nulls_advice() -> str:
    """Return what an error adds that a rule for nulls can prevent."""
    return "; `nulls` (`--nulls`) says what a null input becomes"


def decimal_advice(cell: str) -> str:
    """Return what an error adds about a cell of CSV that the other decimal mark makes a number."""
    is_one = is_number(cell.replace(",", "."))
    return "; `decimal` (`--decimal`) says which mark numbers have" if is_one else ""


def too_large(cell: Any) -> BadCell:
    """Return the problem of a finite number that float32 cannot hold."""
    return BadCell("invalid_cell", "too large for float32", "at most 3.4028235e38", shown(cell))


def inexact_key(value: Any) -> BadCell:
    """Return the problem of a key of a map that float32 would round to another number."""
    return BadCell("inexact_key", map_keys.MESSAGE, map_keys.EXPECTED, str(int(value)))


def wrong_length(expected: int, actual: int) -> BadCell:
    """Return the problem of a list."""
    return BadCell(
        "list_length_mismatch",
        "the list has the wrong length",
        f"{expected} numbers",
        f"{actual}",
    )


def wrong_type(slot: Slot, actual: str, row: int | None = None, cell: Any = None) -> InputError:
    """Build the error for a column whose type fits no number (or list, for an array feature)."""
    wanted = "numbers" if slot.categories is None else "numbers or text"
    if slot.is_array:
        wanted = f"lists of {slot.size} {wanted}"
    held = actual if row is None else f"{actual}: {shown(cell)}"
    return InputError(
        "invalid_cell",
        "the column is of the wrong type",
        column=slot.name,
        row=row,
        expected=wanted,
        actual=held,
    )
