"""Functions of other libraries, made of the activations that instructions have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

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
    reduce_sum,
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
    """Return NaN where the magnitude of a flag is 1 or more, else 0.

    No constant of a document is NaN or infinite: (3e38 · 1)² overflows, and ∞ · 0 is NaN.
    """
    if flags.is_constant:  # what is computed beforehand is float64, in which nothing overflows
        return constant(np.where(np.abs(flags.data) < 1, 0.0, np.nan))
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


def expm1(x: Value) -> Value:
    """Return e^x - 1 = tanh(x/2) · (e^x + 1), in which nothing cancels near 0."""
    half = activation(multiply(x, constant(0.5)), "TANH")
    return multiply(half, add(activation(x, "EXP"), constant(1.0)))


# Of Klambauer et al., Self-Normalizing Neural Networks, 2017, to float32.
SELU_ALPHA, SELU_GAMMA = 1.6732632423543772, 1.0507009873554805


def hard_sigmoid(x: Value, slope: float, shift: float) -> Value:
    """Return ``slope · x + shift``, limited to 0 … 1."""
    return clip(add(multiply(x, constant(slope)), constant(shift)), 0.0, 1.0)


def softsign(x: Value) -> Value:
    """Return x / (1 + |x|)."""
    return divide(x, add(magnitude(x), constant(1.0)))


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
    """Return ln(x + 1), NaN where x < -1: LOG is that of what is not negative."""
    if is_never_negative(x):
        return _keeping_nan(activation(x, "LOG"), x)
    below = log(add(clip(x, None, 0.0), constant(1.0)))
    return add(activation(x, "LOG"), below)


def log(x: Value) -> Value:
    """Return ln x, NaN where x < 0, by LOG, which is ln(x + 1) of what is not negative."""
    rest, least = summand_of(x)
    flat = bare(x)
    if flat.kind == "clip" and flat.data[0] is not None:
        least = float(np.min(flat.data[0]))
        rest = add(x, constant(-least))
    if least > 0 and is_never_negative(rest):
        scaled = activation(divide(reshape(rest, x.shape), constant(least)), "LOG")
        return _keeping_nan(add(scaled, constant(math.log(least))), x)
    # ln max(x, 1) - 2 ln(1/√min(x, 1)), each of what is 1 or more.
    above = activation(add(clip(x, 1.0, None), constant(-1.0)), "LOG")
    root = activation(activation(clip(x, None, 1.0), "SQRT"), "RECIPROCAL")
    below = multiply(activation(add(root, constant(-1.0)), "LOG"), constant(-2.0))
    return _nan_below_zero(add(above, below), x)


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


def divided_by_norm(x: Value, axis: int, least: float, order: float = 2) -> Value:
    """Return x divided by its norm along an axis, or by `least` where that is more.

    The norm of order 1 is the sum of magnitudes, of order 2 its Euclidean length, of order ∞ the
    largest magnitude.
    """
    return divide(x, clip(norm(x, [axis], True, order), least, None))


def norm(x: Value, axes: Iterable[int], keep: bool = False, order: float = 2) -> Value:
    """Return the norm of x over some axes; see `divided_by_norm` for its orders."""
    chosen = list(axes)
    if order == 1:
        return reduce_sum(magnitude(x), chosen, keep)
    if order == math.inf:
        return largest_over(magnitude(x), chosen, keep)
    if order != 2:
        raise Unsupported(f"the norm of order {order}")
    return sqrt(reduce_sum(multiply(x, x), chosen, keep))


def divided_by_sum(x: Value, axis: int = -1) -> Value:
    """Return x divided by its sum along an axis: probabilities of scores that are not negative."""
    return divide(x, reduce_sum(x, [axis], keep=True))


def inverse_root(x: Value) -> Value:
    """Return 1/√x."""
    return activation(sqrt(x), "RECIPROCAL")


def sqrt(x: Value) -> Value:
    """Return √x, NaN where x < 0: SQRT gives 0 there."""
    root = activation(x, "SQRT")
    return _keeping_nan(root, x) if is_never_negative(x) else _nan_below_zero(root, x)


def power(x: Value, exponent: float) -> Value:
    """Return x to a constant power: by products and roots where that is exact, else by e and ln."""
    if exponent < 0:
        return activation(power(x, -exponent), "RECIPROCAL")
    whole, half = divmod(exponent, 1.0)
    if half not in (0.0, 0.5) or whole > _MOST_FACTORS:
        return activation(multiply(log(x), constant(exponent)), "EXP")
    factors = [x] * int(whole) + [sqrt(x)] * (half > 0)
    if not factors:
        return constant(np.ones(x.shape))
    result = factors[0]
    for factor in factors[1:]:
        result = multiply(result, factor)
    return result


_MOST_FACTORS = 16


def erf(x: Value) -> Value:
    """Return the error function, which GELU hides: g(y) + g(-y) = y · erf(y/√2)."""
    y = multiply(clip(x, -8.0, 8.0), constant(math.sqrt(2.0)))
    mirrored = activation(multiply(y, constant(-1.0)), "GELU")
    at_zero = activation(magnitude(activation(y, "SIGN")), "INVERSE")
    return divide(add(activation(y, "GELU"), mirrored), add(y, at_zero))


def above(a: Value, b: Value) -> Value:
    """Return 1 where a > b, else 0, for NaN too: SQRT turns it to 0."""
    return activation(activation(subtract(a, b), "SIGN"), "SQRT")


def not_below(a: Value, b: Value) -> Value:
    """Return 1 where a >= b, else 0, for NaN too."""
    return above(constant(0.5), activation(subtract(b, a), "SIGN"))


def selected(truth: Value, one: Value, other: Value) -> Value:
    """Return `one` where truth is 1, and `other` where it is 0, whatever is in the one not taken.

    Infinities become the largest float32 numbers.
    """
    return add(_only_where(truth, one), _only_where(activation(truth, "INVERSE"), other))


def _only_where(truth: Value, x: Value) -> Value:
    """Return x where truth is 1, else 0, also for NaN and infinities."""
    if x.is_constant:
        return multiply(truth, x)
    finite = clip(replace_nan(x, 0.0), -_LARGEST, _LARGEST)
    return add(multiply(truth, finite), nan_where(multiply(truth, is_nan(x))))


_LARGEST = float(np.finfo(np.float32).max)


def larger(a: Value, b: Value) -> Value:
    """Return the larger of a and b, exactly; NaN where one is NaN."""
    return _of_two(a, b, 1.0)


def smaller(a: Value, b: Value) -> Value:
    """Return the smaller of a and b, exactly; NaN where one is NaN."""
    return _of_two(a, b, -1.0)


def _of_two(a: Value, b: Value, sign: float) -> Value:
    one, other = (clip(x, -_LARGEST, _LARGEST) for x in (a, b))
    takes = positive(multiply(subtract(one, other), constant(sign)))
    return add(multiply(takes, one), multiply(activation(takes, "INVERSE"), other))


def largest_over(x: Value, axes: Iterable[int], keep: bool = False) -> Value:
    """Return the largest number over some axes; NaN where one is NaN."""
    return _folded(x, list(axes), keep, larger)


def smallest_over(x: Value, axes: Iterable[int], keep: bool = False) -> Value:
    """Return the smallest number over some axes; NaN where one is NaN."""
    return _folded(x, list(axes), keep, smaller)


def product_over(x: Value, axes: Iterable[int], keep: bool = False) -> Value:
    """Return the product over some axes."""
    return _folded(x, list(axes), keep, multiply)


def _folded(x: Value, axes: list[int], keep: bool, pair: Callable[[Value, Value], Value]) -> Value:
    """Join the numbers over some axes by a function of two, half against half."""
    chosen = sorted({axis % len(x.shape) for axis in axes})
    shape = [1 if i in chosen else size for i, size in enumerate(x.shape)]
    final = shape if keep else [size for i, size in enumerate(x.shape) if i not in chosen]
    places = np.moveaxis(positions_of(x), chosen, range(len(chosen)))
    rest = rearrange(x, places.reshape(-1, math.prod(shape)))
    while (count := rest.shape[0]) > 1:
        half, places = count // 2, positions_of(rest)
        both = pair(rearrange(rest, places[:half]), rearrange(rest, places[half : 2 * half]))
        odd = [rearrange(rest, places[2 * half :])] if count % 2 else []
        rest = concatenate([both, *odd])
    return reshape(rest, final)


def _keeping_nan(y: Value, x: Value) -> Value:
    """Return y, but NaN where x is: LOG and SQRT make 0 of it."""
    return add(y, clip(x, 0.0, 0.0))


def _nan_below_zero(y: Value, x: Value) -> Value:
    """Return y, but NaN where x is negative or NaN."""
    return add(y, nan_where(activation(clip(x, None, 0.0), "SIGN")))


def is_never_negative(x: Value) -> bool:
    """Whether no number of x is negative, as far as its making tells."""
    for node in ordered(bare(x), (*MOVES, *_SUMS)):
        positive = True
        if node.kind in ("add_constant", "multiply_constant", "constant"):
            positive = bool(np.all(node.data >= 0))
        elif node.kind == "clip":
            positive = node.data[0] is not None and bool(np.all(node.data[0] >= 0))
        elif node.kind == "multiply":
            positive = len(node.inputs) == 2 and node.inputs[0] is node.inputs[1]
        elif node.kind not in (*MOVES, *_SUMS, "unknown"):
            positive = node.kind == "activation" and node.data in _NEVER_NEGATIVE
        if not positive:
            return False
    return True


# Sums and products of what is never negative are not either.
_SUMS = ("add", "add_heads", "add_constant", "multiply_constant", "reduce_sum")
_NEVER_NEGATIVE = ("RELU", "SIGMOID", "SOFTMAX", "SOFTPLUS", "EXP", "SQRT", "LOG", "LOG10")
