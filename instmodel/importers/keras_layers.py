"""What the layers and operations of Keras 3 do, as expressions.

A handler takes the layer and what the layer is called with: values without the batch axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keys import embedding, to_integers
from instmodel.importers.operands import sample_axis

Handler = Callable[..., Any]

# By the name that `keras.activations.serialize` gives.
_ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "linear": lambda x: x,
    "relu": lambda x: ex.activation(x, "RELU"),
    "sigmoid": lambda x: ex.activation(x, "SIGMOID"),
    "tanh": lambda x: ex.activation(x, "TANH"),
    "softplus": lambda x: ex.activation(x, "SOFTPLUS"),
    "exponential": lambda x: ex.activation(x, "EXP"),
    "softmax": lambda x: ex.softmax(x),
    "gelu": lambda x: ex.activation(x, "GELU"),
    "elu": lambda x: fn.elu(x),
    "selu": lambda x: ex.multiply(fn.elu(x, fn.SELU_ALPHA), ex.constant(fn.SELU_GAMMA)),
    "leaky_relu": lambda x: fn.leaky_relu(x, 0.2),
    "relu6": lambda x: ex.clip(x, 0.0, 6.0),
    "silu": fn.silu,
    "swish": fn.silu,
    "mish": fn.mish,
    "log_sigmoid": fn.log_sigmoid,
    "hard_tanh": lambda x: ex.clip(x, -1.0, 1.0),
    "hard_sigmoid": lambda x: fn.hard_sigmoid(x, 1 / 6, 0.5),
    "hard_silu": lambda x: ex.multiply(x, fn.hard_sigmoid(x, 1 / 6, 0.5)),
    "hard_swish": lambda x: ex.multiply(x, fn.hard_sigmoid(x, 1 / 6, 0.5)),
}


def _activated(layer: Any, x: Value) -> Value:
    import keras

    function = getattr(layer, "activation", None)
    if function is None:
        return x
    name = keras.activations.serialize(function)
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise Unsupported(f"the activation {name!r}")
    return _ACTIVATIONS[name](x)


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


def _normalization(layer: Any, x: Value) -> Value:
    if getattr(layer, "invert", False):
        raise Unsupported("invert=True")
    deviation = np.maximum(np.sqrt(_numbers(layer.variance)), 1e-7)  # as Keras does
    mean = _numbers(layer.mean)[0]
    return ex.divide(ex.subtract(x, ex.constant(mean)), ex.constant(deviation[0]))


def _rescaling(layer: Any, x: Value) -> Value:
    return ex.add(ex.multiply(x, ex.constant(layer.scale)), ex.constant(layer.offset))


def _identity(layer: Any, x: Value) -> Value:
    return x


def _relu(layer: Any, x: Value) -> Value:
    if layer.threshold:
        raise Unsupported(f"threshold={layer.threshold}")
    slope = float(layer.negative_slope or 0.0)
    result = fn.leaky_relu(x, slope) if slope else ex.activation(x, "RELU")
    return result if layer.max_value is None else ex.clip(result, None, float(layer.max_value))


def _softmax(layer: Any, x: Value) -> Value:
    if not isinstance(layer.axis, int):
        raise Unsupported("a softmax over several axes")
    return ex.softmax(x, sample_axis(layer.axis, len(x.shape)))


def _embedding(layer: Any, x: Value) -> Value:
    if layer.mask_zero:
        raise Unsupported("mask_zero=True")
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
    return ex.reshape(x, (x.size,))


def _permute(layer: Any, x: Value) -> Value:
    return ex.rearrange(x, ex.positions_of(x).transpose([axis - 1 for axis in layer.dims]))


def _repeat(layer: Any, x: Value) -> Value:
    return ex.rearrange(x, np.tile(ex.positions_of(x), (layer.n, 1)))


def _crop(layer: Any, x: Value) -> Value:
    first, last = layer.cropping
    return ex.rearrange(x, ex.positions_of(x)[first : x.shape[0] - last])


def _average_over_steps(layer: Any, x: Value) -> Value:
    if layer.data_format != "channels_last":
        raise Unsupported(f"data_format={layer.data_format!r}")
    return ex.reduce_mean(x, [0], layer.keepdims)


def _time_distributed(layer: Any, x: Value) -> Value:
    # Both work on the last axis by themselves.
    match type(layer.layer).__name__:
        case "Dense":
            return _dense(layer.layer, x)
        case "Activation":
            return _activated(layer.layer, x)
    raise Unsupported(f"{type(layer.layer).__name__} for each step")


def _activation_layer(layer: Any, x: Value) -> Value:
    return _activated(layer, x)


LAYERS: dict[str, Handler] = {
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    **dict.fromkeys(
        (
            *("InputLayer", "Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
            *("SpatialDropout1D", "ActivityRegularization", "Identity"),
        ),
        _identity,
    ),
    "Activation": _activation_layer,
    "ReLU": _relu,
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
    "Permute": _permute,
    "RepeatVector": _repeat,
    "Cropping1D": _crop,
    "GlobalAveragePooling1D": _average_over_steps,
    "TimeDistributed": _time_distributed,
}


# ------------------------------------------------- operations: keras.ops, and operators of tensors


def _operand(x: Any, rank: int) -> Value:
    """Return a constant of an operation as a value, without its batch axis."""
    if isinstance(x, Value):
        return x
    array = np.asarray(x if isinstance(x, int | float) else _numbers(x))
    if array.ndim == rank + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim > rank:
        raise Unsupported("a constant with a row for each sample")
    return ex.constant(array)


def _binary(function: Callable[[Value, Value], Value]) -> Handler:
    def handler(operation: Any, a: Any, b: Any) -> Value:
        rank = max(len(x.shape) for x in (a, b) if isinstance(x, Value))
        return function(_operand(a, rank), _operand(b, rank))

    return handler


def _unary(function: Callable[[Value], Value]) -> Handler:
    return lambda operation, x: function(x)


def _reduce(function: Callable[..., Value]) -> Handler:
    def handler(operation: Any, x: Value, **unused: Any) -> Value:
        if operation.axis is None:
            raise Unsupported("a sum over the batch")
        axes = np.atleast_1d(operation.axis).tolist()
        rank = len(x.shape)
        return function(x, [sample_axis(axis, rank) for axis in axes], operation.keepdims)

    return handler


def _get_item(operation: Any, x: Value, key: Any) -> Value:
    keys = key if isinstance(key, tuple) else (key,)
    if keys[0] is not Ellipsis and keys[0] != slice(None):
        raise Unsupported("an index of the batch")
    rest = keys if keys[0] is Ellipsis else keys[1:]
    if not all(isinstance(item, int | slice | type(Ellipsis) | type(None)) for item in rest):
        raise Unsupported("an index that is no number or slice")
    return ex.rearrange(x, ex.positions_of(x)[rest])


def _clip(operation: Any, x: Value, *limits: Any) -> Value:
    low, high = limits or (operation.x_min, operation.x_max)
    return ex.clip(x, low, high)


def _joined(operation: Any, inputs: Sequence[Value]) -> Value:
    return ex.concatenate(inputs, sample_axis(operation.axis, len(inputs[0].shape)))


def _new_shape(operation: Any, x: Value) -> Value:
    shape = operation.newshape
    if math.prod(size for size in shape[1:] if size not in (-1, None)) <= 0:
        raise Unsupported(f"the shape {shape}")
    return ex.reshape(x, [-1 if size is None else size for size in shape[1:]])


OPERATIONS: dict[str, Handler] = {
    "Add": _binary(ex.add),
    "Subtract": _binary(ex.subtract),
    "Multiply": _binary(ex.multiply),
    "Divide": _binary(ex.divide),
    "TrueDivide": _binary(ex.divide),
    "Negative": _unary(lambda x: ex.multiply(x, ex.constant(-1.0))),
    "Abs": _unary(fn.magnitude),
    "Absolute": _unary(fn.magnitude),
    "Square": _unary(lambda x: ex.multiply(x, x)),
    "Sqrt": _unary(fn.sqrt),
    "Log1p": _unary(fn.log1p),
    "Exp": _unary(_ACTIVATIONS["exponential"]),
    "Sign": _unary(lambda x: ex.activation(x, "SIGN")),
    "Relu": _unary(_ACTIVATIONS["relu"]),
    "Sigmoid": _unary(_ACTIVATIONS["sigmoid"]),
    "Tanh": _unary(_ACTIVATIONS["tanh"]),
    "Silu": _unary(fn.silu),
    "Softplus": _unary(_ACTIVATIONS["softplus"]),
    "Sum": _reduce(ex.reduce_sum),
    "Mean": _reduce(ex.reduce_mean),
    "Clip": _clip,
    "Concatenate": _joined,
    "Reshape": _new_shape,
    "GetItem": _get_item,
}
