"""One node of an ONNX graph, as its handler sees it.

Design
------
A. ONNX counts axes with the batch; a `Value` has no batch axis. A handler works on *operands*: a
   NumPy array for what is constant, with all its axes, and a `Value` for what a sample has. The
   first axis of every graph input is the batch.
B. Where both meet, the constant gives up a leading axis of size 1, or has no such axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value

Operand = Value | NDArray[Any]

# In shapes: the number of samples, of which a model knows nothing.
BATCH = -1


class Node:
    """A node with its inputs: operands by position, attributes by name.

    Attributes
    ----------
    kind : str
        The operator.
    version : int
        The opset of its domain.
    inputs : list of Value, array or None
        None for an optional input that is absent.
    attributes : dict
    """

    def __init__(
        self,
        kind: str,
        version: int,
        inputs: Sequence[Operand | None],
        attributes: dict[str, Any],
        normalised: set[int],
    ) -> None:
        self.kind = kind
        self.version = version
        self.inputs = list(inputs)
        self.attributes = attributes
        self._normalised = normalised  # ids of values whose numbers have the sum 1

    def operand(self, index: int) -> Operand:
        """Return an input that must be there."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            raise Unsupported(f"input {index} is missing")
        return found

    def value(self, index: int) -> Value:
        """Return an input that depends on the sample, or is the same row for each."""
        found = self.operand(index)
        return found if isinstance(found, Value) else one_row(found)

    def array(self, index: int) -> NDArray[Any]:
        """Return an input that must be constant."""
        found = self.operand(index)
        if isinstance(found, Value):
            raise Unsupported(f"input {index} is not constant")
        return found

    def has(self, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def setting(self, name: str, index: int, default: Any = None) -> Any:
        """Return what is an attribute in old opsets, and a constant input in new ones."""
        if name in self.attributes:
            return self.attributes[name]
        return self.array(index).tolist() if self.has(index) else default

    @property
    def all_constant(self) -> bool:
        """Whether no input depends on the sample."""
        return not any(isinstance(item, Value) for item in self.inputs)

    def axis(self, axis: int, rank: int) -> int:
        """Return the axis of a `Value` of `rank` axes for an axis of ONNX, which has the batch."""
        if not -rank - 1 <= axis <= rank:
            raise Unsupported(f"axis {axis} of a tensor of {rank + 1} axes")
        axis %= rank + 1
        if axis == 0:
            raise Unsupported("an operation along the batch")
        return axis - 1

    def mark_normalised(self, x: Value) -> Value:
        """Remember that the numbers of x have the sum 1."""
        self._normalised.add(id(x))
        return x

    def is_normalised(self, x: Value) -> bool:
        """Whether the numbers of x are known to have the sum 1."""
        return id(x) in self._normalised


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
