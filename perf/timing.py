"""Timing one call: the fastest of many, or the distribution."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter, perf_counter_ns

import numpy as np
from numpy.typing import NDArray

#: A call that is shorter is timed many at a time.
_SHORTEST = 50e-6
_TOO_LONG = 0.5
_MOST_SAMPLES = 20_000
#: What `latencies` returns: the value at each of these fractions of the calls.
QUANTILES = np.concatenate([np.linspace(0, 0.98, 50), [0.99, 0.995, 0.999]])
#: Places of some of them.
P50, P90, P99 = 25, 45, 50


def fastest(call: Callable[[], object], seconds: float, give_up: float = np.inf) -> float:
    """Return the seconds of the fastest call in about `seconds`, of two calls at the least.

    Parameters
    ----------
    call : callable
        Is not repeated when it takes longer than half a second.
    seconds : float
    give_up : float
        Stop after two calls when they took more than twice this.
    """
    with _no_collection():
        begin = perf_counter()
        call()
        warm = perf_counter()
        if warm - begin > _TOO_LONG:
            return warm - begin
        call()
        best = perf_counter() - warm
        if best > 2 * give_up:
            return best
        number = max(1, int(_SHORTEST / max(best, 1e-7)))
        while perf_counter() - begin < seconds:
            start = perf_counter()
            for _ in range(number):
                call()
            best = min(best, (perf_counter() - start) / number)
    return best


def fastest_of(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return the seconds of the fastest call of each, taking turns for about `seconds`."""
    with _no_collection():
        for call in calls.values():
            call()
        best = dict.fromkeys(calls, np.inf)
        begin = perf_counter()
        while perf_counter() - begin < seconds or np.inf in best.values():
            for name, call in calls.items():
                start = perf_counter()
                call()
                best[name] = min(best[name], perf_counter() - start)
    return best


def latencies(call: Callable[[], object], seconds: float) -> NDArray[np.float64]:
    """Time single calls for about `seconds`; return the `QUANTILES` of their seconds.

    What it costs to read the clock is taken off.
    """
    samples: list[int] = []
    with _no_collection():
        for _ in range(50):
            call()
        end = perf_counter_ns() + int(1e9 * seconds)
        while len(samples) < _MOST_SAMPLES:
            start = perf_counter_ns()
            call()
            stop = perf_counter_ns()
            samples.append(stop - start)
            if stop > end:
                break
    return np.maximum(np.quantile(samples, QUANTILES) - _clock_cost(), 0) * 1e-9


def _clock_cost() -> float:
    differences = []
    for _ in range(1000):
        start = perf_counter_ns()
        stop = perf_counter_ns()
        differences.append(stop - start)
    return float(np.median(differences))


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
