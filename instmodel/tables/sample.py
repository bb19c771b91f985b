"""A uniform sample of rows that come in batches, in bounded memory, and how it is distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Sample:
    """Keeps all rows while they are few, else each with the same probability.

    Parameters
    ----------
    most : int
        How many rows to keep.
    columns : int
    """

    def __init__(self, most: int, columns: int) -> None:
        self.seen = 0
        self._most = most
        # (room, columns), of which the first rows are kept.
        self._rows = np.empty((0, columns))
        self._kept = 0
        self._rng = np.random.default_rng(0)

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows (N, columns)."""
        early = rows[: self._most - self._kept]
        self._append(early)
        late = rows[len(early) :]
        # Row number i stays with probability most / (i + 1), in the place of any other.
        numbers = self.seen + len(early) + np.arange(len(late))
        places = self._rng.integers(0, numbers + 1)
        for row, place in zip(late[places < self._most], places[places < self._most], strict=True):
            self._rows[place] = row
        self.seen += len(rows)

    def _append(self, rows: NDArray[Any]) -> None:
        end = self._kept + len(rows)
        if end > len(self._rows):
            # Twice the room, lest many small batches copy all rows each.
            room = min(self._most, max(end, 2 * self._kept))
            grown = np.empty((room, self._rows.shape[1]))
            grown[: self._kept] = self.rows
            self._rows = grown
        self._rows[self._kept : end] = rows
        self._kept = end

    @property
    def rows(self) -> NDArray[np.float64]:
        """What was kept, (rows, columns)."""
        return self._rows[: self._kept]

    @property
    def complete(self) -> bool:
        """Whether every row was kept."""
        return self.seen == self._kept


def histogram(values: NDArray[np.float64], bins: int, low: float, high: float) -> list[int]:
    """Count finite values in equal bins from `low` to `high`, or around both if they are close."""
    largest = max(abs(low), abs(high))
    if high - low <= 1e-12 * largest:  # NumPy refuses bins that float64 cannot tell apart
        margin = max(0.5, 1e-3 * largest)
        low, high = low - margin, high + margin
    counts: list[int] = np.histogram(values, bins, (low, high))[0].tolist()
    return counts
