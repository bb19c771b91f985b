"""State buffers in a document: what is read, what is refused, and that nothing loses them."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from support.documents import build, edited, identity, recurrent, refused

import instmodel as im
from instmodel.document.keys import key_inputs
from instmodel.document.reads import read_inputs

SEQUENCES = {
    "inputs": [[[0.0, 1.0], [0.5, -0.5]], [], [[1.0, 2.0]]],
    "expected_outputs": [[[0.0], [0.5]], [], [[1.0]]],
}


def with_cases(**changes):
    return {**recurrent(), "validation_data": {**SEQUENCES, **changes}}


def info_of(document):
    return im.InstructionModelInfo.from_dict(document)


# ------------------------------------------------------------------------------ round trips


@pytest.mark.parametrize(
    "again",
    [
        copy.deepcopy,
        dataclasses.replace,
        lambda info: pickle.loads(pickle.dumps(info)),
        lambda info: im.InstructionModelInfo.from_json(info.to_json()),
        lambda info: im.InstructionModelInfo.from_bytes(info.to_bytes()),
        lambda info: info.with_weights(info.weights, info.bias),
        lambda info: im.InstructionModel(info, validate=False).info,
        lambda info: pickle.loads(pickle.dumps(im.InstructionModel(info, validate=False))).info,
    ],
)
@pytest.mark.parametrize(
    "document", [recurrent(), with_cases(), with_cases(inputs=[], expected_outputs=[])]
)
def test_nothing_loses_the_state(document, again):
    info = info_of(document)
    found = again(info)
    assert found.state == [im.StateBuffer(1, initial=0)]
    assert found.to_dict() == info.to_dict() == {**info.to_dict(), "state": document["state"]}
    assert found.digest() == info.digest()


def test_an_empty_list_is_the_same_as_none():
    plain = edited(recurrent(), "state", to=...)
    plain["parameters"] = []
    empty = info_of({**plain, "state": []})
    assert empty.to_bytes() == info_of(plain).to_bytes()
    assert "state" not in empty.to_dict()
    assert not im.InstructionModel(empty).is_recurrent


def test_only_documents_with_state_have_version_4():
    stateless = info_of(identity()).to_bytes()
    data = info_of(with_cases()).to_bytes()
    assert (stateless[8], data[8]) == (1, 4)
    with pytest.raises(im.DocumentError) as caught:
        im.InstructionModelInfo.from_bytes(data[:8] + b"\x03" + data[9:])
    assert caught.value.code in ("unsupported_version", "digest_mismatch")


def test_mappings_are_state_buffers():
    info = info_of(recurrent())
    given = dataclasses.replace(info, state=[{"buffer": np.int64(1), "initial": 0}])
    assert given.state == info.state


def test_what_a_model_says_of_its_state():
    model = build(recurrent())
    assert model.is_recurrent
    assert model.state_size == 3
    stateless = build(identity())
    assert not stateless.is_recurrent
    assert stateless.state_size == 0


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("state", "code", "field"),
    [
        ({}, "invalid_type", "state"),
        ([1], "invalid_type", "state[0]"),
        ([{}], "missing_field", "state[0].buffer"),
        ([{"buffer": 1.0}], "invalid_type", "state[0].buffer"),
        ([{"buffer": 1, "initial": True}], "invalid_type", "state[0].initial"),
        ([{"buffer": 1, "start": 0}], "unknown_field", "state[0].start"),
        ([{"buffer": 4, "initial": 0}], "buffer_index_out_of_bounds", "state[0].buffer"),
        ([{"buffer": -1, "initial": 0}], "buffer_index_out_of_bounds", "state[0].buffer"),
        ([{"buffer": 1, "initial": 1}], "parameters_index_out_of_bounds", "state[0].initial"),
        ([{"buffer": 2, "initial": 0}], "parameters_size_mismatch", "state[0].initial"),
        ([{"buffer": 1}], "unused_parameters", "parameters[0]"),
    ],
)
def test_broken_state(state, code, field):
    error = refused(edited(recurrent(), "state", to=state))
    assert (error.code, error.field) == (code, field)


def test_unknown_keys_can_be_ignored():
    document = edited(recurrent(), "state", 0, "comment", to="hidden")
    info = im.InstructionModelInfo.from_dict(document, unknown="ignore")
    assert info.state == [im.StateBuffer(1, initial=0)]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"inputs": [[[0.0, 1.0]]]}, "validation_count_mismatch", "validation_data"),
        (
            {"expected_outputs": [[[0.0], [0.5], [1.0]], [], [[1.0]]]},
            "validation_count_mismatch",
            "validation_data.expected_outputs[0]",
        ),
        (
            {"inputs": [[[0.0, 1.0], [0.5]], [], [[1.0, 2.0]]]},
            "validation_input_size_mismatch",
            "validation_data.inputs[0][1]",
        ),
        (
            {"inputs": [[[0.0], [0.5]], [], [[1.0]]]},
            "validation_input_size_mismatch",
            "validation_data.inputs[0]",
        ),
        (
            {"expected_outputs": [[[0.0] * 2] * 2, [], [[1.0] * 2]]},
            "validation_output_size_mismatch",
            "validation_data.expected_outputs[0]",
        ),
        (
            {"inputs": [[0.0, 1.0]], "expected_outputs": [[0.0]]},
            "invalid_type",
            "validation_data.inputs[0]",
        ),
    ],
)
def test_broken_cases(changes, code, field):
    error = refused(with_cases(**changes))
    assert (error.code, error.field) == (code, field)


def test_sequences_are_no_cases_of_independent_rows():
    cases = {"inputs": [[[0.0] * 3]], "expected_outputs": [[[0.0] * 3]]}
    error = refused({**identity(), "validation_data": cases})
    assert (error.code, error.field) == ("invalid_type", "validation_data.inputs[0]")


# ------------------------------------------------------------------------------ who reads what


def test_a_read_before_the_first_write_waits_for_nothing():
    graph = build(recurrent()).execution_graph
    assert graph.roots == [0, 1]
    assert [node.parents for node in graph.nodes] == [[], [], [0, 1], [2]]


def test_the_last_writer_counts_as_read():
    # h is written twice in a step; the first time it is read, the second time by the next step.
    document = recurrent()
    document["instructions"].append({**document["instructions"][2], "weights": 0})
    assert build(document).state_size == 3


def test_a_result_that_is_overwritten_unread_is_still_a_mistake():
    document = recurrent()
    document["instructions"].insert(2, document["instructions"][2])
    assert refused(document).code == "unused_computation"


def test_a_state_buffer_is_no_gap_and_no_input():
    # Without names, the input is what is read first: not the state, though that is read, too.
    document = {**recurrent(), "features": []}
    assert build(document).feature_size == 2


def shift(sizes, *places):
    """Move value i of a state to the place that the step after it should find it in."""
    return [
        im.CopyMasked(input=source, output=target, indexes=list(indexes))
        for source, target, indexes in places
    ], list(sizes)


def test_an_input_that_only_a_later_step_reads():
    # delay[0] = x[1], delay[1] = delay[0] of the step before, the output is delay[1].
    instructions, sizes = shift([2, 2, 3, 1], (1, 2, (0,)), (0, 1, (1,)), (2, 3, (0,)))
    assert read_inputs(instructions, sizes, 2, [1]) == (1,)
    assert read_inputs(instructions, sizes, 2) == ()


def look_up(buffer, place):
    return im.MapTransform(
        input=buffer,
        output=3,
        internal_input_index=place,
        internal_output_index=0,
        map=0,
        size=1,
        default=[0.0],
    )


def test_a_key_that_waits_in_the_state():
    instructions, sizes = shift([2, 2, 3, 1], (0, 1, (1,)))
    assert key_inputs([look_up(1, 0), *instructions], sizes, 2, [1]) == (1,)
    assert key_inputs([look_up(1, 1), *instructions], sizes, 2, [1]) == ()


def test_a_long_chain_of_states_takes_no_pass_for_each_step():
    # 20,000 values that move on by one place in a step: followed one by one, for hours.
    size = 20_000
    chain = [
        im.CopyMasked(input=1, output=2, indexes=list(range(size))),
        im.Copy(input=2, output=1, internal_index=1),
        im.CopyMasked(input=0, output=1, indexes=[0]),
        im.CopyMasked(input=2, output=3, indexes=[size - 1]),
    ]
    assert read_inputs(chain, [1, size + 1, size, 1], 1, [1]) == (0,)
