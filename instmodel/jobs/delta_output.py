"""A Delta table as the output: one commit for the whole run, and none for a run that was there."""

from __future__ import annotations

import contextlib
import json
import tempfile
from typing import BinaryIO, cast

from instmodel.jobs.event_job import RowScoring
from instmodel.jobs.job import Advance, Job, Result
from instmodel.jobs.single_file import BadRowsFile, score_files
from instmodel.stores import Location, location
from instmodel.tables.delta_history import SAME
from instmodel.tables.delta_writer import DeltaWriter
from instmodel.tables.inputs import Source
from instmodel.tables.logs import digest
from instmodel.version import __version__


def run(
    job: Job,
    root: Location,
    sources: list[Source],
    result: Result,
    advance: Advance,
    scoring: RowScoring,
) -> None:
    """Score every file into a Delta table."""
    assert job.delta is not None
    with tempfile.TemporaryFile() as spooled:
        spool = cast(BinaryIO, spooled)
        writer = DeltaWriter(spool, root, job.delta, _identity(job, sources))
        if writer.committed():
            result.repeated = True
            return
        writer.check_mode()
        # The list comes before the commit: repeated, a run that has committed writes none.
        with contextlib.ExitStack() as stack:
            bad = None
            if job.bad_rows is not None:
                file = stack.enter_context(location(job.bad_rows).replacing())
                bad = BadRowsFile(file, header=True)
            score_files(job, sources, writer, bad, result, advance, scoring)
        result.rows, result.bad_rows = result.metrics.rows, result.metrics.bad_rows
        result.parts = result.metrics.parts["scored"] = 1
        told = {
            "instmodel.version": __version__,
            "instmodel.model_version": job.version,
            "instmodel.scored_at": result.scored_at,
            "instmodel.rows": str(result.rows),
            "instmodel.bad_rows": str(result.bad_rows),
            "instmodel.run_id": job.delta.run_id,
        }
        version = writer.commit({name: text for name, text in told.items() if text is not None})
        result.output_version, result.repeated = version, version is None
        if not result.repeated:
            result.count_added(result.rows, result.bad_rows, 1)


def _identity(job: Job, sources: list[Source]) -> dict[str, str | None]:
    """Return what is the same if the run is repeated.

    Nobody can tell what a pipe is going to hold.
    """
    once = any(source.once for source in sources)
    found = None if once else [[source.name, source.stamp()] for source in sources]
    return {
        SAME["input"]: None if found is None else _digest(found),
        SAME["model"]: job.model.digest,
        SAME["options"]: _digest(job.meaning()),
    }


def _digest(value: object) -> str:
    return digest(json.dumps(value, sort_keys=True).encode())
