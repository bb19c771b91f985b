"""Run a recurrent ONNX graph on sequences, wherever it has its steps, its batch and its state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from instmodel.errors import DocumentError
from instmodel.importers.common import side_by_side
from instmodel.importers.expressions import Value
from instmodel.importers.onnx_file import Runtime
from instmodel.importers.onnx_inputs import GraphInput
from instmodel.importers.onnx_moved import Moved, as_moved
from instmodel.importers.onnx_properties import StepStates


class SequenceSession:
    """ONNX Runtime on the part of a model that one tensor needs, for sequences.

    Parameters
    ----------
    runtime : Runtime
    inputs : sequence of GraphInput
        Those that are features, side by side in a sequence.
    states : sequence of GraphInput
        Initial states, which are zeros.
    time : int
        Which axis of the inputs the steps are.
    found : Value or Moved
        The tensor with its axes.
    count : int
        How many steps the graph takes, 0 for what its inputs say.

    Attributes
    ----------
    last : bool
        Whether the tensor is of the last step alone.
    count : int
        How many steps the graph takes, 0 for any number.
    """

    def __init__(
        self,
        runtime: Runtime,
        inputs: Sequence[GraphInput],
        states: Sequence[GraphInput],
        time: int,
        found: Value | Moved,
        count: int,
    ) -> None:
        self._runtime = runtime
        self._inputs, self._held = inputs, states
        self._time = time
        self._found = as_moved(found)
        self.last = self._found.time is None
        needed = [item for item in inputs if runtime.has(item.name)]
        self.count = max((item.sizes[time] for item in needed), default=0) or count
        self._batch = max((item.sizes[1 - time] for item in needed), default=0)

    def run(self, sequences: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the tensor for sequences (N, T, F): (N, T, O), or (N, O) of the last steps."""
        size = self._batch or len(sequences)
        results = []
        for start in range(0, len(sequences), size):
            part = sequences[start : start + size]
            padded = np.resize(part, (size, *part.shape[1:]))
            results.append(self._run(padded)[: len(part)])
        return np.concatenate(results)

    def _run(self, sequences: NDArray[np.float32]) -> NDArray[np.float32]:
        batch, steps, columns = sequences.shape
        shapes = [
            [size for axis, size in enumerate(item.sizes) if axis > 1] for item in self._inputs
        ]
        feeds = {}
        parts = side_by_side(sequences.reshape(-1, columns), shapes)
        for item, part in zip(self._inputs, parts, strict=True):
            split = part.reshape(batch, steps, *part.shape[1:])
            feeds[item.name] = (split.swapaxes(0, 1) if self._time == 0 else split).astype(
                item.dtype
            )
        feeds |= {item.name: item.zeros(batch) for item in self._held}
        (found,) = self._runtime.compute(feeds)
        return self._by_sequence(found, batch, steps)

    def _by_sequence(
        self, array: NDArray[np.float32], batch: int, steps: int
    ) -> NDArray[np.float32]:
        """Return the tensor with the batch first, then the steps, and all other axes in one."""
        x = self._found
        sizes = list(x.shape)
        sizes[x.place] = batch
        order = [x.place]
        if x.time is not None and x.time != x.place:
            sizes[x.time] = steps
            order.append(x.time)
        elif x.time is not None:
            sizes[x.place : x.place + 1] = (steps, batch) if x.time_first else (batch, steps)
            order = [x.place, x.place + 1][:: -1 if x.time_first else 1]
        if array.size != np.prod(sizes):
            raise DocumentError(
                "invalid_document",
                "the output has other axes than the model that was imported",
                expected=str(sizes),
                actual=str(array.shape),
            )
        rest = [axis for axis in range(len(sizes)) if axis not in order]
        moved = array.reshape(sizes).transpose([*order, *rest])
        return moved.reshape(*moved.shape[: len(order)], -1)


class StepSession:
    """ONNX Runtime on a graph that is one step: sequences are run step by step.

    Parameters
    ----------
    runtime : Runtime
        Of the tensor, and of the states after the step.
    inputs : sequence of GraphInput
    states : StepStates

    Attributes
    ----------
    last, count
        As of a `SequenceSession`.
    """

    last = False
    count = 0

    def __init__(self, runtime: Runtime, inputs: Sequence[GraphInput], states: StepStates) -> None:
        self._runtime, self._inputs, self._held = runtime, inputs, states

    def run(self, sequences: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the tensor for sequences (N, T, F): (N, T, O)."""
        state = self._held.first(len(sequences))
        outputs = []
        for rows in sequences.swapaxes(0, 1):
            parts = side_by_side(rows, (item.sizes[1:] for item in self._inputs))
            feeds = {
                item.name: part.astype(item.dtype)
                for item, part in zip(self._inputs, parts, strict=True)
            }
            found, state = self._runtime.compute(feeds | {self._held.input: state})
            outputs.append(found.reshape(len(rows), -1))
        return np.stack(outputs, axis=1)
