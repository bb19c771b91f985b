"""From the graph of an exported PyTorch program to an expression of one step of a sequence.

Design
------
A. As for rows, the graph is followed for a batch of one; of sequences, for one step of one. What
   takes the last step of a sequence takes this one: the model says after each step what the program
   would say if the sequence ended there.
B. Recurrent layers say which axis counts the steps. Whatever else looks at several steps is
   refused, as is what mixes samples. What was taken of the last step must not stand beside every
   step: there it belongs to the end of a sequence that has not come yet.
C. States that the program takes and returns are told by the caller. They must not come of anything
   else, or they would depend on where a sequence is cut into calls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import recurrence
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.patterns import obstacles
from instmodel.importers.torch_graph import FILLS, Walker, dims_of, for_one_sample, is_open
from instmodel.importers.torch_operands import Count, value_of
from instmodel.importers.torch_recurrent import CELLS, LAYER, layer

# Operators that move whole axes, and so may name the axis of steps.
_WHOLE_AXES = frozenset(
    ("flatten", "mT", "movedim", "moveaxis", "numpy_T", "permute", "reshape", "squeeze", "stack")
) | frozenset(("swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze", "view"))
# Operators that look at several places of the last axes, without naming them.
_LAST_AXES = {
    **dict.fromkeys(("conv1d", "avg_pool1d", "max_pool1d"), 1),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_max_pool1d"), 1),
    **dict.fromkeys(("tril", "triu", "scaled_dot_product_attention"), 2),
}
_EVERYWHERE = ("group_norm", "instance_norm", "roll", "flip")
_ALONG = "an operation along the steps"


class Argument(NamedTuple):
    """What a program takes: features of a step, or a state.

    Attributes
    ----------
    shape : tuple of int
        For one step of one sample, with all axes.
    dtype : torch.dtype
    rows, steps : int, int or None
        Which axes count the samples, and the steps if one does.
    state : Value, optional
        The state that it is.
    becomes : int
        The output that a state is in the next step.
    """

    shape: tuple[int, ...]
    dtype: Any
    rows: int
    steps: int | None
    state: Value | None = None
    becomes: int = -1


class StepWalker(Walker):
    """Follows the graph of a program that is one step, or takes sequences.

    Parameters
    ----------
    torch, program, findings
        As of a `Walker`.
    states : mapping of int to int
        For each input that is a state, by its position, the output that it is in the next step.
    sequences : bool
        Whether the program takes sequences.

    Attributes
    ----------
    arguments : list of Argument
        What the program takes, in its order.
    """

    def __init__(
        self, torch: Any, program: Any, findings: Findings, states: Mapping[int, int],
        sequences: bool,
    ) -> None:  # fmt: skip
        names = program.graph_signature.user_inputs
        self._becomes = {names[taken]: returned for taken, returned in states.items()}
        self._final: set[Any] = set()  # nodes that hold something of the last step alone
        self._time = _time_of(program, findings) if sequences else ""
        self.arguments: list[Argument] = []
        super().__init__(torch, program, findings)

    def _add_input(self, node: Any) -> None:
        if node.name not in self._becomes:
            super()._add_input(node)
            return
        example = node.meta["val"]
        with self._findings.at(f"input {node.name!r}"):
            open_axes = [axis for axis, size in enumerate(example.shape) if is_open(size)]
            if len(open_axes) != 1:
                raise Unsupported("a state with other open sizes than the batch")
            self._rows.add(str(example.shape[open_axes[0]]))
            shape = for_one_sample(example)
            leaf = recurrence.state(math.prod(shape))
            becomes = self._becomes[node.name]
            self.arguments.append(Argument(shape, example.dtype, open_axes[0], None, leaf, becomes))
            self._known[node] = ex.reshape(leaf, shape)
            return
        self._known[node] = self._stand_in(node)

    def _batch_of(self, example: Any) -> int:
        axes = [axis for axis, size in enumerate(example.shape) if is_open(size)]
        times = [axis for axis in axes if str(example.shape[axis]) == self._time]
        rows = [axis for axis in axes if axis not in times]
        if len(rows) != 1 or rows[0] > len(times) or len(times) > 1:
            sizes = ", ".join(map(str, example.shape))
            raise Unsupported(
                f"of shape ({sizes}): open sizes must be the batch and the steps"
                if self._time
                else f"of shape ({sizes}): the first axis, and no other, is the batch"
            )
        shape = for_one_sample(example)
        self.arguments.append(Argument(shape, example.dtype, rows[0], times[0] if times else None))
        return rows[0]

    def output(self, places: Sequence[int]) -> Value | None:
        """Return the expression of one step of the chosen outputs, side by side."""
        self._follow([self._results[item.becomes] for item in self._held])
        result = super().output(places)
        for item in self._held:
            with self._findings.at(f"output {item.becomes}"):
                after = value_of(self._known[self._results[item.becomes]])
                assert item.state is not None
                if after.size != item.state.size:
                    raise Unsupported(f"{after.size} numbers for a state of {item.state.size}")
                recurrence.keep(item.state, ex.reshape(after, (after.size,)))
                for reason in obstacles(after):
                    self._findings.add("", reason)
        return result

    @property
    def _held(self) -> list[Argument]:
        return [item for item in self.arguments if item.state is not None]

    def fixed_columns(self) -> list[int]:
        """Return the features that are the same for all steps of a sequence."""
        features = [item for item in self.arguments if item.state is None]
        sizes = [math.prod(item.shape) for item in features]
        fixed = [bool(self._time) and item.steps is None for item in features]
        return np.flatnonzero(np.repeat(fixed, sizes)).tolist()

    def layout(self, place: int) -> tuple[int, int | None]:
        """Return which axes of an output are the batch, and the steps if it has them all."""
        example = self._results[place].meta["val"]
        times = self._time_axes(example)
        (rows,) = self._batch_axes(example)
        return rows, times[0] if times else None

    def _check_rows(self, node: Any) -> None:
        sizes = list(node.meta["val"].shape)
        rows, times = self._batch_axes(node.meta["val"]), self._time_axes(node.meta["val"])
        fits = len(rows) == 1 and str(sizes[rows[0]]) in self._rows and len(times) <= 1
        if not fits or any(str(sizes[axis]) != self._time for axis in times):
            shape = ", ".join(map(str, sizes))
            raise Unsupported(f"an output of shape ({shape}), whose rows are not the samples'")

    def _time_axes(self, example: Any) -> list[int]:
        if not isinstance(example, self._torch.Tensor):
            return []
        return [axis for axis, size in enumerate(example.shape) if self._counts_steps(size)]

    def _counts_steps(self, size: Any) -> bool:
        if isinstance(size, int) or not self._time:
            return False
        return any(str(symbol) == self._time for symbol in size.node.expr.free_symbols)

    # ------------------------------------------------------------------------------ operators

    def _result(self, node: Any) -> Any:
        done = self._layer(node) if str(node.target) == LAYER else super()._result(node)
        before = any(item in self._final or self._has_steps(item) for item in node.all_input_nodes)
        if before and not self._has_steps(node) and self._is_computed(done):
            self._final.add(node)
        return done

    def _is_computed(self, done: Any) -> bool:
        parts = done if isinstance(done, list | tuple) else [done]
        return any(isinstance(part, Value) and not part.is_constant for part in parts)

    def _has_steps(self, node: Any) -> bool:
        example = node.meta.get("val")
        parts = example if isinstance(example, list | tuple) else [example]
        return any(self._time_axes(part) for part in parts)

    def _made(self, name: str, node: Any, arguments: Any, named: Any) -> Any:
        if name in CELLS and any(isinstance(self._known[x], Value) for x in node.all_input_nodes):
            return CELLS[name](*arguments, **named)
        return super()._made(name, node, arguments, named)

    def _layer(self, node: Any) -> list[Value]:
        x, states, *_ = node.args
        sizes = x.meta["val"].shape
        by_batch = node.args[-1]
        if str(sizes[1 if by_batch else 0]) != self._time:
            raise Unsupported("a layer over other steps than those of the sequence")
        if x in self._final:
            raise Unsupported("what is known after the last step, at every step")
        for state in states:
            self._check_start(self._known[state])
        return layer(*self._resolved(list(node.args)))

    def _check_start(self, start: Any) -> None:
        if not isinstance(start, Value):
            return
        own = {id(item.state) for item in self._held}
        leaves = [node for node in ex.ordered(ex.bare(start)) if node.kind in ("input", "state")]
        if any(id(leaf) not in own for leaf in leaves):
            raise Unsupported("an initial state that is computed from the input")

    def _check_batch(self, name: str, node: Any, example: Any) -> None:
        super()._check_batch(name, node, example)
        if not self._time or name in FILLS:
            return
        inputs = node.all_input_nodes
        if self._has_steps(node) and any(item in self._final for item in inputs):
            raise Unsupported("what is known after the last step, at every step")
        if not any(map(self._has_steps, inputs)):
            return
        results = example if isinstance(example, list | tuple) else [example]
        made = [len(self._time_axes(x)) for x in results if isinstance(x, self._torch.Tensor)]
        if any(count > 1 for count in made):
            raise Unsupported("pairs of steps")
        along = self._along_steps(name, node)
        takes_last = name in ("select", "slice", "narrow") and along
        if takes_last:
            self._check_last(name, node)
        elif along or 0 in made:
            raise Unsupported(_ALONG)

    def _along_steps(self, name: str, node: Any) -> bool:
        """Whether an operator looks at several steps, or takes some of them."""
        for item in node.all_input_nodes:
            axes = self._time_axes(item.meta.get("val"))
            if not axes:
                continue
            rank = item.meta["val"].ndim
            last = _LAST_AXES.get(name, 0)
            if last and axes[0] >= rank - last:
                return True
            if name in _EVERYWHERE and (name != "flip" or not dims_of(node)):
                return True
            named = [dim % rank for dim in dims_of(node)] if name not in _WHOLE_AXES else []
            if any(axis in named for axis in axes):
                return True
        return False

    def _check_last(self, name: str, node: Any) -> None:
        """Refuse all but the last step, and all steps."""
        given = self._resolved(list(node.args))
        if name == "select":
            (at,) = given[2:]
            last = at == -1 or (isinstance(at, Count) and self._is_last(node.args[2]))
            if not last:
                raise Unsupported("another step than the last")
            return
        start, end, step = given[2:] + [None, None, 1][len(given) - 2 :]
        whole = end is None or isinstance(end, Count) or end >= 2**31
        if name != "slice" or step != 1 or not whole or start not in (None, 0, -1):
            raise Unsupported("some steps of a sequence")

    def _is_last(self, index: Any) -> bool:
        """Whether a number of the program is that of the steps, less 1."""
        expression = index.meta["val"].node.expr
        return str(expression + 1) == self._time


def _time_of(program: Any, findings: Findings) -> str:
    """Return how the export writes the number of steps."""
    found: dict[str, None] = {}
    for node in program.graph.nodes:
        if str(node.target) == LAYER:
            size = node.args[0].meta["val"].shape[1 if node.args[-1] else 0]
            if is_open(size):
                found |= dict.fromkeys(map(str, size.node.expr.free_symbols))
            else:
                findings.add("", f"the module takes sequences of {size} steps only")
    if not found:
        findings.add(
            "",
            "no recurrent layer, which would say what axis counts the steps; a module of one step "
            "takes and returns its states, and needs states=",
        )
    return next(iter(found), "no steps")
