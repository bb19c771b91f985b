"""What a person is told of a drift; a terminal and a page show the same."""

from __future__ import annotations

from typing import Any

from instmodel.comparison.tables import NONE, percent, psi_table
from instmodel.monitoring.drifting import Drift, DriftGroup
from instmodel.signatures.counting import FeatureCounts
from instmodel.signatures.population import FEW_ROWS, LARGE, SLIGHT
from instmodel.tables.keys import shown
from instmodel.verification.summary import Cells, Summary, Table

# Inputs that a table shows, and those whose bins are shown.
_MOST_INPUTS, _MOST_BINS = 50, 3


def drift_summary(found: Drift, model: str, data: str) -> Summary:
    """Return what a person is told of a drift.

    Parameters
    ----------
    found : Drift
    model, data : str
        What they are called.
    """
    tables = [_features(found), *_bins(found), _groups(found)]
    return Summary(
        title=f"{data} against {_expected_by(found, model)}",
        verdict=_verdict(found),
        alarm=None,
        finding=_finding(found),
        notes=_notes(found),
        tables=[table for table in tables if table.rows],
    )


def _expected_by(found: Drift, model: str) -> str:
    if found.against == "signature":
        return f"what {model} expects"
    return f"the reference {found.options['reference']}"


def word_of(psi: float | None) -> str:
    """Return what people call an index of that size."""
    if psi is None:
        return NONE
    return "stable" if psi < SLIGHT else "some shift" if psi < LARGE else "large shift"


def _verdict(found: Drift) -> str:
    shifting = [item for item in found.features if item.psi is not None and item.psi >= SLIGHT]
    known = [item for item in found.features if item.psi is not None]
    if not known:
        return f"{found.rows} rows counted"
    count = len(shifting) or "none"
    verb = "shift" if len(shifting) > 1 else "shifts"
    return (
        f"{count} of {len(known)} inputs {verb} by {SLIGHT:g} or more; most of all "
        f"{known[0].name}, by {known[0].psi:.3g} ({found.rows} rows)"
    )


def _finding(found: Drift) -> str:
    """Return which group shifts most, of those that are large enough to tell."""
    large = [
        group for group in found.groups if group.rows >= FEW_ROWS and group.largest_psi is not None
    ]
    if not large:
        return ""
    most = max(large, key=lambda group: group.largest_psi or 0.0)
    if (most.largest_psi or 0.0) < SLIGHT:
        return f"No {found.by} with {FEW_ROWS} rows or more shifts on its own."
    what = f"{_most(most)} by {most.largest_psi:.3g}"
    return f"By {found.by}, {group_name(most)} shifts most: {what}."


def _most(group: DriftGroup) -> str:
    """Return the input that shifts most in a group."""
    return next(item.name for item in group.features if item.psi == group.largest_psi)


def _notes(found: Drift) -> list[str]:
    made = "" if found.expected_rows is None else f", made from {found.expected_rows} rows"
    against = "the model's signature" if found.against == "signature" else "the reference"
    notes = [
        f"Against {against}{made}. A population stability index of {SLIGHT:g} is some shift, of "
        f"{LARGE:g} a large one (Siddiqi, Credit Risk Scorecards, 2006)."
    ]
    without = [item.name for item in found.features if item.psi is None]
    if without:
        named = ", ".join(without[:5]) + (", …" if without[5:] else "")
        notes.append(f"No index for {named}: how the training data lay is not known.")
    few = sum(group.rows < FEW_ROWS for group in found.groups)
    if few or found.rows < FEW_ROWS:
        notes.append(f"With fewer than {FEW_ROWS} rows (*), chance alone makes an index large.")
    return notes


def _features(found: Drift) -> Table:
    rows: list[Cells] = [
        [
            item.name,
            NONE if item.psi is None else f"{item.psi:.3g}",
            word_of(item.psi),
            item.out_of_range,
            item.unknown,
            item.nulls,
            _share(item, item.nulls),
            percent(item.expected_nulls),
        ]
        for item in found.features[:_MOST_INPUTS]
    ]
    title = "Inputs, those that shift most first"
    if found.features[_MOST_INPUTS:]:
        title += f": {_MOST_INPUTS} of {len(found.features)}"
    columns = [
        *("input", "PSI", "shift", "out of range", "unknown"),
        *("nulls", "null share", "expected share"),
    ]
    return Table("inputs", title, columns, rows, ["input"])


def _share(item: FeatureCounts, count: int) -> str:
    return percent(count / item.values) if item.values else NONE


def _bins(found: Drift) -> list[Table]:
    """Return the bins of the inputs that shift most."""
    return [
        psi_table(f"bins-{place}", f"Where {item.name} shifts", item.bins, ("expected", "data"))
        for place, item in enumerate(found.features[:_MOST_BINS])
        if item.psi is not None and item.psi >= SLIGHT
    ]


def _groups(found: Drift) -> Table:
    rows: list[Cells] = [_group(group) for group in found.groups]
    columns = [str(found.by), "rows", "largest PSI", "of", "out of range", "unknown", "nulls"]
    return Table("groups", f"By {found.by}", columns, rows, [str(found.by), "of"])


def group_name(group: DriftGroup) -> str:
    """Return what a group is called."""
    return shown(group.value)


def _group(group: DriftGroup) -> list[Any]:
    name = group_name(group) + (" *" if group.rows < FEW_ROWS else "")
    has_index = group.largest_psi is not None
    return [
        name,
        group.rows,
        f"{group.largest_psi:.3g}" if has_index else NONE,
        _most(group) if has_index else NONE,
        sum(item.out_of_range for item in group.features),
        sum(item.unknown for item in group.features),
        sum(item.nulls for item in group.features),
    ]
