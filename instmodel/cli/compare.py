"""``instmodel compare``: a model and the one that is to take its place."""

from __future__ import annotations

import argparse

import instmodel as im
from instmodel.cli.arguments import (
    Commands,
    add_command,
    add_loading_arguments,
    add_nulls_argument,
    at_least_one,
    loading,
    nulls,
)
from instmodel.cli.console import progress
from instmodel.cli.reporting import (
    VALUES,
    add_limits,
    add_report_arguments,
    add_running_arguments,
    limits_asked,
    record_of,
    recorder_of,
    tell,
)
from instmodel.comparison.comparing import compare
from instmodel.comparison.decisions import APPROVALS
from instmodel.comparison.metrics import TASKS
from instmodel.comparison.summary import comparison_summary
from instmodel.stores import places
from instmodel.verification.summary import judged

_LIMITS = {
    "--max-flips": ("flips", "max", "N|P%", "decisions that may flip"),
    "--max-group-flips": (
        "groupings.groups.flips",
        "max",
        "N|P%",
        "the same in each group of --by",
    ),
    "--max-psi": ("psi", "max", "X", "the population stability index"),
    "--max-score-move": ("largest_move", "max", "X", "how far any score may move"),
    "--min-auc": ("new_metrics.roc_auc", "min", "X", "ROC AUC of the new model (--labels)"),
    "--min-auc-gain": ("change.roc_auc", "min", "X", "ROC AUC, new minus old (--labels)"),
}


def add(commands: Commands) -> None:
    """Add the command."""
    summary = (
        "Compare a model with the one that is to take its place; exit code 0, or 1 if a limit "
        "does not hold, 2 could not compare."
    )
    command = add_command(commands, "compare", run, summary)
    command.add_argument("old", metavar="OLD", help="the model that is in use")
    command.add_argument("new", metavar="NEW", help="the one that may replace it")
    data = command.add_argument_group("the data")
    data.add_argument(
        "--data", metavar="FILE", required=True, help=".csv, .npy; .parquet and more with pyarrow"
    )
    add_nulls_argument(data)
    data.add_argument("--labels", metavar="COL", help="the column of the truth")
    data.add_argument("--positive", metavar="LABEL", help="the label that is 1; the other one is 0")
    data.add_argument(
        "--classes",
        metavar="A,B,…",
        help="the classes in the order of the outputs (default: as the models say); where models "
        "name theirs, what the labels 0, 1, … are called",
    )
    data.add_argument(
        "--by",
        metavar="COL",
        action="append",
        help="a column to group by: of text, numbers, booleans, dates; may be repeated",
    )
    data.add_argument(
        "--reference",
        metavar="FILE",
        help="another table of the inputs, such as the training data: what has shifted since",
    )
    figures = command.add_argument_group("the figures")
    figures.add_argument(
        "--output",
        type=int,
        metavar="N",
        help="which output (default: that of --positive, or the last)",
    )
    figures.add_argument(
        "--threshold", type=float, help="of a decision (default: 0.5 for probabilities)"
    )
    figures.add_argument(
        "--approve",
        choices=APPROVALS,
        help="on which side of the threshold an applicant is approved, for rates of approval",
    )
    figures.add_argument(
        "--tolerance", type=float, default=1.0, help="what is close, with labels that are values"
    )
    figures.add_argument("--task", choices=TASKS, help="default: as the labels look")
    figures.add_argument(
        "--movers",
        type=at_least_one,
        default=10,
        metavar="N",
        help="how many of the rows that move most to show (default: 10)",
    )
    figures.add_argument(
        "--importance", action="store_true", help="how much each input matters to both models"
    )
    figures.add_argument(
        "--dependence",
        type=at_least_one,
        default=0,
        metavar="N",
        help="how the scores follow the N inputs that matter most (in --json and --report)",
    )
    add_limits(command, _LIMITS)
    add_report_arguments(command)
    add_running_arguments(command)
    add_loading_arguments(command.add_argument_group("the models"))


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    read = {
        "old model": args.old,
        "new model": args.new,
        "data": args.data,
        "reference": args.reference,
    }
    places.check({"report": args.report, "record": args.record}, read | {"limits": args.limits})
    limits = limits_asked(args)
    recorder = recorder_of(
        args,
        {
            "old": args.old,
            "new": args.new,
            "data": args.data,
            "reference": args.reference,
            "limits": args.limits,
        },
    )
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
            approve=args.approve,
            tolerance=args.tolerance,
            task=args.task,
            movers=args.movers,
            importance=args.importance,
            coverage=not args.no_coverage,
            dependence=args.dependence,
            nulls=None if args.nulls is None else nulls(args.nulls),
            threads=args.threads,
            batch_rows=args.batch_rows,
            progress=advance,
        )
    verdict = found.judge(limits)
    record = record_of(args, recorder, found, limits, {"old": old, "new": new})
    if args.report:
        from instmodel.reports.pages import write_comparison

        write_comparison(args.report, found, new, args.old, args.new, verdict, record)
    summary = judged(comparison_summary(found, args.old, args.new, VALUES), verdict)
    return tell(args, summary, found.to_dict(), verdict)
