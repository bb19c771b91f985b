"""The targets that the project set itself, and what a run reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from perf.measure import LESSER_ISA, LESSER_ISA_NETWORK, MEMORY_NETWORK, OURS
from perf.results import NetworkResults, in_threads
from perf.rounds import median_ratio
from perf.timing import P50
from perf.values import NORMAL

_ORT = "onnxruntime"


@dataclass(frozen=True, slots=True)
class Target:
    """A figure, and the bound that it should keep.

    Attributes
    ----------
    what : str
    required : float
    at_least : bool
        Whether the bound is a lower one.
    reached : float or None
        None where it was not measured.
    unit : str
    note : str
    share_asked : float or None
        The part of the machine's limit that `required` would take, where that is a multiple of a
        peer's rate: above 1, nobody can keep it.
    failed : tuple of str
        Keys of contenders that it should have been judged by, too.
    """

    what: str
    required: float
    at_least: bool
    reached: float | None
    unit: str = ""
    note: str = ""
    share_asked: float | None = None
    failed: tuple[str, ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the bound is kept; None where it was not measured."""
        if self.reached is None:
            return None
        return (self.reached >= self.required) == self.at_least or self.reached == self.required


def targets(results: dict[str, Any]) -> list[Target]:
    """Return every target, given the results of a run."""
    isa = results["runtime"]["isa"]
    networks = {name: NetworkResults(r, isa) for name, r in results["networks"].items()}
    threads = sorted({1, results["threads"]})
    return [
        *_throughput(networks, threads),
        *_latency(networks),
        *_values(networks, results["activations"]),
        *_memory(results["memory"]),
        *_imports(results["imports"]),
    ]


def _throughput(networks: dict[str, NetworkResults], threads: list[int]) -> Iterator[Target]:
    many = threads[-1]
    for number in threads:
        yield _share(networks, "250-300-200", number, 0.75)
    for number in threads:
        yield _ahead(networks, "250-300-200", number, 1.25 if number > 1 else 1.15)
    for number in threads:
        yield _share(networks, LESSER_ISA_NETWORK, number, 0.70, LESSER_ISA)
    for number in threads:
        yield _share(networks, "1024-2048-1024", number, 0.70)
    for number in threads:
        yield _ahead(networks, "1024-2048-1024", number, 1.0)
    for name in ("10-1", "250-1"):
        yield _share(networks, name, many, 0.80)
        yield _ahead(networks, name, many, 1.0)
    for number in threads:
        yield _ahead(networks, "30-16-8-1", number, 2.0)
    for name in ("embeddings", "attention", "batch-norm"):
        for number in threads:
            yield _ahead(networks, name, number, 2.0, _ORT)


def _share(
    networks: dict[str, NetworkResults],
    name: str,
    threads: int,
    required: float,
    isa: str | None = None,
) -> Target:
    reached, binding = None, "the limit"
    if name in networks:
        key = f"{OURS}{'/' + isa if isa else ''}-{threads}"
        reached = networks[name].share_of_limit(key, threads, isa)
        binding = {"FMA": "the FMA peak", "read": "the read bandwidth"}[
            networks[name].limit(threads, isa)[0]
        ]
    what = f"{name}, {in_threads(threads)}{', ' + isa if isa else ''}: share of {binding}"
    return Target(what, required, True, reached)


def _ahead(
    networks: dict[str, NetworkResults],
    name: str,
    threads: int,
    required: float,
    peer: str | None = None,
) -> Target:
    reached, note, asked = None, "", None
    failed: tuple[str, ...] = ()
    if name in networks:
        failed = networks[name].failed(peer, threads)
        key = f"{peer}-{threads}" if peer else networks[name].fastest_peer(threads)
        reached = networks[name].speedup(threads, key)
        note = f"{key}" if key and not peer else ""
        share = networks[name].share_of_limit(key, threads) if key else None
        asked = None if share is None else required * share
    what = f"{name}, {in_threads(threads)}: times as fast as {peer or 'the fastest peer'}"
    return Target(what, required, True, reached, note=note, share_asked=asked, failed=failed)


def _latency(networks: dict[str, NetworkResults]) -> Iterator[Target]:
    for name, required in (("10-1", 8), ("30-16-8-1", 8), ("250-300-200", 2.5)):
        reached, note = None, ""
        failed: tuple[str, ...] = ()
        if name in networks:
            failed = networks[name].failed(_ORT)
            ours = networks[name].latency(f"{OURS}-1", P50)
            note = networks[name].quickest(_ORT) or ""
            theirs = networks[name].latency(note, P50)
            # The number of threads that failed may have been the quickest.
            reached = median_ratio(theirs, ours) if ours and theirs and not failed else None
        what = f"{name}, one row: times as fast as {_ORT}"
        yield Target(what, required, True, reached, note=note if reached else "", failed=failed)


def _values(
    networks: dict[str, NetworkResults], activations: dict[str, dict[str, list[float]]]
) -> Iterator[Target]:
    ours = f"{OURS}-1"
    measured = {name: n.measured["values_seconds"].get(ours, {}) for name, n in networks.items()}
    costs = {
        f"{name}, {kind}": median_ratio(seconds, kinds[NORMAL])
        for name, kinds in (measured | activations).items()
        for kind, seconds in kinds.items()
    }
    worst = max(costs, key=lambda where: costs[where])
    what = "hostile values: cost, normal ones being 1"
    yield Target(what, 1.2, False, costs[worst], note=worst)


def _memory(memory: dict[str, list[int | None]]) -> Iterator[Target]:
    for key, rounds in memory.items():
        if key.startswith(f"{OURS}-") and None not in rounds:
            threads = int(key.rpartition("-")[2])
            reached = max(value for value in rounds if value is not None) / threads / 1024
            what = f"{MEMORY_NETWORK}, {in_threads(threads)}: memory per thread"
            yield Target(what, 256, False, reached, "KiB")


def _imports(imports: dict[str, list[float]]) -> Iterator[Target]:
    yield Target("import beyond NumPy's", 50, False, 1e3 * median(imports[OURS]), "ms")
