"""ATen operators that compare and choose, and what becomes of booleans, as expressions.

Design
------
A. A boolean tensor is an opaque value over 0 and 1: what takes it as numbers finds them there.
B. As in PyTorch, every comparison with NaN is false, but `!=`. SQRT makes that: √SIGN(x) is 1 for
   x > 0, and 0 for all else, NaN too.
C. A choice gives what PyTorch gives even if what is not chosen is NaN or infinite.
   Scores of -∞ are kept for a softmax alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value, bare
from instmodel.importers.keys import clipped, to_integers
from instmodel.importers.masks import chosen_by, masked
from instmodel.importers.patterns import is_opaque, under_moves
from instmodel.importers.torch_operands import Operand, value_of

_TRUTH, _MISSING = "truth", "missing"


def numbers_of(x: Value) -> Value:
    """Return 0 and 1 for a boolean tensor, else the tensor itself."""
    if x.is_constant:
        return ex.constant(x.data.astype(np.float64)) if x.data.dtype == bool else x
    return under_moves(
        x, lambda node: ex.reshape(node.inputs[0], node.shape) if _is_truth(node) else node
    )


def is_boolean(x: Value) -> bool:
    """Whether a tensor holds booleans."""
    if x.is_constant:
        return bool(x.data.dtype == bool)
    return any(_is_truth(node) for node in ex.ordered(x, ex.MOVES))


def _is_truth(x: Value) -> bool:
    return is_opaque(x, _TRUTH) or is_opaque(x, _MISSING)


def truth_of(numbers: Value, name: str = _TRUTH, *more: Value) -> Value:
    """Return the booleans of 0 and 1."""
    return ex.opaque(numbers.shape, [numbers, *more], "booleans in the place of numbers", name)


def _truths(x: Any) -> Value:
    """Return 0 and 1 for booleans; nothing else is taken for them."""
    value = value_of(x)
    if not is_boolean(value):
        raise Unsupported("a logical operation on numbers")
    return numbers_of(value)


def boolean_product(a: Value, b: Value) -> Value:
    """Return whether both are true."""
    return truth_of(ex.multiply(numbers_of(a), numbers_of(b)))


def boolean_sum(a: Value, b: Value) -> Value:
    """Return whether one is true."""
    neither = ex.multiply(_not(numbers_of(a)), _not(numbers_of(b)))
    return truth_of(_not(neither))


# ------------------------------------------------------------------------------------- comparisons


def _not(x: Value) -> Value:
    return ex.activation(x, "INVERSE")


def _compared(make: Callable[[Value, Value], Value]) -> Callable[..., Value]:
    def handler(a: Any, b: Any) -> Value:
        return truth_of(make(numbers_of(value_of(a)), numbers_of(value_of(b))))

    return handler


def larger(a: Value, b: Value) -> Value:
    """Return the larger of two numbers, NaN if one of them is."""
    return _limited(a, b, True)


def smaller(a: Value, b: Value) -> Value:
    """Return the smaller of two numbers, NaN if one of them is."""
    return _limited(a, b, False)


def _limited(a: Value, b: Value, largest: bool) -> Value:
    a, b = (b, a) if a.is_constant else (a, b)
    if not b.is_constant:
        return fn.larger(a, b) if largest else fn.smaller(a, b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    return clipped(ex.broadcast(a, shape), *((b.data, None) if largest else (None, b.data)))


def _is_nan(x: Any) -> Value:
    value = value_of(x)
    return truth_of(fn.is_nan(value), _MISSING, value)


def _is_finite(x: Any) -> Value:
    value = value_of(x)
    return truth_of(fn.equal(ex.multiply(value, ex.constant(0.0)), ex.constant(0.0)))


# ----------------------------------------------------------------------------------------- choices


def _where(condition: Any, chosen: Any, other: Any) -> Value:
    asked = value_of(condition)
    if not is_boolean(asked):
        raise Unsupported("a choice by numbers")
    one, two = value_of(chosen), value_of(other)
    if asked.is_constant:
        return _by_mask(asked, one, two)
    truth = numbers_of(asked)
    for scores, least, hides in ((two, one, truth), (one, two, _not(truth))):
        if least.is_constant and np.all(np.isneginf(ex.floats(least))):
            return masked(scores, hides)
    if is_opaque(asked, _MISSING) and one.is_constant and asked.inputs[1] is bare(two):
        return fn.replace_nan(two, one.data)
    return fn.selected(truth, numbers_of(one), numbers_of(two))


def _by_mask(mask: Value, one: Value, two: Value) -> Value:
    """Choose by constants: which number comes from where is known."""
    wide = np.broadcast_shapes(mask.shape, one.shape, two.shape)
    for scores, least, hides in ((two, one, mask.data), (one, two, ~mask.data)):
        if least.is_constant and np.all(np.isneginf(ex.floats(least))):
            return masked(ex.broadcast(scores, wide), ex.constant(hides))
    return chosen_by(mask.data, one, two)


def _index_put(x: Any, indexes: Any, values: Any, accumulate: bool = False) -> Any:
    """Put a number where a computed mask is true; constant places are for what moves numbers."""
    if accumulate:
        raise Unsupported("an index_put that adds")
    if not any(isinstance(index, Value) for index in indexes):
        return NotImplemented
    if len(indexes) != 1 or not is_boolean(indexes[0]) or value_of(values).size != 1:
        raise Unsupported("an index that is not constant")
    return _where(indexes[0], ex.reshape(value_of(values), ()), x)


def _nan_to_num(
    x: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Value:
    largest = float(np.finfo(np.float32).max)
    if posinf not in (None, largest) or neginf not in (None, -largest):
        raise Unsupported("other numbers in the place of infinities")
    return ex.clip(fn.replace_nan(value_of(x), nan or 0.0), -largest, largest)


def converted(x: Operand, name: str) -> Value:
    """Return a tensor as another type, whose name is PyTorch's."""
    value = value_of(x)
    if name == "bool":
        return value if is_boolean(value) else truth_of(_not(fn.equal(value, ex.constant(0.0))))
    numbers = numbers_of(value)
    if name in ("int32", "int64"):
        return numbers if is_boolean(value) else to_integers(numbers)
    if name not in ("float32", "float64"):
        raise Unsupported(f"a conversion to torch.{name}")
    return numbers


