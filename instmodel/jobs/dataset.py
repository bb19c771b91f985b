"""Folders: one part for each file, finished parts kept, and the whole under its name at the end.

Design
------
A. Work goes on in a hidden sibling of the output, ``.NAME.instmodel-part``: parts at their final
   places inside, each written to a temporary file and renamed. So what has a part's name is whole.
B. A journal there says which job this is, and has a line for each finished part: its source, the
   source's size and time, and what was counted. A line is written after its part is on the disk,
   and one that is cut short counts as none.
C. At the end the manifest is written and the folder renamed. Killed before that, ``resume`` goes on
   with the parts that are missing; killed after it, the output is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from instmodel.base.atomic import replacing, sync_folder
from instmodel.errors import InputError
from instmodel.jobs.job import Advance, Job, Result
from instmodel.jobs.single_file import BadRowsFile, score_files
from instmodel.tables.inputs import Source

_ENDINGS = {"parquet": ".parquet", "csv": ".csv", "arrow": ".arrow", "jsonl": ".jsonl"}
_WORK = "_work"  # beside the parts until the end: the journal, and the bad rows of each part
MANIFEST = "_manifest.json"


def run(job: Job, output: Path, sources: list[Source], result: Result, advance: Advance) -> None:
    """Score every file of a folder into a part of another folder, `output`."""
    kind = job.format or sources[0].format
    _check_names(job, sources, kind)
    meaning = {"version": 1, "format": kind, **job.meaning()}
    if output.exists():
        _accept_finished(job, output, meaning, sources, result)
        return
    folder = output.parent / f".{output.name}.instmodel-part"
    if folder.exists() and not job.resume:
        with _locked(folder):
            shutil.rmtree(folder)
    (folder / _WORK).mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        done = _read_journal(folder, meaning)
        parts = []

        def part_of(index: int) -> Advance:
            return lambda fraction, rows: advance((index + fraction) / len(sources), rows)

        for index, source in enumerate(sources):
            part = _part_name(source, kind)
            entry = done.get(part)
            if entry is None or entry["source"] != {"name": source.name, **source.stamp()}:
                entry = _score_part(job, source, folder, part, kind, result, part_of(index))
                _append(folder, entry)
            else:
                result.reused_parts += 1
            parts.append(entry)
            part_of(index)(1.0, result.metrics.rows)
        _remove_others(folder, {entry["part"] for entry in parts})
        result.rows = sum(entry["rows"] for entry in parts)
        result.bad_rows = sum(entry["bad_rows"] for entry in parts)
        result.parts = len(parts)
        if job.bad_rows is not None:
            _write_bad_rows(job, folder, parts)
        manifest = {"job": meaning, "rows": result.rows, "bad_rows": result.bad_rows}
        with replacing(folder / MANIFEST) as file:
            file.write(json.dumps(manifest | {"parts": parts}, indent=1).encode() + b"\n")
        os.rename(folder, output)
        sync_folder(output.parent)
    shutil.rmtree(output / _WORK, ignore_errors=True)


def _accept_finished(
    job: Job, output: Path, meaning: dict[str, Any], sources: list[Source], result: Result
) -> None:
    """Take an output that is complete, if this job may and would have made it."""
    manifest: dict[str, Any] = {}
    if job.resume:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((output / MANIFEST).read_bytes())
            manifest = found if isinstance(found, dict) else {}
    stamps = [{"name": source.name, **source.stamp()} for source in sources]
    if manifest.get("job") != meaning or [entry["source"] for entry in manifest["parts"]] != stamps:
        raise InputError(
            "output_exists",
            "the output is already there" + (", from another job" if job.resume else ""),
            file=job.path,
            expected="a name that is free",
        )
    if job.bad_rows is not None and not os.path.exists(job.bad_rows):
        raise InputError(
            "output_exists",
            "the output is complete, and a list of its bad rows was not kept",
            file=job.bad_rows,
        )
    shutil.rmtree(output / _WORK, ignore_errors=True)
    result.rows, result.bad_rows = manifest["rows"], manifest["bad_rows"]
    result.parts = result.reused_parts = len(manifest["parts"])


def _part_name(source: Source, kind: str) -> str:
    return str(PurePosixPath(source.name).with_suffix(_ENDINGS[kind]))


def _check_names(job: Job, sources: list[Source], kind: str) -> None:
    """Refuse files of which one part would replace another: ``a.pq`` and ``a.parquet``."""
    owners: dict[str, str] = {}
    for source in sources:
        other = owners.setdefault(_part_name(source, kind), source.name)
        if other != source.name:
            raise InputError(
                "invalid_table",
                f"{other} and {source.name} would become the same part",
                file=job.input,
                expected="names that differ in more than their ending",
            )


def _score_part(
    job: Job,
    source: Source,
    folder: Path,
    part: str,
    kind: str,
    result: Result,
    advance: Advance,
) -> dict[str, Any]:
    stamp = source.stamp()
    target = folder / part
    listed_in = _bad_file(folder, part)
    for path in (target, listed_in):
        path.parent.mkdir(parents=True, exist_ok=True)
    metrics = result.metrics
    rows, bad_rows = metrics.rows, metrics.bad_rows
    with replacing(listed_in) as bad, replacing(target) as file:
        listed = BadRowsFile(bad, header=False)
        score_files(job, [source], kind, file, listed, result, advance, in_partition=True)
    return {
        "part": part,
        "source": {"name": source.name, **stamp},
        "rows": metrics.rows - rows,
        "bad_rows": metrics.bad_rows - bad_rows,
    }


def _bad_file(folder: Path, part: str) -> Path:
    return folder / _WORK / "bad" / (part + ".csv")


def _write_bad_rows(job: Job, folder: Path, parts: list[dict[str, Any]]) -> None:
    assert job.bad_rows is not None
    with replacing(job.bad_rows) as file:
        BadRowsFile(file, header=True)
        for entry in parts:
            with open(_bad_file(folder, entry["part"]), "rb") as bad:
                shutil.copyfileobj(bad, file)


def _remove_others(folder: Path, parts: set[str]) -> None:
    """Remove what a killed run left, and the parts of sources that are gone."""
    for path in list(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] != _WORK and name.as_posix() not in parts:
            path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and path.relative_to(folder).parts[0] != _WORK:
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()


# ----------------------------------------------------------------------------------------- journal


def _read_journal(folder: Path, meaning: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the finished parts by name; begin a journal where there is none."""
    journal = folder / _WORK / "journal.jsonl"
    lines = []
    if journal.exists():
        for line in journal.read_bytes().splitlines(keepends=True):
            try:
                lines.append(json.loads(line) if line.endswith(b"\n") else None)
            except ValueError:
                lines.append(None)
    if not lines or lines[0] is None:
        with replacing(journal) as file:
            file.write(json.dumps(meaning).encode() + b"\n")
        return {}
    if lines[0] != meaning:
        raise InputError(
            "resume_mismatch",
            "another job left its work there: run that one again, or this one without --resume",
            file=folder,
        )
    found = [line for line in lines[1:] if line is not None]
    return {entry["part"]: entry for entry in found if (folder / entry["part"]).exists()}


def _append(folder: Path, entry: dict[str, Any]) -> None:
    with open(folder / _WORK / "journal.jsonl", "r+b") as file:
        _end_line(file)
        file.write(json.dumps(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _end_line(file: BinaryIO) -> None:
    """Go to the end, behind a line break: a killed run may have left half a line."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let no other run work in the folder; the system unlocks it whatever happens."""
    try:
        import fcntl
    except ImportError:  # not POSIX
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "output_exists", "another run is working on this", file=folder
            ) from None
        yield
    finally:
        os.close(descriptor)
