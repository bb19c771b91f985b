"""ONNX operators that divide by a norm or a deviation, as expressions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.onnx_context import Node
from instmodel.importers.onnx_ops import Handler
from instmodel.importers.operands import Operand, together


def _layer_norm(node: Node) -> Operand:
    x = node.value(0)
    first = node.axis(node.attributes.get("axis", -1), len(x.shape))
    axes, eps = range(first, len(x.shape)), node.attributes.get("epsilon", 1e-5)
    function = fn.standardized if node.kind == "LayerNormalization" else fn.divided_by_root
    return _scaled(node, function(x, axes, eps))


def _scaled(node: Node, x: Value) -> Value:
    x, scale = together([x, node.operand(1)])
    x = ex.multiply(x, scale)
    return ex.add(*together([x, node.operand(2)])) if node.has(2) else x


def _group_norm(node: Node) -> Operand:
    """Standardize groups of channels, which come first; in an instance norm, each channel."""
    x = node.value(0)
    channels = x.shape[0]
    groups = int(node.attributes.get("num_groups", channels))
    if groups < 1 or channels % groups:
        raise Unsupported(f"{groups} groups of {channels} channels")
    grouped = ex.reshape(x, (groups, -1))
    normed = ex.reshape(
        fn.standardized(grouped, [1], node.attributes.get("epsilon", 1e-5)), x.shape
    )
    scale, shift = (ex.constant(node.array(i)) for i in (1, 2))
    for part, function in ((scale, ex.multiply), (shift, ex.add)):
        each = ex.positions_of(part).repeat(channels // part.size)  # old opsets: for each group
        normed = function(
            normed, ex.reshape(ex.rearrange(part, each), (channels, *[1] * (len(x.shape) - 1)))
        )
    return normed


def _lp_norm(node: Node) -> Operand:
    x = node.value(0)
    axis = node.axis(node.attributes.get("axis", -1), len(x.shape))
    return divided_or_kept(x, fn.norm(x, [axis], True, node.attributes.get("p", 2)))


def divided_or_kept(x: Value, size: Value) -> Value:
    """Return x divided by a size, itself where that is 0."""
    is_zero = ex.activation(fn.magnitude(ex.activation(size, "SIGN")), "INVERSE")
    return ex.divide(x, ex.add(size, is_zero))


def normalizer(node: Node) -> Operand:
    """Handle the Normalizer of ai.onnx.ml."""
    x = node.value(0)
    kind = node.attributes.get("norm", b"MAX")
    if kind == b"L1" and node.noted(x, "shares") is not None:
        return x  # probabilities have the sum 1 already
    if kind == b"MAX":
        # ONNX Runtime passes NaN over.
        known = fn.replace_nan(x, float(np.finfo(np.float32).min))
        return divided_or_kept(x, fn.largest_over(known, [-1], True))
    orders = {b"L1": 1.0, b"L2": 2.0}
    return divided_or_kept(x, fn.norm(x, [-1], True, orders.get(kind, math.nan)))


NORM_OPERATORS: dict[str, Handler | Any] = {
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _group_norm,
    "LpNormalization": _lp_norm,
}
