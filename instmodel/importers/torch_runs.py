"""Run recurrent PyTorch modules: sequences at once, or step by step with their states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import common
from instmodel.importers.torch_outputs import joined
from instmodel.importers.torch_steps import Argument, StepWalker

Floats = NDArray[np.float64]


class SequenceRuns:
    """A module that takes sequences.

    Parameters
    ----------
    torch : module
    call : callable
        Takes the module's tensors in a list.
    arguments : sequence of Argument
    outputs : sequence of (int, (int, int or None))
        The chosen ones: their positions among all, and the axes that count samples and steps.
    """

    def __init__(
        self,
        torch: Any,
        call: Callable[[list[Any]], Any],
        arguments: Sequence[Argument],
        outputs: Sequence[tuple[int, tuple[int, int | None]]],
    ) -> None:
        self._torch, self._call = torch, call
        self._arguments, self._outputs = arguments, outputs
        self.last = any(steps is None for _, (_, steps) in outputs)

    def __call__(self, rows: NDArray[np.float32]) -> Floats:
        """Return what the module makes of sequences (N, T, F): (N, T, O), or (N, O) with `last`."""
        count, length, width = rows.shape
        flat = rows.reshape(count * length, width)
        features = [item for item in self._arguments if item.state is None]
        parts = common.side_by_side(flat, (_inner(item) for item in features))
        given = []
        for item in self._arguments:
            if item.state is not None:
                given.append(_zeros(self._torch, item, count))
                continue
            part = next(parts).reshape(count, length, *_inner(item))
            if item.steps is None:
                part = part[:, 0]
            elif item.steps == 0:
                part = part.swapaxes(0, 1)
            given.append(_tensor(self._torch, part, item))
        # oneDNN would compile an LSTM for every length.
        with self._torch.no_grad(), self._torch.backends.mkldnn.flags(enabled=False):
            returned = self._torch.utils._pytree.tree_leaves(self._call(given))
        found = [self._by_sequence(returned[place], axes) for place, axes in self._outputs]
        if self.last:
            found = [part if part.ndim == 2 else part[:, -1] for part in found]
        return np.concatenate(found, axis=-1)

    def _by_sequence(self, tensor: Any, layout: tuple[int, int | None]) -> Floats:
        array: Floats = tensor.double().numpy()
        axes = [axis for axis in layout if axis is not None]
        moved = np.moveaxis(array, axes, range(len(axes)))
        return moved.reshape(*moved.shape[: len(axes)], -1)


class StepRuns:
    """A module of one step, that takes states and returns those of the next step.

    Parameters
    ----------
    torch, call, arguments
        As of `SequenceRuns`.
    places : sequence of int
        The chosen outputs.
    """

    last = False

    def __init__(
        self,
        torch: Any,
        call: Callable[[list[Any]], Any],
        arguments: Sequence[Argument],
        places: Sequence[int],
    ) -> None:
        self._torch, self._call = torch, call
        self._arguments, self._places = arguments, places

    def __call__(self, rows: NDArray[np.float32]) -> Floats:
        """Return what the module makes of sequences (N, T, F), step by step: (N, T, O)."""
        # Programs may be exported for two rows and more.
        some = rows if len(rows) > 1 else np.repeat(rows, 2, axis=0)
        features = [item for item in self._arguments if item.state is None]
        states = {
            item.becomes: _zeros(self._torch, item, len(some))
            for item in self._arguments
            if item.state is not None
        }
        found = []
        for t in range(some.shape[1]):
            parts = common.side_by_side(some[:, t], (_inner(item) for item in features))
            given = [
                states[item.becomes]
                if item.state is not None
                else _tensor(self._torch, next(parts), item)
                for item in self._arguments
            ]
            with self._torch.no_grad():
                returned = self._torch.utils._pytree.tree_leaves(self._call(given))
            states = {place: returned[place] for place in states}
            found.append(joined(self._torch, returned, self._places, len(some)).numpy())
        return np.stack(found, axis=1)[: len(rows)]


def _inner(item: Argument) -> tuple[int, ...]:
    """Return the sizes of the axes that count neither samples nor steps."""
    outer = (item.rows, item.steps)
    return tuple(size for axis, size in enumerate(item.shape) if axis not in outer)


def _zeros(torch: Any, item: Argument, count: int) -> Any:
    sizes = list(item.shape)
    sizes[item.rows] *= count
    return torch.zeros(sizes, dtype=item.dtype)


def _tensor(torch: Any, part: NDArray[np.float32], item: Argument) -> Any:
    return torch.from_numpy(np.ascontiguousarray(part)).to(item.dtype)


def step_runs(
    torch: Any,
    call: Callable[[list[Any]], Any],
    walker: StepWalker,
    places: Sequence[int],
    sequences: bool,
) -> SequenceRuns | StepRuns:
    """Return what runs a module on sequences, as it takes them."""
    if not sequences:
        return StepRuns(torch, call, walker.arguments, places)
    outputs = [(place, walker.layout(place)) for place in places]
    return SequenceRuns(torch, call, walker.arguments, outputs)
