"""The instruction table: one dataclass per instruction.

Design
------
A. A class holds everything the package knows about its instruction: the fields (the keys of the
   JSON object), which buffers it reads and writes, its size rules, and how it lowers to the flat
   code that the kernels run. Schema, validation, graph and lowering walk this table; none of them
   names an instruction.
B. A field's *kind* says how its value is checked when the object is made: constructing an
   instruction is checking its types, so a made instruction never holds a float for an index.
C. Whether indexes and sizes fit the model is the business of `Instruction.check`, which gets the
   model's `Shapes`. After it, lowering and kernels trust every number.

`INSTRUCTIONS` maps the ``type`` of a document to its class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from instmodel.base import values
from instmodel.base.activations import Activation
from instmodel.document.instruction_base import (
    Instruction,
    Lowering,
    Op,
    Places,
    Shapes,
    Write,
    buffer_field,
    buffer_size,
    check_dense,
    checked_field,
    floats,
    index_field,
    optional_parameters_field,
    pick,
    require,
    require_distinct,
    require_inside,
    require_same_size,
)
from instmodel.errors import DocumentError

# ---------------------------------------------------------------------------- dense and attention


@dataclass(frozen=True)
class Dot(Instruction):
    """``out = activation(W · in + bias)``: a dense layer.

    Parameters
    ----------
    input, output : int
        Buffers of ``cols`` and ``rows`` values.
    weights : int
        Index of a ``(rows, cols)`` matrix and of its bias.
    activation : Activation or str, optional
    """

    TYPE: ClassVar[str] = "DOT"
    OPCODE: ClassVar[int] = 1

    input: int = buffer_field()
    output: int = buffer_field()
    weights: int = index_field("weights")
    activation: Activation | None = checked_field(values.activation, default=None)

    def check(self, shapes: Shapes) -> None:
        cols = buffer_size(shapes, self.input, "input")
        rows = buffer_size(shapes, self.output, "output")
        require_distinct(self.input, self.output, "output")
        check_dense(shapes, self.weights, rows, cols)

    def products(self, sizes: Sequence[int]) -> int:
        return sizes[self.input] * sizes[self.output]

    def lower(self, into: Lowering) -> Op:
        return self._op(
            into,
            self.input,
            self.output,
            activation=self.activation.gpu_id if self.activation else 0,
            constants=into.panels(self.weights),
        )


@dataclass(frozen=True)
class Attention(Instruction):
    """``out = softmax(W · key + bias) ⊙ in``: a gate over the input.

    Parameters
    ----------
    input, output : int
        Buffers of ``rows`` values.
    key : int
        Buffer of ``cols`` values.
    weights : int
        Index of a ``(rows, cols)`` matrix and of its bias.
    """

    TYPE: ClassVar[str] = "ATTENTION"
    OPCODE: ClassVar[int] = 2

    input: int = buffer_field()
    key: int = buffer_field()
    output: int = buffer_field()
    weights: int = index_field("weights")

    def reads(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys((self.input, self.key)))

    def check(self, shapes: Shapes) -> None:
        size = buffer_size(shapes, self.input, "input")
        cols = buffer_size(shapes, self.key, "key")
        rows = buffer_size(shapes, self.output, "output")
        require_distinct(self.input, self.output, "output")
        require_distinct(self.key, self.output, "output")
        require_same_size(size, rows, "input")
        check_dense(shapes, self.weights, rows, cols)

    def products(self, sizes: Sequence[int]) -> int:
        return sizes[self.key] * sizes[self.output]

    def lower(self, into: Lowering) -> Op:
        return self._op(
            into,
            self.key,
            self.output,
            constants=into.panels(self.weights),
            more=into.offset(self.input),
        )


# ------------------------------------------------------------------------------ copies and lookup


@dataclass(frozen=True)
class Copy(Instruction):
    """``out[internal_index + i] = in[i]`` for the whole input."""

    TYPE: ClassVar[str] = "COPY"
    OPCODE: ClassVar[int] = 3

    input: int = buffer_field()
    output: int = buffer_field()
    internal_index: int = index_field()

    def write(self, sizes: Sequence[int]) -> Write:
        stop = self.internal_index + sizes[self.input]
        return Write(self.output, self.internal_index, stop, partial=True)

    def sources(self, places: Places) -> Places:
        return places - self.internal_index

    def check(self, shapes: Shapes) -> None:
        count = buffer_size(shapes, self.input, "input")
        size = buffer_size(shapes, self.output, "output")
        require_inside(
            self.internal_index, count, size, "internal_index_out_of_bounds", "internal_index"
        )

    def lower(self, into: Lowering) -> Op:
        return self._op(
            into,
            self.input,
            self.output,
            output=into.offset(self.output) + self.internal_index,
            output_size=into.size(self.input),
        )


@dataclass(frozen=True)
class CopyMasked(Instruction):
    """``out[i] = in[indexes[i]]``: a selection, in any order, with repeats."""

    TYPE: ClassVar[str] = "COPY_MASKED"
    OPCODE: ClassVar[int] = 4

    input: int = buffer_field()
    output: int = buffer_field()
    indexes: Sequence[int] = checked_field(values.integers)

    def write(self, sizes: Sequence[int]) -> Write:
        return Write(self.output, 0, len(self.indexes), partial=True)

    def sources(self, places: Places) -> Places:
        return np.array(self.indexes, np.intp)[places]

    def check(self, shapes: Shapes) -> None:
        size = buffer_size(shapes, self.input, "input")
        room = buffer_size(shapes, self.output, "output")
        require_distinct(self.input, self.output, "output")
        require(
            len(self.indexes) <= room,
            "too_many_mask_indexes",
            "more indexes than the output has values",
            "indexes",
            f"at most {room}",
            len(self.indexes),
        )
        for position, index in enumerate(self.indexes):
            if not 0 <= index < size:
                pick(range(size), index, "mask_index_out_of_bounds", f"indexes[{position}]")

    def lower(self, into: Lowering) -> Op:
        return self._op(
            into,
            self.input,
            self.output,
            output_size=len(self.indexes),
            operands=into.operands(self.indexes),
            operand_count=len(self.indexes),
        )


@dataclass(frozen=True)
class MapTransform(Instruction):
    """``out[internal_output_index …] = map[round(in[internal_input_index])]``, or `default`.

    The key is rounded half away from zero; NaN, infinities and what int32 cannot hold take the
    default.

    Parameters
    ----------
    size : int
        Length of the values of the map and of `default`, ≥ 1.
    map : int
        Index of the embedding table.
    default : sequence of float
        What an unknown key gives.
    """

    TYPE: ClassVar[str] = "MAP_TRANSFORM"
    OPCODE: ClassVar[int] = 5

    input: int = buffer_field()
    output: int = buffer_field()
    internal_input_index: int = index_field()
    internal_output_index: int = index_field()
    map: int = index_field("maps")
    size: int = index_field()
    default: Sequence[float] = checked_field(floats)

    def write(self, sizes: Sequence[int]) -> Write:
        start = self.internal_output_index
        return Write(self.output, start, start + self.size, partial=True)

    def looked_up(self) -> tuple[int, int]:
        return self.input, self.internal_input_index

    def check(self, shapes: Shapes) -> None:
        count = buffer_size(shapes, self.input, "input")
        room = buffer_size(shapes, self.output, "output")
        length = pick(shapes.maps, self.map, "map_index_out_of_bounds", "map")
        code = "internal_input_index_out_of_bounds"
        require_inside(self.internal_input_index, 1, count, code, "internal_input_index")
        code = "internal_output_index_out_of_bounds"
        require_inside(self.internal_output_index, self.size, room, code, "internal_output_index")
        require(
            len(self.default) == self.size,
            "default_size_mismatch",
            "the default needs `size` values",
            "default",
            self.size,
            len(self.default),
        )
        require(
            length is None or length == self.size,
            "map_value_size_mismatch",
            "the values of the map need `size` values",
            f"maps[{self.map}]",
            self.size,
            length,
        )

    def lower(self, into: Lowering) -> Op:
        return Op(
            self.OPCODE,
            input=into.offset(self.input) + self.internal_input_index,
            output=into.offset(self.output) + self.internal_output_index,
            input_size=1,
            output_size=self.size,
            constants=into.constants(self.default),
            more=self.map,
        )


# ----------------------------------------------------------------------------------------- in place


@dataclass(frozen=True)
class _InPlace(Instruction):
    """An instruction that reads one buffer and writes it again."""

    IN_PLACE: ClassVar[bool] = True

    input: int = buffer_field()

    def check(self, shapes: Shapes) -> None:
        size = buffer_size(shapes, self.input, "input")
        for item in fields(self):
            index = getattr(self, item.name)
            if item.metadata["role"] == "parameters" and index is not None:
                code = "parameters_index_out_of_bounds"
                length = pick(shapes.parameters, index, code, item.name)
                require(
                    length == size,
                    "parameters_size_mismatch",
                    "the parameters need one value per value of the buffer",
                    f"parameters[{index}]",
                    size,
                    length,
                )


@dataclass(frozen=True)
class Activate(_InPlace):
    """``in = activation(in)``, in place; `Activation` is the enum of the functions."""

    TYPE: ClassVar[str] = "ACTIVATION"
    OPCODE: ClassVar[int] = 6

    activation: Activation = checked_field(values.required_activation)

    def lower(self, into: Lowering) -> Op:
        return self._op(into, self.input, self.input, activation=self.activation.gpu_id)


@dataclass(frozen=True)
class _WithParameters(_InPlace):
    """An in-place instruction with one parameter per value."""

    parameters: int = index_field("parameters")

    def lower(self, into: Lowering) -> Op:
        start = into.parameters(self.parameters)
        return self._op(into, self.input, self.input, constants=start)


@dataclass(frozen=True)
class AddElementwise(_WithParameters):
    """``in += parameters``, in place."""

    TYPE: ClassVar[str] = "ADD_ELEMENTWISE"
    OPCODE: ClassVar[int] = 7


@dataclass(frozen=True)
class MulElementwise(_WithParameters):
    """``in *= parameters``, in place."""

    TYPE: ClassVar[str] = "MUL_ELEMENTWISE"
    OPCODE: ClassVar[int] = 8


@dataclass(frozen=True)
class ClipElementwise(_InPlace):
    """``in = min(max(in, parameters_min), parameters_max)``, in place; at least one bound."""

    TYPE: ClassVar[str] = "CLIP_ELEMENTWISE"
    OPCODE: ClassVar[int] = 9

    parameters_min: int | None = optional_parameters_field()
    parameters_max: int | None = optional_parameters_field()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.parameters_min is None and self.parameters_max is None:
            raise DocumentError(
                "missing_field",
                "a clip needs at least one bound",
                instruction_type=self.TYPE,
                field="parameters_min",
                expected="parameters_min, parameters_max or both",
            )

    def lower(self, into: Lowering) -> Op:
        size = into.size(self.input)

        def bound(index: int | None, absent: float) -> int:
            return into.filled(absent, size) if index is None else into.parameters(index)

        lowest = bound(self.parameters_min, -math.inf)
        highest = bound(self.parameters_max, math.inf)
        return self._op(into, self.input, self.input, constants=lowest, more=highest)


# ------------------------------------------------------------------------------- several buffers


@dataclass(frozen=True)
class _ManyInputs(Instruction):
    """An instruction that folds a list of buffers, left to right; `output` may be among them."""

    input: Sequence[int] = checked_field(values.integers)
    output: int = buffer_field()

    def check(self, shapes: Shapes) -> None:
        require(
            len(self.input) >= 2,
            "insufficient_input_buffers",
            "needs at least two input buffers",
            "input",
            "2 or more",
            len(self.input),
        )
        size = buffer_size(shapes, self.output, "output")
        for position, index in enumerate(self.input):
            name = f"input[{position}]"
            require_same_size(buffer_size(shapes, index, name), size, name)

    def lower(self, into: Lowering) -> Op:
        return self._op(
            into,
            self.input[0],
            self.output,
            operands=into.operands([into.offset(buffer) for buffer in self.input]),
            operand_count=len(self.input),
        )


@dataclass(frozen=True)
class AddElementwiseBuffers(_ManyInputs):
    """``out = ((a + b) + c) …`` over two or more buffers of one size."""

    TYPE: ClassVar[str] = "ADD_ELEMENTWISE_BUFFERS"
    OPCODE: ClassVar[int] = 10


@dataclass(frozen=True)
class MultiplyElementwiseBuffers(_ManyInputs):
    """``out = ((a · b) · c) …`` over two or more buffers of one size."""

    TYPE: ClassVar[str] = "MULTIPLY_ELEMENTWISE_BUFFERS"
    OPCODE: ClassVar[int] = 11


@dataclass(frozen=True)
class _Heads(Instruction):
    """An instruction that combines ``data`` with one value per head.

    Parameters
    ----------
    input : (data, heads)
        Two buffers; the size of `data` is a multiple d of the size of `heads`.
    output : int
        A buffer of the size of `data`; may be `data` itself.
    """

    input: Sequence[int] = checked_field(values.integers)
    output: int = buffer_field()

    def check(self, shapes: Shapes) -> None:
        require(
            len(self.input) >= 2,
            "insufficient_input_buffers",
            "needs a data and a heads buffer",
            "input",
            2,
            len(self.input),
        )
        if len(self.input) > 2:
            raise values.wrong_type(list(self.input[:3]), "input", "[data, heads]")
        data, heads = (
            buffer_size(shapes, index, f"input[{i}]") for i, index in enumerate(self.input)
        )
        size = buffer_size(shapes, self.output, "output")
        require_distinct(self.input[1], self.output, "output")
        require_same_size(data, size, "input[0]")
        require(
            data % heads == 0,
            "invalid_heads_size",
            "the size of the data must be a multiple of the number of heads",
            "input[1]",
            f"a divisor of {data}",
            heads,
        )

    def lower(self, into: Lowering) -> Op:
        data, heads = self.input
        return self._op(
            into, data, self.output, more=into.offset(heads), operand_count=into.size(heads)
        )


@dataclass(frozen=True)
class AddBufferHeads(_Heads):
    """``out[h·d + j] = data[h·d + j] + heads[h]``."""

    TYPE: ClassVar[str] = "ADD_BUFFER_HEADS"
    OPCODE: ClassVar[int] = 12


@dataclass(frozen=True)
class MultiplyBufferHeads(_Heads):
    """``out[h·d + j] = data[h·d + j] · heads[h]``."""

    TYPE: ClassVar[str] = "MULTIPLY_BUFFER_HEADS"
    OPCODE: ClassVar[int] = 13


@dataclass(frozen=True)
class ReduceSum(Instruction):
    """``out[0] = Σ in``, accumulated in float64 in index order and rounded once."""

    TYPE: ClassVar[str] = "REDUCE_SUM"
    OPCODE: ClassVar[int] = 14

    input: int = buffer_field()
    output: int = buffer_field()

    def check(self, shapes: Shapes) -> None:
        buffer_size(shapes, self.input, "input")
        size = buffer_size(shapes, self.output, "output")
        require_distinct(self.input, self.output, "output")
        require(size == 1, "invalid_buffer_size", "a sum is one value", "output", 1, size)

    def lower(self, into: Lowering) -> Op:
        return self._op(into, self.input, self.output)


INSTRUCTIONS: dict[str, type[Instruction]] = {
    kind.TYPE: kind
    for kind in (
        Dot,
        Attention,
        Copy,
        CopyMasked,
        MapTransform,
        Activate,
        AddElementwise,
        MulElementwise,
        ClipElementwise,
        AddElementwiseBuffers,
        MultiplyElementwiseBuffers,
        AddBufferHeads,
        MultiplyBufferHeads,
        ReduceSum,
    )
}
