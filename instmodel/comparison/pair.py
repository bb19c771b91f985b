"""The two models of a comparison, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.errors import InputError
from instmodel.tables.columns import column_categories
from instmodel.tables.rows import input_order
from instmodel.tables.shared_text import SharedText
from instmodel.tables.unknown_text import UNKNOWN, WatchedCategories, are_unknown
from instmodel.verification.coverage import CoverageWatch
from instmodel.verification.witnesses import engine_of, predict

Floats = NDArray[np.float64]


class Pair:
    """Two models of the same features, in any order if both name them, and as many outputs.

    Attributes
    ----------
    old, new : InstructionModel
    reader : RowScorer
        What to read rows for: the old model, but with the text that both know.
    columns : list of str
        A name for each input value, in the order of the old model.
    features : list of (str, slice)
        The inputs by name, an array feature as one, and where their values stand.
    outputs : int
    key_inputs : list of int
        Inputs that the new model looks up in maps, as the old one counts them.
    """

    def __init__(self, old: Any, new: Any, threads: int | None) -> None:
        self.old, self.new = engine_of(old), engine_of(new)
        order = input_order(self.old, self.new)
        self._text = SharedText(self.old, self.new, order)
        self.reader = self._text.reader
        self._threads = threads
        self.outputs = self.old.output_size
        if self.new.output_size != self.outputs:
            raise InputError(
                "output_size_mismatch",
                "the models have different numbers of outputs",
                expected=self.outputs,
                actual=self.new.output_size,
            )
        named = self.old.named_features
        size = self.old.feature_size
        self.columns = self.old.columns or [f"input {place}" for place in range(size)]
        ends = np.cumsum([feature.size for feature in named]).tolist() or range(1, size + 1)
        names = [feature.name for feature in named] or self.columns
        starts = [0, *ends]
        self.features = [
            (name, slice(start, end)) for name, start, end in zip(names, starts, ends, strict=False)
        ]
        self._categories = column_categories(self.reader.named_features)
        self.key_inputs = order[list(self.new.key_inputs)].tolist()

    def text(self, place: int, number: float) -> str | None:
        """Return the text that stood in the table for a number of an input with categories."""
        categories = self._categories[place] if self._categories else None
        if categories is not None and number in range(len(categories.values)):
            return str(categories.values[int(number)])
        if isinstance(categories, WatchedCategories) and are_unknown(np.array(number)):
            return categories.unknown_text(number)
        return None

    def merged(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return inputs in which all text that neither model knows has the same number."""
        found = np.where(self._text.are_unknown(inputs), UNKNOWN, inputs)
        return found.astype(np.float32, copy=False)

    def as_old(self, row: list[float]) -> list[float]:
        """Return inputs (F,) with the numbers of the old model for text that neither knows."""
        inputs = np.array([row], np.float32)
        unknown = self._text.are_unknown(inputs)
        own = self._text.first_rows(inputs)
        found: list[float] = np.where(unknown, own, inputs)[0].tolist()
        return found

    def scores(
        self, inputs: NDArray[np.float32], watch: CoverageWatch | None = None
    ) -> tuple[Floats, Floats]:
        """Return what both make (N, O) of inputs (N, F), as they are read for `reader`.

        `watch` gets the rows as the new model does.
        """
        mine, theirs = self._text.rows(inputs)
        if watch is not None:
            watch.add(theirs)
        old = predict(self.old, mine, self._threads)
        new = predict(self.new, theirs, self._threads)
        return old.astype(np.float64), new.astype(np.float64)
