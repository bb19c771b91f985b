"""What importers compose: values of a sample, before they are buffers and instructions.

Design
------
A. A `Value` is what one sample has at one place of the source's graph: numbers in some shape,
   without the batch axis. Buffers are flat, so a reshape costs nothing, and every slice, transpose,
   gather and broadcast is one list of positions: one COPY_MASKED.
B. What depends on constants alone is computed here, in NumPy. Sizes are checked before anything of
   that size is made, because a hostile file may ask for any shape.
C. Nothing becomes an instruction before `lower`, so what the output does not need costs nothing,
   and a dense layer takes over the constants and the activation that follow it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.builder import BufferHandle, ModelBuilder
from instmodel.limits import DEFAULT_LIMITS

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
    """

    shape: Shape
    kind: str
    inputs: tuple[Value, ...] = ()
    data: Any = None

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def is_constant(self) -> bool:
        """Whether it is the same for every sample; `data` then is the array."""
        return self.kind == "constant"


# ------------------------------------------------------------------------------- leaves and shapes


def source(size: int) -> Value:
    """Return an input of `size` numbers."""
    return Value(_checked((size,)), "input")


def constant(array: ArrayLike) -> Value:
    """Return a value that is the same for every sample."""
    data = np.asarray(array)
    return Value(_checked(data.shape), "constant", data=data)


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
    return x if wanted == x.shape else Value(wanted, "reshape", (_flat(x),))


def rearrange(x: Value, positions: Array) -> Value:
    """Return ``x.flat[positions]``, in the shape of `positions`."""
    _checked(positions.shape)
    if x.is_constant:
        return constant(x.data.reshape(-1)[positions])
    flat = positions.reshape(-1)
    if not flat.size:
        raise Unsupported("an empty value")
    if len(flat) == x.size and np.array_equal(flat, np.arange(x.size)):
        return reshape(x, positions.shape)
    base = _flat(x)
    if base.kind == "rearrange":
        base, flat = base.inputs[0], base.data[flat]
    return Value(positions.shape, "rearrange", (base,), flat)


def positions_of(x: Value) -> Array:
    """Return the flat position of every number of x, in its shape, for `rearrange`."""
    return np.arange(x.size).reshape(x.shape)


def broadcast(x: Value, shape: Sequence[int]) -> Value:
    """Repeat the numbers of x as NumPy broadcasts."""
    return rearrange(x, np.broadcast_to(positions_of(x), _checked(tuple(shape))))


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
    joined = Value(_checked((int(starts[-1]),)), "concatenate", tuple(map(_flat, parts)))
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
        return add(a, constant(-_floats(b)))
    return add(multiply(b, constant(-1.0)), a)


def divide(a: Value, b: Value) -> Value:
    """Return a / b, broadcast; b must be constant."""
    if not b.is_constant:
        raise Unsupported("a division by what is not constant")
    with np.errstate(divide="ignore"):
        inverse = 1.0 / _floats(b)
    if not np.isfinite(inverse).all():
        raise Unsupported("a division by zero")
    return multiply(a, constant(inverse))


