"""Folders: one part for each file, and what is finished already stays as it is.

A run first finds out which parts are to be there and which of them are, then scores the others, and
lets `instmodel.jobs.staging` make the output of them.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from instmodel.errors import InputError
from instmodel.jobs.event_job import RowScoring
from instmodel.jobs.job import Advance, Job, Result
from instmodel.jobs.manifest import Manifest, Part, manifest_of, stamps
from instmodel.jobs.single_file import BadRowsFile, score_files
from instmodel.jobs.staging import Commit, Staging
from instmodel.stores import Location, location
from instmodel.tables.inputs import Source
from instmodel.tables.kinds import without_ending
from instmodel.tables.writers import Writer, open_writer

_BAD_ROWS_IN_MEMORY = 1 << 20


@dataclass
class _Step:
    """A part that is to be there.

    Attributes
    ----------
    origin : dict
        What `Part.source` is to be.
    done : Part or None
        The finished part, if there is one.
    is_new : bool
        Whether the output does not have it yet.
    """

    name: str
    source: Source
    origin: dict[str, Any]
    done: Part | None
    is_new: bool


def run(
    job: Job,
    output: Location,
    sources: list[Source],
    result: Result,
    advance: Advance,
    scoring: RowScoring,
) -> None:
    """Score every file of a folder into a part of another folder, `output`."""
    if output.parent.is_same(output):
        raise InputError(
            "invalid_table",
            "the work on the output and its manifest have no place beside it",
            file=job.path,
            expected="a folder in it",
        )
    with Staging.locked(output) as staging:
        ended = staging.recover(job.goes_on)
        before = _before(job, output, bool(ended))
        kind = _kind(job, sources, before)
        _check_names(job, sources, kind)
        meaning = {"format": kind, **job.meaning()}
        if before is not None:
            _check_options(job, meaning, before)
        there = {} if before is None else _there(job, output, before)
        staging.begin(meaning, anew=job.incremental)
        steps = _plan(job, sources, kind, there, staging)
        _check_bad_rows(job, steps)
        parts = _score(job, steps, staging, kind, result, advance, scoring)
        scoring.finish()
        manifest = Manifest(meaning, parts, result.table)
        result.rows, result.bad_rows = manifest.rows, manifest.bad_rows
        result.parts = len(parts)
        new = [part for step, part in zip(steps, parts, strict=True) if step.is_new]
        added = {part.part: part for part in [*ended, *new]}.values()
        counts = sum(part.rows for part in added), sum(part.bad_rows for part in added)
        result.count_added(*counts, len(added))
        if job.bad_rows is not None and (new or not location(job.bad_rows).exists()):
            _write_bad_rows(job, staging, new)
        if before is None:
            staging.commit(Commit(manifest, "swap" if job.overwrite else "new"))
        else:
            names = {part.part for part in parts}
            result.removed_parts = [part.part for part in before.parts if part.part not in names]
            moved = [part.part for part in new]
            staging.commit(Commit(manifest, "parts", moved, result.removed_parts))
        result.metrics.parts["removed"] = len(result.removed_parts)
        result.manifest = manifest_of(output)


def _kind(job: Job, sources: list[Source], before: Manifest | None) -> str:
    """Return the format of the parts, which an output that stays decides."""
    if job.format is not None:
        return job.format
    if before is not None:
        return str(before.job.get("format"))
    kinds = {source.kind for source in sources}
    return kinds.pop() if len(kinds) == 1 else sources[0].format


def _before(job: Job, output: Location, has_ended: bool) -> Manifest | None:
    """Return what the output holds; None if it is not there, or is to be replaced.

    `has_ended` says that this run ended what a killed one had committed.
    """
    if not output.exists():
        return None
    if not output.is_folder():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(output))
    manifest = Manifest.read(output)
    if not (job.goes_on or job.overwrite):
        raise _exists(job, "the output is already there")
    if job.overwrite and not (job.resume and has_ended):
        if manifest is None and output.files(hidden=True):
            raise _exists(job, "no job made this folder: --overwrite does not replace it")
        return None
    if manifest is None:
        raise _exists(job, "the output is already there, and no job made it")
    return manifest


def _check_options(job: Job, meaning: dict[str, Any], manifest: Manifest) -> None:
    """Refuse an output whose rows were shaped by other options."""
    names = dict.fromkeys([*meaning, *manifest.job])
    # An option that one of the two versions does not know counts as one that nobody gave.
    differ = [n for n in names if (manifest.job.get(n) or None) != (meaning.get(n) or None)]
    if differ:
        raise InputError(
            "resume_mismatch",
            f"the output was made with other options: {', '.join(differ)}",
            file=job.path,
            expected=_options(manifest.job, differ) + ", or --overwrite",
            actual=_options(meaning, differ),
        )


def _options(job: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name} {json.dumps(job.get(name))}" for name in names)


def _exists(job: Job, message: str) -> InputError:
    return InputError("output_exists", message, file=job.path, expected="a name that is free")


def _plan(
    job: Job, sources: list[Source], kind: str, there: dict[str, Part], staging: Staging
) -> list[_Step]:
    """Return the parts that are to be there, with those that are finished."""
    staged = {part.part: part for part in staging.finished() if _is_of_model(job, part)}
    steps = []
    for source in sources:
        name, origin = _part_name(source, kind), {"name": source.name, **source.stamp()}
        step = _Step(name, source, origin, None, is_new=True)
        for found in (staged, there):
            if name in found and found[name].source == origin:
                step.done, step.is_new = found[name], found is staged
        steps.append(step)
    return steps


def _there(job: Job, output: Location, before: Manifest) -> dict[str, Part]:
    """Return the parts of an output that may stay, by name.

    Raises
    ------
    InputError
        ``resume_mismatch``: another model scored some, and nobody said what to do with them.
    """
    others = [part for part in before.parts if not _is_of_model(job, part)]
    if others and job.model_change is None:
        raise InputError(
            "resume_mismatch",
            f"another model scored {len(others)} of the {len(before.parts)} parts: "
            "--model-change says whether to keep or to rescore them",
            file=job.path,
            expected=_model_name(job.model.digest, job.version),
            actual=_model_name(others[0].model, others[0].model_version),
        )
    now = stamps(output)
    there = {}
    for part in before.parts:
        stays = job.model_change == "keep" or _is_of_model(job, part)
        # Of its stamp, only the size goes along when the part is moved or copied.
        if stays and now.get(part.part, {}).get("size") == part.stamp["size"]:
            there[part.part] = part
    return there


def _is_of_model(job: Job, part: Part) -> bool:
    told = "model_version" in job.provenance
    return part.model == job.model.digest and (not told or part.model_version == job.version)


def _model_name(digest: str, version: str | None) -> str:
    return digest if version is None else f"{digest} ({version})"


def _part_name(source: Source, kind: str) -> str:
    return f"{without_ending(source.name)}.{kind}"


def _check_names(job: Job, sources: list[Source], kind: str) -> None:
    """Refuse files of which one part would replace another: ``a.pq`` and ``a.parquet``."""
    owners: dict[str, str] = {}
    for source in sources:
        other = owners.setdefault(_part_name(source, kind), source.name)
        if other != source.name:
            raise InputError(
                "invalid_table",
                f"{other} and {source.name} would become the same part",
                file=job.input_path,
                expected="names that differ in more than their ending",
            )


def _score(
    job: Job,
    steps: list[_Step],
    staging: Staging,
    kind: str,
    result: Result,
    advance: Advance,
    scoring: RowScoring,
) -> list[Part]:
    """Score the parts that are not finished; return all of them."""
    counts = result.metrics.parts
    result.reused_parts = counts["reused"] = sum(step.done is not None for step in steps)

    def part_of(index: int) -> Advance:
        return lambda fraction, rows: advance((index + fraction) / len(steps), rows)

    columns = next((step.done.columns for step in steps if step.done and step.done.columns), {})
    parts = []
    for index, step in enumerate(steps):
        if step.done is not None and step.is_new and result.metrics.inputs is not None:
            result.metrics.inputs.add_state(staging.inputs(step.name))
        if step.done is None:
            writing = partial(_writer, kind, columns)
            step.done = _score_part(job, step, staging, writing, result, part_of(index), scoring)
            columns = columns or step.done.columns
            counts["scored"] += 1
        parts.append(step.done)
        part_of(index)(1.0, result.metrics.rows)
    return parts


def _writer(kind: str, columns: Mapping[str, str], file: BinaryIO) -> Writer:
    writer = open_writer(kind, file)
    writer.lie_beside(columns)
    return writer


def _score_part(
    job: Job,
    step: _Step,
    staging: Staging,
    writing: Callable[[BinaryIO], Writer],
    result: Result,
    advance: Advance,
    scoring: RowScoring,
) -> Part:
    metrics = result.metrics
    rows, bad_rows = metrics.rows, metrics.bad_rows
    with SpooledTemporaryFile(_BAD_ROWS_IN_MEMORY) as spooled, metrics.counting_apart() as inputs:
        bad = cast(BinaryIO, spooled)
        with staging.writing(step.name) as file:
            listed = BadRowsFile(bad, header=False)
            writer = writing(file)
            score_files(
                *(job, [step.source], writer, listed, result, advance, scoring), in_partition=True
            )
        part = Part(
            part=step.name,
            source=step.origin,
            stamp=staging.stamp(step.name),
            rows=metrics.rows - rows,
            bad_rows=metrics.bad_rows - bad_rows,
            model=job.model.digest,
            model_version=job.version,
            scored_at=result.scored_at,
            columns=writer.columns,
        )
        bad.seek(0)
        staging.add(part, bad, None if inputs is None else inputs.state())
    return part


# ---------------------------------------------------------------------------------------- bad rows


def _check_bad_rows(job: Job, steps: Iterable[_Step]) -> None:
    """Refuse to list the bad rows of parts whose lists are gone.

    An incremental run lists those of the parts that it adds.
    """
    if job.bad_rows is None or job.incremental or location(job.bad_rows).exists():
        return
    if any(step.done and step.done.bad_rows and not step.is_new for step in steps):
        raise InputError(
            "output_exists",
            "the output is complete, and a list of its bad rows was not kept",
            file=job.bad_rows,
        )


def _write_bad_rows(job: Job, staging: Staging, parts: Iterable[Part]) -> None:
    assert job.bad_rows is not None
    with location(job.bad_rows).replacing() as file:
        BadRowsFile(file, header=True)
        for part in parts:
            if part.bad_rows:
                with staging.bad_rows(part.part) as bad:
                    shutil.copyfileobj(bad, file)
