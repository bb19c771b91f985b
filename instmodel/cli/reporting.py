"""What `verify` and `compare` share: how a comparison over rows is asked for, and told."""

from __future__ import annotations

import argparse
import json
import math

from instmodel.cli.arguments import at_least_one, file_in
from instmodel.cli.console import table
from instmodel.errors import printable
from instmodel.verification.summary import Summary

# Values of a row that a table shows.
VALUES = 6


def add_report_arguments(command: argparse.ArgumentParser) -> None:
    """Add how a comparison over rows is told, and how it runs."""
    command.add_argument("--json", action="store_true", help="as JSON, for programs")
    command.add_argument(
        "--report",
        type=file_in(".html"),
        metavar="FILE.html",
        help="write a page with pictures (extra 'report')",
    )
    command.add_argument("--threads", type=at_least_one, metavar="N")
    command.add_argument("--batch-rows", type=at_least_one, metavar="N")


def tell(args: argparse.Namespace, summary: Summary, found: dict[str, object]) -> None:
    """Print what was found: as JSON, or for a person, who is also told where the page is."""
    if args.json:
        print(json.dumps(_plain(found), indent=2))
        return
    print(printable(f"{summary.title}: {summary.verdict}"))
    for note in summary.notes:
        print(printable(note))
    for part in summary.tables:
        print(f"\n{part.title}\n{table(part.columns, part.rows)}", end="")
    if summary.finding:
        print(f"\n{printable(summary.finding)}")
    if args.report:
        print(f"\nreport: {printable(args.report)}")


def _plain(value: object) -> object:
    """Return plain data that JSON can hold: NaN and infinities as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
