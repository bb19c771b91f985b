"""Keras models of the zoo."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

if not find_spec("tensorflow"):
    os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from keras import layers
from support.zoo import Case, Source

import instmodel as im


def network(make: Callable[[], keras.Model], rows: np.ndarray) -> Callable[[], Source]:
    """Return what makes the source of a model with one input of float32 rows."""

    def source() -> Source:
        keras.utils.set_random_seed(0)
        model = make()

        def scores(table: np.ndarray) -> np.ndarray:
            return keras.ops.convert_to_numpy(model(table, training=False))

        return Source(rows, scores, lambda: im.importers.from_keras(model))

    return source


def numbers(columns: int, rows: int = 300) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


CASES = [
    Case(
        "MLP",
        "feed-forward networks",
        network(
            lambda: keras.Sequential(
                [
                    keras.Input((8,)),
                    layers.Dense(16, activation="relu"),
                    layers.Dense(1, activation="sigmoid"),
                ]
            ),
            numbers(8),
        ),
    ),
]
