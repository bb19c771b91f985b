"""ATen operators that look numbers up, as expressions.

A handler has the parameters of its operator: operands for tensors, else what the program says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keys import embedding
from instmodel.importers.torch_operands import array_of, value_of
from instmodel.importers.torch_reductions import REDUCTIONS


def _embedding(table: Any, keys: Any, *unused: Any) -> Value:
    return embedding(array_of(table), value_of(keys))


def _index(x: Any, indexes: Sequence[Any]) -> Any:
    """Look computed keys up in a constant; what only moves numbers is done elsewhere."""
    computed = [i for i, index in enumerate(indexes) if isinstance(index, Value)]
    if not computed or isinstance(x, Value):
        return NotImplemented
    if len(computed) > 1 or sum(index is not None for index in indexes) > 1:
        raise Unsupported("a lookup along several axes of a table")
    (axis,) = computed
    table = np.moveaxis(array_of(x), axis, 0)
    keys = indexes[axis]
    rows = _embedding(table.reshape(len(table), -1), keys)
    split = ex.reshape(rows, (*keys.shape, *table.shape[1:]))
    order = list(range(len(keys.shape), len(split.shape)))
    order[axis:axis] = range(len(keys.shape))
    return ex.rearrange(split, ex.positions_of(split).transpose(order))


def _embedding_bag(
    table: Any, keys: Any, offsets: Any, scale: bool = False, mode: int = 0, sparse: bool = False,
    weights: Any = None, last: bool = False, padding: int = -1,
) -> list[Value]:  # fmt: skip
    if isinstance(offsets, Value) or np.any(np.asarray(offsets) != 0) or len(offsets) != 1:
        raise Unsupported("bags of different sizes")
    matrix = array_of(table)
    if padding is not None and padding >= 0:
        if mode != 0:
            raise Unsupported("a padding_idx of a bag that is no sum")
        matrix = matrix.copy()
        matrix[padding] = 0.0
    rows = _embedding(matrix, keys)
    if weights is not None:
        rows = ex.multiply(rows, ex.reshape(value_of(weights), (-1, 1)))
    pooled = REDUCTIONS[("sum", "mean", "amax")[mode]](rows, 0, True)
    return [pooled, *[ex.unknown(())] * 3]


def _one_hot(keys: Any, classes: int = -1) -> Value:
    if classes < 0:
        raise Unsupported("one_hot without num_classes")
    return embedding(np.eye(classes), value_of(keys))


def _bucketize(x: Any, edges: Any, *, right: bool = False, **unused: Any) -> Value:
    """Return how many edges lie below x; all of them for NaN, which PyTorch takes for large."""
    value, limits = value_of(x), array_of(edges).astype(np.float64)
    if limits.ndim != 1 or np.any(np.diff(limits) < 0):
        raise Unsupported("boundaries that are not in order, or not the same for all")
    wide = ex.reshape(value, (*value.shape, 1))
    above = (fn.above if right else fn.not_below)(ex.constant(limits), wide)
    below = ex.activation(above, "INVERSE")
    return ex.reduce_sum(below, [len(value.shape)])


def _searchsorted(
    edges: Any, x: Any, *, right: bool = False, side: Any = None, sorter: Any = None, **unused: Any
) -> Value:
    if sorter is not None:
        raise Unsupported("boundaries with a sorter")
    return _bucketize(x, edges, right=right or side == "right")


LOOKUPS: dict[str, Callable[..., Any]] = {
    "embedding": _embedding,
    "embedding_bag": _embedding_bag,
    "index": _index,
    "one_hot": _one_hot,
    "bucketize": _bucketize,
    "searchsorted": _searchsorted,
}
