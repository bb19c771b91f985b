"""What a model is compared with: another computation of the same outputs."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import reference
from instmodel.base import arrays
from instmodel.base.limits import DEFAULT_LIMITS, Limits
from instmodel.base.tolerance import Tolerance
from instmodel.compiled.parallel import PredictConfig
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError
from instmodel.model import InstructionModel
from instmodel.tables.rows import Batch, input_order
from instmodel.tables.shared_text import SharedText
from instmodel.verification.changes import Change, document_changes
from instmodel.verification.origins import input_names
from instmodel.verification.tracing import Divergence, against_model, against_reference

Floats = NDArray[np.float32]

# Values of unified buffers that the reference holds at a time.
_REFERENCE_VALUES = 1 << 22


class Witness(ABC):
    """Another computation of a model's outputs.

    Parameters
    ----------
    model : InstructionModel
        The model that is compared with it.
    name : str
        What a person calls the other computation.

    Attributes
    ----------
    columns : sequence of str or int
        What it needs of the data beside the inputs.
    computes : bool
        Whether its scores take time that tells anything.
    key_inputs : sequence of int
        Inputs that it looks up in maps as they come.
    digest : str
        Of its document, if it has one.
    """

    columns: Sequence[str | int] = ()
    computes = True
    key_inputs: Sequence[int] = ()
    digest = ""

    def __init__(self, model: InstructionModel, name: str) -> None:
        self.name = name
        self._model = model

    @abstractmethod
    def scores(self, batch: Batch) -> NDArray[Any]:
        """Return the outputs (N, O) of some rows."""

    def divergence(self, row: Floats, tolerance: Tolerance) -> Divergence | None:
        """Return the first instruction at which it and the model part for a row (F,).

        A witness shows no buffers of its own, unless it is another model. So this compares the
        model with its definition, the reference.
        """
        return against_reference(self._model, row, tolerance)

    def changes(self) -> tuple[list[Change], str]:
        """Return what its document has in other ways, and why no more can be told."""
        return [], ""


class Recorded(Witness):
    """Outputs that stand in the data."""

    computes = False

    def __init__(self, model: InstructionModel, name: str, columns: Sequence[str | int]) -> None:
        super().__init__(model, name)
        self.columns = columns

    def scores(self, batch: Batch) -> NDArray[Any]:
        """Return the columns."""
        return batch.extra


class Reference(Witness):
    """The float64 interpreter."""

    def __init__(self, model: InstructionModel) -> None:
        super().__init__(model, "reference")
        self._info = model.info

    def scores(self, batch: Batch) -> NDArray[Any]:
        """Return what it computes, a few rows at a time."""
        rows = batch.inputs
        step = max(1, _REFERENCE_VALUES // sum(self._info.buffer_sizes))
        parts = [
            reference.predict(self._info, rows[start : start + step])
            for start in range(0, len(rows), step)
        ]
        return np.concatenate(parts)


class Function(Witness):
    """Anything that computes outputs (N, O) of inputs (N, F): ONNX Runtime, a source model."""

    def __init__(
        self, model: InstructionModel, name: str, function: Callable[[Floats], Any]
    ) -> None:
        super().__init__(model, name)
        self._function = function

    def scores(self, batch: Batch) -> NDArray[Any]:
        """Return what it computes."""
        count = len(batch.inputs)
        result = arrays.real_array(self._function(batch.inputs), "against")
        if not result.ndim or len(result) != count:
            raise InputError(
                "output_size_mismatch",
                "the function gives not one result for each row",
                field="against",
                expected=f"{count} rows",
                actual=f"shape {result.shape}",
            )
        return result.reshape(count, math.prod(result.shape[1:]))


class OtherModel(Witness):
    """Another instruction model; it gets its inputs by name, if both name them."""

    def __init__(
        self, model: InstructionModel, other: InstructionModel, name: str, threads: int | None
    ) -> None:
        super().__init__(model, name)
        self._other = other
        self.digest = other.digest
        self._order = input_order(model, other)
        different = SharedText(model, other, self._order).different
        if different:
            raise InputError(
                "column_mismatch",
                "the models have other text categories, so that no row is the same for both",
                column=different[0],
            )
        self.key_inputs = self._order[list(other.key_inputs)].tolist()
        self._threads = threads

    def scores(self, batch: Batch) -> NDArray[Any]:
        """Return its outputs."""
        rows = np.ascontiguousarray(batch.inputs[:, self._order])
        return predict(self._other, rows, self._threads)

    def divergence(self, row: Floats, tolerance: Tolerance) -> Divergence | None:
        """Return the first instruction that differs."""
        return against_model(self._model, self._other, row, self._order)

    def changes(self) -> tuple[list[Change], str]:
        """Return the numbers that differ, and from where on the instructions do."""
        model = self._model
        if self.digest == model.digest:
            return [], ""
        if not np.array_equal(self._order, np.arange(len(self._order))):
            return [], "the inputs are in another order there"
        names = input_names(model.columns, model.feature_size)
        return document_changes(model.info, self._other.info, names)


def make_witness(
    against: Any, model: InstructionModel, threads: int | None, opened: ExitStack
) -> Witness:
    """Return what `against` means, see `instmodel.verify`; `opened` closes what it holds."""
    if isinstance(against, InstructionModel | InstructionModelInfo):
        return OtherModel(model, engine_of(against, model.limits), "other model", threads)
    if against is None or (isinstance(against, str) and against == "reference"):
        return Reference(model)
    if isinstance(against, str) and against == "gpu":
        from instmodel.gpu.session import GpuSession

        gpu = opened.enter_context(GpuSession(model))
        return Function(model, gpu.device_name, gpu.predict)
    if isinstance(against, str | os.PathLike):
        name = os.fspath(against)
        if Path(against).suffix.lower() == ".onnx":
            from instmodel.importers.onnx_graph import OnnxGraph

            graph = OnnxGraph(against)
            session = graph.session(graph.choose_output())
            return Function(model, name, session.run)
        return OtherModel(model, engine_of(against, model.limits), name, threads)
    if callable(against):
        return Function(model, getattr(against, "__name__", "function"), against)
    raise InputError(
        "invalid_type",
        "nothing to compare with",
        field="against",
        expected="a model, the path of one, 'reference', 'gpu' or a function",
        actual=type(against).__name__,
    )


def engine_of(model: Any, limits: Limits = DEFAULT_LIMITS) -> InstructionModel:
    """Return a model, its document or the file of one as a model; validation data is not run."""
    if isinstance(model, InstructionModel):
        return model
    if isinstance(model, InstructionModelInfo):
        return InstructionModel(model, limits=limits, validate=False)
    return InstructionModel.load(model, limits=limits, validate=False)


def predict(model: InstructionModel, rows: Floats, threads: int | None) -> Floats:
    """Return the outputs (N, O) of a model."""
    result = model.predict_parallel(rows, PredictConfig(threads=threads))
    return np.asarray(result).reshape(len(rows), model.output_size)


def check_outputs(count: int, expected: int) -> None:
    """Raise unless both sides have as many outputs."""
    if count != expected:
        raise InputError(
            "output_size_mismatch",
            "another number of outputs to compare with",
            expected=expected,
            actual=count,
        )
