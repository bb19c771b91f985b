"""How many threads this process may really use.

A container's CPU quota is not seen by ``os.cpu_count``; ignoring it makes threads wait for each
other's time slices. What counts, in this order: ``INSTMODEL_NUM_THREADS``, else the smallest of the
CPUs that the scheduler gives this process, the cgroup's CPU quota, and ``OMP_NUM_THREADS``.
"""

from __future__ import annotations

import math
import os
from typing import NamedTuple

from instmodel.errors import InputError


class ThreadCount(NamedTuple):
    """A number of threads, and what decided it."""

    threads: int
    decided_by: str


def requested_thread_count() -> int | None:
    """Return what ``INSTMODEL_NUM_THREADS`` asks for, None when it is not set.

    Raises
    ------
    InputError
        ``invalid_thread_count`` when it is not a whole number ≥ 1.
    """
    wanted = os.environ.get("INSTMODEL_NUM_THREADS", "").strip()
    if not wanted:
        return None
    if not (wanted.isascii() and wanted.isdecimal() and 0 < len(wanted) < 7 and int(wanted)):
        raise InputError(
            "invalid_thread_count",
            "not a number of threads",
            field="INSTMODEL_NUM_THREADS",
            expected="a whole number ≥ 1",
            actual=repr(wanted[:40]),
        )
    return int(wanted)


def default_thread_count() -> ThreadCount:
    """Return the number of threads to use when a caller names none.

    Raises
    ------
    InputError
        ``invalid_thread_count`` when ``INSTMODEL_NUM_THREADS`` is not a whole number ≥ 1.
    """
    wanted = requested_thread_count()
    if wanted is not None:
        return ThreadCount(wanted, "INSTMODEL_NUM_THREADS")
    counts = [_affinity()]
    quota = cgroup_quota()
    if quota is not None:
        counts.append(ThreadCount(max(1, math.ceil(quota)), "cgroup CPU quota"))
    # The first level of a list like "4,2" is ours; what we cannot read says nothing.
    outer = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if outer.isascii() and outer.isdecimal() and len(outer) < 7 and int(outer):
        counts.append(ThreadCount(int(outer), "OMP_NUM_THREADS"))
    return min(counts, key=lambda count: count.threads)


def _affinity() -> ThreadCount:
    if hasattr(os, "sched_getaffinity"):
        return ThreadCount(len(os.sched_getaffinity(0)), "CPU affinity")
    return ThreadCount(os.cpu_count() or 1, "CPU count")


def cgroup_quota(root: str | os.PathLike[str] = "/") -> float | None:
    """Return the CPU quota of this process's control group in CPUs, None without one.

    Every group above counts, too: the smallest quota on the way to the top binds.

    Parameters
    ----------
    root : path-like
        Where ``proc`` and ``sys`` are; for tests.
    """
    quotas: list[float] = []
    for line in _text(os.path.join(root, "proc/self/cgroup")).splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if hierarchy == "0" and not controllers:  # v2
            for folder in _upwards(os.path.join(root, "sys/fs/cgroup"), group):
                quota, _, period = _text(f"{folder}/cpu.max").partition(" ")
                quotas += _ratio(quota, period)
        elif "cpu" in controllers.split(","):  # v1
            for folder in _upwards(os.path.join(root, "sys/fs/cgroup/cpu"), group):
                quota = _text(f"{folder}/cpu.cfs_quota_us")
                quotas += _ratio(quota, _text(f"{folder}/cpu.cfs_period_us"))
    return min(quotas, default=None)


def _upwards(mount: str, group: str) -> list[str]:
    # In a container the group's path may be the host's; then only the mount itself exists.
    parts = [part for part in group.split("/") if part and part != ".."]
    return [os.path.join(mount, *parts[:depth]) for depth in range(len(parts), -1, -1)]


def _ratio(quota: str, period: str) -> list[float]:
    try:
        amount, length = int(quota), int(period)
    except ValueError:  # "max", or no such file
        return []
    return [amount / length] if amount > 0 and length > 0 else []


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
