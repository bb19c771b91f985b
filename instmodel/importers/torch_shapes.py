"""ATen operators that move numbers, make constants or look numbers up, as expressions.

A handler has the parameters of its operator: operands for tensors, else what the program says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keys import embedding
from instmodel.importers.operands import (
    BATCH,
    Operand,
    aligned,
    array_of,
    sample_axis,
    value_of,
)


def _embedding(table: Any, keys: Any, *unused: Any) -> Value:
    return embedding(array_of(table), value_of(keys))


def _identity(x: Any, *unused: Any, **ignored: Any) -> Any:
    return x


def _cat(parts: Sequence[Any], dim: int = 0) -> Value:
    rank = max(len(part.shape) for part in parts if isinstance(part, Value))
    values = [part if isinstance(part, Value) else aligned(array_of(part), rank) for part in parts]
    return ex.concatenate(values, sample_axis(dim, rank))


def _stack(parts: Sequence[Any], dim: int = 0) -> Value:
    return _cat([_unsqueeze(part, dim) for part in parts], dim)


def _slice(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Value:
    value = value_of(x)
    if dim == 0 and start in (None, 0) and (end is None or end == BATCH or end >= 2**31):
        return value
    axis = sample_axis(dim, len(value.shape))
    cuts = [slice(None)] * len(value.shape)
    cuts[axis] = slice(start, end, step)
    return ex.rearrange(value, ex.positions_of(value)[tuple(cuts)])


def _pick(x: Any, dim: int, index: Any) -> Operand:
    if not isinstance(x, Value):
        return np.take(array_of(x), array_of(index), dim)
    axis = sample_axis(dim, len(x.shape))
    return ex.rearrange(x, np.take(ex.positions_of(x), array_of(index), axis))


def _index(x: Any, indexes: Sequence[Any]) -> Value:
    axes = [axis for axis, index in enumerate(indexes) if index is not None]
    if not isinstance(x, Value):
        if axes != [0]:
            raise Unsupported("a lookup along another axis than the first of a table")
        return _embedding(x, indexes[0])
    if axes[0] == 0:
        raise Unsupported("an operation along the batch")
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise Unsupported("an index of several axes that are not side by side")
    cuts = [slice(None) if index is None else array_of(index) for index in indexes[1:]]
    return ex.rearrange(x, ex.positions_of(x)[tuple(cuts)])


def _column_stack(parts: Sequence[Any]) -> Value:
    return _cat([_unsqueeze(x, 1) if _rank(x) == 1 else x for x in parts], 1)


def _rank(x: Any) -> int:
    return len(x.shape) + isinstance(x, Value)


def _flip(x: Any, dims: Sequence[int]) -> Value:
    value = value_of(x)
    axes = tuple(sample_axis(dim, len(value.shape)) for dim in dims)
    return ex.rearrange(value, np.flip(ex.positions_of(value), axes))


def _repeat(x: Any, times: Sequence[int]) -> Value:
    value = value_of(x)
    if len(times) <= len(value.shape):
        raise Unsupported("a repeat that leaves the batch out")
    new = len(times) - len(value.shape) - 1
    if isinstance(x, Value) and (times[0] != 1 or new):
        raise Unsupported("a repeat of the batch")
    return ex.rearrange(value, np.tile(ex.positions_of(value), times[1:]))


def _full(sizes: Sequence[Any], fill: Any = 0.0) -> Value:
    """Return a constant whose first axis is the batch."""
    if not sizes or sizes[0] != BATCH:
        raise Unsupported("a constant in the place of a batch")
    return ex.constant(np.full(sizes[1:], fill, np.float64))


def _flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Value:
    value = value_of(x)
    rank = len(value.shape)
    first, last = sample_axis(start_dim, rank), sample_axis(end_dim, rank)
    joined = math.prod(value.shape[first : last + 1])
    return ex.reshape(value, (*value.shape[:first], joined, *value.shape[last + 1 :]))


def _view(x: Any, shape: Sequence[Any]) -> Operand:
    if not isinstance(x, Value):
        return array_of(x).reshape(shape)
    return ex.reshape(x, shape[1:])


def _unsqueeze(x: Any, dim: int) -> Operand:
    if not isinstance(x, Value):
        return np.expand_dims(array_of(x), dim)
    axis = sample_axis(dim, len(x.shape) + 1)
    return ex.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def _squeeze(x: Any, dim: Any) -> Value:
    value = value_of(x)
    axes = {sample_axis(d, len(value.shape)) for d in np.atleast_1d(dim).tolist()}
    kept = [size for i, size in enumerate(value.shape) if i not in axes or size != 1]
    return ex.reshape(value, kept)


def _permute(x: Any, dims: Sequence[int]) -> Operand:
    if not isinstance(x, Value):
        return array_of(x).transpose(dims)
    order = [dim % len(dims) for dim in dims]
    if order[0] != 0:
        raise Unsupported("a permutation that moves the batch")
    return ex.rearrange(x, ex.positions_of(x).transpose([axis - 1 for axis in order[1:]]))


def _transpose(x: Any, first: int = 0, second: int = 1) -> Operand:
    rank = x.ndim if isinstance(x, np.ndarray) else len(x.shape) + 1
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return _permute(x, order)


def _expand(x: Any, sizes: Sequence[int], **unused: Any) -> Value:
    value = value_of(x)
    wanted = sizes[len(sizes) - len(value.shape) :]
    shape = [old if size == -1 else size for old, size in zip(value.shape, wanted, strict=True)]
    return ex.broadcast(value, shape)


def _split(x: Any, sizes: Any, dim: int = 0) -> list[Value]:
    value = value_of(x)
    axis = sample_axis(dim, len(value.shape))
    length = value.shape[axis]
    edges = range(sizes, length, sizes) if isinstance(sizes, int) else np.cumsum(sizes)[:-1]
    parts = np.split(ex.positions_of(value), edges, axis)
    return [ex.rearrange(value, part) for part in parts]


def _chunk(x: Any, chunks: int, dim: int = 0) -> list[Value]:
    value = value_of(x)
    length = value.shape[sample_axis(dim, len(value.shape))]
    return _split(value, -(-length // chunks), dim)


def _unbind(x: Any, dim: int = 0) -> list[Operand]:
    value = value_of(x)
    return [_pick(value, dim, i) for i in range(value.shape[sample_axis(dim, len(value.shape))])]


SHAPE_OPERATORS: dict[str, Callable[..., Any]] = {
    "column_stack": _column_stack,
    "flip": _flip,
    "repeat": _repeat,
    "new_zeros": lambda x, sizes, **unused: _full(sizes),
    "new_ones": lambda x, sizes, **unused: _full(sizes, 1.0),
    "new_full": lambda x, sizes, fill, **unused: _full(sizes, fill),
    "zeros": lambda sizes, **unused: _full(sizes),
    "ones": lambda sizes, **unused: _full(sizes, 1.0),
    "full": lambda sizes, fill, **unused: _full(sizes, fill),
    "zeros_like": lambda x, **unused: ex.constant(np.zeros(x.shape)),
    "ones_like": lambda x, **unused: ex.constant(np.ones(x.shape)),
    "cat": _cat,
    "stack": _stack,
    "slice": _slice,
    "select": _pick,
    "index_select": _pick,
    "index": _index,
    "flatten": _flatten,
    "view": _view,
    "reshape": _view,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "permute": _permute,
    "transpose": _transpose,
    "t": _transpose,
    "numpy_T": _transpose,
    "expand": _expand,
    "split": _split,
    "split_with_sizes": _split,
    "chunk": _chunk,
    "unbind": _unbind,
    **dict.fromkeys(
        ("contiguous", "clone", "detach", "detach_", "alias", "lift_fresh_copy"), _identity
    ),
    "embedding": _embedding,
}
