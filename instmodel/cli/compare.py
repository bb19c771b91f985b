"""``instmodel compare``: a model and the one that is to take its place."""

from __future__ import annotations

import argparse
import json
from typing import Any

import instmodel as im
from instmodel.base import places
from instmodel.cli.arguments import OK, Commands, add_command, add_report_arguments, at_least_one
from instmodel.cli.console import progress, table
from instmodel.cli.verify import plain, say_report, shown
from instmodel.comparison.comparing import Comparison, compare
from instmodel.comparison.metrics import CURVES, TASKS
from instmodel.comparison.moves import QUANTILES
from instmodel.errors import printable

# Columns of a confusion matrix that a terminal shows; --json has it of any size.
_MOST_CLASSES = 15


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "Compare a model with the one that is to take its place."
    command = add_command(commands, "compare", run, summary)
    command.add_argument("old", metavar="OLD", help="the model that is in use")
    command.add_argument("new", metavar="NEW", help="the one that may replace it")
    command.add_argument(
        "--data", metavar="FILE", required=True, help=".csv, .npy; .parquet and more with pyarrow"
    )
    command.add_argument("--labels", metavar="COL", help="the column of the truth")
    command.add_argument(
        "--by", metavar="COL", help="a column to group by: of text, numbers, booleans, dates"
    )
    command.add_argument(
        "--output", type=int, default=-1, metavar="N", help="which output (default: the last)"
    )
    command.add_argument(
        "--threshold", type=float, default=0.5, help="of a decision (default: 0.5)"
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
    add_report_arguments(command)


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    read = {"old model": args.old, "new model": args.new, "data": args.data}
    places.check({"report": args.report}, read)
    with progress(f"comparing {args.old} and {args.new}") as advance:
        found = compare(
            args.old,
            args.new,
            args.data,
            labels=args.labels,
            by=args.by,
            output=args.output,
            threshold=args.threshold,
            tolerance=args.tolerance,
            task=args.task,
            movers=args.movers,
            threads=args.threads,
            batch_rows=args.batch_rows,
            progress=advance,
        )
    if args.report:
        from instmodel.reports.pages import write_comparison

        info = im.InstructionModelInfo.load(args.new)
        write_comparison(args.report, found, info, args.old, args.new)
    if args.json:
        print(json.dumps(plain(found.to_dict()), indent=2))
    else:
        _show(args.old, args.new, found)
        say_report(args)
    return OK


def _show(old: str, new: str, found: Comparison) -> None:
    print(f"{printable(old)} → {printable(new)}: {found.rows} rows, output {found.output}")
    if found.sampled_rows < found.rows:
        print(f"quantiles, PSI, correlation and metrics: of {found.sampled_rows} rows")
    names = ["mean", "std", "least", "greatest", *(f"{100 * q:g} %" for q in QUANTILES)]
    columns = [
        [side.mean, side.std, side.least, side.greatest, *side.quantiles]
        for side in (found.old, found.new)
    ]
    print(table(["scores", "old", "new", "difference"], _pairs(names, *columns)), end="")
    print(f"\npopulation stability index  {found.psi:.4g}")
    print(f"rank correlation            {found.rank_correlation:.6g}")
    print(f"moves, mean and largest     {found.mean_move:.4g}, {found.largest_move:.4g}")
    share = 100 * found.flips / found.rows
    ways = (
        f" ({found.flips_up} up, {found.flips_down} down)"
        if found.flips_up or found.flips_down
        else ""
    )
    print(f"decisions that flip         {found.flips} of {found.rows}, {share:.3g} %{ways}")
    if found.task:
        names = [name for name in found.old_metrics if name not in CURVES]
        both = [[m.get(name, float("nan")) for name in names] for m in _metrics(found)]
        print(f"\nAgainst the labels ({found.task})")
        print(table(["metric", "old", "new", "difference"], _pairs(names, *both)), end="")
        for side, metrics in zip(("old", "new"), _metrics(found), strict=True):
            matrix = metrics.get("confusion_matrix", ())
            if 0 < len(matrix) <= _MOST_CLASSES:
                heads = ["true \\ decided", *map(str, range(len(matrix)))]
                print(f"\nConfusion matrix, {side}")
                print(table(heads, [[i, *row] for i, row in enumerate(matrix)]), end="")
    if found.groups:
        print("\nBy group")
        print(table(*found.group_table()), end="")
    if not found.movers:
        print("\nNo row moves.")
        return
    print("\nThe rows that move most, counted from 0")
    rows = [
        [m.row, f"{m.old:.6g}", f"{m.new:.6g}", shown(m.inputs, digits=6)] for m in found.movers
    ]
    print(table(["row", "old", "new", "inputs"], rows), end="")


def _metrics(found: Comparison) -> tuple[dict[str, Any], dict[str, Any]]:
    return found.old_metrics, found.new_metrics


def _pairs(names: list[str], old: list[float], new: list[float]) -> list[list[object]]:
    return [
        [name, f"{a:.6g}", f"{b:.6g}", f"{b - a:+.3g}"]
        for name, a, b in zip(names, old, new, strict=True)
    ]
