"""What `compare` counts for each value of a column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.comparison.decisions import AT_THRESHOLD, Decision
from instmodel.comparison.intervals import share_interval
from instmodel.comparison.metrics import BothFigures, Figures
from instmodel.errors import InputError
from instmodel.tables.keys import Key, Keys, as_numbers

Floats = NDArray[np.float64]

# Groups that have their own figures; the others have them together.
_MOST_SHOWN = 50
# Values that are counted, and the characters of their text: more would take too much memory.
_MOST_VALUES = 50_000
_MOST_TEXT = 10_000_000
# Fewer rows, or rows of either class, tell little of a group.
SMALL_ROWS, SMALL_CLASS = 100, 10


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """Some rows.

    Attributes
    ----------
    rows : int
    old_mean, new_mean : float
    flips : int or None
        None where nothing is decided.
    old_metrics, new_metrics : dict
        With labels, as of all rows, but without the curves.
    old_positive_rate, new_positive_rate : float or None
        The share of the rows that are decided for 1, at the threshold; None without one.
    old_positive_interval, new_positive_interval : list of float or None
        Where it lies with 95 % confidence (Wilson).
    old_approval_rate, new_approval_rate : float or None
        The share that is approved, if `compare` was told on which side of the threshold that is.
    old_approval_interval, new_approval_interval : list of float or None
    small : bool
        Fewer than 100 rows, or with labels of two classes fewer than 10 of either in the sample:
        the figures say little.
    """

    rows: int
    old_mean: float
    new_mean: float
    flips: int | None
    old_metrics: dict[str, Any]
    new_metrics: dict[str, Any]
    old_positive_rate: float | None
    new_positive_rate: float | None
    old_positive_interval: list[float] | None
    new_positive_interval: list[float] | None
    old_approval_rate: float | None
    new_approval_rate: float | None
    old_approval_interval: list[float] | None
    new_approval_interval: list[float] | None
    small: bool


@dataclass(frozen=True, slots=True)
class Group(GroupFigures):
    """The rows with one value of the column that `by` names.

    Attributes
    ----------
    value : str, int, float, bool or None
        None for rows where it is missing.
    """

    value: Key


@dataclass(frozen=True, slots=True)
class OtherGroups(GroupFigures):
    """The rows of all groups behind the largest ones, together.

    Attributes
    ----------
    values : int
        How many groups these are.
    """

    values: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups of one column.

    Attributes
    ----------
    column : str
    groups : list of Group
        The 50 with the most rows.
    other_groups : OtherGroups or None
        The rest of them together.
    """

    column: str
    groups: list[Group]
    other_groups: OtherGroups | None


class Groups:
    """Sums for each value of a column."""

    def __init__(self, name: str, column: int, decision: Decision) -> None:
        self._name, self._column, self._decision = name, column, decision
        self._codes: dict[Key, int] = {}
        self._text = 0  # characters of the values
        self._written = False
        # By code: rows, old, new, flips, decided for 1 by the old model, by the new one.
        self._sums = np.zeros((16, 6))

    def add(self, keys: Keys, old: Floats, new: Floats) -> NDArray[np.intp]:
        """Add rows, what the models make of them (N, O) each; return the codes of their groups."""
        self._written = keys.written
        places = np.array([self._code(value) for value in keys.values], np.intp)
        codes = places[keys.codes]
        before, after = self._decision.of(old), self._decision.of(new)
        count = len(self._codes)
        if count > len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros((2 * count, 6))])
        scores = old[:, self._column], new[:, self._column]
        chosen = before == 1, after == 1
        for place, values in enumerate((None, *scores, before != after, *chosen)):
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

    def found(
        self, decision: Decision, metrics: Callable[[NDArray[np.intp]], BothFigures]
    ) -> Grouping:
        """Return the largest groups, and the others together.

        Parameters
        ----------
        decision : Decision
            What is left of the one that was counted by.
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

        shown, rest = found[:_MOST_SHOWN], found[_MOST_SHOWN:]
        groups = [
            Group(**_figures(decision, sums, *metrics(codes)), value=value)
            for value, codes, sums in shown
        ]
        if not rest:
            return Grouping(self._name, groups, None)
        codes = np.concatenate([codes for _, codes, _ in rest])
        sums = np.sum([sums for _, _, sums in rest], axis=0)
        others = OtherGroups(**_figures(decision, sums, *metrics(codes)), values=len(rest))
        return Grouping(self._name, groups, others)


def _figures(
    decision: Decision, sums: Floats, old_metrics: Figures, new_metrics: Figures
) -> dict[str, Any]:
    """Return what a group has beside its value."""
    count, old, new, flips, *chosen = sums.tolist()
    rows = int(count)
    positives = old_metrics.get("positives")
    few = positives is not None and min(positives, old_metrics["rows"] - positives) < SMALL_CLASS
    decided = [int(side) if decision.kind == AT_THRESHOLD else None for side in chosen]
    approved = [decision.approved(int(side), rows) for side in chosen]
    return {
        "rows": rows,
        "old_mean": old / rows,
        "new_mean": new / rows,
        "flips": None if decision.kind is None else int(flips),
        "old_metrics": old_metrics,
        "new_metrics": new_metrics,
        **_rates("positive", decided, rows),
        **_rates("approval", approved, rows),
        "small": rows < SMALL_ROWS or few,
    }


def _rates(name: str, counts: list[int | None], rows: int) -> dict[str, Any]:
    """Return the shares of both models and their intervals; None for what is not counted."""
    found: dict[str, Any] = {}
    for side, count in zip(("old", "new"), counts, strict=True):
        found[f"{side}_{name}_rate"] = None if count is None else count / rows
        interval = None if count is None else share_interval(count, rows)
        found[f"{side}_{name}_interval"] = interval
    return found


def _order(value: Key) -> tuple[Any, ...]:
    """Return what sorts values: numbers, text, what is missing."""
    if value is None:
        return (2,)
    return (1, value) if isinstance(value, str) else (0, value)
