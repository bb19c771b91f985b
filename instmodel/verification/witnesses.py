"""What a model is compared with: another computation of the same outputs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from instmodel import reference
from instmodel.base import arrays
from instmodel.compiled.parallel import PredictConfig
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError
from instmodel.inspection import build_unvalidated
from instmodel.model import InstructionModel
from instmodel.tables.rows import input_order
from instmodel.verification.differences import Tolerance
from instmodel.verification.tracing import Divergence, against_model, against_reference

Floats = NDArray[np.float32]

# Values of unified buffers that the reference holds at a time.
_REFERENCE_VALUES = 1 << 22


class Witness(Protocol):
    """Another computation of a model's outputs.

    Attributes
    ----------
    name : str
    """

    name: str

    def scores(self, rows: Floats) -> NDArray[Any]:
        """Return the outputs (N, O) of inputs (N, F)."""

    def divergence(self, row: Floats, tolerance: Tolerance) -> Divergence | None:
        """Return the first instruction at which it and the model part for a row (F,).

        A witness without buffers compares the model with its own definition, the reference.
        """


class Reference:
    """The float64 interpreter."""

    name = "reference"

    def __init__(self, info: InstructionModelInfo) -> None:
        self._info = info

    def scores(self, rows: Floats) -> NDArray[Any]:
        """Return the outputs (N, O) of inputs (N, F)."""
        step = max(1, _REFERENCE_VALUES // sum(self._info.buffer_sizes))
        parts = [
            reference.predict(self._info, rows[start : start + step])
            for start in range(0, len(rows), step)
        ]
        return np.concatenate(parts)

    def divergence(self, row: Floats, tolerance: Tolerance) -> Divergence | None:
        """Return the first instruction at which the engine leaves it."""
        return against_reference(self._info, row, tolerance)


class OtherModel:
    """Another instruction model; it gets its inputs by name, if both name them."""

    def __init__(
        self,
        model: InstructionModel,
        info: InstructionModelInfo,
        other: InstructionModelInfo,
        name: str,
        threads: int | None,
    ) -> None:
        self.name = name
        self._info, self._other = info, other
        self._engine = build_unvalidated(other)
        self._order = input_order(model, self._engine)
        self._threads = threads

    def scores(self, rows: Floats) -> NDArray[Any]:
        """Return the outputs (N, O) of inputs (N, F) in the order of the model."""
        return predict(self._engine, np.ascontiguousarray(rows[:, self._order]), self._threads)

    def divergence(self, row: Floats, tolerance: Tolerance) -> Divergence | None:
        """Return the first instruction that differs."""
        return against_model(self._info, self._other, row, row[self._order])


class Function:
    """Anything that computes outputs (N, O) of inputs (N, F): ONNX Runtime, a source model."""

    def __init__(
        self, info: InstructionModelInfo, name: str, function: Callable[[Floats], Any]
    ) -> None:
        self.name = name
        self._info = info
        self._function = function

    def scores(self, rows: Floats) -> NDArray[Any]:
        """Return the outputs (N, O) of inputs (N, F)."""
        result = arrays.real_array(self._function(rows), "against")
        if not result.ndim or len(result) != len(rows):
            raise InputError(
                "output_size_mismatch",
                "the function gives not one result for each row",
                field="against",
                expected=f"{len(rows)} rows",
                actual=f"shape {result.shape}",
            )
        return result.reshape(len(rows), math.prod(result.shape[1:]))

    def divergence(self, row: Floats, tolerance: Tolerance) -> Divergence | None:
        """Return the first instruction at which the engine leaves the reference."""
        return against_reference(self._info, row, tolerance)


def make_witness(
    against: Any,
    model: InstructionModel,
    info: InstructionModelInfo,
    threads: int | None,
    opened: ExitStack,
) -> Witness:
    """Return what `against` means, see `instmodel.verify`; `opened` closes what it holds."""
    if isinstance(against, InstructionModel):
        against = against.info
    if isinstance(against, InstructionModelInfo):
        return OtherModel(model, info, against, "other model", threads)
    if against is None or (isinstance(against, str) and against == Reference.name):
        return Reference(info)
    if isinstance(against, str) and against == "gpu":
        from instmodel.gpu.session import GpuSession

        gpu = opened.enter_context(GpuSession(info))
        return Function(info, gpu.device_name, gpu.predict)
    if isinstance(against, str | os.PathLike):
        name = os.fspath(against)
        if Path(against).suffix.lower() == ".onnx":
            from instmodel.importers.onnx import OnnxGraph

            graph = OnnxGraph(against)
            session = graph.session(graph.choose_output())
            return Function(info, name, session.run)
        return OtherModel(model, info, InstructionModelInfo.load(against), name, threads)
    if callable(against):
        return Function(info, getattr(against, "__name__", "function"), against)
    raise InputError(
        "invalid_type",
        "nothing to compare with",
        field="against",
        expected="a model, the path of one, 'reference', 'gpu' or a function",
        actual=type(against).__name__,
    )


def predict(model: InstructionModel, rows: Floats, threads: int | None) -> Floats:
    """Return the outputs (N, O) of a model."""
    result = model.predict_parallel(rows, PredictConfig(threads=threads))
    return np.asarray(result).reshape(len(rows), model.output_size)
