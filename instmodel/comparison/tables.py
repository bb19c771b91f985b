"""Tables of groups, and how figures are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from instmodel.comparison.groups import Group, Grouping, OtherGroups
from instmodel.comparison.metrics import NAMES
from instmodel.signatures.population import PsiBin
from instmodel.tables.keys import in_order, shown
from instmodel.verification.summary import Cells, Table

# Where there is no figure.
NONE = "–"


def number(value: float) -> str:
    """Return a number in six digits."""
    return f"{value:.6g}"


def percent(share: float, ends: Sequence[float] | None = None) -> str:
    """Return a share, with its interval if there is one."""
    behind = f" ({100 * ends[0]:.1f} … {100 * ends[1]:.1f})" if ends else ""
    return f"{100 * share:.1f} %{behind}"


def points(change: float) -> str:
    """Return the difference of two shares in percentage points."""
    return f"{100 * change:+.2f} pp"


def is_share(name: str) -> bool:
    """Whether a figure is shown in percent."""
    return name.endswith("_rate") or name in ("accuracy", "share_within_tolerance")


def ranged(value: float, ends: Sequence[float] | None = None) -> str:
    """Return a number, with its interval if there is one."""
    known = ends is not None and not math.isnan(ends[0])
    return f"{value:.4f} ({ends[0]:.4f} … {ends[1]:.4f})" if ends and known else number(value)


def loss_of(measure: str) -> str:
    """Return what an `Importance` counts, in words."""
    if measure == "mean_absolute_change":
        return "mean absolute change of the score"
    change = "growth" if measure in ("log_loss", "rmse") else "loss"
    return f"{change} of {NAMES[measure]}"


def group_name(group: Group | OtherGroups) -> str:
    """Return what a group is called, with a mark if it is small."""
    name = f"({group.values} others)" if isinstance(group, OtherGroups) else shown(group.value)
    return f"{name} *" if group.small else name


def ordered(groups: Sequence[Group]) -> list[Group]:
    """Return groups of numbers, dates and instants by value; of text as they come, by size."""
    values = in_order(group.value for group in groups)
    if values is None:
        return list(groups)
    places = {value: place for place, value in enumerate(values)}
    return sorted(groups, key=lambda group: places[group.value])


def group_tables(by: Grouping, place: int) -> list[Table]:
    """Return the tables of the groups of one column, the `place`-th one.

    The first has their scores and decisions, the others what labels say. Groups that have no line
    of their own have one together.
    """
    groups: list[Group | OtherGroups] = [*ordered(by.groups)]
    groups += [by.other_groups] if by.other_groups is not None else []
    named = [(group_name(group), group) for group in groups]
    suffix = f"-{place}" if place else ""
    return [
        _scores(f"groups{suffix}", f"By {by.column}", named),
        *_labels(suffix, f"By {by.column}", named),
    ]


def _scores(id: str, title: str, named: Sequence[tuple[str, Group | OtherGroups]]) -> Table:
    columns = ["value", "rows", "mean, old", "mean, new"]
    groups = [group for _, group in named]
    decided = any(group.flips is not None for group in groups)
    rate = "approval" if any(g.old_approval_rate is not None for g in groups) else "positive"
    name = "approved" if rate == "approval" else "decided for 1"
    rated = any(group.old_positive_rate is not None for group in groups)
    columns += ["flips"] * decided + [f"{name}, old", f"{name}, new"] * rated
    rows: list[Cells] = []
    for value, g in named:
        row: Cells = [value, g.rows, number(g.old_mean), number(g.new_mean)]
        row += [g.flips] * decided
        if rated:
            row += [
                percent(getattr(g, f"{side}_{rate}_rate"), getattr(g, f"{side}_{rate}_interval"))
                for side in ("old", "new")
            ]
        rows.append(row)
    return Table(id, title, columns, rows, ["value"])


# What labels say of groups: of two classes in two tables, for which a page has room; of several
# classes; of values.
_FIGURES = (
    (
        ("observed_rate", "mean_score", "roc_auc"),
        ("false_positive_rate", "false_negative_rate"),
    ),
    (("accuracy",),),
    (("mae", "rmse", "mean_label"),),
)
_LABEL_TABLES = (("group-labels", "against the labels"), ("group-errors", "wrong decisions"))
# The same for both models.
_COMMON = ("observed_rate", "mean_label")


def _labels(
    suffix: str, title: str, named: Sequence[tuple[str, Group | OtherGroups]]
) -> list[Table]:
    present = {name for _, g in named for name in (*g.old_metrics, *g.new_metrics)}
    found = next((parts for parts in _FIGURES if parts[0][0] in present), ())
    tables = []
    for (id, what), figures in zip(_LABEL_TABLES, found, strict=False):
        if not present.intersection(figures):
            continue
        columns = ["value"]
        for figure in figures:
            name = NAMES[figure]
            columns += [name] if figure in _COMMON else [f"{name}, old", f"{name}, new"]
        rows: list[Cells] = []
        for name, g in named:
            row: Cells = [name]
            for figure in figures:
                sides = [g.old_metrics, g.new_metrics][: 1 if figure in _COMMON else 2]
                row += [_figure(side, figure) for side in sides]
            rows.append(row)
        tables.append(Table(f"{id}{suffix}", f"{title}, {what}", columns, rows, ["value"]))
    return tables


def _figure(metrics: dict[str, Any], name: str) -> str:
    if name not in metrics:
        return NONE
    write = percent if is_share(name) else ranged
    return write(metrics[name], metrics.get("intervals", {}).get(name))


def psi_table(
    id: str, title: str, bins: Sequence[PsiBin], sides: Sequence[str] = ("old", "new")
) -> Table:
    """Return the bins of a population stability index, with the shares of both sides."""
    rows: list[Cells] = [
        [
            bin_name(part),
            percent(part.old_share),
            percent(part.new_share),
            f"{part.psi:.3g}",
        ]
        for part in bins
    ]
    return Table(id, title, ["from … to below", *sides, "PSI"], rows)


def bin_name(part: PsiBin) -> str:
    """Return what a bin holds."""
    if part.missing:
        return "missing"
    return bin_range(part.low, part.high) if part.text is None else shown(part.text)


def bin_range(low: float | None, high: float | None) -> str:
    """Return the ends of a bin; a single value alone."""
    if low is not None and low == high:
        return f"{low:.5g}"
    return (
        f"{'' if low is None else f'{low:.5g}'} … {'' if high is None else f'{high:.5g}'}".strip()
    )
