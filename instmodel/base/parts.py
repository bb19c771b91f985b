"""One large piece of data, looked at in parts on many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from instmodel.base.cpus import default_thread_count
from instmodel.base.pool import MAX_THREADS, run_together
from instmodel.errors import InputError

# Hashing a megabyte takes a quarter of a millisecond, or a whole one.
_BYTES_WORTH_THREADS = 4 << 20
# Bytes of a part at the most: some milliseconds, so that Ctrl-C is prompt.
_BYTES_OF_A_PART = 32 << 20

_T = TypeVar("_T")


def map_parts(function: Callable[[int, int], _T], size: int, unit: int) -> list[_T]:
    """Return ``function(start, stop)`` of each part of some data, on threads if that is worth it.

    Parameters
    ----------
    function : callable
        Does its work without the GIL.
    size : int
        Bytes of data.
    unit : int
        Every part but the last has a multiple of this many bytes.
    """
    threads = _threads_for(size)
    share = min(-(-size // threads), _BYTES_OF_A_PART)
    part = max(1, -(-share // unit)) * unit
    starts = range(0, size, part)
    results: list[Any] = [None] * len(starts)
    left = iter(range(len(starts)))
    lock = threading.Lock()

    def work(watch_signals: bool = False) -> None:
        while True:
            with lock:
                index = next(left, None)
            if index is None:
                return
            results[index] = function(starts[index], min(starts[index] + part, size))

    def cancel() -> None:
        with lock:
            for _ in left:
                pass

    run_together(work, min(threads, len(starts)) - 1, cancel)
    return results


def _threads_for(size: int) -> int:
    if size < _BYTES_WORTH_THREADS:
        return 1
    try:
        return min(default_thread_count().threads, MAX_THREADS)
    except InputError:  # a senseless INSTMODEL_NUM_THREADS is no fault of a file
        return 1
