"""Functions of `keras.ops` that move numbers, make constants or look numbers up, as expressions.

A handler takes the operation and what it is called with; see `keras_ops`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keras_ops import digitized
from instmodel.importers.keys import embedding, one_hot, to_integers
from instmodel.importers.operands import aligned, sample_axis, value_of
from instmodel.importers.torch_choices import numbers_of

Handler = Callable[..., Any]


def _identity(operation: Any, x: Any) -> Any:
    return x


def _joined(operation: Any, parts: Sequence[Any]) -> Any:
    rank = max(len(x.shape) for x in parts if isinstance(x, Value))
    values = [x if isinstance(x, Value) else aligned(np.asarray(x), rank) for x in parts]
    axis = sample_axis(operation.axis, rank)
    return ex.concatenate([numbers_of(x) for x in values], axis)


def _stacked(operation: Any, parts: Sequence[Any]) -> Value:
    ranks = [len(x.shape) for x in parts if isinstance(x, Value)]
    wide = [x if isinstance(x, Value) else aligned(np.asarray(x), max(ranks)) for x in parts]
    axis = sample_axis(operation.axis, max(ranks) + 1)
    return ex.concatenate([_with_axis(x, axis) for x in wide], axis)


def _with_axis(x: Value, axis: int) -> Value:
    return ex.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def _expand(operation: Any, x: Value) -> Value:
    axes = [axis % (len(x.shape) + 2) for axis in np.atleast_1d(operation.axis).tolist()]
    if len(axes) != 1:
        raise Unsupported("several new axes at once")
    return _with_axis(x, sample_axis(axes[0], len(x.shape) + 1))


def _squeeze(operation: Any, x: Value) -> Any:
    if operation.axis is None:
        return ex.reshape(x, [size for size in x.shape if size != 1])
    axes = {sample_axis(axis, len(x.shape)) for axis in np.atleast_1d(operation.axis).tolist()}
    return ex.reshape(x, [size for i, size in enumerate(x.shape) if i not in axes])


def _reshape(operation: Any, x: Value) -> Value:
    shape = operation.newshape
    if math.prod(size for size in shape[1:] if size not in (-1, None)) <= 0:
        raise Unsupported(f"the shape {shape}")
    return ex.reshape(x, [-1 if size is None else size for size in shape[1:]])


def _transpose(operation: Any, x: Value) -> Value:
    rank = len(x.shape)
    axes = list(range(rank, -1, -1) if operation.axes is None else operation.axes)
    if axes[0] % (rank + 1) != 0:
        raise Unsupported("a permutation that moves the batch")
    return ex.rearrange(
        x, ex.positions_of(x).transpose([sample_axis(axis, rank) for axis in axes[1:]])
    )


def _swap(operation: Any, x: Value) -> Value:
    axes = [sample_axis(axis, len(x.shape)) for axis in (operation.axis1, operation.axis2)]
    return ex.rearrange(x, np.swapaxes(ex.positions_of(x), *axes))


def _move_axis(operation: Any, x: Value) -> Value:
    rank = len(x.shape)
    source, target = (
        [sample_axis(axis, rank) for axis in np.atleast_1d(axes).tolist()]
        for axes in (operation.source, operation.destination)
    )
    return ex.rearrange(x, np.moveaxis(ex.positions_of(x), source, target))


def _split(operation: Any, x: Value) -> list[Value]:
    axis = sample_axis(operation.axis, len(x.shape))
    cuts = operation.indices_or_sections
    parts = np.split(ex.positions_of(x), cuts if isinstance(cuts, int) else list(cuts), axis)
    return [ex.rearrange(x, part) for part in parts]


def _flip(operation: Any, x: Value) -> Any:
    if operation.axis is None:
        raise Unsupported("an operation along the batch")
    axes = (sample_axis(axis, len(x.shape)) for axis in np.atleast_1d(operation.axis).tolist())
    return ex.rearrange(x, np.flip(ex.positions_of(x), tuple(axes)))


def _repeat(operation: Any, x: Value) -> Value:
    if operation.axis is None:
        raise Unsupported("an operation along the batch")
    axis = sample_axis(operation.axis, len(x.shape))
    return ex.rearrange(x, np.repeat(ex.positions_of(x), operation.repeats, axis))


def _tile(operation: Any, x: Value) -> Value:
    times = np.atleast_1d(operation.repeats).tolist()
    full = [1] * (len(x.shape) + 1 - len(times)) + times
    if len(full) != len(x.shape) + 1 or full[0] != 1:
        raise Unsupported("a repeat of the batch")
    return ex.rearrange(x, np.tile(ex.positions_of(x), full[1:]))


def _roll(operation: Any, x: Value) -> Value:
    if not isinstance(operation.axis, int) or not isinstance(operation.shift, int):
        raise Unsupported("a roll over several axes, or the batch")
    axis = sample_axis(operation.axis, len(x.shape))
    return ex.rearrange(x, np.roll(ex.positions_of(x), operation.shift, axis))


def _broadcast(operation: Any, x: Any) -> Value:
    return ex.broadcast(value_of(x), operation.shape[1:])


def _pad(operation: Any, x: Value, constant_values: Any = None) -> Value:
    widths = [tuple(width) for width in operation.pad_width]
    if operation.mode != "constant" or len(widths) != len(x.shape) + 1 or any(widths[0]):
        raise Unsupported("a padding of the batch, or with other than a constant")
    places = np.pad(ex.positions_of(x), widths[1:], constant_values=x.size)
    flat = ex.reshape(x, (x.size,))
    edge = ex.constant(np.full(1, float(constant_values or 0.0)))
    return ex.rearrange(ex.concatenate([flat, edge]), places)


def _get_item(operation: Any, x: Any, key: Any) -> Value:
    keys = key if isinstance(key, tuple) else (key,)
    if keys[0] is not Ellipsis and keys[0] != slice(None):
        raise Unsupported("an index of the batch")
    rest = keys if keys[0] is Ellipsis else keys[1:]
    if not all(isinstance(item, int | slice | type(Ellipsis) | type(None)) for item in rest):
        raise Unsupported("an index that is no number or slice")
    value = value_of(x)
    return ex.rearrange(value, ex.positions_of(value)[rest])


def _take(operation: Any, x: Any, index: Any) -> Any:
    if isinstance(index, Value):
        table = np.asarray(x)
        if isinstance(x, Value) or operation.axis not in (0, None):
            raise Unsupported("a lookup in what is not a constant table")
        rows = embedding(table.reshape(len(table), -1), to_integers(index))
        return ex.reshape(rows, (*index.shape, *table.shape[1:]))
    if operation.axis is None:
        raise Unsupported("an operation along the batch")
    axis = sample_axis(operation.axis, len(x.shape))
    return ex.rearrange(x, np.take(ex.positions_of(x), np.asarray(index), axis))


def _one_hot(operation: Any, x: Value) -> Value:
    rows = one_hot(to_integers(x), operation.num_classes, refuses_beyond())
    last = len(rows.shape) - 1
    axis = last if operation.axis == -1 else sample_axis(operation.axis, last + 1)
    return ex.rearrange(rows, np.moveaxis(ex.positions_of(rows), -1, axis))


def _multi_hot(operation: Any, x: Value) -> Value:
    if operation.axis != -1:
        raise Unsupported(f"axis={operation.axis}")
    return multi_hot(x, operation.num_classes)


def multi_hot(x: Value, count: int) -> Value:
    """Return 1 at each place that a number of the first axis names, else 0."""
    if not x.shape:
        raise Unsupported("an operation along the batch")
    rows = one_hot(to_integers(x), count, refuses_beyond())
    return fn.largest_over(rows, [0])


def refuses_beyond() -> bool:
    """Whether the backend refuses to encode a number that is too large: others make zeros."""
    import keras

    return str(keras.backend.backend()) == "torch"


def _digitize(operation: Any, x: Any, bins: Any) -> Value:
    return digitized(value_of(x), np.asarray(bins))


def _filled(fill: float | None) -> Handler:
    def handler(operation: Any, x: Value, number: Any = None) -> Value:
        return ex.constant(np.full(x.shape, float(number) if fill is None else fill))

    return handler


def _unstack(operation: Any, x: Value) -> list[Value]:
    axis = sample_axis(operation.axis, len(x.shape))
    places = np.moveaxis(ex.positions_of(x), axis, 0)
    return [ex.rearrange(x, part) for part in places]


SHAPES: dict[str, Handler] = {
    **dict.fromkeys(("Copy", "StopGradient", "Identity"), _identity),
    "Concatenate": _joined,
    "Stack": _stacked,
    "ExpandDims": _expand,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Swapaxes": _swap,
    "Moveaxis": _move_axis,
    "Split": _split,
    "Unstack": _unstack,
    "Flip": _flip,
    "Repeat": _repeat,
    "Tile": _tile,
    "Roll": _roll,
    "BroadcastTo": _broadcast,
    "Pad": _pad,
    "GetItem": _get_item,
    "Take": _take,
    "OneHot": _one_hot,
    "MultiHot": _multi_hot,
    "Digitize": _digitize,
    "ZerosLike": _filled(0.0),
    "OnesLike": _filled(1.0),
    "FullLike": _filled(None),
}
