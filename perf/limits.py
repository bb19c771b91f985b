"""The machine's limits, measured by a small C program (limits.c) that is compiled on the spot."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("limits.c")
#: Instruction sets with a peak to compare with.
FMA_ISAS = frozenset({"avx512", "avx2", "neon"})
#: Far more than any cache holds.
_READ_MEBIBYTES = 128
#: So that a few repetitions fit in.
_LEAST_SECONDS = 0.05


class Limits:
    """How fast this machine multiplies and adds, and reads memory.

    Parameters
    ----------
    folder : Path
        Where to put the program.
    """

    def __init__(self, folder: Path) -> None:
        self._program = folder / "limits"
        options = ["-O2", "-std=gnu11", "-pthread"]
        command = ["cc", *options, "-o", str(self._program), str(_SOURCE)]
        subprocess.run(command, check=True)

    def fma(self, isa: str, threads: int, seconds: float) -> float:
        """Return float32 operations per second, an FMA being two, with an instruction set."""
        return self._run("fma", isa, threads, seconds)

    def read(self, threads: int, seconds: float) -> float:
        """Return bytes per second, read from memory."""
        return self._run("read", str(_READ_MEBIBYTES), threads, seconds)

    def _run(self, what: str, argument: str, threads: int, seconds: float) -> float:
        seconds = max(seconds, _LEAST_SECONDS)
        command = [str(self._program), what, argument, str(threads), str(seconds)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
