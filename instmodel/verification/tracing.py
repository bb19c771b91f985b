"""Find the first instruction at which two computations of a row part.

Design
------
A. The engine gives a row the same bits however it runs (docs/numerics.md). So of two models that
   begin alike, the first instruction after which any bit differs is the one that differs; no
   tolerance is needed, and small errors cannot hide it.
B. The reference is exact where the engine rounds; there, the tolerance decides.
C. What the engine holds after instruction k is what a model of the first k + 1 instructions holds
   at its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import reference
from instmodel.base.limits import Limits
from instmodel.base.tolerance import Tolerance
from instmodel.compiled.parallel import PredictConfig
from instmodel.document.constants import first_instructions
from instmodel.document.instruction_base import Instruction
from instmodel.document.schema import InstructionModelInfo
from instmodel.model import InstructionModel
from instmodel.verification.changes import Change, instruction_changes, structure_difference
from instmodel.verification.origins import input_names, input_origins

# Values of a buffer that a divergence shows.
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two computations part.

    Attributes
    ----------
    instruction : int
        Index of the first instruction after which they differ.
    type : str
        Its type, in the model.
    other_type : str or None
        Its type in the other model; None where there is none, or for the reference.
    reason : {"values", "structure"}
        Whether the instruction gives other values, or is another instruction.
    buffer : int
        The buffer that it writes.
    element : int
        The first value of the buffer that differs.
    actual, expected : list of float
        Values of the buffer from `element` on, at most 8; empty where they cannot be compared.
    changes : list of Change
        Of two models with the inputs in the same order: what the instruction has in another way.
    difference : str
        For another instruction: in what way; empty otherwise.
    """

    instruction: int
    type: str
    other_type: str | None
    reason: str
    buffer: int
    element: int
    actual: list[float]
    expected: list[float]
    changes: list[Change] = field(default_factory=list)
    difference: str = ""

    def __str__(self) -> str:
        if self.reason == "structure":
            return self.difference
        text = (
            f"instruction {self.instruction} ({self.type}) writes other values to buffer "
            f"{self.buffer}, from value {self.element} on: "
            f"{_shown(self.actual)} instead of {_shown(self.expected)}"
        )
        return "; ".join([text, *map(str, self.changes)])


def _shown(numbers: list[float]) -> str:
    return ", ".join(f"{number:.9g}" for number in numbers[:3]) + (" …" if numbers[3:] else "")


def against_reference(
    model: InstructionModel, row: NDArray[np.float32], tolerance: Tolerance
) -> Divergence | None:
    """Return where the engine and the float64 reference part for a row (F,), or None."""
    info = model.info
    buffers = _reference_buffers(info, row)
    for index, instruction in enumerate(info.instructions):
        reference.run_instruction(info, instruction, buffers)
        written = instruction.write(info.buffer_sizes).buffer
        actual = _engine_buffer(info, model.limits, index, row, written).astype(np.float64)
        expected = buffers[written][0]
        different = tolerance.excess(actual, expected) > 1
        if different.any():
            return _divergence(index, instruction, None, written, actual, expected, different)
    return None


def against_model(
    model: InstructionModel,
    other_model: InstructionModel,
    row: NDArray[np.float32],
    order: NDArray[np.intp],
) -> Divergence | None:
    """Return where two models part for a row (F,), or None.

    Parameters
    ----------
    model, other_model : InstructionModel
    row : (F,) float32
    order : (F,) int
        Where each input of the other model stands in the row.
    """
    other_row = row[order]
    same_order = np.array_equal(order, np.arange(len(order)))
    info, other = model.info, other_model.info
    names = input_names(model.columns, model.feature_size)
    steps = input_origins(info.instructions, info.buffer_sizes, model.feature_size)
    for index, (instruction, origins) in enumerate(zip(info.instructions, steps, strict=True)):
        twin = other.instructions[index] if index < len(other.instructions) else None
        written = instruction.write(info.buffer_sizes).buffer
        difference = structure_difference(info, other, index)
        if difference:
            kind = None if twin is None else twin.TYPE
            return Divergence(
                *(index, instruction.TYPE, kind, "structure", written, 0, [], []),
                difference=difference,
            )
        actual = _engine_buffer(info, model.limits, index, row, written)
        expected = _engine_buffer(other, other_model.limits, index, other_row, written)
        different = actual.view(np.uint32) != expected.view(np.uint32)
        if different.any():
            found = _divergence(index, instruction, twin, written, actual, expected, different)
            if not same_order:
                return found
            changes = instruction_changes(info, other, index, origins, names)
            return replace(found, changes=changes)
    index = len(info.instructions)
    difference = structure_difference(info, other, index)
    if not difference:
        return None
    kind = other.instructions[index].TYPE
    return Divergence(*(index, "nothing", kind, "structure", -1, 0, [], []), difference=difference)


def _divergence(
    index: int,
    instruction: Instruction,
    twin: Instruction | None,
    buffer: int,
    actual: Any,
    expected: Any,
    different: NDArray[np.bool_],
) -> Divergence:
    first = int(np.argmax(different))
    part = slice(first, first + _SHOWN)
    return Divergence(
        index,
        instruction.TYPE,
        None if twin is None else twin.TYPE,
        "values",
        buffer,
        first,
        actual[part].tolist(),
        expected[part].tolist(),
    )


def _reference_buffers(info: InstructionModelInfo, row: NDArray[np.float32]) -> Any:
    unified = np.zeros((1, sum(info.buffer_sizes)))
    unified[0, : len(row)] = row
    return reference.split(info, unified)


def _engine_buffer(
    info: InstructionModelInfo, limits: Limits, last: int, row: NDArray[np.float32], buffer: int
) -> NDArray[np.float32]:
    """Return a buffer of the engine after instruction `last`."""
    model = InstructionModel(first_instructions(info, last + 1, len(row)), limits=limits)
    start = model.buffer_offsets[buffer]
    part = (start, start + model.buffer_sizes[buffer])
    result = model.predict_parallel(row[None], PredictConfig(threads=1, buffer_slice=part))
    return np.asarray(result).reshape(-1)
