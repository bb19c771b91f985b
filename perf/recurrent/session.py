"""What happens inside the process of a library that runs recurrent networks."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from instmodel import _profiler
from perf.recurrent.cases import CASES, Array
from perf.recurrent.peers import PEERS
from perf.timing import fastest

_PEAK_STEPS, _PEAK_TRIES = 50_000, 20


class SequenceSession:
    """One library with one number of threads, running one case after the other.

    Parameters
    ----------
    peer : str
        A key of `PEERS`.
    threads : int
    """

    def __init__(self, peer: str, threads: int) -> None:
        self._kind, self._threads = PEERS[peer], threads

    def prepare(self, case: int, seconds: float) -> tuple[str, Array]:
        """Find the fastest way to run a case.

        Parameters
        ----------
        case : int
            Its place in `CASES`.
        seconds : float
            How long to try each way.

        Returns
        -------
        str
            The way.
        ndarray
            (ΣT,): the outputs, sequence by sequence in the order of the case.
        """
        self._case = CASES[case]
        self._peer = self._kind(self._case, self._threads)
        best = np.inf
        self._call: Callable[[], list[Array]]
        for mode, batch in itertools.product(self._kind.MODES, self._kind.BATCHES):
            if mode == "packed" and not self._case.zipf:
                continue
            if batch is not None and batch >= self._case.sequences:
                continue
            call = self._peer.everything(mode, batch)
            time = fastest(call, seconds, give_up=best)
            if time < best:
                best, self._call, self._batch = time, call, batch
                way = mode if batch is None else f"{mode}, {batch} at a time"
        return way, self._outputs()

    def _outputs(self) -> Array:
        found = self._call()
        if self._kind.BATCHES == (None,):
            return np.ravel(found[0])
        case = self._case
        outputs = np.empty(case.steps, np.float32)
        order = np.argsort(-case.lengths, kind="stable")
        size = self._batch or len(order)
        for place, sequence in enumerate(order):
            begin, end = case.offsets[sequence : sequence + 2]
            outputs[begin:end] = found[place // size][: end - begin, place % size, 0]
        return outputs

    def throughput(self, seconds: float) -> float:
        """Return steps per second."""
        return self._case.steps / fastest(self._call, seconds)

    def step(self, seconds: float) -> float:
        """Return the seconds of one step of one sequence."""
        return fastest(self._peer.step(), seconds)

    def peak(self) -> float:
        """Return the float32 operations per second of one thread that does nothing but FMAs."""
        model = CASES[0].model()
        return max(_profiler.peak_rate(model, _PEAK_STEPS) for _ in range(_PEAK_TRIES))
