"""Everything that is measured of a network, of values, of memory and of imports.

The functions return what the JSON file holds: dicts of lists with a value per round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

import instmodel as im
from perf.limits import FMA_ISAS, Limits
from perf.networks import Network
from perf.rounds import alternate
from perf.session import Choice, compared_rows
from perf.values import HOSTILE_NETWORKS
from perf.workers import Contender, ContenderError, Worker

T = TypeVar("T")

OURS = "instmodel"
#: Where the promised share of a peak is also asked of a lesser instruction set.
LESSER_ISA, LESSER_ISA_NETWORK = "avx2", "250-300-200"
MEMORY_NETWORK = "250-300-200"
#: How far a peer's results may be from ours.
_RTOL, _ATOL = 1e-4, 2e-5
#: No batch of the curves may need more arithmetic than this.
_MOST_FLOPS = 1e11


@dataclass(frozen=True, slots=True)
class Settings:
    """How long to measure.

    Attributes
    ----------
    rounds : int
    turn : float
        Seconds of a turn: one contender, one network, in one round.
    search : float
        Seconds to try one of a peer's ways to run a network.
    chunks : tuple of (int or None)
        Numbers of rows at a time that are tried; None is all at once.
    curve_rounds : int
    curve_turn : float
        The same for each batch size of a curve, and for single rows.
    sizes : tuple of int
        Batch sizes of the curves.
    peers_afresh : bool
        Whether the peers, too, are started in fresh processes, for import time and memory.
    """

    rounds: int
    turn: float
    search: float
    chunks: tuple[int | None, ...]
    curve_rounds: int
    curve_turn: float
    sizes: tuple[int, ...]
    peers_afresh: bool


def measure_network(
    network: Network,
    workers: Sequence[Worker],
    limits: Mapping[str, Callable[[float], float]],
    settings: Settings,
) -> dict[str, Any]:
    """Measure all contenders on one network.

    When a peer fails, everybody is measured again without it: no figure is of a run that it broke.

    Parameters
    ----------
    network : Network
    workers : sequence of Worker
    limits : dict of callable
        Measures a limit of the machine, given seconds.
    settings : Settings

    Returns
    -------
    dict
        The figures; ``failures`` says why by the keys of the peers that failed or returned wrong
        results.

    Raises
    ------
    ContenderError
        This engine failed.
    """
    failures: dict[str, str] = {}
    while True:
        able = [worker for worker in workers if worker.contender.key not in failures]
        try:
            return {**_measure(network, able, limits, settings), "failures": failures}
        except ContenderError as error:
            failures[error.contender.key] = _reason(error)


def _reason(error: ContenderError) -> str:
    """Return why a peer failed; raise the error again where it is not a peer's."""
    if error.contender.peer == OURS:
        raise error
    return str(error)


def _measure(
    network: Network,
    workers: Sequence[Worker],
    limits: Mapping[str, Callable[[float], float]],
    settings: Settings,
) -> dict[str, Any]:
    """Measure contenders that do not fail."""
    sizes = [s for s in settings.sizes if s * network.flops_per_row <= _MOST_FLOPS]
    choices = _prepare(network, workers, sizes[-1], settings)
    able = {worker.contender.key: worker for worker in workers if worker.contender.key in choices}
    turns: dict[str, Callable[[], float]] = {
        key: partial(worker.call, "throughput", network.rows, settings.turn)
        for key, worker in able.items()
    }
    turns |= {name: partial(measure, settings.turn) for name, measure in limits.items()}
    rates = alternate(turns, settings.rounds)
    latency = alternate(
        {key: partial(worker.call, "latency", settings.curve_turn) for key, worker in able.items()},
        settings.rounds,
    )
    single = {
        key: worker
        for key, worker in able.items()
        if worker.contender.threads == 1 and not worker.contender.isa
    }
    load = alternate(
        {key: partial(worker.call, "load", settings.search) for key, worker in single.items()},
        settings.curve_rounds,
    )
    return {
        "rows": network.rows,
        "flops_per_row": network.flops_per_row,
        "bytes_per_row": network.bytes_per_row,
        "choices": {key: asdict(choice) for key, choice in choices.items()},
        "rows_per_second": {key: rates[key] for key in able},
        "limits": {name: rates[name] for name in limits},
        "curves": _curves(able, sizes, settings),
        "latency_seconds": {key: np.array(rounds).tolist() for key, rounds in latency.items()},
        "load_seconds": {key: by_name(rounds) for key, rounds in load.items()},
        "values_seconds": _values(network, single, settings),
    }


