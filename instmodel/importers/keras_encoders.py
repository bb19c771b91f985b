"""Layers of Keras that encode numbers and categories before a network, as expressions."""

from __future__ import annotations

from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keras_ops import digitized, reached
from instmodel.importers.keras_shapes import multi_hot, refuses_beyond
from instmodel.importers.keys import one_hot, rounded_keys, to_integers


def normalization(layer: Any, x: Value) -> Value:
    """Return what Normalization makes of x."""
    mean, variance = (
        np.asarray(_array(item), np.float64)[0] for item in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), 1e-7)  # as Keras does
    if getattr(layer, "invert", False):
        return ex.add(ex.multiply(x, ex.constant(deviation)), ex.constant(mean))
    return ex.divide(ex.subtract(x, ex.constant(mean)), ex.constant(deviation))


def _array(variable: Any) -> Any:
    import keras

    return keras.ops.convert_to_numpy(variable)


def discretization(layer: Any, x: Value) -> Value:
    """Return the bins of numbers, or their encoding."""
    bins = layer.bin_boundaries
    if not bins:
        raise Unsupported("no boundaries: call adapt() first")
    if layer.output_mode == "int":
        return digitized(x, bins)
    count = len(bins) + 1
    # A number is in the bin that it reaches, but not the next.
    step = np.eye(count, count - 1, -1) - np.eye(count, count - 1)
    rows = ex.dense(reached(x, bins), step, np.eye(count)[0])
    if layer.output_mode == "one_hot":
        return without_single_axis(rows)
    if not x.shape:
        raise Unsupported("an operation along the batch")
    if layer.output_mode == "multi_hot":
        return fn.largest_over(rows, [0])
    return ex.reduce_sum(rows, [0])


def category_encoding(layer: Any, x: Value, count_weights: Value | None = None) -> Value:
    """Return whole numbers as places with 1."""
    return _encoded(x, layer.output_mode, layer.num_tokens, count_weights)


def _encoded(x: Value, mode: str, count: int, weights: Value | None = None) -> Value:
    if mode == "multi_hot":
        return multi_hot(x, count)
    rows = one_hot(to_integers(x), count, refuses_beyond())
    if mode == "one_hot":
        return without_single_axis(rows)
    if mode != "count" or not x.shape:
        raise Unsupported(f"output_mode={mode!r}")
    if weights is not None:
        rows = ex.multiply(rows, ex.reshape(weights, (*weights.shape, 1)))
    return ex.reduce_sum(rows, [0])


def without_single_axis(rows: Value) -> Value:
    """Return rows (..., 1, places) without that axis, as Keras does."""
    single = len(rows.shape) > 1 and rows.shape[-2] == 1
    return ex.reshape(rows, (*rows.shape[:-2], rows.shape[-1])) if single else rows


def integer_lookup(layer: Any, x: Value) -> Value:
    """Return the places of whole numbers in a vocabulary, or their encoding."""
    mode, masked = layer.output_mode, layer.mask_token is not None
    if layer.invert or layer.num_oov_indices != 1 or (masked and mode != "int"):
        raise Unsupported("invert, a mask that is encoded, or not one place for what is unknown")
    first = 2 if masked else 1
    words = [int(word) for word in layer.get_vocabulary(include_special_tokens=False)]
    places = {word: [float(place)] for place, word in enumerate(words, first)}
    if masked:
        places[int(layer.mask_token)] = [0.0]
    if not places:
        raise Unsupported("no vocabulary: call adapt() first")
    keys = rounded_keys(to_integers(x), min(places), max(places))
    table = {word: np.array(place) for word, place in places.items()}
    found = ex.reshape(ex.lookup(keys, table, [first - 1.0]), x.shape)
    if mode == "int":
        return found
    size = layer.max_tokens if layer.pad_to_max_tokens else layer.vocabulary_size()
    return _encoded(found, mode, size)


def hashing(layer: Any, x: Value) -> Value:
    """Refuse to hash: a lookup knows only so many numbers."""
    raise Unsupported(
        "a hash of any number or text; hash before the model, or look up what is known: numbers by "
        "an Embedding, text by a StringLookup"
    )
