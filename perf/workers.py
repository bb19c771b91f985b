"""Contenders, each in a process of its own that stands still while it is not its turn."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from perf.session import Session

#: A peer that is silent for so long has failed.
_SECONDS_TO_ANSWER = 300
#: Between the end of its connection and that of its process.
_SECONDS_TO_DIE = 30
#: Libraries decide by these how many threads to start, some of them when they are imported.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Contender:
    """A library with a number of threads.

    Attributes
    ----------
    peer : str
        The module.
    threads : int
    isa : str, optional
        Ours only: the instruction set to force.
    """

    peer: str
    threads: int
    isa: str | None = None

    @property
    def key(self) -> str:
        """Its name in the results."""
        return f"{self.peer}{'/' + self.isa if self.isa else ''}-{self.threads}"


class ContenderError(Exception):
    """A contender failed.

    Parameters
    ----------
    contender : Contender
    message : str
        How it died, its traceback, or where its results differ.
    """

    def __init__(self, contender: Contender, message: str) -> None:
        super().__init__(f"{contender.key}: {message}")
        self.contender = contender


class Worker:
    """The process of a contender.

    Parameters
    ----------
    contender : Contender
    session : callable
        Makes what runs in the process, of a peer and a number of threads.
    """

    def __init__(self, contender: Contender, session: Callable[[str, int], Any] = Session) -> None:
        self.contender = contender
        self._session = session
        self._start()

    def _start(self) -> None:
        contender = self.contender
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        variables = dict.fromkeys(_THREAD_VARIABLES, str(contender.threads))
        if contender.isa:
            variables["INSTMODEL_ISA"] = contender.isa
        arguments = (theirs, self._session, contender.peer, contender.threads)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        with _environment(variables):
            self._process.start()
        theirs.close()

    def revive(self) -> None:
        """Start the process again if a call found it dead, or silent."""
        if self._connection.closed:
            self._start()

    def call(self, method: str, *arguments: Any) -> Any:
        """Let the contender run a method of its `Session`, and nobody else meanwhile.

        Raises
        ------
        ContenderError
            The method raised, or the process died or was silent; it is ended then.
        """
        place = f"{method}{arguments}"
        self._signal(signal.SIGCONT)
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(_SECONDS_TO_ANSWER):
                self.close()
                silence = f"no answer in {_SECONDS_TO_ANSWER} s to {place}"
                raise ContenderError(self.contender, silence)
            succeeded, answer = self._connection.recv()
        except (EOFError, OSError):
            raise ContenderError(self.contender, f"{self._end()} in {place}") from None
        self._signal(signal.SIGSTOP)
        if not succeeded:
            raise ContenderError(self.contender, answer)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _end(self) -> str:
        """Return how the process ended."""
        self._process.join(_SECONDS_TO_DIE)
        code = self._process.exitcode
        self.close()
        if code is None:
            return "closed its connection"
        if code < 0:
            return f"killed by signal {-code} ({signal.strsignal(-code)})"
        return f"exited with {code}"

    def _signal(self, number: int) -> None:
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)


def _serve(
    connection: Connection, make: Callable[[str, int], Any], peer: str, threads: int
) -> None:
    """Answer calls until the process is killed."""
    if sys.platform == "linux":  # a stopped process would outlive a parent that is killed
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    session = make(peer, threads)
    while True:
        method, arguments = connection.recv()
        try:
            answer = True, getattr(session, method)(*arguments)
        except Exception:
            answer = False, traceback.format_exc()
        connection.send(answer)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
