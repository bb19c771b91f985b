"""``instmodel score``: every row of a table."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

import numpy as np
from numpy.typing import NDArray

import instmodel as im
from instmodel.atomic import replacing
from instmodel.cli.arguments import OK, Commands, add_command, at_least_one
from instmodel.console import printable, progress
from instmodel.errors import InputError
from instmodel.features import parse_feature_names
from instmodel.tables.columns import column_names
from instmodel.tables.files import make_writer, open_reader, suffix

Floats = NDArray[np.float32]


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "score", run, "Score every row of a table.")
    command.add_argument("model", metavar="MODEL")
    command.add_argument(
        "input",
        metavar="INPUT",
        help=".csv or .npy; CSV columns are matched by name if the model names its features, "
        "else by position",
    )
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUTPUT",
        help=".csv or .npy, or - for CSV on standard output",
    )
    command.add_argument(
        "--threads", type=at_least_one, metavar="N", help="default: every CPU it may use"
    )
    command.add_argument(
        "--batch-rows", type=at_least_one, metavar="N", help="rows in memory at a time"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    to_stdout = args.output == "-"
    ending = ".csv" if to_stdout else suffix(args.output)
    from_csv = suffix(args.input) == ".csv"
    for other, what in ((args.input, "input"), (args.model, "model")):
        if not to_stdout and _same_file(other, args.output):
            raise InputError("invalid_table", f"{args.output}: the output is also the {what}")

    info = im.InstructionModelInfo.load(args.model)
    model = im.InstructionModel(info)
    columns = None
    if from_csv and info.features:
        columns = column_names(parse_feature_names(info.features))

    with contextlib.ExitStack() as stack:
        reader = open_reader(args.input, columns, model.feature_size, args.batch_rows)
        stack.callback(reader.close)
        file = sys.stdout.buffer if to_stdout else stack.enter_context(replacing(args.output))
        writer = make_writer(ending, file, model.output_size)
        advance = stack.enter_context(progress(f"scoring {args.input}"))
        rows = 0
        for batch in reader.batches():
            writer.write(_predict(model, batch, args.threads))
            rows += len(batch)
            advance(reader.fraction())
        writer.finish()
    if not to_stdout:
        print(f"{rows} rows scored: {printable(args.output)}")
    return OK


def _predict(model: im.InstructionModel, batch: Floats, threads: int | None = None) -> Floats:
    result = model.predict_parallel(batch, im.PredictConfig(threads=threads))
    return np.asarray(result).reshape(len(batch), model.output_size)


def _same_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
