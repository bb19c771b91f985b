"""The command line: ``instmodel demo``, ``score``, ``inspect``, ``verify`` and so on.

Exit codes: 0 success; 1 `verify` found a difference, a limit does not hold, or a record is no
longer true; 2 any error, told in one line on stderr;
130 interrupted; 141 the reader of the output went away.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import NoReturn, TextIO

import instmodel as im
from instmodel.cli import (
    bench,
    compare,
    convert,
    demo,
    drift,
    inspect,
    profile,
    record,
    score,
    signature,
    verify,
)
from instmodel.cli.arguments import BROKEN_PIPE, FAILED, INTERRUPTED, Parser
from instmodel.errors import printable

COMMANDS = (
    *(demo, score, inspect, verify, compare, signature, drift),
    *(record, convert, bench, profile),
)
"""The modules of the commands, in the order of ``--help``: each has `add` and `run`."""


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
    # MLflow, where a model comes from it, would draw a bar of its own into standard error.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    try:
        args = _parser().parse_args(argv)
        args.argv = list(sys.argv[1:] if argv is None else argv)
        with _stop_on_signal(), _warnings_in_one_line():
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


def _parser() -> Parser:
    summary = "Run trained tabular networks on tables: CSV, NPY, Parquet, Arrow and JSON lines."
    parser = Parser(prog="instmodel", description=summary, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"instmodel {im.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


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
def _warnings_in_one_line() -> Iterator[None]:
    """Print warnings as errors are printed; the same one only once."""
    told = set[str]()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = printable(message)
        if text not in told:  # a command may build a model in several places
            told.add(text)
            print(f"instmodel: warning: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, so that it cleans up."""

    def stop(number: int, frame: object) -> NoReturn:
        # Once: another Ctrl-C must not cut the cleaning up short.
        for handled in previous:
            signal.signal(handled, signal.SIG_IGN)
        raise KeyboardInterrupt(128 + number)

    previous = {}
    # Only the main thread may set handlers.
    with contextlib.suppress(ValueError):
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            usual = (signal.SIG_DFL, signal.default_int_handler)
            if number is not None and signal.getsignal(number) in usual:
                previous[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
