"""What a person is told of a comparison; a terminal and a page show the same."""

from __future__ import annotations

from collections.abc import Sequence

from instmodel.comparison.comparing import Comparison
from instmodel.comparison.groups import Group, OtherGroups
from instmodel.comparison.metrics import LEADING, plain_numbers
from instmodel.comparison.moves import QUANTILES
from instmodel.tables.keys import shown
from instmodel.verification.summary import Cells, Summary, Table, first, table_of_rows

# Columns of a confusion matrix that a person reads, and the cells that stand for a larger one.
_MOST_CLASSES = 15
_MOST_CONFUSED = 15


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
    share = 100 * found.flips / found.rows
    ways = (
        f" ({found.flips_up} up, {found.flips_down} down)"
        if found.flips_up or found.flips_down
        else ""
    )
    notes = [f"Output {found.output}, threshold {found.threshold:g}."]
    if found.sampled_rows < found.rows:
        notes.append(f"Quantiles, PSI, correlation and metrics are of {found.sampled_rows} rows.")
    tables = [
        _scores(found),
        _moves(found),
        *_against_labels(found),
        groups_table(found),
        _movers(found, values),
    ]
    return Summary(
        title=f"{old} → {new}",
        verdict=f"{found.flips} of {found.rows} decisions flip, {share:.3g} %{ways}",
        alarm=False,
        finding="" if found.largest_move else "No row moves.",
        notes=notes,
        tables=[table for table in tables if table.rows],
    )


def _scores(found: Comparison) -> Table:
    names = ["mean", "std", "least", "greatest", *(f"{100 * q:g} %" for q in QUANTILES)]
    old, new = (
        [side.mean, side.std, side.least, side.greatest, *side.quantiles]
        for side in (found.old, found.new)
    )
    return _old_and_new("scores", "Scores", names, old, new)


def _moves(found: Comparison) -> Table:
    figures = {
        "population stability index": found.psi,
        "rank correlation": found.rank_correlation,
        "mean move": found.mean_move,
        "largest move": found.largest_move,
    }
    rows: list[Cells] = [[name, _number(figure)] for name, figure in figures.items()]
    return Table("moves", "Moves", ["figure", "value"], rows)


def _against_labels(found: Comparison) -> list[Table]:
    if found.task is None:
        return []
    old, new = plain_numbers(found.old_metrics), plain_numbers(found.new_metrics)
    # Log loss is of probabilities, which the scores of the new model need not be.
    theirs = [new.get(name, float("nan")) for name in old]
    title = f"Against the labels ({found.task})"
    tables = [_old_and_new("metrics", title, list(old), list(old.values()), theirs)]
    for side, metrics in (("old", found.old_metrics), ("new", found.new_metrics)):
        if "confusion_matrix" in metrics:
            tables.append(_confusion(side, metrics["confusion_matrix"]))
    return tables


def _confusion(side: str, matrix: Sequence[Sequence[int]]) -> Table:
    """Return a confusion matrix; of many classes, which nobody reads, what is confused most."""
    if len(matrix) <= _MOST_CLASSES:
        columns = ["true \\ decided", *map(str, range(len(matrix)))]
        rows: list[Cells] = [[i, *row] for i, row in enumerate(matrix)]
        return Table(f"confusion-{side}", f"Confusion matrix, {side}", columns, rows)
    wrong: list[Cells] = [
        [truth, decided, count]
        for truth, row in enumerate(matrix)
        for decided, count in enumerate(row)
        if count and truth != decided
    ]
    wrong.sort(key=lambda cell: -cell[2])
    title = f"What is confused most, {side}"
    return Table(f"confusion-{side}", title, ["true", "decided", "rows"], wrong[:_MOST_CONFUSED])


def groups_table(found: Comparison) -> Table:
    """Return the figures of the groups, and of those together that have no line of their own."""
    columns = ["value", "rows", "old mean", "new mean", "flips"]
    leading = LEADING.get(found.task or "")
    if leading:
        columns += [f"old {leading}", f"new {leading}"]
    named: list[tuple[str, Group | OtherGroups]] = [(shown(g.value), g) for g in found.groups]
    if found.other_groups is not None:
        named.append((f"({found.other_groups.values} others)", found.other_groups))
    rows: list[Cells] = []
    for name, g in named:
        row: Cells = [name, g.rows, _number(g.old_mean), _number(g.new_mean), g.flips]
        if leading:
            row += [_number(m.get(leading, float("nan"))) for m in (g.old_metrics, g.new_metrics)]
        rows.append(row)
    return Table("groups", "By group", columns, rows, ["value"])


def _movers(found: Comparison, values: int) -> Table:
    indexes = [m.row for m in found.movers]
    rows = [[_number(m.old), _number(m.new), first(m.inputs, values)] for m in found.movers]
    columns = ["old", "new", "inputs"]
    return table_of_rows(
        "movers", "The rows that move most", found.first_row, indexes, columns, rows, ["inputs"]
    )


def _old_and_new(
    id: str, title: str, names: Sequence[str], old: Sequence[float], new: Sequence[float]
) -> Table:
    rows: list[Cells] = [
        [name, _number(a), _number(b), f"{b - a:+.3g}"]
        for name, a, b in zip(names, old, new, strict=True)
    ]
    return Table(id, title, ["figure", "old", "new", "difference"], rows)


def _number(value: float) -> str:
    return f"{value:.6g}"
