"""What `verify` and `compare` share: how a comparison over rows is asked for, and told."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from instmodel.cli.arguments import DIFFERENT, OK, Arguments, at_least_one, file_in
from instmodel.cli.console import table
from instmodel.errors import InputError, printable
from instmodel.model import InstructionModel
from instmodel.stores import location
from instmodel.verification.limits import Limit, Verdict, limits_of, read_limit
from instmodel.verification.record import Finding, Recorder, write_record
from instmodel.verification.summary import Summary

# Values of a row that a table shows.
VALUES = 6
# What decides nothing of what is found.
_NOT_OPTIONS = {
    *("run", "argv", "limit_flags", "debug", "json", "report", "record", "signer"),
    *("threads", "batch_rows"),
}


def add_limits(
    command: argparse.ArgumentParser, flags: Mapping[str, tuple[str, str, str, str]]
) -> None:
    """Add limits on what is found.

    Parameters
    ----------
    flags : mapping of str to (figure, kind, metavar, help)
        Limits that have a flag of their own.
    """
    group = command.add_argument_group(
        "limits", "exit code 1 unless all that are given hold; P% is a share of all rows or states"
    )
    for flag, (_, _, metavar, text) in flags.items():
        group.add_argument(flag, metavar=metavar, help=text)
    group.add_argument(
        "--limits",
        metavar="FILE.toml",
        help="tables [max] and [min] with bounds for any figure of --json",
    )
    command.set_defaults(limit_flags=flags)


def limits_asked(args: argparse.Namespace) -> list[Limit]:
    """Return the limits of `add_limits`."""
    asked = limits_of(args.limits)
    for flag, (figure, kind, _, _) in args.limit_flags.items():
        bound = getattr(args, flag[2:].replace("-", "_"))
        if bound is not None:
            asked.append(read_limit(figure, kind, bound))
    return asked


def add_report_arguments(command: argparse.ArgumentParser, coverage: bool = True) -> Arguments:
    """Add how a comparison over rows is told; return the group of these arguments.

    `coverage` says whether there is something to find of what the data reaches in a model.
    """
    group = command.add_argument_group("what is told, and where")
    group.add_argument("--json", action="store_true", help="as JSON, for programs")
    group.add_argument(
        "--report",
        type=file_in(".html"),
        metavar="FILE.html",
        help="write a page with pictures (extra 'report')",
    )
    group.add_argument(
        "--record",
        type=file_in(".json"),
        metavar="FILE.json",
        help="write what was run, digests of all files, limits and figures, to be signed and "
        "checked (see `instmodel record`); it is on the page, too",
    )
    if coverage:
        group.add_argument(
            "--no-coverage",
            action="store_true",
            help="do not look for what the data never reaches in the model",
        )
    group.add_argument(
        "--signer", action="append", default=[], metavar="NAME", help="who signs it; repeatable"
    )
    return group


def add_running_arguments(command: argparse.ArgumentParser) -> Arguments:
    """Add how a comparison over rows runs; return the group of these arguments."""
    group = command.add_argument_group("how it runs")
    group.add_argument("--threads", type=at_least_one, metavar="N", help="default: every CPU")
    group.add_argument(
        "--batch-rows", type=at_least_one, metavar="N", help="rows that are scored together"
    )
    return group


def recorder_of(args: argparse.Namespace, files: Mapping[str, str | None]) -> Recorder | None:
    """Return what records this run, if somebody asked for a record or a page."""
    if not args.record and not args.report:
        if args.signer:
            raise InputError(
                "missing_field", "who signs needs a record or a page", field="--record"
            )
        return None
    return Recorder(files, ["instmodel", *args.argv])


def record_of(
    args: argparse.Namespace,
    recorder: Recorder | None,
    found: Finding,
    limits: Sequence[Limit],
    models: Mapping[str, InstructionModel],
    without: Collection[str] = (),
) -> dict[str, Any] | None:
    """Return the record of a run, written if somebody asked for the file.

    `without` are arguments of this command that decide nothing of what is found.
    """
    if recorder is None:
        return None
    hidden = _NOT_OPTIONS.union(without)
    asked = {name: value for name, value in vars(args).items() if name not in hidden}
    target = args.record or args.report
    record = recorder.record(
        found,
        limits,
        models=models,
        options=asked,
        signers=args.signer,
        folder=location(target).parent,
    )
    if not args.record:  # a digest of what nobody has tells nothing
        return record | {"sha256": None}
    write_record(args.record, record)
    return record


def tell(
    args: argparse.Namespace, summary: Summary, found: dict[str, object], verdict: Verdict
) -> int:
    """Print what was found: as JSON, or for a person, who is also told where the page is.

    Returns the exit code.
    """
    code = DIFFERENT if verdict.holds is False else OK
    if args.json:
        judged = {"holds": verdict.holds, "limits": verdict.to_list()}
        print(json.dumps(_plain(found | judged), indent=2))
        return code
    print(printable(f"{summary.title}: {summary.verdict}"))
    for note in summary.notes:
        print(printable(note))
    for part in [*([summary.limits] if summary.limits else []), *summary.tables]:
        print(f"\n{printable(part.title)}\n{table(part.columns, part.rows)}", end="")
    if summary.finding:
        print(f"\n{printable(summary.finding)}")
    if args.report:
        print(f"\nreport: {printable(args.report)}")
    if args.record:
        print(f"\nrecord: {printable(args.record)}")
    return code


def _plain(value: object) -> object:
    """Return plain data that JSON can hold: NaN and infinities as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
