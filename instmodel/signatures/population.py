"""How a population shifts: shares of the rows in bins, and the index of what differs.

The population stability index is Σ (q - p) · ln(q / p) over bins with the shares p before and q
after: Jeffreys' divergence (H. Jeffreys, "An invariant form for the prior probability", 1946), by
the name that credit scoring gives it (N. Siddiqi, "Credit Risk Scorecards", Wiley 2006), where 0.1
is a shift to look at, and 0.25 a large one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BINS = 10
# So many values or fewer are taken for categories, if each has so many rows on average.
_MOST_CATEGORIES, _ROWS_OF_CATEGORY = 20, 10
# A share of 0 would make the logarithm infinite.
_FLOOR = 1e-6
SLIGHT, LARGE = 0.1, 0.25
"""From where on an index is a shift that matters, and a large one; see the source above."""
FEW_ROWS = 500
"""Fewer rows have an index of some size by chance alone."""
# Beyond every float32.
_FAR = 1e300


@dataclass(frozen=True, slots=True)
class PsiBin:
    """A bin of the population stability index.

    Attributes
    ----------
    low, high : float or None
        The values from `low` to below `high`, both None for what is missing; None alone for no end.
        The two are the same for a bin of one value.
    old_share, new_share : float
        Of the rows before and after.
    psi : float
        What the bin adds to the index.
    missing : bool
        Whether these are the rows whose value is NaN.
    text : str or None
        What the value stands for, if it is that of a category.
    """

    low: float | None
    high: float | None
    old_share: float
    new_share: float
    psi: float
    missing: bool = False
    text: str | None = None


class Bins:
    """Ten bins with a tenth of some values each.

    Equal values share a bin, so there may be fewer. A value so frequent that two of the nine marks
    between the bins fall on it has a bin of its own: what is larger must not hide in it.

    Parameters
    ----------
    values : (N,)
        At least one is not NaN.
    categories : bool
        Whether each value has a bin, if there are at most twenty, and ten rows for each.
    apart : float, optional
        A value beyond all others that has a bin of its own.
    """

    def __init__(
        self, values: Floats, categories: bool = False, apart: float | None = None
    ) -> None:
        values = values[values != apart]
        edges = np.unique(values[~np.isnan(values)])
        few = len(edges) <= min(_MOST_CATEGORIES, len(values) / _ROWS_OF_CATEGORY)
        if categories and few:
            heavy = edges
        else:
            finite = np.clip(values, -_FAR, _FAR)  # there is no mark between infinities
            marks = np.nanquantile(finite, np.linspace(0, 1, _BINS + 1)[1:-1])
            edges, counts = np.unique(marks, return_counts=True)
            heavy = edges[counts > 1]
        if apart is not None:
            edges, heavy = np.append(edges, apart), np.append(heavy, apart)
        self._apart = apart
        self._heavy = set(heavy.tolist())
        self._edges = np.unique(np.concatenate([edges, np.nextafter(heavy, np.inf)]))

    def __len__(self) -> int:
        return len(self._edges) + 1

    def of(self, values: Floats) -> NDArray[np.intp]:
        """Return the bin of each value; of NaN, the number of bins."""
        places = np.searchsorted(self._edges, values, side="right")
        return np.where(np.isnan(values), len(self), places)

    @property
    def float32_edges(self) -> list[float]:
        """The finite marks between the bins, rounded up: float32 values stay in their bins."""
        with np.errstate(over="ignore"):
            nearest = self._edges.astype(np.float32)
        edges = np.unique(np.where(nearest < self._edges, next_float32(nearest), nearest))
        finite: list[float] = edges[np.isfinite(edges)].tolist()
        return finite

    def ends(self, place: int) -> tuple[float | None, float | None]:
        """Return where a bin begins and ends, see `PsiBin`."""
        low = float(self._edges[place - 1]) if place else None
        high = float(self._edges[place]) if place < len(self._edges) else None
        high = None if high == self._apart else high
        return (low, low) if low in self._heavy else (low, high)


def next_float32(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the next larger float32 numbers; of the largest one, ∞."""
    with np.errstate(over="ignore"):
        return np.nextafter(values, np.float32(np.inf))


def population_bins(
    old: Floats, new: Floats, categories: bool = False, apart: float | None = None
) -> list[PsiBin]:
    """Return the bins of the old values in which there are any, with the shares of both.

    `categories` and `apart` as for `Bins`.
    """
    if np.isnan(old).all():
        old_missing, new_missing = 1.0, float(np.isnan(new).mean())
        rest = [psi_bin(None, None, 0.0, 1 - new_missing)] if new_missing < 1 else []
        return [*rest, psi_bin(None, None, old_missing, new_missing, missing=True)]
    if apart is not None and not ((old == apart).any() or (new == apart).any()):
        apart = None
    bins = Bins(old, categories, apart)
    p, q = (np.bincount(bins.of(side), minlength=len(bins) + 1) / len(side) for side in (old, new))
    found = [
        psi_bin(*bins.ends(place), float(p[place]), float(q[place]))
        for place in range(len(bins))
        if p[place] or q[place]
    ]
    if p[-1] or q[-1]:
        found.append(psi_bin(None, None, float(p[-1]), float(q[-1]), missing=True))
    return found


def psi_bin(
    low: Any, high: Any, p: float, q: float, missing: bool = False, text: str | None = None
) -> PsiBin:
    """Return a bin with the share p of the rows before and q of those after; see `PsiBin`."""
    old, new = max(p, _FLOOR), max(q, _FLOOR)
    return PsiBin(low, high, p, q, (new - old) * math.log(new / old), missing, text)


def population_stability_index(old: Floats, new: Floats) -> float:
    """Return Σ (q - p) · ln(q / p) over the bins of the old values.

    p and q are the shares of the old and the new values in a bin.
    """
    return total(population_bins(old, new))


def total(bins: list[PsiBin]) -> float:
    """Return the index that bins make together."""
    return math.fsum(part.psi for part in bins)
