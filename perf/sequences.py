"""Recurrent networks against other libraries: ``python -m perf.sequences``.

Needs PyTorch, ONNX, ONNX Runtime and OpenVINO (the extra ``bench``). Each library runs in a
process of its own, which stands still while another has its turn, with the number of sequences at a
time that suits it best, padded or packed. A ratio is the median over the rounds of the ratio in one
round.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

import numpy as np

from instmodel.base.cpus import default_thread_count
from perf.machine import describe
from perf.recurrent.cases import CASES, Case
from perf.recurrent.peers import PEERS
from perf.recurrent.session import SequenceSession
from perf.rounds import alternate, median_ratio
from perf.workers import Contender, ContenderError, Worker

_OURS = next(iter(PEERS))
_MODULES = {"PyTorch": "torch", "ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}
#: How far the outputs of two libraries may be apart: all are sigmoids.
_APART = 1e-4


def measure(number: int, threads: int, rounds: int, seconds: float) -> None:
    """Print steps per second, and the time of one step, of every library on one case."""
    case = CASES[number]
    print(f"\n{case.name}, {threads} {'thread' if threads == 1 else 'threads'}")
    with ExitStack() as stack:
        workers = {}
        expected = None
        for name in PEERS:
            if importlib.util.find_spec(_MODULES.get(name, name)) is None:
                print(f"  {name:14} is not installed")
                continue
            worker = stack.enter_context(closing(Worker(Contender(name, threads), SequenceSession)))
            try:
                way, outputs = worker.call("prepare", number, seconds)
            except ContenderError as error:
                print(f"  {name:14} failed: {error}")
                continue
            if expected is None:
                expected = outputs
            elif (difference := float(np.abs(outputs - expected).max())) > _APART:
                print(f"  {name:14} computes something else: {difference:.2g} apart")
                continue
            workers[name] = worker
            print(f"  {name:14} {way}")
        peak = workers[_OURS].call("peak") * threads
        rates = alternate(
            {name: partial(worker.call, "throughput", seconds) for name, worker in workers.items()},
            rounds,
        )
        single = alternate(
            {name: partial(worker.call, "step", seconds) for name, worker in workers.items()},
            rounds if threads == 1 else 0,
        )
    _report(case, rates, single, peak)


def _report(
    case: Case,
    rates: dict[str, list[float]],
    single: dict[str, list[float]],
    peak: float,
) -> None:
    ours = rates[_OURS]
    share = float(np.median(ours)) * case.flops / peak
    print(f"  {_OURS:14} {np.median(ours) / 1e6:9.2f} M steps/s, {share:.2f} of the FMA peak")
    for name, found in rates.items():
        if name != _OURS:
            ratio = median_ratio(ours, found)
            print(f"  {name:14} {np.median(found) / 1e6:9.2f} M steps/s; ours {ratio:6.2f} ×")
    for name, found in single.items():
        if not found:
            continue
        ratio = median_ratio(found, single[_OURS])
        told = "" if name == _OURS else f"; {ratio:6.1f} × ours"
        print(f"  {name:14} {1e6 * min(found):9.2f} µs, one step of one sequence{told}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = "\n".join(f"{number}: {case.name}" for number, case in enumerate(CASES))
    parser.add_argument("--case", type=int, action="append", choices=range(len(CASES)), help=names)
    parser.add_argument("--threads", type=int, action="append", help="default: 1 and all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a turn")
    args = parser.parse_args(arguments)
    print(f"{describe()['cpu']}, Python {platform.python_version()}")
    for number in args.case or range(len(CASES)):
        for threads in args.threads or sorted({1, default_thread_count().threads}):
            measure(number, threads, args.rounds, args.seconds)


if __name__ == "__main__":
    main()
