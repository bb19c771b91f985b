"""Tensors whose first axis is not the batch alone: elsewhere, joined with others, beside steps.

Design
------
A. Attention as PyTorch exports it puts the batch second, and joins it with the heads. A `Moved` is
   such a tensor: what a sample has of it, with an axis in the place of the batch's. Its size there
   is how many numbers of each sample the joined axis has: 1 where the batch stands alone.
B. So are the tensors of a recurrent graph, which have an axis of steps, too: what one step of one
   sequence has, with an axis of size 1 in the place of each. The axes may be joined: two in one.
C. For operators that do not touch these axes, a `Moved` is a sample's value with one axis more, so
   their usual handlers do, once their axes count the batch that a value has not.
D. Only Transpose and Reshape, and recurrent nodes, make a `Moved`, or a `Value` of it again. What
   takes the last step of a sequence leaves no axis of steps: the model computes it every step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Shape, Unsupported, Value
from instmodel.importers.onnx_context import Node
from instmodel.importers.operands import BATCH, STEPS, Operand


class FixedSteps(Exception):
    """A graph takes but one number of steps, though its inputs do not say so."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} steps")
        self.count = count


@dataclass(frozen=True)
class Moved:
    """A tensor with the batch at `place`, and an axis of steps at `time`, if it has one.

    Attributes
    ----------
    value : Value
        Of a sample, or of a step of one; its rank is that of the tensor.
    place : int
        The axis that the batch is, or is part of.
    outer : int
        How many of the axis's numbers of a sample come before the batch in it, as its slower part.
    time : int or None
        The axis that the steps are; `place` where both are joined.
    time_first : bool
        Whether the steps come before the batch.
    count : int
        How many steps the graph was made for, 0 for any number.
    """

    value: Value
    place: int
    outer: int = 1
    time: int | None = None
    time_first: bool = False
    count: int = 0

    @property
    def shape(self) -> Shape:
        """The shape of `value`."""
        return self.value.shape

    @property
    def sizes(self) -> list[int]:
        """The shape of the tensor, with `BATCH` and `STEPS` for what is not known."""
        sizes = list(self.shape)
        sizes[self.place] *= BATCH
        if self.time is not None:
            sizes[self.time] *= STEPS
        return sizes

    @property
    def fixed_axes(self) -> set[int]:
        """The axes that are no sample's own."""
        return {self.place} if self.time is None else {self.place, self.time}

    def is_last(self, step: int) -> bool:
        """Whether a step is the last one of a sequence, whatever its length."""
        return step in (-1, STEPS - 1) or (self.count > 0 and step == self.count - 1)


def as_moved(x: Value | Moved) -> Moved:
    """Return a tensor as a `Moved`, wherever its batch is."""
    return x if isinstance(x, Moved) else Moved(ex.reshape(x, (1, *x.shape)), 0)


def settled(x: Moved) -> Value | Moved:
    """Return a `Value` where the batch is the first axis, alone, and there are no steps."""
    if x.time is None and x.place == 0 and x.shape[0] == 1:
        return ex.reshape(x.value, x.shape[1:])
    return x


def transposed(x: Value | Moved, order: Sequence[int] | None) -> Value | Moved:
    """Return x with its axes, the batch among them, in another order."""
    moved = as_moved(x)
    rank = len(moved.shape)
    axes = list(range(rank))[::-1] if order is None else list(order)
    if sorted(axes) != list(range(rank)):
        raise Unsupported(f"a Transpose to {axes} of {rank} axes")
    turned = ex.rearrange(moved.value, ex.positions_of(moved.value).transpose(axes))
    return settled(_placed(moved, turned, axes.index))


def _placed(x: Moved, value: Value, where: Callable[[int], int]) -> Moved:
    """Return x with another value, whose fixed axes are ``where(axis)``."""
    place, time = where(x.place), None if x.time is None else where(x.time)
    first = x.time_first if time is None or time == place else time < place
    return replace(x, value=value, place=place, time=time, time_first=first)


