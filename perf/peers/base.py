"""What every peer does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from perf.networks import Array, Network


class Peer(ABC):
    """A library that runs a network, in the fastest way that its documentation offers.

    Libraries whose number of threads is decided by the environment (``OMP_NUM_THREADS`` and the
    like) rely on `perf.workers`, which sets it.

    Parameters
    ----------
    network : Network
    threads : int
    mode : str
        One of `MODES`.

    Attributes
    ----------
    NAME, MODULE : str
        For people; the module to import.
    NEEDS : tuple of str
        Other modules that it needs.
    MODES : tuple of str
        Ways to run it; the fastest one counts.
    CHUNKED : bool
        Whether some number of rows at a time is best, for the user to find out.
    """

    NAME: ClassVar[str]
    MODULE: ClassVar[str]
    NEEDS: ClassVar[tuple[str, ...]] = ()
    MODES: ClassVar[tuple[str, ...]] = ("",)
    CHUNKED: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, network: Network, threads: int, mode: str) -> None: ...

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether the library has such models."""
        return True

    @abstractmethod
    def predict(self, x: Array, out: Array) -> Array:
        """Compute all rows of x (n, features) at once; return `out`, or an array of its own."""

    def run(self, x: Array, out: Array, chunk: int | None) -> Array:
        """Compute all rows of x, `chunk` at a time; None is all of them at once."""
        if chunk is None:
            return self.predict(x, out)
        for rows in chunks(len(x), chunk):
            self.predict(x[rows], out[rows])
        return out

    @abstractmethod
    def single(self, row: Array) -> Callable[[], object]:
        """Return the call that computes one row (features,)."""

    def loaders(self, folder: Path) -> dict[str, Callable[[], object]]:
        """Write the model in each of the library's file formats; return what loads them."""
        return {}


def chunks(rows: int, chunk: int) -> Iterator[slice]:
    """Cut `rows` rows in parts of `chunk`."""
    return (slice(start, min(start + chunk, rows)) for start in range(0, rows, chunk))
