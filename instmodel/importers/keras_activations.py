"""Activations of Keras, as expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Value

# By the name that `keras.activations.get` knows.
ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
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
    "mish": fn.mish,
    "log_sigmoid": fn.log_sigmoid,
    "hard_tanh": lambda x: ex.clip(x, -1.0, 1.0),
    "tanh_shrink": lambda x: ex.subtract(x, ex.activation(x, "TANH")),
    "hard_sigmoid": lambda x: fn.hard_sigmoid(x, 1 / 6, 0.5),
    "hard_silu": lambda x: ex.multiply(x, fn.hard_sigmoid(x, 1 / 6, 0.5)),
    "softsign": fn.softsign,
}


def activation_of(layer: Any) -> Callable[[Value], Value] | None:
    """Return what a layer's activation does, or None if it is none of Keras's own."""
    import keras

    function = getattr(layer, "activation", None)
    if function is None:
        return ACTIVATIONS["linear"]
    name = getattr(function, "__name__", "")
    known = ACTIVATIONS.get(name)
    # A function of one's own may have the same name.
    return known if function is getattr(keras.activations, name, None) else None


def rectified(layer: Any, x: Value) -> Value:
    """Return what a ReLU with a slope, a limit and a threshold makes of x."""
    slope, limit, threshold = layer.negative_slope, layer.max_value, layer.threshold
    if threshold:
        start = ex.constant(float(np.float32(threshold)))
        result = fn.selected(fn.above(x, start), x, ex.constant(0.0))
    else:
        start = ex.constant(0.0)
        result = ex.activation(x, "RELU")
    if limit is not None:
        result = ex.clip(result, 0.0 if threshold else None, float(limit))
    if not slope:
        return result
    below = ex.activation(ex.subtract(start, x), "RELU")
    return ex.subtract(result, ex.multiply(below, ex.constant(np.asarray(slope, float))))
