"""``instmodel score``: every row of a table.

CSV and NPY files go through `instmodel.tables.numpy_files`, which needs nothing but NumPy and reads
CSV more strictly; other formats, folders and options are jobs (`instmodel.jobs`) and need pyarrow.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
from typing import get_args

import numpy as np
from numpy.typing import NDArray

import instmodel as im
from instmodel.cli.arguments import (
    OK,
    Commands,
    add_command,
    add_loading_arguments,
    add_nulls_argument,
    at_least_one,
    loading,
    nulls,
)
from instmodel.cli.console import progress, standard_output
from instmodel.errors import InputError, printable
from instmodel.signatures.expectations import CheckInputs
from instmodel.signatures.words import input_notes
from instmodel.stores import location
from instmodel.tables.columns import column_categories, column_names
from instmodel.tables.delta_options import DeltaOutput, Mode
from instmodel.tables.numpy_files import make_writer, open_reader, suffix
from instmodel.tables.scoring import say_positions

Floats = NDArray[np.float32]

# Options of jobs alone, and what they are when nobody gives them.
_JOB_OPTIONS = {
    "keep": None,
    "outputs": None,
    "nulls": None,
    "on_bad_row": "error",
    "check_inputs": None,
    "bad_rows": None,
    "format": None,
    "resume": False,
    "mode": None,
    "partition_by": None,
    "run_id": None,
    "table_version": None,
    "table_time": None,
    "overwrite": False,
    "incremental": False,
    "model_change": None,
    "provenance": None,
    "model_version": None,
    "metrics": None,
    "metrics_label": None,
}


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "score", run, "Score every row of a table.")
    command.add_argument("model", metavar="MODEL")
    command.add_argument(
        "input",
        metavar="INPUT",
        help=".csv, .npy, .parquet, .arrow or .jsonl, or a folder of files in one format; columns "
        "are matched by name if the model names its features, else by position",
    )
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUTPUT",
        help="a file in any of these formats (.npy only from CSV and NPY), a new folder for an "
        "input folder, or - for standard output",
    )
    moment = command.add_argument_group(
        "which rows of a Delta or Iceberg table"
    ).add_mutually_exclusive_group()
    moment.add_argument(
        "--table-version", type=int, metavar="N", help="default: the newest; of Iceberg, a snapshot"
    )
    moment.add_argument("--table-time", metavar="TIME", help="ISO 8601, UTC unless it has a zone")
    columns = command.add_argument_group("the output")
    columns.add_argument(
        "--keep",
        type=_names,
        action="extend",
        metavar="A,B",
        help="columns to copy into the output, or * for all; repeatable; a name with a comma "
        "stands in double quotes",
    )
    columns.add_argument(
        "--outputs", type=_names, metavar="A,B", help="names of the output columns"
    )
    columns.add_argument(
        "--format",
        choices=("parquet", "csv", "arrow", "jsonl", "delta"),
        help="format of an output folder's files (default: the input's) or of standard output "
        "(csv, the default, or jsonl)",
    )
    columns.add_argument(
        "--with",
        dest="provenance",
        type=_names,
        action="extend",
        metavar="A,B",
        help="columns that say where the scores come from: model_digest, model_version, scored_at",
    )
    columns.add_argument(
        "--model-version",
        metavar="TEXT",
        help="what model_version says (default: version in the metadata of the model)",
    )
    there = command.add_argument_group("an output folder that is there")
    there.add_argument(
        "--overwrite", action="store_true", help="replace it in one step, when all is scored"
    )
    there.add_argument(
        "--incremental",
        action="store_true",
        help="score only what is new or changed since, and remove what is gone; also goes on where "
        "a killed run ended",
    )
    there.add_argument(
        "--model-change",
        choices=("keep", "rescore"),
        help="what becomes of the parts that another model scored (default: an error)",
    )
    there.add_argument(
        "--resume", action="store_true", help="go on where an earlier run into a folder ended"
    )
    table = command.add_argument_group("the output with --format delta, a Delta table")
    table.add_argument(
        "--mode",
        choices=get_args(Mode),
        help="the table must be new (default), gets the rows beside its own, instead of them, or "
        "instead of those in the same partitions",
    )
    table.add_argument(
        "--partition-by", type=_names, metavar="A,B", help="columns that partition a new table"
    )
    table.add_argument(
        "--run-id", metavar="ID", help="do nothing if the table has the rows of this run already"
    )
    rows = command.add_argument_group("rows that are incomplete or bad")
    add_nulls_argument(rows)
    rows.add_argument(
        "--on-bad-row",
        choices=("error", "null", "skip"),
        default="error",
        help="a row that cannot be scored is an error (default), gets null scores, or is left out",
    )
    rows.add_argument(
        "--check-inputs",
        choices=get_args(CheckInputs),
        help="a row that has what the model's signature does not expect is an error, gets null "
        "scores (--on-bad-row skip: is left out), or is counted and scored like any other (default "
        "if there is a signature)",
    )
    rows.add_argument(
        "--bad-rows", metavar="FILE", help="write the rows that cannot be scored, as CSV"
    )
    running = command.add_argument_group("how it runs")
    running.add_argument(
        "--threads", type=at_least_one, metavar="N", help="default: every CPU it may use"
    )
    running.add_argument(
        "--batch-rows", type=at_least_one, metavar="N", help="rows that are scored together"
    )
    running.add_argument(
        "--metrics",
        metavar="FILE",
        help="write counts and times, in Prometheus text format; counters go on where it ended",
    )
    running.add_argument(
        "--metrics-label",
        action="append",
        metavar="NAME=VALUE",
        help="a label of all metrics, such as job_name (default: the name of FILE); repeatable",
    )
    add_loading_arguments(command.add_argument_group("the model"))


def _names(text: str) -> list[str]:
    return next(csv.reader([text]), [])


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from instmodel.stores import places

    to_stdout = args.output == "-"
    if to_stdout:
        standard_output()  # which may be closed: told before anything is read
    places.check(
        {
            "output": None if to_stdout else args.output,
            "list of bad rows": args.bad_rows,
            "metrics": args.metrics,
        },
        {"input": args.input, "model": args.model},
    )
    if _is_job(args):
        return _run_job(args)
    return _run_plain(args, to_stdout)


def _is_job(args: argparse.Namespace) -> bool:
    if args.output == "-" and args.format == "csv":
        args = argparse.Namespace(**vars(args) | {"format": None})  # as without it
    if any(getattr(args, name) != default for name, default in _JOB_OPTIONS.items()):
        return True
    from instmodel.tables.inputs import format_of, is_dataset

    if is_dataset(args.input):
        return True
    return any(format_of(name) not in (None, "csv") for name in (args.input, args.output))


def _run_job(args: argparse.Namespace) -> int:
    from instmodel import jobs
    from instmodel.base.extras import require

    job = jobs.Job(
        im.load(args.model, **loading(args)),
        args.input,
        standard_output() if args.output == "-" else args.output,
        keep=args.keep or (),
        outputs=args.outputs,
        nulls="error" if args.nulls is None else nulls(args.nulls),
        on_bad_row=args.on_bad_row,
        check_inputs=args.check_inputs,
        bad_rows=args.bad_rows,
        format=None if args.format == "delta" else args.format,
        threads=args.threads,
        batch_rows=args.batch_rows,
        resume=args.resume,
        delta=_delta(args),
        table_version=args.table_version,
        table_time=args.table_time,
        overwrite=args.overwrite,
        incremental=args.incremental,
        model_change=args.model_change,
        provenance=args.provenance or (),
        model_version=args.model_version,
        metrics=args.metrics,
        metrics_labels=_labels(args.metrics_label or []),
    )
    if args.threads is not None:
        require("pyarrow", "arrow").set_cpu_count(min(args.threads, os.cpu_count() or 1))
    with progress(f"scoring {args.input}") as advance:
        result = jobs.run(job, advance)
    if args.output == "-":
        return OK
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
    if result.reused_parts:
        parts.append(f"{result.reused_parts} of {result.parts} parts were there")
    if result.removed_parts:
        parts.append(f"{len(result.removed_parts)} removed")
    told = f" ({', '.join(parts)})" if parts else ""
    print(f"{rows} rows scored{bad}: {printable(args.output)}{told}")
    if result.inputs is not None:
        for note in input_notes(result.inputs):
            print(printable(f"inputs: {note}"))
    return OK


def _delta(args: argparse.Namespace) -> DeltaOutput | None:
    if args.format == "delta":
        return DeltaOutput(args.mode or "new", args.partition_by or (), args.run_id)
    for name in ("mode", "partition_by", "run_id"):
        if getattr(args, name) is not None:
            raise InputError("invalid_type", "is for a Delta table: --format delta", field=name)
    return None


def _labels(given: list[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name in labels:
            raise InputError(
                "invalid_type",
                "two values of one label" if equals else "no such label",
                field="metrics_labels",
                expected="NAME=VALUE, each name once",
                actual=repr(text),
            )
        labels[name] = value
    return labels


def _run_plain(args: argparse.Namespace, to_stdout: bool) -> int:
    ending = ".csv" if to_stdout else suffix(args.output)
    from_csv = suffix(args.input) == ".csv"
    model = im.load(args.model, **loading(args))
    columns = column_names(model.named_features) if from_csv and model.features else None

    with contextlib.ExitStack() as stack:
        reader = open_reader(
            args.input,
            columns,
            model.feature_size,
            args.batch_rows,
            model.key_inputs,
            column_categories(model.named_features),
        )
        stack.callback(reader.close)
        file = (
            standard_output()
            if to_stdout
            else stack.enter_context(location(args.output).replacing())
        )
        writer = make_writer(ending, file, model.output_size)
        advance = stack.enter_context(progress(f"scoring {args.input}"))
        rows = 0
        for batch in reader.batches():
            writer.write(_predict(model, batch, args.threads))
            rows += len(batch)
            advance(reader.fraction(), rows)
        writer.finish()
    if reader.header is not None:  # told at the end, so that an error comes alone
        say_positions(model, reader.header)
    if not to_stdout:
        print(f"{rows} rows scored: {printable(args.output)}")
    return OK


def _predict(model: im.InstructionModel, batch: Floats, threads: int | None = None) -> Floats:
    result = model.predict_parallel(batch, im.PredictConfig(threads=threads))
    return np.asarray(result).reshape(len(batch), model.output_size)
