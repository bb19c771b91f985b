"""Locks in stores, which know no locks.

Design
------
A. Everyone who wants a lock puts an object of its own below the lock's name, then lists what is
   there. Whoever finds nobody else's holds the lock; whoever does takes its own back. Of two, the
   one that lists last sees both: so never do two hold it. It needs no more than listings that are
   true, which every store has; both may have to try again.
B. The object says who holds it: machine, process, and when that began. It is renewed while it is
   held. It no longer counts if its process is gone from this machine, or if it was not renewed for
   `STALE` seconds; then whoever wants the lock removes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instmodel.errors import InputError

if TYPE_CHECKING:
    from instmodel.stores.remote import RemoteLocation

# Seconds. A lock that nobody renewed is dead after STALE, by the clocks of two machines.
STALE = 120.0
RENEWED = 15.0
_TRIES = 4


class RemoteLock:
    """A lock that this process may hold.

    Parameters
    ----------
    place : RemoteLocation
        Under which the objects lie.
    folder : RemoteLocation
        What is locked, for messages.
    """

    def __init__(self, place: RemoteLocation, folder: RemoteLocation) -> None:
        self._place = place
        self._folder = folder
        self._own = place / f"{secrets.token_hex(16)}.json"
        self._released = threading.Event()

    @contextlib.contextmanager
    def held(self) -> Iterator[RemoteLock]:
        """Hold the lock, or raise an `InputError` (``output_busy``)."""
        try:
            self._take()
        except BaseException:
            with contextlib.suppress(OSError):
                self._own.remove()
            raise
        renewing = threading.Thread(target=self._renew, name="instmodel-lock", daemon=True)
        renewing.start()
        try:
            yield self
        finally:
            self._released.set()
            renewing.join()
            # What is done is done: a lock that stays is dead when this process is.
            with contextlib.suppress(OSError):
                self._own.remove()

    def check(self) -> None:
        """Raise an `InputError` if another run has taken the folder over."""
        if not self._own.exists():
            raise self._busy(self._other())

    def _take(self) -> None:
        holder: dict[str, Any] | None = None
        for again in range(_TRIES):
            if again:  # another one may be trying at the same time, and not get it either
                time.sleep(random.uniform(0, 0.2 * 2**again))
            self._own.put(self._text())
            holder = self._other()
            if holder is None:
                return
            self._own.remove()
        raise self._busy(holder)

    def _other(self) -> dict[str, Any] | None:
        """Return who else wants or holds the lock; remove what is dead."""
        alive = None
        for other in self._place.files(hidden=True):
            if other.is_same(self._own):
                continue
            try:
                found = json.loads(other.read_bytes())
                dead = _is_dead(found)
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError, OSError):  # replaced just now, or not ours
                found, dead = {}, False
            if dead:
                other.remove()
            else:
                alive = found
        return alive

    def _renew(self) -> None:
        while not self._released.wait(RENEWED):
            with contextlib.suppress(OSError):  # the next time, perhaps
                if self._own.exists():
                    self._own.put(self._text())

    def _text(self) -> bytes:
        return json.dumps(_me() | {"time": time.time()}).encode()

    def _busy(self, holder: dict[str, Any] | None = None) -> InputError:
        who = None
        if holder:
            machine = str(holder.get("machine")).partition(" ")[0]
            who = f"process {holder.get('process')} of {machine}"
        message = "another run is working on this"
        return InputError("output_busy", message, file=str(self._folder), actual=who)


def _is_dead(holder: dict[str, Any]) -> bool:
    # One that lives on may have failed to remove its lock, as where the store was not reached.
    is_gone = holder["machine"] == _machine() and _start_of(holder["process"]) != holder["started"]
    return bool(is_gone or time.time() - float(holder["time"]) > STALE)


def _me() -> dict[str, Any]:
    process = os.getpid()
    return {"machine": _machine(), "process": process, "started": _start_of(process)}


def _machine() -> str:
    """Return what two processes share if, and only if, one sees whether the other is there."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # Linux: this boot, and the container
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
        return " ".join(parts)
    return f"{parts[0]} {secrets.token_hex(8)}"  # nobody can tell: only time does


def _start_of(process: int) -> str | None:
    """Return when a process began, in ticks since the boot; None if it is gone."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{process}/stat").read_text()
        return text.rpartition(")")[2].split()[19]
    return None
