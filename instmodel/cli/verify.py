"""``instmodel verify``: whether a model is what it should be."""

from __future__ import annotations

import argparse

import numpy as np

import instmodel as im
from instmodel.base.tolerance import DEFAULT_ATOL, DEFAULT_RTOL, Tolerance, absolute_errors
from instmodel.cli.arguments import (
    DIFFERENT,
    OK,
    Commands,
    add_command,
    add_limit_argument,
    add_nulls_argument,
    at_least_one,
    atol,
    limits,
    nulls,
    rtol,
)
from instmodel.cli.console import progress
from instmodel.cli.reporting import (
    VALUES,
    add_limits,
    add_report_arguments,
    add_running_arguments,
    limits_asked,
    record_of,
    recorder_of,
    tell,
)
from instmodel.errors import InputError, printable
from instmodel.stores import places
from instmodel.verification.summary import judged, verification_summary
from instmodel.verification.verifying import verify

_LIMITS = {
    "--max-different": (
        *("rows_different", "max", "N|P%"),
        "rows that may differ by more than the tolerance (default: 0)",
    ),
    "--min-coverage": (
        *("coverage.reached", "min", "N|P%"),
        "states of the model that the data must reach",
    ),
    "--max-ulp": ("outputs.max_ulp", "max", "N", "units of the last float32 digit"),
}


def add(commands: Commands) -> None:
    """Add the command."""
    summary = (
        "Compare a model with its validation data, with recorded scores, or with another "
        "computation; exit code 0 same, 1 different, 2 could not compare."
    )
    command = add_command(commands, "verify", run, summary)
    command.add_argument("model", metavar="MODEL")
    data = command.add_argument_group("what is compared")
    data.add_argument("--data", metavar="FILE", help=".csv, .npy; .parquet and more with pyarrow")
    add_nulls_argument(data)
    data.add_argument(
        "--expected",
        metavar="COLS",
        help="recorded scores to compare with: columns of the file, separated by commas",
    )
    data.add_argument(
        "--against",
        metavar="OTHER",
        help="another model file, an .onnx file, 'gpu', or 'reference', the default with --data",
    )
    data.add_argument("--atol", type=atol, help=f"absolute tolerance (default: {DEFAULT_ATOL:g})")
    data.add_argument("--rtol", type=rtol, help=f"relative tolerance (default: {DEFAULT_RTOL:g})")
    add_limits(command, _LIMITS)
    told = add_report_arguments(command)
    told.add_argument(
        "--worst", type=at_least_one, default=5, metavar="N", help="rows to show (default: 5)"
    )
    add_limit_argument(add_running_arguments(command))


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    bounds = limits_asked(args)
    asked = (args.data, args.against, args.expected, args.nulls, args.atol, args.rtol)
    if asked == (None,) * 6 and not (
        bounds or args.json or args.report or args.record or args.signer
    ):
        return _run_validation_data(args)
    read = {"model": args.model, "data": args.data, "other side": args.against}
    places.check({"report": args.report, "record": args.record}, read | {"limits": args.limits})
    against = None if args.against in ("gpu", "reference") else args.against
    files = {"model": args.model, "against": against, "data": args.data, "limits": args.limits}
    recorder = recorder_of(args, files)
    with progress(f"verifying {args.model}") as advance:
        model = im.load(args.model, limits=limits(args), validate=False)
        found = verify(
            model,
            args.data,
            against=args.against,
            expected=None if args.expected is None else args.expected.split(","),
            atol=DEFAULT_ATOL if args.atol is None else args.atol,
            rtol=DEFAULT_RTOL if args.rtol is None else args.rtol,
            worst=args.worst,
            coverage=not args.no_coverage,
            nulls=None if args.nulls is None else nulls(args.nulls),
            threads=args.threads,
            batch_rows=args.batch_rows,
            progress=advance,
        )
    verdict = found.judge(bounds)
    record = record_of(args, recorder, found, bounds, {"model": model})
    if args.report:
        from instmodel.reports.pages import write_verification

        write_verification(args.report, found, model, args.model, verdict, record)
    summary = judged(verification_summary(found, args.model, VALUES), verdict)
    return tell(args, summary, found.to_dict(), verdict)


def _run_validation_data(args: argparse.Namespace) -> int:
    model = im.load(args.model, limits=limits(args), validate=False)
    data = model.structure.validation_data
    if data is None or not data.inputs:
        raise InputError("missing_field", "the model has no validation data", file=args.model)
    if model.is_recurrent:
        sequences = [np.reshape(steps, (-1, model.feature_size)) for steps in data.inputs]
        outputs = data.expected_outputs
        actual = np.concatenate(model.predict_sequences(sequences))
        expected = np.concatenate([steps.reshape(-1, model.output_size) for steps in outputs])
    else:
        expected = np.stack(data.expected_outputs)
        actual = model.predict(np.stack(data.inputs))
    accepted = Tolerance()
    same = bool((accepted.excess(actual, expected) <= 1).all())
    print(
        f"{printable(args.model)}: {len(data.inputs)} cases, largest error "
        f"{absolute_errors(actual, expected).max(initial=0):.3g}, tolerance {accepted}: "
        f"{'same' if same else 'DIFFERENT'}"
    )
    return OK if same else DIFFERENT