def _prepare(
    network: Network, workers: Sequence[Worker], most_rows: int, settings: Settings
) -> dict[str, Choice]:
    """Let every worker build the network, and compare what they compute with our results."""
    expected = im.InstructionModel(network.info).predict(compared_rows(network))
    choices: dict[str, Choice] = {}
    for worker in workers:
        contender = worker.contender
        if contender.isa and network.name != LESSER_ISA_NETWORK:
            continue
        worker.revive()
        prepared = worker.call("prepare", network.name, most_rows, settings.chunks, settings.search)
        if prepared is None:
            continue
        choices[contender.key], batch, single = prepared
        exactly = contender.peer == OURS
        try:
            check_results(batch, expected, exactly)
            check_results(single, expected[0], exactly)
        except AssertionError as error:
            raise ContenderError(contender, str(error)) from None
    return choices


def check_results(actual: Any, expected: Any, exactly: bool = False) -> None:
    """Raise an AssertionError unless a contender's results are ours, up to rounding.

    Our own, on any number of threads and with any instruction set, must be the same bits.
    """
    if exactly:
        np.testing.assert_array_equal(actual, expected)
    else:
        np.testing.assert_allclose(actual, expected, rtol=_RTOL, atol=_ATOL)


def _curves(
    able: Mapping[str, Worker], sizes: Sequence[int], settings: Settings
) -> dict[str, list[Any]]:
    """Return throughput by batch size: pairs of the size and a list of rows per second."""
    curves: dict[str, list[Any]] = {key: [] for key in able}
    for size in sizes:
        turns = {
            key: partial(worker.call, "throughput", size, settings.curve_turn)
            for key, worker in able.items()
        }
        for key, rates in alternate(turns, settings.curve_rounds).items():
            curves[key].append([size, rates])
    return curves


def _values(
    network: Network, workers: Mapping[str, Worker], settings: Settings
) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of a batch by contender and kind of input, where values are replaced."""
    if network.name not in HOSTILE_NETWORKS:
        return {}
    turns = {
        key: partial(worker.call, "values", 3 * settings.turn)
        for key, worker in workers.items()
        if worker.contender.peer != "sklearn"  # refuses NaN
    }
    return {key: by_name(rounds) for key, rounds in alternate(turns, settings.rounds).items()}


def measure_activations(ours: Worker, settings: Settings) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of a batch by our activation and the kind of its input."""
    rounds = [ours.call("activations", settings.turn) for _ in range(settings.rounds)]
    return {name: by_name([costs[name] for costs in rounds]) for name in rounds[0]}


def limit_turns(
    limits: Limits, isas: Sequence[str], threads: Sequence[int]
) -> dict[str, Callable[[float], float]]:
    """Return what measures each limit, by its name in the results."""
    turns: dict[str, Callable[[float], float]] = {}
    for number in threads:
        turns[f"read-{number}"] = partial(limits.read, number)
        for isa in FMA_ISAS.intersection(isas):
            turns[f"fma/{isa}-{number}"] = partial(limits.fma, isa, number)
    return turns


def by_name(rounds: Sequence[Mapping[str, T]]) -> dict[str, list[T]]:
    """Turn a dict per round into a dict of rounds."""
    return {name: [values[name] for values in rounds] for name in rounds[0]}


def measure_memory(
    contenders: Sequence[Contender], choices: Mapping[str, Mapping[str, Any]], rounds: int
) -> tuple[dict[str, list[int | None]], dict[str, str]]:
    """Return the bytes that a batch needs beyond input, output and weights, in fresh processes.

    The second dict says why peers failed.
    """
    results: dict[str, list[int | None]] = {}
    failures: dict[str, str] = {}
    for contender in contenders:
        if contender.key not in choices:
            continue
        choice = Choice(**choices[contender.key])
        try:
            results[contender.key] = [_memory(contender, choice) for _ in range(rounds)]
        except ContenderError as error:
            failures[contender.key] = _reason(error)
    return results, failures


def _memory(contender: Contender, choice: Choice) -> int | None:
    with closing(Worker(contender)) as worker:
        memory: int | None = worker.call("memory", MEMORY_NETWORK, choice)
    return memory
