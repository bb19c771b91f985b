"""``python -m perf.bench``: measure this engine, its peers and the machine in one run.

Writes ``results.json``, ``report.md`` and plots. A peer that dies, fails or computes something else
than we do is left out where that happened; the report says so, and the exit code is 1. When this
engine fails, the run ends and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import instmodel as im
from instmodel.base.extras import require
from instmodel.errors import InstModelError
from perf import machine
from perf.imports import import_times
from perf.limits import Limits
from perf.measure import (
    LESSER_ISA,
    LESSER_ISA_NETWORK,
    MEMORY_NETWORK,
    OURS,
    Settings,
    limit_turns,
    measure_activations,
    measure_memory,
    measure_network,
)
from perf.networks import NETWORKS
from perf.peers import PEERS, installed
from perf.report import markdown
from perf.results import failures
from perf.workers import Contender, Worker

if TYPE_CHECKING:
    from rich.console import Console

_FULL = Settings(
    rounds=7,
    turn=0.12,
    search=0.03,
    chunks=(256, 1024, 4096, 16_384, None),
    curve_rounds=3,
    curve_turn=0.04,
    sizes=(1, 10, 100, 1000, 10_000, 200_000),
    peers_afresh=True,
)
_QUICK = Settings(
    rounds=3,
    turn=0.01,
    search=0.0,
    chunks=(1024, 8192),
    curve_rounds=1,
    curve_turn=0.005,
    sizes=(1, 100, 10_000),
    peers_afresh=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parse(arguments)
    from rich.console import Console
    from rich.markdown import Markdown

    from perf.plots import draw

    console = Console()
    settings = _QUICK if options.quick else _FULL
    if options.rounds is not None:
        settings = replace(settings, rounds=options.rounds)
    options.output.mkdir(parents=True, exist_ok=True)

    results = _measure(options.only, [OURS, *options.peers], settings, console)
    (options.output / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    report = markdown(results)
    (options.output / "report.md").write_text(report, encoding="utf-8")
    draw(results, options.output)

    console.print(Markdown(report))
    console.print(f"results.json, report.md and plots are in {options.output}")
    return 1 if failures(results) else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    peers = [peer for peer in installed() if peer != OURS]
    description = (__doc__ or "").replace("``", "")
    parser = argparse.ArgumentParser(prog="python -m perf.bench", description=description)
    parser.add_argument(
        "--quick", action="store_true", help="a minute or two, for a first impression"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=NETWORKS,
        default=list(NETWORKS),
        metavar="NETWORK",
        help="networks to measure (default: all): " + " ".join(NETWORKS),
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=peers,
        default=peers,
        metavar="PEER",
        help="libraries to compare with (default: all that are installed): "
        + " ".join(peer for peer in PEERS if peer != OURS),
    )
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help=f"turns of each (default: {_FULL.rounds}, with --quick {_QUICK.rounds})",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("perf-results"),
        metavar="FOLDER",
        help="where the results go (default: perf-results)",
    )
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        for package in ("rich", "matplotlib"):
            require(package, "bench")
    except InstModelError as error:  # before anything is measured
        parser.error(str(error))
    return options


def _measure(
    names: Sequence[str], peers: Sequence[str], settings: Settings, console: Console
) -> dict[str, Any]:
    """Measure everything; return what the JSON file holds."""
    from rich.progress import track

    begin, others = time.monotonic(), machine.OtherProcesses()
    results = _setting(peers, settings)
    isa, lesser_isa = results["runtime"]["isa"], _lesser_isa(results["runtime"])
    threads = sorted({1, results["threads"]})
    contenders = [Contender(peer, number) for peer in peers for number in threads]
    if lesser_isa:
        contenders += [Contender(OURS, number, lesser_isa) for number in threads]
    afresh = [peer for peer in peers if peer == OURS or settings.peers_afresh]
    results["imports"] = import_times([p for p in afresh if p != "numpy"], settings.rounds)
    with ExitStack() as stack:
        limits = Limits(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        workers = []
        for contender in contenders:
            workers.append(Worker(contender))
            stack.callback(workers[-1].close)
        for name in track(names, "networks", console=console, transient=True):
            isas = [isa, lesser_isa] if lesser_isa and name == LESSER_ISA_NETWORK else [isa]
            turns = limit_turns(limits, isas, threads)
            results["networks"][name] = measure_network(NETWORKS[name], workers, turns, settings)
        results["activations"] = measure_activations(workers[0], settings)
    if MEMORY_NETWORK in names:
        choices = results["networks"][MEMORY_NETWORK]["choices"]
        started = [contender for contender in contenders if contender.peer in afresh]
        results["memory"], results["memory_failures"] = measure_memory(
            started, choices, settings.curve_rounds
        )
    results["others_busy_cpus"] = others.busy_cpus()
    results["minutes"] = (time.monotonic() - begin) / 60
    return results


def _setting(peers: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Return the results before anything is measured."""
    runtime = im.runtime_info()
    return {
        "command": shlex.join(["python", "-m", "perf.bench", *sys.argv[1:]]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine.describe(),
        "versions": machine.versions(peers),
        "runtime": runtime,
        "threads": runtime["threads"],
        "settings": asdict(settings),
        "networks": {},
        "memory": {},
        "memory_failures": {},
    }


def _lesser_isa(runtime: dict[str, Any]) -> str | None:
    """Return the other instruction set that a target names, where this run does not use it."""
    available = LESSER_ISA in runtime["available_isas"] and runtime["isa"] != LESSER_ISA
    return LESSER_ISA if available else None


if __name__ == "__main__":
    sys.exit(main())
