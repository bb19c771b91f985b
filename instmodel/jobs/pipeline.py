"""Read, score and write at the same time, in order, with a bounded number of batches under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def overlap(
    source: Iterable[T], work: Callable[[T], R], sink: Callable[[R], None], threads: int
) -> None:
    """Call ``sink(work(item))`` for every item, in order.

    The calling thread reads, `threads` others work, and one more writes. At most ``threads + 2``
    items are under way. The first error in the order of the items is raised, and nothing runs any
    more when this returns or raises.

    Parameters
    ----------
    source : iterable
    work : callable
        Called by any thread.
    sink : callable
        Called by one thread.
    threads : int
    """
    waiting: Queue[Future[R] | None] = Queue(threads + 1)
    failures: list[BaseException] = []
    broken: Exception | None = None  # the source: an error of an earlier item comes first
    pool = ThreadPoolExecutor(threads, thread_name_prefix="instmodel-score")

    def write() -> None:
        while (future := waiting.get()) is not None:
            if failures:
                future.cancel()
                continue
            try:
                sink(future.result())
            except BaseException as error:
                failures.append(error)

    writer = threading.Thread(target=write, name="instmodel-write")
    writer.start()
    try:
        for item in source:
            if failures:
                break
            waiting.put(pool.submit(work, item))
    except Exception as error:
        broken = error
    except BaseException as stop:  # what is under way is worth nothing
        failures.append(stop)
    finally:
        waiting.put(None)
        writer.join()
        pool.shutdown(cancel_futures=True)
    if failures:
        raise failures[0]
    if broken is not None:
        raise broken


def timed(source: Iterable[T], add: Callable[[float], None]) -> Iterator[T]:
    """Yield the items of `source`, and add up the seconds that it takes to make them."""
    items = iter(source)
    while True:
        start = time.perf_counter()
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            add(time.perf_counter() - start)
        yield item
