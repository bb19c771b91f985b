"""Do a scoring job.

Design
------
A. `instmodel.jobs.single_file` turns files into one file; a bounded number of batches is under way.
B. A single output is written to a temporary sibling that replaces it at the end
   (`instmodel.base.atomic`).
C. For a Delta table, there is one commit at the end (`instmodel.jobs.delta_output`).
D. For a folder, every input file makes one part (`instmodel.jobs.dataset`): finished parts survive
   whatever happens, and the folder appears under its name when all are there.
"""

from __future__ import annotations

import contextlib
import os
import time

from instmodel.base.cpus import default_thread_count
from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.jobs import dataset, delta_output
from instmodel.jobs.event_job import RowScoring, scoring_of
from instmodel.jobs.job import Advance, Job, Result
from instmodel.jobs.single_file import BadRowsFile, score_files
from instmodel.stores import location, places
from instmodel.tables.inputs import Source, find, is_dataset, of_stream
from instmodel.tables.kinds import kind_of, parts_of
from instmodel.tables.writers import open_writer


def run(
    job: Job,
    advance: Advance = lambda fraction, rows: None,
    result: Result | None = None,
) -> Result:
    """Do a job.

    Parameters
    ----------
    job : Job
    advance : callable, optional
        Is told how far it is.
    result : Result, optional
        A new one, to be filled: also a run that fails then tells what it did.

    Returns
    -------
    Result

    Raises
    ------
    InstModelError
        What is wrong with the job, its input or a row; the output is then as it was before.
    OSError
    """
    require("pyarrow", "arrow")
    begin = time.perf_counter()
    result = result or Result()
    job.check_metrics()
    states_in, states_out = job.states
    written = {
        "output": job.path,
        "list of bad rows": job.bad_rows,
        "states that come out": states_out,
    }
    read = {"input": job.input_path, "states that go in": states_in}
    places.check({"metrics": job.metrics}, {**read, **written})
    metrics = result.metrics
    succeeded = False
    try:
        job.check()
        places.check(written, read)
        metrics.threads = job.threads or default_thread_count().threads
        metrics.digest, metrics.version = job.model.digest, job.version
        metrics.inputs = job.tally()
        sources = _sources(job)
        result.table = sources[0].table
        folder = None if job.path is None or kind_of(job.path) else job.path
        with scoring_of(job) as scoring:
            if job.delta is not None and job.path is not None:
                delta_output.run(job, location(job.path), sources, result, advance, scoring)
            elif folder is not None and job.input_path is not None and is_dataset(job.input_path):
                dataset.run(job, location(folder), sources, result, advance, scoring)
            else:
                _run_to_file(job, sources, result, advance, scoring)
        result.sequences = scoring.sequences
        metrics.added_rows, metrics.added_bad_rows = result.added_rows, result.added_bad_rows
        metrics.output_rows, metrics.output_bad_rows = result.rows, result.bad_rows
        metrics.output_parts = result.parts
        succeeded = True
    finally:
        metrics.seconds = time.perf_counter() - begin
        if job.metrics is not None:
            # What made the run fail is the error to raise, not that a full disk takes no metrics.
            with contextlib.nullcontext() if succeeded else contextlib.suppress(OSError):
                metrics.save(job.metrics, job.metrics_labels, succeeded)
    return result


def _sources(job: Job) -> list[Source]:
    if isinstance(job.input, str | os.PathLike):
        sources = find(job.input, job.moment, job.csv, job.input_format)
    else:
        sources = [of_stream(job.input, job.input_format or "csv", job.csv)]
    job.csv.check_used(sources[0].format)
    return sources


def _run_to_file(
    job: Job, sources: list[Source], result: Result, advance: Advance, scoring: RowScoring
) -> None:
    if job.incremental:
        raise InputError(
            "invalid_type",
            "only a folder that a folder becomes can be added to",
            field="incremental",
        )
    with contextlib.ExitStack() as stack:
        if isinstance(job.output, str | os.PathLike):
            kind = _kind(job.output, job.format)
            file = stack.enter_context(location(job.output).replacing())
        else:
            kind, file = job.format or "csv", job.output
        bad = None
        if job.bad_rows is not None:
            bad = BadRowsFile(stack.enter_context(location(job.bad_rows).replacing()), header=True)
        score_files(job, sources, open_writer(kind, file), bad, result, advance, scoring)
        scoring.finish()
    result.rows, result.bad_rows = result.metrics.rows, result.metrics.bad_rows
    result.parts = result.metrics.parts["scored"] = 1
    result.count_added(result.rows, result.bad_rows, 1)


def _kind(path: str | os.PathLike[str], wanted: str | None) -> str:
    """Return the format of a file by its name; refuse a name that tells none or another one."""
    kind = kind_of(path)
    if kind is None:
        raise InputError(
            "invalid_table",
            "the name does not tell a format that this input and these options have; "
            "only a folder becomes a folder",
            file=path,
            expected="a name in .parquet, .csv, .arrow or .jsonl; .csv and .jsonl also with .gz",
        )
    if wanted not in (None, kind, parts_of(kind)[0]):
        raise InputError(
            "invalid_table",
            "the name tells another format",
            file=path,
            expected=wanted,
            actual=kind,
        )
    return kind
