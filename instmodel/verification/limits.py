"""Limits on what was found: which figure, which bound, and whether it holds.

Design
------
A. A limit names a figure of `to_dict()` by its path, ``psi`` or ``new_metrics.roc_auc``, so that
   whatever is found can be limited. A path through a list is of each of its elements, and the worst
   one counts; a whole number picks a single one.
B. Nothing passes in silence. A figure that is not there is an error, and NaN holds no limit. An
   element of a list that lacks the figure, as a group with a single class lacks ROC AUC, counts as
   NaN. Only groups that are too small for a limit, as `min_rows` says, are left out of it, and what
   it is told by says so.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from instmodel.base import values
from instmodel.errors import InputError
from instmodel.stores import location
from instmodel.verification.figures import Found, find, not_found

KINDS = ("max", "min")
# What a count is a share of, beside it, where that is not the rows.
_WHOLES = {
    **dict.fromkeys(("reached", "unseen"), "states"),
    **dict.fromkeys(("out_of_range", "nulls", "unexpected_nulls", "unknown", "invalid"), "values"),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest or the least value that a figure may have.

    Attributes
    ----------
    figure : str
        Its path in `to_dict()`, with dots. ``change.NAME`` is what the figure of the labels
        ``new_metrics.NAME`` is above ``old_metrics.NAME``.
    kind : {"max", "min"}
    bound : float
        The figure may be equal to it.
    share : bool
        Whether the bound is a share of the `whole` that stands beside the figure, a count.
    min_rows : int
        Groups of fewer rows are not held to it.
    """

    figure: str
    kind: str
    bound: float
    share: bool = False
    min_rows: int = 0

    @property
    def whole(self) -> str:
        """What a share is of: ``rows``, the ``states`` of a model, or ``values`` of an input."""
        return _WHOLES.get(self.figure.rpartition(".")[2], "rows")

    def __str__(self) -> str:
        """Return the bound for a person."""
        bound = f"{100 * self.bound:g} % of {self.whole}" if self.share else f"{self.bound:g}"
        groups = f" (groups of {self.min_rows} rows or more)" if self.min_rows else ""
        return f"{'≤' if self.kind == 'max' else '≥'} {bound}{groups}"


NO_DIFFERENCE = Limit("rows_different", "max", 0.0)
"""What a verification is held to if nobody says more: every row within the tolerance."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A limit, and whether it holds.

    Attributes
    ----------
    limit : Limit
    value : float
        The figure; in a list, the worst. A share where the bound is one.
    place : str
        Where in a list that is, such as ``groups[north]``; empty for a single figure, and where
        all of them are 0.
    holds : bool
        False for NaN.
    """

    limit: Limit
    value: float
    place: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether what was found is within its limits.

    Attributes
    ----------
    holds : bool or None
        Whether every limit holds; None if there are none.
    outcomes : list of Outcome
        In the order of the limits.
    """

    holds: bool | None
    outcomes: list[Outcome]

    def to_list(self) -> list[dict[str, Any]]:
        """Return the outcomes as plain data; not all of its floats are finite."""
        return [
            {
                "figure": outcome.limit.figure,
                "kind": outcome.limit.kind,
                "bound": outcome.limit.bound,
                "share": outcome.limit.share,
                "min_rows": outcome.limit.min_rows,
                "value": outcome.value,
                "place": outcome.place,
                "holds": outcome.holds,
            }
            for outcome in self.outcomes
        ]


Limits = Mapping[str, Any] | Sequence[Limit] | Limit | str | os.PathLike[str]
"""``{"max": {figure: bound}, "min": …}``, the same as a TOML file, one, or a list.

