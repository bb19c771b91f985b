"""How far two computations of the same outputs are apart, batch by batch, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.tolerance import Tolerance

Floats = NDArray[np.float64]

# Lower edges of the histogram of absolute errors, in decades; an error of 0 has a bin of its own.
DECADES = np.arange(-12, 4)


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """How far the values of one output are apart.

    Attributes
    ----------
    index : int
    max_absolute, mean_absolute : float
        |a - b|, over the rows where both are finite.
    max_relative, mean_relative : float
        |a - b| / |b|, where b is not 0.
    max_ulp, mean_ulp : float
        |a - b| in units of the last float32 digit of b.
    different : int
        Rows outside of the tolerance.
    nan_mismatches, infinity_mismatches : int
        Rows where only one is NaN, or where an infinity meets anything else.
    """

    index: int
    max_absolute: float
    mean_absolute: float
    max_relative: float
    mean_relative: float
    max_ulp: float
    mean_ulp: float
    different: int
    nan_mismatches: int
    infinity_mismatches: int


@dataclass(frozen=True, slots=True)
class WorstRow:
    """One of the rows that are furthest apart.

    Attributes
    ----------
    row : int
        Its index in the data, from 0; in a folder, files follow each other. People count rows
        from `Verification.first_row`.
    inputs : list of float, (F,)
    actual, expected : list of float, (O,)
        What the model computes, and what it is compared with.
    excess : float
        The largest error of its outputs, as a multiple of what the tolerance allows.
    texts : dict
        By the name of the input, the text that its number stands for, if it has categories.
    """

    row: int
    inputs: list[float]
    actual: list[float]
    expected: list[float]
    excess: float
    texts: dict[str, str] = field(default_factory=dict)


class Differences:
    """Collects what `OutputDifference`, the worst rows and the histograms need.

    Parameters
    ----------
    outputs : int
    tolerance : Tolerance
    worst : int
        How many rows to keep.
    """

    def __init__(self, outputs: int, tolerance: Tolerance, worst: int) -> None:
        self.rows = 0
        self.rows_different = 0
        self._tolerance = tolerance
        self._keep = worst
        self._worst: list[WorstRow] = []
        self._sums = np.zeros((3, outputs))  # absolute, relative, ULP
        self._largest = np.zeros((3, outputs))
        self._counts = np.zeros((3, outputs), np.int64)  # values behind the sums
        self._events = np.zeros((3, outputs), np.int64)  # different, NaN, infinity
        #: Rows by error: equal, below the first decade, in each decade …, at or above the last.
        self.histogram = np.zeros((outputs, len(DECADES) + 2), np.int64)

    def add(self, inputs: NDArray[np.float32], actual: Any, expected: Any) -> None:
        """Add rows: inputs (N, F), actual and expected (N, O)."""
        a, b = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        excess = self._tolerance.excess(a, b)
        finite = np.isfinite(a) & np.isfinite(b)
        with np.errstate(all="ignore"):
            absolute = np.where(finite, np.abs(a - b), np.nan)
            relative = np.where(b != 0, absolute / np.abs(b), np.nan)
            last_digit = np.spacing(np.abs(b).astype(np.float32)).astype(np.float64)
            ulp = absolute / last_digit
        for i, values in enumerate((absolute, relative, ulp)):
            known = ~np.isnan(values)
            self._counts[i] += known.sum(axis=0)
            filled = np.where(known, values, 0.0)
            self._sums[i] += filled.sum(axis=0)
            self._largest[i] = np.maximum(self._largest[i], filled.max(axis=0, initial=0.0))
        nan, infinite = np.isnan(a) != np.isnan(b), (np.isinf(a) | np.isinf(b)) & (a != b)
        for i, event in enumerate((excess > 1, nan, infinite & ~nan)):
            self._events[i] += event.sum(axis=0)
        self._add_to_histogram(absolute, excess)
        self._keep_worst(inputs, a, b, excess)
        self.rows += len(a)
        self.rows_different += int((excess > 1).any(axis=1).sum())

    def _add_to_histogram(self, absolute: Floats, excess: Floats) -> None:
        # What is the same counts as 0, also NaN; a number against NaN counts as the largest.
        error = np.where(excess == 0, 0.0, np.nan_to_num(absolute, nan=np.inf))
        bins = np.where(error == 0, 0, 1 + np.searchsorted(10.0**DECADES, error, side="right"))
        for output, column in enumerate(bins.T):
            self.histogram[output] += np.bincount(column, minlength=len(DECADES) + 2)

    def _keep_worst(
        self, inputs: NDArray[np.float32], a: Floats, b: Floats, excess: Floats
    ) -> None:
        score = excess.max(axis=1, initial=0.0)
        for i in np.argsort(-score, kind="stable")[: self._keep]:
            if score[i] > 0:
                row = WorstRow(
                    self.rows + int(i),
                    inputs[i].tolist(),
                    a[i].tolist(),
                    b[i].tolist(),
                    float(score[i]),
                )
                self._worst.append(row)
        self._worst.sort(key=lambda row: -row.excess)
        del self._worst[self._keep :]

    @property
    def worst(self) -> list[WorstRow]:
        """The rows that are furthest apart, the worst first; rows that are equal never."""
        return list(self._worst)

    def outputs(self) -> list[OutputDifference]:
        """Return the figures of each output."""
        means = self._sums / np.maximum(self._counts, 1)
        return [
            OutputDifference(
                index=i,
                max_absolute=float(self._largest[0, i]),
                mean_absolute=float(means[0, i]),
                max_relative=float(self._largest[1, i]),
                mean_relative=float(means[1, i]),
                max_ulp=float(self._largest[2, i]),
                mean_ulp=float(means[2, i]),
                different=int(self._events[0, i]),
                nan_mismatches=int(self._events[1, i]),
                infinity_mismatches=int(self._events[2, i]),
            )
            for i in range(means.shape[1])
        ]
