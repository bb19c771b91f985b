"""What a run was made with: the machine and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import instmodel as im


def describe() -> dict[str, str | int | None]:
    """Return the machine's name, CPU, number of CPUs and system."""
    return {
        "name": platform.node(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def versions(modules: Sequence[str]) -> dict[str, str]:
    """Return the version of Python, of this engine with its commit, and of the other modules."""
    found = {"Python": platform.python_version(), "instmodel": im.__version__ + _commit()}
    for module in modules:
        if module != "instmodel":
            found[module] = version("scikit-learn" if module == "sklearn" else module)
    return found


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    folder = Path(__file__).parent
    try:
        text = subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({text.strip()})"


class OtherProcesses:
    """How busy the CPUs are with other processes, since this object was made."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._before = self._seconds()

    def busy_cpus(self) -> float | None:
        """Return the number of CPUs, on average; None if not Linux.

        Processes that this one started count as its own once they have ended.
        """
        now = self._seconds()
        if now is None or self._before is None:
            return None
        return max(0.0, now - self._before) / (time.monotonic() - self._begin)

    @staticmethod
    def _seconds() -> float | None:
        try:
            line = Path("/proc/stat").read_text().splitlines()[0]
        except OSError:
            return None
        user, nice, system = (int(ticks) for ticks in line.split()[1:4])
        everybody = (user + nice + system) / os.sysconf("SC_CLK_TCK")
        own = os.times()
        return everybody - sum(own[:4])


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())
