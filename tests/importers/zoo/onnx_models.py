"""ONNX models of the zoo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx.parser
from support.zoo import Case, Source

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


def written(body: str) -> Callable[[], onnx.ModelProto]:
    """Return what parses a graph in ONNX's own text form."""
    return lambda: onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> {body}')


def numbers(columns: int, rows: int = 300) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


CASES = [
    Case(
        "sigmoid of a sum",
        "small graphs",
        graph(
            written(
                "agraph (float[N, 2] x) => (float[N, 2] y) { t = Add(x, x) y = Sigmoid(t) }",
            ),
            numbers(2),
        ),
    ),
]
