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
from instmodel.importers.keys import clipped
from instmodel.importers.operands import (
    Operand,
    array_of,
    operand,
    sample_axis,
    together,
    value_of,
)
from instmodel.importers.products import einsum, matmul
from instmodel.importers.torch_choices import is_boolean, numbers_of

Array = NDArray[Any]


# ---------------------------------------------------------------------------------------- products


def _linear(x: Any, weight: Any, bias: Any = None) -> Value:
    return ex.dense(value_of(x), array_of(weight), None if bias is None else array_of(bias))


def _addmm(bias: Any, x: Any, weight: Any, beta: float = 1, alpha: float = 1) -> Value:
    product = ex.dense(value_of(x), alpha * array_of(weight).T)
    return ex.add(product, ex.constant(beta * array_of(bias)))


def _matmul(x: Any, weight: Any) -> Value:
    return matmul(operand(x), operand(weight))


def _baddbmm(bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    product = ex.multiply(_matmul(a, b), ex.constant(alpha))
    one, other = together([product, operand(bias)])
    return ex.add(one, ex.multiply(other, ex.constant(beta)))


def _attention(
    query: Any, key: Any, value: Any, mask: Any = None, dropout: float = 0.0,
    causal: bool = False, *, scale: float | None = None, **unused: Any,
) -> Value:  # fmt: skip
    if mask is not None or causal or dropout:
        raise Unsupported("an attention with a mask or a dropout")
    q, k = value_of(query), value_of(key)
    factor = 1.0 / math.sqrt(q.shape[-1]) if scale is None else scale
    turned = ex.rearrange(k, np.swapaxes(ex.positions_of(k), -1, -2))
    scores = ex.multiply(matmul(q, turned), ex.constant(factor))
    return matmul(ex.softmax(scores), value_of(value))


def _layer_norm(
    x: Any, sizes: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn: bool = True,
) -> Value:  # fmt: skip
    normed = fn.standardized(value_of(x), range(-len(sizes), 0), eps)
    return _scaled(normed, weight, bias)


def _rms_norm(x: Any, sizes: Sequence[int], weight: Any = None, eps: float | None = None) -> Value:
    small = float(np.finfo(np.float32).eps) if eps is None else eps
    return _scaled(fn.divided_by_root(value_of(x), range(-len(sizes), 0), small), weight, None)


def _group_norm(
    x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn: bool = True,
) -> Value:  # fmt: skip
    value = value_of(x)
    normed = fn.standardized(ex.reshape(value, (groups, -1)), [1], eps)
    wide = (value.shape[0],) + (1,) * (len(value.shape) - 1)  # channels come first
    parts = [None if part is None else array_of(part).reshape(wide) for part in (weight, bias)]
    return _scaled(ex.reshape(normed, value.shape), *parts)


def _scaled(x: Value, weight: Any, bias: Any) -> Value:
    scaled = x if weight is None else ex.multiply(x, ex.constant(array_of(weight)))
    return scaled if bias is None else ex.add(scaled, ex.constant(array_of(bias)))


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float,
    eps: float, cudnn: bool = False,
) -> Value:  # fmt: skip
    if training or mean is None:
        raise Unsupported("a batch norm that depends on the batch")
    value = value_of(x)
    factor = 1.0 / np.sqrt(np.asarray(array_of(variance), np.float64) + eps)
    factor = factor if weight is None else factor * array_of(weight)
    shift = -array_of(mean) * factor + (0.0 if bias is None else array_of(bias))
    wide = (len(factor),) + (1,) * (len(value.shape) - 1)  # channels come first
    scaled = ex.multiply(value, ex.constant(factor.reshape(wide)))
    return ex.add(scaled, ex.constant(shift.reshape(wide)))


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
        operands = [operand(a), operand(b)]
        if is_boolean(operands[0]) != is_boolean(operands[1]):  # of two, PyTorch has another sum
            operands = [numbers_of(item) for item in operands]
        one, other = together(operands)
        return function(one, other if alpha == 1 else ex.multiply(other, ex.constant(alpha)))

    return handler


def _reversed_subtract(a: Any, b: Any, alpha: float = 1) -> Value:
    one, other = together([operand(a), operand(b)])
    return ex.subtract(other, ex.multiply(one, ex.constant(alpha)))


def _power(x: Any, exponent: Any) -> Value:
    value = value_of(x)
    if exponent == 0.5:
        return fn.sqrt(value)
    if exponent not in (1, 2, 3, 4):
        raise Unsupported(f"the exponent {exponent}")
    result = value
    for _ in range(int(exponent) - 1):
        result = ex.multiply(result, value)
    return result


def _addcmul(x: Any, a: Any, b: Any, *, value: float = 1) -> Value:
    base, one, other = together([operand(x), operand(a), operand(b)])
    return ex.add(base, ex.multiply(ex.multiply(one, other), ex.constant(value)))


def _activation(name: str) -> Callable[..., Value]:
    return lambda x: ex.activation(value_of(x), name)


def _softmax(x: Any, dim: int, *unused: Any) -> Value:
    value = value_of(x)
    return ex.softmax(value, sample_axis(dim, len(value.shape)))


