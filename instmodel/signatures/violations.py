"""Rows that have what a signature does not expect: which, and in which column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from instmodel.document.signature import FeatureSignature
from instmodel.signatures.expectations import FINE, Expected
from instmodel.tables.cells import BadCell, OddCells

UNEXPECTED = "unexpected_value"
# Codes that an error names.
_NAMED = 5


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
    missing, unknown = (np.zeros(rows.shape, bool) if odd else None for _ in range(2))
    for cells in odd:
        columns = slice(cells.slot.start, cells.slot.start + cells.slot.size)
        for mask, given in ((missing, cells.missing), (unknown, cells.unknown)):
            if mask is not None and given is not None:
                mask[:, columns] |= given.reshape(len(rows), -1)
    found: dict[int, tuple[str, BadCell]] = {}
    for one in expected:
        for column, name in enumerate(one.feature.columns(), one.start):
            values = rows[:, column]
            null = np.isnan(values)
            strange = np.zeros(len(rows), bool)
            if missing is not None and unknown is not None:
                strange = unknown[:, column]
                null = (null | missing[:, column]) & ~strange
            bad = strange | (~null & (one.roles[one.intervals_of(values)] != FINE))
            if one.item.nulls == "never":
                bad |= null
            for row in np.flatnonzero(bad).tolist():
                shown = "null" if null[row] else "unknown text" if strange[row] else None
                cell = shown or f"{values[row]:.9g}"
                found.setdefault(row, (name, _cell(one.item, cell)))
    return found


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
