"""Recurrent layers of Keras as expressions of one step, and what sequences go through beside them.

Design
------
A. The axis behind the batch counts the steps where its size is None. Of a sequence, a `Value` has
   one step: an axis of size 1.
B. What looks at several steps is refused by its name, as far as a shape or an axis tells; that
   the import is compared with its source finds the rest.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import recurrence
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keras_activations import activation_of
from instmodel.importers.recurrence import Function

RECURRENT = ("SimpleRNN", "GRU", "LSTM", "RNN")
_ALONG = "an operation along the steps"
# What looks at several steps, whatever its axes are.
_LOOKING_AROUND = frozenset(
    ("Conv1D", "SeparableConv1D", "DepthwiseConv1D", "Conv", "MaxPooling1D", "AveragePooling1D")
) | frozenset(
    ("UpSampling1D", "ZeroPadding1D", "Cropping1D", "Flatten", "Flip", "Roll", "MaxPool", "Pad")
) | frozenset(
    ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupedQueryAttention", "ConvLSTM1D")
)  # fmt: skip


def has_steps(tensor: Any) -> bool:
    """Whether a symbolic tensor has every step of a sequence."""
    return len(tensor.shape) > 1 and tensor.shape[1] is None


def check_steps(node: Any, sequences: bool) -> None:
    """Refuse a node of a graph that looks at several steps of a sequence, or at none of them.

    Without `sequences`, an axis of any size is none of steps: a `call` may leave one open.
    """
    operation, kind = node.operation, type(node.operation).__name__
    tensors = node.arguments.keras_tensors
    if kind in RECURRENT:
        if not sequences or (tensors and not has_steps(tensors[0])):
            raise Unsupported(
                "a recurrent layer over a fixed number of steps: give the model an input of None"
            )
        return
    stepped = [tensor for tensor in tensors if sequences and has_steps(tensor)]
    if not stepped:
        return
    if kind == "Bidirectional":
        raise Unsupported("a bidirectional layer, whose steps depend on later ones")
    if kind == "GetItem":
        _check_item(node.arguments.args[1], len(stepped[0].shape))
        return
    axes = getattr(operation, "axis", None)
    named = [axes] if isinstance(axes, int) else axes if isinstance(axes, list | tuple) else []
    along = any(axis % len(stepped[0].shape) == 1 for axis in named if isinstance(axis, int))
    if kind in _LOOKING_AROUND or along or not any(map(has_steps, node.outputs)):
        raise Unsupported(_ALONG)


def _check_item(key: Any, rank: int) -> None:
    """Refuse other steps than all of them, and the last one."""
    listed = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in listed[:2] and len(listed) <= rank - 1:
        return
    if len(listed) > 1 and listed[1] not in (-1, slice(None)):
        raise Unsupported("another step than the last")


def recurrent_layer(layer: Any, x: Value, initial_state: Any = None, **unused: Any) -> Any:
    """Return the state of a layer after the step, with an axis of steps if it returns them all."""
    cells = getattr(layer.cell, "cells", [layer.cell])
    reasons = []
    if layer.go_backwards:
        reasons.append("go_backwards")
    if initial_state is not None:
        reasons.append("an initial state of the caller's")
    if len(cells) > 1 and layer.return_state:
        reasons.append("the states of several cells")
    reasons += [
        f"no instructions for the cell {type(cell).__name__}"
        for cell in cells
        if type(cell).__name__ not in _CELLS or not type(cell).__module__.startswith("keras.")
    ]
    if reasons:
        raise Unsupported(", ".join(reasons))
    row = ex.reshape(x, (x.shape[-1],))
    states: list[Value] = []
    for cell in cells:
        states = _CELLS[type(cell).__name__](cell, row)
        row = states[0]
    out = ex.reshape(row, (1, row.size)) if layer.return_sequences else row
    return [out, *states] if layer.return_state else out


# ------------------------------------------------------------------------------------------- cells


def _weights(cell: Any, gates: int) -> list[list[NDArray[np.float64]]]:
    """Return the kernels of each gate, (H, F) and (H, H)."""
    return [np.split(_numbers(kernel).T, gates) for kernel in (cell.kernel, cell.recurrent_kernel)]


def _biases(cell: Any, gates: int) -> list[list[NDArray[np.float64]]]:
    """Return the biases of each gate, (H,), and those of the product with the state."""
    size = gates * cell.units
    both = np.zeros((2, size))
    if cell.use_bias:
        given = _numbers(cell.bias).reshape(-1, size)
        both[: len(given)] = given
    return [np.split(half, gates) for half in both]


def _numbers(variable: Any) -> NDArray[np.float64]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)


def _function(cell: Any, name: str) -> Function:
    found = activation_of(SimpleNamespace(activation=getattr(cell, name)))
    if found is None:
        raise Unsupported(f"{name}: none of Keras's own")
    return found


def _simple(cell: Any, x: Value) -> list[Value]:
    (weights,), (recurrent,) = _weights(cell, 1)
    (bias,), _ = _biases(cell, 1)
    function = _function(cell, "activation")
    return [recurrence.rnn(x, weights, recurrent, bias, function=function)]


def _gru(cell: Any, x: Value) -> list[Value]:
    functions = _function(cell, "recurrent_activation"), _function(cell, "activation")
    given = *_weights(cell, 3), *_biases(cell, 3)
    return [recurrence.gru(x, *given, reset_after=cell.reset_after, functions=functions)]


def _lstm(cell: Any, x: Value) -> list[Value]:
    gate, function = _function(cell, "recurrent_activation"), _function(cell, "activation")
    weights, recurrent = _weights(cell, 4)
    bias, _ = _biases(cell, 4)
    functions = gate, function, function
    return list(recurrence.lstm(x, weights, recurrent, bias, functions=functions))


_CELLS = {"SimpleRNNCell": _simple, "GRUCell": _gru, "LSTMCell": _lstm}
