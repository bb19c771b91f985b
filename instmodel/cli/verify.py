"""``instmodel verify``: run a model's validation data."""

from __future__ import annotations

import argparse
import math

import instmodel as im
from instmodel.cli.arguments import DIFFERENT, OK, Commands, add_command
from instmodel.console import printable
from instmodel.errors import InputError
from instmodel.inspection import build_unvalidated
from instmodel.model import VALIDATION_ATOL


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "Run a model's validation data; exit code 0 same, 1 not."
    command = add_command(commands, "verify", run, summary)
    command.add_argument("model", metavar="MODEL")


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    info = im.InstructionModelInfo.load(args.model)
    data = info.validation_data
    if data is None or not data.inputs:
        raise InputError("missing_field", f"{args.model}: the model has no validation data")
    model = build_unvalidated(info)
    largest = model.validate(data.inputs, data.expected_outputs, atol=math.inf)
    same = largest <= VALIDATION_ATOL
    print(
        f"{printable(args.model)}: {len(data.inputs)} cases, largest error {largest:.3g}, "
        f"tolerance {VALIDATION_ATOL:g}: {'same' if same else 'DIFFERENT'}"
    )
    return OK if same else DIFFERENT
