"""One node of an ONNX graph, as its handler sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from instmodel.importers.expressions import Unsupported, Value, bare
from instmodel.importers.operands import Operand, one_row, sample_axis

# What values are, beyond what they are made of: by the id of a value, the value itself, which must
# live as long as its id, a name, and the value that it is about.
Notes = dict[int, tuple[Value, str, Value]]


class Refused(Unsupported):
    """A node that instructions cannot express, though what it would give is known.

    Attributes
    ----------
    instead : list of operands
        What stands in for its outputs, so that what follows is looked at, too.
    """

    def __init__(self, reason: str, instead: list[Any]) -> None:
        super().__init__(reason)
        self.instead = instead


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
    notes : dict
        What is known of values, for all nodes of the graph.
    outputs : int
        How many outputs the node has.
    """

    def __init__(
        self,
        kind: str,
        version: int,
        inputs: Sequence[Any],
        attributes: dict[str, Any],
        notes: Notes,
        outputs: int = 1,
    ) -> None:
        self.kind = kind
        self.version = version
        self.inputs: list[Any] = list(inputs)
        self.attributes = attributes
        self.outputs = outputs
        self.notes = notes

    def operand(self, index: int) -> Operand:
        """Return an input that must be there."""
        found: Operand | None = self.inputs[index] if index < len(self.inputs) else None
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
        return sample_axis(axis, rank)

    def note(self, x: Value, name: str, about: Value | None = None) -> Value:
        """Remember what x is, for a node that has another instruction for it; return x."""
        self.notes[id(bare(x))] = (bare(x), name, bare(x if about is None else about))
        return x

    def noted(self, x: Value, name: str) -> Value | None:
        """Return what a note of this name at x is about."""
        _, found, about = self.notes.get(id(bare(x)), (x, "", x))
        return about if found == name else None
