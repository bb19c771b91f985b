"""What the layers and operations of Keras 3 do, as expressions.

A handler takes the layer and what the layer is called with: values without the batch axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keras_activations import activation_of, rectified
from instmodel.importers.keras_encoders import (
    category_encoding,
    discretization,
    hashing,
    integer_lookup,
    normalization,
)
from instmodel.importers.keras_texts import string_lookup, text_vectorization
from instmodel.importers.keys import embedding, to_integers
from instmodel.importers.masks import masked, softmax
from instmodel.importers.operands import operand, sample_axis, together, value_of
from instmodel.importers.torch_choices import is_boolean, numbers_of

Handler = Callable[..., Any]


def has_known_activation(layer: Any) -> bool:
    """Whether handlers know what the activation of a layer does, if it has one."""
    return activation_of(layer) is not None


def _activated(layer: Any, x: Value) -> Value:
    function = activation_of(layer)
    if function is None:
        raise AssertionError(layer.activation)
    return function(x)


def _numbers(variable: Any) -> Any:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)


def _dense(layer: Any, x: Value) -> Value:
    kernel = _numbers(layer.kernel)
    bias = _numbers(layer.bias) if layer.use_bias else None
    return _activated(layer, ex.dense(x, kernel.T, bias))


def _batch_normalization(layer: Any, x: Value) -> Value:
    factor = 1.0 / np.sqrt(_numbers(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        factor = factor * _numbers(layer.gamma)
    shift = -_numbers(layer.moving_mean) * factor
    if layer.center:
        shift = shift + _numbers(layer.beta)
    axis = sample_axis(layer.axis, len(x.shape))
    wide = [1] * len(x.shape)
    wide[axis] = len(factor)
    scaled = ex.multiply(x, ex.constant(factor.reshape(wide)))
    return ex.add(scaled, ex.constant(shift.reshape(wide)))


def _rescaling(layer: Any, x: Value) -> Value:
    return ex.add(ex.multiply(x, ex.constant(layer.scale)), ex.constant(layer.offset))


def _identity(layer: Any, x: Value) -> Value:
    return x


def _softmax(layer: Any, x: Value, mask: Any = None) -> Value:
    axes = np.atleast_1d(layer.axis).tolist()
    if len(axes) != 1:
        raise Unsupported("a softmax over several axes")
    axis = sample_axis(axes[0], len(x.shape))
    if mask is None:
        return softmax(x, axis)
    (shown,) = together([operand(mask), x])[:1]
    if not is_boolean(shown):
        raise Unsupported("a mask of numbers")
    truth = numbers_of(shown)
    done = softmax(masked(x, ex.activation(truth, "INVERSE")), axis)
    return done if truth.is_constant else fn.selected(truth, done, ex.constant(0.0))


def _masking(layer: Any, x: Value) -> Value:
    raise Unsupported("a mask")


def _embedding(layer: Any, x: Value) -> Value:
    return embedding(_numbers(layer.embeddings), to_integers(x))


# ---------------------------------------------------------------------------------------- merging


def _folded(function: Callable[[Value, Value], Value]) -> Handler:
    def handler(layer: Any, inputs: Sequence[Value]) -> Value:
        total = inputs[0]
        for item in inputs[1:]:
            total = function(total, item)
        return total

    return handler


def _average(layer: Any, inputs: Sequence[Value]) -> Value:
    return ex.multiply(_folded(ex.add)(layer, inputs), ex.constant(1.0 / len(inputs)))


def _concatenate(layer: Any, inputs: Sequence[Value], **unused: Any) -> Value:
    return ex.concatenate(inputs, sample_axis(layer.axis, len(inputs[0].shape)))


# ---------------------------------------------------------------------------------- moving numbers


def _reshape(layer: Any, x: Value) -> Value:
    return ex.reshape(x, layer.target_shape)


def _flatten(layer: Any, x: Value) -> Value:
    places = ex.positions_of(x)
    if layer.data_format == "channels_first" and places.ndim:
        places = np.moveaxis(places, 0, -1)
    return ex.rearrange(x, places.reshape(-1))


def _permute(layer: Any, x: Value) -> Value:
    return ex.rearrange(x, ex.positions_of(x).transpose([axis - 1 for axis in layer.dims]))


def _repeat(layer: Any, x: Value) -> Value:
    return ex.rearrange(x, np.tile(ex.positions_of(x), (layer.n, 1)))


def _crop(layer: Any, x: Value) -> Value:
    first, last = layer.cropping
    return ex.rearrange(x, ex.positions_of(x)[first : x.shape[0] - last])


def _average_over_steps(layer: Any, x: Value, mask: Any = None) -> Value:
    if layer.data_format != "channels_last":
        raise Unsupported(f"data_format={layer.data_format!r}")
    if mask is None:
        return ex.reduce_mean(x, [0], layer.keepdims)
    truth = numbers_of(value_of(mask))
    wide = ex.reshape(truth, (*truth.shape, 1))
    total = ex.reduce_sum(fn.selected(wide, x, ex.constant(0.0)), [0], layer.keepdims)
    return ex.divide(total, ex.reduce_sum(wide, [0], layer.keepdims))


def _activation_layer(layer: Any, x: Value) -> Value:
    return _activated(layer, x)


LAYERS: dict[str, Handler] = {
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "Normalization": normalization,
    "Discretization": discretization,
    "CategoryEncoding": category_encoding,
    "IntegerLookup": integer_lookup,
    "StringLookup": string_lookup,
    "TextVectorization": text_vectorization,
    "Hashing": hashing,
    "HashedCrossing": hashing,
    "Rescaling": _rescaling,
    **dict.fromkeys(
        (
            *("InputLayer", "Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
            *("SpatialDropout1D", "ActivityRegularization", "Identity", "TFDIdentity"),
        ),
        _identity,
    ),
    "Activation": _activation_layer,
    "ReLU": rectified,
    "LeakyReLU": lambda layer, x: fn.leaky_relu(x, float(layer.negative_slope)),
    "PReLU": lambda layer, x: fn.leaky_relu(x, _numbers(layer.alpha)),
    "ELU": lambda layer, x: fn.elu(x, float(layer.alpha)),
    "Softmax": _softmax,
    "Embedding": _embedding,
    "Add": _folded(ex.add),
    "Subtract": _folded(ex.subtract),
    "Multiply": _folded(ex.multiply),
    "Average": _average,
    "Concatenate": _concatenate,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Masking": _masking,
    "TFDConcat": _concatenate,
    "Permute": _permute,
    "RepeatVector": _repeat,
    "Cropping1D": _crop,
    "GlobalAveragePooling1D": _average_over_steps,
}
