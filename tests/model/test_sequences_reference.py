"""Random recurrent models of every instruction: each step against the reference."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bounds import track
from support.documents import build, with_lost_keys
from support.strategies import recurrent_documents, samples

from instmodel import reference

SEEDS = st.integers(0, 2**32 - 1)


def sequences(model, count, steps, seed, **options):
    rows = samples(count * steps, model.feature_size, seed, **options)
    return rows.reshape(count, steps, model.feature_size)


def check_state(tracked, info, got):
    value, error = tracked.state(info)
    type(tracked)(value, error, tracked.largest).check(got, "state:")


def check_steps(model, x):
    """Compare every step with what the reference makes of the state that the engine came with."""
    state = model.initial_state(len(x))
    columns = reference.state_columns(model.info)
    for t in range(x.shape[1]):
        buffers = np.full((len(x), model.required_memory), np.nan, np.float32)
        buffers[:, : model.feature_size] = x[:, t]
        buffers[:, columns] = state
        tracked = track(model.info, x[:, t], (state.astype(float), 0.0))
        for buffer in buffers:
            model.predict_with_buffer(buffer)
        tracked.check(buffers, f"buffers after step {t}:")
        tracked.output(model.info).check(model.step(x[:, t], state), f"outputs of step {t}:")
        check_state(tracked, model.info, state)


@with_lost_keys
@settings(max_examples=200)
@given(recurrent_documents(), SEEDS, st.sampled_from([1, 3, 19]))
def test_steps_agree_with_the_reference(document, seed, count):
    model = build(document)
    check_steps(model, sequences(model, count, 4, seed))


@with_lost_keys
@settings(max_examples=150)
@given(recurrent_documents(wild=True), SEEDS)
def test_steps_agree_with_the_reference_on_hostile_values(document, seed):
    model = build(document)
    check_steps(model, sequences(model, 17, 3, seed, hostile=True))


@with_lost_keys
@settings(max_examples=150)
@given(recurrent_documents(scales=[0.25]), SEEDS, st.integers(1, 6))
def test_sequences_agree_with_the_reference(document, seed, steps):
    model = build(document)
    x = sequences(model, 19, steps, seed)
    got = model.predict_sequences(x)
    state = None
    for t in range(steps):  # the bounds of a step's errors go into the next one
        tracked = track(model.info, x[:, t], state)
        tracked.output(model.info).check(got[:, t], f"outputs of step {t}:")
        state = tracked.state(model.info)
    expected, end = reference.predict_sequences(model.info, list(x))
    np.testing.assert_array_equal(
        [steps[-1] for steps in expected], tracked.output(model.info).value
    )
    np.testing.assert_array_equal(end, state[0])
    state = model.initial_state(len(x))
    model.predict_sequences(x, state=state)
    check_state(tracked, model.info, state)
