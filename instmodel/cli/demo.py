"""``instmodel demo``: verify the models that come along, and score their data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from instmodel.base.atomic import replacing
from instmodel.cli.arguments import OK, Commands, add_command
from instmodel.cli.console import short, table
from instmodel.cli.demo_models import run_demos
from instmodel.errors import printable
from instmodel.tables.numpy_files import make_writer


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "Verify the models that come along, and score their data."
    command = add_command(commands, "demo", run, summary)
    command.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="where the scores go (default: here)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    rows, written = [], []
    for result in run_demos():
        target = folder / f"instmodel-demo-{result.name}.csv"
        with replacing(target) as file:
            writer = make_writer(".csv", file, result.scores.shape[1])
            writer.write(result.scores)
            writer.finish()
        written.append(target)
        rows.append(
            [
                result.name,
                len(result.scores),
                short(result.rows_per_second),
                f"{result.accuracy:.4f}",
                f"{result.held_out_accuracy:.4f}",
                f"{result.largest_error:.0e}",
                result.some_scores(),
            ]
        )
    columns = ["model", "rows", "rows/s", "accuracy", "held out", "error", "some scores"]
    print(table(columns, rows, styled=sys.stdout.isatty()), end="")
    print(
        "\naccuracy: right answers, of all rows and of those held out from training"
        "\nerror: largest difference from the outputs that the models must reproduce"
        "\n\nThe scores of all rows:"
    )
    for target in written:
        print(f"  {printable(target)}")
    return OK