def reshaped(x: Value | Moved, wanted: Sequence[int]) -> Value | Moved:
    """Return x in another shape; a negative size is a number of batches, or what is left."""
    moved = as_moved(x)
    if moved.time is not None:
        return _reshaped_steps(moved, wanted)
    shape, place = moved.shape, moved.place
    before = math.prod(shape[:place]) * moved.outer
    after = math.prod(shape[place:]) // moved.outer
    for at in [i for i, size in enumerate(wanted) if size < 0]:
        first, last = list(wanted[:at]), list(wanted[at + 1 :])
        if not (_fill(first, before) and _fill(last, after)):
            continue
        outer, slower = divmod(before, math.prod(first))
        inner, faster = divmod(after, math.prod(last))
        if slower or faster or wanted[at] not in (BATCH, -outer * inner):
            continue
        sizes = [*first, outer * inner, *last]
        return settled(Moved(ex.reshape(moved.value, sizes), at, outer))
    raise Unsupported(f"a Reshape to {list(wanted)}")


def _reshaped_steps(x: Moved, wanted: Sequence[int]) -> Moved:
    """Return what has steps in another shape: their axis and the batch's may be joined, or part."""
    marks = sorted(x.fixed_axes)
    counts = [
        math.prod(x.shape[: marks[0]]),
        math.prod(x.shape[marks[0] + 1 : marks[-1]]),
        math.prod(x.shape[marks[-1] + 1 :]),
    ]
    axes = range(len(wanted))
    joined = ((axis, axis) for axis in axes)  # what may be apart is
    for first, last in (*itertools.combinations(axes, 2), *joined):
        parts = [list(wanted[:first]), list(wanted[first + 1 : last]), list(wanted[last + 1 :])]
        if first == last and counts[1] != 1:
            continue
        if not all(_fill(p, n) and math.prod(p) == n for p, n in zip(parts, counts, strict=True)):
            continue
        if first == last:
            fits = wanted[first] in (BATCH, BATCH * STEPS)
            fits = fits or (x.count > 0 and wanted[first] > 0 and wanted[first] % x.count == 0)
            sizes = [*parts[0], 1, *parts[2]]
        else:
            steps, batch = wanted[first], wanted[last]
            if not x.time_first:
                steps, batch = batch, steps
            if x.count == 0 and steps > 0 and (batch == BATCH or batch > 0):
                raise FixedSteps(steps)
            fits = steps in (BATCH, STEPS, x.count) and (batch == BATCH or batch > 0)
            sizes = [*parts[0], 1, *parts[1], 1, *parts[2]]
        if fits:
            time, place = (first, last) if x.time_first else (last, first)
            return replace(x, value=ex.reshape(x.value, sizes), place=place, time=time)
    raise Unsupported(f"a Reshape of the steps of sequences to {list(wanted)}")


def _fill(sizes: list[int], count: int) -> bool:
    """Put what is left into the one size that is open: `sizes` IN/OUT. Return whether it fits."""
    open_places = [i for i, size in enumerate(sizes) if size == BATCH]
    if any(size < BATCH for size in sizes) or len(open_places) > 1:
        return False
    if open_places:
        known = -math.prod(sizes)
        if not known or count % known:
            return False
        sizes[open_places[0]] = count // known
    return math.prod(sizes) > 0


# Of these, the axes stay what they are.
_ALIKE = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "Cast",
        "CastLike",
        "Celu",
        "Clip",
        "Div",
        "Dropout",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Gemm",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "IsInf",
        "IsNaN",
        "LayerNormalization",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "LogSoftmax",
        "MatMul",
        "Max",
        "Mean",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Pow",
        "PRelu",
        "Reciprocal",
        "Relu",
        "Selu",
        "Sigmoid",
        "Sign",
        "Softmax",
        "Softplus",
        "Softsign",
        "Split",
        "Sqrt",
        "Sub",
        "Sum",
        "Swish",
        "Tanh",
        "ThresholdedRelu",
        "Where",
        "Xor",
    ]
)
_REDUCTIONS = frozenset(f"Reduce{name}" for name in ("L1", "L2", "Max", "Mean", "Min", "Sum"))
# Operators along one axis, and which by default.
_ALONG = {"Softmax": -1, "LogSoftmax": -1, "LayerNormalization": -1, "Split": 0, "Concat": 0}
_LAST = 2**31 - 1  # what exporters write for "to the end", or more


