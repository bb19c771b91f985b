"""Compose a model from values instead of counting buffers, weights and parameters by hand.

Design
------
A. Every method returns a handle of a new *value*; no handle ever changes what it stands for, also
   where the instruction behind it works in place.
B. The buffers are decided when a document is built (`instmodel.document.placement`).
C. A state is a value, too: what the step before left. `ModelBuilder.set_state` says what the next
   step finds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from instmodel.base import layout, values
from instmodel.base.activations import Activation
from instmodel.base.categories import Categories
from instmodel.base.features import features_of_columns, parse_feature_names
from instmodel.document import cells
from instmodel.document.instruction_base import Instruction
from instmodel.document.instructions import (
    Activate,
    AddBufferHeads,
    AddElementwise,
    AddElementwiseBuffers,
    Attention,
    ClipElementwise,
    Copy,
    CopyMasked,
    Dot,
    MapTransform,
    MulElementwise,
    MultiplyBufferHeads,
    MultiplyElementwiseBuffers,
    ReduceSum,
)
from instmodel.document.placement import Emit, Step, Writes, place
from instmodel.document.schema import InstructionModelInfo
from instmodel.document.signature import Signature
from instmodel.document.state import StateBuffer
from instmodel.document.structure import ValidationData
from instmodel.errors import StructureError


@dataclass(frozen=True, slots=True, eq=False)
class BufferHandle:
    """A value inside a model that is being built.

    Attributes
    ----------
    size : int
        How many numbers it holds.

    Examples
    --------
    ``h + other`` and ``h * other`` stand for `ModelBuilder.add_buffers` and `multiply_buffers` of
    another handle of the same size, or for `add_elementwise` and `mul_elementwise` of a number or a
    vector.
    """

    builder: ModelBuilder = field(repr=False)
    number: int
    size: int

    # An array before the operator lets the handle answer, instead of adding it to each element.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> BufferHandle:
        if isinstance(other, BufferHandle):
            return self.builder.add_buffers(self, other)
        return self.builder.add_elementwise(self, other)

    def __mul__(self, other: Any) -> BufferHandle:
        if isinstance(other, BufferHandle):
            return self.builder.multiply_buffers(self, other)
        return self.builder.mul_elementwise(self, other)

    # Constants only: of two handles, the first one answers.
    __radd__, __rmul__ = __add__, __mul__


# The method that adds each instruction, by its ``type``; a test demands one for every instruction.
METHODS = {
    "DOT": "dense",
    "ATTENTION": "attention",
    "COPY": "copy",
    "COPY_MASKED": "copy_masked",
    "MAP_TRANSFORM": "map_transform",
    "ACTIVATION": "activation",
    "ADD_ELEMENTWISE": "add_elementwise",
    "MUL_ELEMENTWISE": "mul_elementwise",
    "CLIP_ELEMENTWISE": "clip_elementwise",
    "ADD_ELEMENTWISE_BUFFERS": "add_buffers",
    "MULTIPLY_ELEMENTWISE_BUFFERS": "multiply_buffers",
    "ADD_BUFFER_HEADS": "add_heads",
    "MULTIPLY_BUFFER_HEADS": "multiply_heads",
    "REDUCE_SUM": "reduce_sum",
}


class ModelBuilder:
    """Builds an `InstructionModelInfo`, one instruction after the other.

    Examples
    --------
    >>> builder = ModelBuilder()
    >>> x = builder.input(["age", "income"])
    >>> hidden = builder.dense(x, [[0.1, 0.2], [0.3, -0.4]], [0.0, 0.5], "RELU")
    >>> score = builder.dense(hidden, [[1.0, -1.0]], [0.1], "SIGMOID")
    >>> info = builder.build(output=score)
    """

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._inputs: list[int] = []
        self._names: list[str] = []
        self._categories: dict[str, Any] = {}
        self._steps: list[Step] = []
        self._state_values: dict[
            int, int | None
        ] = {}  # by value, the parameters that it is at first
        self._following: dict[int, int] = {}  # by state, the value that it is in the next step
        self._weights: list[values.Matrix] = []
        self._bias: list[values.Vector] = []
        self._parameters: list[values.Vector] = []
        self._maps: list[dict[int, values.Vector]] = []

    # ------------------------------------------------------------------------------------- inputs

    def input(
        self, features: Any, categories: Mapping[str, Categories | Sequence[str]] | None = None
    ) -> BufferHandle:
        """Add an input.

        Several inputs follow each other in the order in which they were added; either all or none
        of them have names.

        Parameters
        ----------
        features : int, str, sequence of str, or data frame
            How many values it has, or the names of its features; a frame stands for its columns, of
            which ``emb[0]``, ``emb[1]`` … are those of an array feature.
        categories : mapping of str to Categories or sequence of str, optional
            What text the values of a feature may be given as, by its name.
        """
        if hasattr(features, "columns"):
            # Arrow calls the names `column_names`; its `columns` are the data.
            columns = getattr(features, "column_names", features.columns)
            features = features_of_columns(list(columns))
        elif hasattr(features, "tolist"):  # an array or an index of names, or an integer of NumPy
            features = features.tolist()
        names = [features] if isinstance(features, str) else features
        if isinstance(names, Sequence):
            size = sum(feature.size for feature in parse_feature_names(names))
        else:
            names, size = [], values.integer(features, "features")
        if self._inputs and bool(names) != bool(self._names):
            raise StructureError(
                "missing_features", "either all inputs have names or none", field="features"
            )
        self._names += names
        self._categories |= categories or {}
        handle = self._value(size)
        self._inputs.append(handle.number)
        return handle

    # -------------------------------------------------------------------------------------- state

    state = cells.state
    set_state = cells.set_state
    rnn = cells.rnn
    gru = cells.gru
    lstm = cells.lstm

    # ------------------------------------------------------------------------------ new buffers

    def dense(
        self,
        x: BufferHandle,
        weights: Any,
        bias: Any = None,
        activation: Activation | str | None = None,
    ) -> BufferHandle:
        """Add ``activation(weights · x + bias)``: weights (rows, cols), bias (rows,) or a number.

        Without `bias` it is 0.
        """
        function = values.activation(activation, "activation")
        index, rows = self._add_weights([x], weights, bias)
        return self._new(
            [x], rows, lambda i, o: Dot(input=i[0], output=o, weights=index, activation=function)
        )

    def attention(
        self, x: BufferHandle, key: BufferHandle, weights: Any, bias: Any = None
    ) -> BufferHandle:
        """Add ``softmax(weights · key + bias) ⊙ x``."""
        index, rows = self._add_weights([x, key], weights, bias)
        return self._new(
            [x, key], rows, lambda i, o: Attention(input=i[0], key=i[1], output=o, weights=index)
        )

    def copy(self, x: BufferHandle, size: int | None = None, at: int = 0) -> BufferHandle:
        """Add a copy of x, at place `at` of `size` values (just enough by default), else zeros."""
        self._number_of(x)
        at = values.integer(at, "at")
        room = at + x.size if size is None else values.integer(size, "size")
        return self._new(
            [x],
            room,
            lambda i, o: Copy(input=i[0], output=o, internal_index=at),
            Writes.WHOLE if room == x.size else Writes.PART,
        )

    def copy_masked(self, x: BufferHandle, indexes: Sequence[int]) -> BufferHandle:
        """Add a selection: value i is ``x[indexes[i]]``."""
        mask = values.integers(indexes, "indexes")
        return self._new(
            [x], len(mask), lambda i, o: CopyMasked(input=i[0], output=o, indexes=mask)
        )

    def concatenate(self, parts: Sequence[BufferHandle]) -> BufferHandle:
        """Add the values of all parts, one after the other."""
        for part in values.sequence(parts, "parts", "handles"):
            self._number_of(part)
        offsets = layout.buffer_offsets([part.size for part in parts])[: len(parts)]

        def emit(inputs: list[int], output: int) -> list[Instruction]:
            return [
                Copy(input=buffer, output=output, internal_index=offset)
                for buffer, offset in zip(inputs, offsets, strict=True)
            ]

        return self._step(list(parts), sum(part.size for part in parts), emit)

    def map_transform(
        self, x: BufferHandle, index: int, table: Mapping[Any, Any], default: Any
    ) -> BufferHandle:
        """Add an embedding: the values of `table` under the rounded x[index], else `default`."""
        self._number_of(x)
        index = values.integer(index, "index")
        default = values.vector(default, "default")
        number = len(self._maps)
        self._maps.append(values.embedding(table, f"maps[{number}]"))
        return self._new(
            [x],
            len(default),
            lambda i, o: MapTransform(
                input=i[0],
                output=o,
                internal_input_index=index,
                internal_output_index=0,
                map=number,
                size=len(default),
                default=default,
            ),
        )

    def add_buffers(self, *terms: BufferHandle) -> BufferHandle:
        """Add ``((a + b) + c) …`` of two or more values of one size."""
        return self._new(
            list(terms),
            _common_size(terms),
            lambda i, o: AddElementwiseBuffers(input=i, output=o),
            Writes.ELEMENTWISE,
        )

    def multiply_buffers(self, *factors: BufferHandle) -> BufferHandle:
        """Add ``((a · b) · c) …`` of two or more values of one size."""
        return self._new(
            list(factors),
            _common_size(factors),
            lambda i, o: MultiplyElementwiseBuffers(input=i, output=o),
            Writes.ELEMENTWISE,
        )

    def add_heads(self, data: BufferHandle, heads: BufferHandle) -> BufferHandle:
        """Add ``data[h·d + j] + heads[h]``."""
        self._number_of(data)
        return self._new([data, heads], data.size, lambda i, o: AddBufferHeads(input=i, output=o))

    def multiply_heads(self, data: BufferHandle, heads: BufferHandle) -> BufferHandle:
        """Add ``data[h·d + j] · heads[h]``."""
        self._number_of(data)
        return self._new(
            [data, heads], data.size, lambda i, o: MultiplyBufferHeads(input=i, output=o)
        )

    def reduce_sum(self, x: BufferHandle) -> BufferHandle:
        """Add the sum of the values of x: one value."""
        return self._new([x], 1, lambda i, o: ReduceSum(input=i[0], output=o))

    def constant(self, numbers: Any) -> BufferHandle:
        """Add numbers that are the same for every sample."""
        vector = values.vector(numbers, f"parameters[{len(self._parameters)}]")
        index = len(self._parameters)
        self._parameters.append(vector)
        # What nothing has written reads as 0.
        return self._new(
            [],
            len(vector),
            lambda i, o: AddElementwise(input=o, parameters=index),
            Writes.PART,
        )

    # --------------------------------------------------------------------------- in-place kinds

    def activation(self, x: BufferHandle, activation: Activation | str) -> BufferHandle:
        """Add ``activation(x)``."""
        function = values.required_activation(activation, "activation")
        return self._changed(x, lambda b: Activate(input=b, activation=function))

    def add_elementwise(self, x: BufferHandle, parameters: Any) -> BufferHandle:
        """Add ``x + parameters``, constants of the size of x or one number for all of it."""
        (index,) = self._add_parameters(self._size_of(x), parameters)
        return self._changed(x, lambda b: AddElementwise(input=b, parameters=index))

    def mul_elementwise(self, x: BufferHandle, parameters: Any) -> BufferHandle:
        """Add ``x · parameters``, constants of the size of x or one number for all of it."""
        (index,) = self._add_parameters(self._size_of(x), parameters)
        return self._changed(x, lambda b: MulElementwise(input=b, parameters=index))

    def clip_elementwise(
        self, x: BufferHandle, minimum: Any = None, maximum: Any = None
    ) -> BufferHandle:
        """Add ``min(max(x, minimum), maximum)``; one may be None.

        Both are constants of the size of x, or one number for all of it.
        """
        low, high = self._add_parameters(self._size_of(x), minimum, maximum, optional=True)
        return self._changed(
            x, lambda b: ClipElementwise(input=b, parameters_min=low, parameters_max=high)
        )

    # -------------------------------------------------------------------------------------- build

    def build(
        self,
        *,
        output: BufferHandle,
        validation_data: ValidationData | None = None,
        metadata: Any = None,
        signature: Signature | None = None,
    ) -> InstructionModelInfo:
        """Return the document of the model that computes `output`.

        The builder can go on and build others afterwards. Rules that concern the whole document are
        checked when an `InstructionModel` is made of it.
        """
        self._number_of(output)
        if output.number in self._inputs or output.number in self._state_values:
            scratch = copy.copy(self)
            scratch._steps, scratch._sizes = list(self._steps), list(self._sizes)
            own = BufferHandle(scratch, output.number, output.size)
            return scratch.build(
                output=scratch.copy(own),
                validation_data=validation_data,
                metadata=metadata,
                signature=signature,
            )
        for index, state in enumerate(self._state_values):
            if state not in self._following:
                raise StructureError(
                    "unwritten_state",
                    "`set_state` was not told what it is in the next step",
                    field=f"state[{index}]",
                )
        following = {state: self._following[state] for state in self._state_values}
        placed = place(self._steps, self._sizes, self._inputs, following, output.number)
        return InstructionModelInfo(
            features=self._names or None,
            feature_size=sum(self._sizes[number] for number in self._inputs),
            categories=self._categories,
            buffer_sizes=placed.buffer_sizes,
            instructions=placed.instructions,
            state=[
                StateBuffer(buffer, initial)
                for buffer, initial in zip(
                    placed.state_buffers, self._state_values.values(), strict=True
                )
            ],
            weights=self._weights,
            bias=self._bias,
            parameters=self._parameters,
            maps=self._maps,
            validation_data=validation_data,
            metadata=metadata,
            signature=signature,
        )

    # ------------------------------------------------------------------------------------ private

    def _value(self, size: int) -> BufferHandle:
        self._sizes.append(size)
        return BufferHandle(self, len(self._sizes) - 1, size)

    def _number_of(self, handle: BufferHandle) -> int:
        if not isinstance(handle, BufferHandle):
            raise values.wrong_type(handle, "handle", "a BufferHandle")
        if handle.builder is not self:
            raise StructureError(
                "buffer_index_out_of_bounds", "the handle belongs to another builder"
            )
        return handle.number

    def _size_of(self, handle: BufferHandle) -> int:
        return self._sizes[self._number_of(handle)]

    def _step(
        self,
        inputs: Sequence[BufferHandle],
        size: int,
        emit: Emit,
        writes: Writes = Writes.WHOLE,
    ) -> BufferHandle:
        numbers = [self._number_of(handle) for handle in inputs]
        result = self._value(size)
        self._steps.append(Step(numbers, result.number, emit, writes))
        return result

    def _new(
        self,
        inputs: Sequence[BufferHandle],
        size: int,
        make: Callable[[list[int], int], Instruction],
        writes: Writes = Writes.WHOLE,
    ) -> BufferHandle:
        return self._step(inputs, size, lambda buffers, output: [make(buffers, output)], writes)

    def _changed(self, x: BufferHandle, make: Callable[[int], Instruction]) -> BufferHandle:
        def emit(buffers: list[int], output: int) -> list[Instruction]:
            copy = Copy(input=buffers[0], output=output, internal_index=0)
            return [make(output)] if buffers[0] == output else [copy, make(output)]

        self._number_of(x)
        return self._step([x], x.size, emit, Writes.IN_PLACE)

    # Each of these checks everything before it keeps anything: a mistake leaves no trace.

    def _add_weights(
        self, inputs: Sequence[BufferHandle], weights: Any, bias: Any
    ) -> tuple[int, int]:
        for handle in inputs:
            self._number_of(handle)
        index = len(self._weights)
        matrix = values.matrix(weights, f"weights[{index}]")
        if matrix.shape[1] != inputs[-1].size:  # of a dense layer, or the key of an attention
            raise StructureError(
                "weights_column_size_mismatch",
                "the weights need one column per input value",
                field="weights",
                expected=f"shape (rows, {inputs[-1].size})",
                actual=f"shape {matrix.shape}",
            )
        vector = _vector(0.0 if bias is None else bias, len(matrix), f"bias[{index}]")
        if len(vector) != len(matrix):
            raise StructureError(
                "bias_weights_size_mismatch",
                "the bias needs one value per row of the weights",
                field="bias",
                expected=len(matrix),
                actual=len(vector),
            )
        self._weights.append(matrix)
        self._bias.append(vector)
        return index, len(matrix)

    def _add_parameters(self, size: int, *vectors: Any, optional: bool = False) -> list[Any]:
        """Return the index of each vector; if they are optional, None for None."""
        count = len(self._parameters)
        given = [item for item in vectors if item is not None or not optional]
        checked = [_vector(item, size, f"parameters[{count + i}]") for i, item in enumerate(given)]
        for item in checked:
            if len(item) != size:
                raise StructureError(
                    "parameters_size_mismatch",
                    "the parameters need one value per value of the buffer",
                    field="parameters",
                    expected=size,
                    actual=len(item),
                )
        self._parameters += checked
        indexes = iter(range(count, count + len(given)))
        return [None if item is None and optional else next(indexes) for item in vectors]


def _vector(value: Any, size: int, field: str) -> values.Vector:
    """Return constants of a buffer; a number stands for as many as it has values."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    return values.vector([value] * size if isinstance(value, Real) else value, field)


def _common_size(terms: Sequence[BufferHandle]) -> int:
    return terms[0].size if terms and isinstance(terms[0], BufferHandle) else 0
