"""A table of events of many sequences gives what each sequence gives alone."""

from __future__ import annotations

import datetime
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.documents import build, dense, recurrent
from support.events import expected, features

import instmodel as im
from instmodel.errors import InputError, InstModelError
from instmodel.events import scoring

pa = pytest.importorskip("pyarrow")

MODEL = build(recurrent())


# ----------------------------------------------------------------------------------------- the bits

KEYS = {
    "integers": st.integers(-5, 5),
    "text": st.sampled_from(["", "a", "b", "ä", "a" * 40]),
    "bytes": st.sampled_from([b"", b"\x00", b"\xff"]),
    "dates": st.sampled_from([datetime.date(2026, 1, day) for day in range(1, 5)]),
    "pairs": st.tuples(st.integers(0, 3), st.sampled_from(["x", "y"])),
}


@given(st.data(), st.sampled_from(list(KEYS)), st.booleans(), st.integers(1, 3))
def test_any_order_of_arrival_in_any_days_gives_the_bits_of_each_sequence_alone(
    tmp_path_factory, data, kind, saves, threads
):
    store, states = im.StateStore(MODEL), {}
    path = tmp_path_factory.mktemp("days") / "states.arrow"
    time = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_LEAST_ROWS", 3)
        patch.setattr(scoring, "_MOST_ROWS", data.draw(st.integers(3, 9)))
        for day in range(data.draw(st.integers(1, 4))):
            keys = data.draw(st.lists(KEYS[kind], max_size=25))
            columns = features(len(keys), day)
            names = ["one", "two"] if kind == "pairs" else ["one"]
            split = (
                list(zip(*keys, strict=True)) if kind == "pairs" and keys else [keys] * len(names)
            )
            table = pa.table(
                {
                    **columns,
                    **{name: list(cells) for name, cells in zip(names, split, strict=True)},
                    "time": np.arange(time, time + len(keys)),
                }
            )
            time += len(keys)
            order = data.draw(st.sampled_from([None, "time"]))
            outputs = MODEL.predict_events(table, names, order, states=store, threads=threads)
            assert outputs.tobytes() == expected(keys, columns, states).tobytes()
            if saves:
                store.save(path)
                store = im.StateStore.load(path, MODEL)
            assert len(store) == len(states)
            for key, state in states.items():
                assert store.get(key).tobytes() == state.tobytes()


def test_without_a_store_every_call_begins_anew():
    columns = features(6)
    table = {**columns, "card": [1, 2, 1, 1, 3, 2]}
    outputs = MODEL.predict_events(table, "card")
    assert outputs.dtype == np.float32
    assert outputs.tobytes() == expected(table["card"], columns).tobytes()
    assert MODEL.predict_events(table, ["card"]).tobytes() == outputs.tobytes()


def test_many_rows_of_many_keys_give_the_same_bits():
    rng = np.random.default_rng(3)
    keys = rng.integers(0, 2000, 30_000)
    columns = features(len(keys))
    outputs = MODEL.predict_events(pa.table({**columns, "card": keys}), "card")
    assert outputs.tobytes() == expected(keys.tolist(), columns).tobytes()


def test_a_model_whose_features_have_no_names_takes_all_other_columns():
    document = recurrent()
    del document["features"]
    model = build({**document, "feature_size": 2})
    columns = features(5)
    table = {"card": [1, 2, 1, 2, 1], **columns, "time": [1, 2, 3, 4, 5]}
    with pytest.warns(UserWarning, match="count by their position"):
        outputs = model.predict_events(table, "card", "time")
    assert outputs.tobytes() == expected(table["card"], columns).tobytes()
    with pytest.raises(InputError, match="column_count_mismatch"):
        model.predict_events(table, "card")


def test_a_feature_may_name_the_sequence():
    columns = {"a": np.array([1, 2, 1, 1]), "b": np.arange(4.0)}
    outputs = MODEL.predict_events(columns, "a", "b")
    assert outputs.tobytes() == expected(columns["a"].tolist(), columns).tobytes()


# ------------------------------------------------------------------------------ tables of all kinds


