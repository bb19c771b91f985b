"""What the commands share: exit codes, the parser, and types of arguments."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, NoReturn, TypeVar

from instmodel.base import values
from instmodel.base.limits import DEFAULT_LIMITS, Limits
from instmodel.base.tolerance import DEFAULT_ATOL, DEFAULT_RTOL
from instmodel.errors import InputError, printable
from instmodel.tables.binding import Nulls, null_rule
from instmodel.tables.csv_options import CsvOptions

OK, DIFFERENT, FAILED, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141

# What `add_subparsers` returns; argparse has no public name for it.
Commands = Any

# A parser, or a group of its arguments; argparse has no public name for what they share.
Arguments = Any

LOADING = ("atol", "rtol", "no_validation", "limit")
"""The arguments of `add_loading_arguments`."""

_LIMITS = tuple(field.name for field in fields(Limits))
_N = TypeVar("_N", int, float)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and know the name that was meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; refuse what is unknown here, where the command that it is for is known."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            given = (text.partition("=")[0] for text in unknown)
            flag = next((text for text in given if text.startswith("-")), "")
            advice = values.hint(flag, self._option_string_actions) if flag else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{advice}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            known = map(str, action.choices or ())
            message = error.message + values.hint(str(value), known)
            raise argparse.ArgumentError(action, message) from None

    def error(self, message: str) -> NoReturn:
        """Print one line and exit."""
        self.exit(FAILED, f"instmodel: error: {printable(message)} (see {self.prog} --help)\n")


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    """Add a command whose parsed arguments `run` turns into an exit code."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary, allow_abbrev=False
    )
    command.set_defaults(run=run)
    # SUPPRESS: do not undo a --debug that came before the command.
    command.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    return command


def at_least_one(text: str) -> int:
    """Read a whole number of 1 or more, as large as any count in memory can be."""
    what = f"a whole number from 1 to {sys.maxsize}"
    return _number(text, int, lambda number: 1 <= number <= sys.maxsize, what)


def seconds(text: str) -> float:
    """Read a duration of at most an hour."""
    return _number(text, float, lambda number: 0 < number <= 3600, "a number of seconds")


def atol(text: str) -> float:
    """Read an absolute tolerance; see `Tolerance`."""
    return _number(text, float, lambda number: number >= 0, "a number of 0 or more")


def rtol(text: str) -> float:
    """Read a relative tolerance."""
    return _number(text, float, lambda number: 0 <= number < math.inf, "a finite number ≥ 0")


def _number(text: str, read: Callable[[str], _N], good: Callable[[_N], bool], what: str) -> _N:
    try:
        number = read(text)
    except ValueError:
        pass
    else:
        if good(number):
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not {what}")


def file_in(*suffixes: str) -> Callable[[str], str]:
    """Return a reader of file names that end in one of `suffixes`."""

    def read(text: str) -> str:
        if not text.lower().endswith(suffixes):
            raise argparse.ArgumentTypeError(f"{text!r} does not end in {' or '.join(suffixes)}")
        return text

    return read


def add_nulls_argument(command: Arguments) -> None:
    """Add what becomes of nulls."""
    command.add_argument(
        "--nulls",
        action="append",
        metavar="RULE",
        help="what a null becomes: error (default), nan, a number, or COLUMN=RULE; repeatable",
    )


def nulls(rules: list[str]) -> Nulls:
    """Read ``nan``, ``0`` or ``age=0``; one rule for all columns, or some for single ones."""
    columns: dict[str, str | float] = {}
    for rule in rules:
        name, equals, value = rule.rpartition("=")
        if not equals and len(rules) == 1:
            return null_rule(value)
        if not equals:
            raise InputError(
                "invalid_nulls", "one rule for all columns, or some with COLUMN=", actual=rule
            )
        if name in columns:
            raise InputError("invalid_nulls", "two rules for one column", column=name)
        columns[name] = null_rule(value)
    return columns


def add_csv_arguments(command: Arguments) -> None:
    """Add how CSV files are written."""
    command.add_argument(
        "--delimiter",
        default=",",
        metavar="CHARACTER",
        help=r"between cells (default: a comma); \t is a tab",
    )
    command.add_argument(
        "--null-values",
        type=names,
        action="extend",
        metavar="A,B",
        help="spellings of null beside the empty cell, such as NA",
    )
    command.add_argument(
        "--encoding", default="utf-8", help="such as latin-1, cp1252 or utf-16 (default: utf-8)"
    )
    command.add_argument(
        "--decimal", default=".", metavar="MARK", help="of numbers: . (default) or a comma"
    )


def csv_options(args: argparse.Namespace) -> CsvOptions:
    """Return the arguments of `add_csv_arguments`."""
    delimiter = "\t" if args.delimiter == r"\t" else args.delimiter
    options = CsvOptions(delimiter, args.null_values or (), args.encoding, args.decimal)
    options.check()
    return options


def names(text: str) -> list[str]:
    """Read names between commas; one with a comma stands in double quotes."""
    return next(csv.reader([text]), [])


def add_limit_argument(command: Arguments) -> None:
    """Add how to raise the limits on the size of a model."""
    command.add_argument(
        "--limit",
        type=_limit,
        action="append",
        default=[],
        metavar="NAME=N",
        help="raise a limit on the size of a model, by the name that its error has: "
        + ", ".join(_LIMITS),
    )


def limits(args: argparse.Namespace) -> Limits:
    """Return the limits of `add_limit_argument`."""
    return replace(DEFAULT_LIMITS, **dict(args.limit))


def _limit(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in _LIMITS or not number:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=N with one of the names {', '.join(_LIMITS)}"
        )
    return name, at_least_one(number)


def add_loading_arguments(command: Arguments) -> None:
    """Add how a model is loaded: how its validation data is run, and how large it may be."""
    command.add_argument(
        "--atol",
        type=atol,
        default=DEFAULT_ATOL,
        help=f"how far the model may be from its validation data (default: {DEFAULT_ATOL:g})",
    )
    command.add_argument(
        "--rtol",
        type=rtol,
        default=DEFAULT_RTOL,
        help=f"the same, as a part of the expected value (default: {DEFAULT_RTOL:g})",
    )
    command.add_argument(
        "--no-validation", action="store_true", help="do not run the model's validation data"
    )
    add_limit_argument(command)


def loading(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `add_loading_arguments` as those of `instmodel.load`."""
    return {
        "atol": args.atol,
        "rtol": args.rtol,
        "validate": not args.no_validation,
        "limits": limits(args),
    }
