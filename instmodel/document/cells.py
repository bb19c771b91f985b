"""Methods of `ModelBuilder` for models that remember: states, and the layers of PyTorch.

Design
------
A. Each gate is a dense layer of its own: a buffer has one activation, and gates that share a buffer
   would have to be copied out of it.
B. Where input and hidden state are added before an activation, they lie side by side in one buffer,
   and the two matrices make one. So a gate takes one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from instmodel.base import values
from instmodel.base.activations import Activation
from instmodel.errors import DocumentError, StructureError

if TYPE_CHECKING:
    from instmodel.document.builder import BufferHandle, ModelBuilder

_NONLINEARITIES = {"tanh": Activation.TANH, "relu": Activation.RELU}


def state(builder: ModelBuilder, size: int, initial: Any = None) -> BufferHandle:
    """Add a state: what the step before left, see `set_state`. It makes the model recurrent.

    Parameters
    ----------
    size : int
        How many values S it has.
    initial : array_like, (S,), or number, optional
        What it is in the first step of a sequence; zeros without.
    """
    return _add_states(builder, values.integer(size, "size"), initial)[0]


def set_state(builder: ModelBuilder, state: BufferHandle, value: BufferHandle) -> None:
    """Let `state` be in the next step what `value` is in this one.

    In this step, the handle of the state goes on standing for what the step before left. Each state
    needs this once.

    Parameters
    ----------
    state : BufferHandle, (S,)
        What `state` returned.
    value : BufferHandle, (S,)
    """
    if builder._number_of(state) not in builder._state_values:
        raise values.wrong_type(state, "state", "the handle of a state")
    if builder._size_of(value) != state.size:
        raise StructureError(
            "input_buffer_size_mismatch",
            "a state has one size",
            field="value",
            expected=state.size,
            actual=value.size,
        )
    if state.number in builder._following:
        raise StructureError(
            "repeated_state",
            "it was said before what the state is in the next step",
            field="state",
        )
    builder._following[state.number] = value.number


def rnn(
    builder: ModelBuilder,
    x: BufferHandle,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    nonlinearity: str = "tanh",
    *,
    initial: Any = None,
) -> BufferHandle:
    """Add a layer of `torch.nn.RNN`: ``h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh)``.

    Layers follow each other by giving one the handle of the layer before.

    Parameters
    ----------
    x : BufferHandle, (F,)
    weight_ih : array_like, (H, F)
    weight_hh : array_like, (H, H)
    bias_ih, bias_hh : array_like, (H,), optional
        Zeros without.
    nonlinearity : {"tanh", "relu"}
    initial : array_like, (H,), or number, optional
        h before the first step of a sequence; zeros without.

    Returns
    -------
    BufferHandle, (H,)
        h', which is h in the next step.
    """
    if not isinstance(nonlinearity, str):
        raise values.wrong_type(nonlinearity, "nonlinearity", "'tanh' or 'relu'")
    if nonlinearity not in _NONLINEARITIES:
        raise DocumentError(
            "unknown_activation",
            "unknown nonlinearity",
            field="nonlinearity",
            expected="'tanh' or 'relu'",
            actual=values.describe(nonlinearity),
        )
    (gate,) = _gates(builder._size_of(x), (weight_ih, weight_hh), (bias_ih, bias_hh), 1)
    (h,) = _add_states(builder, gate.size, initial)
    new = gate.joined(builder.concatenate([x, h]), _NONLINEARITIES[nonlinearity])
    builder.set_state(h, new)
    return new


def gru(
    builder: ModelBuilder,
    x: BufferHandle,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    *,
    initial: Any = None,
) -> BufferHandle:
    """Add a layer of `torch.nn.GRU`.

    ::

        r = sigmoid(W_ir·x + b_ir + W_hr·h + b_hr)
        z = sigmoid(W_iz·x + b_iz + W_hz·h + b_hz)
        n = tanh(W_in·x + b_in + r ⊙ (W_hn·h + b_hn))
        h' = (1 - z) ⊙ n + z ⊙ h

    Layers follow each other by giving one the handle of the layer before.

    Parameters
    ----------
    x : BufferHandle, (F,)
    weight_ih : array_like, (3·H, F)
        The rows of W_ir, of W_iz, of W_in.
    weight_hh : array_like, (3·H, H)
        The rows of W_hr, of W_hz, of W_hn.
    bias_ih, bias_hh : array_like, (3·H,), optional
        Zeros without.
    initial : array_like, (H,), or number, optional
        h before the first step of a sequence; zeros without.

    Returns
    -------
    BufferHandle, (H,)
        h', which is h in the next step.
    """
    for_r, for_z, for_n = _gates(builder._size_of(x), (weight_ih, weight_hh), (bias_ih, bias_hh), 3)
    (h,) = _add_states(builder, for_r.size, initial)
    both = builder.concatenate([x, h])
    r, z = for_r.joined(both, Activation.SIGMOID), for_z.joined(both, Activation.SIGMOID)
    of_x, of_h = for_n.apart(x, h)
    n = builder.activation(of_x + r * of_h, Activation.TANH)
    new = z * h + builder.activation(z, Activation.INVERSE) * n
    builder.set_state(h, new)
    return new


def lstm(
    builder: ModelBuilder,
    x: BufferHandle,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    *,
    initial: tuple[Any, Any] | None = None,
) -> BufferHandle:
    """Add a layer of `torch.nn.LSTM`.

    ::

        i = sigmoid(W_ii·x + b_ii + W_hi·h + b_hi)
        f = sigmoid(W_if·x + b_if + W_hf·h + b_hf)
        g = tanh(W_ig·x + b_ig + W_hg·h + b_hg)
        o = sigmoid(W_io·x + b_io + W_ho·h + b_ho)
        c' = f ⊙ c + i ⊙ g
        h' = o ⊙ tanh(c')

    Layers follow each other by giving one the handle of the layer before.

    Parameters
    ----------
    x : BufferHandle, (F,)
    weight_ih : array_like, (4·H, F)
        The rows of W_ii, of W_if, of W_ig, of W_io.
    weight_hh : array_like, (4·H, H)
        The rows of W_hi, of W_hf, of W_hg, of W_ho.
    bias_ih, bias_hh : array_like, (4·H,), optional
        Zeros without.
    initial : tuple of two array_like, (H,), or numbers, optional
        h and c before the first step of a sequence; zeros without. Either may be None.

    Returns
    -------
    BufferHandle, (H,)
        h', which is h in the next step. The state of the model has h before c.
    """
    if initial is not None and not (isinstance(initial, (tuple, list)) and len(initial) == 2):
        raise values.wrong_type(initial, "initial", "a pair of h and c")
    gates = _gates(builder._size_of(x), (weight_ih, weight_hh), (bias_ih, bias_hh), 4)
    h, c = _add_states(builder, gates[0].size, *(initial or (None, None)))
    both = builder.concatenate([x, h])
    functions = (Activation.SIGMOID, Activation.SIGMOID, Activation.TANH, Activation.SIGMOID)
    i, f, g, o = (
        gate.joined(both, function) for gate, function in zip(gates, functions, strict=True)
    )
    new_c = f * c + i * g
    new = o * builder.activation(new_c, Activation.TANH)
    builder.set_state(h, new)
    builder.set_state(c, new_c)
    return new


def _add_states(builder: ModelBuilder, size: int, *initial: Any) -> list[BufferHandle]:
    """Add states of one size, all or none."""
    indexes = builder._add_parameters(size, *initial, optional=True)
    handles = [builder._value(size) for _ in initial]
    numbers = [handle.number for handle in handles]
    builder._state_values.update(zip(numbers, indexes, strict=True))
    return handles


@dataclass(frozen=True, slots=True)
class _Gate:
    """The weights of one gate, (H, F) and (H, H), and their biases, (H,)."""

    weight_ih: values.Matrix
    weight_hh: values.Matrix
    bias_ih: values.Vector
    bias_hh: values.Vector

    @property
    def size(self) -> int:
        return len(self.weight_hh)

    def joined(self, both: BufferHandle, activation: Activation) -> BufferHandle:
        """Add ``activation(W_ih·x + b_ih + W_hh·h + b_hh)`` of x and h in one buffer."""
        weights = np.hstack([self.weight_ih, self.weight_hh])
        return both.builder.dense(both, weights, self.bias_ih + self.bias_hh, activation)

    def apart(self, x: BufferHandle, h: BufferHandle) -> tuple[BufferHandle, BufferHandle]:
        """Add ``W_ih·x + b_ih`` and ``W_hh·h + b_hh``."""
        return (
            x.builder.dense(x, self.weight_ih, self.bias_ih),
            h.builder.dense(h, self.weight_hh, self.bias_hh),
        )


def _gates(
    features: int, weights: tuple[Any, Any], biases: tuple[Any, Any], count: int
) -> list[_Gate]:
    """Return the weights and biases of each gate, which PyTorch keeps one below the other."""
    weight_ih = values.matrix(weights[0], "weight_ih")
    weight_hh = values.matrix(weights[1], "weight_hh")
    size = weight_hh.shape[1]
    rows = count * size
    for name, matrix, columns in (
        ("weight_ih", weight_ih, features),
        ("weight_hh", weight_hh, size),
    ):
        for code, given, expected in (
            ("weights_column_size_mismatch", matrix.shape[1], columns),
            ("weights_row_size_mismatch", matrix.shape[0], rows),
        ):
            if given != expected:
                raise StructureError(
                    code,
                    "the weights have another shape",
                    field=name,
                    expected=f"shape ({rows}, {columns})",
                    actual=f"shape {matrix.shape}",
                )
    vectors = []
    for name, bias in zip(("bias_ih", "bias_hh"), biases, strict=True):
        vector = np.zeros(rows, np.float32) if bias is None else values.vector(bias, name)
        if len(vector) != rows:
            raise StructureError(
                "bias_weights_size_mismatch",
                "the bias needs one value per row of the weights",
                field=name,
                expected=rows,
                actual=len(vector),
            )
        vectors.append(vector)
    parts = (np.split(item, count) for item in (weight_ih, weight_hh, *vectors))
    return [_Gate(*gate) for gate in zip(*parts, strict=True)]
