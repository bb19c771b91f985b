"""How long imports take beyond NumPy's, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial

from perf.rounds import alternate

_SCRIPT = """
import sys, time
import numpy
start = time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - start)
"""


def import_times(modules: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round by module; files are in the system's cache."""
    for module in modules:
        _import(module)
    return alternate({module: partial(_import, module) for module in modules}, rounds)


def _import(module: str) -> float:
    command = [sys.executable, "-c", _SCRIPT, module]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