def as_rows(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def of_pandas(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def of_polars(columns):
    return pytest.importorskip("polars").DataFrame(columns)


def of_duckdb(columns):
    table = pa.table(columns)
    return pytest.importorskip("duckdb").from_arrow(table)


def of_numpy(columns):
    kinds = [(name, np.asarray(cells).dtype) for name, cells in columns.items()]
    return np.array(list(zip(*columns.values(), strict=True)), kinds)


TABLES = {
    "pyarrow": pa.table,
    "chunks": lambda c: pa.concat_tables([pa.table(c).slice(i, 2) for i in range(0, 6, 2)]),
    "a batch": pa.record_batch,
    "a reader": lambda c: pa.table(c).to_reader(2),
    "categories": lambda c: pa.table(
        {name: pa.array(v).dictionary_encode() if name == "card" else v for name, v in c.items()}
    ),
    "pandas": of_pandas,
    "pandas of Arrow": lambda c: of_pandas(c).convert_dtypes(dtype_backend="pyarrow"),
    "pandas categories": lambda c: of_pandas(c).astype({"card": "category"}),
    "polars": of_polars,
    "duckdb": of_duckdb,
    "a dict of lists": lambda c: {name: list(cells) for name, cells in c.items()},
    "a dict of Series": lambda c: {name: of_polars(c)[name] for name in c},
    "a dict of arrays": lambda c: {name: np.array(cells) for name, cells in c.items()},
    "rows": as_rows,
    "records": of_numpy,
}


@pytest.mark.parametrize("cells", [[3, 1, 3, 3, 1, 2], ["x", "yy", "x", "x", "yy", "z"]])
@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_every_library_give_the_same(kind, cells, small_blocks):
    columns = features(6)
    numbers = np.array(cells) if isinstance(cells[0], int) else cells
    table = TABLES[kind]({**columns, "time": np.arange(6), "card": numbers})
    outputs = MODEL.predict_events(table, "card", "time")
    assert outputs.tobytes() == expected(cells, columns).tobytes()


@pytest.mark.parametrize("kind", ["pyarrow", "a reader", "pandas", "polars", "a dict of arrays"])
def test_a_table_without_rows_has_no_outputs(kind):
    empty = {name: np.zeros(0, np.int64) for name in ("a", "b", "card", "time")}
    store = im.StateStore(MODEL)
    table = TABLES[kind](empty) if kind != "a reader" else pa.table(empty).to_reader()
    assert MODEL.predict_events(table, "card", "time", states=store).shape == (0, 1)
    assert len(store) == 0


def test_no_rows_at_all_have_no_outputs():
    assert MODEL.predict_events([], "card").shape == (0, 1)


def test_nulls_become_what_is_asked_for():
    table = {"a": [1.0, None, 2.0], "b": [1.0, 2.0, 3.0], "card": [1, 1, 1]}
    whole = {**table, "a": [1.0, 0.0, 2.0]}
    outputs = MODEL.predict_events(table, "card", nulls={"a": 0})
    assert outputs.tobytes() == MODEL.predict_events(whole, "card").tobytes()


# --------------------------------------------------------------------------------- what is refused

ROWS = {"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0], "card": [1, 2, 1], "time": [1, 2, 3]}
REFUSED = {
    "a null key": ({"card": [1, None, 1]}, {}, "null_value", "card", 1),
    "a null key of several": ({"a": [1, 2, None]}, {"by": ["card", "a"]}, "null_value", "a", 2),
    "only nulls": ({"card": [None] * 3}, {}, "null_value", "card", 0),
    "a null time": ({"time": [1, None, 3]}, {"order": "time"}, "null_value", "time", 1),
    "a time that is NaN": ({"time": [1.0, np.nan, 3]}, {"order": "time"}, "null_value", "time", 1),
    "a null feature": ({"a": [1.0, 2.0, None]}, {}, "null_value", "a", 2),
    "a wrong feature": ({"b": [1.0, "x", 2.0]}, {}, "invalid_cell", "b", 1),
    "keys of floats": ({"card": [1.0, 2.0, 1.0]}, {}, "invalid_cell", "card", None),
    "keys of lists": ({"card": [[1], [2], [1]]}, {}, "invalid_cell", "card", None),
    "keys of all kinds": ({"card": [1, "x", 1]}, {}, "invalid_cell", "card", None),
    "keys beyond all instants": (
        {"card": pa.array([1, 2**50, 1], pa.timestamp("s"))},
        {},
        "invalid_cell",
        "card",
        None,
    ),
    "no such key": ({}, {"by": "cart"}, "missing_column", "cart", None),
    "no such order": ({}, {"order": "tim"}, "missing_column", "tim", None),
    "one key twice": ({}, {"by": ["card", "card"]}, "repeated_column", "card", None),
    "no keys": ({}, {"by": []}, "invalid_type", None, None),
    "a key that is no name": ({}, {"by": 5}, "invalid_type", None, None),
    "an order that is no name": ({}, {"order": ["time"]}, "invalid_type", None, None),
    "a path for a store": ({}, {"states": "states.parquet"}, "invalid_type", None, None),
    "no such rule": ({}, {"nulls": "zero"}, "invalid_nulls", None, None),
    "a null rule for a key": ({}, {"nulls": {"card": 0}}, "invalid_nulls", None, None),
    "no threads": ({}, {"threads": 0}, "invalid_thread_count", None, None),
    "short keys": ({"card": [1, 2]}, {}, "invalid_table", "card", None),
    "long keys": ({"card": [1, 2, 3, 4]}, {}, "invalid_table", "card", None),
    "one key for all": ({"card": "x"}, {}, "invalid_table", "card", None),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_named_and_leaves_the_store_as_it_was(what, small_blocks):
    changes, options, code, column, row = REFUSED[what]
    store = im.StateStore(MODEL)
    MODEL.predict_events({**ROWS, "card": [1, 5, 5]}, "card", states=store)
    before = {key: store.get(key).tobytes() for key in (1, 5)}
    arguments = {"by": "card", "states": store, **options}
    if arguments["by"] == ["card", "a"]:
        arguments["states"] = None
    with pytest.raises(InstModelError) as caught:
        MODEL.predict_events({**ROWS, **changes}, **arguments)
    assert (caught.value.code, caught.value.column, caught.value.row) == (code, column, row)
    assert len(store) == 2
    assert {key: store.get(key).tobytes() for key in (1, 5)} == before


@pytest.mark.parametrize("table", [None, 5, "rows.csv", np.zeros((3, 2)), [1, 2]])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(InputError, match="invalid_table"):
        MODEL.predict_events(table, "card")


def test_an_error_in_the_last_block_takes_everything_back(small_blocks):
    store = im.StateStore(MODEL)
    keys = list(range(8))
    MODEL.predict_events({**features(8), "card": keys, "time": keys}, "card", "time", states=store)
    before = {key: store.get(key).tobytes() for key in keys}
    table = {**features(20, 1), "card": [7, 100, 3, 101] * 5, "time": list(range(10, 30))}
    for name, value in (("a", None), ("time", 0), ("card", None)):
        bad = {**table, name: [*list(table[name])[:-1], value]}
        with pytest.raises(InputError) as caught:
            MODEL.predict_events(bad, "card", "time", states=store)
        assert caught.value.row == 19
        assert len(store) == 8
        assert {key: store.get(key).tobytes() for key in keys} == before
        assert store.get(100) is None
    MODEL.predict_events(table, "card", "time", states=store)
    assert len(store) == 10


def test_a_store_goes_on_with_keys_of_its_own_kind_only():
    store = im.StateStore(MODEL)
    MODEL.predict_events(ROWS, "card", "time", states=store)
    for kind in (np.int8, np.uint32):
        MODEL.predict_events({**ROWS, "card": np.array([1, 2, 1], kind)}, "card", states=store)
    cases = [
        ({"card": ["1", "2", "1"]}, "card", None, "invalid_cell"),
        ({"card": np.array([1, 2, 1], np.uint64)}, "card", None, "invalid_cell"),
        ({}, "time", None, "column_mismatch"),
        ({}, ["card", "time"], None, "column_mismatch"),
        ({}, "card", "a", "column_mismatch"),
        ({"time": [3.5, 3.5, 3.5]}, "card", "time", "invalid_cell"),
        ({"time": ["3", "x", "3"]}, "card", "time", "invalid_cell"),
    ]
    for changes, by, order, code in cases:
        with pytest.raises(InputError, match=code):
            MODEL.predict_events({**ROWS, **changes}, by, order, states=store)
    assert len(store) == 2
    MODEL.predict_events({**ROWS, "time": ["3", "3", "3"]}, "card", "time", states=store)


def test_the_store_of_another_model_is_refused():
    document = recurrent()
    document["bias"][0][0] += 1
    with pytest.raises(InputError, match="state_model_mismatch"):
        MODEL.predict_events(ROWS, "card", states=im.StateStore(build(document)))


def test_a_model_without_state_has_no_events():
    with pytest.raises(InputError, match="state_size_mismatch"):
        build(dense()).predict_events(ROWS, "card")


def test_a_damaged_array_of_text_is_an_error():
    offsets = np.array([0, 2**40, 3], np.int64)  # only the ends are checked by Arrow
    text = pa.Array.from_buffers(
        pa.large_string(), 2, [None, pa.py_buffer(offsets), pa.py_buffer(b"abc")]
    )
    store = im.StateStore(MODEL)
    with pytest.raises(InputError, match=r"column 'card'.*\[invalid_table\]"):
        MODEL.predict_events(pa.table({**features(2), "card": text}), "card", states=store)
    assert len(store) == 0


def test_text_that_is_no_utf8_is_shown_in_an_error():
    text = pa.array([b"\xff\x00", b"\xff\x00"]).view(pa.string())
    table = pa.table({**features(2), "card": text, "time": [2, 1]})
    with pytest.raises(InputError, match="unordered_events"):
        MODEL.predict_events(table, "card", "time")


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InstModelError, match=r"\[arrow\].*missing_package"):
        MODEL.predict_events(ROWS, "card")


# ---------------------------------------------------------------------- threads, signals, memory


def test_threads_that_share_a_store_take_turns(small_blocks):
    store = im.StateStore(MODEL)
    columns = features(40)
    tables = [{**columns, "card": [number] * 40} for number in range(4)]
    threads = [
        threading.Thread(
            target=MODEL.predict_events, args=(table, "card"), kwargs={"states": store}
        )
        for table in tables
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = {}
    expected([0] * 40, columns, states)
    assert len(store) == 4
    assert all(store.get(number).tobytes() == states[0].tobytes() for number in range(4))


@pytest.mark.parametrize("where", ["run_events", "fill_on_threads", "as_arrow"])
def test_a_signal_takes_everything_back(where, small_blocks, monkeypatch):
    store = im.StateStore(MODEL)
    table = {**features(12), "card": [1, 2, 3] * 4, "time": list(range(12))}
    MODEL.predict_events(table, "card", "time", states=store)
    before = {card: store.get(card).tobytes() for card in (1, 2, 3)}
    whole = getattr(scoring, where)
    calls = []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(scoring, where, interrupted)
    later = {**table, "card": [1, 9, 3] * 4, "time": list(range(12, 24))}
    with pytest.raises(KeyboardInterrupt):
        MODEL.predict_events(later, "card", "time", states=store)
    assert len(store) == 3
    assert {card: store.get(card).tobytes() for card in (1, 2, 3)} == before
    outputs = MODEL.predict_events(later, "card", "time", states=store)
    assert len(outputs) == 12


def test_no_key_is_a_python_object():
    keys = np.arange(200_000)
    table = pa.table({**features(len(keys)), "card": keys})
    store = im.StateStore(MODEL)
    tracemalloc.start()
    before = len(tracemalloc.take_snapshot().traces)
    MODEL.predict_events(table, "card", states=store)
    after = len(tracemalloc.take_snapshot().traces)
    tracemalloc.stop()
    assert len(store) == len(keys)
    assert after - before < 10_000


def test_buffers_may_be_longer_than_their_values():
    def long(values, kind):
        data = pa.py_buffer(np.array(values, np.int64).tobytes() + b"end")
        return pa.Array.from_buffers(kind, len(values), [None, data])

    table = {**features(3), "card": [4, 5, 4], "time": [1, 2, 3]}
    scores = MODEL.predict_events(table, "card", "time")
    columns = {name: long(table[name], pa.int64()) for name in ("card", "time")}
    got = MODEL.predict_events(pa.table({**table, **columns}), "card", "time")
    np.testing.assert_array_equal(got, scores)
