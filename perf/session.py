"""What happens inside a contender's process."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perf.memory import peak_of
from perf.networks import NETWORKS, Array, Network
from perf.peers import PEERS, Peer
from perf.timing import fastest, fastest_of, latencies
from perf.values import activation_costs, hostile_inputs

_COMPARED_ROWS = 500
_VALUES_ROWS = 1024
_WARM_UP_NETWORK = "30-16-8-1"


@dataclass(frozen=True, slots=True)
class Choice:
    """The fastest way to run a network: a mode of the peer, and rows at a time (None: all)."""

    mode: str
    chunk: int | None


class Session:
    """One library with one number of threads, running one network after the other.

    Parameters
    ----------
    peer : str
        Its module.
    threads : int
    """

    def __init__(self, peer: str, threads: int) -> None:
        self._kind = PEERS[peer]
        self._threads = threads

    def prepare(
        self, network: str, most_rows: int, chunks: Sequence[int | None], seconds: float
    ) -> tuple[Choice, Array, Array] | None:
        """Build a network and find the fastest way to run it.

        Parameters
        ----------
        network : str
        most_rows : int
            The largest batch that will be asked for.
        chunks : sequence of (int or None)
            Numbers of rows at a time to choose from; None is all at once.
        seconds : float
            How long to try each way.

        Returns
        -------
        Choice
        ndarray
            (rows, outputs): results of `compared_rows`.
        ndarray
            (outputs,): the result of its first row, computed alone.
        None
            Instead of all that, where the library has no such models.
        """
        self._network = NETWORKS[network]
        if not self._kind.supports(self._network):
            return None
        rows = self._network.rows
        self._allocate(max(rows, most_rows))
        peers = [self._kind(self._network, self._threads, mode) for mode in self._kind.MODES]
        self._choose(peers, rows, chunks if self._kind.CHUNKED else [None], seconds)
        row = self._x[0].copy()
        singles = [peer.single(row) for peer in peers]
        self._single = min(singles, key=lambda single: fastest(single, seconds))
        self._out.fill(np.nan)  # nothing that is left from before may pass for a result
        result = self._run(rows)
        compared = np.concatenate([result[:_COMPARED_ROWS], result[-_COMPARED_ROWS:]])
        return self._choice, compared, np.ravel(self._single())[-self._network.outputs :]

    def _allocate(self, rows: int) -> None:
        self._x = self._network.inputs(rows)
        self._out = np.ones((rows, self._network.outputs), np.float32)

    def _choose(
        self, peers: list[Peer], rows: int, chunks: Sequence[int | None], seconds: float
    ) -> None:
        best = np.inf
        for mode, peer in zip(self._kind.MODES, peers, strict=True):
            for chunk in chunks:
                if chunk is not None and chunk >= rows:
                    continue
                call = partial(peer.run, self._x[:rows], self._out[:rows], chunk)
                time = fastest(call, seconds, give_up=best)
                if time < best:
                    best = time
                    self._peer, self._choice = peer, Choice(mode, chunk)

    def _run(self, rows: int) -> Array:
        chunk = self._choice.chunk
        if chunk is not None and chunk >= rows:
            chunk = None
        return self._peer.run(self._x[:rows], self._out[:rows], chunk)

    def throughput(self, rows: int, seconds: float) -> float:
        """Return rows per second in batches of `rows`."""
        return rows / fastest(lambda: self._run(rows), seconds)

    def latency(self, seconds: float) -> NDArray[np.float64]:
        """Return the `perf.timing.QUANTILES` of the seconds of one row."""
        return latencies(self._single, seconds)

    def load(self, seconds: float) -> dict[str, float]:
        """Return the seconds that it takes to load a model file, by its format."""
        with tempfile.TemporaryDirectory() as folder:
            loaders = self._peer.loaders(Path(folder))
            return {name: fastest(loader, seconds) for name, loader in loaders.items()}

    def values(self, seconds: float) -> dict[str, float]:
        """Return the seconds of a batch by the kind of its input, `seconds` for them all."""
        out = self._out[:_VALUES_ROWS]
        inputs = hostile_inputs(self._x[:_VALUES_ROWS])
        with np.errstate(all="ignore"):
            return fastest_of(
                {kind: partial(self._peer.predict, x, out) for kind, x in inputs.items()}, seconds
            )

    def activations(self, seconds: float) -> dict[str, dict[str, float]]:
        """Return what our activations cost; see `perf.values.activation_costs`."""
        return activation_costs(seconds)

    def memory(self, network: str, choice: Choice) -> int | None:
        """Return the bytes that the first batch needs beyond input, output and weights.

        A small network runs before it: code is loaded and threads are started once per process.
        """
        self._choice = choice
        for name in (_WARM_UP_NETWORK, network):
            self._network = NETWORKS[name]
            rows = self._network.rows
            self._allocate(rows)
            self._peer = self._kind(self._network, self._threads, choice.mode)
            results: list[Array] = []
            peak = peak_of(lambda: results.append(self._run(rows)))  # noqa: B023
        if peak is None or np.shares_memory(results[0], self._out):
            return peak
        return peak - results[0].nbytes


def compared_rows(network: Network) -> Array:
    """Return the rows whose results `Session.prepare` returns."""
    x = network.inputs(network.rows)
    return np.concatenate([x[:_COMPARED_ROWS], x[-_COMPARED_ROWS:]])
