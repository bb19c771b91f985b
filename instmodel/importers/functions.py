"""Functions of other libraries, made of the activations that instructions have."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.importers.expressions import (
    MOVES,
    Unsupported,
    Value,
    activation,
    add,
    bare,
    clip,
    concatenate,
    constant,
    divide,
    multiply,
    ordered,
    positions_of,
    rearrange,
    reduce_mean,
    reshape,
    subtract,
)
from instmodel.importers.patterns import factor_of, summand_of


def positive(x: Value) -> Value:
    """Return 1 where x > 0, else 0: also for NaN it is no number that looks valid."""
    return activation(activation(x, "SIGN"), "RELU")


def exceeds(x: Value, limits: ArrayLike) -> Value:
    """Return 1 where x > limit, else 0, NaN for NaN: exactly, also if float32 lacks the limit."""
    return positive(subtract(x, constant(-at_least(-np.asarray(limits, float)))))


def falls_below(x: Value, limits: ArrayLike) -> Value:
    """Return 1 where x < limit, else 0, NaN for NaN: exactly, also if float32 lacks the limit."""
    return positive(subtract(constant(at_least(limits)), x))


def at_least(numbers: ArrayLike) -> NDArray[np.float64]:
    """Return the least float32 numbers that are not below: for float32 x, x < both or neither."""
    exact = np.asarray(numbers, float)
    near = exact.astype(np.float32)
    above = np.nextafter(near, np.float32(np.inf))
    return np.where(near < exact, above, near).astype(float)


def replace_nan(x: Value, fill: ArrayLike) -> Value:
    """Return x with `fill` in the place of NaN, exactly.

    SQRT turns NaN to 0, so √x·√x - √-x·√-x is 0 for NaN and else x within a few ULP. What is
    missing to x is a number with few digits: the same again gives it so closely that the sum
    rounds to x.
    """
    near = _roughly_without_nan(x)
    exact = add(near, _roughly_without_nan(subtract(x, near)))
    return add(exact, multiply(is_nan(x), constant(np.broadcast_to(fill, x.shape))))


def _roughly_without_nan(x: Value) -> Value:
    root = activation(x, "SQRT")
    mirrored = activation(multiply(x, constant(-1.0)), "SQRT")
    return subtract(multiply(root, root), multiply(mirrored, mirrored))


def is_nan(x: Value) -> Value:
    """Return 1 where x is NaN, else 0."""
    bounded = activation(clip(x, -1.0, 1.0), "EXP")
    return activation(activation(activation(bounded, "SQRT"), "SIGN"), "INVERSE")


def nan_where(flags: Value) -> Value:
    """Return NaN where a flag is 1 or more, else 0.

    No constant of a document is NaN or infinite: (3e38 · 1)² overflows, and ∞ · 0 is NaN.
    """
    huge = multiply(flags, constant(3e38))
    return multiply(multiply(huge, huge), constant(0.0))


def equal(a: Value, b: Value) -> Value:
    """Return 1 where a = b, else 0, for NaN too: SQRT turns it to 0."""
    sign = activation(subtract(a, b), "SIGN")
    return activation(activation(multiply(sign, sign), "INVERSE"), "SQRT")


def leaky_relu(x: Value, slope: ArrayLike) -> Value:
    """Return x where x > 0, else slope · x."""
    below = activation(multiply(x, constant(-1.0)), "RELU")
    return add(activation(x, "RELU"), multiply(below, constant(-np.asarray(slope, float))))


def magnitude(x: Value) -> Value:
    """Return |x|."""
    return leaky_relu(x, -1.0)


def is_magnitude(y: Value, x: Value) -> bool:
    """Whether y was made by `magnitude` of x."""
    if y.kind != "add" or [part.data for part in y.inputs] != ["RELU", "RELU"]:
        return False
    (above,), (mirrored,) = (part.inputs for part in y.inputs)
    (base, factor), (same, opposite) = factor_of(x), factor_of(mirrored)
    return above is x and same is base and opposite == -factor


def elu(x: Value, alpha: float = 1.0) -> Value:
    """Return x where x > 0, else alpha · (e^x - 1)."""
    below = add(activation(clip(x, None, 0.0), "EXP"), constant(-1.0))
    return add(activation(x, "RELU"), multiply(below, constant(alpha)))


# Of Klambauer et al., Self-Normalizing Neural Networks, 2017, to float32.
SELU_ALPHA, SELU_GAMMA = 1.6732632423543772, 1.0507009873554805


def hard_sigmoid(x: Value, slope: float, shift: float) -> Value:
    """Return ``slope · x + shift``, limited to 0 … 1."""
    return clip(add(multiply(x, constant(slope)), constant(shift)), 0.0, 1.0)


def gelu_tanh(x: Value) -> Value:
    """Return x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), the approximate GELU."""
    cube = multiply(multiply(x, x), x)
    inner = multiply(add(x, multiply(cube, constant(0.044715))), constant(math.sqrt(2 / math.pi)))
    gate = multiply(add(activation(inner, "TANH"), constant(1.0)), constant(0.5))
    return multiply(x, gate)


def softplus(x: Value, beta: float = 1.0) -> Value:
    """Return ln(1 + e^(beta · x)) / beta."""
    return divide(activation(multiply(x, constant(beta)), "SOFTPLUS"), constant(beta))


def silu(x: Value) -> Value:
    """Return x · sigmoid(x)."""
    return multiply(x, activation(x, "SIGMOID"))


def mish(x: Value) -> Value:
    """Return x · tanh(ln(1 + e^x))."""
    return multiply(x, activation(activation(x, "SOFTPLUS"), "TANH"))


def log_sigmoid(x: Value) -> Value:
    """Return ln(1 / (1 + e^-x))."""
    negated = multiply(x, constant(-1.0))
    return multiply(activation(negated, "SOFTPLUS"), constant(-1.0))


def log1p(x: Value) -> Value:
    """Return ln(x + 1) of what is never negative: LOG gives 0 there."""
    _require_not_negative(x, "ln(x + 1)")
    return _keeping_nan(activation(x, "LOG"), x)


def log(x: Value) -> Value:
    """Return ln x of what is at least some positive number."""
    return _keeping_nan(_log(x), x)


def _log(x: Value) -> Value:
    """Return ln x by LOG, which is ln(x + 1) and makes 0 of NaN."""
    rest, least = summand_of(x)
    flat = bare(x)
    if flat.kind == "clip" and flat.data[0] is not None:
        least = float(np.min(flat.data[0]))
        rest = add(x, constant(-least))
    elif least > 0:
        _require_not_negative(rest, "the logarithm of a sum")
    if least <= 0:
        raise Unsupported("a logarithm of what may be 0 or negative; put a clamp before it")
    scaled = activation(divide(reshape(rest, x.shape), constant(least)), "LOG")
    return add(scaled, constant(math.log(least)))


def log_sum_exp(x: Value, axis: int) -> Value:
    """Return the logarithm of the sum of e^x over an axis, which stays with the size 1.

    From ln(e^a + e^b) = a + ln(1 + e^(b - a)), half against half.
    """
    rest = rearrange(x, np.moveaxis(positions_of(x), axis, 0))
    while (count := rest.shape[0]) > 1:
        half, places = count // 2, positions_of(rest)
        one, other = (rearrange(rest, part) for part in (places[:half], places[half : 2 * half]))
        both = add(one, activation(subtract(other, one), "SOFTPLUS"))
        odd = [rearrange(rest, places[2 * half :])] if count % 2 else []
        rest = concatenate([both, *odd])
    return rearrange(rest, np.moveaxis(positions_of(rest), 0, axis))


def standardized(x: Value, axes: Iterable[int], eps: float) -> Value:
    """Return x less its mean over some axes, divided by √(variance + eps) over them."""
    chosen = list(axes)
    return divided_by_root(subtract(x, reduce_mean(x, chosen, True)), chosen, eps)


def divided_by_root(x: Value, axes: Iterable[int], eps: float) -> Value:
    """Return x divided by √(mean of x² over some axes + eps)."""
    power = reduce_mean(multiply(x, x), list(axes), True)
    return multiply(x, inverse_root(add(power, constant(eps))))


def inverse_root(x: Value) -> Value:
    """Return 1/√x of what is at least some positive number.

    e^(-ln(x)/2) has a relative error of some 1e-6; one step of Newton's method, r · (3 - x·r²)/2,
    brings it to a few ULP.
    """
    root = activation(multiply(_log(x), constant(-0.5)), "EXP")
    correction = multiply(multiply(multiply(root, root), x), constant(-0.5))
    return multiply(root, add(correction, constant(1.5)))


def sqrt(x: Value) -> Value:
    """Return √x of what is never negative: SQRT gives 0 there."""
    _require_not_negative(x, "a square root")
    return _keeping_nan(activation(x, "SQRT"), x)


def _keeping_nan(y: Value, x: Value) -> Value:
    """Return y, but NaN where x is: LOG and SQRT make 0 of it."""
    return add(y, multiply(x, constant(0.0)))


def _require_not_negative(x: Value, what: str) -> None:
    for node in ordered(bare(x), (*MOVES, *_SUMS)):
        positive = True
        if node.kind in ("add_constant", "multiply_constant"):
            positive = bool(np.all(node.data >= 0))
        elif node.kind == "clip":
            positive = node.data[0] is not None and bool(np.all(node.data[0] >= 0))
        elif node.kind == "multiply":
            positive = len(node.inputs) == 2 and node.inputs[0] is node.inputs[1]
        elif node.kind == "constant":
            positive = bool(np.all(node.data >= 0))
        elif node.kind not in (*MOVES, *_SUMS, "unknown"):
            positive = node.kind == "activation" and node.data in _NEVER_NEGATIVE
        if not positive:
            raise Unsupported(f"{what} of what may be negative; put a relu before it")


# Sums and products of what is never negative are not either.
_SUMS = ("add", "add_heads", "add_constant", "multiply_constant", "reduce_sum")
_NEVER_NEGATIVE = ("RELU", "SIGMOID", "SOFTMAX", "SOFTPLUS", "EXP", "SQRT", "LOG", "LOG10")
