"""``instmodel score``: every row of a table.

CSV and NPY files go through `instmodel.tables.numpy_files`, which needs nothing but NumPy and reads
CSV more strictly; other formats, folders and options are jobs (`instmodel.jobs`) and need pyarrow.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import get_args

import numpy as np
from numpy.typing import NDArray

import instmodel as im
from instmodel.cli.arguments import (
    OK,
    Commands,
    add_command,
    add_csv_arguments,
    add_loading_arguments,
    add_nulls_argument,
    at_least_one,
    csv_options,
    loading,
    names,
)
from instmodel.cli.console import progress, standard_output
from instmodel.errors import InputError, printable
from instmodel.signatures.expectations import CheckInputs
from instmodel.signatures.plain import PlainInputs
from instmodel.signatures.words import input_notes
from instmodel.stores import location, places
from instmodel.tables.columns import column_categories, column_names
from instmodel.tables.compression import compressing
from instmodel.tables.delta_options import Mode
from instmodel.tables.inputs import Source, is_dataset, of_stream, single
from instmodel.tables.kinds import compression_of, kind_of, parts_of
from instmodel.tables.numpy_files import make_writer, open_reader, suffix
from instmodel.tables.scoring import say_positions

Floats = NDArray[np.float32]

# What needs no job; every other option makes one, unless it is as when nobody gives it.
_WITHOUT_JOB = {
    *("model", "input", "output", "input_format", "delimiter", "encoding", "decimal"),
    *("threads", "batch_rows", "atol", "rtol", "no_validation", "limit"),
    *("run", "argv", "debug", "default_of"),
}


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "score", run, "Score every row of a table.")
    command.add_argument("model", metavar="MODEL")
    command.add_argument(
        "input",
        metavar="INPUT",
        help=".csv, .npy, .parquet, .arrow or .jsonl, or a folder of files in one format; .csv and "
        ".jsonl also with .gz, .zst or .bz2; a Delta or Iceberg table by its folder or as "
        "iceberg:CATALOG.TABLE; - for standard input; columns are matched by name if "
        "the model names its features, else by position",
    )
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUTPUT",
        help="a file in any of these formats (.npy only from CSV and NPY), a new folder for an "
        "input folder, a Delta table with --format delta, or - for standard output",
    )
    columns = command.add_argument_group("the output")
    columns.add_argument(
        "--keep",
        type=names,
        action="extend",
        metavar="A,B",
        help="columns to copy into the output, or * for all; repeatable; a name with a comma "
        "stands in double quotes",
    )
    columns.add_argument("--outputs", type=names, metavar="A,B", help="names of the output columns")
    columns.add_argument(
        "--format",
        metavar="FORMAT",
        help="format of an output folder's files (default: the input's) or of standard output "
        "(csv, the default, or jsonl): parquet, csv, arrow, jsonl, csv.gz and the like, delta",
    )
    columns.add_argument(
        "--with",
        dest="provenance",
        type=names,
        action="extend",
        metavar="A,B",
        help="columns that say where the scores come from: model_digest, model_version, scored_at",
    )
    columns.add_argument(
        "--model-version",
        metavar="TEXT",
        help="what model_version says (default: version in the metadata of the model)",
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
        "scores (--on-bad-row skip: is left out), is counted and scored like any other (default if "
        "there is a signature), or is not looked for",
    )
    rows.add_argument(
        "--bad-rows", metavar="FILE", help="write the rows that cannot be scored, as CSV"
    )
    reading = command.add_argument_group("how the input is read")
    reading.add_argument(
        "--input-format",
        metavar="FORMAT",
        help="parquet, csv, arrow, jsonl, or csv.gz and the like (default: what its name tells; "
        "of standard input, csv)",
    )
    add_csv_arguments(reading)
    reading.add_argument(
        "--rename",
        action="append",
        metavar="COLUMN=FEATURE",
        help="which feature a column is that has another name; repeatable",
    )
    events = command.add_argument_group("events of sequences, for a recurrent model")
    events.add_argument(
        "--by",
        type=names,
        action="extend",
        metavar="A,B",
        help="the columns that name the sequence of a row; rows are its steps in their order",
    )
    events.add_argument(
        "--order", metavar="COLUMN", help="a time or number that never goes back in a sequence"
    )
    events.add_argument(
        "--sort",
        action="store_true",
        help="sort each file by --order first, on the disk if it is large (extra 'duckdb')",
    )
    events.add_argument(
        "--states-in", metavar="FILE", help="go on where the run ended that wrote this"
    )
    events.add_argument(
        "--states-out",
        metavar="FILE",
        help="write the state of each sequence, .parquet or .arrow, behind the output",
    )
    events.add_argument(
        "--last",
        action="store_true",
        help="write one row for each sequence: its key and the output of its last row",
    )
    moment = command.add_argument_group(
        "which rows of a Delta or Iceberg table"
    ).add_mutually_exclusive_group()
    moment.add_argument(
        "--table-version", type=int, metavar="N", help="default: the newest; of Iceberg, a snapshot"
    )
    moment.add_argument("--table-time", metavar="TIME", help="ISO 8601, UTC unless it has a zone")
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
        "--partition-by", type=names, metavar="A,B", help="columns that partition a new table"
    )
    table.add_argument(
        "--run-id", metavar="ID", help="do nothing if the table has the rows of this run already"
    )
    running = command.add_argument_group("how it runs")
    running.add_argument(
        "--threads", type=at_least_one, metavar="N", help="default: every CPU it may use"
    )
    running.add_argument(
        "--batch-rows", type=at_least_one, metavar="N", help="rows that are scored together"
    )
    telling = command.add_argument_group("what it tells")
    telling.add_argument(
        "--json",
        action="store_true",
        help="what was done as one JSON object on standard output, also of a run that fails",
    )
    telling.add_argument(
        "--metrics",
        metavar="FILE",
        help="write counts and times, in Prometheus text format; counters go on where it ended",
    )
    telling.add_argument(
        "--metrics-label",
        action="append",
        metavar="NAME=VALUE",
        help="a label of all metrics, such as job_name (default: the name of FILE); repeatable",
    )
    add_loading_arguments(command.add_argument_group("the model"))
    command.set_defaults(default_of=command.get_default)


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    to_stdout = args.output == "-"
    if to_stdout:
        standard_output()  # which may be closed: told before anything is read
    if _is_job(args):
        from instmodel.cli import score_job

        return score_job.run(args)
    return _run_plain(args, to_stdout)


def _is_job(args: argparse.Namespace) -> bool:
    if args.output == "-" and args.format == "csv":
        args = argparse.Namespace(**vars(args) | {"format": None})  # as without it
    asked = {name: value for name, value in vars(args).items() if name not in _WITHOUT_JOB}
    if any(value != args.default_of(name) for name, value in asked.items()):
        return True
    if args.input != "-" and is_dataset(args.input):
        return True
    wanted = args.input_format or (None if args.input == "-" else kind_of(args.input))
    return any(
        kind is not None and parts_of(kind)[0] != "csv" for kind in (wanted, kind_of(args.output))
    )


def _run_plain(args: argparse.Namespace, to_stdout: bool) -> int:
    places.check(
        {"output": None if to_stdout else args.output},
        {"input": None if args.input == "-" else args.input, "model": args.model},
    )
    if args.input != "-":
        location(args.input, "input").stamp()  # not there: told before what names tell
    ending = ".csv" if to_stdout else suffix(args.output)
    source = _source(args)
    from_csv = isinstance(source, Source)
    model = im.load(args.model, **loading(args))
    if model.is_recurrent:
        raise InputError(
            "needs_sequences",
            "the model is recurrent: --by says which columns name the sequence of a row",
            field="by",
        )
    columns = column_names(model.named_features) if from_csv and model.features else None
    inputs = None if model.signature is None else PlainInputs(model, from_csv)
    features = model.named_features if inputs is None else inputs.named_features

    with contextlib.ExitStack() as stack:
        reader = open_reader(
            source,
            columns,
            model.feature_size,
            args.batch_rows,
            model.key_inputs,
            column_categories(features),
        )
        stack.callback(reader.close)
        file = (
            standard_output()
            if to_stdout
            else stack.enter_context(location(args.output).replacing())
        )
        compression = None if to_stdout else compression_of(args.output)
        if compression is not None:
            file = stack.enter_context(compressing(file, compression))
        writer = make_writer(ending, file, model.output_size)
        advance = stack.enter_context(progress(f"scoring {args.input}"))
        rows = 0
        for batch in reader.batches():
            if inputs is not None:
                inputs.look(batch)
            writer.write(_predict(model, batch, args.threads))
            rows += len(batch)
            advance(reader.fraction(), rows)
        writer.finish()
    if reader.header is not None:  # told at the end, so that an error comes alone
        say_positions(model, reader.header)
    if not to_stdout:
        print(f"{rows} rows scored: {printable(args.output)}")
        for note in [] if inputs is None else input_notes(inputs.found()):
            print(printable(f"inputs: {note}"))
    return OK


def _source(args: argparse.Namespace) -> str | Source:
    """Return a CSV file, or the path of an NPY file."""
    csv = csv_options(args)
    if args.input == "-":
        return of_stream(sys.stdin.buffer, args.input_format or "csv", csv)
    if args.input_format is None and suffix(args.input) == ".npy":
        csv.check_used("npy")
        return str(args.input)
    return single(args.input, csv, args.input_format)


def _predict(model: im.InstructionModel, batch: Floats, threads: int | None = None) -> Floats:
    result = model.predict_parallel(batch, im.PredictConfig(threads=threads))
    return np.asarray(result).reshape(len(batch), model.output_size)
