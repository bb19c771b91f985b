"""What `compare` counts for each value of a column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.comparison.metrics import BothFigures
from instmodel.comparison.moves import decisions
from instmodel.errors import InputError
from instmodel.tables.keys import Key, Keys, as_numbers

Floats = NDArray[np.float64]

# Groups that have their own figures; the others have them together.
_MOST_SHOWN = 50
# Values that are counted, and the characters of their text: more would take too much memory.
_MOST_VALUES = 50_000
_MOST_TEXT = 10_000_000


@dataclass(frozen=True, slots=True)
class Group:
    """The rows with one value of the column that `by` names.

    Attributes
    ----------
    value : str, int, float, bool or None
        None for rows where it is missing.
    rows : int
    old_mean, new_mean : float
    flips : int
    old_metrics, new_metrics : dict
        With labels, as of all rows, but without the curves.
    """

    value: Key
    rows: int
    old_mean: float
    new_mean: float
    flips: int
    old_metrics: dict[str, Any]
    new_metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OtherGroups:
    """The rows of all groups behind the largest ones, together.

    Attributes
    ----------
    values : int
        How many groups these are.
    rows, old_mean, new_mean, flips, old_metrics, new_metrics
        As of a `Group`.
    """

    values: int
    rows: int
    old_mean: float
    new_mean: float
    flips: int
    old_metrics: dict[str, Any]
    new_metrics: dict[str, Any]


class Groups:
    """Sums for each value of a column."""

    def __init__(self, column: int, threshold: float) -> None:
        self._column, self._threshold = column, threshold
        self._codes: dict[Key, int] = {}
        self._text = 0  # characters of the values
        self._written = False
        self._sums = np.zeros((16, 4))  # by code: rows, old, new, flips

    def add(self, keys: Keys, old: Floats, new: Floats) -> NDArray[np.intp]:
        """Add rows, what the models make of them (N, O) each; return the codes of their groups."""
        self._written = keys.written
        places = np.array([self._code(value) for value in keys.values], np.intp)
        codes = places[keys.codes]
        flips = decisions(old, self._column, self._threshold) != decisions(
            new, self._column, self._threshold
        )
        count = len(self._codes)
        if count > len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros((2 * count, 4))])
        for place, values in enumerate((None, old[:, self._column], new[:, self._column], flips)):
            self._sums[:count, place] += np.bincount(codes, values, count)
        return codes

    def _code(self, value: Key) -> int:
        code = self._codes.get(value)
        if code is None:
            code = self._codes[value] = len(self._codes)
            self._text += len(value) if isinstance(value, str) else 0
            if code >= _MOST_VALUES or self._text > _MOST_TEXT:
                raise InputError(
                    "too_many_groups",
                    "the column has too many values to group by, or too long ones",
                    field="by",
                    expected=f"at most {_MOST_VALUES} values of {_MOST_TEXT} characters together",
                )
        return code

    def largest(
        self, metrics: Callable[[NDArray[np.intp]], BothFigures]
    ) -> tuple[list[Group], OtherGroups | None]:
        """Return the largest groups, and the others together.

        Parameters
        ----------
        metrics : callable
            Returns the metrics of both models for the rows of some codes.
        """
        numbers = as_numbers(self._codes) if self._written else None
        members: dict[Key, list[int]] = {}
        for value, code in self._codes.items():
            members.setdefault(numbers[value] if numbers else value, []).append(code)
        found = []
        for value, places in members.items():
            codes = np.array(places, np.intp)
            found.append((value, codes, self._sums[codes].sum(axis=0)))
        found.sort(key=lambda group: (-group[2][0], *_order(group[0])))

        def figures(codes: NDArray[np.intp], sums: Floats) -> tuple[Any, ...]:
            rows, old, new, flips = sums.tolist()
            return (int(rows), old / rows, new / rows, int(flips), *metrics(codes))

        shown, rest = found[:_MOST_SHOWN], found[_MOST_SHOWN:]
        groups = [Group(value, *figures(codes, sums)) for value, codes, sums in shown]
        if not rest:
            return groups, None
        codes = np.concatenate([codes for _, codes, _ in rest])
        sums = np.sum([sums for _, _, sums in rest], axis=0)
        return groups, OtherGroups(len(rest), *figures(codes, sums))


def _order(value: Key) -> tuple[Any, ...]:
    """Return what sorts values: numbers, text, what is missing."""
    if value is None:
        return (2,)
    return (1, value) if isinstance(value, str) else (0, value)
