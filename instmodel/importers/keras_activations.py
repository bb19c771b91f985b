"""Activations of Keras, as expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value

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
    """Return what a ReLU with a slope and limits makes of x."""
    if layer.threshold:
        raise Unsupported(f"threshold={layer.threshold}")
    slope = np.asarray(layer.negative_slope or 0.0, float)
    result = fn.leaky_relu(x, slope) if slope else ex.activation(x, "RELU")
    return result if layer.max_value is None else ex.clip(result, None, float(layer.max_value))
