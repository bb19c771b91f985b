"""ONNX operators that move numbers, and the arithmetic of shapes among constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keys import embedding
from instmodel.importers.onnx_context import Node
from instmodel.importers.onnx_moved import Moved, reshaped, transposed
from instmodel.importers.onnx_ops import Handler
from instmodel.importers.operands import BATCH, Operand, aligned, checked_size


def _identity(node: Node) -> Operand:
    return node.operand(0)


def _dropout(node: Node) -> Operand:
    if node.has(2) and bool(node.array(2)):
        raise Unsupported("training_mode")
    return node.operand(0)


def _flatten(node: Node) -> Operand:
    x = node.value(0)
    if node.axis(node.attributes.get("axis", 1), len(x.shape)) != 0:
        raise Unsupported("a Flatten that joins the batch with other axes")
    return ex.reshape(x, (x.size,))


def _reshape(node: Node) -> Operand | Moved:
    x = node.operand(0)
    wanted = [int(size) for size in node.setting("shape", 1)]
    before = x.shape if isinstance(x, np.ndarray) else (BATCH, *x.shape)
    if not node.attributes.get("allowzero", 0):
        wanted = [before[i] if size == 0 else size for i, size in enumerate(wanted)]
    if isinstance(x, np.ndarray):
        return x.reshape(wanted)
    if not wanted:
        raise Unsupported("a Reshape of the batch into one number")
    # The batch stays first, whatever number the exporter wrote for it, unless that does not fit.
    known = math.prod(size for size in wanted[1:] if size != -1)
    fits = known and x.size % known == 0 if -1 in wanted[1:] else known == x.size
    if fits or all(size >= 0 for size in wanted):
        return ex.reshape(x, wanted[1:])
    return reshaped(x, wanted)


def _transpose(node: Node) -> Operand | Moved:
    x, order = node.operand(0), node.attributes.get("perm")
    if isinstance(x, np.ndarray):
        return x.transpose(order)
    return transposed(x, order)


def _unsqueeze(node: Node) -> Operand:
    x, axes = node.operand(0), [int(axis) for axis in node.setting("axes", 1)]
    if isinstance(x, np.ndarray):
        return np.expand_dims(x, tuple(axes))
    rank = len(x.shape) + len(axes)
    chosen = {node.axis(axis, rank) for axis in axes}
    sizes = iter(x.shape)
    return ex.reshape(x, [1 if i in chosen else next(sizes) for i in range(rank)])


def _squeeze(node: Node) -> Operand:
    x, axes = node.operand(0), node.setting("axes", 1)
    if isinstance(x, np.ndarray):
        return x.squeeze(None if axes is None else tuple(axes))
    if axes is None:
        raise Unsupported("a Squeeze without axes")
    chosen = {node.axis(axis, len(x.shape)) for axis in axes}
    if any(x.shape[axis] != 1 for axis in chosen):
        raise Unsupported("a Squeeze of an axis that is not 1")
    return ex.reshape(x, [size for i, size in enumerate(x.shape) if i not in chosen])


def _concat(node: Node) -> Operand:
    parts = [node.operand(i) for i in range(len(node.inputs))]
    axis = node.attributes.get("axis", 1)
    if node.all_constant:
        arrays = [np.asarray(part) for part in parts]
        checked_size((sum(array.size for array in arrays),))
        return np.concatenate(arrays, axis)
    rank = max(len(part.shape) for part in parts if isinstance(part, Value))
    values = [part if isinstance(part, Value) else aligned(part, rank) for part in parts]
    return ex.concatenate(values, node.axis(axis, rank))


def _gather(node: Node) -> Operand:
    x, indexes, axis = node.operand(0), node.operand(1), node.attributes.get("axis", 0)
    if isinstance(x, np.ndarray):
        if isinstance(indexes, np.ndarray):
            checked_size((x.size // max(1, x.shape[axis]), indexes.size))
            return np.take(x, indexes, axis)
        return _embedding(x, indexes, axis)
    chosen = node.array(1)
    place = node.axis(axis, len(x.shape))
    checked_size((x.size // x.shape[place], chosen.size))
    return ex.rearrange(x, np.take(ex.positions_of(x), chosen, place))


def _embedding(table: NDArray[Any], keys: Value, axis: int) -> Value:
    if axis != 0 or table.ndim != 2:
        raise Unsupported(f"a lookup along axis {axis} of a table of shape {table.shape}")
    return embedding(table, keys)


def _slice(node: Node) -> Operand:
    x = node.operand(0)
    starts, ends = node.setting("starts", 1), node.setting("ends", 2)
    axes = node.setting("axes", 3, list(range(len(starts))))
    steps = node.setting("steps", 4, [1] * len(starts))
    rank = len(x.shape) + (0 if isinstance(x, np.ndarray) else 1)
    cuts = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # An end before the first element is written as a very negative number.
        last = None if step < 0 and end < -(2**30) else end
        cuts[axis] = slice(start, last, step)
    if isinstance(x, np.ndarray):
        return x[tuple(cuts)]
    whole = cuts[0].stop is None or cuts[0].stop >= 2**31 - 1
    if cuts[0].start not in (None, 0) or not whole or cuts[0].step not in (None, 1):
        raise Unsupported("a Slice of the batch")
    return ex.rearrange(x, ex.positions_of(x)[tuple(cuts[1:])])


def _split(node: Node) -> list[Operand]:
    x = node.value(0)
    axis = node.axis(node.attributes.get("axis", 0), len(x.shape))
    sizes = node.setting("split", 1)
    if sizes is None:
        count = int(node.attributes.get("num_outputs", node.outputs))
        each = -(-x.shape[axis] // count)
        sizes = [min(each, x.shape[axis] - i * each) for i in range(count)]
    edges = np.cumsum(sizes)
    if not len(edges) or edges[-1] != x.shape[axis] or min(sizes) < 1:
        raise Unsupported(f"a Split into {sizes}")
    parts = np.split(ex.positions_of(x), edges[:-1], axis)
    return [ex.rearrange(x, positions) for positions in parts]


def _shape(node: Node) -> Operand:
    x = node.operand(0)
    sizes = x.shape if isinstance(x, np.ndarray) else (BATCH, *x.shape)
    return np.array(sizes, np.int64)[node.attributes.get("start", 0) : node.attributes.get("end")]


def _expand(node: Node) -> Operand:
    x, wanted = node.operand(0), [int(size) for size in node.array(1)]
    if isinstance(x, np.ndarray):
        shape = [1 if size == BATCH else size for size in wanted]
        return np.broadcast_to(x, checked_size(np.broadcast_shapes(x.shape, shape)))
    return ex.broadcast(x, np.broadcast_shapes(x.shape, _without_batch(wanted, len(x.shape))))


def _without_batch(wanted: Sequence[int], rank: int) -> tuple[int, ...]:
    if len(wanted) == rank + 1:
        if wanted[0] not in (1, BATCH):
            raise Unsupported(f"an Expand to {list(wanted)}")
        wanted = wanted[1:]
    return tuple(wanted)


def _tile(node: Node) -> Operand:
    x, repeats = node.operand(0), [int(count) for count in node.array(1)]
    rank = len(x.shape) + (0 if isinstance(x, np.ndarray) else 1)
    if len(repeats) != rank:
        raise Unsupported(f"{len(repeats)} repeats of a tensor of {rank} axes")
    checked_size([size * count for size, count in zip(x.shape[::-1], repeats[::-1], strict=False)])
    if isinstance(x, np.ndarray):
        return np.tile(x, repeats)
    if repeats[0] != 1:
        raise Unsupported("a Tile of the batch")
    return ex.rearrange(x, np.tile(ex.positions_of(x), repeats[1:]))


def _pad(node: Node) -> Operand:
    x = node.value(0)
    edges = np.asarray(node.setting("pads", 1), int)
    rank = len(x.shape) + 1
    axes = node.array(3) if node.has(3) else np.arange(rank)
    widths = np.zeros((rank, 2), int)
    widths[axes] = edges.reshape(2, -1).T
    if widths[0].any() or (widths < 0).any():
        raise Unsupported(f"a Pad of {edges.tolist()}")
    mode = node.attributes.get("mode", b"constant").decode()
    checked_size(np.asarray(x.shape) + widths[1:].sum(axis=1))
    places = ex.positions_of(x)
    if mode != "constant":
        return ex.rearrange(x, np.pad(places, widths[1:], mode))
    filled = _with_filler(x, node.setting("value", 2, 0.0))
    return ex.rearrange(filled, np.pad(places, widths[1:], constant_values=x.size))


def _with_filler(x: Value, filler: Any) -> Value:
    """Return the numbers of x, and a constant behind them, to take where none of x is wanted."""
    return ex.concatenate([ex.reshape(x, (-1,)), ex.constant(np.reshape(filler, (1,)))])


def _trilu(node: Node) -> Operand:
    x, shift = node.operand(0), int(node.array(1)) if node.has(1) else 0
    if len(x.shape) < 2:
        raise Unsupported("a triangle over the batch")
    part = np.triu if node.attributes.get("upper", 1) else np.tril
    if isinstance(x, np.ndarray):
        return part(x, shift)
    kept = part(np.ones(x.shape, bool), shift)
    places = np.where(kept, ex.positions_of(x), x.size)
    return ex.rearrange(_with_filler(x, 0.0), places)


def _gather_elements(node: Node) -> Operand:
    x, indexes = node.operand(0), node.array(1)
    axis = node.attributes.get("axis", 0)
    if isinstance(x, np.ndarray):
        return _taken_along(x, indexes, axis)
    place = node.axis(axis, len(x.shape))
    chosen = aligned(indexes, len(x.shape)).data
    return ex.rearrange(x, _taken_along(ex.positions_of(x), chosen, place))


def _taken_along(x: NDArray[Any], indexes: NDArray[Any], axis: int) -> NDArray[Any]:
    """Take elements along an axis, of as much of the other axes as the indexes have."""
    if indexes.ndim != x.ndim:
        raise Unsupported(f"indexes of {indexes.ndim} axes for a tensor of {x.ndim}")
    cuts = [slice(size) for size in indexes.shape]
    cuts[axis] = slice(None)
    part = x[tuple(cuts)]
    fits = list(indexes.shape)
    fits[axis] = part.shape[axis]
    if part.shape != tuple(fits):  # NumPy would repeat an axis of 1
        raise Unsupported(f"indexes of shape {indexes.shape} for a tensor of shape {x.shape}")
    return np.take_along_axis(part, indexes, axis)


def _range(node: Node) -> Operand:
    start, limit, step = (np.asarray(node.array(i)).item() for i in range(3))
    if limit == BATCH:
        raise Unsupported("a range over the batch")
    checked_size((max(0, math.ceil((limit - start) / step)),))
    return np.arange(start, limit, step, dtype=node.array(0).dtype)


def _constant(node: Node) -> Operand:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            found = np.asarray(node.attributes[name])
            return found.astype(np.float32) if name.startswith("value_float") else found
    raise Unsupported("a constant that is no dense tensor of numbers")


def _constant_of_shape(node: Node) -> Operand:
    shape = [1 if size == BATCH else int(size) for size in node.array(0)]
    fill = np.asarray(node.attributes.get("value", np.zeros(1, np.float32)))
    return np.full(checked_size(shape), fill.reshape(-1)[0])


SHAPE_OPERATORS: dict[str, Handler | Any] = {
    "Identity": _identity,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
    "Shape": _shape,
    "Expand": _expand,
    "Range": _range,
    "Tile": _tile,
    "Pad": _pad,
    "Trilu": _trilu,
    "GatherElements": _gather_elements,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
}
