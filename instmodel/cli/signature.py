"""``instmodel signature``: what a model expects of its inputs, shown or made from data."""

from __future__ import annotations

import argparse
import dataclasses
import json

import instmodel as im
from instmodel.cli.arguments import (
    OK,
    Commands,
    add_command,
    add_limit_argument,
    file_in,
    limits,
)
from instmodel.cli.console import table
from instmodel.document.signature import FeatureSignature, Signature
from instmodel.errors import InputError, printable
from instmodel.stores import places

# Codes that a person is shown.
_MOST_CODES = 6


def add(commands: Commands) -> None:
    """Add the command."""
    summary = "Show what a model expects of its inputs, or let it expect what is like some data."
    command = add_command(commands, "signature", run, summary)
    command.add_argument("model", metavar="MODEL")
    command.add_argument(
        "data", metavar="DATA", nargs="?", help="the training data: any table with the inputs"
    )
    command.add_argument(
        "-o",
        "--output",
        type=file_in(".json", ".instmodel"),
        metavar="MODEL2",
        help="where to write the model with its new signature: .json or .instmodel",
    )
    command.add_argument("--json", action="store_true", help="as JSON, as in the document")
    add_limit_argument(command)


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if (args.data is None) != (args.output is None):
        raise InputError(
            "missing_field",
            "data makes a signature, and the model with it needs a place",
            field="DATA" if args.data is None else "--output",
        )
    places.check({"output": args.output}, {"model": args.model, "data": args.data})
    model = im.load(args.model, limits=limits(args), validate=False)
    signature = model.signature
    if args.data is not None:
        signature = Signature.from_data(model, args.data)
        dataclasses.replace(model.info, signature=signature).save(args.output)
    if signature is None:
        raise InputError(
            "missing_signature",
            "the model does not say what it expects",
            file=args.model,
            expected="training data, and -o MODEL2",
        )
    if args.json:
        print(json.dumps(signature.to_json(), indent=2))
        return OK
    made = "" if signature.rows is None else f", made from {signature.rows} rows"
    print(printable(f"{args.output or args.model}: a signature of {_inputs(signature)}{made}"))
    told = signature.features
    rows = [[f.name, *_told(told[f.name])] for f in model.named_features if f.name in told]
    print(table(["input", "kind", "expected", "nulls", "null in training"], rows), end="")
    return OK


def _inputs(signature: Signature) -> str:
    count = len(signature.features)
    return f"{count} input" if count == 1 else f"{count} inputs"


def _told(item: FeatureSignature) -> list[str]:
    return [item.kind, _expected(item), item.nulls, f"{100 * item.null_share:.3g} %"]


def _expected(item: FeatureSignature) -> str:
    if item.kind == "text":
        return "its categories"
    if item.codes is not None:
        more = ", …" if item.codes[_MOST_CODES:] else ""
        return ", ".join(map(str, item.codes[:_MOST_CODES])) + f"{more} ({len(item.codes)})"
    low, high = ("" if end is None else f"{end:.6g}" for end in (item.min, item.max))
    return f"{low} … {high}".strip()