``"groups": {"min_rows": 100}`` beside these leaves smaller groups out of the limits on groups.
"""


def limits_of(limits: Limits | None) -> list[Limit]:
    """Return limits in any form as a list.

    Raises
    ------
    InputError
        ``invalid_limit``: they make no sense, or there is none in the tables.
    OSError
        The file cannot be read.
    """
    if limits is None:
        return []
    if isinstance(limits, str | os.PathLike):
        return _read(limits)
    if isinstance(limits, Mapping):
        return _of_tables(limits)
    given: list[Any] = list(limits) if isinstance(limits, Sequence) else [limits]
    if all(isinstance(limit, Limit) for limit in given):
        return given
    raise values.wrong_type(limits, "limits", "a mapping, the path of a TOML file, or a list")


def _read(path: str | os.PathLike[str]) -> list[Limit]:
    with location(path).open() as file:
        try:
            return _of_tables(tomllib.load(file))
        except InputError as error:
            raise error.in_file(path) from None
        except (ValueError, RecursionError) as error:  # not TOML, whole numbers without end, …
            raise InputError("invalid_limit", f"not TOML: {error}", file=path) from None


def _of_tables(tables: Mapping[str, Any]) -> list[Limit]:
    found: list[Limit] = []
    for kind, table in tables.items():
        if kind not in (*KINDS, "groups") or not isinstance(table, Mapping):
            raise InputError(
                "invalid_limit",
                "limits are tables of figures",
                field=str(kind),
                expected=" and ".join(f"[{name}]" for name in KINDS),
            )
        if kind != "groups":
            found += _of_table(kind, table, "")
    if not found:
        raise InputError(
            "invalid_limit",
            "there is no limit",
            expected="a figure with its bound in " + " or ".join(f"[{name}]" for name in KINDS),
        )
    least = _least_group(tables.get("groups", {}))
    return [replace(limit, min_rows=least if _is_of_groups(limit) else 0) for limit in found]


def _least_group(table: Mapping[str, Any]) -> int:
    """Return how many rows a group must have for limits to count: ``min_rows`` of [groups]."""
    rows = table.get("min_rows", 0)
    if table.keys() - {"min_rows"} or isinstance(rows, bool) or not isinstance(rows, int):
        raise InputError(
            "invalid_limit",
            "[groups] says which groups are held to limits",
            field="groups",
            expected="min_rows = a number of rows",
            actual=repr(dict(table)),
        )
    return max(0, rows)


def _is_of_groups(limit: Limit) -> bool:
    return "groups" in limit.figure.split(".")


def _of_table(kind: str, table: Mapping[str, Any], prefix: str) -> Iterator[Limit]:
    for name, bound in table.items():
        figure = f"{prefix}{name}"
        if isinstance(bound, Mapping):  # what TOML makes of a dotted key without quotes
            yield from _of_table(kind, bound, f"{figure}.")
        else:
            yield Limit(figure, kind, *_bound(bound, f"{kind}.{figure}"))


def read_limit(figure: str, kind: str, text: str) -> Limit:
    """Return a limit whose bound is text, as on a command line: ``120``, ``0.5%``.

    Raises
    ------
    InputError
        ``invalid_limit``.
    """
    try:
        bound: Any = text if text.endswith("%") else float(text)
    except ValueError:
        bound = text
    return Limit(figure, kind, *_bound(bound, f"{kind}.{figure}"))


def _bound(bound: Any, field: str) -> tuple[float, bool]:
    """Return a bound, and whether it is a share."""
    is_share = isinstance(bound, str) and bound.endswith("%")
    is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
    try:
        number = float(bound[:-1]) / 100 if is_share else float(bound) if is_number else math.nan
        if math.isfinite(number) and (0 <= number <= 1 or not is_share):
            return number, is_share
    except (ValueError, OverflowError):
        pass
    raise InputError(
        "invalid_limit",
        "not a bound",
        field=field,
        expected="a finite number, or a share such as '0.5%'",
        actual=repr(bound),
    )


def judge(figures: Mapping[str, Any], limits: Sequence[Limit]) -> Verdict:
    """Return whether figures are within limits.

    Parameters
    ----------
    figures : mapping
        The `to_dict()` of what was found.
    limits : sequence of Limit

    Raises
    ------
    InputError
        ``unknown_figure``: there is no such figure, it was not computed, or it is no number.
    """
    outcomes = [_outcome(figures, limit) for limit in limits]
    return Verdict(all(outcome.holds for outcome in outcomes) if outcomes else None, outcomes)


def _outcome(figures: Mapping[str, Any], limit: Limit) -> Outcome:
    path = limit.figure.split(".")
    found = list(find(figures, path, "", {}, limit.min_rows))
    if not found and limit.min_rows and list(find(figures, path, "", {}, 0)):
        raise InputError(
            "unknown_figure",
            f"no group has {limit.min_rows} rows or more",
            field=limit.figure,
        )
    known = [item for item in found if item.value is not None]
    if not known:
        raise not_found(figures, limit.figure)
    # Of the place, what tells the elements of lists apart.
    numbers = [(_number(item, limit), item.place[: item.place.rfind("]") + 1]) for item in found]
    sign = 1 if limit.kind == "max" else -1
    # NaN is the worst of all.
    value, place = max(numbers, key=lambda n: math.inf if math.isnan(n[0]) else sign * n[0])
    if numbers[1:] and not any(number for number, _ in numbers):
        place = ""
    holds = value <= limit.bound if limit.kind == "max" else value >= limit.bound
    return Outcome(limit, value, place, holds)


def _number(found: Found, limit: Limit) -> float:
    value = found.value
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(
            "unknown_figure",
            "the figure is no number",
            field=limit.figure,
            actual=", ".join(map(str, value)) if isinstance(value, Mapping) else repr(value),
        )
    if not limit.share:
        if isinstance(value, int) and 0 < limit.bound < 1:
            raise InputError(
                "invalid_limit",
                f"the figure is a count; for a share write '{100 * limit.bound:g}%'",
                field=limit.figure,
                expected="0, 1 or more, or a share such as '0.5%'",
                actual=f"{limit.bound:g}",
            )
        return float(value)
    whole = found.beside.get(limit.whole)
    if not isinstance(value, int) or not whole:
        raise InputError(
            "invalid_limit",
            f"a share is of a count that has its {limit.whole} beside it, such as flips; of this "
            f"figure write {limit.bound:g}",
            field=limit.figure,
            actual=f"'{100 * limit.bound:g}%'",
        )
    return float(value) / float(whole)
