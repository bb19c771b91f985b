"""``instmodel record``: whether a record is still true, and the bytes to sign of it."""

from __future__ import annotations

import argparse

from instmodel.cli.arguments import DIFFERENT, OK, Commands, add_command
from instmodel.cli.console import standard_output
from instmodel.errors import printable
from instmodel.verification.record import canonical_bytes, check_record, read_record


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "Check a record of verify or compare, or write the bytes of it that are signed."
    parser = commands.add_parser("record", help=summary, description=summary, allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = add_command(
        actions,
        "check",
        _check,
        "Compute the digests of a record and its files again; exit code 0 as recorded, 1 changed, "
        "2 not a record.",
    )
    check.add_argument("record", metavar="RECORD")
    signed = add_command(
        actions,
        "bytes",
        _bytes,
        "Write the canonical bytes of a record to standard output: all of it but 'sha256' and "
        "'signatures', as RFC 8785 says.",
    )
    signed.add_argument("record", metavar="RECORD")


def _check(args: argparse.Namespace) -> int:
    changes = check_record(args.record)
    for change in changes:
        print(f"CHANGED: {printable(change)}")
    if changes:
        return DIFFERENT
    files = read_record(args.record)["files"]
    print(f"{printable(args.record)}: as recorded, and so are its files: {', '.join(files)}")
    return OK


def _bytes(args: argparse.Namespace) -> int:
    standard_output().write(canonical_bytes(read_record(args.record)))
    return OK
