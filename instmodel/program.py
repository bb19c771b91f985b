"""Lowering: a checked document becomes flat integer code and packed float32 constants.

The kernels see only this: rows of `Op` words, a list of integers that rows point into, one aligned
arena of constants, and embedding tables as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import layout
from instmodel.instruction_base import Op
from instmodel.instructions import Attention, Dot
from instmodel.validate import CheckedModel
from instmodel.values import Matrix, Vector

# What csrc/kernels.h calls IM_PANEL and IM_CONSTANT_PADDING; `_kernels` refuses other numbers.
PANEL = 16
PADDING = 16

# Reading or writing a value of the caller's matrix: 4 bytes at some 25 GB/s.
_WORK_OF_A_VALUE = 16

_SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


@dataclass(frozen=True, slots=True)
class LookupTable:
    """An embedding table: ``keys[i]`` has ``rows[i]``.

    Attributes
    ----------
    keys : int32 (n,), ascending
    rows : float32 (n, size)
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
    constants : float32 (n,), aligned
        Dense panels, parameters and defaults; padded for vector loads past its end.
    maps : list of LookupTable
    gaps : int64 (n, 2)
        Ranges of the unified buffer, start and stop, to zero before each run.
    required_memory, feature_size : int
        Floats in the unified buffer, and in the input at its start.
    output_start, output_size : int
        Where the output lies.
    work : int
        Rough cost of one sample, for sharing out threads: in multiply-adds of a dense layer, of
        which a core with AVX-512 does about a hundred a nanosecond.
    """

    code: NDArray[np.int64]
    operands: NDArray[np.int64]
    constants: Vector
    maps: list[LookupTable]
    gaps: NDArray[np.int64]
    required_memory: int
    feature_size: int
    output_start: int
    output_size: int
    work: int


def lower(checked: CheckedModel) -> Program:
    """Lower a checked document."""
    lowering = _Lowering(checked)
    ops = [item.lower(lowering) for item in checked.info.instructions]
    offsets = checked.offsets
    gaps = [
        (offsets[gap.buffer] + gap.start, offsets[gap.buffer] + gap.stop) for gap in checked.gaps
    ]
    output_size = checked.info.buffer_sizes[-1]
    return Program(
        code=np.array(ops, np.int64),
        operands=np.array(lowering.operand_list, np.int64),
        constants=lowering.arena(),
        maps=[_lookup_table(item) for item in checked.info.maps],
        gaps=np.array(gaps, np.int64).reshape(-1, 2),
        required_memory=checked.required_memory,
        feature_size=checked.feature_size,
        output_start=offsets[-1],
        output_size=output_size,
        work=_WORK_OF_A_VALUE * (checked.feature_size + output_size) + sum(map(_work, ops)),
    )


class _Lowering:
    """Hands out places in the operand list and in the arena of constants."""

    def __init__(self, checked: CheckedModel) -> None:
        self.operand_list: list[int] = []
        self._info = checked.info
        self._offsets = checked.offsets
        self._pieces: list[Vector] = []
        self._length = 0
        self._panel_starts: dict[int, int] = {}
        self._parameter_starts: dict[int, int] = {}

    def offset(self, buffer: int) -> int:
        return self._offsets[buffer]

    def size(self, buffer: int) -> int:
        return self._info.buffer_sizes[buffer]

    def panels(self, weights: int) -> int:
        if weights not in self._panel_starts:
            packed = pack_panels(self._info.weights[weights], self._info.bias[weights])
            self._panel_starts[weights] = self.constants(packed)
        return self._panel_starts[weights]

    def parameters(self, index: int) -> int:
        if index not in self._parameter_starts:
            self._parameter_starts[index] = self.constants(self._info.parameters[index])
        return self._parameter_starts[index]

    def constants(self, vector: Any) -> int:
        piece = np.asarray(vector, np.float32)
        start = self._length
        self._pieces.append(piece)
        per_line = layout.ALIGNMENT // piece.itemsize
        self._length += -(-len(piece) // per_line) * per_line
        return start

    def operands(self, items: Sequence[int]) -> int:
        start = len(self.operand_list)
        self.operand_list.extend(items)
        return start

    def arena(self) -> Vector:
        """Return all constants, each at the start of a cache line."""
        arena = layout.aligned_zeros(self._length + PADDING)
        per_line = layout.ALIGNMENT // arena.itemsize
        start = 0
        for piece in self._pieces:
            arena[start : start + len(piece)] = piece
            start += -(-len(piece) // per_line) * per_line
        _flush(arena)
        return arena


def pack_panels(weights: Matrix, bias: Vector) -> Vector:
    """Pack a dense layer for the kernels.

    Panels of `PANEL` outputs, the last one as narrow as it needs to be: ``[1 + cols][width]``, the
    bias first, then the weights of one input after the other. One layout serves both kernels: the
    tile kernel broadcasts single weights, the one-sample kernel loads rows of a panel.
    """
    rows, cols = weights.shape
    whole = rows - rows % PANEL
    packed = np.empty(rows * (1 + cols), np.float32)
    panels = packed[: whole * (1 + cols)].reshape(-1, 1 + cols, PANEL)
    panels[:, 0] = bias[:whole].reshape(-1, PANEL)
    panels[:, 1:] = weights[:whole].reshape(-1, PANEL, cols).transpose(0, 2, 1)
    rest = packed[whole * (1 + cols) :].reshape(1 + cols, rows - whole)
    rest[0] = bias[whole:]
    rest[1:] = weights[whole:].T
    return packed


def _lookup_table(table: dict[int, Vector]) -> LookupTable:
    if not table:
        return LookupTable(np.empty(0, np.int32), np.empty((0, 1), np.float32))
    keys = np.fromiter(table, np.int32, len(table))
    order = np.argsort(keys)
    rows = np.stack(list(table.values()))[order]
    _flush(rows)
    return LookupTable(keys[order], rows)


def _flush(array: NDArray[np.float32]) -> None:
    """Turn denormals into zeros of their sign: no kernel ever meets one."""
    small = np.abs(array) < _SMALLEST_NORMAL
    array[small] = np.copysign(np.float32(0), array[small])


def _work(op: Op) -> int:
    dense = op.opcode in (Dot.OPCODE, Attention.OPCODE)
    return (op.input_size * op.output_size if dense else 0) + 8 * op.output_size + 32
