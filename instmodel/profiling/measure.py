"""Times of the parts of a run, beside what the machine could do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel import _kernels, _profiler, _scan
from instmodel.base import arrays, values
from instmodel.compiled import ragged
from instmodel.errors import InputError
from instmodel.model import InstructionModel

# Tiles in a pass, so that the first, which finds cold caches, counts little; of a recurrent model,
# as many steps of the sequences in one.
_TILES = 64
_MAX_VALUES = 1 << 24
# Steps of the FMA loop: about a tenth of a millisecond; and how often, to find a quiet moment.
_PEAK_STEPS, _PEAK_TRIES = 50_000, 20
# More than caches hold, and fewer bytes than anybody misses.
_READ_BYTES, _READ_TRIES = 64 << 20, 5

# Runs once, and adds the nanoseconds of each part to what it is given.
_Run = Callable[[NDArray[np.int64]], None]


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
        For one row, or one step of one sequence.
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
        Rows in a pass; of a recurrent model, steps.
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
    model: InstructionModel,
    x: Any = None,
    *,
    lengths: ArrayLike | None = None,
    offsets: ArrayLike | None = None,
    seconds: float = 1.0,
) -> Profile:
    """Measure how long each instruction takes.

    Parameters
    ----------
    model : InstructionModel
    x : array_like of shape (N, F), optional
        Rows to run; by default normally distributed ones. The time of dense layers does not depend
        on the values, that of map lookups does. For a recurrent model, sequences as
        `InstructionModel.predict_sequences` takes them.
    lengths, offsets : array_like of int, optional
        As there.
    seconds : float
        How long to repeat.

    Raises
    ------
    InstModelError
        ``input_size_mismatch``, ``invalid_type``; those of `predict_sequences`; ``no_rows`` without
        rows.
    """
    if not isinstance(model, InstructionModel):
        raise values.wrong_type(model, "model", "an InstructionModel")
    if model.is_recurrent:
        run, count = _over_sequences(model, x, lengths, offsets)
    else:
        run, count = _over_rows(model, x)
    best = _pass(model, run)
    end = perf_counter() + seconds
    while perf_counter() < end:
        times = _pass(model, run)
        if times.sum() < best.sum():
            best = times
    per_row = (best * 1e-9 / count).tolist()
    names, flops, moved = _parts(model)
    reading = [] if model.first_reads_rows and not model.is_recurrent else [0]
    order = [*reading, *range(2, len(per_row)), 1]
    steps = [
        Step(i - 2 if i >= 2 else None, names[i], per_row[i], flops[i], moved[i]) for i in order
    ]
    return Profile(
        rows=count,
        steps=steps,
        seconds=sum(per_row),
        peak_flops=max(_profiler.peak_rate(model, _PEAK_STEPS) for _ in range(_PEAK_TRIES)),
        read_bandwidth=_read_bandwidth(),
        isa=_kernels.isa(),
    )


def _over_rows(model: InstructionModel, x: ArrayLike | None) -> tuple[_Run, int]:
    """Return what measures a pass over rows, and how many they are."""
    features = model.feature_size
    if x is None:
        count = max(1, min(_TILES * model.tile_samples, _MAX_VALUES // features))
        rows = np.random.default_rng(0).standard_normal((count, features), np.float32)
    else:
        rows = arrays.as_rows(arrays.real_array(x), features)
        rows = np.ascontiguousarray(arrays.as_float32(rows))
    if not len(rows):
        raise InputError("no_rows", "no rows to run", field="x")
    results = np.empty((len(rows), model.output_size), np.float32)
    return (lambda times: _profiler.profile_rows(model, rows, results, times)), len(rows)


def _over_sequences(
    model: InstructionModel, x: Any, lengths: ArrayLike | None, offsets: ArrayLike | None
) -> tuple[_Run, int]:
    """Return what measures a pass over sequences, and how many steps they have."""
    if x is None:
        steps = max(1, min(_TILES, _MAX_VALUES // (model.tile_samples * model.feature_size)))
        shape = (model.tile_samples, steps, model.feature_size)
        x = np.random.default_rng(0).standard_normal(shape, np.float32)
    given = ragged.read_sequences(x, lengths, offsets, model.feature_size)
    rows = np.ascontiguousarray(arrays.as_float32(given.rows))
    count = int(given.lengths.sum())
    if not count:
        raise InputError("no_rows", "no steps to run", field="x")
    results = np.empty((len(rows), model.output_size), np.float32)

    def run(times: NDArray[np.int64]) -> None:
        shared = _scan.SharedSequences(
            model, rows, given.starts, given.lengths, results, False, None, None, None, 1
        )
        _profiler.profile_sequences(model, shared, times)

    return run, count


def _pass(model: InstructionModel, run: _Run) -> NDArray[np.int64]:
    times = np.zeros(2 + len(model.instructions), np.int64)
    run(times)
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
