"""`GpuSession.predict_sequences`: the CPU's numbers for sequences of any lengths, in any form."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from support import agreement, device, strategies
from support.documents import build, dense, recurrent, running_sum, two_states

import instmodel as im
from instmodel import reference
from instmodel.gpu import GpuSession, chunk, plan

RNG = np.random.default_rng(0)
LENGTHS = [*RNG.integers(0, 30, 140), 0, 1, 300, 47]


def layer(name, features, size):
    """A layer of PyTorch, and one output of it; large ones get the tiled kernel."""
    builder = im.ModelBuilder()
    x = builder.input(features)
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[name] * size
    parts = [RNG.normal(0, 0.3, shape) for shape in ((gates, features), (gates, size), gates)]
    h = getattr(builder, name)(x, *parts)
    y = builder.dense(h, RNG.normal(0, 0.3, (2, size)), [0.1, -0.1], activation="SIGMOID")
    return builder.build(output=y)


def info_of(document):
    return im.InstructionModelInfo.from_dict(document)


def unwritten_outputs():
    """The output has a part that nothing writes, and is changed in place: 1 - 0 there."""
    document = two_states()
    document["buffer_sizes"] = [2, 2, 5, 3, 10, 6]
    document["instructions"] += [
        {"type": "COPY", "input": 3, "output": 5, "internal_index": 1},
        {"type": "ACTIVATION", "input": 5, "activation": "INVERSE"},
    ]
    return document


INFOS = {
    "recurrent": info_of(recurrent()),
    "two_states": info_of(two_states()),
    "running_sum": info_of(running_sum()),
    "unwritten_outputs": info_of(unwritten_outputs()),
    "rnn": layer("rnn", 29, 10),
    "gru": layer("gru", 20, 40),
    "lstm": layer("lstm", 16, 64),
}


def open_session(info):
    return GpuSession(info, adapter=device.adapter())


@pytest.fixture(scope="module")
def sessions():
    made = {}

    def get(name):
        if name not in made:
            made[name] = open_session(INFOS[name])
        return made[name]

    yield get
    for session in made.values():
        session.close()


def ragged(features, lengths=LENGTHS, seed=1):
    rows = strategies.samples(sum(lengths), features, seed)
    return np.split(rows, np.cumsum(lengths)[:-1])


def small_room(monkeypatch):
    """Few sequences at a time, few rows in a block, few moments."""
    monkeypatch.setattr(chunk, "_MOST_SAMPLES", 64)
    monkeypatch.setattr(chunk, "_MOST_MOMENTS", 5)
    monkeypatch.setattr(chunk, "_MOST_TRANSFER", 4 * 64 * 128)


def same(got, want):
    np.testing.assert_array_equal(np.concatenate(got), np.concatenate(want))


# ------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("name", INFOS)
def test_every_step_is_that_of_the_cpu(sessions, name):
    items = ragged(sessions(name).feature_size)
    model = im.InstructionModel(INFOS[name])
    state, want_state = model.initial_state(len(items)), model.initial_state(len(items))
    got = sessions(name).predict_sequences(items, state=state)
    want = model.predict_sequences(items, state=want_state)
    assert [item.shape for item in got] == [item.shape for item in want]
    device.assert_close(np.concatenate(got), np.concatenate(want))
    device.assert_close(state, want_state)


@pytest.mark.parametrize("name", INFOS)
def test_every_step_is_that_of_the_reference(sessions, name):
    items = ragged(sessions(name).feature_size, [20] * 5 + [3])
    got = sessions(name).predict_sequences(items)
    want, _ = reference.predict_sequences(INFOS[name], items)
    for got_item, want_item in zip(got, want, strict=True):
        device.assert_close(got_item, want_item)


@pytest.mark.parametrize("name", INFOS)
def test_however_many_fit_at_a_time_the_bits_are_the_same(sessions, monkeypatch, name):
    items = ragged(sessions(name).feature_size)
    want_state = np.tile(sessions(name).model.initial_state, (len(items), 1))
    want = sessions(name).predict_sequences(items, state=want_state)
    small_room(monkeypatch)
    with open_session(INFOS[name]) as made:
        for last in (False, True):
            state = np.tile(made.model.initial_state, (len(items), 1))
            got = made.predict_sequences(items, state=state, last=last)
            np.testing.assert_array_equal(state, want_state)
            if not last:
                same(got, want)
        ends = [item[-1] if len(item) else np.full(made.output_size, np.nan) for item in want]
        np.testing.assert_array_equal(got, ends)
        assert made._chunk.room.samples == 64
        assert made._chunk.room.rows <= 64 * 128


@settings(max_examples=15, deadline=None)
@given(strategies.recurrent_documents(max_size=60, scales=[0.25]))
def test_random_models(document):
    with open_session(info_of(document)) as made:
        for hostile in (False, True):
            x = strategies.samples(40 * 6, made.feature_size, 3, hostile=hostile)
            x = x.reshape(40, 6, -1)
            agreement.check_sequences(document, x, made.predict_sequences(x))


# -------------------------------------------------------------------------------------------- forms


def test_every_form_gives_the_same(sessions):
    made, lengths = sessions("rnn"), [4, 0, 7, 1, 7]
    items = ragged(29, lengths)
    want = made.predict_sequences(items)
    rows, offsets = np.concatenate(items), np.concatenate([[0], np.cumsum(lengths)])
    flat = made.predict_sequences(rows, offsets=offsets)
    np.testing.assert_array_equal(flat, np.concatenate(want))
    np.testing.assert_array_equal(
        made.predict_sequences(rows.astype(np.float64), offsets=offsets.astype(np.int16)), flat
    )

    padded = np.full((5, 9, 29), np.nan, np.float32)
    for place, item in zip(padded, items, strict=True):
        place[: len(item)] = item
    got = made.predict_sequences(padded, lengths)
    assert got.shape == (5, 9, 2)
    for i, length in enumerate(lengths):
        np.testing.assert_array_equal(got[i, :length], want[i])
        assert np.isnan(got[i, length:]).all()
    last = made.predict_sequences(padded, lengths, last=True)
    assert np.isnan(last[1]).all()
    np.testing.assert_array_equal(last[[0, 2]], [want[0][-1], want[2][-1]])


def test_no_sequences_and_none_with_steps(sessions):
    made = sessions("rnn")
    assert made.predict_sequences([]) == []
    assert made.predict_sequences(np.empty((0, 4, 29))).shape == (0, 4, 2)
    assert np.isnan(made.predict_sequences(np.empty((3, 0, 29)), last=True)).all()
    state = np.ones((2, 10), np.float32)
    got = made.predict_sequences([np.empty((0, 29))] * 2, state=state)
    assert [item.shape for item in got] == [(0, 2)] * 2
    assert (state == 1).all()


def test_out(sessions):
    made = sessions("rnn")
    items = ragged(29, [5, 2])
    want = made.predict_sequences(items)
    out = np.empty((7, 2), np.float32)
    got = made.predict_sequences(items, out=out)
    same(got, want)
    np.testing.assert_array_equal(out, np.concatenate(want))
    assert all(np.shares_memory(item, out) for item in got)
    out = np.empty((2, 2), np.float32)
    assert made.predict_sequences(items, last=True, out=out) is out


def test_out_may_be_the_rows():
    with open_session(INFOS["running_sum"]) as made:
        x = strategies.samples(60, 3, 1).reshape(6, 10, 3)
        want = made.predict_sequences(x)
        np.testing.assert_array_equal(made.predict_sequences(x, out=x), want)


def test_days_that_follow_each_other_are_one(sessions):
    made = sessions("lstm")
    items = ragged(16, [20, 7, 13])
    whole = made.predict_sequences(items)
    state = np.tile(made.model.initial_state, (3, 1))
    first = made.predict_sequences([item[:5] for item in items], state=state)
    second = made.predict_sequences([item[5:] for item in items], state=state)
    same([np.concatenate(pair) for pair in zip(first, second, strict=True)], whole)


def test_denormal_states_count_as_zero(sessions):
    x = np.zeros((2, 1, 3), np.float32)
    state = np.array([[1e-40, -1e-39, 1.0], [0.0, 0.0, 1.0]], np.float32)
    got = sessions("running_sum").predict_sequences(x, state=state)
    np.testing.assert_array_equal(got[0], got[1])


def test_a_session_of_words_alone():
    model = im.GpuModel.from_info(INFOS["rnn"])
    x = strategies.samples(30, 29, 1).reshape(3, 10, 29)
    with open_session(model) as made, open_session(INFOS["rnn"]) as other:
        np.testing.assert_array_equal(made.predict_sequences(x), other.predict_sequences(x))


def test_threads_wait_for_each_other(sessions):
    made = sessions("gru")
    many = [ragged(20, [9, 3, 40], seed) for seed in range(6)]
    want = [made.predict_sequences(items) for items in many]
    with ThreadPoolExecutor(3) as pool:
        for got, expected in zip(pool.map(made.predict_sequences, many), want, strict=True):
            same(got, expected)


# -------------------------------------------------------------------------------------------- plan


def test_a_step_is_the_plan_of_a_row():
    model = im.GpuModel.from_info(INFOS["unwritten_outputs"])
    steps = [(step.kernel.removeprefix("instmodel_"), *step[1:3]) for step in plan.make_plan(model)]
    assert steps[0][0] == "clear"
    assert steps[-3:] == [("load", 0, 2), ("run_rows", 0, 9), ("store", 22, 6)]
    assert [step[1:3] + step[5:] for step in plan.load_state(model)] == [
        (2, 2, 5, 3),
        (9, 3, 5, 0),
    ]
    large = plan.make_plan(im.GpuModel.from_info(INFOS["lstm"]))
    assert "instmodel_dense_rows" in [step.kernel for step in large]


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("arguments", "options", "code"),
    [
        ((np.zeros((3, 29)),), {}, "sequence_shape_mismatch"),
        ((np.zeros((2, 3, 28)),), {}, "sequence_shape_mismatch"),
        ((np.zeros((2, 3, 29)), [4, 1]), {}, "invalid_lengths"),
        ((np.zeros((3, 29)),), {"offsets": [0, 4]}, "invalid_offsets"),
        ((np.zeros((2, 3, 29)),), {"state": np.zeros((2, 9), "f4")}, "state_size_mismatch"),
        ((np.zeros((2, 3, 29)),), {"state": np.zeros((2, 10))}, "invalid_type"),
        ((np.zeros((2, 3, 29)),), {"last": "yes"}, "invalid_type"),
        ((np.zeros((2, 3, 29)),), {"out": np.zeros((2, 3, 1), "f4")}, "destination_size_mismatch"),
    ],
)
def test_wrong_arguments(sessions, arguments, options, code):
    with pytest.raises(im.InstModelError) as caught:
        sessions("rnn").predict_sequences(*arguments, **options)
    assert caught.value.code == code


def test_rows_and_sequences_are_not_mixed_up(sessions):
    with pytest.raises(im.InstModelError, match="predict_sequences") as caught:
        sessions("recurrent").predict([0.0, 0.0])
    assert caught.value.code == "needs_sequences"
    with open_session(info_of(dense())) as made, pytest.raises(im.InstModelError) as caught:
        made.predict_sequences(np.zeros((1, 1, 2)))
    assert caught.value.code == "state_size_mismatch"


def test_a_call_that_fails_leaves_the_states_and_the_session_as_they_were(sessions, monkeypatch):
    made = sessions("rnn")
    items = ragged(29, [3, 200, 9])
    want = made.predict_sequences(items)
    state = np.full((3, 10), 0.5, np.float32)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(chunk.Chunk, "get_state", interrupt)
        with pytest.raises(KeyboardInterrupt):
            made.predict_sequences(items, state=state)
    assert (state == 0.5).all()
    same(made.predict_sequences(items), want)


def test_a_closed_session_says_so():
    made = open_session(INFOS["recurrent"])
    made.close()
    with pytest.raises(im.InstModelError) as caught:
        made.predict_sequences(np.zeros((1, 1, 2)))
    assert caught.value.code == "session_closed"


def test_keys_of_maps_that_float32_cannot_hold():
    step = {"type": "MAP_TRANSFORM", "input": 0, "output": 1, "map": 0, "size": 1}
    step |= {"internal_input_index": 0, "internal_output_index": 0, "default": [0.0]}
    document = running_sum() | {
        "feature_size": 1,
        "buffer_sizes": [1, 1, 1],
        "maps": [{"5": [1.0]}],
    }
    add = {"type": "ADD_ELEMENTWISE_BUFFERS", "input": [1, 2], "output": 2}
    document |= {"instructions": [step, add], "state": [{"buffer": 2}]}
    with open_session(build(document)) as made:
        got = made.predict_sequences(np.array([[[5], [4], [5]]]))
        np.testing.assert_array_equal(got[0, :, 0], [1, 1, 2])
        with pytest.raises(im.InstModelError) as caught:
            made.predict_sequences([np.array([[5]]), np.array([[16777217]])])
        assert caught.value.code == "inexact_key"
