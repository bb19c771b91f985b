"""The inputs of an ONNX graph: rows, sequences of rows, and states to start from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Value
from instmodel.importers.onnx_moved import Moved
from instmodel.importers.onnx_recurrent import INITIAL_INPUTS

_TYPES = {1: np.float32, 11: np.float64, 6: np.int32, 7: np.int64}
# All numbers of an input of sequences: what is compared has its size.
_LARGEST = 1 << 28
# What a state on its way from an input to a recurrent node may go through.
_PASSED_ON = frozenset(
    [
        "Cast",
        "Expand",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ]
)


class GraphInput:
    """An input of a graph.

    Attributes
    ----------
    name : str
    dtype : type
        Of NumPy; None where it is no tensor of numbers.
    sizes : list of int
        Of all axes; 0 for what may have any size.
    """

    def __init__(self, item: Any) -> None:
        tensor = item.type.tensor_type
        self.name: str = item.name
        self.dtype: Any = _TYPES.get(tensor.elem_type)
        self.sizes = [max(0, int(dim.dim_value)) for dim in tensor.shape.dim]

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole numbers."""
        return self.dtype is not None and np.issubdtype(self.dtype, np.integer)

    def shape(self, free: Sequence[int], findings: Findings) -> tuple[int, ...]:
        """Return the sizes of the axes but for those that are `free`; (1,) for what is refused."""
        place = f"input {self.name!r}"
        if self.dtype is None:
            findings.add(place, "no tensor of floats or integers")
        if len(self.sizes) < len(free):
            findings.add(place, "no batch axis" if len(free) == 1 else "no axes of batch and steps")
            return (1,)
        sizes = [size for axis, size in enumerate(self.sizes) if axis not in free]
        if any(size < 1 for size in sizes):
            what = "the batch" if len(free) == 1 else "the batch and the steps"
            findings.add(place, f"only {what} may have any size, not the axes {sizes}")
            return (1,)
        return tuple(sizes)

    def row(self, findings: Findings) -> tuple[Value, Value]:
        """Return the numbers of a sample, and the tensor of them: the first axis is the batch."""
        shape = self.shape([0], findings)
        leaf = ex.source(math.prod(shape), self.is_whole)
        return leaf, ex.reshape(leaf, shape)

    def step(self, findings: Findings, time: int, count: int = 0) -> tuple[Value, Moved]:
        """Return the numbers of a step, and the tensor of them, whose axis `time` are the steps.

        `count` is how many there are, if the graph says it elsewhere.
        """
        if math.prod(filter(None, self.sizes)) > _LARGEST:
            raise ex.Unsupported(f"sequences of shape {self.sizes}: too large")
        shape = self.shape([0, 1], findings)
        leaf = ex.source(math.prod(shape), self.is_whole)
        if len(self.sizes) > time:
            count = self.sizes[time] or count
        value = ex.reshape(leaf, (1, 1, *shape))
        return leaf, Moved(value, 1 - time, time=time, time_first=time == 0, count=count)

    def zeros(self, batch: int = 1) -> NDArray[Any]:
        """Return zeros in its shape, of which what may have any size is the batch."""
        sizes = [size or batch for size in self.sizes]
        return np.zeros(ex.checked(tuple(sizes)), self.dtype or np.float32)


def is_recurrent(nodes: Iterable[Any]) -> bool:
    """Whether nodes work on sequences."""
    return any(node.op_type in INITIAL_INPUTS and not node.domain for node in nodes)


def states_among(inputs: Iterable[GraphInput], nodes: Sequence[Any]) -> set[str]:
    """Return the names of inputs that are nothing but initial states of recurrent nodes.

    The model that is imported keeps the states itself, and starts from zeros.
    """
    return {item.name for item in inputs if _is_state(item.name, nodes)}


def _is_state(name: str, nodes: Sequence[Any]) -> bool:
    names, reached = {name}, False
    for node in nodes:
        places = [place for place, given in enumerate(node.input) if given in names]
        if not places or node.op_type == "Shape":
            continue
        if set(places) <= set(INITIAL_INPUTS.get(node.op_type, ())):
            reached = True
        elif places == [0] and node.op_type in _PASSED_ON:
            names.update(node.output)
        else:
            return False
    return reached
