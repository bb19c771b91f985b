"""A case for each error code that a model document or a call of a model raises."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import instmodel as im
from instmodel.document.instruction_base import Shapes
from support.documents import build, dense, edited, everything, identity, one, recurrent


class Case(NamedTuple):
    code: str
    provoke: Any  # called; must raise
    instruction: int | None = None
    instruction_type: str | None = None
    field: str | None = None


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


def bias_output():
    # No document gets there: bias_weights_size_mismatch is checked first.
    shapes = Shapes(buffers=[2, 3], weights=[(3, 2)], bias=[2], parameters=[], maps=[])
    im.Dot(input=0, output=1, weights=0).check(shapes)


def too_many_categories():
    limits = im.Limits(max_category_count=1)
    im.InstructionModelInfo.from_dict({**D, "categories": {"a": ["x", "y"]}}, limits=limits)


def copy(source, target):
    return {"type": "COPY", "input": source, "output": target, "internal_index": 0}


def with_state(*instructions, buffer=1):
    return {**identity(1, 1, 1), "instructions": instructions, "state": [{"buffer": buffer}]}


def sequences(*given, **options):
    return build(R).predict_sequences(*given, **options)


STEPS = np.zeros((1, 3, 2), np.float32)
D, E, R = dense(), everything(), recurrent()
ONE_CASE = {"inputs": [[1.0, 2.0]], "expected_outputs": [[0.5]]}  # not what D computes
HEADS = {"type": "ADD_BUFFER_HEADS", "input": [0, 1], "output": 2}
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
    document("unknown_feature", {**D, "categories": {"A": ["red"]}}, field="categories"),
    document(
        "duplicate_category",
        {**D, "categories": {"a": ["red", "green", "red"]}},
        field="categories['a'].values[2]",
    ),
    Case("category_limit_exceeded", too_many_categories, field="categories"),
    document(
        "invalid_signature",
        {**D, "signature": {"features": {"a": {"kind": "number", "min": 2, "max": 1}}}},
        field="signature.features['a'].min",
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
    Case(
        "validation_limit_exceeded",
        lambda: im.InstructionModel(
            im.InstructionModelInfo.from_dict({**D, "validation_data": ONE_CASE}),
            limits=im.Limits(max_validation_work=100),
        ),
        field="validation_data",
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
    Case("bias_output_size_mismatch", bias_output, field="bias[0]"),
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
    # ------------------------------------------------------------------ state
    document(
        "repeated_state",
        edited(R, "state", to=[{"buffer": 1, "initial": 0}, {"buffer": 1}]),
        field="state[1].buffer",
    ),
    document("state_in_input", with_state(copy(0, 2), buffer=0), field="state[0].buffer"),
    document("unwritten_state", with_state(copy(1, 2)), field="state[0].buffer"),
    document("unused_state", with_state(copy(0, 1), copy(0, 2)), field="state[0].buffer"),
    Case("needs_sequences", lambda: build(R).predict([0.0, 0.0])),
    Case("sequence_shape_mismatch", lambda: sequences(STEPS[0]), field="x"),
    Case("invalid_lengths", lambda: sequences(STEPS, [4]), field="lengths[0]"),
    Case("invalid_offsets", lambda: sequences(STEPS[0], offsets=[0, 3, 2, 3]), field="offsets[2]"),
    Case(
        "state_size_mismatch",
        lambda: sequences(STEPS, state=np.zeros((2, 3), np.float32)),
        field="state",
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
        {**D, "validation_data": ONE_CASE},
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
