"""What the operators of ONNX's main domain do, as expressions.

A handler takes a `Node` and returns the operands of its outputs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import ROUNDED, Unsupported, Value
from instmodel.importers.keys import clipped, to_integers
from instmodel.importers.onnx_context import Node
from instmodel.importers.operands import Operand, checked_size, finite, together
from instmodel.importers.patterns import factor_of, is_opaque, summand_of
from instmodel.importers.products import einsum, matmul

Handler = Callable[[Node], Operand]


# ---------------------------------------------------------------------------------------- products


def _gemm(node: Node) -> Operand:
    x, weights = node.value(0), node.array(1)
    if node.attributes.get("transA", 0):
        raise Unsupported("transA")
    alpha, beta = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0)
    matrix = weights if node.attributes.get("transB", 0) else weights.T
    result = ex.dense(x, alpha * np.asarray(matrix, np.float64))
    if not node.has(2):
        return result
    terms = together([result, node.operand(2)])
    return ex.add(terms[0], ex.multiply(terms[1], ex.constant(beta)))


def _matmul(node: Node) -> Operand:
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        checked_size((*lead, *a.shape[-2:-1], *b.shape[-1:]))
        return np.asarray(np.matmul(a, b))
    return matmul(a, b)


def _batch_normalization(node: Node) -> Operand:
    if node.attributes.get("training_mode", 0):
        raise Unsupported("training_mode")
    scale, shift, mean, variance = (np.asarray(node.array(i), np.float64) for i in range(1, 5))
    x = node.value(0)
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    wide = (len(factor),) + (1,) * (len(x.shape) - 1)  # channels come first
    scaled = ex.multiply(x, ex.constant(factor.reshape(wide)))
    return ex.add(scaled, ex.constant((shift - mean * factor).reshape(wide)))


# ----------------------------------------------------------------------------- element by element


def _arithmetic(function: Callable[[Node, Value, Value], Value]) -> Handler:
    def handler(node: Node) -> Operand:
        operands = [node.operand(index) for index in range(len(node.inputs))]
        return functools.reduce(lambda a, b: function(node, a, b), together(operands))

    return handler


def _division(node: Node, a: Value, b: Value) -> Value:
    if a.whole and b.is_constant and b.data.dtype.kind in "iu":
        raise Unsupported("a division of integers")
    return ex.divide(a, b)


def _product(node: Node, a: Value, b: Value) -> Value:
    """Multiply; x/2 · (1 + erf(x/√2)) in any of its forms is GELU."""
    for one, other in ((a, b), (b, a)):
        erf, factor = factor_of(one)
        if (angle := node.noted(erf, "1 + erf")) is not None and not other.is_constant:
            root, scale = factor_of(angle)
            x, times = factor_of(other)
            if x is root and abs(scale - math.sqrt(0.5)) < 1e-6:
                gelu = ex.activation(ex.reshape(x, one.shape), "GELU")
                return ex.multiply(gelu, ex.constant(2.0 * factor * times))
        if is_opaque(one, "floor") and other.kind == "activation" and other.data == "SIGN":
            magnitude, half = summand_of(one.inputs[0])
            x = other.inputs[0]
            if half == 0.5 and fn.is_magnitude(magnitude, x):
                # Half away from zero: what a lookup does itself.
                return ex.opaque(one.shape, [x], "a rounding", ROUNDED)
    return ex.multiply(a, b)


def _sum(node: Node, a: Value, b: Value) -> Value:
    for one, other in ((a, b), (b, a)):
        angle = node.noted(one, "erf")
        if angle is not None and other.is_constant and np.all(other.data == 1.0):
            return node.note(ex.add(a, b), "1 + erf", angle)
        if other.is_constant and not one.is_constant and np.any(np.isneginf(other.data)):
            # What a softmax leaves out: in float32, nothing comes back from so far below.
            return ex.add(one, ex.constant(finite(other.data)))
    return ex.add(a, b)


def _erf(node: Node) -> Operand:
    x = node.value(0)
    return node.note(fn.erf(x), "erf", x)


def _sqrt(node: Node) -> Operand:
    x = node.value(0)
    return node.note(fn.sqrt(x), "sqrt", x)


def _log(node: Node) -> Operand:
    x = node.value(0)
    inner = ex.bare(x)
    if inner.kind == "activation" and inner.data == "SIGMOID":
        return ex.reshape(fn.log_sigmoid(inner.inputs[0]), x.shape)
    rest, one = summand_of(x)
    logarithm = fn.log1p(ex.reshape(rest, x.shape)) if one == 1.0 else fn.log(x)
    return node.note(logarithm, "log", x)


def _power(node: Node) -> Operand:
    exponent = node.operand(1)
    if isinstance(exponent, Value):
        base = node.array(0)
        if base.size != 1 or not np.all(base > 0):
            raise Unsupported("a power of a computed exponent")
        return ex.activation(ex.multiply(exponent, ex.constant(math.log(base.item()))), "EXP")
    if len(set(exponent.ravel().tolist())) != 1:
        raise Unsupported("several exponents")
    value, shape = together([node.value(0), exponent])
    wide = ex.broadcast(value, np.broadcast_shapes(value.shape, shape.shape))
    return fn.power(wide, float(exponent.ravel()[0]))


def _activation(name: str) -> Handler:
    return _unary(lambda x: ex.activation(x, name))


def _over_axis(function: Callable[[Value, int], Value]) -> Handler:
    """Handle a softmax or its logarithm: until opset 12 over an axis and all after it."""

    def handler(node: Node) -> Operand:
        x = node.value(0)
        axis = node.axis(node.attributes.get("axis", -1 if node.version >= 13 else 1), len(x.shape))
        if node.version >= 13:
            return node.note(function(x, axis), "shares" if len(x.shape) == 1 else "")
        flat = ex.reshape(x, (math.prod(x.shape[:axis]), -1))
        return node.note(ex.reshape(function(flat, 1), x.shape), "shares" if axis == 0 else "")

    return handler


def _log_softmax(x: Value, axis: int) -> Value:
    return ex.subtract(x, fn.log_sum_exp(x, axis))


def _gelu(node: Node) -> Operand:
    x = node.value(0)
    form = node.attributes.get("approximate", b"none")
    return ex.activation(x, "GELU") if form == b"none" else fn.gelu_tanh(x)


def _floor(x: Value) -> Value:
    """Round constants down; of samples, return what means something only in a larger pattern.

    See `_product` for the latter.
    """
    if x.is_constant:
        return ex.constant(np.floor(x.data).reshape(x.shape))
    return ex.opaque(x.shape, [x], "Floor outside of a rounding to a key", "floor")


def _log_of_sum(x: Value, axes: list[int], keep: bool) -> Value:
    for axis in axes:
        x = fn.log_sum_exp(x, axis)
    return x if keep else ex.reshape(x, [n for i, n in enumerate(x.shape) if i not in axes])


def _mean(node: Node) -> Operand:
    values = together([node.operand(index) for index in range(len(node.inputs))])
    return ex.divide(functools.reduce(ex.add, values), ex.constant(float(len(values))))


def _cast(node: Node) -> Operand:
    x, to = node.value(0), node.attributes.get("to")
    types: dict[Any, Any] = {1: np.float32, 11: np.float64, 6: np.int32, 7: np.int64, 9: np.bool_}
    if to not in types:
        raise Unsupported(f"a cast to type {to}")
    if x.is_constant:
        return ex.constant(x.data.astype(types[to]))
    if to == 9:
        return ex.activation(fn.equal(x, ex.constant(0.0)), "INVERSE")
    return to_integers(x) if to in (6, 7) else x


def _cast_like(node: Node) -> Operand:
    x, like = node.operand(0), node.operand(1)
    kind = like.dtype.kind if isinstance(like, np.ndarray) else "i" if like.whole else "f"
    if isinstance(x, np.ndarray):
        return x.astype({"i": np.int64, "b": np.bool_}.get(kind, np.float32))
    if kind == "b":
        raise Unsupported("a cast to booleans")
    return to_integers(x) if kind in "iu" else x


def _pooled(function: Callable[..., Value]) -> Handler:
    def handler(node: Node) -> Operand:
        x = node.value(0)
        return function(x, range(1, len(x.shape)), True)

    return handler


def _swish(node: Node) -> Operand:
    x = node.value(0)
    gate = ex.multiply(x, ex.constant(node.attributes.get("alpha", 1.0)))
    return ex.multiply(x, ex.activation(gate, "SIGMOID"))


def _clip(node: Node) -> Operand:
    low, high = node.setting("min", 1), node.setting("max", 2)
    return clipped(node.value(0), low, high)


def _leaky(node: Node) -> Operand:
    slope: Any = node.attributes.get("alpha", 0.01)
    return fn.leaky_relu(node.value(0), slope)


def _parametric(node: Node) -> Operand:
    x, slope = together([node.value(0), node.array(1)])
    return fn.leaky_relu(x, slope.data)


def _elu(node: Node) -> Operand:
    return fn.elu(node.value(0), node.attributes.get("alpha", 1.0))


def _celu(node: Node) -> Operand:
    alpha = node.attributes.get("alpha", 1.0)
    inner = fn.elu(ex.divide(node.value(0), ex.constant(alpha)))
    return ex.multiply(inner, ex.constant(alpha))


def _selu(node: Node) -> Operand:
    alpha = node.attributes.get("alpha", fn.SELU_ALPHA)
    gamma = node.attributes.get("gamma", fn.SELU_GAMMA)
    return ex.multiply(fn.elu(node.value(0), alpha), ex.constant(gamma))


def _hard_sigmoid(node: Node) -> Operand:
    slope, shift = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    return fn.hard_sigmoid(node.value(0), slope, shift)


def _hard_swish(node: Node) -> Operand:
    return ex.multiply(node.value(0), fn.hard_sigmoid(node.value(0), 1 / 6, 0.5))


def _unary(function: Callable[[Value], Value]) -> Handler:
    return lambda node: function(node.value(0))


def _einsum(node: Node) -> Operand:
    equation = node.attributes["equation"].decode()
    return einsum(equation, [node.operand(i) for i in range(len(node.inputs))])


def _reduce(function: Callable[..., Value]) -> Handler:
    def handler(node: Node) -> Operand:
        x = node.value(0)
        axes = node.setting("axes", 1)
        if not axes and node.attributes.get("noop_with_empty_axes", 0):
            return x
        if not axes:
            raise Unsupported("a sum over the batch")
        chosen = [node.axis(axis, len(x.shape)) for axis in axes]
        return function(x, chosen, bool(node.attributes.get("keepdims", 1)))

    return handler


OPERATORS: dict[str, Handler] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_normalization,
    "Einsum": _einsum,
    "Add": _arithmetic(_sum),
    "Sum": _arithmetic(_sum),
    "Sub": _arithmetic(lambda node, a, b: ex.subtract(a, b)),
    "Mul": _arithmetic(_product),
    "Div": _arithmetic(_division),
    "Mean": _mean,
    "Neg": _unary(lambda x: ex.multiply(x, ex.constant(-1.0))),
    "Abs": _unary(fn.magnitude),
    "Pow": _power,
    "Relu": _activation("RELU"),
    "Sigmoid": _activation("SIGMOID"),
    "Tanh": _activation("TANH"),
    "Softplus": _activation("SOFTPLUS"),
    "Sign": _activation("SIGN"),
    "Reciprocal": _activation("RECIPROCAL"),
    "Exp": _activation("EXP"),
    "Softmax": _over_axis(ex.softmax),
    "LogSoftmax": _over_axis(_log_softmax),
    "Gelu": _gelu,
    "Erf": _erf,
    "Sqrt": _sqrt,
    "Log": _log,
    "Softsign": _unary(fn.softsign),
    "Swish": _swish,
    "Floor": _unary(_floor),
    "Cast": _cast,
    "CastLike": _cast_like,
    "GlobalAveragePool": _pooled(ex.reduce_mean),
    "GlobalMaxPool": _pooled(fn.largest_over),
    "Clip": _clip,
    "LeakyRelu": _leaky,
    "PRelu": _parametric,
    "Elu": _elu,
    "Celu": _celu,
    "Mish": _unary(fn.mish),
    "Selu": _selu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "ReduceSum": _reduce(ex.reduce_sum),
    "ReduceMean": _reduce(ex.reduce_mean),
    "ReduceMax": _reduce(fn.largest_over),
    "ReduceMin": _reduce(fn.smallest_over),
    "ReduceProd": _reduce(fn.product_over),
    "ReduceL1": _reduce(lambda x, axes, keep: fn.norm(x, axes, keep, 1)),
    "ReduceL2": _reduce(fn.norm),
    "ReduceSumSquare": _reduce(lambda x, axes, keep: ex.reduce_sum(ex.multiply(x, x), axes, keep)),
    "ReduceLogSum": _reduce(lambda x, axes, keep: fn.log(ex.reduce_sum(x, axes, keep))),
    "ReduceLogSumExp": _reduce(_log_of_sum),
}
