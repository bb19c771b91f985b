"""Recurrent models as words and in shaders: each state is where the words say, and kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from support import device, strategies, words
from support.documents import build, dense, everything, recurrent, running_sum, two_states

import instmodel as im
from instmodel import reference

ABSENT = 0xFFFFFFFF
HEAD = "@group(0) @binding(0) var<storage, read> model_data: array<f32>;\n"


def pack(document):
    return im.GpuModel.from_info(im.InstructionModelInfo.from_dict(document))


DOCUMENTS = {"recurrent": recurrent(), "two_states": two_states(), "running_sum": running_sum()}


# ---------------------------------------------------------------------------------------- the words


def test_version_3_to_the_byte():
    """A running sum of one value that starts at 0.5, word by word, as docs/gpu.md has them."""
    document = running_sum() | {"feature_size": 1, "buffer_sizes": [1, 1], "parameters": [[0.5]]}
    document["state"] = [{"buffer": 1, "initial": 0}]
    half = int(np.float32(0.5).view(np.uint32))
    assert pack(document).as_words().tolist() == [
        *(0x494D5047, 3, 1, 1, 2, 1, 20, 28, 0, 28, 1, 1, 35, 29, 2, 31, 0, 31, 4, 1),
        *(10, 0, 1, 1, 0, 2, 0, 0),
        half,
        *(0, 1),
        *(1, 1, 0, 0),
    ]


def test_states_are_in_the_order_of_the_compute_buffer_and_know_their_place():
    model = pack(two_states())
    assert (model.version, model.state_size, model.is_recurrent) == (3, 5, True)
    assert [tuple(state) for state in model.states] == [(2, 2, ABSENT, 3), (9, 3, 0, 0)]
    np.testing.assert_array_equal(model.initial_state, [0.5, -0.25, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(model.initial_state, build(two_states()).initial_state(1)[0])
    assert model.facts()["state_size"] == 5
    assert model.facts()["states"] == [
        {"start": 2, "size": 2, "place": 3},
        {"start": 9, "size": 3, "place": 0, "initial": 0},
    ]


def test_a_model_without_state_has_none():
    model = pack(everything())
    assert (model.version, model.state_size, model.is_recurrent, model.states) == (2, 0, False, [])
    assert not model.initial_state.size
    assert "states" not in model.facts()
    assert model == pack(everything() | {"state": []})


@given(strategies.recurrent_documents())
def test_from_bytes_gives_the_same_model(document):
    model = pack(document)
    twin = im.GpuModel.from_bytes(model.as_bytes())
    assert twin == model
    assert (twin.states, twin.facts(), twin.gaps) == (model.states, model.facts(), model.gaps)
    assert model.version == 3


@given(strategies.recurrent_documents(wild=True))
def test_the_words_say_what_the_document_says_step_by_step(document):
    model = pack(document)
    info = im.InstructionModelInfo.from_dict(document)
    steps = strategies.samples(4, model.feature_size, 5, hostile=True)
    outputs, last = reference.predict_sequences(info, [steps])
    state = model.initial_state.astype(np.float64)
    for x, want in zip(steps, outputs[0], strict=True):
        got = words.run(model.as_words(), x, state)[model.output_start :]
        np.testing.assert_array_equal(np.float32(got), np.float32(want))
    np.testing.assert_array_equal(np.float32(state), np.float32(last[0]))


S = 20 + 8 * 7 + 31 + 3  # the first word of the states of two_states
H = {"version": 1, "parameters_count": 10, "states": 17, "states_count": 18, "state_size": 19}


@pytest.mark.parametrize(
    ("word", "value", "code"),
    [
        (H["version"], 2, "invalid_document"),
        (H["states"], S + 1, "invalid_document"),
        (H["states_count"], 4, "invalid_document"),
        (H["states_count"], 2**32 - 1, "invalid_document"),
        (H["state_size"], 6, "invalid_document"),
        (S, 1, "state_in_input"),
        (S, 22, "buffer_index_out_of_bounds"),
        (S, 2**32 - 1, "buffer_index_out_of_bounds"),
        (S + 1, 0, "invalid_document"),  # another size of all together
        (S + 2, 2, "parameters_index_out_of_bounds"),
        (S + 3, 2, "invalid_document"),
        (S + 3, 4, "invalid_document"),
        (S + 4, 3, "repeated_state"),
        (S + 6, ABSENT, "unused_parameters"),
    ],
)
def test_a_changed_word_has_its_error(word, value, code):
    changed = pack(two_states()).as_words().copy()
    assert (len(changed), changed[H["states"]]) == (S + 8, S)
    changed[word] = value
    with pytest.raises(im.InstModelError) as caught:
        im.GpuModel.from_bytes(changed)
    assert caught.value.code == code


@pytest.mark.parametrize(("start", "code"), [(2, "unwritten_state"), (3, "unused_state")])
def test_a_state_that_nothing_writes_or_reads_is_refused(start, code):
    """Buffer 2 is none of any instruction; buffer 3 is written, and nothing reads it."""
    document = running_sum() | {"feature_size": 1, "buffer_sizes": [1] * 5}
    for source, target in ((0, 3), (1, 4)):
        copy = {"type": "COPY", "input": source, "output": target, "internal_index": 0}
        document["instructions"].append(copy)
    changed = pack(document).as_words().copy()
    assert changed[-4] == 1
    changed[-4] = start
    with pytest.raises(im.InstModelError) as caught:
        im.GpuModel.from_bytes(changed)
    assert (caught.value.code, caught.value.field) == (code, "states[0]")


def test_every_prefix_and_every_longer_array_is_refused():
    data = pack(two_states()).as_bytes()
    for wrong in [data[:size] for size in range(len(data))] + [data + bytes(4), data + bytes(16)]:
        with pytest.raises(im.InstModelError) as caught:
            im.GpuModel.from_bytes(wrong)
        assert caught.value.code == "invalid_document"


def test_an_accepted_mutant_reads_and_writes_in_range():
    rng = np.random.default_rng(0)
    accepted = refusals = 0
    for document in DOCUMENTS.values():
        original = pack(document).as_words()
        near = [-1, 1, 2, 4, 8, 2**31]
        single = [(i,) for i in range(len(original)) for _ in near]
        several = [rng.integers(0, len(original), 2) for _ in range(1000)]
        ends = [rng.integers(len(original) - 12, len(original), 2) for _ in range(1000)]
        for count, where in enumerate([*single, *several, *ends]):
            changed = original.copy()
            for index in where:
                step = near[count % len(near)] if len(where) == 1 else rng.choice(near)
                changed[index] = (int(changed[index]) + int(step)) % 2**32
            try:
                model = im.GpuModel.from_bytes(changed, allow_non_finite=True)
            except im.InstModelError:
                refusals += 1
                continue
            accepted += 1
            words.run(changed, np.ones(model.feature_size), np.zeros(model.state_size))
    assert accepted > 200
    assert refusals > 2000


# -------------------------------------------------------------------------------------- the shaders


def test_a_shader_has_what_its_models_need():
    state_less = im.get_instmodel_wgsl(64, models=[pack(dense())])
    assert "state" not in state_less
    only = im.get_instmodel_wgsl(64, models=[pack(recurrent())])
    assert "fn predict(" not in only
    mixed = im.get_instmodel_wgsl(64, models=[pack(recurrent()), pack(dense())])
    for source in (mixed, im.get_instmodel_wgsl(64)):
        for name in ("predict", "predict_step", "reset_state", "get_state_size"):
            assert f"fn {name}(" in source
    for source in (state_less, only, mixed):
        device.device().create_shader_module(code=HEAD + source)


def sequences(model, count, steps, seed):
    x = strategies.samples(count * steps, model.feature_size, seed)
    return x.reshape(count, steps, -1)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_steps_in_a_kernel_are_those_of_the_reference(name):
    document = DOCUMENTS[name]
    info, model = im.InstructionModelInfo.from_dict(document), pack(document)
    x = sequences(model, 70, 20, 1)
    got, state = device.run_steps(model, x, 64)
    want, last = reference.predict_sequences(info, list(x))
    width = got.shape[-1]
    outputs = got[..., model.output_start :].reshape(-1, width - model.output_start)
    device.assert_close(outputs, np.concatenate(want))
    device.assert_close(state, last)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_kernel_goes_on_where_another_dispatch_ended(name):
    model = pack(DOCUMENTS[name])
    x = sequences(model, 10, 12, 2)
    want, end = device.run_steps(model, x, 64)
    first, state = device.run_steps(model, x[:, :5], 64)
    second, state = device.run_steps(model, x[:, 5:], 64, state)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), want)
    np.testing.assert_array_equal(state, end)


def test_a_step_of_a_model_without_state_is_a_prediction():
    model, x = pack(everything()), strategies.samples(30, 6, 1)
    mixed = im.get_instmodel_wgsl(64, models=[model, pack(recurrent())])
    step = device.MAIN.replace("predict(", "predict_step(")
    reset = step.replace("predict_step", "reset_state(offsets[id.x], &buffer); predict_step")
    want = device.run_embedded([model], [x], 64)[0]
    for main in (step, reset):
        got = device.run_embedded([model], [x], 64, source=mixed, main=main)[0]
        np.testing.assert_array_equal(got, want)


def test_packed_models_keep_to_their_own_states():
    """Models with and without state, one after the other: each offset is reached."""
    documents = [dense(), two_states(), recurrent()]
    packed, offsets = im.pack_models([pack(document) for document in documents])
    source = (
        HEAD
        + im.get_instmodel_wgsl(64)
        + """
@group(0) @binding(1) var<storage, read_write> found: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var buffer: array<f32, MAX_COMPUTE_BUFFER>;
    for (var m = 0u; m < 3u; m++) {
        let model = offsets[m];
        found[6u * m] = f32(get_state_size(model));
        reset_state(model, &buffer);
        for (var i = 0u; i < get_state_size(model); i++) {
            found[6u * m + 1u + i] = get_state_value(model, &buffer, i);
        }
    }
}
"""
    )
    arrays = [packed, np.zeros(18, np.float32), np.array(offsets, np.uint32)]
    got = device.dispatch(device.pipeline(source), arrays, 1, 1).reshape(3, 6)
    np.testing.assert_array_equal(got[:, 0], [0, 5, 3])
    np.testing.assert_array_equal(got[1, 1:], [0.5, -0.25, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(got[2, 1:4], [0.5, -0.25, 1.0])
