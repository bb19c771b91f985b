"""Dense weights as the kernels read them: panels of 16 outputs.

A layer of ``rows`` outputs and ``cols`` inputs is a sequence of panels, one for each 16 outputs;
the last one is as narrow as it needs to be. A panel of width p is ``[1 + cols][p]``: the bias
first, then the weights of one input after the other. So a layer takes ``rows · (1 + cols)`` floats,
no more; the tile kernel broadcasts single weights of a panel, the one for a few samples loads its
rows as vectors.

Binary files hold the same layout (docs/format.md), so a mapped file runs in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from instmodel import _kernels
from instmodel.base import layout
from instmodel.base.values import Matrix, Vector
from instmodel.document.schema import InstructionModelInfo
from instmodel.document.structure import Structure


@dataclass(frozen=True, slots=True)
class PackedWeights:
    """All dense layers of a model.

    Attributes
    ----------
    arena : float32 (n,), at a multiple of 64 bytes
    starts : list of int
        Where each layer starts in the arena, a multiple of 16.
    shapes : list of (rows, cols)
    """

    arena: Vector
    starts: list[int]
    shapes: list[tuple[int, int]]

    @classmethod
    def pack(cls, weights: Sequence[Matrix], bias: Sequence[Vector]) -> PackedWeights:
        """Pack matrices (rows, cols) and their bias vectors (rows,)."""
        shapes = [(item.shape[0], item.shape[1]) for item in weights]
        starts, total = layout.aligned_starts([layer_size(*shape) for shape in shapes])
        arena = layout.aligned_zeros(total)
        for start, matrix, vector in zip(starts, weights, bias, strict=True):
            packed = arena[start : start + layer_size(*matrix.shape)]
            _kernels.pack_panels(matrix, vector, packed)
        return cls(arena, starts, shapes)

    def layer(self, index: int) -> Vector:
        """Return the panels of one layer, a view."""
        start = self.starts[index]
        return self.arena[start : start + layer_size(*self.shapes[index])]

    def unpack(self, index: int) -> tuple[Matrix, Vector]:
        """Return the weights (rows, cols) and the bias (rows,) of one layer."""
        rows, cols = self.shapes[index]
        packed = self.layer(index)
        whole = rows - rows % _kernels.PANEL
        split = whole * (1 + cols)
        panels = packed[:split].reshape(-1, 1 + cols, _kernels.PANEL)
        rest = packed[split:].reshape(1 + cols, rows - whole)
        table = np.empty((rows, 1 + cols), np.float32)  # column 0 is the bias
        table[:whole].reshape(-1, _kernels.PANEL, 1 + cols)[...] = panels.transpose(0, 2, 1)
        table[whole:] = rest.T
        return table[:, 1:].copy(), table[:, 0].copy()

    def fill(self, structure: Structure) -> InstructionModelInfo:
        """Return the document of a structure with these layers as its weights and bias."""
        layers = [self.unpack(index) for index in range(len(self.shapes))]
        return InstructionModelInfo.from_structure(
            structure, [weights for weights, _ in layers], [bias for _, bias in layers]
        )


def layer_size(rows: int, cols: int) -> int:
    """Return the number of floats of a packed layer."""
    return rows * (1 + cols)
