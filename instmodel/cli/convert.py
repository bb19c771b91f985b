"""``instmodel convert``: write a model in the other format."""

from __future__ import annotations

import argparse
from pathlib import Path

import instmodel as im
from instmodel.cli.arguments import OK, Commands, add_command
from instmodel.console import printable
from instmodel.errors import InputError
from instmodel.schema import BINARY_SUFFIX


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "Write a model in the other format, to the bit."
    command = add_command(commands, "convert", run, summary)
    command.add_argument("source", metavar="SOURCE", help="a model file of either format")
    command.add_argument("target", metavar="TARGET", help="a name in .json or .instmodel")


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if Path(args.target).suffix not in (".json", BINARY_SUFFIX):
        raise InputError(
            "invalid_document", f"{args.target}: the name must end in .json or {BINARY_SUFFIX}"
        )
    info = im.InstructionModelInfo.load(args.source)
    im.InstructionModel(info)  # what breaks a rule is not passed on
    info.save(args.target)
    print(f"{printable(args.target)}: {info.digest()}")
    return OK
