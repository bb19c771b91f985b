"""What importers compose: values of a sample, before they are buffers and instructions.

Design
------
A. A `Value` is what one sample has at one place of the source's graph: numbers in some shape,
   without the batch axis. Buffers are flat, so a reshape costs nothing, and every slice, transpose,
   gather and broadcast is one list of positions: one COPY_MASKED.
B. What depends on constants alone is computed here, in NumPy. Sizes are checked before anything of
   that size is made, because a hostile file may ask for any shape.
C. Nothing becomes an instruction before `lowering.lower`: what the output does not need costs
   nothing, and a dense layer takes over the constants and the activation that follow it.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.base.limits import DEFAULT_LIMITS
from instmodel.reference import ACTIVATIONS

Array = NDArray[Any]
Shape = tuple[int, ...]


class Unsupported(Exception):
    """A piece of the source that instructions cannot express; the text says why."""


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """Numbers of one sample, or constants.

    Attributes
    ----------
    shape : tuple of int
        Without the batch axis.
    kind : str
        What makes it: a function of this module.
    inputs : tuple of Value
    data : optional
        The constants that `kind` needs.
    whole : bool
        Whether it is known to hold whole numbers only, whatever the sample.
    """

    shape: Shape
    kind: str
    inputs: tuple[Value, ...] = field(default=(), repr=False)  # a graph: shared parts would repeat
    data: Any = None
    whole: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "whole", _is_whole(self.kind, self.inputs, self.data))

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def is_constant(self) -> bool:
        """Whether it is the same for every sample; `data` then is the array."""
        return self.kind == "constant"


# ------------------------------------------------------------------------------- leaves and shapes


def source(size: int, whole: bool = False) -> Value:
    """Return an input of `size` numbers; `whole`: the source takes integers there."""
    return Value(checked((size,)), "input", data=whole)


def constant(array: ArrayLike) -> Value:
    """Return a value that is the same for every sample."""
    data = np.asarray(array)
    return Value(checked(data.shape), "constant", data=data)


def opaque(shape: Sequence[int], inputs: Sequence[Value], reason: str, name: object = "") -> Value:
    """Return a value that no instruction computes, unless what uses it makes one of it.

    Parameters
    ----------
    shape : sequence of int
    inputs : sequence of Value
    reason : str
        Why it cannot be lowered; see `patterns.obstacles`.
    name : object
        What it is, for the function that recognises it.
    """
    return Value(checked(tuple(shape)), "opaque", tuple(map(bare, inputs)), (name, reason))


def unknown(shape: Sequence[int], whole: bool = False) -> Value:
    """Return what stands for a piece that was refused; a model with it is never built."""
    return Value(checked(tuple(shape)), "unknown", data=whole)


def reshape(x: Value, shape: Sequence[int]) -> Value:
    """Return the same numbers in another shape; one of its sizes may be -1."""
    wanted = tuple(int(size) for size in shape)
    if wanted.count(-1) == 1:
        known = -math.prod(wanted)
        if known > 0 and x.size % known == 0:
            wanted = tuple(x.size // known if size == -1 else size for size in wanted)
    if any(size < 0 for size in wanted) or math.prod(wanted) != x.size:
        raise Unsupported(f"cannot reshape {x.shape} to {wanted}")
    if x.is_constant:
        return constant(x.data.reshape(wanted))
    return x if wanted == x.shape else Value(wanted, "reshape", (bare(x),))


def rearrange(x: Value, positions: Array) -> Value:
    """Return ``x.flat[positions]``, in the shape of `positions`."""
    checked(positions.shape)
    if x.is_constant:
        return constant(x.data.reshape(-1)[positions])
    flat = positions.reshape(-1)
    if not flat.size:
        raise Unsupported("an empty value")
    if len(flat) == x.size and np.array_equal(flat, np.arange(x.size)):
        return reshape(x, positions.shape)
    base = bare(x)
    if base.kind == "rearrange":
        base, flat = base.inputs[0], base.data[flat]
    if base.kind == "concatenate":
        starts = np.cumsum([0, *(part.size for part in base.inputs)])
        first, last = np.searchsorted(starts, (flat.min(), flat.max()), "right") - 1
        if first == last:  # all of one part: nothing of the others is needed
            inner = (flat - starts[first]).reshape(positions.shape)
            return rearrange(base.inputs[first], inner)
    return Value(positions.shape, "rearrange", (base,), flat)


def positions_of(x: Value) -> Array:
    """Return the flat position of every number of x, in its shape, for `rearrange`."""
    return np.arange(x.size).reshape(x.shape)


def broadcast(x: Value, shape: Sequence[int]) -> Value:
    """Repeat the numbers of x as NumPy broadcasts."""
    return rearrange(x, np.broadcast_to(positions_of(x), checked(tuple(shape))))


def concatenate(parts: Sequence[Value], axis: int = 0) -> Value:
    """Join values along an axis."""
    rank = len(parts[0].shape)
    if any(len(part.shape) != rank for part in parts) or not -rank <= axis < rank:
        raise Unsupported(f"cannot join shapes {[part.shape for part in parts]} at axis {axis}")
    parts = [part for part in parts if part.size] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    if all(part.is_constant for part in parts):
        return constant(np.concatenate([part.data for part in parts], axis))
    starts = np.cumsum([0, *(part.size for part in parts)])
    places = [positions_of(p) + start for p, start in zip(parts, starts, strict=False)]
    try:
        positions = np.concatenate(places, axis)
    except ValueError as error:
        raise Unsupported(str(error)) from None
    joined = Value(checked((int(starts[-1]),)), "concatenate", tuple(map(bare, parts)))
    return rearrange(joined, positions)


# -------------------------------------------------------------------------------------- arithmetic


def add(a: Value, b: Value) -> Value:
    """Return a + b, broadcast."""
    return _binary(a, b, "add", np.add)


def multiply(a: Value, b: Value) -> Value:
    """Return a · b, broadcast."""
    return _binary(a, b, "multiply", np.multiply)


def subtract(a: Value, b: Value) -> Value:
    """Return a - b, broadcast."""
    if b.is_constant:
        return add(a, constant(-floats(b)))
    return add(multiply(b, constant(-1.0)), a)


def divide(a: Value, b: Value) -> Value:
    """Return a / b, broadcast; no constant b may be 0."""
    if not b.is_constant:
        return multiply(a, activation(b, "RECIPROCAL"))
    with np.errstate(divide="ignore"):
        inverse = 1.0 / floats(b)
    if not np.isfinite(inverse).all():
        raise Unsupported("a division by zero")
    return multiply(a, constant(inverse))


def _binary(a: Value, b: Value, kind: str, function: np.ufunc) -> Value:
    try:
        shape = checked(np.broadcast_shapes(a.shape, b.shape))
    except ValueError:
        raise Unsupported(f"shapes {a.shape} and {b.shape} do not broadcast") from None
    if a.is_constant and b.is_constant:
        return constant(function(a.data, b.data))
    if a.is_constant:
        a, b = b, a
    if b.is_constant:
        vector = np.broadcast_to(floats(b), shape).reshape(-1)
        _finite(vector)
        wide = broadcast(a, shape)
        flat = bare(wide)
        if flat.kind == kind + "_constant" == "multiply_constant":
            wide, vector = reshape(flat.inputs[0], shape), vector * flat.data
        neutral = 0.0 if kind == "add" else 1.0
        if np.all(vector == neutral):
            return wide
        return Value(shape, f"{kind}_constant", (bare(wide),), vector)
    if a.size < b.size:
        a, b = b, a
    a = broadcast(a, shape)
    repeats = np.broadcast_to(positions_of(b), shape).reshape(-1)
    heads = np.repeat(np.arange(b.size), a.size // b.size)
    if b.size < a.size and np.array_equal(repeats, heads):
        return Value(shape, f"{kind}_heads", (bare(a), bare(b)))
    return Value(shape, kind, (bare(a), bare(broadcast(b, shape))))


def dense(x: Value, weights: ArrayLike, bias: ArrayLike | None = None) -> Value:
    """Return ``weights · x + bias`` over the last axis: weights (rows, cols), bias (rows,)."""
    matrix = np.asarray(weights, np.float64)
    if matrix.ndim != 2 or not x.shape or x.shape[-1] != matrix.shape[1]:
        raise Unsupported(f"a product of shapes {x.shape} and {matrix.shape[::-1]}")
    vector = np.zeros(len(matrix)) if bias is None else np.asarray(bias, np.float64)
    vector = np.broadcast_to(vector.reshape(-1), (len(matrix),))
    _finite(matrix, vector)
    checked((*x.shape[:-1], matrix.size))
    if x.is_constant:
        return constant(floats(x) @ matrix.T + vector)

    def one(row: Value) -> Value:
        return Value((len(matrix),), "dense", (bare(row),), (matrix, vector, None))

    return _by_row(x, one, len(matrix))


def reduce_sum(x: Value, axes: Sequence[int] | None = None, keep: bool = False) -> Value:
    """Return the sum over some axes, or all of them."""
    rank = len(x.shape)
    chosen = range(rank) if axes is None else sorted({_axis(axis, rank) for axis in axes})
    shape = tuple(1 if i in chosen else size for i, size in enumerate(x.shape))
    final = shape if keep else tuple(size for i, size in enumerate(x.shape) if i not in chosen)
    if x.is_constant:
        return constant(x.data.sum(axis=tuple(chosen)).reshape(final))
    if math.prod(shape) == 1:
        return reshape(Value((1,), "reduce_sum", (bare(x),)), final)
    rest = [i for i in range(rank) if i not in chosen]
    terms = positions_of(x).transpose([*chosen, *rest]).reshape(-1, math.prod(final))
    check_steps(len(terms))
    parts = tuple(bare(rearrange(x, row)) for row in terms)
    return reshape(Value((len(terms[0]),), "add", parts) if len(parts) > 1 else x, final)


def reduce_mean(x: Value, axes: Sequence[int] | None = None, keep: bool = False) -> Value:
    """Return the mean over some axes, or all of them."""
    total = reduce_sum(x, axes, keep)
    return multiply(total, constant(total.size / x.size))


# ----------------------------------------------------------------------------------- functions


def truncated(x: Value) -> Value:
    """Return what a lookup rounds, half away from zero, to x without its fraction.

    That is ``x - clip(x, -1/2, 1/2)``, exact in float32 up to 2²³; see `keys.MOST_KEYS`.
    """
    return x if x.whole else Value(x.shape, "truncated", (bare(x),))


def activation(x: Value, name: str) -> Value:
    """Apply an activation of the format to each number; for SOFTMAX see `softmax`."""
    if x.is_constant:
        with np.errstate(all="ignore"):  # NaN and infinities are meant
            return constant(ACTIVATIONS[name](floats(x).reshape(1, -1)).reshape(x.shape))
    return Value(x.shape, "activation", (bare(x),), name)


def softmax(x: Value, axis: int = -1) -> Value:
    """Apply the softmax along an axis."""
    axis = _axis(axis, len(x.shape))
    moved = rearrange(x, np.moveaxis(positions_of(x), axis, -1))
    done = _by_row(moved, lambda row: activation(row, "SOFTMAX"), moved.shape[-1])
    return rearrange(done, np.moveaxis(positions_of(done), -1, axis))


def clip(x: Value, low: ArrayLike | None, high: ArrayLike | None) -> Value:
    """Return ``min(max(x, low), high)``; either may be None, or infinite for "no limit"."""
    limits = []
    for limit, absent in ((low, -np.inf), (high, np.inf)):
        array = np.broadcast_to(absent if limit is None else np.asarray(limit, float), x.shape)
        limits.append(None if np.all(array == absent) else np.clip(array, *_FLOAT32).reshape(-1))
    if x.is_constant:
        return constant(np.clip(x.data, low, high))
    if all(limit is None for limit in limits):
        return x
    return Value(x.shape, "clip", (bare(x),), tuple(limits))


def lookup(x: Value, table: Mapping[int, Array], default: ArrayLike) -> Value:
    """Return the row of `table` for every (rounded) number of x: shape ``(*x.shape, width)``."""
    width = len(np.asarray(default))
    checked((*x.shape, width, len(table) + 1))
    check_steps(x.size)
    parts = [
        Value((width,), "lookup", (bare(x),), (index, table, default)) for index in range(x.size)
    ]
    return reshape(concatenate(parts), (*x.shape, width))


# ------------------------------------------------------------------------------------------ shared

# What makes whole numbers of others, as opaque values: without the fraction, and half away from 0.
TRUNCATED, ROUNDED = "truncated", "rounded"
WHOLE_NAMES = (TRUNCATED, ROUNDED)
# The kinds of values that only move numbers.
MOVES = ("reshape", "rearrange", "concatenate")

# Instructions that one operation may become.
_MOST_STEPS = 5_000
_FLOAT32 = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))


def bare(x: Value) -> Value:
    """Return the same numbers without a reshape around them."""
    return x.inputs[0] if x.kind == "reshape" else x


def _by_row(x: Value, function: Any, width: int) -> Value:
    """Apply a function of vectors to the vectors along the last axis."""
    lead = x.shape[:-1]
    if math.prod(lead) == 1:
        return reshape(function(reshape(x, x.shape[-1:])), (*lead, width))
    checked((*lead, width))
    check_steps(math.prod(lead))
    rows = positions_of(x).reshape(-1, x.shape[-1])
    done = [function(rearrange(x, row)) for row in rows]
    return reshape(concatenate(done), (*lead, width))


def check_steps(count: int) -> None:
    """Refuse what would become too many instructions: each takes its time, also to check."""
    if count > _MOST_STEPS:
        raise Unsupported(f"{count} instructions for one operation: more than {_MOST_STEPS}")


def _is_whole(kind: str, inputs: tuple[Value, ...], data: Any) -> bool:
    match kind:
        case "input" | "unknown":
            return bool(data)
        case "constant":
            return _all_whole(data)
        case "activation":
            if data == "SQRT":  # of -1, 0 and 1
                return inputs[0].kind == "activation" and inputs[0].data == "SIGN"
            return data == "SIGN" or (data in ("RELU", "INVERSE") and inputs[0].whole)
        case "opaque":
            return data[0] in WHOLE_NAMES
        case "lookup":
            _, table, default = data
            return all(_all_whole(np.asarray(row)) for row in (default, *table.values()))
        case "clip":
            limits = [limit for limit in data if limit is not None]
            return inputs[0].whole and all(_all_whole(limit) for limit in limits)
        case "add_constant" | "multiply_constant":
            return inputs[0].whole and _all_whole(data)
        case "add" | "multiply" | "add_heads" | "multiply_heads" | "reduce_sum":
            return all(part.whole for part in inputs)
    return kind in MOVES and all(part.whole for part in inputs)


def _all_whole(numbers: Any) -> bool:
    return numbers.dtype.kind in "iub" or (
        numbers.dtype.kind == "f" and bool(np.all(numbers == np.floor(numbers)))
    )


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise Unsupported(f"axis {axis} of a value of {rank} axes")
    return axis % rank


def floats(x: Value) -> NDArray[np.float64]:
    """Return the numbers of a constant."""
    if x.data.dtype.kind not in "fiub":
        raise Unsupported(f"constants of type {x.data.dtype}")
    return np.asarray(x.data, np.float64)


def _finite(*arrays: Array) -> None:
    for array in arrays:
        if not np.all(np.abs(array) <= _FLOAT32[1]):
            raise Unsupported("a constant that is no finite float32 number")


def checked(shape: Shape) -> Shape:
    """Return a shape, unless it is larger than a model may be."""
    if math.prod(shape) > DEFAULT_LIMITS.max_weight_count:
        raise Unsupported(f"a value of shape {shape}: too large")
    return tuple(int(size) for size in shape)


def ordered(output: Value, through: Container[str] | None = None) -> list[Value]:
    """Return all that `output` needs, inputs before their users; without recursion.

    With `through`, the inputs of values of other kinds are left out.
    """
    order: list[Value] = []
    seen: set[int] = set()
    stack = [(output, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            if through is None or node.kind in through:
                stack.extend((part, False) for part in reversed(node.inputs))
    return order