def run(node: Node, handler: Callable[[Node], Any]) -> Any:
    """Run an operator on what is moved."""
    first = node.inputs[0]
    if isinstance(first, Moved):
        if node.kind == "Transpose":
            return transposed(first, node.attributes.get("perm"))
        if node.kind == "Reshape":
            wanted = [int(size) for size in node.setting("shape", 1)]
            sizes = first.sizes
            shape = [sizes[i] if size == 0 else size for i, size in enumerate(wanted)]
            return reshaped(first, shape)
        if node.kind == "Shape":
            chosen = slice(node.attributes.get("start", 0), node.attributes.get("end"))
            return np.array(first.sizes, np.int64)[chosen]
        if node.kind == "Slice":
            return _sliced(node, first, handler)
        if (
            node.kind == "Gather"
            and node.attributes.get("axis", 0) % len(first.shape) == first.time
        ):
            steps = node.array(1)
            return _last_step(first, steps.reshape(-1).tolist(), steps.shape)
    elif node.kind == "Gather" and isinstance(node.inputs[1], Moved):
        keys = node.inputs[1]
        inner = Node(node.kind, node.version, [first, keys.value], node.attributes, node.notes)
        return replace(keys, value=handler(inner))
    return _run_alike(node, handler)


def _last_step(x: Moved, steps: Sequence[int], kept: Shape) -> Value | Moved:
    """Return the last step of each sequence, with axes of the shape `kept` in the steps' place."""
    assert x.time is not None
    if len(steps) != 1 or not x.is_last(steps[0]) or x.time == x.place:
        raise Unsupported("other steps of a sequence than the last")
    place = x.place + (len(kept) - 1 if x.place > x.time else 0)
    sizes = [*x.shape[: x.time], *kept, *x.shape[x.time + 1 :]]
    return settled(Moved(ex.reshape(x.value, sizes), place, x.outer))


def _sliced(node: Node, x: Moved, handler: Callable[[Node], Any]) -> Value | Moved:
    """Run a Slice, of which whole axes are left out: exporters write them, too."""
    starts, ends = ([int(i) for i in node.setting(*at)] for at in (("starts", 1), ("ends", 2)))
    axes = [int(i) % len(x.shape) for i in node.setting("axes", 3, list(range(len(starts))))]
    strides = [int(i) for i in node.setting("steps", 4, [1] * len(starts))]
    cuts = [
        (axis, start, end, stride)
        for axis, start, end, stride in zip(axes, starts, ends, strides, strict=True)
        if (start, stride) != (0, 1) or end < _LAST
    ]
    if not cuts:
        return x
    axes, starts, ends, strides = (list(items) for items in zip(*cuts, strict=True))
    if axes == [x.time]:
        to_end = ends[0] >= _LAST or ends[0] in (STEPS, x.count or STEPS)
        if to_end and strides == [1] and starts != [0]:
            return _last_step(x, starts, (1,))
        if to_end and strides == [1]:
            return x
    _check_axes(x, axes)
    edges = [np.array(items) for items in (starts, ends, np.array(axes) + 1, strides)]
    inner = Node(node.kind, max(node.version, 13), [x.value, *edges], {}, node.notes)
    return settled(replace(x, value=handler(inner)))


