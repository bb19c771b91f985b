"""The command line: ``instmodel demo``, ``score``, ``inspect``, ``verify`` and ``convert``.

Exit codes: 0 success; 1 `verify` found a difference; 2 any error, told in one line on stderr;
130 interrupted; 141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

import instmodel as im
from instmodel.atomic import replacing
from instmodel.console import printable, progress, table
from instmodel.demo import run_demos
from instmodel.errors import InputError
from instmodel.features import parse_feature_names
from instmodel.inspection import build_unvalidated, model_facts
from instmodel.model import VALIDATION_ATOL
from instmodel.schema import BINARY_SUFFIX
from instmodel.tables.columns import column_names
from instmodel.tables.files import make_writer, open_reader, suffix

Floats = NDArray[np.float32]

OK, DIFFERENT, FAILED, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, without the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    # A stream that was closed before the program started is None: what goes there is lost.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    try:
        args = _parser().parse_args(argv)
        with _stop_on_signal():
            code: int = args.run(args)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse: usage errors, --help, --version
        return stop.code if isinstance(stop.code, int) else FAILED
    except KeyboardInterrupt as stop:
        _say_error("stopped", stop, debug)
        return stop.args[0] if stop.args else INTERRUPTED
    except BrokenPipeError:
        _let_go_of(sys.stdout)
        return BROKEN_PIPE
    except Exception as error:
        _let_go_of(sys.stdout)
        _say_error(_sentence(error), error, debug)
        return FAILED
    return code


def _let_go_of(stream: TextIO) -> None:
    """Keep the interpreter's last flush from failing again on a full disk or a closed pipe."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say_error(sentence: str, error: BaseException, debug: bool) -> None:
    with contextlib.suppress(OSError):  # the exit code still tells
        if debug:
            traceback.print_exception(error)
        print(f"instmodel: error: {printable(' '.join(sentence.split()))}", file=sys.stderr)
    _let_go_of(sys.stderr)


