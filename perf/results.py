"""Reading the results: medians, limits in rows, the fastest peer."""

from __future__ import annotations

from statistics import median
from typing import Any

from perf.measure import MEMORY_NETWORK, OURS
from perf.rounds import median_ratio
from perf.timing import P50


def in_threads(number: int) -> str:
    """Return a number of threads in words."""
    return "1 thread" if number == 1 else f"{number} threads"


def failures(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the key of each contender that failed, where it did, and the message."""
    places = {name: measured["failures"] for name, measured in results["networks"].items()}
    places[f"the memory of {MEMORY_NETWORK}"] = results["memory_failures"]
    return [(key, place, why) for place, failed in places.items() for key, why in failed.items()]


class NetworkResults:
    """What was measured of one network.

    Parameters
    ----------
    measured : dict
        From `perf.measure.measure_network`.
    isa : str
        The instruction set that this engine uses by default.
    """

    def __init__(self, measured: dict[str, Any], isa: str) -> None:
        self.measured = measured
        self._isa = isa

    def rates(self, key: str) -> list[float] | None:
        """Rows per second of a contender in each round."""
        return self.measured["rows_per_second"].get(key)

    def contenders(self, threads: int) -> list[str]:
        """Keys of all contenders with a number of threads, the fastest first."""
        keys = [key for key in self.measured["rows_per_second"] if key.endswith(f"-{threads}")]
        return sorted(keys, key=lambda key: -median(self.rates(key) or [0]))

    def limit(self, threads: int, isa: str | None = None) -> tuple[str, list[float] | None]:
        """Return which limit binds, "FMA" or "read", and its rows per second in each round."""
        measured = self.measured["limits"]
        bytes_per_row, flops_per_row = (
            self.measured["bytes_per_row"],
            self.measured["flops_per_row"],
        )
        read = [rate / bytes_per_row for rate in measured[f"read-{threads}"]]
        operations = measured.get(f"fma/{isa or self._isa}-{threads}")
        if operations is None:
            return "read", None
        fma = [rate / flops_per_row for rate in operations]
        return ("FMA", fma) if median(fma) < median(read) else ("read", read)

    def share_of_limit(self, key: str, threads: int, isa: str | None = None) -> float | None:
        """Return which part of the binding limit a contender reaches."""
        rates, limit = self.rates(key), self.limit(threads, isa)[1]
        return None if rates is None or limit is None else median_ratio(rates, limit)

    def fastest_peer(self, threads: int) -> str | None:
        """Return the key of the fastest contender that is not ours."""
        peers = [key for key in self.contenders(threads) if not key.startswith(OURS)]
        return peers[0] if peers else None

    def failed(self, peer: str | None = None, threads: int | None = None) -> tuple[str, ...]:
        """Return the keys of the contenders that failed: of a peer, with a number of threads."""
        parts = {key: key.rpartition("-") for key in self.measured["failures"]}
        return tuple(
            key
            for key, (name, _, number) in parts.items()
            if peer in (None, name) and threads in (None, int(number))
        )

    def speedup(self, threads: int, peer: str | None) -> float | None:
        """Return how many times as fast as a peer this engine is, by the keys of both."""
        ours = self.rates(f"{OURS}-{threads}")
        theirs = self.rates(peer) if peer else None
        return None if ours is None or theirs is None else median_ratio(ours, theirs)

    def latency(self, key: str, quantile: int) -> list[float] | None:
        """Seconds of one row in each round, at an index of `perf.timing.QUANTILES`."""
        rounds = self.measured["latency_seconds"].get(key)
        return None if rounds is None else [values[quantile] for values in rounds]

    def quickest(self, peer: str) -> str | None:
        """Return the key of the number of threads with which a peer computes one row fastest."""
        keys = [key for key in self.measured["latency_seconds"] if key.startswith(f"{peer}-")]
        return min(keys, key=lambda key: median(self.latency(key, P50) or [0]), default=None)
