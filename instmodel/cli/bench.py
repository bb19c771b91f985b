"""``instmodel bench``: how fast a model runs here."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import instmodel as im
from instmodel.cli.arguments import (
    OK,
    Commands,
    add_command,
    add_loading_arguments,
    at_least_one,
    loading,
    seconds,
)
from instmodel.cli.console import table
from instmodel.errors import InputError, printable
from instmodel.tables.rows import read_rows

Floats = NDArray[np.float32]

_ROWS = 100_000
_PERCENTILES = (50, 90, 99, 99.9)


@dataclass(frozen=True, slots=True)
class Throughput:
    """Rows a second of whole batches.

    Attributes
    ----------
    threads, batch_rows : int
    rows_per_second : float
        Of the median call.
    """

    threads: int
    batch_rows: int
    rows_per_second: float


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "bench", run, "Measure how fast a model runs here.")
    command.add_argument("model", metavar="MODEL")
    command.add_argument(
        "--data", metavar="FILE", help="take rows of a table; default: random ones"
    )
    command.add_argument(
        "--rows", type=at_least_one, default=_ROWS, metavar="N", help="in the largest batch"
    )
    command.add_argument("--threads", type=at_least_one, metavar="N", help="default: every CPU")
    command.add_argument(
        "--seconds", type=seconds, default=1.0, help="how long each line takes (default: 1)"
    )
    command.add_argument("--json", action="store_true", help="as JSON, for programs")
    add_loading_arguments(command)


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    model = im.load(args.model, **loading(args))
    rows = _rows(args, model)
    most = args.threads or im.runtime_info()["threads"]
    found = [
        _throughput(model, rows[:size], threads, args.seconds)
        for threads in sorted({1, most})
        for size in sorted({min(size, len(rows)) for size in (100, 10_000, len(rows))})
    ]
    latency = _latency(model, rows[0], args.seconds)
    if args.json:
        facts = {"throughput": [asdict(item) for item in found], "latency_us": latency}
        print(json.dumps(facts, indent=2))
        return OK
    print(f"{printable(args.model)}: {model!r}, kernels: {im.runtime_info()['isa']}")
    lines = [[f.threads, f"{f.batch_rows:,}", f"{f.rows_per_second:,.0f}"] for f in found]
    print(table(["threads", "rows a call", "rows a second"], lines, styled=sys.stdout.isatty()))
    print("One row through predict, microseconds:")
    print("  " + ", ".join(f"{name} {value:.2f}" for name, value in latency.items()))
    return OK


def _rows(args: argparse.Namespace, model: im.InstructionModel) -> Floats:
    if args.data is None:
        rng = np.random.default_rng(0)
        return rng.standard_normal((args.rows, model.feature_size), np.float32)
    batches = read_rows(args.data, model, batch_rows=args.rows)
    batch = next(iter(batches), None)
    batches.close()
    if batch is None:
        raise InputError("no_rows", "no rows to run", file=args.data)
    return np.ascontiguousarray(batch.inputs)


def _throughput(
    model: im.InstructionModel, rows: Floats, threads: int, duration: float
) -> Throughput:
    config = im.PredictConfig(threads=threads)
    times = _times(lambda: model.predict_parallel(rows, config), duration)
    return Throughput(threads, len(rows), float(len(rows) / np.median(times)))


def _latency(model: im.InstructionModel, row: Floats, duration: float) -> dict[str, float]:
    times = _times(lambda: model.predict(row), duration)
    return {f"p{p:g}": float(1e6 * np.percentile(times, p)) for p in _PERCENTILES}


def _times(call: Any, duration: float) -> list[float]:
    """Return the seconds of each call, repeated for some time; the first calls do not count."""
    call()
    call()
    times: list[float] = []
    stop = time.perf_counter() + duration
    while not times or time.perf_counter() < stop:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times
