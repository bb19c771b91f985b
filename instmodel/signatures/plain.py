"""Counting rows that come as plain numbers: those of CSV and NPY files that no job reads."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.categories import Categories
from instmodel.signatures.counting import InputCounts, Tally
from instmodel.signatures.expectations import Expectations
from instmodel.tables.binding import Slot
from instmodel.tables.cells import OddCells
from instmodel.tables.unknown_text import UNKNOWN

Floats = NDArray[np.float32]


class PlainInputs:
    """Rows on their way to a model with a signature.

    Parameters
    ----------
    model : InstructionModel
    has_text : bool
        Whether a reader makes numbers of the text of features with categories, as one of CSV does.

    Attributes
    ----------
    named_features : list of Feature
        As a reader is to take them: unknown text that passes gets a number of its own, since the
        one that the document gives it may be that of a category.
    """

    def __init__(self, model: Any, has_text: bool) -> None:
        self._tally = Tally(Expectations(model.signature, model.named_features))
        self.named_features = []
        self._text: list[tuple[Slot, float]] = []  # and what unknown text becomes
        starts = accumulate((item.size for item in model.named_features), initial=0)
        for item, start in zip(model.named_features, starts, strict=False):
            number = None if item.categories is None else item.categories.unknown_number
            if has_text and item.categories is not None and number is not None:
                slot = Slot(start, item.name, start, item.size, item.is_array, None)
                self._text.append((slot, number))
                item = replace(item, categories=Categories(item.categories.values, UNKNOWN))
            self.named_features.append(item)

    def look(self, rows: Floats) -> None:
        """Count rows (N, F), IN and OUT: unknown text becomes what the document says."""
        odd = []
        for slot, number in self._text:
            values = rows[:, slot.start : slot.start + slot.size]
            unknown = values == UNKNOWN
            if unknown.any():
                odd.append(OddCells(slot, None, unknown, {}))
                values[unknown] = number
        self._tally.look(rows, odd)

    def found(self) -> InputCounts:
        """Return what was counted."""
        return self._tally.found()
