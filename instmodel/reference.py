"""The definition of every instruction and activation: a float64 interpreter in plain NumPy.

It is the oracle of the tests and is written to be read, not to be fast. It shares nothing with the
engine (no kernel, no lowering, no layout), so that a mistake in one is not repeated in the other.
It trusts its model: pass one that `instmodel.InstructionModel` accepts.

Design
------
A. A buffer is an array ``(N, size)``: row = sample, column = element. All buffers are views of one
   array ``(N, sum of sizes)``, the unified buffer, side by side in document order. It starts as
   zeros, so what no instruction writes reads as 0.
B. A value has the *precision* of float64 and the *range* of float32: after each instruction, what
   float32 can only hold as infinity becomes infinity, and what it could only hold as a subnormal
   becomes zero, because the kernels run with subnormals flushed. Subnormal inputs and constants
   count as zero for the same reason.
C. An instruction reads everything that it needs before it writes, so an output that is among its
   inputs gives what the formula says.
D. NaN is not special: it follows from the formulas, in which a comparison with NaN is false.
E. A step of a sequence is a run like any other, but for the state buffers, which start as the step
   before left them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from instmodel.document.schema import InstructionModelInfo

__all__ = [
    "ACTIVATIONS",
    "INSTRUCTIONS",
    "initial_state",
    "predict",
    "predict_sequences",
    "state_columns",
    "unified_buffers",
]

Array = NDArray[np.float64]
Buffers = Sequence[Array]

_SMALLEST_NORMAL = 2.0**-126
# Halfway between the largest finite float32 and 2^128: from here on, rounding gives infinity.
_OVERFLOW = 2.0**128 - 2.0**103
_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1


def predict(info: InstructionModelInfo, x: ArrayLike) -> Array:
    """Compute the outputs of a model.

    Parameters
    ----------
    info : InstructionModelInfo
        A valid model.
    x : array_like, (N, F) or (F,)
        Samples; read as float32. F must be the model's feature count.

    Returns
    -------
    ndarray, (N, O) float64
        The last buffer of each sample.
    """
    return unified_buffers(info, x)[:, -info.buffer_sizes[-1] :]


def predict_sequences(
    info: InstructionModelInfo, sequences: Sequence[ArrayLike], state: ArrayLike | None = None
) -> tuple[list[Array], Array]:
    """Compute the outputs of every step of sequences.

    Parameters
    ----------
    info : InstructionModelInfo
        A valid model.
    sequences : sequence of array_like, (T_i, F) each
        Their steps, in order; read as float32. A sequence may have none.
    state : array_like, (N, S), optional
        What the state buffers of each sequence hold before its first step, in the order in which
        the document lists them; `initial_state` without.

    Returns
    -------
    outputs : list of ndarray, (T_i, O) float64
        The last buffer after each step.
    state : ndarray, (N, S) float64
        What the state buffers hold after the last step.
    """
    steps = [np.asarray(sequence) for sequence in sequences]
    lengths = np.array([len(item) for item in steps], dtype=np.intp)
    state = initial_state(info, len(steps)) if state is None else _constant(state)
    outputs = [np.empty((length, info.buffer_sizes[-1])) for length in lengths]
    for t in range(lengths.max(initial=0)):
        going = np.flatnonzero(lengths > t)
        unified = unified_buffers(info, [steps[i][t] for i in going], state[going])
        state[going] = unified[:, state_columns(info)]
        for i, output in zip(going, split(info, unified)[-1], strict=True):
            outputs[i][t] = output
    return outputs, state


def initial_state(info: InstructionModelInfo, count: int) -> Array:
    """Return what the state buffers of `count` sequences hold before the first step: (count, S)."""
    unified = np.zeros((count, sum(info.buffer_sizes)))
    buffers = split(info, unified)
    for item in info.state:
        if item.initial is not None:
            buffers[item.buffer][:] = _constant(info.parameters[item.initial])
    return unified[:, state_columns(info)]


def state_columns(info: InstructionModelInfo) -> list[int]:
    """Return where each value of the state is in the unified buffer."""
    ends = np.cumsum(info.buffer_sizes)
    buffers = [item.buffer for item in info.state]
    return [i for b in buffers for i in range(ends[b] - info.buffer_sizes[b], ends[b])]


def unified_buffers(
    info: InstructionModelInfo, x: ArrayLike, state: ArrayLike | None = None
) -> Array:
    """Run a model and return all its buffers as they are after the last instruction.

    Parameters
    ----------
    info : InstructionModelInfo
        A valid model.
    x : array_like, (N, F) or (F,)
        Samples; read as float32. F must be the model's feature count.
    state : array_like, (N, S), optional
        What its state buffers hold before this step; `initial_state` without.

    Returns
    -------
    ndarray, (N, sum(info.buffer_sizes)) float64
        The unified buffer of each sample.
    """
    samples = _constant(np.atleast_2d(np.asarray(x)))  # (N, F)
    unified = np.zeros((len(samples), sum(info.buffer_sizes)))
    unified[:, : samples.shape[1]] = samples
    before = initial_state(info, len(samples)) if state is None else np.asarray(state)
    unified[:, state_columns(info)] = before
    buffers = split(info, unified)
    for instruction in info.instructions:
        run_instruction(info, instruction, buffers)
    return unified


def split(info: InstructionModelInfo, unified: Array) -> list[Array]:
    """Return the buffers ``[(N, size), …]`` as views of a unified buffer ``(N, total)``."""
    ends = np.cumsum(info.buffer_sizes)
    return [unified[:, end - size : end] for end, size in zip(ends, info.buffer_sizes, strict=True)]


def run_instruction(info: InstructionModelInfo, instruction: Any, buffers: Buffers) -> None:
    """Run one instruction: `buffers` IN/OUT."""
    with np.errstate(all="ignore"):  # infinities and NaN are results here, not accidents
        INSTRUCTIONS[instruction.TYPE](info, instruction, buffers)
        for buffer in buffers:
            buffer[:] = _in_float32_range(buffer)


def _in_float32_range(values: Array) -> Array:
    """Give what float32 can only hold as infinity or as a (flushed) subnormal its value there."""
    values = np.where(np.abs(values) >= _OVERFLOW, np.copysign(np.inf, values), values)
    return np.where(np.abs(values) < _SMALLEST_NORMAL, np.copysign(0.0, values), values)


def _constant(values: ArrayLike) -> Array:
    """Return samples, weights or parameters as the engine sees them: float32, subnormals are 0."""
    with np.errstate(all="ignore"):
        return _in_float32_range(np.asarray(values, dtype=np.float32).astype(np.float64))


# ---------------------------------------------------------------------------------------------
# Activations: (N, size) -> (N, size). All but softmax work on each element alone.


def _relu(x: Array) -> Array:
    """max(0, x)."""
    return np.maximum(0.0, x)  # np.maximum, unlike fmax, keeps NaN


def _sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x); e^-x overflows below x = -709, where the quotient 0 is right."""
    return 1.0 / (1.0 + np.exp(-x))