def _binary(a: Value, b: Value, kind: str, function: np.ufunc) -> Value:
    try:
        shape = _checked(np.broadcast_shapes(a.shape, b.shape))
    except ValueError:
        raise Unsupported(f"shapes {a.shape} and {b.shape} do not broadcast") from None
    if a.is_constant and b.is_constant:
        return constant(function(a.data, b.data))
    if a.is_constant:
        a, b = b, a
    if b.is_constant:
        vector = np.broadcast_to(_floats(b), shape).reshape(-1)
        _finite(vector)
        wide = broadcast(a, shape)
        neutral = 0.0 if kind == "add" else 1.0
        if np.all(vector == neutral):
            return wide
        return Value(shape, f"{kind}_constant", (_flat(wide),), vector)
    if a.size < b.size:
        a, b = b, a
    a = broadcast(a, shape)
    repeats = np.broadcast_to(positions_of(b), shape).reshape(-1)
    heads = np.repeat(np.arange(b.size), a.size // b.size)
    if b.size < a.size and np.array_equal(repeats, heads):
        return Value(shape, f"{kind}_heads", (_flat(a), _flat(b)))
    return Value(shape, kind, (_flat(a), _flat(broadcast(b, shape))))


def dense(x: Value, weights: ArrayLike, bias: ArrayLike | None = None) -> Value:
    """Return ``weights · x + bias`` over the last axis: weights (rows, cols), bias (rows,)."""
    matrix = np.asarray(weights, np.float64)
    if matrix.ndim != 2 or not x.shape or x.shape[-1] != matrix.shape[1]:
        raise Unsupported(f"a product of shapes {x.shape} and {matrix.shape[::-1]}")
    vector = np.zeros(len(matrix)) if bias is None else np.asarray(bias, np.float64)
    vector = np.broadcast_to(vector.reshape(-1), (len(matrix),))
    _finite(matrix, vector)
    if x.is_constant:
        return constant(_floats(x) @ matrix.T + vector)

    def one(row: Value) -> Value:
        return Value((len(matrix),), "dense", (_flat(row),), (matrix, vector, None))

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
        return reshape(Value((1,), "reduce_sum", (_flat(x),)), final)
    rest = [i for i in range(rank) if i not in chosen]
    terms = positions_of(x).transpose([*chosen, *rest]).reshape(-1, math.prod(final))
    parts = tuple(_flat(rearrange(x, row)) for row in terms)
    return reshape(Value((len(terms[0]),), "add", parts), final) if len(parts) > 1 else x


def reduce_mean(x: Value, axes: Sequence[int] | None = None, keep: bool = False) -> Value:
    """Return the mean over some axes, or all of them."""
    total = reduce_sum(x, axes, keep)
    return multiply(total, constant(total.size / x.size))


# ----------------------------------------------------------------------------------- functions


def activation(x: Value, name: str) -> Value:
    """Apply an activation of the format to each number; for SOFTMAX see `softmax`."""
    if x.is_constant:
        raise Unsupported(f"{name} of a constant")
    return Value(x.shape, "activation", (_flat(x),), name)


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
    return Value(x.shape, "clip", (_flat(x),), tuple(limits))


def positive(x: Value) -> Value:
    """Return 1 where x > 0, else 0: also for NaN it is no number that looks valid."""
    return activation(activation(x, "SIGN"), "RELU")


def replace_nan(x: Value, fill: ArrayLike) -> Value:
    """Return x with `fill` in the place of NaN.

    SQRT turns NaN to 0, so √x·√x - √-x·√-x is x, within 2 ULP, and 0 for NaN; and for what was a
    number, SIGN(SQRT(EXP(x limited to ±1))) is 1.
    """
    root = activation(x, "SQRT")
    mirrored = activation(multiply(x, constant(-1.0)), "SQRT")
    cleaned = subtract(multiply(root, root), multiply(mirrored, mirrored))
    return add(cleaned, multiply(is_nan(x), constant(np.broadcast_to(fill, x.shape))))


def is_nan(x: Value) -> Value:
    """Return 1 where x is NaN, else 0."""
    bounded = activation(clip(x, -1.0, 1.0), "EXP")
    return activation(activation(activation(bounded, "SQRT"), "SIGN"), "INVERSE")


def lookup(x: Value, table: Mapping[int, Array], default: ArrayLike) -> Value:
    """Return the row of `table` for every (rounded) number of x: shape ``(*x.shape, width)``."""
    width = len(np.asarray(default))
    _checked((*x.shape, width))
    parts = [
        Value((width,), "lookup", (_flat(x),), (index, table, default)) for index in range(x.size)
    ]
    return reshape(concatenate(parts), (*x.shape, width))


# ---------------------------------------------------------------------------------------- lowering


def lower(output: Value, inputs: Sequence[Value], builder: ModelBuilder, names: Any) -> Any:
    """Add the instructions that compute `output`, and return its buffer handle.

    Parameters
    ----------
    output : Value
    inputs : sequence of Value
        The leaves, in the order of the model's inputs.
    builder : ModelBuilder
        Empty; gets the inputs and the instructions.
    names : sequence of (list of str or int)
        What `ModelBuilder.input` takes for each of `inputs`.
    """
    order = _ordered(_flat(output))
    uses = Counter(id(part) for node in order for part in node.inputs)
    handles = {
        id(leaf): builder.input(name) for leaf, name in zip(inputs, names, strict=True)
    }  # by node
    fused: dict[int, Value] = {}
    for node in order:
        alone = tuple(uses[id(part)] == 1 for part in node.inputs)
        parts = tuple(fused[id(part)] for part in node.inputs)
        fused[id(node)] = _fuse(node, parts, alone)
    final = fused[id(_flat(output))]
    for node in _ordered(final):
        if id(node) not in handles:
            handles[id(node)] = _emit(builder, node, [handles[id(p)] for p in node.inputs])
    return handles[id(final)]


def _ordered(output: Value) -> list[Value]:
    """Return all that `output` needs, inputs before their users; without recursion."""
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
            stack.extend((part, False) for part in reversed(node.inputs))
    return order


def _fuse(node: Value, parts: tuple[Value, ...], alone: tuple[bool, ...]) -> Value:
    """Return the node over its fused `parts`; `alone`: nothing else needs that part."""
    if not parts:
        return node
    first = parts[0]
    if first.kind == "dense" and alone[0] and first.data[2] is None:
        weights, bias, _ = first.data
        if node.kind == "activation":
            return replace(first, data=(weights, bias, node.data))
        if node.kind == "add_constant":
            return replace(first, data=(weights, bias + node.data, None))
        if node.kind == "multiply_constant":
            scaled = (weights * node.data[:, None], bias * node.data, None)
            return replace(first, data=scaled)
    if node.kind == first.kind == "add" and alone[0]:
        return replace(node, inputs=(*first.inputs, *parts[1:]))
    if node.kind == first.kind == "multiply" and alone[0]:
        return replace(node, inputs=(*first.inputs, *parts[1:]))
    if node.kind == "multiply" and len(parts) == 2:
        for gate, other, single in zip(parts, parts[::-1], alone, strict=True):
            if gate.kind == "dense" and gate.data[2] == "SOFTMAX" and single:
                inputs = (other, gate.inputs[0])
                return replace(node, kind="attention", inputs=inputs, data=gate.data[:2])
    return replace(node, inputs=parts)


def _emit(builder: ModelBuilder, node: Value, parts: list[BufferHandle]) -> BufferHandle:
    data = node.data
    match node.kind:
        case "constant":
            return builder.constant(_floats(node).reshape(-1))
        case "dense":
            return builder.dense(parts[0], *data)
        case "attention":
            return builder.attention(*parts, *data)
        case "activation":
            return builder.activation(parts[0], data)
        case "add_constant":
            return builder.add_elementwise(parts[0], data)
        case "multiply_constant":
            return builder.mul_elementwise(parts[0], data)
        case "clip":
            return builder.clip_elementwise(parts[0], *data)
        case "add":
            return builder.add_buffers(*parts)
        case "multiply":
            return builder.multiply_buffers(*parts)
        case "add_heads":
            return builder.add_heads(*parts)
        case "multiply_heads":
            return builder.multiply_heads(*parts)
        case "reduce_sum":
            return builder.reduce_sum(parts[0])
        case "rearrange":
            return builder.copy_masked(parts[0], data.tolist())
        case "concatenate":
            return builder.concatenate(parts)
        case "lookup":
            return builder.map_transform(parts[0], *data)
    raise AssertionError(node.kind)


# ----------------------------------------------------------------------------------------- private

_FLOAT32 = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))


