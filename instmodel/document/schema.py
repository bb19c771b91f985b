"""The model document as Python objects, and back.

`InstructionModelInfo` holds a document whose *types* are right: what is an index is an int, what is
a matrix is a float32 array. Whether the parts fit together is checked by
`instmodel.document.validate`, when a model is made of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

import numpy as np

from instmodel.base import values
from instmodel.base.categories import by_feature, size_of
from instmodel.base.limits import DEFAULT_LIMITS, Limits, checked_limits
from instmodel.document.instruction_base import Instruction
from instmodel.document.instructions import INSTRUCTIONS
from instmodel.document.signature import read_signature
from instmodel.document.state import read_state
from instmodel.document.structure import DocumentParts, Structure, ValidationData, vectors
from instmodel.errors import (
    DocumentError,
    InstModelError,
    StructureError,
    ValidationDataError,
)

Unknown = Literal["error", "ignore"]

_REQUIRED_KEYS = ("buffer_sizes", "instructions", "weights", "bias")
_OPTIONAL_KEYS = (
    "features",
    "feature_size",
    "categories",
    "signature",
    "state",
    "parameters",
    "maps",
    "validation_data",
    "metadata",
)
_KEYS = (*_REQUIRED_KEYS, *_OPTIONAL_KEYS)


@dataclass(eq=False, kw_only=True)
class InstructionModelInfo(DocumentParts):
    """A model document: what a model is, before it is checked and compiled.

    Lists are accepted everywhere and converted; arrays are copied.

    Parameters
    ----------
    features : list of str, optional
        Input names in order; ``"emb[16]"`` is one array feature of 16 values. An empty list means
        "not named".
    feature_size : int, optional
        Number of input values F; must agree with `features` if both are given.
    categories : dict of str to Categories
        By feature, what text its values may be given as; a list of texts stands for `Categories`.
    signature : Signature, optional
        What the model expects of its inputs; it changes no score.
    buffer_sizes : list of int
        Sizes of the buffers; the first ones take the input, the last one is the output.
    instructions : list of Instruction
    state : list of StateBuffer
        The buffers that keep their values from one step of a sequence to the next. A model that
        has any is recurrent.
    weights : list of float32 arrays, (rows, cols)
        Row = output value, column = input value.
    bias : list of float32 vectors, (rows,)
    parameters : list of float32 vectors
    maps : list of {int: float32 vector}
    validation_data : ValidationData, optional
    metadata : optional
        Anything that JSON can hold; carried along, never interpreted.
    allow_non_finite : bool
        Let weights, bias, parameters and maps hold NaN and infinities; only binary files can.

    Raises
    ------
    InstModelError
        ``invalid_type``, ``non_finite_value`` … when a value is not what its place needs.
    """

    weights: list[values.Matrix] = field(default_factory=list)
    bias: list[values.Vector] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        finite = not self.allow_non_finite
        self.weights = [
            values.matrix(item, f"weights[{i}]", finite=finite)
            for i, item in enumerate(values.sequence(self.weights, "weights", "matrices"))
        ]
        self.bias = vectors(self.bias, "bias", finite=finite)

    def __repr__(self) -> str:
        count = sum(map(np.size, self.weights))
        return (
            f"InstructionModelInfo(buffers={len(self.buffer_sizes)}, "
            f"instructions={len(self.instructions)}, weights={count})"
        )

    @property
    def structure(self) -> Structure:
        """The document but for the values of its dense layers; shares all else with it."""
        shapes = [(item.shape[0], item.shape[1]) for item in self.weights]
        return Structure.of(self, shapes, [len(item) for item in self.bias])

    @classmethod
    def from_structure(
        cls, structure: Structure, weights: Sequence[values.Matrix], bias: Sequence[values.Vector]
    ) -> InstructionModelInfo:
        """Return the document of a structure with these values of its dense layers.

        Parameters
        ----------
        structure : Structure
        weights : sequence of float32 arrays, (rows, cols)
            Of the shapes that the structure names.
        bias : sequence of float32 vectors, (rows,)

        Raises
        ------
        StructureError
            ``weights_row_size_mismatch`` for other shapes.
        """
        info = cls(**structure.common_parts(), weights=list(weights), bias=list(bias))
        given = info.structure
        expected = (structure.weight_shapes, structure.bias_sizes)
        if (given.weight_shapes, given.bias_sizes) != expected:
            raise StructureError(
                "weights_row_size_mismatch",
                "the dense layers have other shapes than the structure",
                field="weights",
                expected="weights {} and bias {}".format(*expected),
                actual=f"{given.weight_shapes} and {given.bias_sizes}",
            )
        return info

    def with_weights(
        self, weights: Sequence[values.Matrix], bias: Sequence[values.Vector]
    ) -> InstructionModelInfo:
        """Return a document of the same structure with other dense layers; see `from_structure`."""
        return self.from_structure(self.structure, weights, bias)

    # ------------------------------------------------------------------------ documents and files

    @classmethod
    def from_dict(
        cls,
        document: Mapping[str, Any],
        *,
        unknown: Unknown = "error",
        limits: Limits = DEFAULT_LIMITS,
        allow_non_finite: bool = False,
    ) -> InstructionModelInfo:
        """Read the JSON form of a document.

        Parameters
        ----------
        document : mapping
            What ``json.loads`` gives; see docs/format.md.
        unknown : {"error", "ignore"}
            What to do with a key that the format does not know.
        limits : Limits
            Sizes beyond which nothing is allocated.
        allow_non_finite : bool
            Accept NaN and infinities among weights, bias, parameters and maps.

        Raises
        ------
        InstModelError
            With the code of the rule and the place in the document.
        """
        if not isinstance(document, Mapping):
            raise DocumentError(
                "invalid_type",
                "a model document is a JSON object",
                expected="an object",
                actual=values.describe(document),
            )
        present = values.known_only(document, _KEYS, "", unknown)
        for key in _OPTIONAL_KEYS:
            if present.get(key, MISSING) is None:
                del present[key]
        for key in _REQUIRED_KEYS:
            if key not in present:
                raise DocumentError("missing_field", "a required key is missing", field=key)
        checked_limits(limits).check_weight_count(
            _count(present["weights"], 2) + _count(present["bias"], 1)
        )
        if "categories" in present:
            limits.check_categories(*size_of(present["categories"]))
            present["categories"] = by_feature(present["categories"], unknown)
        if "signature" in present:
            present["signature"] = read_signature(present["signature"], unknown)
        items = values.sequence(present["instructions"], "instructions", "objects")
        present["instructions"] = [
            _instruction(item, index, unknown) for index, item in enumerate(items)
        ]
        if "state" in present:
            present["state"] = read_state(present["state"], unknown)
        if "validation_data" in present:
            present["validation_data"] = _validation_data(present["validation_data"], unknown)
        return cls(**present, allow_non_finite=allow_non_finite)

    @classmethod
    def from_json(
        cls,
        text: str | bytes,
        *,
        unknown: Unknown = "error",
        limits: Limits = DEFAULT_LIMITS,
    ) -> InstructionModelInfo:
        """Read a JSON text; bytes must be UTF-8. See `from_dict` for the parameters and errors."""
        from instmodel.document import json_text

        return cls.from_dict(json_text.parse(text), unknown=unknown, limits=limits)

    @classmethod
    def load(
        cls,
        path: Any,
        *,
        unknown: Unknown = "error",
        limits: Limits = DEFAULT_LIMITS,
    ) -> InstructionModelInfo:
        """Read a model file, JSON or binary by its content.

        See `from_dict` for the parameters and errors.
        """
        from instmodel import formats

        return formats.load(path, unknown=unknown, limits=limits)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        *,
        unknown: Unknown = "error",
        limits: Limits = DEFAULT_LIMITS,
    ) -> InstructionModelInfo:
        """Read the bytes of a model file, JSON or binary by their content.

        See `from_dict` for the parameters and errors.
        """
        from instmodel import formats

        return formats.from_bytes(data, unknown=unknown, limits=limits)

    @classmethod
    def from_logistic_regression_model(
        cls,
        coefficients: Mapping[str, float],
        feature_order: Sequence[str] | None = None,
    ) -> InstructionModelInfo:
        """Make the document of a logistic regression; see `instmodel.document.logistic`."""
        from instmodel.document.logistic import from_logistic_regression_model

        return from_logistic_regression_model(coefficients, feature_order)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; `from_dict` of it gives an equal document, to the bit."""
        document = self.outline()
        document["weights"] = [item.tolist() for item in self.weights]
        document["bias"] = [item.tolist() for item in self.bias]
        if self.parameters:
            document["parameters"] = [item.tolist() for item in self.parameters]
        if self.maps:
            document["maps"] = [
                {str(key): value.tolist() for key, value in item.items()} for item in self.maps
            ]
        if self.validation_data is not None:
            document["validation_data"] = self.validation_data.to_dict()
        if self.metadata is not None:
            document["metadata"] = self.metadata
        return document

    def to_json(self) -> str:
        """Return the document as JSON text.

        Raises
        ------
        DocumentError
            JSON cannot hold it: NaN, infinities, half a surrogate pair, foreign metadata.
        """
        from instmodel.document import json_text

        return json_text.format_document(self.to_dict())

    def to_bytes(self) -> bytes:
        """Return the bytes of the document's binary file."""
        from instmodel import formats

        return formats.to_bytes(self)

    def digest(self) -> str:
        """Return the SHA-256 of the content, hexadecimal: the same for both formats."""
        from instmodel import formats

        return formats.digest(self)

    def _repr_html_(self) -> str | None:
        """Draw the model in a notebook; a document that breaks a rule has no picture."""
        from instmodel.reports.graph import html_of

        try:
            return html_of(self)
        except InstModelError:
            return None

    def to_onnx(self, path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> None:
        """Write the model as an ONNX file, "input" (N, F) to "output" (N, O), both float32.

        Of a recurrent model it holds one step, with its states as a second input, "state_in"
        (N, S), and a second output, "state_out" (N, S).

        Raises
        ------
        InstModelError
            The document breaks a rule; ``missing_package`` without the extra ``onnx``.
        OSError
            The file cannot be written.
        """
        from instmodel.exporters import onnx

        onnx.save(self, path, limits)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file, completely or not at all.

        A name that ends in ``.instmodel``, in any case, gives a binary file, any other a JSON file.
        The file is written beside its place, synced, and moved there.

        Raises
        ------
        DocumentError
            The format cannot hold the document.
        OSError
            The file cannot be written; what was there before still is.
        """
        from instmodel import formats

        formats.save(self, path)


def _count(items: Any, depth: int) -> int:
    """Count the numbers in nested lists without making anything of that size."""
    if isinstance(items, np.ndarray):
        return items.size
    if not isinstance(items, (list, tuple)):
        return 0  # a wrong type, reported where it is converted
    return len(items) if depth == 0 else sum(_count(item, depth - 1) for item in items)


def _instruction(item: Any, index: int, unknown: Unknown) -> Instruction:
    if isinstance(item, Instruction):
        return item
    if not isinstance(item, Mapping):
        raise values.wrong_type(item, f"instructions[{index}]", "an object")
    name = item.get("type", MISSING)
    if name is MISSING:
        raise DocumentError("missing_field", "no type", instruction=index, field="type")
    if not isinstance(name, str):
        raise values.wrong_type(name, "type", "the name of an instruction").at(index, None)
    kind = INSTRUCTIONS.get(name)
    if kind is None:
        raise DocumentError(
            "unknown_instruction",
            f"unknown instruction{values.hint(name, INSTRUCTIONS)}",
            instruction=index,
            field="type",
            expected="one of " + ", ".join(INSTRUCTIONS),
            actual=repr(name),
        )
    try:
        known = {part.name: part for part in fields(kind)}
        given = values.known_only(item, ["type", *known], "", unknown)
        del given["type"]
        for key, part in known.items():
            if key not in given and part.default is MISSING:
                raise DocumentError("missing_field", "a required field is missing", field=key)
        return kind(**given)
    except InstModelError as error:
        raise error.at(index, name) from None


def _validation_data(data: Any, unknown: Unknown) -> ValidationData:
    if isinstance(data, ValidationData):
        return data
    if not isinstance(data, Mapping):
        raise values.wrong_type(data, "validation_data", "an object")
    keys = ("inputs", "expected_outputs")
    given = values.known_only(data, keys, "validation_data", unknown)
    for key in keys:
        if key not in given:
            raise DocumentError(
                "missing_field", "a required key is missing", field=f"validation_data.{key}"
            )
    try:
        return ValidationData(**given)
    except (DocumentError, StructureError, ValidationDataError) as error:
        raise error.inside("validation_data") from None
