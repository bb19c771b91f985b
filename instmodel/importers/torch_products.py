"""ATen operators that multiply tensors: layers, einsum, attention, convolutions; and their norms.

A handler has the parameters of its operator: operands for tensors, else what the program says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.masks import masked, softmax
from instmodel.importers.products import contracted
from instmodel.importers.torch_choices import is_boolean, numbers_of
from instmodel.importers.torch_functions import added
from instmodel.importers.torch_operands import array_of, value_of

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _linear(x: Any, weight: Any, bias: Any = None) -> Value:
    value, matrix = value_of(x), value_of(weight)
    if matrix.is_constant and (bias is None or value_of(bias).is_constant):
        return ex.dense(value, matrix.data, None if bias is None else array_of(bias))
    turned = ex.rearrange(matrix, ex.positions_of(matrix).T)
    product = matmul(value, turned)
    return product if bias is None else ex.add(product, value_of(bias))


def matmul(a: Any, b: Any) -> Value:
    """Return the matrix product over the last axes, as NumPy defines it."""
    one, other = value_of(a), value_of(b)
    if not one.shape or not other.shape:
        raise Unsupported("a product with a number")
    if other.is_constant and len(other.shape) <= 2:
        matrix = ex.floats(other)
        if matrix.ndim == 1:
            return ex.reshape(ex.dense(one, matrix[None]), one.shape[:-1])
        return ex.dense(one, matrix.T)
    x_axes = "x" * (len(one.shape) > 1)
    z_axes = "z" * (len(other.shape) > 1)
    one_lead, other_lead = one.shape[:-2], other.shape[:-2]
    lead = np.broadcast_shapes(one_lead, other_lead)
    letters = _LETTERS[: len(lead)]
    if one_lead or len(one.shape) > 1:
        one = ex.broadcast(one, (*lead, *one.shape[-2:]))
    if other_lead or len(other.shape) > 1:
        other = ex.broadcast(other, (*lead, *other.shape[-2:]))
    names = letters * bool(x_axes) + x_axes + "y", letters * bool(z_axes) + "y" + z_axes
    return contracted(one, names[0], other, names[1], letters + x_axes + z_axes)


def _addmm(bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    product = ex.multiply(matmul(a, b), value_of(alpha))
    return added(product, bias, alpha=beta)


def _bilinear(a: Any, b: Any, weight: Any, bias: Any = None) -> Value:
    one, other, kernel = value_of(a), value_of(b), array_of(weight)
    rows, columns = (*one.shape, 1), (*other.shape[:-1], 1, other.shape[-1])
    pairs = ex.multiply(ex.reshape(one, rows), ex.reshape(other, columns))
    flat = ex.reshape(pairs, (*one.shape[:-1], -1))
    return ex.dense(flat, kernel.reshape(len(kernel), -1), None if bias is None else array_of(bias))


def _einsum(equation: str, operands: Sequence[Any], **unused: Any) -> Value:
    """Return Einstein's sum, two operands after two; capitals stand for the axes of an ellipsis."""
    inputs, arrow, result = equation.replace(" ", "").partition("->")
    values = [value_of(x) for x in operands]
    terms = []
    for term, x in zip(inputs.split(","), values, strict=True):
        rest = len(x.shape) - len(term.replace("...", ""))
        terms.append(term.replace("...", "".join(chr(ord("Z") - i) for i in range(rest))[::-1]))
    if not arrow:
        joined = "".join(terms)
        result = "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    dots = max((t for t in terms), key=lambda t: sum(c.isupper() for c in t))
    result = result.replace("...", "".join(c for c in dots if c.isupper()))
    if any(len(set(term)) < len(term) for term in terms):
        raise Unsupported(f"the einsum {equation!r}")
    value, letters = values[0], terms[0]
    for i, (other, term) in enumerate(zip(values[1:], terms[1:], strict=True)):
        later = result + "".join(terms[i + 2 :])
        kept = result if i == len(values) - 2 else "".join(
            c for c in dict.fromkeys(letters + term) if c in later
        )  # fmt: skip
        value, letters = contracted(value, letters, other, term, kept), kept
    if letters != result:
        summed = [i for i, c in enumerate(letters) if c not in result]
        value = ex.reduce_sum(value, summed) if summed else value
        left = [c for c in letters if c in result]
        order = [left.index(c) for c in result]
        value = ex.rearrange(value, ex.positions_of(value).transpose(order))
    return value


