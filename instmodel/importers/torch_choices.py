"""ATen operators that compare and choose, and what becomes of booleans, as expressions.

Design
------
A. A boolean tensor is an opaque value over 0 and 1: what takes it as numbers finds them there, and
   arithmetic of booleans, which is another one, is refused.
B. NaN compares as NaN, not as false: no number that looks valid comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value, bare
from instmodel.importers.keys import to_integers
from instmodel.importers.operands import Operand, operand, together
from instmodel.importers.patterns import is_opaque, under_moves

_TRUTH, _MISSING = "truth", "missing"


def numbers_of(x: Operand) -> Operand:
    """Return 0 and 1 for a boolean tensor, else the tensor itself."""
    if not isinstance(x, Value):
        return x.astype(np.float64) if x.dtype == bool else x
    return under_moves(
        x, lambda node: ex.reshape(node.inputs[0], node.shape) if _is_truth(node) else node
    )


def is_boolean(x: Operand) -> bool:
    """Whether a tensor holds booleans."""
    if not isinstance(x, Value):
        return x.dtype == bool
    return any(_is_truth(node) for node in ex.ordered(x, ex.MOVES))


def _is_truth(x: Value) -> bool:
    return is_opaque(x, _TRUTH) or is_opaque(x, _MISSING)


def _truth(numbers: Value, name: str = _TRUTH, *more: Value) -> Value:
    return ex.opaque(numbers.shape, [numbers, *more], "booleans in the place of numbers", name)


def _truths(x: Any) -> Value:
    """Return 0 and 1 for booleans; nothing else is taken for them."""
    item = operand(x)
    if not is_boolean(item):
        raise Unsupported("a logical operation on numbers")
    (value,) = together([numbers_of(item)])
    return value


def _compared(make: Callable[[Value, Value], Value]) -> Callable[..., Value]:
    def handler(a: Any, b: Any) -> Value:
        one, other = together([numbers_of(operand(a)), numbers_of(operand(b))])
        return _truth(make(one, other))

    return handler


def _above(a: Value, b: Value) -> Value:
    return fn.positive(ex.subtract(a, b))


def _differs(a: Value, b: Value) -> Value:
    sign = ex.activation(ex.subtract(a, b), "SIGN")
    return ex.multiply(sign, sign)


def _not(x: Value) -> Value:
    return ex.activation(x, "INVERSE")


def _is_nan(x: Any) -> Value:
    (value,) = together([operand(x)])
    return _truth(fn.is_nan(value), _MISSING, value)


def _where(condition: Any, chosen: Any, other: Any) -> Value:
    asked = operand(condition)
    if not isinstance(asked, Value):
        return _by_mask(asked, chosen, other)
    if not is_boolean(asked):
        raise Unsupported("a choice by numbers")
    truth, one, two = together([numbers_of(asked), operand(chosen), operand(other)])
    if is_opaque(asked, _MISSING) and one.is_constant and asked.inputs[1] is bare(two):
        return fn.replace_nan(two, one.data)
    return _selected(truth, one, two)


def _by_mask(mask: Any, chosen: Any, other: Any) -> Value:
    """Choose by constants: which number comes from where is known."""
    shape, one, two = together([operand(mask), operand(chosen), operand(other)])
    wide = np.broadcast_shapes(shape.shape, one.shape, two.shape)
    parts = [ex.reshape(ex.broadcast(part, wide), (-1,)) for part in (one, two)]
    places = np.arange(parts[0].size).reshape(wide)
    chosen_places = np.where(shape.data, places, places + places.size)
    return ex.rearrange(ex.concatenate(parts), chosen_places)


def _selected(truth: Value, one: Value, other: Value) -> Value:
    """Return `one` where truth is 1, and `other` where it is 0: exact for finite numbers."""
    return ex.add(ex.multiply(truth, one), ex.multiply(_not(truth), other))


def _extreme(largest: bool) -> Callable[..., Value]:
    def handler(a: Any, b: Any) -> Value:
        one, other = together([operand(a), operand(b)])
        one, other = (other, one) if one.is_constant else (one, other)
        if other.is_constant:
            limits = (other.data, None) if largest else (None, other.data)
            shape = np.broadcast_shapes(one.shape, other.shape)
            return ex.clip(ex.broadcast(one, shape), *limits)
        truth = _above(one, other) if largest else _above(other, one)
        return _selected(truth, one, other)

    return handler


def _nan_to_num(
    x: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Value:
    (value,) = together([operand(x)])
    largest = float(np.finfo(np.float32).max)
    if posinf not in (None, largest) or neginf not in (None, -largest):
        raise Unsupported("other numbers in the place of infinities")
    return ex.clip(fn.replace_nan(value, nan or 0.0), -largest, largest)


def _to(x: Any, *arguments: Any, dtype: Any = None, **unused: Any) -> Operand:
    wanted = dtype or next((a for a in arguments if hasattr(a, "is_floating_point")), None)
    if not isinstance(x, Value):
        return np.asarray(x)
    if wanted is None:
        return x
    name = str(wanted).removeprefix("torch.")
    if name == "bool":
        return x if is_boolean(x) else _truth(_differs(x, ex.constant(0.0)))
    numbers = numbers_of(x)
    if name in ("int32", "int64") and isinstance(numbers, Value):
        return to_integers(numbers)
    if name not in ("float32", "float64"):
        raise Unsupported(f"a conversion to {wanted}")
    return numbers


def _either(a: Value, b: Value) -> Value:
    return _not(ex.multiply(_not(a), _not(b)))


CHOICES: dict[str, Callable[..., Any]] = {
    "to": _to,
    "_to_copy": _to,
    "gt": _compared(_above),
    "lt": _compared(lambda a, b: _above(b, a)),
    "ge": _compared(lambda a, b: _not(_above(b, a))),
    "le": _compared(lambda a, b: _not(_above(a, b))),
    "ne": _compared(_differs),
    "eq": _compared(lambda a, b: _not(_differs(a, b))),
    **{
        name: lambda a, b: _truth(ex.multiply(_truths(a), _truths(b)))
        for name in ("logical_and", "bitwise_and", "__and__")
    },
    **{
        name: lambda a, b: _truth(_either(_truths(a), _truths(b)))
        for name in ("logical_or", "bitwise_or", "__or__")
    },
    **{name: lambda x: _truth(_not(_truths(x))) for name in ("logical_not", "bitwise_not")},
    "isnan": _is_nan,
    "where": _where,
    "masked_fill": lambda x, mask, value: _where(mask, value, x),
    "nan_to_num": _nan_to_num,
    "maximum": _extreme(largest=True),
    "minimum": _extreme(largest=False),
}
