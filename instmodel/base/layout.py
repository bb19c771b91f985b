"""Where things lie: buffers in the unified buffer, and constants in an aligned arena."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from instmodel.base.values import Vector

# A cache line, and a full AVX-512 register.
ALIGNMENT = 64


def buffer_offsets(sizes: Sequence[int]) -> list[int]:
    """Return where each buffer starts in the unified buffer, in floats."""
    return list(accumulate(sizes[:-1], initial=0))


def aligned_starts(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Place float32 vectors one after the other, each at a multiple of `ALIGNMENT` bytes.

    Returns
    -------
    starts : list of int
        Where each vector starts, in floats.
    total : int
        Floats up to the end of the last one.
    """
    per_line = ALIGNMENT // 4
    starts = []
    total = 0
    for size in sizes:
        start = -(-total // per_line) * per_line
        starts.append(start)
        total = start + size
    return starts, total


def aligned_zeros(count: int) -> Vector:
    """Return `count` float32 zeros that start at a multiple of `ALIGNMENT` bytes."""
    return _aligned(np.zeros(count * 4 + ALIGNMENT, np.uint8)).view(np.float32)


def aligned_empty(size: int) -> NDArray[np.uint8]:
    """Return `size` bytes that start at a multiple of `ALIGNMENT`; they hold anything."""
    return _aligned(np.empty(size + ALIGNMENT, np.uint8))


def _aligned(raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + len(raw) - ALIGNMENT]