def _attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Value:  # fmt: skip
    if dropout_p or enable_gqa:
        raise Unsupported("an attention with a dropout or with groups of queries")
    q, k = value_of(query), value_of(key)
    factor = 1.0 / math.sqrt(q.shape[-1]) if scale is None else scale
    turned = ex.rearrange(k, np.swapaxes(ex.positions_of(k), -1, -2))
    scores = ex.multiply(matmul(q, turned), ex.constant(factor))
    if is_causal:
        attn_mask = np.tril(np.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        mask = value_of(attn_mask)
        if is_boolean(mask):
            hidden = ex.activation(numbers_of(mask), "INVERSE")
            scores = masked(scores, hidden, added=True)
        else:
            scores = added(scores, mask)
    return matmul(softmax(scores, -1, otherwise_zero=True), value_of(value))


def _softmax(x: Any, dim: int, *unused: Any, **ignored: Any) -> Value:
    return softmax(value_of(x), dim)


def _conv1d(
    x: Any, weight: Any, bias: Any = None, stride: Any = (1,), padding: Any = (0,),
    dilation: Any = (1,), groups: int = 1,
) -> Value:  # fmt: skip
    """Return one dense layer for each place: zeros of padding multiply no number, not even NaN."""
    value, kernel = value_of(x), array_of(weight)
    if isinstance(padding, str):
        raise Unsupported(f"padding={padding!r}")
    outputs, channels, width = kernel.shape
    places = ex.positions_of(value)[0]  # (C, L)
    length, pad, step, gap = places.shape[1], padding[0], stride[0], dilation[0]
    starts = range(-pad, length + pad - gap * (width - 1), step)
    ex.check_steps(len(starts) * groups)
    zeros = np.zeros(outputs) if bias is None else array_of(bias)
    rows = []
    for start in starts:
        taps = [(i, start + gap * i) for i in range(width) if 0 <= start + gap * i < length]
        for group in range(groups):
            own = slice(group * outputs // groups, (group + 1) * outputs // groups)
            seen = places[group * channels : (group + 1) * channels, [place for _, place in taps]]
            matrix = kernel[own][:, :, [i for i, _ in taps]].reshape(outputs // groups, -1)
            flat = ex.rearrange(value, seen.reshape(-1))
            rows.append(ex.dense(flat, matrix, zeros[own]))
    joined = ex.concatenate(rows)
    table = ex.positions_of(joined).reshape(1, len(starts), outputs)
    return ex.rearrange(joined, table.transpose(0, 2, 1))


# ------------------------------------------------------------------------------------------- norms


def _layer_norm(
    x: Any, sizes: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn: bool = True,
) -> Value:  # fmt: skip
    normed = fn.standardized(value_of(x), range(-len(sizes), 0), eps)
    return _scaled(normed, weight, bias)


def _rms_norm(x: Any, sizes: Sequence[int], weight: Any = None, eps: float | None = None) -> Value:
    small = float(np.finfo(np.float32).eps) if eps is None else eps
    return _scaled(fn.divided_by_root(value_of(x), range(-len(sizes), 0), small), weight, None)


def _group_norm(
    x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn: bool = True,
) -> Value:  # fmt: skip
    value = value_of(x)
    normed = fn.standardized(ex.reshape(value, (groups, -1)), [1], eps)
    return _of_channels(ex.reshape(normed, value.shape), weight, bias)


def _instance_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, use_input_stats: bool,
    momentum: float, eps: float, cudnn: bool,
) -> Value:  # fmt: skip
    if not use_input_stats:
        return _batch_norm(x, weight, bias, mean, variance, False, momentum, eps)
    value = value_of(x)
    return _of_channels(fn.standardized(value, range(2, len(value.shape)), eps), weight, bias)


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float,
    eps: float, cudnn: bool = False,
) -> Value:  # fmt: skip
    if training or mean is None:
        raise Unsupported("a batch norm that depends on the batch")
    factor = 1.0 / np.sqrt(np.asarray(array_of(variance), np.float64) + eps)
    factor = factor if weight is None else factor * array_of(weight)
    shift = -array_of(mean) * factor + (0.0 if bias is None else array_of(bias))
    return _of_channels(value_of(x), factor, shift)


def _of_channels(x: Value, weight: Any, bias: Any) -> Value:
    """Return weight · x + bias, a number for each channel: the axis behind the batch."""
    wide = (-1,) + (1,) * (len(x.shape) - 2)
    parts = [None if part is None else array_of(part).reshape(wide) for part in (weight, bias)]
    return _scaled(x, *parts)


def _scaled(x: Value, weight: Any, bias: Any) -> Value:
    scaled = x if weight is None else ex.multiply(x, value_of(weight))
    return scaled if bias is None else ex.add(scaled, value_of(bias))


def _dropout(x: Any, p: float, train: bool) -> Any:
    if train:
        raise Unsupported("a dropout in training mode")
    return x


def _first(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler for an operator that gives more than its result."""
    return lambda *arguments, **named: [function(*arguments, **named), None, None]


PRODUCTS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    **dict.fromkeys(("mm", "mv", "bmm", "matmul", "dot"), matmul),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _addmm),
    "bilinear": _bilinear,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("softmax", "_softmax"), _softmax),
    "conv1d": _conv1d,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    "native_layer_norm": _first(_layer_norm),
    "native_dropout": _first(_dropout),
    "_native_batch_norm_legit_no_training": _first(
        lambda x, weight, bias, mean, variance, momentum, eps: _batch_norm(
            x, weight, bias, mean, variance, False, momentum, eps
        )
    ),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout"), _dropout),
}
