"""Products of `keras.ops`, and what looks at several steps at once, as expressions.

A handler takes the operation and what it is called with; see `keras_ops`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.masks import masked, softmax
from instmodel.importers.operands import aligned, operand, sample_axis, together, value_of
from instmodel.importers.products import einsum, matmul

Handler = Callable[..., Any]


def _matmul(operation: Any, a: Any, b: Any) -> Value:
    return matmul(operand(a), operand(b))


def _einsum(operation: Any, *operands: Any) -> Value:
    return _einsum_of(operation.subscripts, *operands)


def _einsum_of(equation: str, *operands: Any) -> Value:
    """Return Einstein's sum; an ellipsis stands for the axes before the others."""
    parts = [operand(x) for x in operands]
    if "..." in equation:
        used = set(equation)
        free = [chr(c) for c in range(ord("A"), ord("Z") + 1) if chr(c) not in used]
        inputs = equation.replace(" ", "").split("->")[0].split(",")
        counts = {
            len(x.shape) + isinstance(x, Value) - len(part.replace("...", ""))
            for part, x in zip(inputs, parts, strict=True)
            if "..." in part
        }
        if len(counts) != 1:
            raise Unsupported(f"the einsum {equation!r}")
        equation = equation.replace("...", "".join(free[: counts.pop()]))
    if len(parts) == 1 and isinstance(parts[0], Value):
        return _einsum_of_one(equation, parts[0])
    return einsum(equation, parts)


def _einsum_of_one(equation: str, x: Value) -> Value:
    """Return a sum over some axes, and the others in another order."""
    letters, _, result = equation.replace(" ", "").partition("->")
    if len(set(letters)) < len(letters) or result[:1] != letters[0]:
        raise Unsupported(f"the einsum {equation!r}")
    own = letters[1:]
    summed = [i for i, letter in enumerate(own) if letter not in result]
    rest = [letter for letter in own if letter in result]
    done = ex.reduce_sum(x, summed) if summed else x
    order = [rest.index(letter) for letter in result[1:]]
    return ex.rearrange(done, ex.positions_of(done).transpose(order))


def _tensordot(operation: Any, a: Any, b: Any) -> Value:
    x, table, axes = value_of(a), np.asarray(b), operation.axes
    if isinstance(axes, int):
        axes = [range(-axes, 0), range(axes)]
    summed = [sample_axis(int(axis), len(x.shape)) for axis in np.atleast_1d(axes[0])]
    other = [int(axis) % table.ndim for axis in np.atleast_1d(axes[1])]
    if isinstance(b, Value) or len(summed) != len(other):
        raise Unsupported(f"axes={operation.axes!r} of two computed values")
    places = np.moveaxis(ex.positions_of(x), summed, range(-len(summed), 0))
    lead = places.shape[: places.ndim - len(summed)]
    rows = ex.rearrange(x, places.reshape(*lead, -1))
    turned = np.moveaxis(table, other, range(len(other)))
    done = ex.dense(rows, turned.reshape(rows.shape[-1], -1).T)
    return ex.reshape(done, (*lead, *turned.shape[len(other) :]))


def _dot(operation: Any, a: Any, b: Any) -> Value:
    if isinstance(b, Value) or np.ndim(b) > 2:
        raise Unsupported("a product of two computed tensors by ops.dot; use matmul or einsum")
    return matmul(operand(a), operand(b))


