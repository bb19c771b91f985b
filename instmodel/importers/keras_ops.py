"""What the functions of `keras.ops` do, as expressions.

A handler takes the operation and what it is called with: values without the batch axis, and arrays
for constants. Axes count the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keras_activations import ACTIVATIONS, rectified
from instmodel.importers.keys import clipped, equals_key
from instmodel.importers.masks import softmax
from instmodel.importers.operands import Operand, operand, sample_axis, together, value_of
from instmodel.importers.torch_choices import CHOICES, converted, numbers_of, truth_of
from instmodel.importers.torch_functions import FUNCTIONS

Handler = Callable[..., Any]


def _elsewhere(name: str) -> Handler:
    """Return a handler that does what PyTorch's function of some name does, number by number."""
    function = (FUNCTIONS | CHOICES)[name]
    return lambda operation, *operands: function(*together([operand(x) for x in operands]))


def _unary(function: Callable[[Value], Value]) -> Handler:
    return lambda operation, x: function(_numbers(x))


def _numbers(x: Any) -> Value:
    return numbers_of(value_of(x))


def _scaled(x: Value, factor: float) -> Value:
    return ex.multiply(x, ex.constant(factor))


# --------------------------------------------------------------------------------------- functions


def _sparse_plus(x: Value) -> Value:
    middle = ex.add(ex.clip(x, -1.0, 1.0), ex.constant(1.0))
    above = ex.activation(ex.add(x, ex.constant(-1.0)), "RELU")
    return ex.add(_scaled(ex.multiply(middle, middle), 0.25), above)


def _squareplus(operation: Any, x: Value) -> Value:
    root = fn.sqrt(ex.add(ex.multiply(x, x), ex.constant(float(operation.b))))
    return _scaled(ex.add(x, root), 0.5)


def _softmax(operation: Any, x: Value) -> Value:
    return softmax(x, sample_axis(operation.axis, len(x.shape)))


def _log_softmax(operation: Any, x: Value) -> Value:
    return ex.subtract(x, fn.log_sum_exp(x, sample_axis(operation.axis, len(x.shape))))


def _log_sum_exp(operation: Any, x: Value) -> Value:
    if not isinstance(operation.axis, int):
        raise Unsupported("a sum over several axes, or the batch")
    axis = sample_axis(operation.axis, len(x.shape))
    total = fn.log_sum_exp(x, axis)
    shape = [size for i, size in enumerate(total.shape) if i != axis or operation.keepdims]
    return ex.reshape(total, shape)


def _log_add_exp(operation: Any, a: Any, b: Any) -> Value:
    one, other = together([operand(a), operand(b)])
    return ex.add(one, ex.activation(ex.subtract(other, one), "SOFTPLUS"))


def _equal(operation: Any, a: Any, b: Any) -> Any:
    for keys, key in ((a, b), (b, a)):
        if isinstance(keys, Value) and not isinstance(key, Value) and np.size(key) == 1:
            number = float(np.reshape(key, ()))
            found = equals_key(keys, int(number)) if number.is_integer() else None
            if found is not None:
                return truth_of(found)
    return CHOICES["eq"](*together([operand(a), operand(b)]))


def _cast(operation: Any, x: Any) -> Operand:
    return converted(x, str(operation.dtype))


def _clip(operation: Any, x: Any, *limits: Any) -> Value:
    low, high = limits or (operation.x_min, operation.x_max)
    return clipped(value_of(x), low, high)


def _nan_to_num(operation: Any, x: Any) -> Any:
    return CHOICES["nan_to_num"](x, operation.nan, operation.posinf, operation.neginf)


def _truths(function: str) -> Handler:
    """Return a logical operation; as in NumPy, whatever is not 0 is true."""

    def handler(operation: Any, *operands: Any) -> Any:
        return CHOICES[function](*(converted(x, "bool") for x in operands))

    return handler


def digitized(x: Value, bins: Any) -> Value:
    """Return how many of the bins begin at x or below; NaN is in the last one."""
    return ex.reduce_sum(reached(x, bins), [len(x.shape)])


def reached(x: Value, bins: Any) -> Value:
    """Return for each bin, along a new last axis, whether x is not below its beginning, or NaN.

    Keras compares in float32.
    """
    limits = np.asarray(bins, np.float32).astype(float)
    wide = ex.broadcast(ex.reshape(x, (*x.shape, 1)), (*x.shape, len(limits)))
    below = ex.activation(fn.falls_below(wide, limits), "SQRT")  # 0 for NaN
    return ex.activation(below, "INVERSE")


# ---------------------------------------------------------------------------------- over some axes


def _axes(axis: Any, rank: int) -> list[int]:
    """Return the axes of a sample; None stands for all, the batch too."""
    if axis is None:
        raise Unsupported("an operation along the batch")
    return [sample_axis(int(one), rank) for one in np.atleast_1d(axis)]