def _flat(x: Value) -> Value:
    return x.inputs[0] if x.kind == "reshape" else x


def _by_row(x: Value, function: Any, width: int) -> Value:
    """Apply a function of vectors to the vectors along the last axis."""
    lead = x.shape[:-1]
    if math.prod(lead) == 1:
        return reshape(function(reshape(x, x.shape[-1:])), (*lead, width))
    _checked((*lead, width))
    rows = positions_of(x).reshape(-1, x.shape[-1])
    done = [function(rearrange(x, row)) for row in rows]
    return reshape(concatenate(done), (*lead, width))


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise Unsupported(f"axis {axis} of a value of {rank} axes")
    return axis % rank


def _floats(x: Value) -> NDArray[np.float64]:
    if x.data.dtype.kind not in "fiub":
        raise Unsupported(f"constants of type {x.data.dtype}")
    return np.asarray(x.data, np.float64)


def _finite(*arrays: Array) -> None:
    for array in arrays:
        if not np.all(np.abs(array) <= _FLOAT32[1]):
            raise Unsupported("a constant that is no finite float32 number")


def _checked(shape: Shape) -> Shape:
    """Refuse what is larger than a model may be."""
    if math.prod(shape) > DEFAULT_LIMITS.max_weight_count:
        raise Unsupported(f"a value of shape {shape}: too large")
    return tuple(int(size) for size in shape)
