"""Values that stay from one step of a sequence to the next, and the cells that compute them.

Design
------
A. What importers compose of a recurrent model is one *step*: a `Value` is what one step of one
   sequence has. A state is a leaf, like an input; what it holds at the next step is a value that
   `keep` puts there.
B. A cell is the layers and products that it is made of, so that whatever activations and biases a
   library allows, and what comes before or after, needs no instruction of its own.
C. Weights stand in the order of their gates, one matrix each: every gate is one dense layer over
   the inputs and the state side by side, with its activation in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Value, bare, ordered

# What a cell applies to its gates.
Function = Callable[[Value], Value]


def activation(name: str) -> Function:
    """Return an activation of the format as a function of a value."""
    return lambda x: ex.activation(x, name)


SIGMOID, TANH = activation("SIGMOID"), activation("TANH")


@dataclass(eq=False, slots=True)
class Memory:
    """What a state holds before the first step, (size,) or None for zeros, and after each."""

    initial: NDArray[np.float64] | None
    after: Value | None = None


def state(size: int, initial: ArrayLike | None = None) -> Value:
    """Return what a state of `size` numbers holds before a step; see `keep`."""
    start = None if initial is None else np.asarray(initial, np.float64).reshape(-1)
    if start is not None and not start.any():
        start = None
    return Value(ex.checked((size,)), "state", data=Memory(start))


def keep(held: Value, after: Value) -> Value:
    """Let a state hold `after` at the next step, and return that."""
    held.data.after = bare(after)
    return after


def states_of(output: Value) -> list[Value]:
    """Return the states that `output` needs, in this or any earlier step."""
    found: dict[int, Value] = {}
    roots = [output]
    while roots:
        for node in ordered(bare(roots.pop())):
            if node.kind == "state" and id(node) not in found:
                found[id(node)] = node
                roots.append(node.data.after)
    return list(found.values())


# ------------------------------------------------------------------------------------------- cells


def rnn(
    x: Value,
    weights: NDArray[Any],
    recurrent: NDArray[Any],
    bias: NDArray[Any],
    initial: ArrayLike | None = None,
    function: Function = TANH,
) -> Value:
    """Return the state of a simple recurrent layer after the step.

    Parameters
    ----------
    x : Value of F numbers
    weights, recurrent, bias : (H, F), (H, H), (H,)
        The bias is the sum of all that there are.
    initial : (H,), optional
        The state before the first step, by default zeros.
    function : callable
    """
    hidden = state(len(recurrent), initial)
    return keep(hidden, rnn_step(x, hidden, weights, recurrent, bias, function))


def rnn_step(
    x: Value,
    hidden: Value,
    weights: NDArray[Any],
    recurrent: NDArray[Any],
    bias: NDArray[Any],
    function: Function = TANH,
) -> Value:
    """Return what follows a state of a simple recurrent layer; see `rnn`."""
    return function(_layer(_joined(x, hidden), weights, recurrent, bias))


def gru(
    x: Value,
    weights: Sequence[NDArray[Any]],
    recurrent: Sequence[NDArray[Any]],
    bias: Sequence[NDArray[Any]],
    recurrent_bias: Sequence[NDArray[Any]],
    initial: ArrayLike | None = None,
    *,
    reset_after: bool = True,
    functions: tuple[Function, Function] = (SIGMOID, TANH),
) -> Value:
    """Return the state of a gated recurrent unit after the step.

    Parameters
    ----------
    x : Value of F numbers
    weights, recurrent, bias, recurrent_bias : three each
        (H, F), (H, H), (H,) and (H,) of the update gate, the reset gate and the candidate.
    initial : (H,), optional
        The state before the first step, by default zeros.
    reset_after : bool
        Whether the reset gate multiplies the product with the state and its bias, as in PyTorch,
        or the state before the product.
    functions : pair of callables
        Of the gates, and of the candidate.
    """
    hidden = state(len(recurrent[0]), initial)
    after = gru_step(
        x,
        hidden,
        weights,
        recurrent,
        bias,
        recurrent_bias,
        reset_after=reset_after,
        functions=functions,
    )
    return keep(hidden, after)


def gru_step(
    x: Value,
    hidden: Value,
    weights: Sequence[NDArray[Any]],
    recurrent: Sequence[NDArray[Any]],
    bias: Sequence[NDArray[Any]],
    recurrent_bias: Sequence[NDArray[Any]],
    *,
    reset_after: bool = True,
    functions: tuple[Function, Function] = (SIGMOID, TANH),
) -> Value:
    """Return what follows a state of a gated recurrent unit; see `gru`."""
    gate, candidate = functions
    joined = _joined(x, hidden)
    update, reset = (
        gate(_layer(joined, weights[i], recurrent[i], bias[i] + recurrent_bias[i]))
        for i in range(2)
    )
    if reset_after:
        inner = ex.multiply(reset, ex.dense(hidden, recurrent[2], recurrent_bias[2]))
        new = ex.add(ex.dense(_flat(x), weights[2], bias[2]), inner)
    else:
        partly = _joined(x, ex.multiply(reset, hidden))
        new = _layer(partly, weights[2], recurrent[2], bias[2] + recurrent_bias[2])
    kept = ex.multiply(update, hidden)  # first: what is left of the gate then can work in place
    return ex.add(kept, ex.multiply(ex.activation(update, "INVERSE"), candidate(new)))


def lstm(
    x: Value,
    weights: Sequence[NDArray[Any]],
    recurrent: Sequence[NDArray[Any]],
    bias: Sequence[NDArray[Any]],
    initial: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
    functions: tuple[Function, Function, Function] = (
        SIGMOID,
        TANH,
        TANH,
    ),
) -> tuple[Value, Value]:
    """Return the hidden and the cell state of a long short-term memory after the step.

    Parameters
    ----------
    x : Value of F numbers
    weights, recurrent, bias : four each
        (H, F), (H, H) and (H,) of the input gate, the forget gate, the candidate and the output
        gate; each bias is the sum of all that there are.
    initial : pair of (H,), optional
        The hidden and the cell state before the first step, by default zeros.
    functions : triple of callables
        Of the gates, of the candidate, and of the cell state on its way to the hidden one.
    """
    hidden, cell = (state(len(recurrent[0]), start) for start in initial)
    after = lstm_step(x, hidden, cell, weights, recurrent, bias, functions)
    return keep(hidden, after[0]), keep(cell, after[1])


def lstm_step(
    x: Value,
    hidden: Value,
    cell: Value,
    weights: Sequence[NDArray[Any]],
    recurrent: Sequence[NDArray[Any]],
    bias: Sequence[NDArray[Any]],
    functions: tuple[Function, Function, Function] = (SIGMOID, TANH, TANH),
) -> tuple[Value, Value]:
    """Return what follows the states of a long short-term memory; see `lstm`."""
    gate, candidate, squash = functions
    joined = _joined(x, hidden)
    enter, forget, new, leave = (
        function(_layer(joined, w, r, b))
        for function, w, r, b in zip(
            (gate, gate, candidate, gate), weights, recurrent, bias, strict=True
        )
    )
    held = ex.add(ex.multiply(forget, cell), ex.multiply(enter, new))
    return ex.multiply(leave, squash(held)), held


def _joined(x: Value, held: Value) -> Value:
    return ex.concatenate([_flat(x), held])


def _layer(
    joined: Value, weights: NDArray[Any], recurrent: NDArray[Any], bias: NDArray[Any]
) -> Value:
    """Return ``weights · x + recurrent · held + bias``, where `joined` is x and what is held."""
    return ex.dense(joined, np.concatenate([weights, recurrent], axis=1), bias)


def _flat(x: Value) -> Value:
    return ex.reshape(x, (x.size,))
