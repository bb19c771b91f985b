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
        self._kept = np.empty((0, columns), np.float64)
        self._rng = np.random.default_rng(0)

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows (N, columns)."""
        room = self._most - len(self._kept)
        if room > 0:
            self._kept = np.concatenate([self._kept, rows[:room]])
        late = rows[max(0, room) :]
        # Row number i stays with probability most / (i + 1), in the place of any other.
        numbers = self.seen + max(0, room) + np.arange(len(late))
        places = self._rng.integers(0, numbers + 1)
        for row, place in zip(late[places < self._most], places[places < self._most], strict=True):
            self._kept[place] = row
        self.seen += len(rows)

    @property
    def rows(self) -> NDArray[np.float64]:
        """What was kept, (rows, columns)."""
        return self._kept

    @property
    def complete(self) -> bool:
        """Whether every row was kept."""
        return self.seen == len(self._kept)


def histogram(values: NDArray[np.float64], bins: int, low: float, high: float) -> list[int]:
    """Count finite values in equal bins from `low` to `high`, or around both if they are close."""
    largest = max(abs(low), abs(high))
    if high - low <= 1e-12 * largest:  # NumPy refuses bins that float64 cannot tell apart
        margin = max(0.5, 1e-3 * largest)
        low, high = low - margin, high + margin
    counts: list[int] = np.histogram(values, bins, (low, high))[0].tolist()
    return counts
