"""What a person is told of a comparison; a terminal and a page show the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from instmodel.comparison.decisions import AT_THRESHOLD, LARGEST
from instmodel.comparison.findings import Comparison
from instmodel.comparison.groups import SMALL_CLASS, SMALL_ROWS
from instmodel.comparison.metrics import NAMES, plain_numbers
from instmodel.comparison.moves import QUANTILES
from instmodel.comparison.tables import (
    NONE,
    bin_range,
    group_tables,
    is_share,
    loss_of,
    number,
    percent,
    points,
    psi_table,
    ranged,
)
from instmodel.tables.keys import is_utc
from instmodel.verification.summary import (
    Cells,
    Summary,
    Table,
    coverage_notes,
    coverage_table,
    first,
    table_of_rows,
    unknown_notes,
)

# Columns of a confusion matrix that a person reads, and the cells that stand for a larger one.
_MOST_CLASSES = 15
_MOST_CONFUSED = 15
# Lines of tables with one for each input.
_MOST_INPUTS = 30


def comparison_summary(found: Comparison, old: str, new: str, values: int) -> Summary:
    """Return what a person is told of a comparison.

    Parameters
    ----------
    found : Comparison
    old, new : str
        What the models are called.
    values : int
        How many values of a row are shown.
    """
    tables = [
        *_against_labels(found),
        _scores(found),
        _moves(found),
        *(table for place, by in enumerate(found.groupings) for table in group_tables(by, place)),
        *_bands(found),
        psi_table("psi-bins", "Population stability of the scores by bin", found.psi_bins),
        *_shifts(found),
        _importance(found),
        _movers(found, values),
        coverage_table(found.coverage, " in the new model"),
    ]
    return Summary(
        title=f"{old} → {new}",
        verdict=_verdict(found),
        alarm=False,
        finding="" if found.largest_move else "No row moves.",
        notes=_notes(found),
        tables=[table for table in tables if table.rows],
    )


def _verdict(found: Comparison) -> str:
    if found.flips is None:
        return (
            f"{found.rows} scores move by {number(found.mean_move)} on average, "
            f"by {number(found.largest_move)} at most"
        )
    share = 100 * found.flips / found.rows
    ways = (
        f" ({found.flips_up} up, {found.flips_down} down)"
        if found.flips_up or found.flips_down
        else ""
    )
    return f"{found.flips} of {found.rows} decisions flip, {share:.3g} %{ways}"


def _notes(found: Comparison) -> list[str]:
    decided = "without a threshold nothing is decided"
    if found.decision == AT_THRESHOLD:
        decided = f"threshold {found.threshold:g}"
    elif found.decision == LARGEST:
        decided = "the largest output decides"
    named = found.classes and len(found.classes) == len(found.old_metrics.get("by_class", ()))
    class_of = f" ({found.classes[found.output]})" if found.classes and named else ""
    notes = [f"Scores of output {found.output}{class_of}; {decided}."]
    if found.classes:
        names = ", ".join(f"{name} is {place}" for place, name in enumerate(found.classes[:20]))
        notes.append(f"Labels: {names}.")
    if found.threshold is not None:
        least = min(found.old.least, found.new.least)
        greatest = max(found.old.greatest, found.new.greatest)
        if not least < found.threshold <= greatest:
            notes.append("All scores of both models are on the same side of the threshold.")
    for side, figures in (("old", found.old_metrics), ("new", found.new_metrics)):
        if figures.get("roc_auc", 1.0) < 0.5:
            notes.append(
                f"ROC AUC of the {side} model is below 0.5: it ranks worse than chance, or the "
                "labels are the other way round."
            )
    if found.sampled_rows < found.rows:
        notes.append(
            f"Quantiles, PSI, correlation and metrics are of a random {found.sampled_rows} of the "
            "rows."
        )
    if found.old_metrics.get("intervals"):
        notes.append("Ranges hold 95 % confidence: Wilson's for rates, DeLong's for ROC AUC.")
    if any(is_share(name) for name in found.old_metrics):
        notes.append("Differences of percentages are in percentage points (pp).")
    if found.tolerance is not None:
        notes.append(
            f"Within the tolerance: the score is at most {found.tolerance:g} off the label."
        )
    if any(is_utc(group.value) for by in found.groupings for group in by.groups):
        notes.append("Instants with a Z are in UTC, whatever their time zone in the data.")
    if any(group.small for by in found.groupings for group in by.groups):
        few = f" or {SMALL_CLASS} of a class" if found.task == "binary" else ""
        notes.append(f"* Small: fewer than {SMALL_ROWS} rows{few}; figures that say little.")
    notes += coverage_notes(found.coverage, "the new model")
    return [*notes, *unknown_notes(found.unknown_texts)]


def _scores(found: Comparison) -> Table:
    names = ["Mean", "Standard deviation", "Least", "Greatest"]
    names += [f"{100 * q:g} %" for q in QUANTILES]
    old, new = (
        [side.mean, side.std, side.least, side.greatest, *side.quantiles]
        for side in (found.old, found.new)
    )
    return _old_and_new("scores", "Scores", names, old, new)


def _moves(found: Comparison) -> Table:
    figures = {
        "Population stability index": found.psi,
        "Rank correlation": found.rank_correlation,
        "Mean move": found.mean_move,
        "Largest move": found.largest_move,
    }
    rows: list[Cells] = [[name, number(figure)] for name, figure in figures.items()]
    for side, rate in (("old", found.old_approval_rate), ("new", found.new_approval_rate)):
        if rate is not None:
            rows.append([f"Approved, {side}", percent(rate)])
    return Table("moves", "Moves", ["figure", "value"], rows)


def _against_labels(found: Comparison) -> list[Table]:
    if found.task is None:
        return []
    old, new = plain_numbers(found.old_metrics), plain_numbers(found.new_metrics)
    # Log loss is of probabilities, which the scores of either model need not be.
    names = [name for name in NAMES if name in old or name in new]
    ranges = [m.get("intervals", {}) for m in (found.old_metrics, found.new_metrics)]
    rows: list[Cells] = []
    for name in names:
        sides = [old.get(name, math.nan), new.get(name, math.nan)]
        write = percent if is_share(name) else ranged
        cells = [
            NONE if math.isnan(value) else write(value, ends.get(name))
            for value, ends in zip(sides, ranges, strict=True)
        ]
        change = sides[1] - sides[0]
        difference = points(change) if is_share(name) else f"{change:+.3g}"
        difference = NONE if math.isnan(change) else difference
        gain = found.auc_gain
        if name == "roc_auc" and gain and not math.isnan(gain.low):
            difference += f" ({gain.low:+.3g} … {gain.high:+.3g})"
        rows.append([NAMES[name], *cells, difference])
    title = f"Against the labels ({found.task})"
    tables = [Table("metrics", title, ["figure", "old", "new", "difference"], rows)]
    if "by_class" in found.old_metrics:
        tables.append(_classes(found))
    for side, metrics in (("old", found.old_metrics), ("new", found.new_metrics)):
        if "confusion_matrix" in metrics:
            tables.append(_confusion(side, metrics["confusion_matrix"], found.classes))
    return tables


def _classes(found: Comparison) -> Table:
    pairs = zip(found.old_metrics["by_class"], found.new_metrics["by_class"], strict=True)
    figures = ("precision", "recall", "roc_auc")
    columns = ["class", "rows"]
    columns += [f"{NAMES[name]}, {side}" for name in figures for side in ("old", "new")]
    rows: list[Cells] = []
    for old, new in pairs:
        cells = [
            number(side[name]) if name in side else NONE for name in figures for side in (old, new)
        ]
        rows.append([_class(old["class"], found.classes), old["rows"], *cells])
    return Table("by-class", "Each class against the rest", columns, rows, ["class"])


def _class(place: int, names: Sequence[str] | None) -> str:
    return names[place] if names else str(place)


def _confusion(side: str, matrix: Sequence[Sequence[int]], names: Sequence[str] | None) -> Table:
    """Return a confusion matrix; of many classes, which nobody reads, what is confused most."""
    if len(matrix) <= _MOST_CLASSES:
        columns = ["true \\ decided", *(_class(i, names) for i in range(len(matrix)))]
        rows: list[Cells] = [[_class(i, names), *row] for i, row in enumerate(matrix)]
        return Table(f"confusion-{side}", f"Confusion matrix, {side}", columns, rows)
    wrong: list[Cells] = [
        [_class(truth, names), _class(decided, names), count]
        for truth, row in enumerate(matrix)
        for decided, count in enumerate(row)
        if count and truth != decided
    ]
    wrong.sort(key=lambda cell: -cell[2])
    title = f"What is confused most, {side}"
    return Table(f"confusion-{side}", title, ["true", "decided", "rows"], wrong[:_MOST_CONFUSED])


def _bands(found: Comparison) -> list[Table]:
    """Return the gains tables of both models."""
    columns = ["score", "rows", "class 1", "rate", "lift", "down to here", "gain", "total lift"]
    tables = []
    for side, metrics in (("old", found.old_metrics), ("new", found.new_metrics)):
        rows: list[Cells] = [
            [
                bin_range(band["low"], band["high"]),
                band["rows"],
                band["positives"],
                percent(band["rate"]),
                f"{band['lift']:.3g}",
                percent(band["share"]),
                percent(band["gain"]),
                f"{band['cumulative_lift']:.3g}",
            ]
            for band in metrics.get("bands", ())
        ]
        tables.append(Table(f"bands-{side}", f"Gains by score band, {side}", columns, rows))
    return tables


def _shifts(found: Comparison) -> list[Table]:
    """Return what has shifted since the reference."""
    if found.reference is None:
        return []
    seen = found.reference
    rows: list[Cells] = [["old model", f"{seen.old_psi:.3g}"], ["new model", f"{seen.new_psi:.3g}"]]
    title = f"Scores: the data against {seen.sampled_rows} rows of the reference"
    tables = [Table("reference", title, ["scores of the", "PSI"], rows)]
    inputs: list[Cells] = [
        [item.name, f"{item.psi:.3g}", percent(item.old_missing), percent(item.new_missing)]
        for item in found.input_psi[:_MOST_INPUTS]
    ]
    title = f"Inputs: {seen.data_rows} rows of the data against the reference"
    columns = ["input", "PSI", "missing in the reference", "missing in the data"]
    tables.append(Table("input-psi", _of_many(title, found.input_psi), columns, inputs, ["input"]))
    if found.input_psi:
        most = found.input_psi[0]
        title = f"The input that shifts most: {most.name}"
        tables.append(psi_table("input-bins", title, most.bins, ("reference", "data")))
    return tables


def _importance(found: Comparison) -> Table:
    if found.importance is None:
        return Table("importance", "", [], [])
    rows: list[Cells] = [
        [item.name, number(item.old), number(item.new), f"{item.new - item.old:+.3g}"]
        for item in found.importance.inputs[:_MOST_INPUTS]
    ]
    what = loss_of(found.importance.measure)
    title = f"Importance: {what} when an input is shuffled, {found.importance.rows} rows"
    columns = ["input", "old", "new", "difference"]
    title = _of_many(title, found.importance.inputs)
    return Table("importance", title, columns, rows, ["input"])


def _of_many(title: str, inputs: Sequence[Any]) -> str:
    return f"{title}, the first {_MOST_INPUTS}" if inputs[_MOST_INPUTS:] else title


def _movers(found: Comparison, values: int) -> Table:
    indexes = [m.row for m in found.movers]
    rows = [
        [number(m.old), number(m.new), first(m.inputs, values, found.columns, m.texts)]
        for m in found.movers
    ]
    columns = ["old", "new", "inputs"]
    return table_of_rows(
        "movers", "The rows that move most", found.first_row, indexes, columns, rows, ["inputs"]
    )


def _old_and_new(
    id: str, title: str, names: Sequence[str], old: Sequence[float], new: Sequence[float]
) -> Table:
    rows: list[Cells] = [
        [name, number(a), number(b), f"{b - a:+.3g}"]
        for name, a, b in zip(names, old, new, strict=True)
    ]
    return Table(id, title, ["figure", "old", "new", "difference"], rows)
