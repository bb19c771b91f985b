"""``instmodel score``, where it is a job: run it, and say what it did."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import repeat

import instmodel as im
from instmodel import jobs
from instmodel.base.extras import require
from instmodel.cli.arguments import OK, csv_options, loading, nulls
from instmodel.cli.console import progress, standard_output
from instmodel.errors import InputError, printable
from instmodel.jobs.metrics import Metrics, check_labels
from instmodel.signatures.words import input_notes
from instmodel.stores import places
from instmodel.tables.delta_options import DeltaOutput


def run(args: argparse.Namespace) -> int:
    """Run the job, and return the exit code."""
    if args.json and args.output == "-":
        raise InputError("invalid_type", "the scores go to standard output", field="json")
    result, job = jobs.Result(), None
    try:
        job = _job(args)
        if args.threads is not None:
            require("pyarrow", "arrow").set_cpu_count(min(args.threads, os.cpu_count() or 1))
        with progress(f"scoring {args.input}") as advance:
            jobs.run(job, advance, result)
    except BaseException as error:
        if args.json:
            print(json.dumps(jobs.outcome(result, job, error)))
        raise
    if args.output != "-":
        for line in _told(args, result):
            print(line, file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(jobs.outcome(result, job)))
    return OK


def _job(args: argparse.Namespace) -> jobs.Job:
    places.check(
        {
            "output": None if args.output == "-" else args.output,
            "list of bad rows": args.bad_rows,
            "metrics": args.metrics,
            "states that come out": args.states_out,
        },
        {
            "input": None if args.input == "-" else args.input,
            "model": args.model,
            "states that go in": args.states_in,
        },
    )
    labels = _labels(args.metrics_label or [])
    check_labels(labels)
    try:
        return jobs.Job(
            im.load(args.model, **loading(args)),
            sys.stdin.buffer if args.input == "-" else args.input,
            standard_output() if args.output == "-" else args.output,
            keep=args.keep or (),
            outputs=args.outputs,
            nulls="error" if args.nulls is None else nulls(args.nulls),
            on_bad_row=args.on_bad_row,
            check_inputs=args.check_inputs,
            bad_rows=args.bad_rows,
            format=None if args.format == "delta" else args.format,
            input_format=args.input_format,
            csv=csv_options(args),
            threads=args.threads,
            batch_rows=args.batch_rows,
            resume=args.resume,
            events=_events(args),
            delta=_delta(args),
            table_version=args.table_version,
            table_time=args.table_time,
            overwrite=args.overwrite,
            incremental=args.incremental,
            model_change=args.model_change,
            rename=_renamed(args.rename or []),
            provenance=args.provenance or (),
            model_version=args.model_version,
            metrics=args.metrics,
            metrics_labels=labels,
        )
    except BaseException:
        if args.metrics is not None:
            with contextlib.suppress(OSError):  # what made the run fail is the error to raise
                Metrics().save(args.metrics, labels, succeeded=False)
        raise


def _told(args: argparse.Namespace, result: jobs.Result) -> Iterator[str]:
    yield _said(args, result)
    if result.inputs is not None:
        for note in input_notes(result.inputs):
            yield printable(f"inputs: {note}")


def _said(args: argparse.Namespace, result: jobs.Result) -> str:
    rows, bad = result.rows, ""
    if result.bad_rows and args.on_bad_row == "skip":
        rows, bad = rows - result.bad_rows, f", {result.bad_rows} bad left out"
    elif result.bad_rows:
        bad = f", {result.bad_rows} of them bad"
    parts = []
    if result.repeated:
        parts.append(f"the table has the rows of the run {printable(args.run_id)} already")
    elif result.output_version is not None:
        parts.append(f"version {result.output_version}")
    has_all = 0 < result.parts == result.reused_parts
    if result.reused_parts and not has_all:
        parts.append(f"{result.reused_parts} of {result.parts} parts were there")
    if result.removed_parts:
        parts.append(f"{len(result.removed_parts)} removed")
    if result.sequences is not None:
        parts.append(f"the states of {result.sequences} sequences")
    told = f" ({', '.join(parts)})" if parts else ""
    if has_all:
        count = f"all {result.parts} parts" if result.parts > 1 else "the only part"
        there = f"{count}, {rows} rows{bad}, {'were' if result.parts > 1 else 'was'} there"
        return f"nothing to score: {there}: {printable(args.output)}{told}"
    return f"{rows} rows scored{bad}: {printable(args.output)}{told}"


def _delta(args: argparse.Namespace) -> DeltaOutput | None:
    if args.format == "delta":
        return DeltaOutput(args.mode or "new", args.partition_by or (), args.run_id)
    for name in ("mode", "partition_by", "run_id"):
        if getattr(args, name) is not None:
            raise InputError("invalid_type", "is for a Delta table: --format delta", field=name)
    return None


def _events(args: argparse.Namespace) -> jobs.EventOptions | None:
    names = ("order", "states_in", "states_out", "last", "sort")
    given = {name: getattr(args, name) for name in names}
    if args.by:
        return jobs.EventOptions(args.by, **given)
    for name, value in given.items():
        if value:
            raise InputError("invalid_type", "is for events of sequences: --by", field=name)
    return None


def _labels(given: list[str]) -> dict[str, str]:
    return _pairs(map(str.partition, given, repeat("=")), "metrics_labels", "label")


def _renamed(given: list[str]) -> dict[str, str]:
    # At the last =, which a name of a column may have, too.
    return _pairs(map(str.rpartition, given, repeat("=")), "rename", "column")


def _pairs(given: Iterable[tuple[str, str, str]], field: str, what: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for name, equals, value in given:
        if not equals or not name or name in pairs:
            raise InputError(
                "invalid_type",
                f"two values of one {what}" if name in pairs else f"no such {what}",
                field=field,
                expected="NAME=VALUE, each name once",
                actual=repr(name + equals + value),
            )
        pairs[name] = value
    return pairs
