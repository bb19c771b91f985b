"""Tensors whose batch is not their first axis, or is one axis with others.

Design
------
A. Attention as PyTorch exports it puts the batch second, and joins it with the heads. A `Moved` is
   such a tensor: what a sample has of it, with an axis in the place of the batch's. Its size there
   is how many numbers of each sample the joined axis has: 1 where the batch stands alone.
B. For operators that do not touch that axis, a `Moved` is a sample's value with one axis more, so
   their usual handlers do, once their axes count the batch that a value has not.
C. Only Transpose and Reshape make a `Moved`, or a `Value` of it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Shape, Unsupported, Value
from instmodel.importers.onnx_context import Node
from instmodel.importers.operands import BATCH, Operand


@dataclass(frozen=True)
class Moved:
    """A tensor with the batch at `place`.

    Attributes
    ----------
    value : Value
        Of a sample; its rank is that of the tensor.
    place : int
        The axis that the batch is, or is part of.
    outer : int
        How many of the axis's numbers of a sample come before the batch in it, as its slower part.
    """

    value: Value
    place: int
    outer: int = 1

    @property
    def shape(self) -> Shape:
        """The shape of `value`."""
        return self.value.shape


def as_moved(x: Value | Moved) -> Moved:
    """Return a tensor as a `Moved`, wherever its batch is."""
    return x if isinstance(x, Moved) else Moved(ex.reshape(x, (1, *x.shape)), 0)


def _settled(x: Moved) -> Value | Moved:
    """Return a `Value` where the batch is the first axis, alone."""
    if x.place == 0 and x.shape[0] == 1:
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
    return _settled(Moved(turned, axes.index(moved.place), moved.outer))


def reshaped(x: Value | Moved, wanted: Sequence[int]) -> Value | Moved:
    """Return x in another shape; a negative size is a number of batches, or what is left."""
    moved = as_moved(x)
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
        return _settled(Moved(ex.reshape(moved.value, sizes), at, outer))
    raise Unsupported(f"a Reshape to {list(wanted)}")


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
    {"Add", "Sub", "Mul", "Div", "Pow", "MatMul", "Softmax", "LogSoftmax", "LayerNormalization"}
    | {"Relu", "Gelu", "Sigmoid", "Tanh", "Erf", "Sqrt", "Exp", "Clip", "Identity", "Dropout"}
    | {"Cast", "Gemm", "Reciprocal", "Elu", "LeakyRelu", "Softplus", "Slice", "Split"}
)


def run(node: Node, handler: Callable[[Node], Any]) -> Any:
    """Run an operator on what is moved."""
    first = node.inputs[0]
    if node.kind == "Transpose" and isinstance(first, Moved):
        return transposed(first, node.attributes.get("perm"))
    if node.kind == "Reshape" and isinstance(first, Moved):
        wanted = [int(size) for size in node.setting("shape", 1)]
        sizes = list(first.shape)
        sizes[first.place] *= BATCH
        return reshaped(first, [sizes[i] if size == 0 else size for i, size in enumerate(wanted)])
    if node.kind == "Shape" and isinstance(first, Moved):
        sizes = list(first.shape)
        sizes[first.place] *= BATCH
        chosen = slice(node.attributes.get("start", 0), node.attributes.get("end"))
        return np.array(sizes, np.int64)[chosen]
    return _run_alike(node, handler)


def _run_alike(node: Node, handler: Callable[[Node], Any]) -> Any:
    parts = [item for item in node.inputs if isinstance(item, Moved)]
    place, outer, rank = parts[0].place, parts[0].outer, len(parts[0].shape)
    others = [item for item in node.inputs if isinstance(item, Value)]
    if others or any((p.place, p.outer, len(p.shape)) != (place, outer, rank) for p in parts):
        raise Unsupported("tensors with the batch in other places")
    inputs: list[Operand | None] = [
        item.value if isinstance(item, Moved) else item for item in node.inputs
    ]
    attributes = dict(node.attributes)
    if node.kind in ("Gather", "Unsqueeze", "Squeeze"):
        return _with_other_axes(node, inputs, parts[0], handler)
    fixed = node.kind == "MatMul" and isinstance(node.inputs[1], np.ndarray) and place < rank - 1
    if node.kind not in _ALIKE or (node.kind == "MatMul" and place >= rank - 2 and not fixed):
        raise Unsupported(f"{node.kind} of a tensor whose first axis is not the batch")
    default = {"Softmax": -1, "LogSoftmax": -1, "LayerNormalization": -1, "Split": 0}
    if node.kind in default:
        axis = attributes.get("axis", default[node.kind]) % rank
        if axis == place or (node.kind == "LayerNormalization" and axis < place):
            raise Unsupported("an operation along the batch")
        attributes["axis"] = axis + 1
    if node.kind == "Slice":
        axes = np.asarray(node.setting("axes", 3, list(range(rank)))) % rank
        if place in axes.tolist():
            raise Unsupported("a Slice of the batch")
        inputs = [*inputs[:3], axes + 1, *inputs[4:]]
    inner = Node(node.kind, node.version, inputs, attributes, node.notes, node.outputs)
    results = handler(inner)
    listed = results if isinstance(results, list) else [results]
    moved = [_settled(Moved(item, place, outer)) for item in listed]
    return moved if isinstance(results, list) else moved[0]


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
    place = x.place
    for axis in changed:
        if added <= 0 and axis == place:
            raise Unsupported("an operation along the batch")
        if axis < place or (added > 0 and axis == place):
            place += added
    inner = Node(node.kind, max(node.version, 13), inputs, attributes, node.notes)
    return _settled(Moved(handler(inner), place, x.outer))
