"""A document in its two halves: the structure, and the values of the dense layers.

Everything that rules, graph and memory layout ask for is in the `Structure`, and so is what is
small: parameters, maps, names. The dense values live elsewhere: as matrices in an
`InstructionModelInfo`, as packed panels in a compiled model or a mapped file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from instmodel.base import values
from instmodel.base.categories import Categories, by_feature
from instmodel.document.instruction_base import Instruction, Shapes
from instmodel.document.instructions import INSTRUCTIONS
from instmodel.document.signature import Signature, read_signature
from instmodel.document.state import StateBuffer, read_state
from instmodel.errors import StructureError, ValidationDataError


@dataclass(eq=False)
class ValidationData:
    """Cases that a model must reproduce when it is built.

    Parameters
    ----------
    inputs : list of float32 vectors, (F,) each
        Of a recurrent model, a list of sequences: float32 matrices, (T, F) each.
    expected_outputs : list of float32 vectors, (O,) each
        Of a recurrent model, a list of float32 matrices, (T, O) each.
    """

    inputs: Any
    expected_outputs: Any

    def __post_init__(self) -> None:
        self.inputs = _cases(self.inputs, "inputs", "validation_input_size_mismatch")
        self.expected_outputs = _cases(
            self.expected_outputs, "expected_outputs", "validation_output_size_mismatch"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "inputs": [row.tolist() for row in self.inputs],
            "expected_outputs": [row.tolist() for row in self.expected_outputs],
        }


@dataclass(eq=False, kw_only=True)
class DocumentParts:
    """What a `Structure` and a whole `InstructionModelInfo` have in common: all but dense layers.

    Lists are accepted everywhere and converted; arrays are copied. The attributes are described
    with `InstructionModelInfo`.
    """

    features: list[str] | None = None
    feature_size: int | None = None
    categories: dict[str, Categories] = field(default_factory=dict)
    signature: Signature | None = None
    buffer_sizes: list[int]
    instructions: list[Instruction]
    state: list[StateBuffer] = field(default_factory=list)
    parameters: list[values.Vector] = field(default_factory=list)
    maps: list[dict[int, values.Vector]] = field(default_factory=list)
    validation_data: ValidationData | None = None
    metadata: Any = None
    allow_non_finite: bool = False

    def __post_init__(self) -> None:
        if self.features is not None:
            self.features = values.names(self.features, "features")
        if self.feature_size is not None:
            self.feature_size = values.integer(self.feature_size, "feature_size")
        self.categories = by_feature(self.categories)
        if self.signature is not None:
            self.signature = read_signature(self.signature)
        self.buffer_sizes = list(values.integers(self.buffer_sizes, "buffer_sizes"))
        self.instructions = list(values.sequence(self.instructions, "instructions", "instructions"))
        for index, item in enumerate(self.instructions):
            if not isinstance(item, Instruction) or item.TYPE not in INSTRUCTIONS:
                raise values.wrong_type(item, f"instructions[{index}]", "an instruction")
        self.state = read_state(self.state)
        self.allow_non_finite = values.boolean(self.allow_non_finite, "allow_non_finite")
        finite = not self.allow_non_finite
        self.parameters = vectors(self.parameters, "parameters", finite=finite)
        self.maps = [
            values.embedding(item, f"maps[{i}]", finite=finite)
            for i, item in enumerate(values.sequence(self.maps, "maps", "maps"))
        ]
        data = self.validation_data
        if data is not None:
            if not isinstance(data, ValidationData):
                raise values.wrong_type(data, "validation_data", "ValidationData")
            self.validation_data = ValidationData(data.inputs, data.expected_outputs)
        if self.metadata is not None:
            self.metadata = _metadata(self.metadata)

    def outline(self) -> dict[str, Any]:
        """Return the JSON form of features, what is told of them, buffers and instructions."""
        document: dict[str, Any] = {}
        if self.features is not None:
            document["features"] = list(self.features)
        if self.feature_size is not None:
            document["feature_size"] = self.feature_size
        if self.categories:
            document["categories"] = {
                name: item.to_json() for name, item in self.categories.items()
            }
        if self.signature is not None:
            document["signature"] = self.signature.to_json()
        document["buffer_sizes"] = list(self.buffer_sizes)
        document["instructions"] = [item.to_dict() for item in self.instructions]
        if self.state:
            document["state"] = [item.to_dict() for item in self.state]
        return document

    def common_parts(self) -> dict[str, Any]:
        """Return the attributes that every document has, by name; nothing is copied."""
        return {part.name: getattr(self, part.name) for part in fields(DocumentParts)}


@dataclass(eq=False, kw_only=True)
class Structure(DocumentParts):
    """A document but for the values of its dense layers, of which it has the shapes.

    Attributes
    ----------
    weight_shapes : list of (rows, cols)
    bias_sizes : list of int
        As many values as the weights have rows, once the document is checked.
    """

    weight_shapes: list[tuple[int, int]]
    bias_sizes: list[int]

    @classmethod
    def of(
        cls, parts: DocumentParts, weight_shapes: list[tuple[int, int]], bias_sizes: list[int]
    ) -> Structure:
        """Return the structure of a document; it shares what it has in common with `parts`."""
        # Not by the constructor: all of it was converted when `parts` was made.
        structure = cls.__new__(cls)
        vars(structure).update(
            parts.common_parts(), weight_shapes=weight_shapes, bias_sizes=bias_sizes
        )
        return structure

    @property
    def is_recurrent(self) -> bool:
        """Whether samples are sequences: the rows of one are its steps."""
        return bool(self.state)

    @property
    def state_buffers(self) -> list[int]:
        """The state buffers, in the order of the document."""
        return [item.buffer for item in self.state]

    def shapes(self) -> Shapes:
        """Return the sizes that the rules of instructions compare.

        Raises
        ------
        StructureError
            ``map_value_size_mismatch``: the values of one map have several lengths.
        """
        return Shapes(
            buffers=self.buffer_sizes,
            weights=self.weight_shapes,
            bias=self.bias_sizes,
            parameters=[len(item) for item in self.parameters],
            maps=[_value_size(table, index) for index, table in enumerate(self.maps)],
        )


# ------------------------------------------------------------------------------ parts of a document


def vectors(items: Any, name: str, *, finite: bool = True) -> list[values.Vector]:
    """Return a list of lists or arrays of numbers as float32 vectors."""
    return [
        values.vector(item, f"{name}[{i}]", finite=finite)
        for i, item in enumerate(values.sequence(items, name, "vectors"))
    ]


def _cases(items: Any, name: str, code: str) -> list[values.Vector] | list[values.Matrix]:
    """Return validation cases: rows as vectors, or sequences of rows as matrices."""
    found = values.sequence(items, name, "vectors")
    if not any(map(_holds_rows, found)):
        return vectors(found, name, finite=False)
    return [_steps(item, f"{name}[{index}]", code) for index, item in enumerate(found)]


def _holds_rows(item: Any) -> bool:
    if isinstance(item, np.ndarray) and item.dtype != object:
        return item.ndim == 2
    return isinstance(item, (list, tuple, np.ndarray)) and any(
        isinstance(row, (list, tuple, np.ndarray)) for row in item
    )


def _steps(item: Any, name: str, code: str) -> values.Matrix:
    """Return the rows of a sequence as a matrix; `code` is the error of rows that differ."""
    try:
        return values.matrix(item, name, finite=False)
    except StructureError as error:
        raise ValidationDataError(
            code,
            "a validation row has the wrong length",
            field=error.field,
            expected=error.expected,
            actual=error.actual,
        ) from None


def _metadata(value: Any) -> Any:
    """Return a private copy of what JSON can hold, a level below the document."""
    from instmodel.document import json_text

    text = json_text.format_document([value])
    return json_text.parse(text)[0]


def _value_size(table: dict[int, values.Vector], index: int) -> int | None:
    """Return the common length of a map's values, None for an empty map."""
    size: int | None = None
    for key, value in table.items():
        if size is None:
            size = len(value)
        if len(value) != size:
            raise StructureError(
                "map_value_size_mismatch",
                "the values of a map must have one length",
                field=f"maps[{index}]['{key}']",
                expected=size,
                actual=len(value),
            )
    return size
