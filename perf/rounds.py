"""Taking turns, and what to make of the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def alternate(turns: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Let everybody take a turn in each round, each round beginning with somebody else.

    Returns
    -------
    dict
        For each name, what its turns returned, a value per round.
    """
    names = list(turns)
    results: dict[str, list[T]] = {name: [] for name in names}
    for number in range(rounds):
        first = number * len(names) // rounds
        for name in names[first:] + names[:first]:
            results[name].append(turns[name]())
    return results


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Return the median over rounds of the ratio within each round."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def spread(values: Sequence[float]) -> float:
    """Return how far apart the middle half of the rounds is, as a part of their median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle
