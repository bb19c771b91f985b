"""ATen operators over some axes, as expressions.

A handler has the parameters of its operator: operands for tensors, else what the program says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.torch_choices import converted, larger, numbers_of, smaller, truth_of
from instmodel.importers.torch_operands import axes_of, value_of


def _reduced(function: Callable[..., Value]) -> Callable[..., Value]:
    """Return the handler of a function of (value, axes, keep)."""

    def handler(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
        value = _of_type(x, dtype)
        return function(value, axes_of(dim, len(value.shape)), keepdim)

    return handler


def _of_type(x: Any, dtype: Any) -> Value:
    """Return the numbers of x as the type in which they are added: integers have no fractions."""
    return (
        numbers_of(value_of(x))
        if dtype is None
        else converted(x, str(dtype).removeprefix("torch."))
    )


def _extreme(make: Callable[[Value, list[int], bool], Value]) -> Callable[..., Any]:
    """Return the handler of a maximum: with an axis, of it and of its place."""

    def handler(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        value = value_of(x)
        if isinstance(dim, Value | np.ndarray):
            pair = larger if make is fn.largest_over else smaller
            return pair(value, value_of(dim))
        found = make(value, axes_of(dim, len(value.shape)), keepdim)
        if dim is None:
            return found
        return [found, _no_place(found)]

    return handler


def _no_place(x: Value) -> Value:
    return ex.opaque(x.shape, [x], "the place of an extreme number")


def _variance(
    x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, *, correction: Any = None
) -> Value:
    value = value_of(x)
    axes = axes_of(dim, len(value.shape))
    count = math.prod(value.shape[axis] for axis in axes)
    less = int(bool(unbiased)) if correction is None else correction
    if count <= less:
        raise Unsupported("a variance of too few numbers")
    centered = ex.subtract(value, ex.reduce_mean(value, axes, True))
    mean = ex.reduce_mean(ex.multiply(centered, centered), axes, keepdim)
    return ex.multiply(mean, ex.constant(count / (count - less)))


def _variance_and_mean(x: Any, dim: Any = None, *arguments: Any, **named: Any) -> list[Value]:
    keep = named.get("keepdim", False)
    return [_variance(x, dim, *arguments, **named), REDUCTIONS["mean"](x, dim, keep)]


def _deviation(x: Any, *arguments: Any, **named: Any) -> Value:
    return fn.sqrt(_variance(x, *arguments, **named))


def _cumulated(pair: Callable[[Value, Value], Value]) -> Callable[..., Value]:
    def handler(x: Any, dim: int, *, dtype: Any = None) -> Value:
        value = _of_type(x, dtype)
        places = np.moveaxis(ex.positions_of(value), dim, 0)
        ex.check_steps(len(places))
        rows = [ex.rearrange(value, row[None]) for row in places]
        for i in range(1, len(rows)):
            rows[i] = pair(rows[i - 1], rows[i])
        joined = ex.concatenate(rows)
        return ex.rearrange(joined, np.moveaxis(ex.positions_of(joined), 0, dim))

    return handler


def _norm(
    x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    value = value_of(x)
    return fn.norm(value, axes_of(dim, len(value.shape)), keepdim, ord)


def _distances(a: Any, b: Any, p: float = 2.0, *unused: Any) -> Value:
    """Return the distance of each row of a to each of b."""
    one, other = value_of(a), value_of(b)
    rows = ex.reshape(one, (*one.shape[:-1], 1, one.shape[-1]))
    columns = ex.reshape(other, (*other.shape[:-2], 1, *other.shape[-2:]))
    return _norm(ex.subtract(rows, columns), p, -1)


def _log_softmax(x: Any, dim: int, *unused: Any) -> Value:
    value = value_of(x)
    return ex.subtract(value, fn.log_sum_exp(value, dim % len(value.shape)))


def _log_sum_exp(x: Any, dim: Any, keepdim: bool = False) -> Value:
    value = value_of(x)
    (axis,) = axes_of(dim, len(value.shape))
    found = fn.log_sum_exp(value, axis)
    shape = [size for i, size in enumerate(value.shape) if i != axis]
    return found if keepdim else ex.reshape(found, shape)


def _log_add_exp(a: Any, b: Any) -> Value:
    one, other = value_of(a), value_of(b)
    return ex.add(one, ex.activation(ex.subtract(other, one), "SOFTPLUS"))


def _some(x: Any, dim: Any = None, keepdim: bool = False) -> Value:
    truth = numbers_of(converted(x, "bool"))
    count = ex.reduce_sum(truth, axes_of(dim, len(truth.shape)), keepdim)
    return truth_of(ex.activation(count, "SIGN"))


def _every(x: Any, dim: Any = None, keepdim: bool = False) -> Value:
    truth = ex.activation(numbers_of(converted(x, "bool")), "INVERSE")
    count = ex.reduce_sum(truth, axes_of(dim, len(truth.shape)), keepdim)
    return truth_of(ex.activation(ex.activation(count, "SIGN"), "INVERSE"))


# ------------------------------------------------------------------------------------------- pools


def _pooled(
    x: Any, windows: Sequence[slice], function: Callable[[Value, list[int], bool], Value]
) -> Value:
    """Return a function of each window of the last axis."""
    value = value_of(x)
    places = ex.positions_of(value)
    last = len(value.shape) - 1
    parts = [function(ex.rearrange(value, places[..., w]), [last], True) for w in windows]
    return ex.concatenate(parts, last)


def _windows(x: Any, width: Sequence[int], stride: Any, padding: Any, ceil: bool) -> list[slice]:
    step = (list(stride) or list(width))[0]
    if any(np.atleast_1d(padding)) or ceil:
        raise Unsupported("a pool with padding")
    return [slice(i, i + width[0]) for i in range(0, x.shape[-1] - width[0] + 1, step)]


def _adaptive(x: Any, sizes: Any) -> list[slice]:
    count, length = int(np.atleast_1d(sizes)[0]), x.shape[-1]
    return [slice(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _average_pool(
    x: Any, width: Any, stride: Any = (), padding: Any = (0,), ceil: bool = False, *unused: Any
) -> Value:
    return _pooled(x, _windows(x, width, stride, padding, ceil), ex.reduce_mean)


def _maximum_pool(
    x: Any, width: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,),
    ceil: bool = False,
) -> Value:  # fmt: skip
    if any(gap != 1 for gap in np.atleast_1d(dilation)):
        raise Unsupported("a pool with a dilation")
    return _pooled(x, _windows(x, width, stride, padding, ceil), fn.largest_over)


def _adaptive_maximum(x: Any, sizes: Any) -> list[Value]:
    found = _pooled(x, _adaptive(x, sizes), fn.largest_over)
    return [found, _no_place(found)]


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _reduced(ex.reduce_sum),
    "mean": _reduced(ex.reduce_mean),
    "amax": _reduced(fn.largest_over),
    "amin": _reduced(fn.smallest_over),
    "max": _extreme(fn.largest_over),
    "min": _extreme(fn.smallest_over),
    "prod": _reduced(fn.product_over),
    "var": _variance,
    "std": _deviation,
    "var_mean": _variance_and_mean,
    "cumsum": _cumulated(ex.add),
    "cumprod": _cumulated(ex.multiply),
    "linalg_vector_norm": _norm,
    "_cdist_forward": _distances,
    "log_softmax": _log_softmax,
    "_log_softmax": _log_softmax,
    "logsumexp": _log_sum_exp,
    "logaddexp": _log_add_exp,
    "any": _some,
    "all": _every,
    "avg_pool1d": _average_pool,
    "max_pool1d": _maximum_pool,
    "adaptive_max_pool1d": _adaptive_maximum,
    "adaptive_avg_pool1d": lambda x, sizes: _pooled(x, _adaptive(x, sizes), ex.reduce_mean),
}