CHOICES: dict[str, Callable[..., Any]] = {
    "gt": _compared(fn.above),
    "lt": _compared(lambda a, b: fn.above(b, a)),
    "ge": _compared(fn.not_below),
    "le": _compared(lambda a, b: fn.not_below(b, a)),
    "ne": _compared(lambda a, b: _not(fn.equal(a, b))),
    "eq": _compared(fn.equal),
    **{
        name: lambda a, b: boolean_product(_as_truth(a), _as_truth(b))
        for name in ("logical_and", "bitwise_and", "__and__")
    },
    **{
        name: lambda a, b: boolean_sum(_as_truth(a), _as_truth(b))
        for name in ("logical_or", "bitwise_or", "__or__")
    },
    "logical_xor": _compared(lambda a, b: _not(fn.equal(a, b))),
    **{name: lambda x: truth_of(_not(_truths(x))) for name in ("logical_not", "bitwise_not")},
    "index_put": _index_put,
    "isnan": _is_nan,
    "isfinite": _is_finite,
    "where": _where,
    "masked_fill": lambda x, mask, value: _where(mask, value, x),
    "nan_to_num": _nan_to_num,
    "maximum": lambda a, b: larger(value_of(a), value_of(b)),
    "minimum": lambda a, b: smaller(value_of(a), value_of(b)),
}


def _as_truth(x: Any) -> Value:
    _truths(x)
    return value_of(x)