def _softmax(x: Array) -> Array:
    """e^(x_i - max) / Σ_j e^(x_j - max), over the buffer (axis 1)."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _tanh(x: Array) -> Array:
    """tanh(x)."""
    return np.tanh(x)


def _sqrt(x: Array) -> Array:
    """√x for x > 0, else 0."""
    return np.where(x > 0, np.sqrt(x), 0.0)


def _log(x: Array) -> Array:
    """ln(x + 1) for x > 0, else 0."""
    return np.where(x > 0, np.log1p(x), 0.0)


def _log10(x: Array) -> Array:
    """log10(x + 1) = ln(x + 1) / ln 10 for x > 0, else 0."""
    return np.where(x > 0, np.log1p(x) / math.log(10.0), 0.0)


def _inverse(x: Array) -> Array:
    """1 - x."""
    return 1.0 - x


def _gelu(x: Array) -> Array:
    """x/2 · (1 + erf(x/√2)), the exact form.

    Written as x/2 · erfc(-x/√2), which is the same and does not cancel for x < 0. At -∞ the formula
    is -∞ · 0: NaN.
    """
    return x / 2.0 * _erfc(-x / math.sqrt(2.0))


def _softplus(x: Array) -> Array:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), which neither overflows nor cancels."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _exp(x: Array) -> Array:
    """e^x, x clamped to [-88, 88]."""
    return np.exp(np.minimum(np.maximum(x, -88.0), 88.0))


def _sign(x: Array) -> Array:
    """-1, 0 or 1."""
    return np.sign(x)


def _reciprocal(x: Array) -> Array:
    """1 / x; ±∞ for ±0."""
    return 1.0 / x


def _erfc(x: Array) -> Array:
    return np.array([math.erfc(v) for v in x.flat], dtype=np.float64).reshape(x.shape)


#: The name in a document of every activation, and its function ``(N, size) -> (N, size)``.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "RELU": _relu,
    "SIGMOID": _sigmoid,
    "SOFTMAX": _softmax,
    "TANH": _tanh,
    "SQRT": _sqrt,
    "LOG": _log,
    "LOG10": _log10,
    "INVERSE": _inverse,
    "GELU": _gelu,
    "SOFTPLUS": _softplus,
    "EXP": _exp,
    "SIGN": _sign,
    "RECIPROCAL": _reciprocal,
}


# ---------------------------------------------------------------------------------------------
# Instructions: (info, instruction, buffers IN/OUT). docs/format.md names the fields.


def _affine(info: InstructionModelInfo, weights: int, x: Array) -> Array:
    """W·x + bias for every sample: (N, cols) -> (N, rows).

    Column by column, in the order that docs/numerics.md fixes. In float64 the order hardly matters
    for the digits; it decides whether a sum that overflows float32 on its way ends as ∞ or as NaN.
    """
    w = _constant(info.weights[weights])  # (rows, cols)
    y = np.tile(_constant(info.bias[weights]), (len(x), 1))  # (N, rows)
    for k in range(w.shape[1]):
        y = _in_float32_range(y + w[:, k] * x[:, k : k + 1])
    return y


def _dot(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """Out = act(W·in + bias)."""
    y = _affine(info, i.weights, b[i.input])
    if i.activation is not None:
        y = ACTIVATIONS[_name(i.activation)](y)
    b[i.output][:] = y


def _attention(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """Out = softmax(W·key + bias) ⊙ in."""
    b[i.output][:] = _softmax(_affine(info, i.weights, b[i.key])) * b[i.input]


def _copy(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """out[internal_index …] = in."""
    values = b[i.input].copy()
    b[i.output][:, i.internal_index : i.internal_index + values.shape[1]] = values


def _copy_masked(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """out[j] = in[indexes[j]]."""
    for j, index in enumerate(i.indexes):
        b[i.output][:, j] = b[i.input][:, index]


def _activation(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """In place: in = act(in)."""
    b[i.input][:] = ACTIVATIONS[_name(i.activation)](b[i.input])


def _add_elementwise(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """In place: in += p."""
    b[i.input][:] += _constant(info.parameters[i.parameters])


def _mul_elementwise(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """In place: in *= p."""
    b[i.input][:] *= _constant(info.parameters[i.parameters])


def _clip_elementwise(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """In place: in = min(max(in, parameters_min), parameters_max); NaN stays, as does a zero."""
    x = b[i.input]
    # np.maximum takes either of two zeros, of which RECIPROCAL makes two infinities.
    if i.parameters_min is not None:
        low = _constant(info.parameters[i.parameters_min])
        np.copyto(x, low, where=x < low)
    if i.parameters_max is not None:
        high = _constant(info.parameters[i.parameters_max])
        np.copyto(x, high, where=x > high)


def _add_elementwise_buffers(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """Out = ((a + b) + c) …."""
    total = b[i.input[0]].copy()
    for index in i.input[1:]:
        total = _in_float32_range(total + b[index])
    b[i.output][:] = total


def _multiply_elementwise_buffers(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """Out = ((a · b) · c) …."""
    product = b[i.input[0]].copy()
    for index in i.input[1:]:
        product = _in_float32_range(product * b[index])
    b[i.output][:] = product


def _spread_heads(i: Any, b: Buffers) -> tuple[Array, Array]:
    """Return data, and heads repeated to its size: element h·d + j of the second is heads[h]."""
    data, heads = (b[index] for index in i.input)
    d = data.shape[1] // heads.shape[1]
    return data, np.repeat(heads, d, axis=1)


def _add_buffer_heads(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """out[h·d + j] = data[h·d + j] + heads[h]."""
    data, heads = _spread_heads(i, b)
    b[i.output][:] = data + heads


def _multiply_buffer_heads(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """out[h·d + j] = data[h·d + j] · heads[h]."""
    data, heads = _spread_heads(i, b)
    b[i.output][:] = data * heads


def _reduce_sum(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """out[0] = Σ in."""
    b[i.output][:, 0] = b[i.input].sum(axis=1)


def _map_transform(info: InstructionModelInfo, i: Any, b: Buffers) -> None:
    """out[internal_output_index …] = map[round(in[internal_input_index])], or default.

    Halves round away from zero. NaN, infinities and keys outside int32 take the default.
    """
    keys = b[i.input][:, i.internal_input_index].copy()
    for output, key in zip(b[i.output], keys, strict=True):
        row = info.maps[i.map].get(_map_key(key), i.default)
        output[i.internal_output_index : i.internal_output_index + i.size] = _constant(row)


def _map_key(value: float) -> int | None:
    if not math.isfinite(value):
        return None
    whole = math.trunc(value)
    if abs(value - whole) >= 0.5:  # the difference is exact; value + 0.5 would not be
        whole += 1 if value > 0 else -1
    return whole if _INT32_MIN <= whole <= _INT32_MAX else None


def _name(activation: Any) -> str:
    return str(getattr(activation, "name", activation))


#: The ``type`` in a document of every instruction, and what it does.
INSTRUCTIONS: dict[str, Callable[[InstructionModelInfo, Any, Buffers], None]] = {
    "DOT": _dot,
    "ATTENTION": _attention,
    "COPY": _copy,
    "COPY_MASKED": _copy_masked,
    "ACTIVATION": _activation,
    "ADD_ELEMENTWISE": _add_elementwise,
    "MUL_ELEMENTWISE": _mul_elementwise,
    "CLIP_ELEMENTWISE": _clip_elementwise,
    "ADD_ELEMENTWISE_BUFFERS": _add_elementwise_buffers,
    "MULTIPLY_ELEMENTWISE_BUFFERS": _multiply_elementwise_buffers,
    "ADD_BUFFER_HEADS": _add_buffer_heads,
    "MULTIPLY_BUFFER_HEADS": _multiply_buffer_heads,
    "REDUCE_SUM": _reduce_sum,
    "MAP_TRANSFORM": _map_transform,
}
