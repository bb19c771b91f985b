"""What this installation runs on."""

from __future__ import annotations

from typing import Any

import numpy as np

from instmodel import _kernels
from instmodel.base.cpus import default_thread_count
from instmodel.version import __version__


def runtime_info() -> dict[str, Any]:
    """Return the facts that a bug report or a benchmark needs.

    Returns
    -------
    dict
        ``version``; ``isa``, the instruction set in use, and ``available_isas``, best first;
        ``threads`` of a parallel run by default and ``threads_decided_by``; ``python``, ``numpy``,
        ``machine``.
    """
    import platform  # slow to import, and only needed here

    count = default_thread_count()
    return {
        "version": __version__,
        "isa": _kernels.isa(),
        "available_isas": _kernels.available_isas(),
        "threads": count.threads,
        "threads_decided_by": count.decided_by,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
