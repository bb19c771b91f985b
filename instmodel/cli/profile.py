"""``instmodel profile``: where the time of a model goes."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

import instmodel as im
from instmodel.cli.arguments import (
    OK,
    Commands,
    add_command,
    add_loading_arguments,
    file_in,
    loading,
    seconds,
)
from instmodel.cli.console import table
from instmodel.errors import InputError, printable
from instmodel.profiling import Profile, Step, profile
from instmodel.profiling.picture import SUFFIXES, draw
from instmodel.tables.rows import read_rows

_BAR = 20


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "profile", run, "Show where the time of a model goes.")
    command.add_argument("model", metavar="MODEL")
    command.add_argument(
        "--data",
        metavar="FILE",
        help=".csv, .npy; .parquet and more with pyarrow; its first batch runs; "
        "default: random rows",
    )
    command.add_argument(
        "--seconds", type=seconds, default=1.0, help="how long to repeat (default: 1)"
    )
    command.add_argument(
        "--picture",
        type=file_in(*SUFFIXES),
        metavar="FILE",
        help="draw it, too: .svg, .png or .pdf (extra 'report')",
    )
    command.add_argument("--json", action="store_true", help="as JSON, for programs")
    add_loading_arguments(command)


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    model = im.load(args.model, **loading(args))
    rows = None
    if args.data is not None:
        model.require_rows()  # which sequence a row belongs to, nobody can say here
        batch = next(iter(read_rows(args.data, model)), None)
        if batch is None:
            raise InputError("no_rows", "no rows to run", file=args.data)
        rows = batch.inputs
    found = profile(model, rows, seconds=args.seconds)
    if args.picture is not None:
        draw(found, args.picture)
    if args.json:
        print(json.dumps(asdict(found), indent=2))
    else:
        _show(args.model, found)
        if args.picture is not None:
            print(f"\npicture: {printable(args.picture)}")
    return OK


def _show(name: str, found: Profile) -> None:
    dense = sum(step.flops for step in found.steps)
    print(
        f"{printable(name)}: {1e9 * found.seconds:.4g} ns a row on one thread, "
        f"{found.rows} rows, {found.isa}"
    )
    print(
        f"this core: {1e-9 * found.peak_flops:.0f} GFLOPS, "
        f"reads {1e-9 * found.read_bandwidth:.0f} GB/s; the model uses "
        f"{dense / found.seconds / found.peak_flops:.0%} of its FMAs"
    )
    columns = ["#", "step", "ns/row", "share", "", "GFLOPS", "of peak", "GB/s"]
    rows = [_cells(step, found) for step in found.steps]
    print(table(columns, rows, styled=sys.stdout.isatty()), end="")


def _cells(step: Step, found: Profile) -> list[object]:
    share = step.seconds / found.seconds
    rate = step.flops / step.seconds if step.flops and step.seconds else None
    return [
        "" if step.index is None else step.index,
        step.type,
        f"{1e9 * step.seconds:.3g}",
        f"{share:.1%}",
        "█" * round(_BAR * share),
        "" if rate is None else f"{1e-9 * rate:.0f}",
        "" if rate is None else f"{rate / found.peak_flops:.0%}",
        f"{1e-9 * step.bytes / step.seconds:.0f}" if step.seconds else "",
    ]