def _run_alike(node: Node, handler: Callable[[Node], Any]) -> Any:
    parts = [item for item in node.inputs if isinstance(item, Moved)]
    x, rank, fixed = parts[0], len(parts[0].shape), parts[0].fixed_axes
    others = [item for item in node.inputs if isinstance(item, Value)]
    if any((p.time is None) != (x.time is None) for p in parts) or (others and x.time is not None):
        raise Unsupported("every step of a sequence beside what is not of each step")
    if others or any(
        (p.place, p.outer, p.time, len(p.shape)) != (x.place, x.outer, x.time, rank) for p in parts
    ):
        what = "the batch" if x.time is None else "the steps or the batch"
        raise Unsupported(f"tensors with {what} in other places")
    inputs: list[Operand | None] = [
        item.value if isinstance(item, Moved) else item for item in node.inputs
    ]
    attributes = dict(node.attributes)
    if node.kind in ("Gather", "Unsqueeze", "Squeeze"):
        return _with_other_axes(node, inputs, x, handler)
    if node.kind in _REDUCTIONS:
        return _reduced(node, inputs, x, handler)
    weighs = node.kind == "MatMul" and isinstance(node.inputs[1], np.ndarray)
    weighs = weighs and max(fixed) < rank - 1
    known = node.kind in _ALIKE or node.kind == "Concat"
    if not known or (node.kind == "MatMul" and max(fixed) >= rank - 2 and not weighs):
        raise Unsupported(f"{node.kind} of a tensor whose first axis is not the batch")
    if node.kind in _ALONG:
        axis = attributes.get("axis", _ALONG[node.kind]) % rank
        _check_axes(x, [axis])
        if node.kind == "LayerNormalization" and axis < max(fixed):
            raise Unsupported("an operation along the batch")
        attributes["axis"] = axis + 1
    inner = Node(node.kind, node.version, inputs, attributes, node.notes, node.outputs)
    results = handler(inner)
    listed = results if isinstance(results, list) else [results]
    if any(
        len(item.shape) != rank or any(item.shape[i] != x.shape[i] for i in fixed)
        for item in listed
    ):
        raise Unsupported("a constant that is another one for each step or sample")
    moved = [settled(replace(x, value=item)) for item in listed]
    return moved if isinstance(results, list) else moved[0]


def _check_axes(x: Moved, axes: Sequence[int]) -> None:
    """Refuse what is done along the batch, or along the steps."""
    if x.time in axes and x.time != x.place:
        raise Unsupported("an operation along the steps of a sequence")
    if x.place in axes:
        raise Unsupported("an operation along the batch")


def _reduced(node: Node, inputs: list[Any], x: Moved, handler: Callable[[Node], Any]) -> Any:
    """Run a reduction over axes that are a sample's own."""
    rank = len(x.shape)
    axes = sorted(int(axis) % rank for axis in node.setting("axes", 1, list(range(rank))))
    _check_axes(x, axes)
    attributes = {name: item for name, item in node.attributes.items() if name != "axes"}
    inputs = [inputs[0], np.array(axes) + 1]
    inner = Node(node.kind, node.version, inputs, attributes | {"keepdims": 1}, node.notes)
    reduced = handler(inner)
    if node.attributes.get("keepdims", 1):
        return settled(replace(x, value=reduced))
    sizes = [size for axis, size in enumerate(reduced.shape) if axis not in axes]
    shorter = ex.reshape(reduced, sizes)
    return settled(_placed(x, shorter, lambda at: at - sum(axis < at for axis in axes)))


def _with_other_axes(
    node: Node, inputs: list[Any], x: Moved, handler: Callable[[Node], Any]
) -> Value | Moved:
    """Run what adds an axis or takes one away."""
    rank = len(x.shape)
    attributes = dict(node.attributes)
    if node.kind == "Gather":
        axis = attributes.get("axis", 0) % rank
        attributes["axis"] = axis + 1
        changed, added = [axis], np.ndim(inputs[1]) - 1
    else:
        given = [int(axis) for axis in node.setting("axes", 1)]
        added = 1 if node.kind == "Unsqueeze" else -1
        full = rank + (len(given) if added > 0 else 0)
        changed = sorted(axis % full for axis in given)
        attributes.pop("axes", None)
        inputs = [inputs[0], np.array(changed) + 1]
    if node.kind != "Unsqueeze":
        _check_axes(x, changed)

    def where(place: int) -> int:
        start = place
        for axis in changed:
            # Axes that are added count as they will be, those that go as they were.
            if axis < (start if added < 0 else place) or (added > 0 and axis == place):
                place += added
        return place

    inner = Node(node.kind, max(node.version, 13), inputs, attributes, node.notes)
    return settled(_placed(x, handler(inner), where))