def _reduce(function: Callable[..., Value]) -> Handler:
    def handler(operation: Any, x: Any, **unused: Any) -> Value:
        value = _numbers(x)
        return function(value, _axes(operation.axis, len(value.shape)), operation.keepdims)

    return handler


def _variance(x: Value, axes: Sequence[int], keep: bool) -> Value:
    rest = ex.subtract(x, ex.reduce_mean(x, axes, True))
    return ex.reduce_mean(ex.multiply(rest, rest), axes, keep)


def _average(operation: Any, x: Value, weights: Any = None) -> Value:
    if not isinstance(operation.axis, int) or isinstance(weights, Value):
        raise Unsupported("an average over several axes, or by computed weights")
    axis = sample_axis(operation.axis, len(x.shape))
    shares = np.ones(x.shape[axis]) if weights is None else np.asarray(weights, np.float64)
    if shares.ndim != 1:
        raise Unsupported("weights of several axes")
    return ex.reduce_sum(ex.multiply(x, _along(shares / shares.sum(), [axis], x.shape)), [axis])


def _extreme(function: Callable[..., Value]) -> Handler:
    def handler(operation: Any, x: Any, **unused: Any) -> Any:
        if getattr(operation, "initial", None) is not None:
            raise Unsupported("an initial number")
        return _reduce(function)(operation, x)

    return handler


def _every(operation: Any, x: Any) -> Any:
    truth = _numbers(converted(x, "bool"))
    axes = _axes(operation.axis, len(truth.shape))
    return converted(fn.product_over(truth, axes, operation.keepdims), "bool")


def _some(operation: Any, x: Any) -> Any:
    opposite = CHOICES["logical_not"](converted(x, "bool"))
    return CHOICES["logical_not"](_every(operation, opposite))


def _moments(operation: Any, x: Value) -> list[Value]:
    axes = _axes(operation.axes, len(x.shape))
    mean = ex.reduce_mean(x, axes, operation.keepdims)
    return [mean, _variance(x, axes, operation.keepdims)]


def _norm(operation: Any, x: Value) -> Value:
    axes = _axes(operation.axis, len(x.shape))
    order = 2 if operation.ord in (None, "fro") else operation.ord
    if len(axes) > 1 and operation.ord == 2:
        raise Unsupported("the norm of a matrix")
    return fn.norm(x, axes, operation.keepdims, order)


def _normalize(operation: Any, x: Value) -> Value:
    (axis,) = _axes(operation.axis, len(x.shape))
    return fn.divided_by_norm(x, axis, _epsilon(operation), operation.order)


def _layer_norm(operation: Any, x: Value, gamma: Any = None, beta: Any = None) -> Value:
    if operation.rms_scaling:
        raise Unsupported("rms_scaling=True")
    axes = sorted(_axes(operation.axis, len(x.shape)))
    done = fn.standardized(x, axes, _epsilon(operation))
    if gamma is not None:
        done = ex.multiply(done, _along(gamma, axes, x.shape))
    return done if beta is None else ex.add(done, _along(beta, axes, x.shape))


def _rms_norm(operation: Any, x: Value, scale: Any = None) -> Value:
    axes = sorted(_axes(operation.axis, len(x.shape)))
    done = fn.divided_by_root(x, axes, _epsilon(operation))
    return done if scale is None else ex.multiply(done, _along(scale, axes, x.shape))


def _epsilon(operation: Any) -> float:
    return 1e-7 if operation.epsilon is None else float(operation.epsilon)


def _along(weights: Any, axes: Sequence[int], shape: Sequence[int]) -> Value:
    """Return weights for the numbers along some axes, to meet a value of `shape`."""
    wide = [size if i in axes else 1 for i, size in enumerate(shape)]
    return ex.constant(np.asarray(weights, np.float64).reshape(wide))


def _batch_norm(
    operation: Any, x: Value, mean: Any, variance: Any, offset: Any = None, scale: Any = None
) -> Value:
    factor = 1.0 / np.sqrt(np.asarray(variance, np.float64) + operation.epsilon)
    factor = factor if scale is None else factor * scale
    shift = -mean * factor + (0.0 if offset is None else offset)
    axes = _axes(operation.axis, len(x.shape))
    scaled = ex.multiply(x, _along(factor, axes, x.shape))
    return ex.add(scaled, _along(shift, axes, x.shape))


