"""Record batches of events: the same bits as one table, and the states of all or of none."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import build, recurrent

import instmodel as im

pa = pytest.importorskip("pyarrow")

MODEL = build(recurrent())


def events(rows, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "card": rng.integers(0, 9, rows),
            "a": rng.normal(size=rows).astype(np.float32),
            "time": np.arange(rows),
            "b": rng.normal(size=rows),
        }
    )


def scores(batches, name="score"):
    return np.concatenate([batch.column(name).to_numpy() for batch in batches])


@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_are_one_table(size):
    table = events(100)
    states, other = im.StateStore(MODEL), im.StateStore(MODEL)
    found = list(
        MODEL.score_batches(
            table.to_batches(max_chunksize=size),
            keep=["time"],
            by="card",
            order="time",
            states=states,
        )
    )
    expected = MODEL.predict_events(table, "card", states=other)
    np.testing.assert_array_equal(scores(found), expected[:, 0])
    assert found[0].schema.names == ["time", "score"]
    assert len(states) == len(other) == 9
    for card in range(9):
        np.testing.assert_array_equal(states.get(card), other.get(card))
    whole = MODEL.score_batches(table, by=["card"])
    np.testing.assert_array_equal(scores(whole), expected[:, 0])


def test_a_bad_row_is_no_step_of_its_sequence():
    table = events(60)
    a = table.column("a").to_pylist()
    a[20] = a[33] = None
    broken = table.set_column(1, "a", pa.array(a, pa.float32()))
    good = np.delete(np.arange(60), [20, 33])
    expected = MODEL.predict_events(table.take(good), "card")[:, 0]
    batches = broken.to_batches(max_chunksize=8)
    skipped = scores(MODEL.score_batches(batches, by="card", on_bad_row="skip"))
    np.testing.assert_array_equal(skipped, expected)
    null = pa.Table.from_batches(MODEL.score_batches(batches, by="card", on_bad_row="null"))
    assert null.column("score").null_count == 2
    np.testing.assert_array_equal(null.column("score").to_numpy()[good], expected)
    with pytest.raises(im.InputError) as caught:
        list(MODEL.score_batches(batches, by="card"))
    assert (caught.value.code, caught.value.row, caught.value.column) == ("null_value", 20, "a")


def test_the_store_is_as_it_was_unless_all_is_scored():
    table = events(50)
    states = im.StateStore(MODEL)
    MODEL.predict_events(table, "card", "time", states=states)
    before = {card: states.get(card) for card in range(9)}
    back = list(MODEL.score_batches(table.to_batches(max_chunksize=10), by="card"))
    assert len(back) == 5
    with pytest.raises(im.InputError) as caught:  # the same events again
        list(MODEL.score_batches(table, by="card", order="time", states=states))
    assert caught.value.code == "unordered_events"
    some = MODEL.score_batches(table.to_batches(max_chunksize=10), by="card", states=states)
    next(some)
    some.close()
    for card in range(9):
        np.testing.assert_array_equal(states.get(card), before[card])


def test_a_model_whose_features_have_no_names():
    document = {**recurrent(), "feature_size": 2}
    del document["features"]
    model = build(document)
    table = events(40)
    with pytest.warns(UserWarning, match="count by their position"):
        found = scores(model.score_batches(table, keep=["time"], by="card"))
    np.testing.assert_array_equal(found, MODEL.predict_events(table, "card")[:, 0])


@pytest.mark.parametrize("option", [{"order": "time"}, {"threads": 1}])
def test_options_of_sequences_need_by(option):
    stateless = build({**recurrent(), "state": [], "parameters": []})
    with pytest.raises(im.InputError) as caught:
        stateless.score_batches(events(3), **option)
    assert caught.value.code == "invalid_type"
    with pytest.raises(im.InputError) as caught:
        stateless.score_batches(events(3), by="card")
    assert caught.value.code == "state_size_mismatch"


@pytest.mark.parametrize("on_bad_row", ["null", "skip"])
def test_an_event_without_a_key_or_a_time_is_a_bad_row(on_bad_row, small_blocks):
    table = events(30)
    cards, times = (table.column(name).to_pylist() for name in ("card", "time"))
    cards[2] = times[7] = cards[29] = None
    broken = table.set_column(0, "card", pa.array(cards)).set_column(2, "time", pa.array(times))
    good = np.delete(np.arange(30), [2, 7, 29])
    expected = MODEL.predict_events(table.take(good), "card")[:, 0].tolist()
    states = im.StateStore(MODEL)
    batches = MODEL.score_batches(
        broken.to_batches(11), on_bad_row=on_bad_row, by="card", order="time", states=states
    )
    found = pa.Table.from_batches(batches).column("score").to_pylist()
    if on_bad_row == "null":
        assert [row for row, score in enumerate(found) if score is None] == [2, 7, 29]
        found = [found[row] for row in good]
    assert found == expected
    assert len(states) == len({cards[row] for row in good})


def test_batches_without_a_good_row_have_no_steps():
    states = im.StateStore(MODEL)
    table = events(10).set_column(0, "card", pa.nulls(10))
    (batch,) = MODEL.score_batches(table, on_bad_row="skip", by="card", states=states)
    assert (batch.num_rows, len(states)) == (0, 0)


def test_an_event_that_goes_back_is_an_error_whatever_becomes_of_bad_rows():
    table = (
        events(10)
        .set_column(2, "time", pa.array([5] * 9 + [4]))
        .set_column(0, "card", pa.array([1] * 10))
    )
    with pytest.raises(im.InputError, match=r"row 9.*unordered_events"):
        list(MODEL.score_batches(table, on_bad_row="skip", by="card", order="time"))
