"""Score files into one file: a reader, scoring threads and a writer overlap."""

from __future__ import annotations

import contextlib
import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO, cast

from instmodel.errors import InputError, InstModelError
from instmodel.jobs.event_job import RowScoring
from instmodel.jobs.job import Advance, Job, Result
from instmodel.jobs.metrics import Metrics
from instmodel.jobs.pipeline import overlap, timed
from instmodel.jobs.provenance import Constants
from instmodel.signatures.counting import Tally
from instmodel.tables.batches import BatchScorer, Scored
from instmodel.tables.inputs import Source
from instmodel.tables.options import OnBadRow
from instmodel.tables.reader import Reader, Rows
from instmodel.tables.readers import reading
from instmodel.tables.scoring import BadRow
from instmodel.tables.writers import Writer


class BadRowsFile:
    """CSV of the rows that could not be scored: file, row (from 1), column, reason."""

    def __init__(self, file: BinaryIO, header: bool) -> None:
        self._file = file
        if header:
            self._write([("file", "row", "column", "reason")])

    def add(self, name: str, scored: Scored) -> None:
        """Add the bad rows of a batch."""
        self._write((name, bad.row, bad.column, _reason(bad)) for bad in scored.bad)

    def _write(self, rows: Any) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode(errors="surrogateescape"))  # file names may be


def _reason(bad: BadRow) -> str:
    return f"{bad.cell.message} (got {bad.cell.actual}) [{bad.cell.code}]"


def score_files(
    job: Job,
    sources: Sequence[Source],
    writer: Writer,
    bad: BadRowsFile | None,
    result: Result,
    advance: Advance,
    scoring: RowScoring,
    in_partition: bool = False,
) -> None:
    """Score files of one schema, one after the other, into one output.

    `in_partition` says that the file lies in folders that hold the columns of the partition: in the
    file, too, readers would not know which of the two types is meant.
    """
    metrics = result.metrics
    constants = Constants(job.constants(result.scored_at), writer.dictionaries)
    sizes = [source.stamp()["size"] or 1 for source in sources]
    with writer:
        for index, source in enumerate(sources):
            told = partial(_tell, advance, metrics, sum(sizes[:index]), sizes[index], sum(sizes))
            with reading(source), contextlib.closing(scoring.opened(source)) as reader:
                names, scorer = _scorer(job, scoring, reader, in_partition, metrics.inputs)
                folders = reader.in_folders if in_partition else ()
                if not scoring.only_last:
                    writer.begin(constants.extended(scorer.schema, folders))
                batches = timed(reader.batches(names, job.batch_rows), metrics.add_read)
                told_reader = partial(told, reader)

                def write(batch: Any) -> None:
                    if not scoring.only_last:
                        writer.write(constants.added(batch))

                at_a_time = scoring.at_a_time or metrics.threads
                _score_rows(batches, scorer, source, metrics, write, bad, told_reader, at_a_time)
        start = time.perf_counter()
        if scoring.only_last:
            schema, rows = scoring.last_rows()
            writer.begin(constants.extended(schema, ()))
            for batch in rows:
                writer.write(constants.added(batch))
        writer.finish()
        metrics.write += time.perf_counter() - start


def _tell(
    advance: Advance, metrics: Metrics, before: int, size: int, whole: int, reader: Reader
) -> None:
    advance((before + size * reader.fraction()) / whole, metrics.rows)


def _on_unexpected(job: Job) -> OnBadRow:
    if job.check_inputs == "null":
        return "skip" if job.on_bad_row == "skip" else "null"
    return "error"


def _scorer(
    job: Job, scoring: RowScoring, reader: Reader, in_partition: bool, inputs: Tally | None
) -> tuple[list[str], BatchScorer]:
    """Return the names of the columns to read, and what scores them."""
    import pyarrow as pa

    def scorer(schema: Any) -> BatchScorer:
        return scoring.scorer(
            schema,
            replace(job.options, keep=keep),
            watches=None if inputs is None else inputs.fresh,
            on_unexpected=_on_unexpected(job),
        )

    if job.keep:
        reader.learn()
    keep = job.options.kept_columns(reader.schema.names)
    if in_partition:
        keep = [name for name in keep if name not in reader.in_folders]
    try:
        whole = scorer(reader.schema)
    except InputError:
        if not reader.learn():
            raise
        whole = scorer(reader.schema)
    needed = sorted({*(slot.position for slot in whole.slots), *whole.kept, *whole.beside})
    schema = pa.schema([reader.schema.field(position) for position in needed])
    return schema.names, scorer(schema)


def _score_rows(
    batches: Any,
    scorer: BatchScorer,
    source: Source,
    metrics: Metrics,
    write: Callable[[Any], None],
    bad: BadRowsFile | None,
    told: Callable[[], None],
    at_a_time: int,
) -> None:
    def numbered() -> Any:
        row = 1  # as people count the rows of a file
        for rows in batches:
            yield rows, row
            row += rows.count

    def work(item: tuple[Rows, int]) -> tuple[Scored, int, float]:
        rows, first = item
        start = time.perf_counter()
        chunk, kept = rows.chunk(scorer.slots, first), rows.kept(scorer.kept)
        try:
            scored = scorer.score_chunk(chunk, kept, rows.kept(scorer.beside), first)
        except InstModelError as error:
            if rows.numbers is None or error.row is None:
                raise
            raise error.in_row(1 + int(rows.numbers[error.row - first])) from None
        if rows.numbers is not None:
            places = [cast(int, row.row) - first for row in scored.bad]
            numbers = 1 + rows.numbers[places]
            found = zip(scored.bad, numbers.tolist(), strict=True)
            scored = scored._replace(bad=[row._replace(row=number) for row, number in found])
        return scored, rows.count, time.perf_counter() - start

    def sink(done: tuple[Scored, int, float]) -> None:
        scored, rows, seconds = done
        start = time.perf_counter()
        write(scored.batch)
        if bad is not None and scored.bad:
            bad.add(source.name, scored)
        metrics.rows += rows
        metrics.bad_rows += len(scored.bad)
        metrics.reasons.update(row.cell.code for row in scored.bad)
        if metrics.inputs is not None:
            metrics.inputs.add(cast(Tally, scored.watch))
        metrics.score += seconds
        metrics.batches.append(seconds)
        metrics.write += time.perf_counter() - start
        told()

    overlap(numbered(), work, sink, at_a_time)
