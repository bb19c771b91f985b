"""``instmodel drift``: a table against what a model expects of its inputs."""

from __future__ import annotations

import argparse
from typing import get_args

import instmodel as im
from instmodel.cli.arguments import (
    LOADING,
    Commands,
    add_command,
    add_loading_arguments,
    at_least_one,
    loading,
)
from instmodel.cli.console import progress
from instmodel.cli.reporting import (
    add_limits,
    add_report_arguments,
    limits_asked,
    record_of,
    recorder_of,
    tell,
)
from instmodel.monitoring.drifting import Period, drift
from instmodel.monitoring.summary import drift_summary
from instmodel.stores import places
from instmodel.verification.summary import judged

_LIMITS = {
    "--max-psi": ("largest_psi", "max", "X", "the population stability index of any input"),
    "--max-out-of-range": (
        "features.out_of_range",
        "max",
        "N|P%",
        "values of any input that may be out of range; P%% is of its values",
    ),
    "--max-unknown": ("features.unknown", "max", "N|P%", "the same, of unknown codes and texts"),
    "--max-nulls": ("features.nulls", "max", "N|P%", "the same, of nulls"),
}


def add(commands: Commands) -> None:
    """Add the command."""
    summary = (
        "Hold a table against what a model expects of its inputs; exit code 0, or 1 if a limit "
        "does not hold, 2 could not look."
    )
    command = add_command(commands, "drift", run, summary)
    command.add_argument("model", metavar="MODEL")
    command.add_argument("data", metavar="DATA", help="any table that `instmodel score` takes")
    data = command.add_argument_group("what is held against what")
    data.add_argument(
        "--reference",
        metavar="FILE",
        help="another table of the inputs, instead of the model's signature",
    )
    data.add_argument("--by", metavar="COL", help="a column to group by, such as a date")
    data.add_argument(
        "--period",
        choices=get_args(Period),
        help="what of the dates and instants of --by makes a group",
    )
    add_limits(command, _LIMITS)
    add_report_arguments(command, coverage=False)
    running = command.add_argument_group("how it runs")
    running.add_argument(
        "--batch-rows", type=at_least_one, metavar="N", help="rows that are read together"
    )
    add_loading_arguments(command.add_argument_group("the model"))


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    files = {"model": args.model, "data": args.data, "reference": args.reference}
    read = files | {"limits": args.limits}
    places.check({"report": args.report, "record": args.record}, read)
    limits = limits_asked(args)
    recorder = recorder_of(args, read)
    model = im.load(args.model, **loading(args))
    with progress(f"looking at {args.data}") as advance:
        found = drift(
            model,
            args.data,
            reference=args.reference,
            by=args.by,
            period=args.period,
            batch_rows=args.batch_rows,
            progress=advance,
        )
    verdict = found.judge(limits)
    record = record_of(args, recorder, found, limits, {"model": model}, without=LOADING)
    if args.report:
        from instmodel.reports.pages import write_drift

        write_drift(args.report, found, args.model, args.data, verdict, record)
    summary = judged(drift_summary(found, args.model, args.data), verdict)
    return tell(args, summary, found.to_dict(), verdict)
