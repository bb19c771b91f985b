"""What the ONNX models of the zoo share: rows, and how ONNX Runtime scores them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from support.zoo import Source

import instmodel as im
from instmodel.importers.onnx import run_onnx


def graph(make: Callable[[], onnx.ModelProto], rows: np.ndarray) -> Callable[[], Source]:
    """Return what makes the source of an ONNX model; several inputs stand side by side in rows."""

    def source() -> Source:
        model = make()
        return Source(
            rows,
            lambda table: run_onnx(model, table),
            lambda: im.importers.from_onnx(model),
        )

    return source


def filled(make: Callable[[], onnx.ModelProto], rows: np.ndarray) -> Callable[[], Source]:
    """Return the same for a model that takes no NaN: ONNX leaves open what it makes of them."""
    inner = graph(make, rows)

    def source() -> Source:
        made = inner()

        def scores(table: np.ndarray) -> np.ndarray:
            if np.isnan(table).any():
                raise ValueError("a gap")
            return made.scores(table)

        return Source(rows, scores, made.load)

    return source


def keyed(
    make: Callable[[], onnx.ModelProto], rows: np.ndarray, least: float = -np.inf
) -> Callable[[], Source]:
    """Return the same for inputs of integers, which hold neither fractions nor NaN.

    What a lookup rounds, halves away from zero, the caller of ONNX Runtime has to round himself.
    Keys below `least` are refused: ONNX counts negative ones from the end of a table, we do not.
    """

    def source() -> Source:
        model = make()

        def scores(table: np.ndarray) -> np.ndarray:
            nearest = np.trunc(table + np.copysign(np.float32(0.5), table))
            if not (nearest >= least).all():
                raise ValueError("no key")
            return run_onnx(model, nearest)

        return Source(rows, scores, lambda: im.importers.from_onnx(model))

    return source


def numbers(columns: int, rows: int = 300) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


def keys(columns: int, count: int, rows: int = 300) -> np.ndarray:
    """Return rows of keys 0 … count - 1."""
    return np.random.default_rng(0).integers(0, count, (rows, columns)).astype(np.float32)
