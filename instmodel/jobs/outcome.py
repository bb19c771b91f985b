"""What a run did, as the JSON that other programs read."""

from __future__ import annotations

import os
from typing import Any

from instmodel.errors import InstModelError, without_secrets
from instmodel.jobs.job import Job, Result
from instmodel.stores import AnyPath, location

_PLACES = ("file", "row", "line", "column", "field")
# What stands for the code of errors that are not ours.
_OTHERS: dict[type[BaseException], str] = {
    OSError: "os_error",
    MemoryError: "out_of_memory",
    KeyboardInterrupt: "stopped",
}


def outcome(result: Result, job: Job | None, error: BaseException | None = None) -> dict[str, Any]:
    """Return what a run did; docs/jobs.md lists the keys, which are always there.

    Parameters
    ----------
    result : Result
        Also of a run that failed: what it had done by then.
    job : Job, optional
        None if the run failed before there was one.
    error : BaseException, optional
        What made it fail.
    """
    metrics = result.metrics
    return {
        "status": "ok" if error is None else "error",
        "error": None if error is None else _error(error),
        "rows": result.rows,
        "bad_rows": result.bad_rows,
        "parts": result.parts,
        "added_rows": result.added_rows,
        "added_bad_rows": result.added_bad_rows,
        "added_parts": result.added_parts,
        "scored_rows": metrics.rows,
        "scored_bad_rows": metrics.bad_rows,
        "bad_rows_by_reason": dict(sorted(metrics.reasons.items())),
        "scored_parts": metrics.parts["scored"],
        "reused_parts": metrics.parts["reused"],
        "removed_parts": metrics.parts["removed"],
        "scored_at": result.scored_at,
        "seconds": round(metrics.seconds, 6),
        "model_digest": metrics.digest or None,
        "model_version": metrics.version,
        "inputs": None if result.inputs is None else result.inputs.to_dict(),
        "table": dict(result.table) or None,
        "output_version": result.output_version,
        "repeated": result.repeated,
        "sequences": result.sequences,
        "outputs": None if job is None else _outputs(result, job),
    }


def _outputs(result: Result, job: Job) -> dict[str, str | None]:
    places: dict[str, AnyPath | None] = {
        "scores": job.path,
        "bad_rows": job.bad_rows,
        "metrics": job.metrics,
        "states": job.states[1],
    }
    shown = {name: None if path is None else str(location(path)) for name, path in places.items()}
    return shown | {"manifest": None if result.manifest is None else str(result.manifest)}


def _error(error: BaseException) -> dict[str, Any]:
    """Return what went wrong, and where."""
    if isinstance(error, InstModelError):
        places = {name: getattr(error, name) for name in _PLACES}
        shown = {
            name: value if isinstance(value, int | None) else without_secrets(str(value))
            for name, value in places.items()
        }
        columns = [str(name) for name in error.columns]
        return {"code": error.code, "message": str(error), **shown, "columns": columns}
    code = next((code for kind, code in _OTHERS.items() if isinstance(error, kind)), "unexpected")
    file = error.filename if isinstance(error, OSError) else None
    shown = dict.fromkeys(_PLACES) | {"file": file and without_secrets(os.fsdecode(file))}
    # Of a signal, an error holds the exit code alone.
    message = code if isinstance(error, KeyboardInterrupt) else without_secrets(str(error))
    return {"code": code, "message": message, **shown, "columns": []}
