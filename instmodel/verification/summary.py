"""What a person is told of a verification; a terminal and a page show the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from instmodel.tables.cells import shown as cell
from instmodel.tables.keys import shown
from instmodel.tables.unknown_text import UnknownText
from instmodel.verification.changes import MOST_CHANGES
from instmodel.verification.coverage import Coverage, gap_rows
from instmodel.verification.limits import NO_DIFFERENCE, Verdict
from instmodel.verification.verifying import Verification

Cells = list[Any]

# Gaps and changes that a person reads; --json has them all.
_SHOWN_GAPS, _SHOWN_CHANGES = 10, 10


@dataclass(frozen=True, slots=True)
class Table:
    """A table for a person.

    Attributes
    ----------
    id : str
        Its name in a page.
    title : str
    columns : sequence of str
    rows : sequence of list
        One cell per column; anything with a `str`.
    text : sequence of str
        The columns that hold text of any length, which may break into lines.
    """

    id: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Cells]
    text: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """What a person is told; nothing in it is escaped yet.

    Attributes
    ----------
    title : str
        What was compared with what.
    verdict : str
    alarm : bool or None
        Whether the verdict is bad news; None where nobody set a limit.
    finding : str
        The cause in a sentence; empty without one.
    notes : list of str
        Sentences about how it was done.
    tables : list of Table
        Those that have rows.
    limits : Table or None
        The limits and whether they hold, if there are any.
    """

    title: str
    verdict: str
    alarm: bool | None
    finding: str
    notes: list[str]
    tables: list[Table]
    limits: Table | None = None


def verification_summary(found: Verification, name: str, values: int) -> Summary:
    """Return what a person is told of a verification.

    Parameters
    ----------
    found : Verification
    name : str
        What the model is called.
    values : int
        How many values of a row are shown.
    """
    outcome = "same in" if found.same else f"DIFFERENT in {found.rows_different} of"
    finding = ""
    if found.divergence is not None:
        finding = f"First difference: {found.divergence}"
    elif found.note:
        finding = f"No instruction is at fault: {found.note}"
    elif found.digest_against and found.digest_against != found.digest:
        finding = _other_document(found)
    tables = [
        _outputs(found),
        _worst(found, values),
        _changes(found),
        coverage_table(found.coverage),
    ]
    return Summary(
        title=f"{name} against {found.against}",
        verdict=f"{outcome} {found.rows} rows (tolerance {found.tolerance})",
        alarm=not found.same,
        finding=finding,
        notes=[
            *_speeds(found),
            *coverage_notes(found.coverage),
            *unknown_notes(found.unknown_texts),
        ],
        tables=[table for table in tables if table.rows],
    )


def judged(summary: Summary, verdict: Verdict) -> Summary:
    """Return a summary with what its limits say.

    A verification that has no limits beside its tolerance is told as it is.
    """
    if verdict.holds is None:
        return replace(summary, verdict=f"{summary.verdict}; no limits set", alarm=None)
    if [outcome.limit for outcome in verdict.outcomes] == [NO_DIFFERENCE]:
        return summary
    count = len(verdict.outcomes)
    broken = sum(not outcome.holds for outcome in verdict.outcomes)
    if count == 1:
        said = "the limit is BROKEN" if broken else "the limit holds"
    else:
        said = f"{broken} of {count} limits BROKEN" if broken else f"all {count} limits hold"
    return replace(
        summary,
        verdict=f"{said}: {summary.verdict}",
        alarm=bool(broken),
        limits=_limits(verdict),
    )


def _limits(verdict: Verdict) -> Table:
    rows: list[Cells] = []
    for outcome in verdict.outcomes:
        limit = outcome.limit
        value = f"{100 * outcome.value:.4g} %" if limit.share else f"{outcome.value:.6g}"
        said = "holds" if outcome.holds else "BROKEN"
        rows.append([limit.figure, said, value, str(limit), outcome.place])
    # What a phone has no room for stands last.
    columns = ["figure", "verdict", "found", "limit", "at"]
    return Table("limits", "Limits", columns, rows, ["figure", "at"])


def _speeds(found: Verification) -> list[str]:
    sides = (("the model", found.seconds), ("the other side", found.seconds_against))
    speeds = [f"{side} {found.rows / seconds:,.0f}" for side, seconds in sides if seconds]
    return [f"Rows a second: {', '.join(speeds)}."] if speeds else []


def _other_document(found: Verification) -> str:
    """Return in a sentence that another document gives the same, and in what it is another one."""
    digests = f"{found.digest[:12]}…, not {found.digest_against[:12]}…"
    start = f"The same outputs, but not the same document (digest {digests})"
    if not found.changes and not found.difference:
        return f"{start}: names, metadata or validation data differ, and nothing that is computed."
    parts = []
    if found.changes:
        least = "at least " if len(found.changes) == MOST_CHANGES else ""
        parts.append(f"{least}{len(found.changes)} of its constants and settings differ")
    if found.difference:
        parts.append(found.difference)
    return f"{start}: {'; '.join(parts)}."


def _changes(found: Verification) -> Table:
    rows: list[Cells] = [
        [f"{change.instruction} {change.type}", str(change)]
        for change in found.changes[:_SHOWN_CHANGES]
    ]
    title = _title("What the documents have in other ways", len(found.changes), _SHOWN_CHANGES)
    return Table("changes", title, ["instruction", "change"], rows, ["change"])


def unknown_notes(texts: Iterable[UnknownText]) -> list[str]:
    """Return in a sentence for each feature how much text no category knows."""
    return [
        f"Unknown text: {item.name} has text that is no category in {item.unknown_rows:,} of "
        f"{item.rows:,} rows, such as {cell(item.example)}."
        for item in texts
        if item.unknown_rows
    ]


def coverage_notes(coverage: Coverage | None, model: str = "the model") -> list[str]:
    """Return in a sentence how much of a model data reached."""
    if coverage is None:
        return []
    sample = ""
    if coverage.traced_rows < coverage.rows:
        sample = f"; what is computed was watched in a sample of {coverage.traced_rows:,}"
    return [
        f"Coverage: {coverage.rows:,} rows reached {coverage.reached:,} of the "
        f"{coverage.states:,} states of {model}{sample}."
    ]


def coverage_table(coverage: Coverage | None, where: str = "") -> Table:
    """Return what data never reached, as far as a person reads it."""
    gaps = coverage.gaps if coverage else []
    title = _title(f"What the data never reached{where}", len(gaps), _SHOWN_GAPS)
    columns = ["instruction", "never reached"]
    return Table("coverage", title, columns, gap_rows(gaps[:_SHOWN_GAPS]), columns[1:])


def _title(title: str, count: int, most: int) -> str:
    return title if count <= most else f"{title}: {most} of {count}"


def _outputs(found: Verification) -> Table:
    columns = [
        *("output", "max abs", "mean abs", "max rel", "mean rel", "max ULP", "mean ULP"),
        *("different", "NaN", "infinite"),
    ]
    rows = []
    for o in found.outputs:
        errors = (
            *(o.max_absolute, o.mean_absolute, o.max_relative, o.mean_relative),
            *(o.max_ulp, o.mean_ulp),
        )
        counts = (o.different, o.nan_mismatches, o.infinity_mismatches)
        rows.append([o.index, *(f"{error:.3g}" for error in errors), *counts])
    return Table("outputs", "Outputs", columns, rows)


def _worst(found: Verification, values: int) -> Table:
    cells = [
        [
            f"{w.excess:.3g}",
            *(first(part, values) for part in (w.actual, w.expected)),
            first(w.inputs, values, found.inputs, w.texts),
        ]
        for w in found.worst
    ]
    long = ["inputs"] if len(found.outputs) == 1 else ["model", "other", "inputs"]
    columns = ["× tolerance", "model", "other", "inputs"]
    indexes = [w.row for w in found.worst]
    return table_of_rows("worst", "The worst rows", found.first_row, indexes, columns, cells, long)


def table_of_rows(
    id: str,
    title: str,
    first_row: int,
    indexes: Iterable[int],
    columns: Sequence[str],
    rows: Iterable[Cells],
    text: Sequence[str],
) -> Table:
    """Return a table about rows of the data, with the numbers that a person counts by.

    Parameters
    ----------
    first_row : int
        The number of the first row of the data.
    indexes : iterable of int
        Where the rows are in the data, from 0.
    """
    numbered = [[first_row + index, *cells] for index, cells in zip(indexes, rows, strict=True)]
    return Table(id, f"{title}, counted from {first_row}", ["row", *columns], numbered, text)


def first(
    numbers: Sequence[float],
    count: int,
    names: Sequence[str] = (),
    texts: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the first values of a row, with their names if they have some; a sign if more.

    Those of `texts`, by name, are shown as text; an input that is NaN is missing.
    """
    cells = [f"{x:.7g}" for x in numbers[:count]]
    if names:
        cells = ["missing" if cell == "nan" else cell for cell in cells]
        pairs = zip(names, cells, strict=False)
        cells = [f"{name}={shown(texts[name]) if name in texts else x}" for name, x in pairs]
    return ", ".join(cells) + (" …" if numbers[count:] else "")
