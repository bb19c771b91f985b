"""ONNX operators that compare and choose, as expressions.

Design
------
A. ONNX keeps booleans apart by their type, so 0 and 1 stand for them without a mark.
B. A comparison of NaN is false, as in ONNX; what is not chosen may be NaN or infinite.
C. What this package's own exporter and PyTorch's write as a choice is recognised, and becomes the
   one instruction that it was.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import ROUNDED, Unsupported, Value
from instmodel.importers.keys import rounded_keys
from instmodel.importers.masks import chosen_by
from instmodel.importers.onnx_context import Node
from instmodel.importers.onnx_ops import Handler
from instmodel.importers.operands import Operand, finite, together
from instmodel.importers.patterns import factor_of, is_opaque, same_numbers, summand_of


def _combined(function: Callable[..., Value]) -> Handler:
    """Handle operands that are combined element by element."""

    def handler(node: Node) -> Operand:
        return function(node, *together([node.operand(i) for i in range(len(node.inputs))]))

    return handler


# ------------------------------------------------------------------------------------- comparisons


def _above(node: Node, a: Value, b: Value) -> Value:
    return node.note(fn.above(a, b), "positive", ex.subtract(a, b))


def _either(node: Node, *parts: Value) -> Value:
    return _not(functools.reduce(ex.multiply, [_not(part) for part in parts]))


def _both(node: Node, *parts: Value) -> Value:
    return node.note(functools.reduce(ex.multiply, parts), "both")


def _differ(node: Node, a: Value, b: Value) -> Value:
    return _not(fn.equal(a, b))


def _not(x: Value) -> Value:
    return ex.activation(x, "INVERSE")


def _negation(node: Node) -> Operand:
    return _not(node.value(0))


def _is_nan(node: Node) -> Operand:
    x = node.value(0)
    return node.note(fn.is_nan(x), "missing", x)


def _is_infinite(node: Node) -> Operand:
    x = node.value(0)
    sides = [x] if node.attributes.get("detect_positive", 1) else []
    if node.attributes.get("detect_negative", 1):
        sides.append(ex.multiply(x, ex.constant(-1.0)))
    largest = ex.constant(float(np.finfo(np.float32).max))
    return functools.reduce(ex.add, [fn.above(side, largest) for side in sides])


# ----------------------------------------------------------------------------------------- choices


def _where(node: Node) -> Operand:
    condition, chosen, other = (node.operand(i) for i in range(3))
    if isinstance(condition, np.ndarray):
        return _by_mask(condition, chosen, other)
    truth, one, two = together([condition, chosen, other])
    if truth.is_constant:
        return _by_mask(truth.data[None], chosen, other)
    special = _special_choice(node, truth, one, two)
    if special is not None:
        return special
    shape = np.broadcast_shapes(truth.shape, one.shape, two.shape)
    wide = (ex.broadcast(part, shape) for part in (truth, _finite(one), _finite(two)))
    return fn.selected(*wide)


def _finite(x: Value) -> Value:
    return ex.constant(finite(x.data)) if x.is_constant else x


def _by_mask(mask: Any, chosen: Any, other: Any) -> Value:
    """Choose by constants: which number comes from where is known."""
    wanted, one, two = together([mask, chosen, other])
    if not wanted.is_constant:
        raise Unsupported("a choice by what is not constant")
    return chosen_by(wanted.data, _finite(one), _finite(two))


def _special_choice(node: Node, truth: Value, chosen: Value, other: Value) -> Value | None:
    """Recognise √x and ln(x + 1) for x > 0, else 0; NaN replaced; a softplus that ends in a line.

    And keys that no int32 holds: a lookup finds none of them.
    """
    if node.noted(truth, "both") is not None and is_opaque(chosen, ROUNDED) and other.is_constant:
        return chosen
    missing = node.noted(truth, "missing")
    if missing is not None and chosen.is_constant and ex.bare(other) is missing:
        return fn.replace_nan(other, chosen.data)
    difference = node.noted(truth, "positive")
    if difference is None:
        return None
    x = ex.reshape(difference, truth.shape)
    if other.is_constant and not np.any(other.data):
        root, logarithm = node.noted(chosen, "sqrt"), node.noted(chosen, "log")
        if root is not None and same_numbers(root, x):
            return ex.activation(x, "SQRT")
        if logarithm is not None:
            argument, one = summand_of(logarithm)
            if one == 1.0 and same_numbers(argument, x):
                return ex.activation(x, "LOG")
    return other if _is_line_beyond_softplus(x, chosen, other) else None


def _is_line_beyond_softplus(difference: Value, chosen: Value, other: Value) -> bool:
    """Whether `other` is ln(1 + e^z), perhaps scaled, and `chosen` is z where `difference` is > 0.

    That is how PyTorch exports a softplus. From 14 on, both are the same in float32.
    """
    softplus, scale = factor_of(other)
    if softplus.kind != "activation" or softplus.data != "SOFTPLUS":
        return False
    z, limit = summand_of(difference)
    (base, factor), (same, slope) = factor_of(z), factor_of(chosen)
    fits = same is base and math.isclose(slope, factor * scale, rel_tol=1e-6)
    return fits and softplus.inputs[0] is z and limit <= -14.0


def _extreme(node: Node, *values: Value) -> Value:
    shape = np.broadcast_shapes(*(item.shape for item in values))
    x, *rest = sorted(values, key=lambda item: item.is_constant)
    x = ex.broadcast(x, shape)
    for item in rest:
        if item.is_constant:
            bounds = (item.data, None) if node.kind == "Max" else (None, item.data)
            x = ex.clip(x, *bounds)
        else:
            pair = fn.larger if node.kind == "Max" else fn.smaller
            x = pair(x, ex.broadcast(item, shape))
    return x


def _thresholded(node: Node) -> Operand:
    x, limit = node.value(0), ex.constant(float(node.attributes.get("alpha", 1.0)))
    return fn.selected(fn.above(x, limit), x, ex.constant(0.0))


def _shrink(node: Node) -> Operand:
    x, bias = node.value(0), ex.constant(float(node.attributes.get("bias", 0.0)))
    limit = float(node.attributes.get("lambd", 0.5))
    below = fn.selected(fn.above(ex.constant(-limit), x), ex.add(x, bias), ex.constant(0.0))
    return fn.selected(fn.above(x, ex.constant(limit)), ex.subtract(x, bias), below)


def _one_hot(node: Node) -> Operand:
    keys, depth = node.value(0), int(np.asarray(node.array(1)).reshape(()))
    off, on = np.asarray(node.array(2), float).tolist()
    ex.checked((*keys.shape, depth, depth))
    rows = dict(enumerate(np.where(np.eye(depth), on, off)))
    rows |= {key - depth: row for key, row in rows.items()}
    numbers = rounded_keys(keys, -depth, depth - 1)
    found = ex.lookup(numbers, rows, np.full(depth, off))
    no_key = ex.clip(numbers, 0.0, 0.0)  # NaN for NaN
    found = ex.add(found, ex.reshape(no_key, (*keys.shape, 1)))
    axis = node.attributes.get("axis", -1) % (len(keys.shape) + 2) - 1
    if axis < 0:
        raise Unsupported("an operation along the batch")
    return ex.rearrange(found, np.moveaxis(ex.positions_of(found), -1, axis))


CHOICE_OPERATORS: dict[str, Handler] = {
    "Greater": _combined(_above),
    "Less": _combined(lambda node, a, b: _above(node, b, a)),
    "GreaterOrEqual": _combined(lambda node, a, b: fn.not_below(a, b)),
    "LessOrEqual": _combined(lambda node, a, b: fn.not_below(b, a)),
    "Equal": _combined(lambda node, a, b: fn.equal(a, b)),
    "And": _combined(_both),
    "Or": _combined(_either),
    "Xor": _combined(_differ),
    "Not": _negation,
    "IsNaN": _is_nan,
    "IsInf": _is_infinite,
    "Where": _where,
    "Max": _combined(_extreme),
    "Min": _combined(_extreme),
    "ThresholdedRelu": _thresholded,
    "Shrink": _shrink,
    "OneHot": _one_hot,
}