def _sentence(error: Exception) -> str:
    """Tell what went wrong, for a person."""
    if isinstance(error, im.InstModelError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        name = error.filename
        shown = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None
        return f"{shown}: {error.strerror}" if shown else error.strerror
    if isinstance(error, MemoryError):
        return "out of memory; --batch-rows makes score use less"
    return f"unexpected {type(error).__name__}: {error} (--debug shows where)"


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, so that it cleans up."""

    def stop(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt(128 + number)

    previous = {}
    # Only the main thread may set handlers.
    with contextlib.suppress(ValueError):
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                previous[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


# --------------------------------------------------------------------------------------- arguments


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"instmodel: error: {printable(message)} (see {self.prog} --help)\n")


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return number


def _parser() -> argparse.ArgumentParser:
    summary = "Run trained tabular networks on CSV and NPY files."
    parser = _Parser(prog="instmodel", description=summary, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"instmodel {im.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        sub.set_defaults(run=run)
        # SUPPRESS: do not undo a --debug that came before the command.
        sub.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the traceback of an error",
        )
        return sub

    demo = command("demo", _demo, "Verify the models that come along, and score their data.")
    demo.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="where the scores go (default: here)"
    )

    score = command("score", _score, "Score every row of a table.")
    score.add_argument("model", metavar="MODEL")
    score.add_argument(
        "input",
        metavar="INPUT",
        help=".csv or .npy; CSV columns are matched by name if the model names its features, "
        "else by position",
    )
    score.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUTPUT",
        help=".csv or .npy, or - for CSV on standard output",
    )
    score.add_argument(
        "--threads", type=_at_least_one, metavar="N", help="default: every CPU it may use"
    )
    score.add_argument(
        "--batch-rows", type=_at_least_one, metavar="N", help="rows in memory at a time"
    )

    inspect = command("inspect", _inspect, "Show what a model is made of.")
    inspect.add_argument("model", metavar="MODEL")
    inspect.add_argument("--json", action="store_true", help="as JSON, for programs")

    verify = command("verify", _verify, "Run a model's validation data; exit code 0 same, 1 not.")
    verify.add_argument("model", metavar="MODEL")

    convert = command("convert", _convert, "Write a model in the other format, to the bit.")
    convert.add_argument("source", metavar="SOURCE", help="a model file of either format")
    convert.add_argument("target", metavar="TARGET", help="a name in .json or .instmodel")
    return parser


# ------------------------------------------------------------------------------------------- score


def _score(args: argparse.Namespace) -> int:
    to_stdout = args.output == "-"
    ending = ".csv" if to_stdout else suffix(args.output)
    from_csv = suffix(args.input) == ".csv"
    for other, what in ((args.input, "input"), (args.model, "model")):
        if not to_stdout and _same_file(other, args.output):
            raise InputError("invalid_table", f"{args.output}: the output is also the {what}")

    info = im.InstructionModelInfo.load(args.model)
    model = im.InstructionModel(info)
    columns = None
    if from_csv and info.features:
        columns = column_names(parse_feature_names(info.features))

    with contextlib.ExitStack() as stack:
        reader = open_reader(args.input, columns, model.feature_size, args.batch_rows)
        stack.callback(reader.close)
        file = sys.stdout.buffer if to_stdout else stack.enter_context(replacing(args.output))
        writer = make_writer(ending, file, model.output_size)
        advance = stack.enter_context(progress(f"scoring {args.input}"))
        rows = 0
        for batch in reader.batches():
            writer.write(_predict(model, batch, args.threads))
            rows += len(batch)
            advance(reader.fraction())
        writer.finish()
    if not to_stdout:
        print(f"{rows} rows scored: {printable(args.output)}")
    return OK


def _predict(model: im.InstructionModel, batch: Floats, threads: int | None = None) -> Floats:
    result = model.predict_parallel(batch, im.PredictConfig(threads=threads))
    return np.asarray(result).reshape(len(batch), model.output_size)


def _same_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


# ------------------------------------------------------------------------------------------ verify


def _verify(args: argparse.Namespace) -> int:
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


# ----------------------------------------------------------------------------------------- inspect


def _inspect(args: argparse.Namespace) -> int:
    facts = model_facts(im.InstructionModelInfo.load(args.model))
    if args.json:
        print(json.dumps(facts, indent=2))
        return OK
    counts, graph = facts["counts"], facts["execution_graph"]
    print(printable(args.model))
    print(f"  digest            {facts['digest']}")
    print(f"  inputs            {facts['feature_size']}")
    print(f"  outputs           {facts['output_size']}")
    print(f"  weights, biases   {counts['weights']}, {counts['biases']}")
    print(f"  parameters        {counts['parameters']}")
    if counts["map_values"]:
        print(f"  map values        {counts['map_values']}")
    print(f"  memory per row    {facts['required_memory']} floats, {facts['memory_bytes']} bytes")
    print(f"  validation cases  {counts['validation_cases']}")
    print(f"  parallelizable    {'yes' if graph['parallelizable'] else 'no'}")

    named = [[i, f["name"], f["size"]] for i, f in enumerate(facts["features"])]
    _print_table("Features", ["#", "name", "values"], named)
    buffers = [[b["index"], b["size"], b["offset"], b["role"]] for b in facts["buffers"]]
    _print_table("Buffers", ["#", "size", "offset", "role"], buffers)
    steps = [
        [
            i,
            item["type"],
            _one_line(item),
            "root" if i in graph["roots"] else "",
            ", ".join(map(str, graph["children"][i])),
        ]
        for i, item in enumerate(facts["instructions"])
    ]
    _print_table("Instructions", ["#", "type", "fields", "root", "then"], steps)
    return OK


def _one_line(fields: dict[str, Any]) -> str:
    parts = []
    for name, value in fields.items():
        if isinstance(value, list | tuple):
            shown = ", ".join(map(str, value[:8])) + (", …" if len(value) > 8 else "")
            value = f"[{shown}] ({len(value)})" if len(value) > 8 else f"[{shown}]"
        if name != "type":
            parts.append(f"{name}={value}")
    return " ".join(parts)


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print(f"\n{title}")
    print(table(columns, rows, styled=sys.stdout.isatty()) if rows else "(not named)\n", end="")


# ----------------------------------------------------------------------------------------- convert


def _convert(args: argparse.Namespace) -> int:
    if Path(args.target).suffix not in (".json", BINARY_SUFFIX):
        raise InputError(
            "invalid_document", f"{args.target}: the name must end in .json or {BINARY_SUFFIX}"
        )
    info = im.InstructionModelInfo.load(args.source)
    im.InstructionModel(info)  # what breaks a rule is not passed on
    info.save(args.target)
    print(f"{printable(args.target)}: {info.digest()}")
    return OK


# -------------------------------------------------------------------------------------------- demo


def _demo(args: argparse.Namespace) -> int:
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    rows, written = [], []
    for result in run_demos():
        target = folder / f"instmodel-demo-{result.name}.csv"
        with replacing(target) as file:
            writer = make_writer(".csv", file, result.scores.shape[1])
            writer.write(result.scores)
            writer.finish()
        written.append(target)
        rows.append(
            [
                result.name,
                len(result.scores),
                _short(result.rows_per_second),
                f"{result.accuracy:.4f}",
                f"{result.held_out_accuracy:.4f}",
                f"{result.largest_error:.0e}",
                result.some_scores(),
            ]
        )
    columns = ["model", "rows", "rows/s", "accuracy", "held out", "error", "some scores"]
    print(table(columns, rows, styled=sys.stdout.isatty()), end="")
    print(
        "\naccuracy: right answers, of all rows and of those held out from training"
        "\nerror: largest difference from the outputs that the models must reproduce"
        "\n\nThe scores of all rows:"
    )
    for target in written:
        print(f"  {printable(str(target))}")
    return OK


def _short(number: float) -> str:
    return f"{number / 1e6:.2f}M" if number >= 1e6 else f"{number / 1e3:.0f}k"


if __name__ == "__main__":
    sys.exit(main())