def _log_softmax(x: Any, dim: int, *unused: Any) -> Value:
    value = value_of(x)
    axis = sample_axis(dim, len(value.shape))
    return ex.subtract(value, fn.log_sum_exp(value, axis))


def _gelu(x: Any, *, approximate: str = "none") -> Value:
    value = value_of(x)
    return ex.activation(value, "GELU") if approximate == "none" else fn.gelu_tanh(value)


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Value:
    value = value_of(x)
    below = ex.activation(ex.multiply(ex.clip(value, None, 0.0), ex.constant(input_scale)), "EXP")
    below = ex.multiply(ex.add(below, ex.constant(-1.0)), ex.constant(alpha))
    return ex.multiply(ex.add(ex.activation(value, "RELU"), below), ex.constant(scale))


def _selu(x: Any) -> Value:
    return _elu(x, fn.SELU_ALPHA, fn.SELU_GAMMA)


def _prelu(x: Any, weight: Any) -> Value:
    value, slope = value_of(x), array_of(weight)
    wide = (len(slope),) + (1,) * (len(value.shape) - 1)
    return fn.leaky_relu(value, slope.reshape(wide))


def _glu(x: Any, dim: int = -1) -> Value:
    value = value_of(x)
    axis = sample_axis(dim, len(value.shape))
    first, second = np.split(ex.positions_of(value), 2, axis)
    gate = ex.activation(ex.rearrange(value, second), "SIGMOID")
    return ex.multiply(ex.rearrange(value, first), gate)


def _clamp(x: Any, min: Any = None, max: Any = None) -> Value:
    return clipped(value_of(x), min, max)


# ---------------------------------------------------------------------------------- over some axes


def _reduce(function: Callable[..., Value]) -> Callable[..., Value]:
    def handler(x: Any, dim: Any = None, keepdim: bool = False, **unused: Any) -> Value:
        value = value_of(x)
        if dim is None:
            raise Unsupported("a sum over the batch")
        axes = [sample_axis(d, len(value.shape)) for d in np.atleast_1d(dim).tolist()]
        return function(value, axes, keepdim)

    return handler


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Value:
    # From the threshold on, PyTorch gives x itself; above 12 that makes no difference.
    if threshold < 12:
        raise Unsupported(f"threshold={threshold:g}")
    return fn.softplus(value_of(x), beta)


OPERATORS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "addmm": _addmm,
    "mm": _matmul,
    "matmul": _matmul,
    **dict.fromkeys(("mv", "bmm"), _matmul),
    "baddbmm": _baddbmm,
    "einsum": lambda equation, parts, **unused: einsum(equation, [operand(x) for x in parts]),
    "scaled_dot_product_attention": _attention,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "batch_norm": _batch_norm,
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout"), _dropout),
    "add": _binary(ex.add, np.add),
    "sub": _binary(ex.subtract, np.subtract),
    "mul": _binary(ex.multiply, np.multiply),
    "div": _binary(ex.divide, np.divide),
    "rsub": _reversed_subtract,
    "neg": lambda x: ex.multiply(value_of(x), ex.constant(-1.0)),
    "abs": lambda x: fn.magnitude(value_of(x)),
    "pow": _power,
    "square": lambda x: ex.multiply(value_of(x), value_of(x)),
    "addcmul": _addcmul,
    "expm1": lambda x: ex.add(ex.activation(value_of(x), "EXP"), ex.constant(-1.0)),
    "log": lambda x: fn.log(value_of(x)),
    "rsqrt": lambda x: fn.inverse_root(value_of(x)),
    "log_softmax": _log_softmax,
    "_log_softmax": _log_softmax,
    "relu": _activation("RELU"),
    "sigmoid": _activation("SIGMOID"),
    "tanh": _activation("TANH"),
    "sign": _activation("SIGN"),
    "exp": _activation("EXP"),
    "softmax": _softmax,
    "_softmax": _softmax,
    "gelu": _gelu,
    "softplus": _softplus,
    "silu": lambda x: fn.silu(value_of(x)),
    "mish": lambda x: fn.mish(value_of(x)),
    "log_sigmoid": lambda x: fn.log_sigmoid(value_of(x)),
    "log1p": lambda x: fn.log1p(value_of(x)),
    "sqrt": lambda x: fn.sqrt(value_of(x)),
    "elu": _elu,
    "celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha),
    "selu": _selu,
    "leaky_relu": lambda x, slope=0.01: fn.leaky_relu(value_of(x), slope),
    "prelu": _prelu,
    "glu": _glu,
    "hardtanh": lambda x, low=-1.0, high=1.0: _clamp(x, low, high),
    "relu6": lambda x: _clamp(x, 0.0, 6.0),
    "hardsigmoid": lambda x: fn.hard_sigmoid(value_of(x), 1 / 6, 0.5),
    "hardswish": lambda x: ex.multiply(value_of(x), fn.hard_sigmoid(value_of(x), 1 / 6, 0.5)),
    "clamp": _clamp,
    "clamp_min": lambda x, low: _clamp(x, low, None),
    "clamp_max": lambda x, high: _clamp(x, None, high),
    "sum": _reduce(ex.reduce_sum),
    "mean": _reduce(ex.reduce_mean),
}
