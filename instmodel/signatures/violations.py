"""Rows that have what a signature does not expect: which, and in which column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from instmodel.document.signature import FeatureSignature
from instmodel.signatures.expectations import Expectations, Expected
from instmodel.tables.cells import UNEXPECTED, BadCell, OddCells

# Codes that an error names.
_NAMED = 5


class Check:
    """Finds rows bad that have what is not expected. Any number of threads may use it at once.

    Parameters
    ----------
    expectations : Expectations
    """

    def __init__(self, expectations: Expectations) -> None:
        self._expected = expectations.expected

    def look(
        self, rows: NDArray[np.float32], odd: Sequence[OddCells]
    ) -> dict[int, tuple[str, BadCell]]:
        """Look at rows (N, F); see `InputWatch`."""
        return violations(self._expected, rows, odd)


def violations(
    expected: Sequence[Expected], rows: NDArray[np.float32], odd: Sequence[OddCells]
) -> dict[int, tuple[str, BadCell]]:
    """Return, by row, the first column that has what is not expected, and what that is.

    Parameters
    ----------
    expected : sequence of Expected
    rows : (N, F) float32
    odd : sequence of OddCells
        Where other things stood.
    """
    missing, unknown = _masks(rows, odd)
    found: dict[int, tuple[str, BadCell]] = {}
    for one in expected:
        values, gaps, strange = (
            rows[:, one.columns],
            missing[:, one.columns],
            unknown[:, one.columns],
        )
        there = ~(gaps | strange)
        bad = strange | (there & one.unexpected(values))
        null = gaps | (there & np.isnan(values))
        if one.item.nulls == "never":
            bad |= null
        for row in np.flatnonzero(bad.any(axis=1)).tolist():
            place = int(bad[row].argmax())
            shown = "null" if null[row, place] else f"{values[row, place]:.9g}"
            text = "unknown text" if strange[row, place] else shown
            if row not in found:
                found[row] = one.feature.columns()[place], _cell(one.item, text)
    return found


def _masks(
    rows: NDArray[np.float32], odd: Sequence[OddCells]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which values (N, F) are nulls, and which are text that no category knows."""
    missing, unknown = np.zeros(rows.shape, bool), np.zeros(rows.shape, bool)
    for cells in odd:
        columns = slice(cells.slot.start, cells.slot.start + cells.slot.size)
        if cells.missing is not None:
            missing[:, columns] |= cells.missing.reshape(len(rows), -1)
        if cells.unknown is not None:
            unknown[:, columns] |= cells.unknown.reshape(len(rows), -1)
    return missing, unknown


def _cell(item: FeatureSignature, actual: str) -> BadCell:
    message = "not what the model's signature expects"
    return BadCell(UNEXPECTED, message, _wanted(item), actual)


def _wanted(item: FeatureSignature) -> str:
    no_nulls = ", no null" if item.nulls == "never" else ""
    if item.kind == "text":
        return "one of the categories" + no_nulls
    if item.codes is not None:
        named = ", ".join(map(str, item.codes[:_NAMED]))
        return f"one of {named}{', …' if item.codes[_NAMED:] else ''}{no_nulls}"
    low, high = ("" if end is None else f"{end:.9g}" for end in (item.min, item.max))
    wanted = f"{low} … {high}".strip() if low or high else "a number"
    return wanted + no_nulls
