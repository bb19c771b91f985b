"""Every rule of a model's structure. After `check`, kernels trust every index and size.

The types of values were checked when the document's objects were made
(`instmodel.document.schema`), the rules of each instruction stand with it
(`instmodel.document.instructions`); here is what concerns the document as a whole, in the order in
which a reader would look for a mistake.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from instmodel.base import layout, values
from instmodel.base.categories import size_of
from instmodel.base.features import Feature, parse_feature_names, with_categories
from instmodel.base.limits import DEFAULT_LIMITS, Limits, checked_limits
from instmodel.document import state
from instmodel.document.graph import ExecutionGraph, Gap, LostInput, Ranges, trace
from instmodel.document.signature import check_signature
from instmodel.document.structure import Structure, ValidationData
from instmodel.errors import InstModelError, StructureError, ValidationDataError


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """The structure of a document that obeys every rule, with what the check found out about it.

    Attributes
    ----------
    structure : Structure
    features : list of Feature
        Empty where the document names none.
    feature_size : int
        Number of input values F.
    offsets : list of int
        Where each buffer starts in the unified buffer.
    required_memory : int
        Floats in the unified buffer.
    graph : ExecutionGraph
    gaps : list of Gap
        Ranges to zero before each run, or each step.
    state_size : int
        Floats of state S of a sequence: the state buffers in the order of the document.
    lost_inputs : list of LostInput
        Input values that are overwritten unread.
    """

    structure: Structure
    features: list[Feature]
    feature_size: int
    offsets: list[int]
    required_memory: int
    graph: ExecutionGraph
    gaps: list[Gap]
    state_size: int
    lost_inputs: list[LostInput]


def check(document: Structure, limits: Limits = DEFAULT_LIMITS) -> CheckedModel:
    """Check the structure of a document, whose values have the types that they should have.

    Raises
    ------
    InstModelError
        The first rule that is broken, with its code and place.
    """
    checked_limits(limits).check_weight_count(_weight_count(document))
    limits.check_categories(*size_of(document.categories))
    sizes = document.buffer_sizes
    _check_buffers(sizes, limits)
    if not document.instructions:
        raise StructureError("no_instructions", "a model needs instructions", field="instructions")
    _check_weights(document)
    features, feature_size = _check_features(document)
    shapes = document.shapes()
    for index, item in enumerate(document.instructions):
        try:
            item.check(shapes)
        except InstModelError as error:
            raise error.at(index, item.TYPE) from None
    state.check_sizes(document.state, shapes)
    _check_all_used(document)
    if feature_size is None:
        feature_size = _unnamed_feature_size(document)
    input_buffers = _input_buffers(sizes, feature_size)
    state.check_use(document.state, sizes, document.instructions, input_buffers)
    state_buffers = document.state_buffers
    found = trace(document.instructions, sizes, input_buffers, state_buffers)
    _check_validation_data(document, feature_size)
    return CheckedModel(
        structure=document,
        features=features,
        feature_size=feature_size,
        offsets=layout.buffer_offsets(sizes),
        required_memory=sum(sizes),
        graph=found.graph,
        gaps=found.gaps,
        state_size=sum(sizes[buffer] for buffer in state_buffers),
        lost_inputs=found.lost,
    )


def warn_of_lost_inputs(checked: CheckedModel, stacklevel: int) -> None:
    """Warn of input values that are overwritten before any instruction has read them.

    Parameters
    ----------
    checked : CheckedModel
    stacklevel : int
        As of `warnings.warn`, seen from the caller.
    """
    if not checked.lost_inputs:
        return
    lost = checked.lost_inputs[0]
    place = checked.offsets[lost.buffer]
    inputs = range(place + lost.start, place + lost.stop)
    columns = [name for feature in checked.features for name in feature.columns()]
    names = columns or range(checked.feature_size)
    shown = ", ".join(repr(names[i]) for i in inputs[:5]) + (", …" if inputs[5:] else "")
    warnings.warn(
        f"instruction {lost.instruction} ({checked.structure.instructions[lost.instruction].TYPE}) "
        f"overwrites input values before any instruction has read them, so that they change no "
        f"score: {shown}",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


def _weight_count(document: Structure) -> int:
    return sum(rows * cols for rows, cols in document.weight_shapes) + sum(document.bias_sizes)


def _check_buffers(sizes: Sequence[int], limits: Limits) -> None:
    if not sizes:
        raise StructureError("no_buffers", "a model needs buffers", field="buffer_sizes")
    for index, size in enumerate(sizes):
        if size < 1:
            raise StructureError(
                "invalid_buffer_size",
                "a buffer holds at least one value",
                field=f"buffer_sizes[{index}]",
                expected="≥ 1",
                actual=size,
            )
    limits.check_buffer_sizes(sizes)


def check_bias(document: Structure) -> None:
    """Check that each matrix of weights has its bias, a value for each row.

    Raises
    ------
    StructureError
        ``bias_weights_mismatch``, ``bias_weights_size_mismatch``.
    """
    shapes, sizes = document.weight_shapes, document.bias_sizes
    if len(shapes) != len(sizes):
        raise StructureError(
            "bias_weights_mismatch",
            "each matrix of weights needs a bias vector",
            field="bias",
            expected=len(shapes),
            actual=len(sizes),
        )
    for index, ((rows, _), size) in enumerate(zip(shapes, sizes, strict=True)):
        if rows != size:
            raise StructureError(
                "bias_weights_size_mismatch",
                "the bias needs one value per row of the weights",
                field=f"bias[{index}]",
                expected=rows,
                actual=size,
            )


def _check_weights(document: Structure) -> None:
    check_bias(document)
    count = len(document.weight_shapes)
    if count > len(document.instructions):
        raise StructureError(
            "too_many_weights",
            "more weights than instructions",
            field="weights",
            expected=f"at most {len(document.instructions)}",
            actual=count,
        )


# --------------------------------------------------------------------------------------- features


def _check_features(document: Structure) -> tuple[list[Feature], int | None]:
    """Return the named features, and their size or None where the document leaves it open."""
    if document.features is None and document.feature_size is None:
        raise StructureError(
            "missing_features", "needs `features` or `feature_size`", field="features"
        )
    if document.feature_size is not None and document.feature_size < 1:
        raise StructureError(
            "invalid_feature_size",
            "a model needs at least one input value",
            field="feature_size",
            expected="≥ 1",
            actual=document.feature_size,
        )
    features = parse_feature_names(document.features or [])
    features = with_categories(features, document.categories)
    check_signature(document.signature, features)
    named = sum(feature.size for feature in features)
    if features and document.feature_size not in (None, named):
        raise StructureError(
            "feature_size_mismatch",
            "`features` and `feature_size` disagree",
            field="feature_size",
            expected=f"{named}, as in `features`",
            actual=document.feature_size,
        )
    return features, named if features else document.feature_size


def _input_buffers(sizes: Sequence[int], feature_size: int) -> int:
    """Return how many of the first buffers the input fills exactly."""
    total = 0
    for index, size in enumerate(sizes):
        total += size
        if total == feature_size:
            return index + 1
        if total > feature_size:
            break
    raise StructureError(
        "feature_size_mismatch",
        "the input must fill the first buffers exactly",
        field="buffer_sizes",
        expected=f"the first buffers to hold {feature_size} values together",
        actual=list(sizes[:8]),
    )


def _unnamed_feature_size(document: Structure) -> int:
    """Find the feature count of ``"features": []``, which the trainer writes for "not named".

    It is the length of a validation input, else the size of the leading buffers that are read
    before anything has written them fully.
    """
    if document.validation_data is not None and document.validation_data.inputs:
        return int(document.validation_data.inputs[0].shape[-1])
    sizes = document.buffer_sizes
    inputs = set[int]()
    written = [Ranges() for _ in sizes]
    for buffer in document.state_buffers:
        written[buffer].add(0, sizes[buffer])
    for item in document.instructions:
        inputs.update(b for b in item.reads() if written[b].fill(sizes[b]))
        target = item.write(sizes)
        written[target.buffer].add(target.start, target.stop)
    leading = 0
    while leading in inputs:
        leading += 1
    if not leading:
        raise StructureError(
            "missing_features",
            "no instruction reads the first buffer, so the number of features is unknown",
            field="features",
            expected="`features`, `feature_size` or validation inputs",
        )
    return sum(sizes[:leading])


# ---------------------------------------------------------------------------- use, validation


def _check_all_used(document: Structure) -> None:
    for role, items, code in (
        ("weights", document.weight_shapes, "unused_weights"),
        ("parameters", document.parameters, "unused_parameters"),
        ("maps", document.maps, "unused_map"),
    ):
        used = {index for item in document.instructions for index in item.uses(role)}
        if role == "parameters":
            used.update(item.initial for item in document.state if item.initial is not None)
        for index in range(len(items)):
            if index not in used:
                raise StructureError(code, "no instruction uses it", field=f"{role}[{index}]")


def _check_validation_data(document: Structure, feature_size: int) -> None:
    data = document.validation_data
    if data is None:
        return
    check_cases(data, feature_size, document.buffer_sizes[-1], document.is_recurrent)


def check_cases(
    data: ValidationData, feature_size: int, output_size: int, is_recurrent: bool
) -> None:
    """Check that validation cases have the sizes of a model.

    They are (F,) and (O,) each, those of a recurrent model (T, F) and (T, O).
    """
    inputs, expected_outputs = data.inputs, data.expected_outputs
    if len(inputs) != len(expected_outputs):
        raise ValidationDataError(
            "validation_count_mismatch",
            "each validation input needs an expected output",
            field="validation_data",
            expected=f"{len(inputs)} expected outputs",
            actual=len(expected_outputs),
        )
    for name, rows, size, code in (
        ("inputs", inputs, feature_size, "validation_input_size_mismatch"),
        ("expected_outputs", expected_outputs, output_size, "validation_output_size_mismatch"),
    ):
        for index, case in enumerate(rows):
            place = f"validation_data.{name}[{index}]"
            if is_recurrent and not len(case):
                continue  # a sequence without steps
            if (case.ndim == 2) != is_recurrent:
                raise values.wrong_type(
                    case.tolist(), place, "a list of rows" if is_recurrent else "a list of numbers"
                )
            if case.shape[-1] != size:
                raise ValidationDataError(
                    code,
                    "a validation row has the wrong length",
                    field=place,
                    expected=size,
                    actual=case.shape[-1],
                )
    for index, (steps, outputs) in enumerate(zip(inputs, expected_outputs, strict=True)):
        if is_recurrent and len(steps) != len(outputs):
            raise ValidationDataError(
                "validation_count_mismatch",
                "each step needs an expected output",
                field=f"validation_data.expected_outputs[{index}]",
                expected=f"{len(steps)} steps",
                actual=len(outputs),
            )
