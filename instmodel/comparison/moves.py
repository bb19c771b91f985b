"""What `compare` counts over all rows, batch by batch: moves, and decisions that flip."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from instmodel.comparison.decisions import AT_THRESHOLD, LARGEST, Decision
from instmodel.errors import InputError
from instmodel.tables.rows import Batch
from instmodel.tables.sample import histogram

Floats = NDArray[np.float64]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_HISTOGRAM_BINS = 40


@dataclass(frozen=True, slots=True)
class Distribution:
    """Scores of one model: over the sample, but for rows, mean, least and greatest.

    Attributes
    ----------
    mean, std, least, greatest : float
    quantiles : list of float
        At 1, 5, 25, 50, 75, 95 and 99 %.
    histogram : list of int
        Rows of the sample in 40 equal bins from `least` to `greatest` of both models.
    """

    mean: float
    std: float
    least: float
    greatest: float
    quantiles: list[float]
    histogram: list[int]


@dataclass(frozen=True, slots=True)
class Mover:
    """A row whose score moves most; one that does not move is none.

    Attributes
    ----------
    row : int
        Its index in the data, from 0; in a folder, files follow each other. People count rows
        from `Comparison.first_row`.
    inputs : list of float, (F,)
    old, new : float
    texts : dict
        By the name of the input, the text that its number stands for, if it has categories.
    """

    row: int
    inputs: list[float]
    old: float
    new: float
    texts: dict[str, str] = field(default_factory=dict)


class Moves:
    """What is counted exactly over all rows."""

    def __init__(self, column: int, decision: Decision, keep: int) -> None:
        self._column, self._decision, self._keep = column, decision, keep
        self._rows = 0
        self._sums = np.zeros(2)
        self.least, self.greatest = np.full(2, np.inf), np.full(2, -np.inf)
        self.flips = self.flips_up = self.flips_down = 0
        self.chosen = np.zeros(2, int)  # at the threshold or above, by the old model and the new
        self.largest = self.total = 0.0
        self.movers: list[Mover] = []

    def add(self, batch: Batch, old: Floats, new: Floats) -> None:
        """Add rows, and what the models make of them, (N, O) each."""
        self._check_finite(batch, old, new)
        before, after = self._decision.of(old), self._decision.of(new)
        self.flips += int(np.sum(before != after))
        if self._decision.kind == AT_THRESHOLD:
            self.chosen += [before.sum(), after.sum()]
            self.flips_up += int(np.sum(~before & after))
            self.flips_down += int(np.sum(before & ~after))
        pair = np.stack([old[:, self._column], new[:, self._column]])
        self._sums += pair.sum(axis=1)
        self.least = np.minimum(self.least, pair.min(axis=1))
        self.greatest = np.maximum(self.greatest, pair.max(axis=1))
        move = np.abs(pair[1] - pair[0])
        self.largest = max(self.largest, float(move.max()))
        self.total += float(move.sum())
        for i in np.argsort(-move, kind="stable")[: self._keep]:
            if move[i] == 0:
                break
            place = self._rows + int(i)
            self.movers.append(
                Mover(place, batch.inputs[i].tolist(), float(pair[0, i]), float(pair[1, i]))
            )
        self.movers.sort(key=lambda mover: -abs(mover.new - mover.old))
        del self.movers[self._keep :]
        self._rows += len(batch.inputs)

    def _check_finite(self, batch: Batch, old: Floats, new: Floats) -> None:
        """Refuse scores that are not finite, among those that are looked at or decide."""
        # NaN would be the largest output.
        every = self._decision.kind == LARGEST
        outputs = slice(None) if every else slice(self._column, self._column + 1)
        pair = np.stack([old[:, outputs], new[:, outputs]])
        unfit = np.argwhere(~np.isfinite(pair).transpose(1, 0, 2))
        if not len(unfit):
            return
        row, side, output = unfit[0].tolist()
        raise InputError(
            "non_finite_value",
            f"the score of the {('old', 'new')[side]} model is not finite; leave such rows out, or "
            "fill what is missing in them",
            field="data",
            file=batch.file,
            row=batch.row + row,
            actual=float(pair[side, row, output]),
        )

    def distribution(self, side: int, sample: Floats, edges: Floats) -> Distribution:
        """Return the scores of the old model (0) or the new (1), in a histogram between edges."""
        return Distribution(
            mean=float(self._sums[side] / self._rows),
            std=float(sample.std()),
            least=float(self.least[side]),
            greatest=float(self.greatest[side]),
            quantiles=np.quantile(sample, QUANTILES).tolist(),
            histogram=histogram(sample, _HISTOGRAM_BINS, *edges.tolist()),
        )
