"""What the operators of ONNX's main domain do, as expressions.

A handler takes a `Node` and returns the operands of its outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import ROUNDED, Unsupported, Value
from instmodel.importers.keys import clipped, to_integers
from instmodel.importers.onnx_context import Node
from instmodel.importers.operands import Operand, checked_size, together
from instmodel.importers.patterns import factor_of, is_opaque, same_numbers, summand_of
from instmodel.importers.products import matmul

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


def _arithmetic(on_values: Any, on_arrays: Any) -> Handler:
    def handler(node: Node) -> Operand:
        operands = [node.operand(index) for index in range(len(node.inputs))]
        if node.all_constant:
            checked_size(np.broadcast_shapes(*(item.shape for item in operands)))
            result = operands[0]
            for item in operands[1:]:
                result = on_arrays(result, item)
            return np.asarray(result)
        values = together(operands)
        total = values[0]
        for item in values[1:]:
            total = on_values(total, item)
        return total

    return handler


def _quotient(a: Any, b: Any) -> Any:
    return a // b if np.asarray(a).dtype.kind in "iu" else np.divide(a, b)


def _product(a: Value, b: Value) -> Value:
    """Multiply; x/2 · (1 + erf(x/√2)) in any of its forms is GELU."""
    for one, other in ((a, b), (b, a)):
        erf, factor = factor_of(one)
        if is_opaque(erf, "1 + erf"):
            if other.is_constant:
                return ex.multiply(one, other)
            root, scale = factor_of(erf.inputs[0])
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


def _sum(a: Value, b: Value) -> Value:
    for one, other in ((a, b), (b, a)):
        if is_opaque(one, "erf") and other.is_constant and np.all(other.data == 1.0):
            return ex.opaque(one.shape, one.inputs, "Erf outside of a GELU", "1 + erf")
    return ex.add(a, b)


def _power(node: Node) -> Operand:
    x, exponent = node.value(0), node.array(1)
    if exponent.size != 1 or float(exponent.reshape(())) not in (1.0, 2.0, 3.0, 4.0):
        raise Unsupported("an exponent that is not 1, 2, 3 or 4")
    result = x
    for _ in range(int(exponent.reshape(())) - 1):
        result = ex.multiply(result, x)
    return result


def _activation(name: str) -> Handler:
    return _unary(
        lambda x: ex.activation(x, name), lambda x: ex.activation(ex.constant(x), name).data
    )


def _softmax(node: Node) -> Operand:
    x = node.value(0)
    rank = len(x.shape)
    axis = node.axis(node.attributes.get("axis", -1 if node.version >= 13 else 1), rank)
    if node.version < 13 and axis != rank - 1:
        raise Unsupported("a Softmax over several axes")
    result = ex.softmax(x, axis)
    return node.mark_normalised(result) if rank == 1 else result


def _gelu(node: Node) -> Operand:
    x = node.value(0)
    form = node.attributes.get("approximate", b"none")
    return ex.activation(x, "GELU") if form == b"none" else fn.gelu_tanh(x)


def _log(node: Node) -> Operand:
    x = node.operand(0)
    if isinstance(x, Value):
        inner = ex.bare(x)
        if inner.kind == "activation" and inner.data == "SIGMOID":
            return ex.reshape(fn.log_sigmoid(inner.inputs[0]), x.shape)
    return _BARE_LOG(node)


def _opaque(name: str, on_array: Any, reason: str) -> Handler:
    """Handle what means something only in a larger pattern, or of a constant."""

    def on_value(x: Value) -> Value:
        if x.is_constant:
            return ex.constant(on_array(x.data))
        return ex.opaque(x.shape, [x], reason, name)

    return _unary(on_value, on_array)


def _greater(node: Node) -> Operand:
    """Return x > c as an opaque value over x - c: Where and Cast know what to make of it."""
    a, b = together([node.operand(0), node.operand(1)])
    if node.kind == "Less":
        a, b = b, a
    difference = ex.subtract(a, b)
    if difference.is_constant:
        return ex.constant(difference.data > 0)
    return ex.opaque(difference.shape, [difference], "a comparison", "positive")


def _where(node: Node) -> Operand:
    """Recognise √x and ln(x + 1) for x > 0, else 0, and a choice of two constants."""
    condition, chosen, other = together([node.operand(i) for i in range(3)])
    if condition.is_constant and chosen.is_constant and other.is_constant:
        return ex.constant(np.where(condition.data, chosen.data, other.data))
    if is_opaque(condition, "both") and is_opaque(chosen, ROUNDED) and other.is_constant:
        return chosen  # keys that no int32 holds: a lookup finds none of them
    if is_opaque(condition, "positive"):
        x = ex.reshape(condition.inputs[0], condition.shape)
        zero = other.is_constant and not np.any(other.data)
        if zero and is_opaque(chosen, "sqrt") and chosen.inputs[0] is condition.inputs[0]:
            return ex.activation(x, "SQRT")
        if zero and is_opaque(chosen, "log"):
            argument, one = summand_of(chosen.inputs[0])
            if one == 1.0 and same_numbers(argument, x):
                return ex.activation(x, "LOG")
        if chosen.is_constant and other.is_constant:
            step = ex.subtract(chosen, other)
            return ex.add(ex.multiply(fn.positive(x), step), other)
        if _is_line_beyond_softplus(x, chosen, other):
            return other
    raise Unsupported("a choice that no activation makes")


def _is_line_beyond_softplus(difference: Value, chosen: Value, other: Value) -> bool:
    """Whether `other` is ln(1 + e^z), perhaps scaled, and `chosen` is z where `difference` is > 0.

    That is how PyTorch exports a softplus. From 14 on, both are the same in float32.
    """
    softplus, scale = factor_of(other)
    if softplus.kind != "activation" or softplus.data != "SOFTPLUS":
        return False
    z, limit = summand_of(difference)
    (base, factor), (same, slope) = factor_of(z), factor_of(chosen)
    fits = same is base and math.isclose(slope, factor * scale, rel_tol=1e-6)
    return fits and softplus.inputs[0] is z and limit <= -14.0


def _and(node: Node) -> Operand:
    a, b = together([node.operand(0), node.operand(1)])
    if a.is_constant and b.is_constant:
        return ex.constant(np.logical_and(a.data, b.data))
    return ex.opaque(a.shape, [a, b], "an And", "both")


def _cast(node: Node) -> Operand:
    x, to = node.operand(0), node.attributes.get("to")
    types: dict[Any, Any] = {1: np.float32, 11: np.float64, 6: np.int32, 7: np.int64, 9: np.bool_}
    if to not in types:
        raise Unsupported(f"a cast to type {to}")
    if not isinstance(x, Value):
        return x.astype(types[to])
    if x.is_constant:
        return ex.constant(x.data.astype(types[to]))
    if is_opaque(x, "positive") and to != 9:
        return fn.positive(ex.reshape(x.inputs[0], x.shape))
    if to == 9:
        raise Unsupported("a cast to booleans")
    if to in (6, 7):
        return to_integers(x)
    return x


def _clip(node: Node) -> Operand:
    low, high = node.setting("min", 1), node.setting("max", 2)
    return clipped(node.value(0), low, high)


def _extreme(node: Node) -> Operand:
    values = together([node.operand(index) for index in range(len(node.inputs))])
    x, *bounds = sorted(values, key=lambda item: item.is_constant)
    if not all(item.is_constant for item in bounds):
        raise Unsupported(f"{node.kind} of tensors")
    for bound in (item.data for item in bounds):
        x = ex.broadcast(x, np.broadcast_shapes(x.shape, bound.shape))
        x = ex.clip(x, bound, None) if node.kind == "Max" else ex.clip(x, None, bound)
    return x


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


def _unary(on_value: Callable[[Value], Value], on_array: Any) -> Handler:
    def handler(node: Node) -> Operand:
        x = node.operand(0)
        with np.errstate(all="ignore"):
            return on_value(x) if isinstance(x, Value) else np.asarray(on_array(x))

    return handler


def _reduce(function: Callable[..., Value]) -> Handler:
    def handler(node: Node) -> Operand:
        x = node.value(0)
        axes = node.setting("axes", 1)
        if axes is None:
            raise Unsupported("a sum over the batch")
        chosen = [node.axis(axis, len(x.shape)) for axis in axes]
        return function(x, chosen, bool(node.attributes.get("keepdims", 1)))

    return handler


_BARE_LOG = _opaque("log", np.log, "Log that is not ln(x + 1) guarded by Where(x > 0, …, 0)")

OPERATORS: dict[str, Handler] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_normalization,
    "Add": _arithmetic(_sum, np.add),
    "Sum": _arithmetic(_sum, np.add),
    "Sub": _arithmetic(ex.subtract, np.subtract),
    "Mul": _arithmetic(_product, np.multiply),
    "Div": _arithmetic(ex.divide, _quotient),
    "Neg": _unary(lambda x: ex.multiply(x, ex.constant(-1.0)), np.negative),
    "Abs": _unary(fn.magnitude, np.abs),
    "Pow": _power,
    "Relu": _activation("RELU"),
    "Sigmoid": _activation("SIGMOID"),
    "Tanh": _activation("TANH"),
    "Softplus": _activation("SOFTPLUS"),
    "Sign": _activation("SIGN"),
    "Reciprocal": _activation("RECIPROCAL"),
    "Exp": _activation("EXP"),
    "Softmax": _softmax,
    "Gelu": _gelu,
    "Erf": _opaque("erf", np.vectorize(math.erf, otypes=[float]), "Erf outside of a GELU"),
    "Sqrt": _opaque("sqrt", np.sqrt, "Sqrt that is not guarded by Where(x > 0, …, 0)"),
    "Log": _log,
    "Greater": _greater,
    "Less": _greater,
    "Where": _where,
    "And": _and,
    "Floor": _opaque("floor", np.floor, "Floor outside of a rounding to a key"),
    "Cast": _cast,
    "Clip": _clip,
    "Max": _extreme,
    "Min": _extreme,
    "LeakyRelu": _leaky,
    "PRelu": _parametric,
    "Elu": _elu,
    "Celu": _celu,
    "Mish": _unary(fn.mish, lambda x: fn.mish(ex.constant(x)).data),
    "Selu": _selu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "ReduceSum": _reduce(ex.reduce_sum),
    "ReduceMean": _reduce(ex.reduce_mean),
}
