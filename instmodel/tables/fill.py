"""Fill a block of rows from columns, and say which rows cannot be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base import map_keys
from instmodel.tables.binding import Slot
from instmodel.tables.cells import (
    BadCell,
    Column,
    InputWatch,
    OddCells,
    inexact_key,
    null_cell,
    too_large,
)

Floats = NDArray[np.float32]


def fill(
    columns: Sequence[Column],
    start: int,
    stop: int,
    block: Floats,
    watch: InputWatch | None = None,
    lost: Mapping[int, BadCell] = {},
) -> dict[int, tuple[str, BadCell]]:
    """Write the rows start … stop of columns into a matrix.

    Parameters
    ----------
    block : float32 (stop - start, F)
        OUT.
    watch : InputWatch, optional
        Sees them, and may find rows bad.
    lost : mapping
        By row of the block: what is wrong with rows as such, which hold no cells.

    Returns
    -------
    dict
        By row of the block: the first column at fault and its problem.
    """
    bad: dict[int, tuple[str, BadCell]] = {}
    odd: list[OddCells] = []
    with np.errstate(over="raise", invalid="ignore"):
        for column in columns:
            slot = column.slot
            values, missing, wrong, unknown = column.part(start, stop)
            target = block[:, slot.start]
            if slot.is_array:
                target = block[:, slot.start : slot.start + slot.size]
            try:
                target[...] = values
            except FloatingPointError:
                wrong = {**_overflows(values, missing), **wrong}
                with np.errstate(over="ignore"):
                    target[...] = values
            if slot.keys:
                wrong = {**_inexact_keys(slot, values, missing), **wrong}
            is_odd = missing is not None or unknown is not None or wrong or lost
            if watch is not None and is_odd:
                odd.append(OddCells(slot, missing, unknown, {**wrong, **lost}))
            if missing is not None:
                if slot.null is not None:
                    np.copyto(target, slot.null, where=missing)
                else:
                    wrong = {**_nulls(slot, missing), **wrong}
            for row, cell in wrong.items():
                bad.setdefault(row, (slot.name, cell))
    if watch is not None:
        for row, problem in watch.look(block, odd).items():
            bad.setdefault(row, problem)
    return bad


def _nulls(slot: Slot, missing: NDArray[np.bool_]) -> dict[int, BadCell]:
    rows = missing if missing.ndim == 1 else missing.any(axis=1)
    if not rows.any():
        return {}
    null = null_cell(of_text=slot.categories is not None)
    return dict.fromkeys(np.flatnonzero(rows).tolist(), null)


def _inexact_keys(
    slot: Slot, values: NDArray[Any], missing: NDArray[np.bool_] | None
) -> dict[int, BadCell]:
    cells = values.reshape(len(values), slot.size)[:, slot.keys]
    found = map_keys.inexact(cells)
    if found is None:
        return {}
    if missing is not None:
        found &= ~missing.reshape(len(values), slot.size)[:, slot.keys]
    wrong: dict[int, BadCell] = {}
    for row, place in np.argwhere(found).tolist():
        wrong.setdefault(row, inexact_key(cells[row, place]))
    return wrong


def _overflows(values: NDArray[Any], missing: NDArray[np.bool_] | None) -> dict[int, BadCell]:
    with np.errstate(over="ignore"):
        lost = np.isinf(values.astype(np.float32)) & np.isfinite(values)
    if missing is not None:
        lost &= ~missing
    cells: dict[int, BadCell] = {}
    for index in np.argwhere(lost).tolist():
        cells.setdefault(index[0], too_large(values[tuple(index)].item()))
    return cells
