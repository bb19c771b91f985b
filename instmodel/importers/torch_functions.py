"""ATen operators that compute element by element, as expressions.

A handler has the parameters of its operator: operands for tensors, else what the program says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.masks import add_mask, is_masked, masked
from instmodel.importers.torch_choices import (
    boolean_product,
    boolean_sum,
    is_boolean,
    larger,
    numbers_of,
    smaller,
)
from instmodel.importers.torch_operands import array_of, value_of


def _function(make: Callable[..., Value]) -> Callable[..., Value]:
    """Return the handler of a function of one tensor."""

    def handler(x: Any, *arguments: Any, **named: Any) -> Value:
        return make(numbers_of(value_of(x)), *arguments, **named)

    return handler


def _activation(name: str) -> Callable[..., Value]:
    return _function(lambda x: ex.activation(x, name))


def added(a: Any, b: Any, *, alpha: float = 1) -> Value:
    """Return a + alpha · b; -∞ in a constant hides scores from a softmax."""
    one, other = value_of(a), value_of(b)
    if is_boolean(one) and is_boolean(other):
        return boolean_sum(one, other)
    one, other = numbers_of(one), ex.multiply(numbers_of(other), value_of(alpha))
    for mask, scores in ((one, other), (other, one)):
        if is_masked(mask):
            return add_mask(scores, mask)
        if mask.is_constant and mask.data.dtype.kind == "f" and np.isneginf(mask.data).any():
            hidden = np.isneginf(mask.data)
            shown = ex.add(scores, ex.constant(np.where(hidden, 0.0, mask.data)))
            return masked(shown, ex.constant(hidden), added=True)
    return ex.add(one, other)


def _subtract(a: Any, b: Any, *, alpha: float = 1) -> Value:
    other = ex.multiply(numbers_of(value_of(b)), value_of(alpha))
    return ex.subtract(numbers_of(value_of(a)), other)


def _multiply(a: Any, b: Any) -> Value:
    one, other = value_of(a), value_of(b)
    if is_boolean(one) and is_boolean(other):
        return boolean_product(one, other)
    return ex.multiply(numbers_of(one), numbers_of(other))


def _divide(a: Any, b: Any, *, rounding_mode: Any = None) -> Value:
    if rounding_mode is not None:
        raise Unsupported(f"rounding_mode={rounding_mode!r}")
    return ex.divide(numbers_of(value_of(a)), numbers_of(value_of(b)))


def _power(x: Any, exponent: Any) -> Value:
    base = value_of(x)
    if isinstance(exponent, Value) and not exponent.is_constant:
        if not base.is_constant or not np.all(ex.floats(base) > 0):
            raise Unsupported("a power of computed values")
        return ex.activation(ex.multiply(exponent, ex.constant(np.log(ex.floats(base)))), "EXP")
    wanted = np.unique(
        np.asarray(exponent, float) if not isinstance(exponent, Value) else exponent.data
    )
    if len(wanted) != 1:
        raise Unsupported("powers of different exponents")
    return fn.power(base, float(wanted[0]))


def _addcmul(x: Any, a: Any, b: Any, *, value: float = 1) -> Value:
    product = ex.multiply(value_of(a), value_of(b))
    return ex.add(value_of(x), ex.multiply(product, ex.constant(value)))


def _lerp(a: Any, b: Any, weight: Any) -> Value:
    one = value_of(a)
    return ex.add(one, ex.multiply(ex.subtract(value_of(b), one), value_of(weight)))


def _gelu(x: Value, *, approximate: str = "none") -> Value:
    return ex.activation(x, "GELU") if approximate == "none" else fn.gelu_tanh(x)


def _elu(x: Value, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Value:
    below = ex.activation(ex.multiply(ex.clip(x, None, 0.0), ex.constant(input_scale)), "EXP")
    below = ex.multiply(ex.add(below, ex.constant(-1.0)), ex.constant(alpha))
    return ex.multiply(ex.add(ex.activation(x, "RELU"), below), ex.constant(scale))


def _prelu(x: Value, weight: Any) -> Value:
    slope = array_of(weight).reshape(-1)
    wide = (len(slope),) + (1,) * max(len(x.shape) - 2, 0)  # of each channel, or one
    return fn.leaky_relu(x, slope.reshape(wide))


def _rrelu(x: Value, lower: float = 1 / 8, upper: float = 1 / 3, train: bool = False) -> Value:
    if train:
        raise Unsupported("an rrelu in training mode")
    return fn.leaky_relu(x, (lower + upper) / 2)


def _glu(x: Value, dim: int = -1) -> Value:
    first, second = np.split(ex.positions_of(x), 2, dim)
    return ex.multiply(ex.rearrange(x, first), ex.activation(ex.rearrange(x, second), "SIGMOID"))


def _softplus(x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    # From the threshold on, PyTorch gives x itself; above 12 that makes no difference.
    if threshold < 12:
        raise Unsupported(f"threshold={threshold:g}")
    return fn.softplus(x, beta)


def _clamp(x: Value, min: Any = None, max: Any = None) -> Value:
    limited = x if min is None else larger(x, value_of(min))
    return limited if max is None else smaller(limited, value_of(max))


def _sign(x: Value) -> Value:
    """Return the sign, which in PyTorch is 0 for NaN."""
    zero = ex.constant(0.0)
    return ex.subtract(fn.above(x, zero), fn.above(zero, x))


def _hypotenuse(a: Any, b: Any) -> Value:
    one, other = value_of(a), value_of(b)
    return fn.sqrt(ex.add(ex.multiply(one, one), ex.multiply(other, other)))


def _hardshrink(x: Value, limit: float = 0.5) -> Value:
    far = ex.add(fn.above(x, ex.constant(limit)), fn.above(ex.constant(-limit), x))
    return ex.multiply(x, far)


def _softshrink(x: Value, limit: float = 0.5) -> Value:
    above = ex.activation(ex.add(x, ex.constant(-limit)), "RELU")
    below = ex.activation(ex.subtract(ex.constant(-limit), x), "RELU")
    return ex.subtract(above, below)


def _threshold(x: Value, limit: float, value: float) -> Value:
    above = fn.above(x, ex.constant(limit))
    other = ex.multiply(ex.activation(above, "INVERSE"), ex.constant(value))
    return ex.add(ex.multiply(x, above), other)


def _exponential(x: Value, base: float) -> Value:
    return ex.activation(ex.multiply(x, ex.constant(math.log(base))), "EXP")


def _hyperbolic(sign: float) -> Callable[[Value], Value]:
    def make(x: Value) -> Value:
        grown, shrunk = ex.activation(x, "EXP"), ex.activation(ex.multiply(x, _MINUS), "EXP")
        return ex.multiply(ex.add(grown, ex.multiply(shrunk, ex.constant(sign))), ex.constant(0.5))

    return make


_MINUS = ex.constant(-1.0)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": added,
    **dict.fromkeys(("sub", "subtract"), _subtract),
    "rsub": lambda a, b, alpha=1: _subtract(b, a, alpha=alpha),
    **dict.fromkeys(("mul", "multiply"), _multiply),
    **dict.fromkeys(("div", "divide", "true_divide"), _divide),
    "neg": _function(lambda x: ex.multiply(x, _MINUS)),
    "abs": _function(fn.magnitude),
    "pow": _power,
    "square": _function(lambda x: ex.multiply(x, x)),
    "addcmul": _addcmul,
    "lerp": _lerp,
    "hypot": _hypotenuse,
    "relu": _activation("RELU"),
    "sigmoid": _activation("SIGMOID"),
    "tanh": _activation("TANH"),
    **dict.fromkeys(("sign", "sgn"), _function(_sign)),
    "exp": _activation("EXP"),
    "reciprocal": _function(lambda x: ex.divide(ex.constant(1.0), x)),
    "exp2": _function(lambda x: _exponential(x, 2.0)),
    "expm1": _function(fn.expm1),
    "sinh": _function(_hyperbolic(-1.0)),
    "cosh": _function(_hyperbolic(1.0)),
    "erf": _function(fn.erf),
    "log": _function(fn.log),
    "log2": _function(lambda x: ex.multiply(fn.log(x), ex.constant(1 / math.log(2)))),
    "log10": _function(lambda x: ex.multiply(fn.log(x), ex.constant(1 / math.log(10)))),
    "log1p": _function(fn.log1p),
    "sqrt": _function(fn.sqrt),
    "rsqrt": _function(fn.inverse_root),
    "gelu": _function(_gelu),
    "softplus": _function(_softplus),
    "silu": _function(fn.silu),
    "mish": _function(fn.mish),
    "log_sigmoid": _function(fn.log_sigmoid),
    "elu": _function(_elu),
    "celu": _function(lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha)),
    "selu": _function(lambda x: _elu(x, fn.SELU_ALPHA, fn.SELU_GAMMA)),
    "leaky_relu": _function(lambda x, slope=0.01: fn.leaky_relu(x, slope)),
    "prelu": _function(_prelu),
    "rrelu": _function(_rrelu),
    "glu": _function(_glu),
    "hardtanh": _function(lambda x, low=-1.0, high=1.0: _clamp(x, low, high)),
    "relu6": _function(lambda x: _clamp(x, 0.0, 6.0)),
    "hardsigmoid": _function(lambda x: fn.hard_sigmoid(x, 1 / 6, 0.5)),
    "hardswish": _function(lambda x: ex.multiply(x, fn.hard_sigmoid(x, 1 / 6, 0.5))),
    "hardshrink": _function(_hardshrink),
    "softshrink": _function(_softshrink),
    "threshold": _function(_threshold),
    "clamp": _function(_clamp),
    "clamp_min": _function(lambda x, low: _clamp(x, low, None)),
    "clamp_max": _function(lambda x, high: _clamp(x, None, high)),
}
