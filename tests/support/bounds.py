"""How far from the reference the engine may be: a bound for every single value of a model.

`track` runs the reference and carries, beside every value, a bound of the error that a float32
engine which keeps the promises of docs/numerics.md may have made by then. That finds small mistakes
that one tolerance for a whole model would hide, and copes with what such a tolerance cannot: a
model that amplifies rounding errors, a SIGN or a map key right at a jump.

A bound of infinity means that nothing is promised, as where a sum may or may not overflow float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instmodel import reference

U = 2.0**-24  # half an ULP of a value, relative
FLUSHED = 2.0**-126  # what a flushed subnormal result may lose
FLOAT32_MAX = (2 - 2.0**-23) * 2.0**127
LARGE = FLOAT32_MAX * (1 - 4 * U)  # from here on a rounding may overflow

# What docs/numerics.md promises at the least, in ULP; one ULP of v is at most 2·U·|v|.
ACTIVATION_ULP = 2
SOFTMAX_ULP = 4


@dataclass
class Tracked:
    value: np.ndarray  # (N, total) float64: what the reference computes
    error: np.ndarray  # (N, total) float64: bound of |engine - value|; inf where nothing is known
    largest: np.ndarray  # (N, 1): the largest finite |value| that any buffer held at any time

    @property
    def known(self):
        """The share of values that a comparison really checks."""
        return float(np.isfinite(self.error).mean()) if self.error.size else 1.0

    def state(self, info):
        """Return value and error (N, S) of the state buffers."""
        columns = reference.state_columns(info)
        return self.value[:, columns], self.error[:, columns]

    def output(self, info):
        size = info.buffer_sizes[-1]
        return Tracked(self.value[:, -size:], self.error[:, -size:], self.largest)

    def wrong(self, got):
        """Return the places (sample, element) where `got` breaks the bound."""
        got = np.asarray(got, dtype=np.float64)
        assert got.shape == self.value.shape
        with np.errstate(all="ignore"):
            near = np.abs(got - self.value) <= self.error
        same = (got == self.value) | (np.isnan(got) & np.isnan(self.value))
        return np.argwhere(~(near | same | np.isinf(self.error)))

    def check(self, got, what=""):
        wrong = self.wrong(got)
        if len(wrong):
            at = tuple(wrong[0])
            raise AssertionError(
                f"{what} {len(wrong)} values off, the first at (sample, element) {at}: "
                f"got {np.asarray(got)[at]!r}, reference {self.value[at]!r} ± {self.error[at]:.3g}"
            )


def track(info, x, state=None):
    """Run the reference on `x` (N, F), with error bounds.

    Of a recurrent model, that is one step: `state` are value and error (N, S) of what it finds.
    """
    x = np.atleast_2d(np.asarray(x, dtype=np.float32)).astype(np.float64)
    value = np.zeros((len(x), sum(info.buffer_sizes)))
    error = np.zeros_like(value)
    value[:, : x.shape[1]] = x
    columns = reference.state_columns(info)
    value[:, columns], error[:, columns] = state or (reference.initial_state(info, len(x)), 0.0)
    # What is subnormal and only copied may come out as itself or as 0.
    subnormal = np.abs(value) < FLUSHED
    error += np.where(subnormal, np.abs(value), 0.0)
    value[subnormal] = np.copysign(0.0, value[subnormal])
    values, errors = reference.split(info, value), reference.split(info, error)
    largest = _largest(value)
    with np.errstate(all="ignore"):
        for instruction in info.instructions:
            before = [v.copy() for v in values]
            reference.run_instruction(info, instruction, values)
            ERRORS[instruction.TYPE](info, instruction, before, values, errors)
            for v, e in zip(values, errors, strict=True):
                e[np.isnan(e)] = np.inf
                e[np.isfinite(v) & (np.abs(v) + e > LARGE)] = np.inf
            largest = np.maximum(largest, _largest(value))
    return Tracked(value, error, largest)


def _largest(value):
    return np.abs(np.where(np.isfinite(value), value, 0.0)).max(axis=1, keepdims=True)


def _constant(values):
    values = np.asarray(values, dtype=np.float32).astype(np.float64)
    return np.where(np.abs(values) < FLUSHED, np.copysign(0.0, values), values)


def _rounded(value, error, ulps=0.5):
    """Add the rounding of one result; an exact 0 stays one."""
    rounding = 2 * ulps * U * (np.abs(value) + error) + FLUSHED
    return np.where((value == 0) & (error == 0), 0.0, error + rounding)


def _settle(value, error, *sources):
    """Give results that are not finite their bound.

    They are certain where everything that they were computed from is exact, or where a NaN that is
    exact went in. Each source is (value, error), broadcastable to the result.
    """
    exact, nan = True, False
    for v, e in sources:
        exact = exact & (e == 0)
        nan = nan | (np.isnan(v) & (e == 0))
    certain = exact | (nan & np.isnan(value))
    return np.where(np.isfinite(value), error, np.where(certain, 0.0, np.inf))


def _affine(info, index, x, ex):
    """W·x + bias: the value, and the bound of the fma chain."""
    w, b = _constant(info.weights[index]), _constant(info.bias[index])
    size = np.abs(w) @ np.where(np.isfinite(x), np.abs(x) + ex, 0.0).T  # (rows, N)
    size = size.T + np.abs(b)
    k = w.shape[1]
    gamma = k * U / (1 - k * U)
    carried = np.einsum("ok,nk->no", np.abs(w), np.where(np.isfinite(x), ex, 0.0))
    error = carried + gamma * size + np.where(size == 0, 0.0, (k + 1) * FLUSHED)
    value = np.tile(b, (len(x), 1))
    for column in range(k):  # as the reference, to know where a sum leaves float32
        value = value + w[:, column] * x[:, column : column + 1]
        value = _range(value)
    # A result that is not finite is certain only when it came from such inputs and nothing else
    # could have overflowed.
    odd = ~np.isfinite(x).all(axis=1, keepdims=True)
    unsure = np.isinf(ex).any(axis=1, keepdims=True) | (size > FLOAT32_MAX / 2)
    nan = (np.isnan(x) & (ex == 0)).any(axis=1, keepdims=True)
    error = np.where(np.isfinite(value), error, np.where(odd, 0.0, np.inf))
    return value, np.where(unsure & ~nan, np.inf, error)


def _softmax_error(p, x, ex):
    """Bound of softmax: every exponent may be off by its own error and that of the maximum."""
    worst = ex.max(axis=1, keepdims=True) + ex
    error = _rounded(p, p * np.expm1(worst), SOFTMAX_ULP) + len(p[0]) * FLUSHED
    nan = (np.isnan(x) & (ex == 0)).any(axis=1, keepdims=True)
    # fmin: no power is off by more than 1, also where 0 · ∞ says NaN.
    error = np.where(np.isfinite(p), np.fmin(error, 1.001), 0.0)
    return np.where(np.isinf(ex).any(axis=1, keepdims=True) & ~nan, np.inf, error)


def _activation_error(name, x, ex):
    """Bound of act(x ± ex) with its own rounding."""
    f = reference.ACTIVATIONS[name]
    y = f(x)
    if name == "SOFTMAX":
        return _softmax_error(y, x, ex)
    if name == "SIGN":
        return np.where(np.isinf(ex), np.inf, np.where((np.abs(x) > ex) | (ex == 0), 0.0, 2.0))
    if name == "RECIPROCAL" and np.any(ex):  # between its two branches anything may come out
        ex = np.where((np.abs(x) <= ex + FLUSHED) & (ex > 0), np.inf, ex)
    if name == "GELU":  # the only one that is not monotone; its slope is below 1.13
        moved = 1.13 * ex
    else:
        moved = np.maximum(np.abs(f(x - ex) - y), np.abs(f(x + ex) - y))
    moved = np.where(ex == 0, 0.0, np.where(np.isnan(moved), np.inf, moved))
    error = moved if name == "RELU" else _rounded(y, moved, ACTIVATION_ULP)
    return np.where(np.isinf(ex), np.inf, _settle(y, error, (x, ex)))


def _activate(activation, x, ex):
    if activation is None:
        return ex
    return _activation_error(activation.name, x, ex)


def _dot(info, i, old, new, err):
    y, e = _affine(info, i.weights, old[i.input], err[i.input])
    err[i.output][:] = _activate(i.activation, y, e)


def _attention(info, i, old, new, err):
    s, es = _affine(info, i.weights, old[i.key], err[i.key])
    p = reference.ACTIVATIONS["SOFTMAX"](s)
    ep = _softmax_error(p, s, es)
    err[i.output][:] = _product_error(p, ep, old[i.input], err[i.input])


def _product_error(a, ea, b, eb):
    error = _rounded(a * b, np.abs(a) * eb + np.abs(b) * ea + ea * eb)
    # A factor that is not finite, times one that may be 0 or of either sign.
    either = ((np.abs(a) <= ea) & (ea > 0)) | ((np.abs(b) <= eb) & (eb > 0))
    return _pair_error(a, ea, b, eb, _range(a * b), error, either)


def _sum_error(a, ea, b, eb):
    return _pair_error(a, ea, b, eb, _range(a + b), _rounded(a + b, ea + eb), False)


def _pair_error(a, ea, b, eb, result, error, either):
    odd = ~(np.isfinite(a) & np.isfinite(b))
    moved = (ea > 0) | (eb > 0)
    overflow = ~odd & moved & (np.isinf(result) | (np.abs(result) + error > LARGE))
    unknown = np.isinf(ea) | np.isinf(eb) | overflow | (odd & either)
    nan = (np.isnan(a) & (ea == 0)) | (np.isnan(b) & (eb == 0))
    return np.where(unknown & ~nan, np.inf, np.where(odd | np.isinf(result), 0.0, error))


def _range(values):
    return np.where(np.abs(values) >= 2.0**128 - 2.0**103, np.sign(values) * np.inf, values)


def _copy(info, i, old, new, err):
    e = err[i.input].copy()
    err[i.output][:, i.internal_index : i.internal_index + e.shape[1]] = e


def _copy_masked(info, i, old, new, err):
    err[i.output][:, : len(i.indexes)] = err[i.input][:, list(i.indexes)]


def _activation(info, i, old, new, err):
    err[i.input][:] = _activate(i.activation, old[i.input], err[i.input])


def _add_elementwise(info, i, old, new, err):
    p = _constant(info.parameters[i.parameters])
    err[i.input][:] = _sum_error(old[i.input], err[i.input], p, np.zeros_like(p))


def _mul_elementwise(info, i, old, new, err):
    p = _constant(info.parameters[i.parameters])
    err[i.input][:] = _product_error(old[i.input], err[i.input], p, np.zeros_like(p))


def _clip_elementwise(info, i, old, new, err):
    pass  # moves no two values apart: the bound of the input holds


def _buffers(combine_value, combine_error):
    def error(info, i, old, new, err):
        a, ea = old[i.input[0]], err[i.input[0]].copy()
        for index in i.input[1:]:
            ea = combine_error(a, ea, old[index], err[index])
            a = _range(combine_value(a, old[index]))
        err[i.output][:] = ea

    return error


def _heads(combine_error):
    def error(info, i, old, new, err):
        data, heads = i.input
        d = old[data].shape[1] // old[heads].shape[1]
        spread, spread_error = np.repeat(old[heads], d, 1), np.repeat(err[heads], d, 1)
        err[i.output][:] = combine_error(old[data], err[data], spread, spread_error)

    return error


def _reduce_sum(info, i, old, new, err):
    x, ex = old[i.input], err[i.input]
    total = x.sum(axis=1)
    size = (np.abs(x) + ex).sum(axis=1)
    # float64 sums, rounded once.
    error = _rounded(total, ex.sum(axis=1) + len(x[0]) * 2.0**-52 * size)
    odd = ~np.isfinite(x).all(axis=1)
    nan = (np.isnan(x) & (ex == 0)).any(axis=1)
    error = np.where(odd, 0.0, error)
    unknown = np.isinf(ex).any(axis=1) | (np.isinf(new[i.output][:, 0]) & ~odd)
    err[i.output][:, 0] = np.where(unknown & ~nan, np.inf, error)


def _map_transform(info, i, old, new, err):
    key, e = old[i.input][:, i.internal_input_index], err[i.input][:, i.internal_input_index].copy()
    rows = [_constant(v) for v in (*info.maps[i.map].values(), i.default)]
    span = np.ptp(rows, axis=0)  # a key that may round either way: any two entries
    certain = [
        b == 0 or (np.isfinite(a + b) and {_round(a - b), _round(a + b)} == {_round(a)})
        for a, b in zip(key, e, strict=True)
    ]
    certain = np.array(certain, dtype=bool)[:, None] | np.isnan(key)[:, None] & (e == 0)[:, None]
    at = slice(i.internal_output_index, i.internal_output_index + i.size)
    err[i.output][:, at] = np.where(certain, FLUSHED, span + FLUSHED)


def _round(value):
    return reference._map_key(value)


#: How each instruction passes error bounds on; a test checks that none is missing.
ERRORS = {
    "DOT": _dot,
    "ATTENTION": _attention,
    "COPY": _copy,
    "COPY_MASKED": _copy_masked,
    "ACTIVATION": _activation,
    "ADD_ELEMENTWISE": _add_elementwise,
    "MUL_ELEMENTWISE": _mul_elementwise,
    "CLIP_ELEMENTWISE": _clip_elementwise,
    "ADD_ELEMENTWISE_BUFFERS": _buffers(np.add, _sum_error),
    "MULTIPLY_ELEMENTWISE_BUFFERS": _buffers(np.multiply, _product_error),
    "ADD_BUFFER_HEADS": _heads(_sum_error),
    "MULTIPLY_BUFFER_HEADS": _heads(_product_error),
    "REDUCE_SUM": _reduce_sum,
    "MAP_TRANSFORM": _map_transform,
}
