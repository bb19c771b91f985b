"""Masks: choices by constants, and scores that are hidden from a softmax.

Those are -∞, which no constant of a document is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.patterns import is_opaque, under_moves

_MASKED = "masked"
# Far below every score, and not so far that a difference overflows: e to it is 0.
_HIDDEN = -1e38


def chosen_by(mask: NDArray[Any], one: Value, other: Value) -> Value:
    """Return `one` where a constant mask is true, else `other`: only numbers move."""
    shape = np.broadcast_shapes(mask.shape, one.shape, other.shape)
    parts = [ex.broadcast(part, shape) for part in (one, other)]
    places = ex.positions_of(parts[0])
    both = ex.concatenate([ex.reshape(part, (-1,)) for part in parts])
    return ex.rearrange(both, np.where(mask, places, places + places.size))


def masked(scores: Value, flags: Value, added: bool = False) -> Value:
    """Return scores for `softmax`, which are -∞ where a flag is 1.

    With `added`, -∞ is added there: NaN stays.
    """
    shape = np.broadcast_shapes(scores.shape, flags.shape)
    scores, flags = ex.broadcast(scores, shape), ex.broadcast(flags, shape)
    hidden = ex.clip(scores, _HIDDEN, _HIDDEN) if added else ex.constant(np.full(shape, _HIDDEN))
    if flags.is_constant:
        shown = chosen_by(flags.data.astype(bool), hidden, scores)
    else:
        shown = fn.selected(flags, hidden, scores)
    return ex.opaque(shape, [shown, flags], "infinite scores, other than of a softmax", _MASKED)


def is_masked(x: Value) -> bool:
    """Whether there are scores of -∞ in x."""
    return any(is_opaque(node, _MASKED) for node in ex.ordered(x, ex.MOVES))


def add_mask(scores: Value, mask: Value) -> Value:
    """Return scores + mask, where the mask has -∞ in it."""
    hidden, flags = _parts(mask)
    others = ex.add(hidden, ex.multiply(flags, ex.constant(-_HIDDEN)))
    return masked(ex.add(scores, others), flags, added=True)


def softmax(x: Value, axis: int, otherwise_zero: bool = False) -> Value:
    """Return the softmax along an axis; where a mask hides all scores NaN, or 0 if asked for."""
    if not is_masked(x):
        return ex.softmax(x, axis)
    scores, flags = _parts(x)
    done = ex.softmax(scores, axis)
    if flags.is_constant:
        if np.any(np.all(flags.data, axis)):
            raise Unsupported("a softmax of scores that a mask hides all")
        return done
    shown = ex.reduce_sum(ex.activation(flags, "INVERSE"), [axis % len(x.shape)], True)
    if otherwise_zero:
        return ex.multiply(done, ex.activation(shown, "SIGN"))
    return ex.add(done, ex.multiply(ex.activation(shown, "RECIPROCAL"), ex.constant(0.0)))


def _parts(x: Value) -> tuple[Value, Value]:
    """Return scores with a very small number for -∞, and a flag for each."""
    return (
        under_moves(x, lambda node: _part(node, 0)),
        under_moves(x, lambda node: _part(node, 1)),
    )


def _part(node: Value, which: int) -> Value:
    if is_opaque(node, _MASKED):
        return ex.reshape(node.inputs[which], node.shape)
    return ex.constant(np.zeros(node.shape)) if which else node
