"""Times of the parts of a run, beside what the machine could do."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel import _kernels, _profiler
from instmodel.base import arrays, values
from instmodel.errors import InputError
from instmodel.model import InstructionModel

# Tiles in a pass, so that the first, which finds cold caches, counts little.
_TILES = 64
_MAX_VALUES = 1 << 24
# Steps of the FMA loop: about a tenth of a millisecond; and how often, to find a quiet moment.
_PEAK_STEPS, _PEAK_TRIES = 50_000, 20
# More than caches hold, and fewer bytes than anybody misses.
_READ_BYTES, _READ_TRIES = 64 << 20, 5


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a run.

    Attributes
    ----------
    index : int or None
        The instruction; None for reading the rows into tiles and writing the results out. There is
        no reading where the first instruction does it, a narrow dense layer.
    type : str
        ``type`` of the instruction, or "read rows", "write results".
    seconds : float
        For one row.
    flops : int
        Multiplications and additions of a dense layer for one row: 2 · rows · columns. What
        activations and element-wise instructions compute is not counted.
    bytes : float
        Moved for one row: buffers read and written, weights divided by the rows that share them.
    """

    index: int | None
    type: str
    seconds: float
    flops: int
    bytes: float


@dataclass(frozen=True, slots=True)
class Profile:
    """The fastest of several passes over the same rows, on one thread.

    Attributes
    ----------
    rows : int
        Rows in a pass.
    steps : list of Step
        In the order of the run.
    seconds : float
        For one row: the sum over the steps.
    peak_flops : float
        Float32 operations per second of this CPU that does nothing but FMAs, an FMA being two.
    read_bandwidth : float
        Bytes per second that one thread reads from memory.
    isa : str
        Instruction set of the kernels.
    """

    rows: int
    steps: list[Step]
    seconds: float
    peak_flops: float
    read_bandwidth: float
    isa: str


def profile(
    model: InstructionModel, x: ArrayLike | None = None, *, seconds: float = 1.0
) -> Profile:
    """Measure how long each instruction takes.

    Parameters
    ----------
    model : InstructionModel
    x : array_like of shape (N, F), optional
        Rows to run; by default normally distributed ones. The time of dense layers does not depend
        on the values, that of map lookups does.
    seconds : float
        How long to repeat.

    Raises
    ------
    InstModelError
        ``input_size_mismatch``, ``invalid_type``; ``no_rows`` without rows.
    """
    if not isinstance(model, InstructionModel):
        raise values.wrong_type(model, "model", "an InstructionModel")
    rows = _rows(model, x)
    results = np.empty((len(rows), model.output_size), np.float32)
    best = _pass(model, rows, results)
    end = perf_counter() + seconds
    while perf_counter() < end:
        times = _pass(model, rows, results)
        if times.sum() < best.sum():
            best = times
    per_row = (best * 1e-9 / len(rows)).tolist()
    names, flops, moved = _parts(model)
    reading = [] if model.first_reads_rows else [0]
    order = [*reading, *range(2, len(per_row)), 1]
    steps = [
        Step(i - 2 if i >= 2 else None, names[i], per_row[i], flops[i], moved[i]) for i in order
    ]
    return Profile(
        rows=len(rows),
        steps=steps,
        seconds=sum(per_row),
        peak_flops=max(_profiler.peak_rate(model, _PEAK_STEPS) for _ in range(_PEAK_TRIES)),
        read_bandwidth=_read_bandwidth(),
        isa=_kernels.isa(),
    )


def _rows(model: InstructionModel, x: ArrayLike | None) -> NDArray[np.float32]:
    features = model.feature_size
    if x is None:
        count = max(1, min(_TILES * model.tile_samples, _MAX_VALUES // features))
        return np.random.default_rng(0).standard_normal((count, features), np.float32)
    rows = arrays.as_rows(arrays.real_array(x), features)
    if not len(rows):
        raise InputError("no_rows", "no rows to run", field="x")
    return np.ascontiguousarray(arrays.as_float32(rows))


def _pass(
    model: InstructionModel, rows: NDArray[np.float32], results: NDArray[np.float32]
) -> NDArray[np.int64]:
    times = np.zeros(2 + len(model.instructions), np.int64)
    _profiler.profile_rows(model, rows, results, times)
    return times


def _parts(model: InstructionModel) -> tuple[list[str], list[int], list[float]]:
    """Return name, operations and bytes of each part for one row, in the order of the clock."""
    sizes, instructions = model.buffer_sizes, model.instructions
    names = ["read rows", "write results", *(item.TYPE for item in instructions)]
    moved = [8.0 * model.feature_size, 8.0 * model.output_size]
    flops = [0, 0]
    for item in instructions:
        products = item.products(sizes)
        flops.append(2 * products)
        _, start, stop, _ = item.write(sizes)
        touched = sum(sizes[buffer] for buffer in item.reads()) + stop - start
        moved.append(4.0 * (touched + products / model.tile_samples))
    return names, flops, moved


def _read_bandwidth() -> float:
    data = np.zeros(_READ_BYTES // 4, np.float32)
    data.fill(1)  # untouched zeros would all be one page
    best = 0.0
    for _ in range(_READ_TRIES):
        start = perf_counter()
        _kernels.all_finite(data)
        best = max(best, _READ_BYTES / (perf_counter() - start))
    return best
