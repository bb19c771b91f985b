"""Operands of graphs whose axes count the batch: ONNX and PyTorch.

Design
------
A. Their axes count the batch; a `Value` has no batch axis. An *operand* is a NumPy array for what
   is constant, with all its axes, and a `Value` for what a sample has. The batch is the first axis
   of every input of the graph.
B. Where both meet, the constant gives up a leading axis of size 1, or has no such axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value

Operand = Value | NDArray[Any]

# In shapes: the number of samples, of which a model knows nothing, and that of the steps of a
# sequence; a prime, to tell the product of both from anything else.
BATCH, STEPS = -1, -1_000_003


def sample_axis(axis: int, rank: int) -> int:
    """Return the axis of a `Value` of `rank` axes for an axis that counts the batch."""
    if not -rank - 1 <= axis <= rank:
        raise Unsupported(f"axis {axis} of a tensor of {rank + 1} axes")
    axis %= rank + 1
    if axis == 0:
        raise Unsupported("an operation along the batch")
    return axis - 1


def operand(x: Any) -> Operand:
    """Return an operand of a graph, also of a plain number."""
    return x if isinstance(x, Value) else np.asarray(x)


def value_of(x: Any) -> Value:
    """Return an operand as what a sample has; a constant must be the same row for each."""
    return x if isinstance(x, Value) else one_row(np.asarray(x))


def array_of(x: Any) -> NDArray[Any]:
    """Return an operand that must be constant."""
    if isinstance(x, Value):
        raise Unsupported("a tensor that is not constant, in the place of weights")
    return np.asarray(x)


def one_row(constant: NDArray[Any]) -> Value:
    """Return a constant that stands where the batch comes first."""
    if not constant.ndim or constant.shape[0] != 1:
        raise Unsupported(f"a constant of shape {constant.shape} in the place of a batch")
    return ex.constant(constant[0])


def aligned(constant: NDArray[Any], rank: int) -> Value:
    """Return a constant that meets a `Value` of `rank` axes, without its batch axis."""
    if constant.ndim == rank + 1:
        if constant.shape[0] != 1:
            raise Unsupported("a constant with a row for each sample")
        constant = constant[0]
    if constant.ndim > rank:
        raise Unsupported(f"a constant of {constant.ndim} axes for a tensor of {rank + 1}")
    return ex.constant(constant)


def together(operands: Sequence[Operand]) -> list[Value]:
    """Return operands as values that may be combined element by element."""
    ranks = {len(item.shape) for item in operands if isinstance(item, Value)}
    if not ranks:
        ranks = {max(len(item.shape) for item in operands) - 1}
    if len(ranks) != 1:
        raise Unsupported("tensors of different numbers of axes")
    (rank,) = ranks
    return [item if isinstance(item, Value) else aligned(item, rank) for item in operands]


def checked_size(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape of a constant that is about to be made, unless it is too large."""
    return ex.checked(tuple(int(size) for size in shape))


def finite(constant: NDArray[Any]) -> NDArray[Any]:
    """Return a constant with the largest float32 numbers in the place of infinities."""
    largest = float(np.finfo(np.float32).max)
    return np.asarray(np.nan_to_num(constant, nan=np.nan, posinf=largest, neginf=-largest))
