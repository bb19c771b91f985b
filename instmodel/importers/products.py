"""Products of tensors, of which one or both depend on the sample."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.operands import Operand, aligned


def matmul(a: Operand, b: Operand) -> Value:
    """Return the matrix product over the last axes, as NumPy defines it; the batch comes first.

    At least one of the two depends on the sample.
    """
    if isinstance(b, np.ndarray) and b.ndim <= 2:
        value = _as_value(a, len(a.shape))
        if b.ndim == 1:
            return ex.reshape(ex.dense(value, b[None]), value.shape[:-1])
        return ex.dense(value, b.T)
    rank = len(a.shape if isinstance(a, Value) else b.shape)
    if isinstance(a, Value) and isinstance(b, Value) and len(a.shape) != len(b.shape):
        raise Unsupported("a product of tensors of different numbers of axes")
    if rank < 2:
        raise Unsupported("a product that sums over the batch")
    one, other = _as_value(a, rank), _as_value(b, rank)
    lead = np.broadcast_shapes(one.shape[:-2], other.shape[:-2])
    one = ex.broadcast(one, (*lead, *one.shape[-2:]))
    other = ex.broadcast(other, (*lead, *other.shape[-2:]))
    if one.shape[-1] != other.shape[-2]:
        raise Unsupported(f"a product of shapes {one.shape} and {other.shape}")
    letters = "".join(chr(ord("a") + i) for i in range(len(lead)))
    return contracted(one, letters + "xy", other, letters + "yz", letters + "xz")


def einsum(equation: str, operands: Sequence[Operand]) -> Value:
    """Return Einstein's sum of two operands; the batch is the first letter, and of the result."""
    inputs, arrow, result = equation.replace(" ", "").partition("->")
    parts = inputs.split(",")
    if "." in equation or not arrow or len(parts) != len(operands) != 1:
        raise Unsupported(f"the einsum {equation!r}")
    batch = {part[0] for part, x in zip(parts, operands, strict=True) if isinstance(x, Value)}
    if len(batch) != 1 or result[:1] not in batch or len(operands) != 2:
        raise Unsupported(f"the einsum {equation!r}")
    first = result[0]
    values, letters = [], []
    for part, x in zip(parts, operands, strict=True):
        own = part.removeprefix(first)
        if len(set(own)) < len(own) or first in own:
            raise Unsupported(f"the einsum {equation!r}")
        values.append(x if isinstance(x, Value) else aligned(x, len(own)))
        letters.append(own)
    return contracted(values[0], letters[0], values[1], letters[1], result[1:])


def _as_value(x: Operand, rank: int) -> Value:
    return x if isinstance(x, Value) else aligned(x, rank)


def contracted(a: Value, a_axes: str, b: Value, b_axes: str, axes: str) -> Value:
    """Return the sum over the axes of a and b that `axes` does not name, of their products."""
    sizes = {**dict(zip(a_axes, a.shape, strict=True)), **dict(zip(b_axes, b.shape, strict=True))}
    summed = [name for name in sizes if name not in axes]
    if not set(axes) <= set(sizes):
        raise Unsupported("a product with an axis that none of its factors has")
    if a.is_constant and not b.is_constant:
        a, a_axes, b, b_axes = b, b_axes, a, a_axes
    shared = [name for name in axes if name in a_axes and name in b_axes]
    if b.is_constant and len(summed) == 1 and summed[0] in a_axes and summed[0] in b_axes:
        return _dense(a, a_axes, b, b_axes, axes, shared, summed[0], sizes)
    order = [*summed, *axes]
    ex.checked(tuple(sizes[name] for name in order))
    count, size = (math.prod(sizes[name] for name in names) for names in (summed, axes))
    if not summed or size <= count:
        product = ex.multiply(_spread(a, a_axes, order, sizes), _spread(b, b_axes, order, sizes))
        return ex.reduce_sum(product, range(len(summed))) if summed else product
    # Term by term: a factor that only repeats its numbers needs no buffer of the product's size.
    ex.check_steps(count)
    lead = [sizes[name] for name in summed]
    terms = [
        ex.multiply(ex.rearrange(a, places), ex.rearrange(b, others))
        for places, others in zip(
            _by_term(_places(a, a_axes, order, sizes), lead),
            _by_term(_places(b, b_axes, order, sizes), lead),
            strict=True,
        )
    ]
    return functools.reduce(ex.add, terms)


def _by_term(places: NDArray[Any], lead: Sequence[int]) -> NDArray[Any]:
    """Return positions over all of the first axes, which become one."""
    rest = places.shape[len(lead) :]
    return np.broadcast_to(places, (*lead, *rest)).reshape(-1, *rest)


def _dense(
    a: Value, a_axes: str, b: Value, b_axes: str, axes: str, shared: list[str], inner: str,
    sizes: dict[str, int],
) -> Value:  # fmt: skip
    """Return a product with constants as dense layers: one for each place of the shared axes."""
    rows = [name for name in a_axes if name != inner and name not in shared]
    columns = [name for name in b_axes if name != inner and name not in shared]
    count = math.prod(sizes[name] for name in shared)
    places = ex.positions_of(a).transpose([a_axes.index(n) for n in (*shared, *rows, inner)])
    weights = ex.floats(b).transpose([b_axes.index(n) for n in (*shared, *columns, inner)])
    ex.check_steps(count)
    pairs = zip(*(x.reshape(count, -1, sizes[inner]) for x in (places, weights)), strict=True)
    done = [ex.dense(ex.rearrange(a, rows_of), matrix) for rows_of, matrix in pairs]
    made = [*shared, *rows, *columns]
    joined = ex.reshape(ex.concatenate(done), [sizes[name] for name in made])
    return ex.rearrange(joined, ex.positions_of(joined).transpose([made.index(n) for n in axes]))


def _spread(x: Value, own: str, order: Sequence[str], sizes: dict[str, int]) -> Value:
    """Return x over all axes of `order`, repeated along those that it has not."""
    wide = _places(x, own, order, sizes)
    return ex.rearrange(x, np.broadcast_to(wide, [sizes[name] for name in order]))


def _places(x: Value, own: str, order: Sequence[str], sizes: dict[str, int]) -> NDArray[Any]:
    """Return the positions of the numbers of x over `order`: size 1 along axes that it has not."""
    places = ex.positions_of(x).transpose([own.index(name) for name in order if name in own])
    return places.reshape([sizes[name] if name in own else 1 for name in order])
