"""The two models of a comparison, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.errors import InputError
from instmodel.tables.columns import column_categories
from instmodel.tables.rows import input_order
from instmodel.tables.shared_text import SharedText
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
        if categories is None or number not in range(len(categories.values)):
            return None
        return str(categories.values[int(number)])

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
