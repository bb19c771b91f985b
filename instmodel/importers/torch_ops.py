"""What the ATen operators of an exported PyTorch program do, as expressions.

A handler has the parameters of its operator: operands for tensors, else what the program says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keys import clipped, embedding, to_integers
from instmodel.importers.operands import (
    BATCH,
    Operand,
    aligned,
    one_row,
    sample_axis,
    together,
)
from instmodel.importers.patterns import is_opaque

Array = NDArray[Any]


def _value(x: Any) -> Value:
    return x if isinstance(x, Value) else one_row(np.asarray(x))


def _array(x: Any) -> Array:
    if isinstance(x, Value):
        raise Unsupported("a tensor that is not constant, in the place of weights")
    return np.asarray(x)


# ---------------------------------------------------------------------------------------- products


def _linear(x: Any, weight: Any, bias: Any = None) -> Value:
    return ex.dense(_value(x), _array(weight), None if bias is None else _array(bias))


def _addmm(bias: Any, x: Any, weight: Any, beta: float = 1, alpha: float = 1) -> Value:
    product = ex.dense(_value(x), alpha * _array(weight).T)
    return ex.add(product, ex.constant(beta * _array(bias)))


def _matmul(x: Any, weight: Any) -> Value:
    value, matrix = _value(x), _array(weight)
    if matrix.ndim == 1:
        return ex.reshape(ex.dense(value, matrix[None]), value.shape[:-1])
    if matrix.ndim != 2:
        raise Unsupported(f"a product with a constant of shape {matrix.shape}")
    return ex.dense(value, matrix.T)


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float,
    eps: float, cudnn: bool = False,
) -> Value:  # fmt: skip
    if training or mean is None:
        raise Unsupported("a batch norm that depends on the batch")
    value = _value(x)
    factor = 1.0 / np.sqrt(np.asarray(_array(variance), np.float64) + eps)
    factor = factor if weight is None else factor * _array(weight)
    shift = -_array(mean) * factor + (0.0 if bias is None else _array(bias))
    wide = (len(factor),) + (1,) * (len(value.shape) - 1)  # channels come first
    scaled = ex.multiply(value, ex.constant(factor.reshape(wide)))
    return ex.add(scaled, ex.constant(shift.reshape(wide)))


def _embedding(table: Any, keys: Any, *unused: Any) -> Value:
    return embedding(_array(table), _value(keys))


def _dropout(x: Any, p: float, train: bool) -> Any:
    if train:
        raise Unsupported("a dropout in training mode")
    return x


# ----------------------------------------------------------------------------- element by element


def _binary(function: Callable[[Value, Value], Value], on_arrays: Any) -> Callable[..., Operand]:
    def handler(a: Any, b: Any, *, alpha: float = 1, rounding_mode: Any = None) -> Operand:
        if rounding_mode is not None:
            raise Unsupported(f"rounding_mode={rounding_mode!r}")
        if not isinstance(a, Value) and not isinstance(b, Value):
            return np.asarray(on_arrays(np.asarray(a), alpha * np.asarray(b)))
        one, other = together([_operand(a), _operand(b)])
        return function(one, other if alpha == 1 else ex.multiply(other, ex.constant(alpha)))

    return handler


def _operand(x: Any) -> Operand:
    return x if isinstance(x, Value) else np.asarray(x)


def _reversed_subtract(a: Any, b: Any, alpha: float = 1) -> Value:
    one, other = together([_operand(a), _operand(b)])
    return ex.subtract(other, ex.multiply(one, ex.constant(alpha)))


def _power(x: Any, exponent: Any) -> Value:
    value = _value(x)
    if exponent == 0.5:
        return fn.sqrt(value)
    if exponent not in (1, 2, 3, 4):
        raise Unsupported(f"the exponent {exponent}")
    result = value
    for _ in range(int(exponent) - 1):
        result = ex.multiply(result, value)
    return result


def _activation(name: str) -> Callable[..., Value]:
    return lambda x: ex.activation(_value(x), name)


def _softmax(x: Any, dim: int, *unused: Any) -> Value:
    value = _value(x)
    return ex.softmax(value, sample_axis(dim, len(value.shape)))


def _gelu(x: Any, *, approximate: str = "none") -> Value:
    value = _value(x)
    return ex.activation(value, "GELU") if approximate == "none" else fn.gelu_tanh(value)


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Value:
    value = _value(x)
    below = ex.activation(ex.multiply(ex.clip(value, None, 0.0), ex.constant(input_scale)), "EXP")
    below = ex.multiply(ex.add(below, ex.constant(-1.0)), ex.constant(alpha))
    return ex.multiply(ex.add(ex.activation(value, "RELU"), below), ex.constant(scale))


def _selu(x: Any) -> Value:
    return _elu(x, fn.SELU_ALPHA, fn.SELU_GAMMA)


def _prelu(x: Any, weight: Any) -> Value:
    value, slope = _value(x), _array(weight)
    wide = (len(slope),) + (1,) * (len(value.shape) - 1)
    return fn.leaky_relu(value, slope.reshape(wide))


def _glu(x: Any, dim: int = -1) -> Value:
    value = _value(x)
    axis = sample_axis(dim, len(value.shape))
    first, second = np.split(ex.positions_of(value), 2, axis)
    gate = ex.activation(ex.rearrange(value, second), "SIGMOID")
    return ex.multiply(ex.rearrange(value, first), gate)


def _clamp(x: Any, min: Any = None, max: Any = None) -> Value:
    return clipped(_value(x), min, max)


def _greater(a: Any, b: Any) -> Value:
    one, other = together([_operand(a), _operand(b)])
    return ex.opaque(one.shape, [ex.subtract(one, other)], "a comparison", "positive")


def _to(x: Any, *arguments: Any, dtype: Any = None, **unused: Any) -> Operand:
    wanted = dtype or next((a for a in arguments if hasattr(a, "is_floating_point")), None)
    if not isinstance(x, Value):
        return np.asarray(x)
    if wanted is None:
        return x
    name = str(wanted).removeprefix("torch.")
    if is_opaque(x, "positive") and name != "bool":
        return fn.positive(ex.reshape(x.inputs[0], x.shape))
    if name in ("int32", "int64"):
        return to_integers(x)
    if name not in ("float32", "float64"):
        raise Unsupported(f"a conversion to {wanted}")
    return x


# ------------------------------------------------------------------------------- moving numbers


def _identity(x: Any, *unused: Any, **ignored: Any) -> Any:
    return x


def _cat(parts: Sequence[Any], dim: int = 0) -> Value:
    rank = max(len(part.shape) for part in parts if isinstance(part, Value))
    values = [part if isinstance(part, Value) else aligned(_array(part), rank) for part in parts]
    return ex.concatenate(values, sample_axis(dim, rank))


def _stack(parts: Sequence[Any], dim: int = 0) -> Value:
    return _cat([_unsqueeze(part, dim) for part in parts], dim)


def _slice(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Value:
    value = _value(x)
    if dim == 0 and start in (None, 0) and (end is None or end == BATCH or end >= 2**31):
        return value
    axis = sample_axis(dim, len(value.shape))
    cuts = [slice(None)] * len(value.shape)
    cuts[axis] = slice(start, end, step)
    return ex.rearrange(value, ex.positions_of(value)[tuple(cuts)])


def _pick(x: Any, dim: int, index: Any) -> Operand:
    if not isinstance(x, Value):
        return np.take(_array(x), _array(index), dim)
    axis = sample_axis(dim, len(x.shape))
    return ex.rearrange(x, np.take(ex.positions_of(x), _array(index), axis))


def _index(x: Any, indexes: Sequence[Any]) -> Value:
    chosen = [(axis, index) for axis, index in enumerate(indexes) if index is not None]
    if len(chosen) != 1:
        raise Unsupported("an index of several axes")
    if not isinstance(x, Value) and isinstance(chosen[0][1], Value):
        return _embedding(x, chosen[0][1])
    return _value(_pick(x, *chosen[0]))


def _flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Value:
    value = _value(x)
    rank = len(value.shape)
    first, last = sample_axis(start_dim, rank), sample_axis(end_dim, rank)
    joined = math.prod(value.shape[first : last + 1])
    return ex.reshape(value, (*value.shape[:first], joined, *value.shape[last + 1 :]))


def _view(x: Any, shape: Sequence[Any]) -> Operand:
    if not isinstance(x, Value):
        return _array(x).reshape(shape)
    return ex.reshape(x, shape[1:])


def _unsqueeze(x: Any, dim: int) -> Operand:
    if not isinstance(x, Value):
        return np.expand_dims(_array(x), dim)
    axis = sample_axis(dim, len(x.shape) + 1)
    return ex.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def _squeeze(x: Any, dim: Any) -> Value:
    value = _value(x)
    axes = {sample_axis(d, len(value.shape)) for d in np.atleast_1d(dim).tolist()}
    kept = [size for i, size in enumerate(value.shape) if i not in axes or size != 1]
    return ex.reshape(value, kept)


def _permute(x: Any, dims: Sequence[int]) -> Operand:
    if not isinstance(x, Value):
        return _array(x).transpose(dims)
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
    value = _value(x)
    wanted = sizes[len(sizes) - len(value.shape) :]
    shape = [old if size == -1 else size for old, size in zip(value.shape, wanted, strict=True)]
    return ex.broadcast(value, shape)


def _split(x: Any, sizes: Any, dim: int = 0) -> list[Value]:
    value = _value(x)
    axis = sample_axis(dim, len(value.shape))
    length = value.shape[axis]
    edges = range(sizes, length, sizes) if isinstance(sizes, int) else np.cumsum(sizes)[:-1]
    parts = np.split(ex.positions_of(value), edges, axis)
    return [ex.rearrange(value, part) for part in parts]


def _chunk(x: Any, chunks: int, dim: int = 0) -> list[Value]:
    value = _value(x)
    length = value.shape[sample_axis(dim, len(value.shape))]
    return _split(value, -(-length // chunks), dim)


def _unbind(x: Any, dim: int = 0) -> list[Operand]:
    value = _value(x)
    return [_pick(value, dim, i) for i in range(value.shape[sample_axis(dim, len(value.shape))])]


def _reduce(function: Callable[..., Value]) -> Callable[..., Value]:
    def handler(x: Any, dim: Any = None, keepdim: bool = False, **unused: Any) -> Value:
        value = _value(x)
        if dim is None:
            raise Unsupported("a sum over the batch")
        axes = [sample_axis(d, len(value.shape)) for d in np.atleast_1d(dim).tolist()]
        return function(value, axes, keepdim)

    return handler


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Value:
    # From the threshold on, PyTorch gives x itself; above 12 that makes no difference.
    if threshold < 12:
        raise Unsupported(f"threshold={threshold:g}")
    return fn.softplus(_value(x), beta)


OPERATORS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "addmm": _addmm,
    "mm": _matmul,
    "matmul": _matmul,
    "mv": _matmul,
    "batch_norm": _batch_norm,
    "embedding": _embedding,
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout"), _dropout),
    "add": _binary(ex.add, np.add),
    "sub": _binary(ex.subtract, np.subtract),
    "mul": _binary(ex.multiply, np.multiply),
    "div": _binary(ex.divide, np.divide),
    "rsub": _reversed_subtract,
    "neg": lambda x: ex.multiply(_value(x), ex.constant(-1.0)),
    "abs": lambda x: fn.magnitude(_value(x)),
    "pow": _power,
    "relu": _activation("RELU"),
    "sigmoid": _activation("SIGMOID"),
    "tanh": _activation("TANH"),
    "sign": _activation("SIGN"),
    "exp": _activation("EXP"),
    "softmax": _softmax,
    "_softmax": _softmax,
    "gelu": _gelu,
    "softplus": _softplus,
    "silu": lambda x: fn.silu(_value(x)),
    "mish": lambda x: fn.mish(_value(x)),
    "log_sigmoid": lambda x: fn.log_sigmoid(_value(x)),
    "log1p": lambda x: fn.log1p(_value(x)),
    "sqrt": lambda x: fn.sqrt(_value(x)),
    "elu": _elu,
    "celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha),
    "selu": _selu,
    "leaky_relu": lambda x, slope=0.01: fn.leaky_relu(_value(x), slope),
    "prelu": _prelu,
    "glu": _glu,
    "hardtanh": lambda x, low=-1.0, high=1.0: _clamp(x, low, high),
    "relu6": lambda x: _clamp(x, 0.0, 6.0),
    "hardsigmoid": lambda x: fn.hard_sigmoid(_value(x), 1 / 6, 0.5),
    "hardswish": lambda x: ex.multiply(_value(x), fn.hard_sigmoid(_value(x), 1 / 6, 0.5)),
    "clamp": _clamp,
    "clamp_min": lambda x, low: _clamp(x, low, None),
    "clamp_max": lambda x, high: _clamp(x, None, high),
    "gt": _greater,
    "lt": lambda a, b: _greater(b, a),
    "to": _to,
    "_to_copy": _to,
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
    "sum": _reduce(ex.reduce_sum),
    "mean": _reduce(ex.reduce_mean),
    **dict.fromkeys(
        ("contiguous", "clone", "detach", "detach_", "alias", "lift_fresh_copy"), _identity
    ),
}
