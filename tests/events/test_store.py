"""A store keeps states by key, in memory and in files."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.documents import build, dense, recurrent
from support.events import contents, fill

import instmodel as im
from instmodel.errors import InputError
from instmodel.events.columns import NO_TIME
from instmodel.events.held import held_for
from instmodel.events.keys import Keys

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MODEL = build(recurrent())
SIZE = MODEL.state_size


# --------------------------------------------------------------------------------------- in memory


def test_a_store_without_keys_knows_none():
    store = im.StateStore(MODEL)
    assert len(store) == 0
    assert store.get(5) is None
    assert store.drop([5]) == 0
    assert store.by == []
    assert (store.digest, store.state_size) == (MODEL.digest, SIZE)


def test_a_state_is_a_copy():
    store = fill(im.StateStore(MODEL), [7])
    state = store.get(7)
    assert state.dtype == np.float32
    assert state.tolist() == [1.0] * SIZE
    state[:] = 5
    assert store.get(7).tolist() == [1.0] * SIZE


KINDS = {
    "integers": ([3, -1, 2**62], 4, "x"),
    "small integers": (pa.array([3, 1, 2], pa.uint8()), 4, None),
    "unsigned": (pa.array([2**64 - 1, 0, 5], pa.uint64()), 4, -1),
    "text": (["é", "", "zz"], "e", 5),
    "views": (pa.array(["a" * 30, "b"], pa.string_view()), "e", 5),
    "categories": (pa.array(["x", "y", "x"]).dictionary_encode(), "e", 5),
    "bytes": ([b"\xff\x00", b"", b"\xff"], b"e", 5),
    "ids": (pa.array([b"ab", b"cd"], pa.binary(2)), b"e", 5),
    "booleans": ([True, False], None, "x"),
    "dates": ([datetime.date(2026, 3, 1), datetime.date(9999, 12, 31)], datetime.date.min, "x"),
    "instants": ([datetime.datetime(2026, 3, 1, 5)], datetime.datetime(2026, 3, 1), "x"),
    "times": ([datetime.time(5, 7)], datetime.time(1), "x"),
    "durations": ([datetime.timedelta(5)], datetime.timedelta(6), "x"),
    "decimals": ([Decimal("1.50"), Decimal("-2.25")], Decimal("1.51"), "x"),
}


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_every_kind_are_found_again_also_in_a_file(kind, ending, tmp_path):
    column, unknown, wrong = KINDS[kind]
    store = fill(im.StateStore(MODEL), column)
    path = tmp_path / f"states.{ending}"
    store.save(path)
    before = contents(store)
    for known in (store, im.StateStore.load(path, MODEL)):
        keys = list(dict.fromkeys(pa.array(column).to_pylist()))
        assert len(known) == len(keys)
        assert all(known.get(key) is not None for key in keys)
        assert contents(known) == before
        if unknown is not None:
            assert known.get(unknown) is None
        for key in [wrong, None]:
            with pytest.raises(InputError, match=r"field 'key'.*\[invalid_type\]"):
                known.get(key)
        assert known.drop(keys[:1]) == 1
        assert known.get(keys[0]) is None
        assert len(known) == len(keys) - 1


WRONG = {
    "integers": ([5], [5.0, 5.5, True, "5", 2**70, Decimal(5), (5,), [5], np.float32(5)]),
    "text": (["5"], [5, b"5", "\ud800"]),
    "bytes": ([b"x"], ["x"]),
    "booleans": ([True], [1, "x"]),
    "dates": ([datetime.date(2026, 1, 2)], [datetime.datetime(2026, 1, 2), "2026-01-02", 20455]),
    "instants": ([datetime.datetime(2026, 1, 2)], [datetime.date(2026, 1, 2), 5]),
    "decimals": ([Decimal("1.5")], [1.5, Decimal("1.55"), "1.5"]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_key_of_another_kind_is_never_rounded_to_one_that_is_there(kind):
    column, keys = WRONG[kind]
    store = fill(im.StateStore(MODEL), column)
    for key in keys:
        with pytest.raises(InputError, match=r"field 'key'.*\[invalid_type\]"):
            store.get(key)
        with pytest.raises(InputError, match=r"field 'keys'.*\[invalid_type\]"):
            store.drop([key])
    assert store.get(column[0]) is not None


def test_a_key_may_be_written_in_any_width_and_scale():
    store = fill(im.StateStore(MODEL), pa.array([5, 2**64 - 1], pa.uint64()))
    for key in (5, np.int8(5), np.uint64(2**64 - 1), 2**64 - 1):
        assert store.get(key) is not None
    store = fill(im.StateStore(MODEL), pa.array([Decimal("1.50")]))
    for key in (Decimal("1.5"), Decimal("1.500")):
        assert store.get(key) is not None
    store = fill(im.StateStore(MODEL), [datetime.date(2026, 1, 2)])
    assert store.get(np.datetime64("2026-01-02")) is not None


def test_several_columns_make_a_key():
    store = fill(im.StateStore(MODEL), [1, 1, 2], ["a", "b", "a"])
    assert len(store) == 3
    assert store.by == ["key0", "key1"]
    assert store.get((1, "b")).tolist() == [2.0] * SIZE
    assert store.get((2, "b")) is None
    assert store.get((5, "q")) is None
    for key in [1, (1,), "ab", ("a", 1)]:
        with pytest.raises(InputError, match="invalid_type"):
            store.get(key)
    assert store.drop([(1, "a"), (7, "a")]) == 1
    assert store.get((1, "a")) is None
    assert store.get((2, "a")).tolist() == [3.0] * SIZE


def test_what_is_dropped_may_come_in_arrays():
    store = fill(im.StateStore(MODEL), list(range(10)))
    assert store.drop(np.array([1, 2], np.int32)) == 2
    assert store.drop(pa.array([2, 3], pa.int16())) == 1
    assert store.drop((4, 4)) == 1
    assert store.drop({5: None}) == 1
    assert store.drop([]) == 0
    assert sorted(key for (key,) in contents(store)) == [0, 6, 7, 8, 9]
    for keys in ("text", b"bytes", 5, ["x"], np.array(["x"]), pa.array([None, 1])):
        with pytest.raises(InputError, match=r"field 'keys'.*\[invalid_type\]"):
            store.drop(keys)
    with pytest.raises(InputError, match="invalid_type"):
        store.drop(np.array([1.0]))
    assert len(store) == 5


def test_only_a_recurrent_model_has_a_store():
    with pytest.raises(InputError, match="state_size_mismatch"):
        im.StateStore(build(dense()))
    for model in ("model.json", None):
        with pytest.raises(InputError, match=r"field 'model'.*\[invalid_type\]"):
            im.StateStore(model)


def failing_call(store, *columns):
    """Change the states of some keys, and fail."""
    with store._changing() as undo:
        held = store._held
        slots = held.slots([pa.array(column) for column in columns], np.ones(SIZE, np.float32))
        for _ in range(2):
            undo.keep(held, slots)
            held.states[slots] = 99
            held.last[slots] = 99
        raise ZeroDivisionError


def test_a_failed_call_leaves_a_store_as_it_was():
    texts = pa.array(["x", "y", "z"], pa.large_string())
    store = fill(im.StateStore(MODEL), [1, 2, 3], texts, times=[5, 6, 7])
    before = contents(store)
    with pytest.raises(ZeroDivisionError):
        failing_call(store, [2, 9, 3, 2], texts.take(pa.array([1, 1, 2, 0])))
    assert contents(store) == before
    assert store.get((9, "y")) is None
    fill(store, [9], ["y"])
    assert len(store) == 4


def failing_first_call(store):
    with store._changing():
        store._held = held_for(["k"], [pa.array([1])], SIZE)
        raise ZeroDivisionError


def test_the_first_call_that_fails_leaves_no_keys():
    store = im.StateStore(MODEL)
    with pytest.raises(ZeroDivisionError):
        failing_first_call(store)
    assert len(store) == 0
    assert fill(store, ["text"]).by == ["key0"]


def test_what_interrupts_the_taking_back_is_taken_back_at_the_next_call(monkeypatch):
    store = fill(im.StateStore(MODEL), [1, 2, 3])
    before = contents(store)
    whole = Keys.truncate

    def interrupted(keys, count):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Keys, "truncate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        failing_call(store, [2, 9])
    assert Keys.truncate is whole
    assert len(store) == 3
    assert contents(store) == before


def test_a_call_inside_a_change_of_the_same_thread_is_refused():
    store = fill(im.StateStore(MODEL), [1])
    with store._changing(), pytest.raises(RuntimeError, match="changing"):
        len(store)
    assert len(store) == 1


# ---------------------------------------------------------------------------------------- in files

STATES = st.lists(st.floats(width=32, allow_nan=True), min_size=SIZE, max_size=SIZE)


@given(
    st.dictionaries(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=5)), STATES, max_size=20
    ),
    st.sampled_from(["parquet", "arrow"]),
    st.booleans(),
    st.data(),
)
def test_a_saved_store_comes_back_to_the_bit(tmp_path_factory, held, ending, timed, data):
    store = im.StateStore(MODEL)
    if held:
        numbers, texts = zip(*held, strict=True)
        times = [data.draw(st.floats(allow_nan=False)) for _ in held] if timed else None
        fill(store, list(numbers), list(texts), states=list(held.values()), times=times)
    dropped = data.draw(st.lists(st.sampled_from(sorted(held)), max_size=3)) if held else []
    store.drop(dropped)
    path = tmp_path_factory.mktemp("states") / f"states.{ending}"
    store.save(path)
    again = im.StateStore.load(path, MODEL)
    assert contents(again) == contents(store)
    assert len(again) == len(held.keys() - set(dropped))
    if held:
        assert again.by == store.by
        assert (again._held.order is None) == (not timed)


def test_a_file_is_a_table_that_anybody_reads(tmp_path):
    path = tmp_path / "states.parquet"
    fill(im.StateStore(MODEL), [7, 8], times=[datetime.datetime(2026, 3, 1)] * 2).save(path)
    table = pq.read_table(path)
    assert table.column_names == ["key0", "state", "order"]
    assert table["key0"].to_pylist() == [7, 8]
    assert table["state"].to_pylist() == [[1.0] * SIZE, [2.0] * SIZE]
    about = json.loads(table.schema.metadata[b"instmodel.states"])
    assert about == {
        "version": 1,
        "digest": MODEL.digest,
        "by": ["key0"],
        "state": "state",
        "order": {"column": "order", "of": "time"},
    }


def test_keys_may_be_called_as_the_other_columns(tmp_path):
    store = im.StateStore(MODEL)
    with store._changing():
        arrays = [pa.array([1]), pa.array([2])]
        store._held = held_for(["state", "order"], arrays, SIZE)
        store._held.slots(arrays, np.ones(SIZE, np.float32))
    store.save(tmp_path / "s.arrow")
    again = im.StateStore.load(tmp_path / "s.arrow", MODEL)
    assert again.by == ["state", "order"]
    assert again.get((1, 2)).tolist() == [1.0] * SIZE


def test_a_sequence_without_a_time_has_none_in_the_file(tmp_path):
    path = tmp_path / "states.parquet"
    store = fill(im.StateStore(MODEL), [7, 8])
    fill(store, [9], times=[5])
    store.save(path)
    assert pq.read_table(path)["order"].to_pylist() == [None, None, 5]
    assert im.StateStore.load(path, MODEL)._held.last[:3, 0].tolist() == [NO_TIME, NO_TIME, 5]


def test_the_store_of_another_model_is_refused(tmp_path):
    path = tmp_path / "states.parquet"
    fill(im.StateStore(MODEL), [7]).save(path)
    document = recurrent()
    document["weights"][0][0][0] += 1
    with pytest.raises(InputError, match=r"states\.parquet.*\[state_model_mismatch\]"):
        im.StateStore.load(path, build(document))


def test_a_failed_save_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "states.parquet"
    store = fill(im.StateStore(MODEL), [7])
    store.save(path)
    before = path.read_bytes()
    fill(store, [8])
    with monkeypatch.context() as patch:
        patch.setattr(type(store._held.keys), "arrays", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["states.parquet"]


def test_only_some_formats_hold_states(tmp_path):
    for name in ("states.csv", "states", "states.parquet.gz", "states.jsonl"):
        with pytest.raises(InputError, match="invalid_table"):
            im.StateStore(MODEL).save(tmp_path / name)
        (tmp_path / name).touch()
        with pytest.raises(InputError, match="invalid_table"):
            im.StateStore.load(tmp_path / name, MODEL)
    with pytest.raises(FileNotFoundError):
        im.StateStore.load(tmp_path / "none.parquet", MODEL)