def _attention(
    operation: Any, query: Value, key: Value, value: Value, bias: Any = None, mask: Any = None,
    scale: float | None = None, **unused: Any,
) -> Value:  # fmt: skip
    """Compute the attention of heads (steps, heads, width), as they are before a transpose."""
    if isinstance(mask, Value) or operation.attn_logits_soft_cap is not None:
        raise Unsupported("an attention with a computed mask or a cap")
    query, key, value = (
        ex.rearrange(x, np.swapaxes(ex.positions_of(x), 0, 1)) for x in (query, key, value)
    )
    groups = query.shape[0] // key.shape[0]
    if groups > 1:
        key, value = (
            ex.rearrange(x, np.repeat(ex.positions_of(x), groups, 0)) for x in (key, value)
        )
    turned = ex.rearrange(key, np.swapaxes(ex.positions_of(key), -1, -2))
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    scores = ex.multiply(matmul(query, turned), ex.constant(factor))
    if bias is not None:
        scores = ex.add(*together([scores, operand(bias)]))
    hidden = np.zeros(scores.shape, bool)
    if operation.is_causal:
        hidden |= np.triu(np.ones(scores.shape[-2:], bool), 1)
    if mask is not None:
        hidden |= ~aligned(np.asarray(mask, bool), len(scores.shape)).data
    if hidden.any():
        scores = masked(scores, ex.constant(hidden))
    mixed = matmul(softmax(scores, len(scores.shape) - 1), value)
    return ex.rearrange(mixed, np.swapaxes(ex.positions_of(mixed), 0, 1))


def _windows(operation: Any, steps: int, size: int, stride: int) -> list[list[int]]:
    """Return the steps that each place of a pooling or convolution sees; -1 stands for padding."""
    if operation.data_format != "channels_last":
        raise Unsupported(f"data_format={operation.data_format!r}")
    apart = np.atleast_1d(getattr(operation, "dilation_rate", 1)).tolist()[0]
    reach = (size - 1) * apart + 1
    match operation.padding:
        case "valid":
            before, count = 0, (steps - reach) // stride + 1
        case "same":
            count = -(-steps // stride)
            before = max(0, (count - 1) * stride + reach - steps) // 2
        case "causal":
            before, count = reach - 1, (steps - 1) // stride + 1
        case other:
            raise Unsupported(f"padding={other!r}")
    starts = [place * stride - before for place in range(count)]
    seen = [[start + i * apart for i in range(size)] for start in starts]
    return [[step if 0 <= step < steps else -1 for step in window] for window in seen]


def _one_dimension(x: Value, *sizes: Any) -> list[int]:
    """Return the sizes of a pooling or convolution over steps."""
    given = [np.atleast_1d(size).tolist() for size in sizes]
    if len(x.shape) != 2 or any(len(size) != 1 for size in given):
        raise Unsupported("more than one axis of steps")
    return [size[0] for size in given]


def _pool(over: Callable[..., Value]) -> Handler:
    def handler(operation: Any, x: Value) -> Value:
        strides = operation.pool_size if operation.strides is None else operation.strides
        size, stride = _one_dimension(x, operation.pool_size, strides)
        rows, done = ex.positions_of(x), []
        for window in _windows(operation, x.shape[0], size, stride):
            seen = ex.rearrange(x, rows[[step for step in window if step >= 0]])
            done.append(over(seen, [0], True))
        return ex.concatenate(done)

    return handler


def _convolution(operation: Any, x: Value, kernel: Any) -> Value:
    weights = np.asarray(kernel, np.float64)
    (stride,) = _one_dimension(x, operation.strides)
    size, depth, filters = weights.shape
    if depth != x.shape[1]:
        raise Unsupported("a convolution in groups")
    padded = ex.concatenate([x, ex.constant(np.zeros((1, depth)))])
    windows = np.array(_windows(operation, x.shape[0], size, stride))
    seen = ex.rearrange(padded, ex.positions_of(padded)[windows].reshape(len(windows), -1))
    return ex.dense(seen, weights.reshape(size * depth, filters).T)


PRODUCTS: dict[str, Handler] = {
    "Matmul": _matmul,
    "Einsum": _einsum,
    "Tensordot": _tensordot,
    "Dot": _dot,
    "DotProductAttention": _attention,
    "Conv": _convolution,
    "MaxPool": _pool(fn.largest_over),
    "AveragePool": _pool(ex.reduce_mean),
}
