"""What is kept of the rows while they come, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instmodel.comparison.groups import Groups
from instmodel.comparison.moves import Moves
from instmodel.comparison.pair import Pair
from instmodel.comparison.question import Question
from instmodel.tables.rows import Batch
from instmodel.tables.sample import Sample
from instmodel.tables.unknown_text import UnknownTexts
from instmodel.verification.coverage import CoverageWatch

Floats = NDArray[np.float64]

# Numbers that the sample of inputs may hold (32 MB), and that of scores and labels (256 MB).
_MOST_INPUTS, _MOST_SCORES = 1 << 22, 1 << 25


class Gathered:
    """Sums over all rows, and samples of them.

    Parameters
    ----------
    pair : Pair
    question : Question
    wide : bool
        Whether inputs are kept, too.
    watch : CoverageWatch or None
        Gets the rows of the new model.
    """

    def __init__(
        self, pair: Pair, question: Question, wide: bool, watch: CoverageWatch | None
    ) -> None:
        column, decision, most_rows = question.column, question.decision, question.most_rows
        self._watch = watch
        self.unknown = UnknownTexts(pair.reader.named_features)
        self._pair, self._wide, self._labels = pair, wide, question.labels
        self.moves = Moves(column, decision, question.movers)
        self.groups = [Groups(str(name), column, decision) for name in question.by]
        marks = 1 if self._labels else 0
        widths = [pair.outputs, pair.outputs, marks, len(self.groups)]
        self._ends = np.cumsum(widths)[:-1]
        few = max(1, min(most_rows, _MOST_SCORES // sum(widths)))
        self._rows = Sample(few, sum(widths))
        # Fewer rows, because inputs may be many.
        few = sample_size(pair.old.feature_size, most_rows) if wide else 1
        self._inputs = Sample(few, pair.old.feature_size + marks)

    @property
    def seen(self) -> int:
        """The number of rows so far."""
        return self._rows.seen

    def add(self, batch: Batch) -> None:
        """Add rows."""
        self.unknown.add(batch.inputs)
        before, after = self._pair.scores(batch.inputs, self._watch)
        self.moves.add(batch, before, after)
        keys = list(batch.keys)
        marks = [self._labels.add(keys.pop(0))[:, None]] if self._labels else []
        codes = [
            group.add(key, before, after)[:, None]
            for group, key in zip(self.groups, keys, strict=True)
        ]
        self._rows.add(np.hstack([before, after, *marks, *codes]))
        if self._wide:
            self._inputs.add(np.hstack([self._pair.merged(batch.inputs), *marks]))

    def scores(self) -> tuple[Floats, Floats]:
        """Return what both models make (N, O) of the sampled rows."""
        old, new, _, _ = np.split(self._rows.rows, self._ends, axis=1)
        return old, new

    def truth(self) -> tuple[Floats, list[str] | None] | None:
        """Return the labels (N,) of the sampled rows and the names of the classes, if any."""
        marks = np.split(self._rows.rows, self._ends, axis=1)[2]
        return self._labels.resolve(marks[:, 0]) if self._labels else None

    def codes(self, place: int) -> Floats:
        """Return the group (N,) of the sampled rows, by the column of that place in `by`."""
        codes: Floats = np.split(self._rows.rows, self._ends, axis=1)[3][:, place]
        return codes

    def inputs(self) -> tuple[Floats, Floats | None]:
        """Return another sample: inputs (N, F), and their labels (N,), if any."""
        rows, marks = np.split(self._inputs.rows, [self._pair.old.feature_size], axis=1)
        return rows, self._labels.resolve(marks[:, 0])[0] if self._labels else None


def sample_size(features: int, most_rows: int) -> int:
    """Return how many rows of so many inputs are kept."""
    return max(1, min(most_rows, _MOST_INPUTS // features))
