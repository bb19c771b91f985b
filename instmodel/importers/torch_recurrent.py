"""Recurrent layers and cells of PyTorch, as expressions of one step.

Design
------
A. `torch.export` writes a recurrent layer out step by step, as many as the example has. While a
   module of sequences is exported, `as_operators` puts an operator of our own in the place of what
   `nn.RNN`, `nn.GRU` and `nn.LSTM` call: the number of steps stays open.
B. PyTorch keeps the gates of a layer one below the other: r, z, n of a GRU; i, f, g, o of an LSTM.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import recurrence
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.torch_operands import array_of, value_of

_NAMESPACE = "instmodel_importers"
LAYER = f"{_NAMESPACE}.recurrent.default"
_SCHEMA = (
    "recurrent(Tensor x, Tensor[] states, Tensor[] weights, str kind, bool has_biases, int layers, "
    "bool bidirectional, bool batch_first) -> Tensor[]"
)
_FUNCTIONS = {
    "rnn_tanh": recurrence.TANH,
    "rnn_relu": recurrence.activation("RELU"),
}
# What a step computes, of x and the states before it: the states after it.
Cell = Callable[[Value, Sequence[Value]], list[Value]]


# --------------------------------------------------------------------------------------- exporting


@functools.cache
def _library(torch: Any) -> Any:
    """Return the library of our operator, of which only shapes are ever asked."""
    library = torch.library.Library(_NAMESPACE, "FRAGMENT")
    library.define(_SCHEMA)
    for key in ("Meta", "CompositeExplicitAutograd"):
        library.impl("recurrent", functools.partial(_shapes, torch), key)
    return library


def _shapes(
    torch: Any, x: Any, states: Any, weights: Any, kind: str, has_biases: bool, layers: int,
    bidirectional: bool, batch_first: bool,
) -> list[Any]:  # fmt: skip
    width = states[0].shape[2] * (1 + bidirectional)
    return [x.new_empty((x.shape[0], x.shape[1], width)), *map(torch.empty_like, states)]


@contextlib.contextmanager
def as_operators(torch: Any) -> Iterator[None]:
    """Let recurrent layers be one operator each in what is exported in this thread meanwhile."""
    _library(torch)
    operator = getattr(torch.ops, _NAMESPACE).recurrent
    own = threading.get_ident()

    def replaced(kind: str, original: Any) -> Any:
        def function(x: Any, *arguments: Any) -> Any:
            if not (torch.compiler.is_dynamo_compiling() or threading.get_ident() == own):
                return original(x, *arguments)
            if len(arguments) != 8 or not isinstance(arguments[-1], bool):
                raise Unsupported(_PACKED)
            states, weights, has_biases, layers, _, _, bidirectional, batch_first = arguments
            listed = list(states) if isinstance(states, tuple | list) else [states]
            settings = (kind, has_biases, layers, bidirectional, batch_first)
            return tuple(operator(x, listed, list(weights), *settings))

        return function

    def packed(original: Any) -> Any:
        def function(*arguments: Any) -> Any:
            if torch.compiler.is_dynamo_compiling() or threading.get_ident() == own:
                raise Unsupported(_PACKED)
            return original(*arguments)

        return function

    functions = torch._VF
    changes = {kind: replaced(kind, getattr(functions, kind)) for kind in _LAYERS}
    changes["_pack_padded_sequence"] = packed(functions._pack_padded_sequence)
    vars(functions).update(changes)
    try:
        yield
    finally:
        for name in changes:
            delattr(functions, name)


_PACKED = (
    "packed sequences, for which sequences of unequal lengths need no room here: import the module "
    "without pack_padded_sequence"
)


# ------------------------------------------------------------------------------------------ layers


def layer(
    x: Any, states: Sequence[Any], weights: Sequence[Any], kind: str, has_biases: bool, layers: int,
    bidirectional: bool, batch_first: bool,
) -> list[Value]:  # fmt: skip
    """Return the outputs of recurrent layers for one step: each hidden state, and the states.

    Parameters
    ----------
    x : Value
        (B, 1, F), or (1, B, F) unless `batch_first`; each sample has B sequences, mostly one.
    states : sequence of operand, (layers, B, H) each
        Where a sequence starts, if constant; else what the step before left.
    weights : sequence of operand
        Those of each layer in PyTorch's order.
    """
    check_layer(states, weights, kind, has_biases, layers, bidirectional)
    rows = ex.reshape(value_of(x), (-1, x.shape[-1]))
    count = 2 + 2 * has_biases
    cells = [
        _cell(kind, *map(array_of, weights[i * count : (i + 1) * count])) for i in range(layers)
    ]
    size = array_of(weights[1]).shape[1]
    steps: list[Value] = []
    after: list[list[Value]] = [[] for _ in states]  # of each state, by layer
    for number, cell in enumerate(cells):
        steps = []
        for row in range(rows.shape[0]):
            held = [_Held(state, number, row) for state in states]
            made = cell(ex.rearrange(rows, ex.positions_of(rows)[row]), [h.before for h in held])
            for one, value, place in zip(held, made, after, strict=True):
                one.keep(value)
                place.append(ex.reshape(value, (1, size)))
            steps.append(ex.reshape(made[0], (1, size)))
        rows = ex.concatenate(steps)
    batch = len(steps)
    every = ex.reshape(rows, (batch, 1, size) if batch_first else (1, batch, size))
    shape = (layers, batch, size)
    return [every, *(ex.reshape(ex.concatenate(values), shape) for values in after)]


def check_layer(
    states: Sequence[Any], weights: Sequence[Any], kind: str, has_biases: bool, layers: int,
    bidirectional: bool,
) -> None:  # fmt: skip
    """Refuse what no step can compute; all of it at once."""
    reasons = []
    if bidirectional:
        reasons.append("a bidirectional layer, whose steps depend on later ones")
    expected = (2 + 2 * has_biases) * layers * (1 + bidirectional)
    if len(weights) != expected:
        reasons.append("a projection (proj_size)")
    if any(isinstance(weight, Value) and not weight.is_constant for weight in weights):
        reasons.append("weights that are not constant")
    if reasons:
        raise Unsupported(", ".join(reasons))


class _Held:
    """The part of a state that one layer has for one sequence of a sample."""

    def __init__(self, state: Any, number: int, row: int) -> None:
        whole = value_of(state)
        part = ex.rearrange(whole, ex.positions_of(whole)[number, row])
        self._own = part.is_constant
        self.before = recurrence.state(part.size, part.data) if part.is_constant else part

    def keep(self, after: Value) -> None:
        """Let the next step begin with `after`, unless the state comes from outside."""
        if self._own:
            recurrence.keep(self.before, after)


# ------------------------------------------------------------------------------------------- cells


def _cell(
    kind: str, weights: Any, recurrent: Any, bias: Any = None, recurrent_bias: Any = None
) -> Cell:
    """Return a cell of PyTorch's weights: (gates · H, F), (gates · H, H), (gates · H,) twice."""
    gates = len(weights) // recurrent.shape[1]
    zeros = np.zeros(len(weights))
    given = (weights, recurrent, *(zeros if x is None else x for x in (bias, recurrent_bias)))
    w, r, b, c = (np.split(np.asarray(item, np.float64), gates) for item in given)
    if kind == "gru":
        order = (1, 0, 2)
        in_order = [[part[i] for i in order] for part in (w, r, b, c)]
        return lambda x, held: [recurrence.gru_step(x, held[0], *in_order)]
    sums = [one + other for one, other in zip(b, c, strict=True)]
    if kind == "lstm":
        return lambda x, held: list(recurrence.lstm_step(x, held[0], held[1], w, r, sums))
    function = _FUNCTIONS[kind]
    return lambda x, held: [recurrence.rnn_step(x, held[0], w[0], r[0], sums[0], function)]


_LAYERS = ("rnn_tanh", "rnn_relu", "gru", "lstm")


def _one_cell(kind: str) -> Callable[..., Any]:
    """Return the handler of the operator of `nn.RNNCell`, `nn.GRUCell` or `nn.LSTMCell`."""

    def handler(x: Any, states: Any, *weights: Any) -> Any:
        rows = value_of(x)
        listed = [value_of(state) for state in (states if kind == "lstm" else [states])]
        cell = _cell(kind, *(None if item is None else array_of(item) for item in weights))
        flat = rows.shape[-1]
        if rows.size != flat:
            raise Unsupported("several rows of each sample")
        held = [ex.reshape(state, (state.size,)) for state in listed]
        made = [ex.reshape(part, (1, part.size)) for part in cell(ex.reshape(rows, (flat,)), held)]
        return made if kind == "lstm" else made[0]

    return handler


CELLS: dict[str, Callable[..., Any]] = {f"{kind}_cell": _one_cell(kind) for kind in _LAYERS}
