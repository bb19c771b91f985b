"""What makes the sources of Keras models for the zoo."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

if not find_spec("tensorflow"):
    os.environ.setdefault("KERAS_BACKEND", "torch")

import keras

import instmodel as im
from support.zoo import Case, Source


def network(
    make: Callable[[], keras.Model],
    rows: np.ndarray,
    *,
    split: Callable[[np.ndarray], Any] = lambda table: table,
    keys: Mapping[int, range] | None = None,
    outputs: Sequence[int] | None = None,
    **options: Any,
) -> Callable[[], Source]:
    """Return what makes the source of a model.

    Parameters
    ----------
    make : callable
        Returns the model, untrained; biases and statistics get numbers here.
    rows : (N, F) float32
    split : callable
        Returns what the model is called with, for rows.
    keys : mapping from int to range, optional
        Columns of which only these are keys. PyTorch raises an error for others, so such rows count
        as refused here.
    outputs : sequence of int, optional
        Positions of those that are imported, by default all.
    options
        For `from_keras`.
    """

    def source() -> Source:
        keras.utils.set_random_seed(0)
        model = make()
        model(split(rows[:2]), training=False)
        stir(model)

        def scores(table: np.ndarray) -> np.ndarray:
            bad = np.zeros(len(table), bool)
            for column, known in (keys or {}).items():
                whole = np.trunc(table[:, column])
                bad |= ~((whole >= known.start) & (whole < known.stop))
            safe = np.where(bad[:, None], rows[0], table).astype(np.float32)
            found = keras.tree.flatten(model(split(safe), training=False))
            taken = [found[i] for i in (range(len(found)) if outputs is None else outputs)]
            parts = [keras.ops.convert_to_numpy(x).reshape(len(table), -1) for x in taken]
            return np.where(bad[:, None], np.nan, np.concatenate(parts, axis=1))

        return Source(rows, scores, lambda: im.importers.from_keras(model, **options))

    return source


def functional(size: int, function: Callable[[Any], Any], dtype: str = "float32") -> keras.Model:
    """Return what a function makes of an input of some numbers."""
    x = keras.Input((size,), dtype=dtype, name="x")
    return keras.Model(x, function(x))


def layered(
    name: str,
    kind: str,
    function: Callable[[Any], Any],
    rows: np.ndarray | None = None,
    size: int = 8,
    refused: tuple[str, ...] = (),
    reach: float = 300.0,
    **options: Any,
) -> Case:
    """Return the case of a `functional` model; `options` are those of `network`."""
    table = numbers(size) if rows is None else rows
    make = network(lambda: functional(size, function), table, **options)
    return Case(name, kind, make, refused, reach)


def stir(model: keras.Model) -> None:
    """Give biases, scales and moving statistics numbers that are not 0 or 1."""
    rng = np.random.default_rng(5)
    for weight in model.weights:
        name = weight.path.split("/")[-1]
        if name in ("gamma", "scale", "moving_variance"):
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif name in ("beta", "bias", "moving_mean", "alpha"):
            weight.assign(rng.normal(0, 0.3, weight.shape))


def numbers(columns: int, rows: int = 300) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


def amounts(columns: int, rows: int = 300) -> np.ndarray:
    """Return money, ages, counts: positive numbers of very different sizes."""
    rng = np.random.default_rng(0)
    return rng.lognormal(np.linspace(0, 6, columns), 0.6, (rows, columns)).astype(np.float32)


def with_keys(counts: Sequence[int], columns: int, rows: int = 300) -> np.ndarray:
    """Return columns of categories 0 … count - 1, and numbers behind them."""
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, count, rows) for count in counts]
    return np.column_stack([*codes, rng.normal(size=(rows, columns))]).astype(np.float32)


# What is encoded as one of some places may be negative: it then has none.
NEGATIVE = -(10**9)
