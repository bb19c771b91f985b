"""``instmodel compare``: a model and the one that is to take its place."""

from __future__ import annotations

import argparse

import instmodel as im
from instmodel.base import places
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
from instmodel.cli.console import progress
from instmodel.cli.reporting import VALUES, add_report_arguments, tell
from instmodel.comparison.comparing import compare
from instmodel.comparison.metrics import TASKS
from instmodel.comparison.summary import comparison_summary


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "Compare a model with the one that is to take its place."
    command = add_command(commands, "compare", run, summary)
    command.add_argument("old", metavar="OLD", help="the model that is in use")
    command.add_argument("new", metavar="NEW", help="the one that may replace it")
    command.add_argument(
        "--data", metavar="FILE", required=True, help=".csv, .npy; .parquet and more with pyarrow"
    )
    add_nulls_argument(command)
    command.add_argument("--labels", metavar="COL", help="the column of the truth")
    command.add_argument(
        "--positive", metavar="LABEL", help="the label that is 1; the other one is 0"
    )
    command.add_argument(
        "--classes",
        metavar="A,B,…",
        help="what the labels are called, in the order of the outputs (default: as the model says)",
    )
    command.add_argument(
        "--by",
        metavar="COL",
        action="append",
        help="a column to group by: of text, numbers, booleans, dates; may be repeated",
    )
    command.add_argument(
        "--reference",
        metavar="FILE",
        help="another table of the inputs, such as the training data: what has shifted since",
    )
    command.add_argument(
        "--output",
        type=int,
        metavar="N",
        help="which output (default: that of --positive, or the last)",
    )
    command.add_argument(
        "--threshold", type=float, help="of a decision (default: 0.5 for probabilities)"
    )
    command.add_argument(
        "--tolerance", type=float, default=1.0, help="what is close, with labels that are values"
    )
    command.add_argument("--task", choices=TASKS, help="default: as the labels look")
    command.add_argument(
        "--movers",
        type=at_least_one,
        default=10,
        metavar="N",
        help="how many of the rows that move most to show (default: 10)",
    )
    command.add_argument(
        "--importance", action="store_true", help="how much each input matters to both models"
    )
    command.add_argument(
        "--dependence",
        type=at_least_one,
        default=0,
        metavar="N",
        help="how the scores follow the N inputs that matter most",
    )
    add_report_arguments(command)
    add_loading_arguments(command)


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    read = {
        "old model": args.old,
        "new model": args.new,
        "data": args.data,
        "reference": args.reference,
    }
    places.check({"report": args.report}, read)
    old, new = (im.load(path, **loading(args)) for path in (args.old, args.new))
    with progress(f"comparing {args.old} and {args.new}") as advance:
        found = compare(
            old,
            new,
            args.data,
            labels=args.labels,
            positive=args.positive,
            classes=None if args.classes is None else args.classes.split(","),
            by=args.by,
            reference=args.reference,
            output=args.output,
            threshold=args.threshold,
            tolerance=args.tolerance,
            task=args.task,
            movers=args.movers,
            importance=args.importance,
            dependence=args.dependence,
            nulls=None if args.nulls is None else nulls(args.nulls),
            threads=args.threads,
            batch_rows=args.batch_rows,
            progress=advance,
        )
    if args.report:
        from instmodel.reports.pages import write_comparison

        write_comparison(args.report, found, new, args.old, args.new)
    tell(args, comparison_summary(found, args.old, args.new, VALUES), found.to_dict())
    return OK
