"""Sequences through recurrent models: every form they come in, and the same bits in all of them."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.documents import build, edited, identity, recurrent, with_lost_keys
from support.strategies import feature_size, recurrent_documents, samples

import instmodel as im

FULL = build(recurrent())


def alone(model, steps, state=None):
    """Run a sequence step by step by way of the unified buffer, (T, F) -> (T, O), (S,)."""
    buffer = np.zeros(model.required_memory, np.float32)
    state = model.initial_state(1)[0] if state is None else state
    places = [
        np.arange(size) + model.buffer_offsets[b] for b, size in enumerate(model.buffer_sizes)
    ]
    places = np.concatenate([places[b] for b in model.structure.state_buffers])
    buffer[places] = state
    outputs = np.empty((len(steps), model.output_size), np.float32)
    for row, output in zip(steps, outputs, strict=True):
        gaps = np.ones(len(buffer), bool)
        gaps[places] = False
        buffer[gaps] = np.nan  # what is neither input nor state must not matter
        buffer[: model.feature_size] = row
        model.predict_with_buffer(buffer)
        output[:] = buffer[model.output_index_start :][: model.output_size]
    return outputs, buffer[places]


def ragged(model, lengths, seed, **options):
    rows = samples(sum(lengths), model.feature_size, seed, **options)
    return np.split(rows, np.cumsum(lengths)[:-1]) if len(lengths) else []


def same_bits(got, expected):
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32), strict=True)


def padded(model, items):
    x = np.full((len(items), max(map(len, items), default=0), model.feature_size), np.nan)
    for place, steps in zip(x, items, strict=True):
        place[: len(steps)] = steps
    return x.astype(np.float32), np.array([len(steps) for steps in items])


# ------------------------------------------------------------------------------ the same bits


@with_lost_keys
@settings(max_examples=150, deadline=None)
@given(
    recurrent_documents(wild=True),
    st.lists(st.integers(0, 9), max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_however_sequences_are_cut(document, lengths, seed):
    model = build(document)
    items = ragged(model, lengths, seed, hostile=True)
    expected = [alone(model, steps) for steps in items]

    for got, (outputs, _) in zip(model.predict_sequences(items), expected, strict=True):
        same_bits(got, outputs)

    x, counts = padded(model, items)
    for threads in (1, 2, 5):
        state = model.initial_state(len(items))
        got = model.predict_sequences(x, counts, state=state, threads=threads)
        last = model.predict_sequences(x, counts, last=True, threads=threads)
        for i, (outputs, end) in enumerate(expected):
            same_bits(got[i, : counts[i]], outputs)
            assert np.isnan(got[i, counts[i] :]).all()
            same_bits(state[i], end if counts[i] else model.initial_state(1)[0])
            same_bits(last[i], outputs[-1] if counts[i] else np.full_like(last[i], np.nan))

    # In two calls, the states in between handed over; what comes first is float64.
    cuts = np.random.default_rng(seed).integers(0, counts + 1) if len(counts) else counts
    state = model.initial_state(len(items))
    halves = [(s[:cut], s[cut:]) for s, cut in zip(items, cuts, strict=True)]
    first = model.predict_sequences([s.astype(float) for s, _ in halves], state=state)
    rest = [s for _, s in halves]
    offsets = np.cumsum([0, *map(len, rest)])
    rows = np.concatenate([np.empty((0, model.feature_size), np.float32), *rest])
    second = model.predict_sequences(rows, offsets=offsets, state=state)
    for i, (outputs, end) in enumerate(expected):
        same_bits(np.concatenate([first[i], second[offsets[i] : offsets[i + 1]]]), outputs)
        if counts[i]:
            same_bits(state[i], end)


@pytest.mark.parametrize("count", [1, 2, 3, 15, 16, 17, 40, 97, 300])
def test_every_number_of_lanes(count):
    lengths = np.random.default_rng(count).integers(0, 60, count)
    items = ragged(FULL, lengths, count)
    expected = [alone(FULL, steps)[0] for steps in items]
    for threads in (1, 2, 3):
        got = FULL.predict_sequences(items, threads=threads)
        for steps, outputs in zip(got, expected, strict=True):
            same_bits(steps, outputs)


def test_steps_of_many_sequences_side_by_side():
    for count in (1, 2, 5, 16, 33, 200):
        x = samples(count * 4, 2, count).reshape(count, 4, 2)
        state = FULL.initial_state(count)
        whole = FULL.predict_sequences(x)
        for t in range(4):
            same_bits(FULL.step(x[:, t], state), whole[:, t])
        one = FULL.initial_state(1)[0]
        for t in range(4):
            same_bits(FULL.step(x[0, t], one), whole[0, t])
        same_bits(state[0], one)


def test_other_types_are_converted_part_by_part(monkeypatch):
    from instmodel.compiled import sequences

    monkeypatch.setattr(sequences, "_ROWS_CONVERTED", 7)
    items = ragged(FULL, [3, 0, 9, 2, 2, 2, 20, 0], 1)
    x, counts = padded(FULL, items)
    state, again = FULL.initial_state(8), FULL.initial_state(8)
    same_bits(
        FULL.predict_sequences(x.astype(float), counts, state=state),
        FULL.predict_sequences(x, counts, state=again),
    )
    same_bits(state, again)
    rows = np.concatenate(items)
    offsets = np.cumsum([0, *counts])
    for other in (rows.astype(float), np.asfortranarray(rows), rows[::-1][::-1]):
        same_bits(
            FULL.predict_sequences(other, offsets=offsets, last=True),
            FULL.predict_sequences(x, counts, last=True),
        )


def test_large_integers_of_a_list_are_rounded_once():
    from instmodel.base.arrays import as_float32
    from instmodel.compiled.ragged import read_sequences

    # Above the middle of two float32; the float64 next to it is the middle, which goes down.
    large = np.full((1, 2), 2**60 + 2**36 + 1, np.int64)
    assert as_float32(large)[0, 0] == np.float32(2**60 + 2**37)
    for others in ([], [np.zeros((0, 2))], [[]], [X[0]], [large.astype(np.uint64)]):
        steps = read_sequences([large, *others], None, None, 2).steps()
        np.testing.assert_array_equal(as_float32(steps[:1]), as_float32(large))


# ------------------------------------------------------------------------------ forms


def test_nothing_gives_nothing():
    assert FULL.predict_sequences([]) == []
    assert FULL.predict_sequences(np.empty((0, 4, 2))).shape == (0, 4, 1)
    assert FULL.predict_sequences(np.empty((3, 0, 2))).shape == (3, 0, 1)
    assert FULL.predict_sequences(np.empty((0, 2)), offsets=[0]).shape == (0, 1)
    assert FULL.predict_sequences([], last=True).shape == (0, 1)
    assert FULL.step(np.empty((0, 2)), FULL.initial_state(0)).shape == (0, 1)
    assert [len(y) for y in FULL.predict_sequences([[], [[1, 2]], np.empty((0, 2))])] == [0, 1, 0]


def test_what_lies_behind_the_end_is_never_read():
    model = build(edited(recurrent(), "buffer_sizes", 0, to=2))
    x = np.ones((2, 3, 2))
    x[0, 1:] = 1e300  # infinite in float32, and no reason for a warning
    got = model.predict_sequences(x, [1, 3])
    assert np.isnan(got[0, 1:]).all()
    assert np.isfinite(got[1]).all()
    same_bits(got[0, :1], model.predict_sequences(np.ones((1, 1, 2)))[0])


def test_out_is_where_the_result_goes():
    x = samples(12, 2, 3).reshape(2, 6, 2)
    out = np.full((2, 6, 1), 7, np.float32)
    assert FULL.predict_sequences(x, [6, 2], out=out) is out
    same_bits(out, FULL.predict_sequences(x, [6, 2]))
    for wrong in (np.empty((2, 6), np.float32), np.empty((2, 6, 1)), [0.0]):
        with pytest.raises(im.InputError):
            FULL.predict_sequences(x, out=wrong)


def test_rows_may_be_where_the_state_is():
    memory = np.zeros(6, np.float32)
    state, x = memory[:3].reshape(1, 3), memory[1:3].reshape(1, 2)
    state[:] = FULL.initial_state(1)
    expected = FULL.step(x.copy(), state.copy())
    same_bits(FULL.step(x, state), expected)


def test_a_state_that_was_handed_in_may_hold_anything():
    # Denormals count as zero, a NaN stays one.
    x = np.zeros((1, 2), np.float32)
    tiny = np.full((1, 3), 1e-40, np.float32)
    same_bits(FULL.step(x, tiny), FULL.step(x, np.zeros((1, 3), np.float32)))
    assert np.isnan(FULL.step(x, np.full((1, 3), np.nan, np.float32))).all()
    assert np.isnan(FULL.predict_sequences(x[None], state=np.full((1, 3), np.nan, "f"))).all()


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "i4", "u4", "i8", "u8", ">i4"])
def test_lengths_and_offsets_of_any_integer_type(dtype):
    x = samples(8, 2, 1).reshape(2, 4, 2)
    got = FULL.predict_sequences(x, np.array([1, 3], dtype))
    same_bits(got, FULL.predict_sequences(x, [1, 3]))
    rows = x.reshape(8, 2)
    got = FULL.predict_sequences(rows, offsets=np.array([0, 5, 8], dtype))
    same_bits(got, FULL.predict_sequences(rows, offsets=[0, 5, 8]))


def test_the_initial_state_is_ones_own():
    state = FULL.initial_state(2)
    np.testing.assert_array_equal(state, [[0.5, -0.25, 1.0]] * 2)
    state[:] = 7
    np.testing.assert_array_equal(FULL.initial_state(1), [[0.5, -0.25, 1.0]])
    for wrong in (-1, 1.5, True, None):
        with pytest.raises(im.InputError) as caught:
            FULL.initial_state(wrong)
        assert caught.value.code == "invalid_type"


def test_a_model_travels_with_its_state():
    again = pickle.loads(pickle.dumps(FULL))
    x = samples(8, 2, 1).reshape(2, 4, 2)
    same_bits(again.predict_sequences(x), FULL.predict_sequences(x))
    same_bits(again.initial_state(3), FULL.initial_state(3))


def test_validation_data_of_sequences_runs():
    x = samples(5, 2, 1)
    cases = {"inputs": [x[:3].tolist(), [], x[3:].tolist()]}
    cases["expected_outputs"] = [y.tolist() for y in FULL.predict_sequences([x[:3], [], x[3:]])]
    assert build({**recurrent(), "validation_data": cases}).validate(**cases) == 0
    wrong = edited(cases, "expected_outputs", 2, 1, 0, to=0.75)
    with pytest.raises(im.ValidationDataError) as caught:
        build({**recurrent(), "validation_data": wrong})
    assert caught.value.code == "validation_mismatch"
    assert caught.value.field == "validation_data.expected_outputs[2][1][0]"


# ------------------------------------------------------------------------------ what is refused


X = np.zeros((2, 3, 2), np.float32)


@pytest.mark.parametrize(
    ("arguments", "options", "code"),
    [
        ((X[0],), {}, "sequence_shape_mismatch"),
        ((X[..., :1],), {}, "sequence_shape_mismatch"),
        ((0.0,), {}, "sequence_shape_mismatch"),
        (([X[0], X[0, 0]],), {}, "sequence_shape_mismatch"),
        (([X[0], X[0, :, :1]],), {}, "sequence_shape_mismatch"),
        ((["ab"],), {}, "invalid_type"),
        ((X.astype(complex),), {}, "invalid_type"),
        ((X, [4, 1]), {}, "invalid_lengths"),
        ((X, [-1, 1]), {}, "invalid_lengths"),
        ((X, [1]), {}, "invalid_lengths"),
        ((X, [[1, 1]]), {}, "invalid_lengths"),
        ((X, [1.0, 1.0]), {}, "invalid_type"),
        ((X, [True, False]), {}, "invalid_type"),
        ((X, ["1", "2"]), {}, "invalid_type"),
        ((X, np.array([2**64 - 1, 0], np.uint64)), {}, "invalid_lengths"),
        (([X[0]], [3]), {}, "invalid_lengths"),
        ((X[0], [3]), {"offsets": [0, 3]}, "invalid_lengths"),
        ((X[0],), {"offsets": [0, 2, 1, 3]}, "invalid_offsets"),
        ((X[0],), {"offsets": [0, 2**63 - 1, -(2**63), -1, 3]}, "invalid_offsets"),
        ((X[0],), {"offsets": [1, 3]}, "invalid_offsets"),
        ((X[0],), {"offsets": [0, 2]}, "invalid_offsets"),
        ((X[0],), {"offsets": []}, "invalid_offsets"),
        ((X[0],), {"offsets": [[0, 3]]}, "invalid_offsets"),
        ((X[0],), {"offsets": [0.0, 3.0]}, "invalid_type"),
        ((X,), {"offsets": [0, 3]}, "invalid_offsets"),
        (([X[0]],), {"offsets": [0, 3]}, "invalid_offsets"),
        ((X,), {"state": np.zeros((1, 3), np.float32)}, "state_size_mismatch"),
        ((X,), {"state": np.zeros((2, 4), np.float32)}, "state_size_mismatch"),
        ((X,), {"state": np.zeros((2, 3))}, "invalid_type"),
        ((X,), {"state": np.zeros((3, 2), np.float32).T}, "invalid_type"),
        ((X,), {"state": [[0.0] * 3] * 2}, "invalid_type"),
        ((X,), {"threads": 0}, "invalid_thread_count"),
        ((X,), {"last": 1}, "invalid_type"),
    ],
)
def test_bad_input(arguments, options, code):
    with pytest.raises(im.InstModelError) as caught:
        FULL.predict_sequences(*arguments, **options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("x", "state", "code"),
    [
        (X[0, 0], np.zeros(4, np.float32), "state_size_mismatch"),
        (X[0, 0], np.zeros((1, 3), np.float32), "state_size_mismatch"),
        (X[0], np.zeros(3, np.float32), "state_size_mismatch"),
        (X[0], np.zeros((2, 3), np.float32), "state_size_mismatch"),
        (X[0], np.zeros((3, 3)), "invalid_type"),
        (X[0], None, "invalid_type"),
        (X[0, :, :1], np.zeros((3, 3), np.float32), "input_size_mismatch"),
    ],
)
def test_bad_steps(x, state, code):
    with pytest.raises(im.InputError) as caught:
        FULL.step(x, state)
    assert caught.value.code == code


ROWS = {"a": [1.0], "b": [2.0]}
CALLS = {
    "predict": lambda m: m.predict([[1, 2]]),
    "predict of float32": lambda m: m.predict(X[0]),
    "predict_single": lambda m: m.predict_single([1, 2]),
    "predict_parallel": lambda m: m.predict_parallel(X[0]),
    "predict_table": lambda m: m.predict_table(ROWS),
    "predict_one": lambda m: m.predict_one({"a": 1, "b": 2}),
    "score_batches": lambda m: m.score_batches([]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_calls_for_independent_rows_refuse_a_recurrent_model(call):
    with pytest.raises(im.InputError) as caught:
        call(FULL)
    assert caught.value.code == "needs_sequences"


def test_calls_for_sequences_refuse_independent_rows():
    model = build(identity(2))
    for call in (
        lambda: model.predict_sequences(X),
        lambda: model.step(X[0], np.zeros((3, 0), np.float32)),
    ):
        with pytest.raises(im.InputError) as caught:
            call()
        assert caught.value.code == "state_size_mismatch"


def test_columns_of_a_frame_must_be_the_features():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[0], columns=["b", "a"])
    for call in (
        lambda: FULL.predict_sequences(frame, offsets=[0, 3]),
        lambda: FULL.predict_sequences([frame]),
        lambda: FULL.step(frame, FULL.initial_state(3)),
    ):
        with pytest.raises(im.InputError) as caught:
            call()
        assert caught.value.code == "column_mismatch"
    same_bits(
        FULL.predict_sequences(frame[["a", "b"]], offsets=[0, 3]), FULL.predict_sequences(X[:1])[0]
    )


def test_keys_that_float32_would_round_are_refused():
    document = recurrent()
    document["instructions"].insert(
        0,
        {
            "type": "MAP_TRANSFORM",
            "input": 0,
            "output": 2,
            "map": 0,
            "size": 1,
            "internal_input_index": 0,
            "internal_output_index": 0,
            "default": [0.0],
        },
    )
    model = build({**document, "maps": [{"3": [1.0]}]})
    x = np.full((2, 3, 2), 3.0)
    x[1, 2, 0] = 16777217.0
    model.predict_sequences(x, [3, 2])  # behind the end
    for call in (
        lambda: model.predict_sequences(x),
        lambda: model.predict_sequences(list(x)),
        lambda: model.step(x[1], model.initial_state(3)),
    ):
        with pytest.raises(im.InputError) as caught:
            call()
        assert caught.value.code == "inexact_key"


# ------------------------------------------------------------------------------ a long run


def slow_model():
    rng = np.random.default_rng(0)
    weights = (rng.normal(size=(256, 257)) / 20).tolist()
    return build(
        {
            "feature_size": 1,
            "buffer_sizes": [1, 257, 256],
            "instructions": [
                {"type": "COPY", "input": 0, "output": 1, "internal_index": 0},
                {"type": "COPY", "input": 2, "output": 1, "internal_index": 1},
                {"type": "DOT", "input": 1, "output": 2, "weights": 0, "activation": "TANH"},
            ],
            "state": [{"buffer": 2}],
            "weights": [weights],
            "bias": [[0.1] * 256],
        }
    )


def test_ctrl_c_ends_a_long_run_and_leaves_the_state():
    model = slow_model()
    x = np.ones((1, 2_000_000, 1), np.float32)
    state = model.initial_state(1)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.predict_sequences(x, state=state, last=True)
    timer.join()
    same_bits(state, model.initial_state(1))


def test_many_threads_use_one_model():
    items = ragged(FULL, [7] * 500, 0)
    expected = np.concatenate(FULL.predict_sequences(items, threads=1))
    found = []

    def run():
        found.append(np.concatenate(FULL.predict_sequences(items, threads=2)))

    workers = [threading.Thread(target=run) for _ in range(8)]
    for worker in itertools.chain(workers):
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 8
    for got in found:
        same_bits(got, expected)


def test_a_strategy_of_recurrent_documents_makes_states():
    @settings(max_examples=50, database=None)
    @given(recurrent_documents())
    def check(document):
        model = build(document)
        assert model.is_recurrent
        assert model.feature_size == feature_size(document)

    check()
