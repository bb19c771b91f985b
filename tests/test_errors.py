"""Each code of SPEC.md 3 is raised by a case of its own, with its place."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.documents import dense, edited, everything, identity, one

import instmodel as im

# The complete list of SPEC.md 3.
CODES = [
    "missing_features",
    "invalid_feature_format",
    "feature_size_mismatch",
    "invalid_feature_size",
    "no_buffers",
    "invalid_buffer_size",
    "no_instructions",
    "bias_weights_mismatch",
    "bias_weights_size_mismatch",
    "too_many_weights",
    "weight_limit_exceeded",
    "buffer_limit_exceeded",
    "buffer_index_out_of_bounds",
    "weights_index_out_of_bounds",
    "parameters_index_out_of_bounds",
    "map_index_out_of_bounds",
    "weights_row_size_mismatch",
    "weights_column_size_mismatch",
    "bias_output_size_mismatch",
    "parameters_size_mismatch",
    "same_input_output",
    "internal_index_out_of_bounds",
    "internal_input_index_out_of_bounds",
    "internal_output_index_out_of_bounds",
    "mask_index_out_of_bounds",
    "too_many_mask_indexes",
    "insufficient_input_buffers",
    "input_buffer_size_mismatch",
    "invalid_heads_size",
    "default_size_mismatch",
    "map_value_size_mismatch",
    "invalid_map_key",
    "unused_weights",
    "unused_parameters",
    "unused_map",
    "unused_computation",
    "unknown_instruction",
    "unknown_activation",
    "missing_field",
    "unknown_field",
    "invalid_type",
    "duplicate_key",
    "non_finite_value",
    "invalid_document",
    "unsupported_version",
    "digest_mismatch",
    "validation_count_mismatch",
    "validation_input_size_mismatch",
    "validation_output_size_mismatch",
    "validation_mismatch",
    "input_size_mismatch",
    "buffer_too_small",
    "invalid_thread_count",
    "invalid_slice",
    "slice_out_of_bounds",
    "result_index_out_of_bounds",
    "destination_size_mismatch",
]


class Case(NamedTuple):
    code: str
    provoke: Any  # called; must raise
    instruction: int | None = None
    instruction_type: str | None = None
    field: str | None = None


def build(document, **options):
    return im.InstructionModel(im.InstructionModelInfo.from_dict(document, **options))


def binary(code, byte, field):
    def provoke():
        data = bytearray(im.InstructionModelInfo.from_dict(D).to_bytes())
        data[byte] ^= 1
        im.InstructionModelInfo.from_bytes(bytes(data))

    return Case(code, provoke, field=field)


def document(code, changed, instruction=None, instruction_type=None, field=None):
    """A case that is a document, refused when a model is made of it."""
    return Case(code, lambda: build(changed), instruction, instruction_type, field)


def text(code, changed, field=None):
    """A case that is a JSON text."""
    return Case(code, lambda: im.InstructionModelInfo.from_json(changed), field=field)


def model():
    return build(dense())


def parallel(**config):
    return model().predict_parallel(np.zeros((3, 2), np.float32), im.PredictConfig(**config))


D, E = dense(), everything()
MAP = E["instructions"][7]
HEADS = {"type": "ADD_BUFFER_HEADS", "input": [0, 1], "output": 2}
TWO = [{"type": "COPY", "input": 0, "output": 1, "internal_index": 0}]
CASES = [
    # ------------------------------------------------------------------ binary files
    binary("unsupported_version", 8, "version"),
    binary("digest_mismatch", 40, "digest"),
    # ------------------------------------------------------------------ features
    document("missing_features", edited(D, "features", to=...), field="features"),
    document("invalid_feature_format", edited(D, "features", 1, to="b[0]"), field="features[1]"),
    document(
        "feature_size_mismatch",
        {**D, "features": ["a", "b"], "feature_size": 3},
        field="feature_size",
    ),
    document(
        "invalid_feature_size", edited(identity(), "feature_size", to=0), field="feature_size"
    ),
    # ------------------------------------------------------------------ buffers, weights
    document("no_buffers", edited(D, "buffer_sizes", to=[]), field="buffer_sizes"),
    document("invalid_buffer_size", edited(D, "buffer_sizes", 1, to=0), field="buffer_sizes[1]"),
    document("no_instructions", edited(D, "instructions", to=[]), field="instructions"),
    document("bias_weights_mismatch", edited(D, "bias", 1, to=...), field="bias"),
    document("bias_weights_size_mismatch", edited(D, "bias", 0, to=[1.0]), field="bias[0]"),
    document(
        "too_many_weights",
        {**identity(), "weights": [[[1.0]], [[1.0]]], "bias": [[0.0], [0.0]]},
        field="weights",
    ),
    document("buffer_limit_exceeded", identity(3, 1_000_000), field="buffer_sizes"),
    Case(
        "weight_limit_exceeded",
        lambda: build(D, limits=im.Limits(max_weight_count=12)),
        field="weights",
    ),
    # ------------------------------------------------------------------ indexes and sizes
    document(
        "buffer_index_out_of_bounds",
        edited(D, "instructions", 2, "output", to=3),
        *(2, "DOT", "output"),
    ),
    document(
        "weights_index_out_of_bounds",
        edited(D, "instructions", 2, "weights", to=2),
        *(2, "DOT", "weights"),
    ),
    document(
        "parameters_index_out_of_bounds",
        edited(D, "instructions", 1, "parameters", to=1),
        *(1, "MUL_ELEMENTWISE", "parameters"),
    ),
    document(
        "map_index_out_of_bounds",
        edited(E, "instructions", 7, "map", to=-1),
        *(7, "MAP_TRANSFORM", "map"),
    ),
    document(
        "weights_row_size_mismatch",
        edited(edited(D, "weights", 1, to=[[1.0] * 3] * 2), "bias", 1, to=[0.0, 0.0]),
        *(2, "DOT", "weights[1]"),
    ),
    document(
        "weights_column_size_mismatch",
        edited(D, "weights", 1, to=[[1.0, 2.0]]),
        *(2, "DOT", "weights[1]"),
    ),
    document(
        "parameters_size_mismatch",
        edited(D, "parameters", 0, to=[1.0]),
        *(1, "MUL_ELEMENTWISE", "parameters[0]"),
    ),
    document(
        "same_input_output",
        edited(D, "instructions", 0, "output", to=0),
        *(0, "DOT", "output"),
    ),
    document(
        "internal_index_out_of_bounds",
        edited(E, "instructions", 13, "internal_index", to=2),
        *(13, "COPY", "internal_index"),
    ),
    document(
        "internal_input_index_out_of_bounds",
        edited(E, "instructions", 7, "internal_input_index", to=6),
        *(7, "MAP_TRANSFORM", "internal_input_index"),
    ),
    document(
        "internal_output_index_out_of_bounds",
        edited(E, "instructions", 7, "internal_output_index", to=1),
        *(7, "MAP_TRANSFORM", "internal_output_index"),
    ),
    document(
        "mask_index_out_of_bounds",
        edited(E, "instructions", 0, "indexes", 2, to=6),
        *(0, "COPY_MASKED", "indexes[2]"),
    ),
    document(
        "too_many_mask_indexes",
        edited(E, "instructions", 0, "indexes", to=[0] * 5),
        *(0, "COPY_MASKED", "indexes"),
    ),
    document(
        "insufficient_input_buffers",
        edited(E, "instructions", 11, "input", to=[5]),
        *(11, "MULTIPLY_ELEMENTWISE_BUFFERS", "input"),
    ),
    document(
        "input_buffer_size_mismatch",
        edited(E, "instructions", 10, "input", 1, to=4),
        *(10, "ADD_ELEMENTWISE_BUFFERS", "input[1]"),
    ),
    document("invalid_heads_size", one(HEADS, [4, 3, 4], 7), 0, "ADD_BUFFER_HEADS", "input[1]"),
    document(
        "default_size_mismatch",
        edited(E, "instructions", 7, "default", to=[1.0]),
        *(7, "MAP_TRANSFORM", "default"),
    ),
    document("map_value_size_mismatch", edited(E, "maps", 0, "2", to=[1.0]), field="maps[0]['2']"),
    document("invalid_map_key", edited(E, "maps", 0, "1.5", to=[1.0, 2.0]), field="maps[0]"),
    # ------------------------------------------------------------------ use
    document(
        "unused_weights",
        {**D, "weights": [*D["weights"], [[1.0]]], "bias": [*D["bias"], [1.0]]},
        field="weights[2]",
    ),
    document("unused_parameters", {**D, "parameters": [[1.0] * 3] * 2}, field="parameters[1]"),
    document("unused_map", {**D, "maps": [{}]}, field="maps[0]"),
    document(
        "unused_computation",
        {**D, "instructions": [D["instructions"][i] for i in (0, 1, 0, 2)]},
        *(2, "DOT", "output"),
    ),
    # ------------------------------------------------------------------ keys, types, numbers
    document(
        "unknown_instruction", edited(D, "instructions", 2, "type", to="DOTS"), 2, None, "type"
    ),
    document(
        "unknown_activation",
        edited(D, "instructions", 2, "activation", to="RELLU"),
        *(2, "DOT", "activation"),
    ),
    document("missing_field", edited(D, "instructions", 2, "weights", to=...), 2, "DOT", "weights"),
    document(
        "unknown_field",
        edited(D, "instructions", 2, "activaton", to="RELU"),
        *(2, "DOT", "activaton"),
    ),
    document("invalid_type", edited(D, "instructions", 0, "input", to=0.0), 0, "DOT", "input"),
    text("duplicate_key", '{"feature_size": 1, "feature_size": 2}', "feature_size"),
    document("non_finite_value", edited(D, "weights", 0, 1, 0, to=1e39), field="weights[0][1][0]"),
    text("invalid_document", '{"features": ["a"'),
    # ------------------------------------------------------------------ validation data
    document(
        "validation_count_mismatch",
        {**D, "validation_data": {"inputs": [[1.0, 2.0]], "expected_outputs": []}},
        field="validation_data",
    ),
    document(
        "validation_input_size_mismatch",
        {**D, "validation_data": {"inputs": [[1.0]], "expected_outputs": [[0.5]]}},
        field="validation_data.inputs[0]",
    ),
    document(
        "validation_output_size_mismatch",
        {**D, "validation_data": {"inputs": [[1.0, 2.0]], "expected_outputs": [[0.5, 0.5]]}},
        field="validation_data.expected_outputs[0]",
    ),
    document(
        "validation_mismatch",
        {**D, "validation_data": {"inputs": [[1.0, 2.0]], "expected_outputs": [[0.5]]}},
        field="validation_data.expected_outputs[0][0]",
    ),
    # ------------------------------------------------------------------ arguments of calls
    Case("input_size_mismatch", lambda: model().predict([1.0, 2.0, 3.0])),
    Case("buffer_too_small", lambda: model().predict_with_buffer(np.zeros(5, np.float32))),
    Case("invalid_thread_count", lambda: parallel(threads=0)),
    Case("invalid_slice", lambda: parallel(buffer_slice=(2, 2))),
    Case("slice_out_of_bounds", lambda: parallel(buffer_slice=(0, 7))),
    Case("result_index_out_of_bounds", lambda: parallel().get_result(3)),
    Case("destination_size_mismatch", lambda: parallel().copy_results(np.zeros(2, np.float32))),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_code_and_place(case):
    with pytest.raises(im.InstModelError) as caught:
        case.provoke()
    error = caught.value
    assert error.code == case.code
    assert isinstance(error, ValueError)
    assert error.instruction == case.instruction
    if case.instruction_type is not None:
        assert error.instruction_type == case.instruction_type
    if case.field is not None:
        assert error.field == case.field


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_the_message_says_code_and_place_in_words(case):
    with pytest.raises(im.InstModelError) as caught:
        case.provoke()
    message = str(caught.value)
    assert case.code in message
    assert "\n" not in message
    assert len(message) < 500
    if case.instruction is not None:
        assert f"instruction {case.instruction}" in message
    for part in (case.instruction_type, case.field):
        assert part is None or part in message


def test_bias_output_size_mismatch_is_found_by_the_rule_itself():
    # No document gets there: bias_weights_size_mismatch is checked first.
    from instmodel.document.instruction_base import Shapes

    shapes = Shapes(buffers=[2, 3], weights=[(3, 2)], bias=[2], parameters=[], maps=[])
    with pytest.raises(im.InstModelError) as caught:
        im.Dot(input=0, output=1, weights=0).check(shapes)
    assert caught.value.code == "bias_output_size_mismatch"
    assert caught.value.field == "bias[0]"
    assert (caught.value.expected, caught.value.actual) == (3, 2)


def test_every_code_has_a_case():
    covered = {case.code for case in CASES} | {"bias_output_size_mismatch"}
    assert covered == set(CODES)
    assert len(CODES) == len(set(CODES))


def test_each_case_starts_from_a_valid_document():
    for valid in (D, E, identity(), identity(3, 1)):
        build(valid)


@pytest.mark.parametrize("case", CASES[:3] + CASES[-3:], ids=lambda case: case.code)
def test_errors_travel_between_processes(case):
    with pytest.raises(im.InstModelError) as caught:
        case.provoke()
    for twin in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert type(twin) is type(caught.value)
        assert str(twin) == str(caught.value)
        assert twin.__dict__ == caught.value.__dict__


def test_a_refused_model_travels_with_all_its_pieces():
    pieces = [f"layer {i}: no" for i in range(100)]
    error = im.UnsupportedModelError("unsupported_model", "too much", pieces=pieces).in_file("m")
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.pieces, twin.file) == (str(error), pieces, "m")
    assert all(piece in str(twin) for piece in pieces)


def test_expected_and_actual_are_values_not_only_words():
    with pytest.raises(im.InstModelError) as caught:
        build(edited(D, "weights", 1, to=[[1.0, 2.0]]))
    assert (caught.value.expected, caught.value.actual) == (3, 2)


UGLY = ["a\nb", "\x1b[31mred", "\x00", "\u202egnp", "\ud800", "k" * 100_000]


@pytest.mark.parametrize("ugly", UGLY, ids=lambda ugly: ascii(ugly)[:12])
@pytest.mark.parametrize(
    "damage",
    [
        lambda ugly: {**D, ugly: 1},
        lambda ugly: edited(D, "instructions", 0, ugly, to=1),
        lambda ugly: edited(D, "instructions", 0, "type", to=ugly),
        lambda ugly: edited(D, "instructions", 0, "activation", to=ugly),
        lambda ugly: edited(D, "instructions", 0, "input", to=ugly),
        lambda ugly: edited(D, "features", 0, to=ugly + "["),
        lambda ugly: edited(D, "weights", 0, 0, 0, to=ugly),
        lambda ugly: edited(E, "maps", 0, ugly, to=[1.0, 2.0]),
        lambda ugly: {**D, "validation_data": {"inputs": [], "expected_outputs": [], ugly: 1}},
    ],
)
def test_a_message_is_one_short_printable_line_whatever_the_document_holds(damage, ugly):
    with pytest.raises(im.InstModelError) as caught:
        build(damage(ugly))
    message = str(caught.value)
    assert message.isprintable(), ascii(message[:200])
    assert len(message) < 500


@pytest.mark.parametrize("ugly", UGLY, ids=lambda ugly: ascii(ugly)[:12])
def test_a_message_about_a_repeated_key_is_one_short_printable_line(ugly):
    key = json.dumps(ugly)
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_json(f"{{{key}: 1, {key}: 2}}")
    assert caught.value.code == "duplicate_key"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
