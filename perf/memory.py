"""How much memory a call needs, from Linux's high-water mark."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

_PROCESS = Path("/proc/self")


def peak_of(call: Callable[[], object]) -> int | None:
    """Return the bytes by which a call raises the peak of resident memory; None if not Linux.

    Memory that the allocator kept from earlier work is given back first: a call that used it again
    would seem to need none.
    """
    if not (_PROCESS / "clear_refs").exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    (_PROCESS / "clear_refs").write_text("5")  # the peak is now what is resident
    before = _kibibytes("VmRSS")
    call()
    return 1024 * (_kibibytes("VmHWM") - before)


def _kibibytes(field: str) -> int:
    for line in (_PROCESS / "status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise LookupError(field)
