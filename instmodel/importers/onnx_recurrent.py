"""ONNX's recurrent operators: RNN, GRU, LSTM, one step of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers import recurrence
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.onnx_context import Node, Refused
from instmodel.importers.onnx_moved import Moved, settled
from instmodel.importers.operands import STEPS
from instmodel.importers.recurrence import Function

# Where a node has its initial states.
INITIAL_INPUTS = {"RNN": (5,), "GRU": (5,), "LSTM": (5, 6)}
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_PEEPHOLES = 7
# Why a node is refused that finds its steps where it expects the batch.
MISPLACED = "the axes of its input are not those of a sequence, as its layout says"
_FUNCTIONS = {
    "RNN": ("Tanh",),
    "GRU": ("Sigmoid", "Tanh"),
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
}


def _recurrent(node: Node) -> list[Value | Moved]:
    """Return the outputs of a node: every step, and the states after the last one."""
    x = node.operand(0)
    if not isinstance(x, Moved) or x.time is None:
        raise Unsupported("its input is not every step of a sequence")
    recurrent = node.array(2)
    hidden = recurrent.shape[-1]
    by_batch = bool(node.attributes.get("layout", 0))
    placed = (x.time, x.place) == ((1, 0) if by_batch else (0, 1)) and len(x.shape) == 3
    problems = list(_obstacles(node, x))
    if placed and not problems:
        step = ex.reshape(x.value, x.shape[2:])
        try:
            made = [ex.reshape(part, (1, hidden)) for part in _cell(node, step, hidden, by_batch)]
            return _outputs(x, made, by_batch)
        except Unsupported as found:
            problems.append(str(found))
    if not problems:
        raise Unsupported(MISPLACED)
    directions = 1 + (node.attributes.get("direction") == b"bidirectional")
    unknown = [ex.unknown((directions, hidden))] * len(INITIAL_INPUTS[node.kind])
    raise Refused(", ".join(problems), _outputs(x, unknown, by_batch))


def _outputs(x: Moved, made: list[Value], by_batch: bool) -> list[Value | Moved]:
    """Return states (directions, H) of a step as the outputs of a node."""
    first, *_ = made
    directions, hidden = first.shape
    if by_batch:
        every = Moved(ex.reshape(first, (1, 1, directions, hidden)), 0, time=1, count=x.count)
        shape, place = (1, directions, hidden), 0
    else:
        spread = ex.reshape(first, (1, directions, 1, hidden))
        every = Moved(spread, 2, time=0, time_first=True, count=x.count)
        shape, place = (directions, 1, hidden), 1
    return [every, *(settled(Moved(ex.reshape(part, shape), place)) for part in made)]


def _obstacles(node: Node, x: Moved) -> Any:
    """Yield what of a node has no instructions."""
    direction = node.attributes.get("direction", b"forward").decode()
    if direction != "forward":
        yield f"the direction {direction}"
    if node.attributes.get("clip"):
        yield "clip"
    if node.attributes.get("input_forget", 0):
        yield "input_forget"
    if node.kind == "LSTM" and node.has(_PEEPHOLES):
        peepholes = node.inputs[_PEEPHOLES]
        if not isinstance(peepholes, np.ndarray) or peepholes.any():
            yield "peepholes"
    lengths = node.inputs[4] if node.has(4) else None
    if isinstance(lengths, np.ndarray):
        if not np.isin(lengths, (STEPS, x.count or STEPS)).all():
            yield "sequences that end before the others (sequence_lens)"
    elif lengths is not None:
        yield "lengths of sequences that are not constant (sequence_lens)"
    for index in (1, 2, 3):
        if node.has(index) and not isinstance(node.inputs[index], np.ndarray):
            yield f"weights that are not constant (input {index})"


def _cell(node: Node, x: Value, hidden: int, by_batch: bool) -> list[Value]:
    """Return the hidden state after the step, and of an LSTM the cell state."""
    gates = _GATES[node.kind]
    weights = np.split(np.asarray(node.array(1)[0], np.float64), gates)
    recurrent = np.split(np.asarray(node.array(2)[0], np.float64), gates)
    both = np.asarray(node.array(3)[0], np.float64) if node.has(3) else np.zeros(2 * gates * hidden)
    bias, held_bias = (np.split(half, gates) for half in np.split(both, 2))
    initial = [_initial(node, index, hidden, by_batch) for index in INITIAL_INPUTS[node.kind]]
    functions = _functions(node)
    if node.kind == "RNN":
        start, function = initial[0], functions[0]
        total = bias[0] + held_bias[0]
        return [recurrence.rnn(x, weights[0], recurrent[0], total, start, function)]
    if node.kind == "GRU":  # its gates: z, r, h
        after = bool(node.attributes.get("linear_before_reset", 0))
        gate, candidate = functions
        return [
            recurrence.gru(
                *(x, weights, recurrent, bias, held_bias, initial[0]),
                reset_after=after,
                functions=(gate, candidate),
            )
        ]
    order = (0, 2, 3, 1)  # of i, o, f, c
    hidden_start, cell_start = initial
    total_bias = [bias[i] + held_bias[i] for i in order]
    by_gate = [weights[i] for i in order], [recurrent[i] for i in order], total_bias
    gate, candidate, squash = functions
    starts = (hidden_start, cell_start)
    after_step, cell = recurrence.lstm(x, *by_gate, starts, (gate, candidate, squash))
    return [after_step, cell]


def _initial(node: Node, index: int, hidden: int, by_batch: bool) -> NDArray[Any] | None:
    """Return the state before the first step, (H,), which must be that of every sequence."""
    if not node.has(index):
        return None
    given = node.inputs[index]
    if not isinstance(given, np.ndarray):
        raise Unsupported("an initial state that is computed from the input")
    rows: NDArray[Any] = given.reshape(-1, hidden)
    if not (rows == rows[0]).all():
        raise Unsupported("an initial state of its own for each sequence")
    return np.asarray(rows[0])


def _functions(node: Node) -> list[Function]:
    """Return the activations of a node, of which some have factors of their own."""
    names = [name.decode() for name in node.attributes.get("activations", [])]
    names = names or list(_FUNCTIONS[node.kind])
    if len(names) != len(_FUNCTIONS[node.kind]):
        raise Unsupported(f"{len(names)} activations")
    alphas, betas = (
        iter(node.attributes.get(name, [])) for name in ("activation_alpha", "activation_beta")
    )
    found = []
    for name in names:
        make = _ACTIVATIONS.get(name.lower())
        if make is None:
            raise Unsupported(f"the activation {name}")
        # The factors are those of the activations that take some, one after the other.
        alpha, beta = _DEFAULTS.get(name.lower(), (None, None))
        alpha = alpha if alpha is None else next(alphas, alpha)
        beta = beta if beta is None else next(betas, beta)
        found.append(make(alpha, beta))
    return found


_DEFAULTS: dict[str, tuple[float | None, float | None]] = {
    "affine": (1.0, 0.0),
    "elu": (1.0, None),
    "hardsigmoid": (0.2, 0.5),
    "leakyrelu": (0.01, None),
    "scaledtanh": (1.0, 1.0),
}


def _plain(name: str) -> Callable[[Any, Any], Function]:
    return lambda alpha, beta: recurrence.activation(name)


def _affine(alpha: float, beta: float) -> Function:
    return lambda x: ex.add(ex.multiply(x, ex.constant(alpha)), ex.constant(beta))


def _scaled_tanh(alpha: float, beta: float) -> Function:
    def function(x: Value) -> Value:
        inner = ex.activation(ex.multiply(x, ex.constant(beta)), "TANH")
        return ex.multiply(inner, ex.constant(alpha))

    return function


_ACTIVATIONS: dict[str, Callable[[Any, Any], Function]] = {
    "relu": _plain("RELU"),
    "sigmoid": _plain("SIGMOID"),
    "softplus": _plain("SOFTPLUS"),
    "tanh": _plain("TANH"),
    "affine": _affine,
    "elu": lambda alpha, beta: lambda x: fn.elu(x, alpha),
    "hardsigmoid": lambda alpha, beta: lambda x: fn.hard_sigmoid(x, alpha, beta),
    "leakyrelu": lambda alpha, beta: lambda x: fn.leaky_relu(x, alpha),
    "scaledtanh": _scaled_tanh,
    "softsign": lambda alpha, beta: fn.softsign,
}

RECURRENT_OPERATORS: dict[str, Any] = dict.fromkeys(_GATES, _recurrent)
