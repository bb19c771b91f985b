"""Lowering: a checked document becomes flat integer code and packed float32 constants.

The kernels see only this: rows of `Op` words, a list of integers that rows point into, packed dense
layers, an arena of other constants, and embedding tables as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import _kernels
from instmodel.base import layout
from instmodel.base.values import Matrix, Vector
from instmodel.compiled.panels import PackedWeights
from instmodel.document.instructions import Dot
from instmodel.document.structure import Structure
from instmodel.document.validate import CheckedModel

# Reading or writing a value of the caller's matrix: 4 bytes at some 25 GB/s.
_WORK_OF_A_VALUE = 16
# A few samples take as long as a tile of them: the weights are read once either way.
_TILE = 64


@dataclass(frozen=True, slots=True)
class LookupTable:
    """An embedding table: ``keys[i]`` has ``rows[i]``.

    Attributes
    ----------
    keys : int32 (n,), ascending
    rows : float32 (n, size), aligned
        So that the usual widths of 8, 16 or 32 values take as few cache lines as they can.
    """

    keys: NDArray[np.int32]
    rows: Matrix


@dataclass(frozen=True, slots=True)
class Program:
    """What the kernels run.

    Attributes
    ----------
    code : int64 (instructions, words of `Op`)
    operands : int64 (n,)
        Lists that rows of `code` point into.
    weights : float32 (n,), aligned
        Dense panels; may be a mapped file.
    constants : float32 (n,)
        Parameters, bounds and defaults, denormals flushed.
    maps : list of LookupTable
    gaps : int64 (n, 2)
        Ranges of the unified buffer, start and stop, to zero before each run.
    states : int64 (n, 2)
        Where the state buffers lie in the unified buffer, start and stop, in document order.
    initial_state : float32 (S,)
        What they hold before the first step of a sequence, denormals flushed.
    required_memory, feature_size : int
        Floats in the unified buffer, and in the input at its start.
    output_start, output_size : int
        Where the output lies.
    first_alone_reads_input : bool
        Whether the first instruction is a dense layer, and nothing else reads the input: then no
        tile of it is needed.
    work : int
        Rough cost of one sample, for sharing out threads: in multiply-adds of a dense layer, of
        which a core with AVX-512 does about a hundred a nanosecond.
    """

    code: NDArray[np.int64]
    operands: NDArray[np.int64]
    weights: Vector
    constants: Vector
    maps: list[LookupTable]
    gaps: NDArray[np.int64]
    states: NDArray[np.int64]
    initial_state: Vector
    required_memory: int
    feature_size: int
    output_start: int
    output_size: int
    first_alone_reads_input: bool
    work: int

    def work_of(self, samples: int) -> int:
        """Return the rough cost of some samples together, in the units of `work`."""
        return max(samples, _TILE) * self.work


def lower(checked: CheckedModel, packed: PackedWeights) -> Program:
    """Lower a checked document, whose dense layers are packed already."""
    lowering = _Lowering(checked, packed)
    ops = [item.lower(lowering) for item in checked.structure.instructions]
    offsets = checked.offsets
    gaps = [
        (offsets[gap.buffer] + gap.start, offsets[gap.buffer] + gap.stop) for gap in checked.gaps
    ]
    sizes = checked.structure.buffer_sizes
    states = [(offsets[b], offsets[b] + sizes[b]) for b in checked.structure.state_buffers]
    return Program(
        code=np.array(ops, np.int64),
        operands=np.array(lowering.operand_list, np.int64),
        weights=packed.arena,
        constants=lowering.arena(),
        maps=[_lookup_table(item) for item in checked.structure.maps],
        gaps=np.array(gaps, np.int64).reshape(-1, 2),
        states=np.array(states, np.int64).reshape(-1, 2),
        initial_state=_initial_state(checked.structure),
        required_memory=checked.required_memory,
        feature_size=checked.feature_size,
        output_start=offsets[-1],
        output_size=sizes[-1],
        first_alone_reads_input=_first_alone_reads_input(checked),
        work=_work(checked),
    )


class _Lowering:
    """Hands out places in the operand list and in the arena of constants."""

    def __init__(self, checked: CheckedModel, packed: PackedWeights) -> None:
        self.operand_list: list[int] = []
        self._structure = checked.structure
        self._offsets = checked.offsets
        self._packed = packed
        self._pieces: list[Vector] = []
        self._length = 0
        self._parameter_starts: dict[int, int] = {}
        self._filled: dict[float, int] = {}

    def offset(self, buffer: int) -> int:
        return self._offsets[buffer]

    def size(self, buffer: int) -> int:
        return self._structure.buffer_sizes[buffer]

    def panels(self, weights: int) -> int:
        return self._packed.starts[weights]

    def parameters(self, index: int) -> int:
        if index not in self._parameter_starts:
            self._parameter_starts[index] = self.constants(self._structure.parameters[index])
        return self._parameter_starts[index]

    def constants(self, vector: Any) -> int:
        start = self._length
        self._pieces.append(np.asarray(vector, np.float32))
        self._length += len(self._pieces[-1])
        return start

    def filled(self, value: float, size: int) -> int:
        if value not in self._filled:
            longest = max(self._structure.buffer_sizes)
            self._filled[value] = self.constants(np.full(longest, value, np.float32))
        return self._filled[value]

    def operands(self, items: Sequence[int]) -> int:
        start = len(self.operand_list)
        self.operand_list.extend(items)
        return start

    def arena(self) -> Vector:
        """Return all constants, one after the other."""
        arena = np.concatenate([np.empty(0, np.float32), *self._pieces])
        _kernels.flush(arena)
        return arena


def _initial_state(structure: Structure) -> Vector:
    pieces = [
        np.zeros(structure.buffer_sizes[item.buffer], np.float32)
        if item.initial is None
        else structure.parameters[item.initial]
        for item in structure.state
    ]
    state = np.concatenate([np.empty(0, np.float32), *pieces])
    _kernels.flush(state)
    return state


def _lookup_table(table: dict[int, Vector]) -> LookupTable:
    if not table:
        return LookupTable(np.empty(0, np.int32), np.empty((0, 1), np.float32))
    keys = np.fromiter(table, np.int32, len(table))
    order = np.argsort(keys)
    vectors = list(table.values())
    rows = layout.aligned_zeros(len(keys) * len(vectors[0])).reshape(len(keys), -1)
    np.stack([vectors[place] for place in order], out=rows)
    _kernels.flush(rows.reshape(-1))
    return LookupTable(keys[order], rows)


def _first_alone_reads_input(checked: CheckedModel) -> bool:
    sizes = checked.structure.buffer_sizes
    first, *rest = checked.structure.instructions
    return (
        isinstance(first, Dot)
        and first.input == 0
        and sizes[0] == checked.feature_size  # not one of several input buffers
        and not any(0 in item.reads() for item in rest)
    )


def _work(checked: CheckedModel) -> int:
    sizes = checked.structure.buffer_sizes
    total = _WORK_OF_A_VALUE * (checked.feature_size + sizes[-1])
    for item in checked.structure.instructions:
        _, start, stop, _ = item.write(sizes)
        total += item.products(sizes) + 8 * (stop - start) + 32
    return total
