"""``instmodel convert``: write a model in another format, or bring one of another library in."""

from __future__ import annotations

import argparse
from pathlib import Path

import instmodel as im
from instmodel.cli.arguments import (
    OK,
    Commands,
    add_command,
    add_loading_arguments,
    limits,
    loading,
)
from instmodel.errors import InputError, printable
from instmodel.importers.files import import_file


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "Write a model in another format; import one of another library, or export ONNX."
    command = add_command(commands, "convert", run, summary)
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="a model file of either format, .onnx, .keras, .joblib, .pkl, .pickle or .pt2",
    )
    command.add_argument("target", metavar="TARGET", help="a name in .json, .instmodel or .onnx")
    command.add_argument(
        "--trust-pickle",
        action="store_true",
        help="load .joblib, .pkl, .pickle or .pt2: that runs whatever code is in the file",
    )
    add_loading_arguments(command)


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from instmodel.formats import BINARY_SUFFIX

    ending = Path(args.target).suffix.lower()
    if ending not in (".json", ".onnx", BINARY_SUFFIX):
        raise InputError(
            "invalid_document",
            f"the name must end in .json, {BINARY_SUFFIX} or .onnx",
            file=args.target,
        )
    info = import_file(args.source, trust_pickle=args.trust_pickle)
    # What breaks a rule is not passed on.
    if info is None:
        info = im.load(args.source, **loading(args)).info
    else:
        im.InstructionModel(info, **loading(args))
    if ending == ".onnx":
        info.to_onnx(args.target, limits=limits(args))
    else:
        info.save(args.target)
    print(f"{printable(args.target)}: {info.digest()}")
    return OK
