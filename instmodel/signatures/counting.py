"""What rows have that a signature does not expect, counted while they are scored."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import _kernels
from instmodel.signatures.expectations import OUT_OF_RANGE, UNKNOWN, Expectations, Expected
from instmodel.signatures.population import PsiBin, next_float32, psi_bin, total
from instmodel.signatures.violations import violations
from instmodel.tables.cells import BadCell, OddCells

Floats = NDArray[np.float32]

# What shares that make a whole may lack of it, because they were rounded.
_ROUNDING = 1e-6
UNKNOWN_BIN = "unknown"
# Arrays of a tally by name.
_STATE = ("reached", "unknown", "invalid")


@dataclass(frozen=True, slots=True)
class FeatureCounts:
    """What of a feature was not expected.

    Attributes
    ----------
    name : str
    kind : {"number", "code", "text"}
    values : int
        As many as rows; of an array feature, rows times its size.
    out_of_range : int
        Numbers below the least or above the greatest that is allowed.
    nulls : int
        Nulls and NaN, also where a rule put something in their place.
    unexpected_nulls : int
        The same, if the signature says that there never are any, else 0.
    unknown : int
        Codes and text that the signature and the categories do not know.
    invalid : int
        Cells that held no number at all; they are in no bin.
    expected_nulls : float
        The share of nulls in the training data.
    psi : float or None
        Population stability index against the training data; None if the signature does not say
        how that lay, or if there are no values.
    bins : list of PsiBin
        What the index is made of, "old" the training data and "new" the values.
    """

    name: str
    kind: str
    values: int
    out_of_range: int
    nulls: int
    unexpected_nulls: int
    unknown: int
    invalid: int
    expected_nulls: float
    psi: float | None
    bins: list[PsiBin]


@dataclass(frozen=True, slots=True)
class InputCounts:
    """What of the inputs was not expected.

    Attributes
    ----------
    rows : int
    features : list of FeatureCounts
        Those of the signature, in the order of the inputs.
    """

    rows: int
    features: list[FeatureCounts]

    def to_dict(self, bins: bool = False) -> dict[str, Any]:
        """Return plain data; with `bins`, also what each index is made of."""
        found = dataclasses.asdict(self)
        if not bins:
            for feature in found["features"]:
                del feature["bins"]
        return found


class Tally:
    """Counts over some rows. Only one thread may use it at once; two can be added.

    Parameters
    ----------
    expectations : Expectations
    find_bad : bool
        Whether `look` finds the rows bad that have what is not expected.
    """

    def __init__(self, expectations: Expectations, find_bad: bool = False) -> None:
        self._expectations = expectations
        self._find_bad = find_bad
        size = expectations.size
        self.rows = 0
        # By mark and input value: how many reach it, of those that are values at all.
        self._reached = np.zeros(expectations.marks.shape, np.int64)
        # By input value.
        self._unknown, self._invalid = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._wide = {
            one.start: np.zeros(len(one.roles), np.int64)
            for one in expectations.expected
            if expectations.is_wide(one)
        }

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return self._reached.size + sum(counts.size for counts in self._wide.values())

    def fresh(self) -> Tally:
        """Return an empty one of the same kind."""
        return Tally(self._expectations, self._find_bad)

    def add(self, other: Tally) -> None:
        """Add what another one of the same kind has counted."""
        self.rows += other.rows
        self._reached += other._reached
        self._unknown += other._unknown
        self._invalid += other._invalid
        for start, counts in self._wide.items():
            counts += other._wide[start]

    def state(self) -> dict[str, Any]:
        """Return what was counted, as JSON."""
        return {
            "rows": self.rows,
            "reached": self._reached.tolist(),
            "unknown": self._unknown.tolist(),
            "invalid": self._invalid.tolist(),
            "wide": {str(start): counts.tolist() for start, counts in self._wide.items()},
        }

    def add_state(self, found: Any) -> bool:
        """Add the `state` of one of the same kind; False, and nothing is added, if it is none."""
        other = self.fresh()
        try:
            other.rows = int(found["rows"])
            pairs = [(getattr(other, f"_{name}"), found[name]) for name in _STATE]
            pairs += [(counts, found["wide"][str(start)]) for start, counts in other._wide.items()]
            for counts, values in pairs:
                array = np.array(values, np.int64)
                if array.shape != counts.shape:
                    return False
                counts[...] = array
        except (KeyError, TypeError, ValueError, OverflowError):
            return False
        self.add(other)
        return True

    def look(self, rows: Floats, odd: Sequence[OddCells] = ()) -> dict[int, tuple[str, BadCell]]:
        """Count rows (N, F); see `InputWatch`."""
        self.rows += len(rows)
        marks = self._expectations.marks
        before = self._reached.copy() if self._find_bad else None
        _kernels.count_at_least(rows, marks, self._reached)
        gone: dict[int, NDArray[np.bool_]] = {}  # by input value: which rows have none
        for cells in odd:
            start, size = cells.slot.start, cells.slot.size
            there = self._gaps(cells, len(rows))
            gone |= {start + place: there[:, place] for place in range(size)}
            replaced = rows[:, start : start + size][there]
            self._reached[:, start] -= (replaced >= marks[:, start, None]).sum(axis=1)
        for one in self._expectations.expected:
            if one.start in self._wide:
                self._look_up(one, rows, gone)
        if before is None:
            return {}
        return violations(self._suspects(self._reached - before, len(rows)), rows, odd)

    def _suspects(self, reached: NDArray[np.int64], rows: int) -> list[Expected]:
        """Return the features of which so many rows may have what is not expected."""
        between = -np.diff(reached, axis=0, append=0)
        strange = (self._expectations.bad & (between > 0)).any(axis=0)
        strange |= self._expectations.whole & (reached[0] < rows)
        return [one for one in self._expectations.expected if strange[one.columns].any()]

    def _gaps(self, cells: OddCells, rows: int) -> NDArray[np.bool_]:
        """Return which values (N, size) are none, and count those that are no nulls either."""
        slot = cells.slot
        there = np.zeros((rows, slot.size), bool)
        if cells.unknown is not None:
            unknown = cells.unknown.reshape(there.shape)
            self._unknown[slot.start] += np.count_nonzero(unknown)
            there |= unknown
        wrong = np.zeros(rows, bool)
        wrong[list(cells.wrong)] = True
        # A row that is wrong is so as a whole, but for text that no category knows.
        strange = sum(cell.code == "unknown_category" for cell in cells.wrong.values())
        self._unknown[slot.start] += strange
        known = len(cells.wrong) * slot.size - np.count_nonzero(there[wrong])
        self._invalid[slot.start] += known - strange
        there[wrong] = True
        if cells.missing is not None:
            missing = cells.missing.reshape(there.shape)
            there |= missing
        return there

    def _look_up(self, one: Expected, rows: Floats, gone: dict[int, NDArray[np.bool_]]) -> None:
        values = rows[:, one.columns]
        there = ~np.isnan(values)
        for place in range(one.feature.size if gone else 0):
            if one.start + place in gone:
                there[:, place] &= ~gone[one.start + place]
        places = one.intervals_of(values[there])
        self._wide[one.start] += np.bincount(places, minlength=len(one.roles))

    def found(self) -> InputCounts:
        """Return what was counted."""
        return InputCounts(self.rows, [self._found(one) for one in self._expectations.expected])

    def _found(self, one: Expected) -> FeatureCounts:
        reached = self._reached[:, one.columns].sum(axis=1)
        counts = self._wide.get(one.start)
        if counts is None:
            counts = -np.diff(reached[: len(one.roles)], append=0)
        values = self.rows * one.feature.size
        text, invalid = (int(n[one.columns].sum()) for n in (self._unknown, self._invalid))
        nulls = values - int(reached[0]) - text - invalid
        unknown = text + int(counts[one.roles == UNKNOWN].sum())
        bins = _bins(one, counts, nulls, unknown, values - invalid)
        return FeatureCounts(
            name=one.feature.name,
            kind=one.item.kind,
            values=values,
            out_of_range=int(counts[one.roles == OUT_OF_RANGE].sum()),
            nulls=nulls,
            unexpected_nulls=nulls if one.item.nulls == "never" else 0,
            unknown=unknown,
            invalid=invalid,
            expected_nulls=one.item.null_share,
            psi=total(bins) if bins else None,
            bins=bins,
        )


def _bins(
    one: Expected, counts: NDArray[np.int64], nulls: int, unknown: int, values: int
) -> list[PsiBin]:
    """Return the bins of the training data with the shares of both; none of what is not known."""
    item = one.item
    binned = one.bins >= 0
    if item.shares is None or not values or (len(item.shares) and not binned.any()):
        return []
    new = np.bincount(one.bins[binned], counts[binned], len(item.shares)) / values
    ends = _ends_of_codes(one) if item.kind != "number" else _ends(item.edges)
    bins = [
        psi_bin(low, high, p, q, text=text)
        for (low, high, text), p, q in zip(ends, item.shares, new.tolist(), strict=True)
        if p or q
    ]
    if nulls or item.null_share:
        bins.append(psi_bin(None, None, item.null_share, nulls / values, missing=True))
    rest = 1 - math.fsum([*item.shares, item.null_share])
    if unknown or rest > _ROUNDING:
        bins.append(psi_bin(None, None, max(0.0, rest), unknown / values, text=UNKNOWN_BIN))
    return bins


_Ends = list[tuple[float | None, float | None, str | None]]


def _ends(edges: Sequence[float]) -> _Ends:
    """Return where the bins of numbers begin and end, as `PsiBin` has it."""
    lows = [None, *edges]
    highs = [*edges, None]
    next_ones = [None, *next_float32(np.array(edges, np.float32)).tolist()]
    return [
        (low, low if high == next_one else high, None)
        for low, high, next_one in zip(lows, highs, next_ones, strict=True)
    ]


def _ends_of_codes(one: Expected) -> _Ends:
    categories = one.feature.categories
    if categories is not None:
        return [(float(code), float(code), text) for code, text in enumerate(categories.values)]
    return [(float(code), float(code), None) for code in one.item.codes or ()]
