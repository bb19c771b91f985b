"""Threads that help with a job.

Why not ``ThreadPoolExecutor``: a Ctrl-C while it starts a thread leaves one that nobody ever wakes,
and the process never exits; its lock hangs a signal handler that predicts, too; and it refuses work
while the interpreter shuts down. Here nothing is locked, idle threads are daemons that wait for a
queue, and a helper that cannot start is only missed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

MAX_THREADS = 1024

# Work that a thread may take; the caller that takes it back first cancels it.
_Ticket = list[Callable[[], None]]


class _Pool:
    """Threads made when they are first needed. List and queue operations are atomic."""

    def __init__(self) -> None:
        self._tickets: SimpleQueue[tuple[_Ticket, SimpleQueue[BaseException | None]]]
        self._tickets = SimpleQueue()
        self._idle: list[None] = []  # one entry for each waiting thread
        self._count = 0

    def submit(self, ticket: _Ticket, done: SimpleQueue[BaseException | None]) -> None:
        """Let another thread redeem `ticket`, and put its error or None into `done`."""
        try:
            self._idle.pop()
        except IndexError:
            if self._count < MAX_THREADS:
                threading.Thread(target=self._serve, name="instmodel", daemon=True).start()
                self._count += 1
        self._tickets.put((ticket, done))

    def _serve(self) -> None:
        while True:
            ticket, done = self._tickets.get()
            try:
                work = ticket.pop()
            except IndexError:  # cancelled: nobody waits for an answer
                self._idle.append(None)
                continue
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:
                error = raised
            self._idle.append(None)
            done.put(error)
            del ticket, done, work, error  # keep nothing alive while waiting


_pool = _Pool()


def run_together(work: Callable[..., None], helpers: int, cancel: Callable[[], None]) -> None:
    """Run `work` on this thread, watching for signals, and on up to `helpers` others.

    Parameters
    ----------
    work : callable
        Takes pieces of a job until none is left; so the job is done also when no helper can start,
        in a container that is out of threads or while the interpreter shuts down. Called with
        ``watch_signals=True`` on this thread.
    helpers : int
    cancel : callable
        Lets nobody take another piece.
    """
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    tickets: list[_Ticket] = []
    running = 0
    error: BaseException | None = None
    try:
        with contextlib.suppress(RuntimeError):
            for _ in range(helpers):
                ticket: _Ticket = [work]
                _pool.submit(ticket, done)
                tickets.append(ticket)
        work(watch_signals=True)
    finally:
        # Also when Ctrl-C ends this thread's part: nobody may go on writing after we return.
        cancel()
        for ticket in tickets:
            try:
                ticket.pop()
            except IndexError:
                running += 1
        for _ in range(running):
            error = done.get() or error
    if error is not None:
        raise error


def _forget_pool() -> None:
    """Start anew in the child of a fork, where the threads did not come along."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
