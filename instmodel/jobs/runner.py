"""Do a scoring job.

Design
------
A. `instmodel.jobs.files` turns files into one file; a bounded number of batches is under way.
B. A single output is written to a temporary sibling that replaces it at the end
   (`instmodel.atomic`).
C. For a folder, every input file makes one part (`instmodel.jobs.dataset`): finished parts survive
   whatever happens, and the folder appears under its name when all are there.
"""

from __future__ import annotations

import contextlib
import os
import time

from instmodel.atomic import replacing
from instmodel.cpus import default_thread_count
from instmodel.errors import InputError
from instmodel.extras import require
from instmodel.jobs import dataset, places
from instmodel.jobs.files import BadRowsFile, score_files
from instmodel.jobs.inputs import Source, find, format_of
from instmodel.jobs.job import Advance, Job, Result


def run(job: Job, advance: Advance = lambda fraction, rows: None) -> Result:
    """Do a job.

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
    job.check()
    places.check({"output": job.output, "list of bad rows": job.bad_rows}, {"input": job.input})
    result = Result()
    result.metrics.threads = job.threads or default_thread_count().threads
    result.metrics.digest = job.model.info.digest()
    sources = find(job.input)
    if os.path.isdir(job.input) and format_of(job.output) is None:
        dataset.run(job, sources, result, advance)
    else:
        _run_to_file(job, sources, result, advance)
    result.metrics.seconds = time.perf_counter() - begin
    return result


def _run_to_file(job: Job, sources: list[Source], result: Result, advance: Advance) -> None:
    kind = format_of(job.output)
    if kind is None:
        raise InputError(
            "invalid_table",
            "the name does not tell a format that this input and these options have; "
            "only a folder becomes a folder",
            file=job.output,
            expected="a name in .parquet, .csv, .arrow or .jsonl",
        )
    if job.format not in (None, kind):
        raise InputError(
            "invalid_table",
            "the name tells another format",
            file=job.output,
            expected=job.format,
            actual=kind,
        )
    with contextlib.ExitStack() as stack:
        bad = None
        if job.bad_rows is not None:
            bad = BadRowsFile(stack.enter_context(replacing(job.bad_rows)), header=True)
        file = stack.enter_context(replacing(job.output))
        score_files(job, sources, kind, file, bad, result, advance)
    result.rows, result.bad_rows = result.metrics.rows, result.metrics.bad_rows