CALCULATIONS: dict[str, Handler] = {
    "Add": _elsewhere("add"),
    "Subtract": _elsewhere("sub"),
    "Multiply": _elsewhere("mul"),
    "Divide": _elsewhere("div"),
    "TrueDivide": _elsewhere("div"),
    "Power": _elsewhere("pow"),
    "Reciprocal": _unary(lambda x: ex.activation(x, "RECIPROCAL")),
    "Negative": _unary(lambda x: _scaled(x, -1.0)),
    **dict.fromkeys(("Abs", "Absolute", "Fabs"), _unary(fn.magnitude)),
    "Square": _unary(lambda x: ex.multiply(x, x)),
    "Sqrt": _unary(fn.sqrt),
    "Rsqrt": _unary(fn.inverse_root),
    "Erf": _unary(fn.erf),
    "Exp": _unary(lambda x: ex.activation(x, "EXP")),
    "Exp2": _unary(lambda x: ex.activation(_scaled(x, math.log(2.0)), "EXP")),
    "Expm1": _unary(fn.expm1),
    "Log": _unary(fn.log),
    "Log2": _unary(lambda x: _scaled(fn.log(x), 1.0 / math.log(2.0))),
    "Log10": _unary(lambda x: _scaled(fn.log(x), 1.0 / math.log(10.0))),
    "Log1p": _unary(fn.log1p),
    "Logsumexp": _log_sum_exp,
    "Logaddexp": _log_add_exp,
    "Sign": _unary(lambda x: ex.activation(x, "SIGN")),
    **{
        name: _unary(ACTIVATIONS[function])
        for name, function in (
            *(("Relu", "relu"), ("Relu6", "relu6"), ("Sigmoid", "sigmoid"), ("Tanh", "tanh")),
            *(("Softplus", "softplus"), ("Softsign", "softsign"), ("Silu", "silu")),
            *(("LogSigmoid", "log_sigmoid"), ("HardSigmoid", "hard_sigmoid"), ("Selu", "selu")),
            *(("HardSilu", "hard_silu"), ("HardTanh", "hard_tanh"), ("TanhShrink", "tanh_shrink")),
        )
    },
    "ReLU": rectified,
    "LeakyRelu": lambda operation, x: fn.leaky_relu(x, float(operation.negative_slope)),
    "Elu": lambda operation, x: fn.elu(x, float(operation.alpha)),
    "Celu": lambda operation, x: FUNCTIONS["celu"](x, float(operation.alpha)),
    "Gelu": lambda operation, x: (
        fn.gelu_tanh(x) if operation.approximate else ex.activation(x, "GELU")
    ),
    "Glu": lambda operation, x: FUNCTIONS["glu"](x, sample_axis(operation.axis, len(x.shape))),
    "Threshold": lambda operation, x: FUNCTIONS["threshold"](
        x, float(operation.threshold), float(operation.default_value)
    ),
    "SoftShrink": lambda operation, x: FUNCTIONS["softshrink"](x, float(operation.threshold)),
    "HardShrink": lambda operation, x: FUNCTIONS["hardshrink"](x, float(operation.threshold)),
    "SparsePlus": _unary(_sparse_plus),
    "SparseSigmoid": _unary(lambda x: fn.hard_sigmoid(x, 0.5, 0.5)),
    "Squareplus": _squareplus,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "Clip": _clip,
    "Cast": _cast,
    "ConvertToTensor": lambda operation, x: x if operation.dtype is None else _cast(operation, x),
    "NanToNum": _nan_to_num,
    "Isnan": _elsewhere("isnan"),
    "Isfinite": _elsewhere("isfinite"),
    "Where": _elsewhere("where"),
    "Maximum": _elsewhere("maximum"),
    "Minimum": _elsewhere("minimum"),
    "Greater": _elsewhere("gt"),
    "GreaterEqual": _elsewhere("ge"),
    "Less": _elsewhere("lt"),
    "LessEqual": _elsewhere("le"),
    "Equal": _equal,
    "NotEqual": lambda operation, a, b: CHOICES["logical_not"](_equal(operation, a, b)),
    "LogicalAnd": _truths("logical_and"),
    "LogicalOr": _truths("logical_or"),
    "LogicalNot": _truths("logical_not"),
    "LogicalXor": _truths("ne"),
    "Sum": _reduce(ex.reduce_sum),
    "Mean": _reduce(ex.reduce_mean),
    "Average": _average,
    "Var": _reduce(_variance),
    "Std": _reduce(lambda x, axes, keep: fn.sqrt(_variance(x, axes, keep))),
    "Prod": _reduce(fn.product_over),
    **dict.fromkeys(("Max", "Amax"), _extreme(fn.largest_over)),
    **dict.fromkeys(("Min", "Amin"), _extreme(fn.smallest_over)),
    "All": _every,
    "Any": _some,
    "Moments": _moments,
    "Norm": _norm,
    "Normalize": _normalize,
    "LayerNorm": _layer_norm,
    "RMSNorm": _rms_norm,
    "BatchNorm": _batch_norm,
}
