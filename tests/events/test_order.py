"""Events that go back in their sequence are errors, whatever tells their time."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from support.documents import build, recurrent
from support.events import features

import instmodel as im
from instmodel.errors import InputError

pa = pytest.importorskip("pyarrow")

MODEL = build(recurrent())

ORDERS = {
    "integers": [3, 3, 4, 2],
    "small integers": pa.array([3, 3, 4, 2], pa.uint8()),
    "unsigned": pa.array([5, 5, 2**64 - 1, 4], pa.uint64()),
    "floats": [-1.5, -1.5, 2.0, -2.0],
    "zeros": [-0.0, 0.0, -0.0, -1e-40],
    "infinities": [0.0, 0.0, np.inf, -np.inf],
    "half floats": pa.array(np.array([1, 1, 2, 0.5], np.float16)),
    "dates": [datetime.date(2026, 1, day) for day in (2, 2, 3, 1)],
    "instants": pa.array([5, 5, 6, 4], pa.timestamp("us")),
    "instants of a zone": pa.array([5, 5, 6, 4], pa.timestamp("s", "Europe/Berlin")),
    "times": pa.array([5, 5, 6, 4], pa.time32("ms")),
    "durations": pa.array([5, 5, 6, 4], pa.duration("ms")),
    "text of integers": ["9", "9", "10", "8"],
    "text of numbers": ["9.5", "9.5", "1e1", "8"],
    "text of dates": ["2026-01-02", "2026-01-02", "2026-01-10", "2026-01-01"],
    "text of instants": [f"2026-01-01T00:00:0{second}Z" for second in (2, 2, 3, 1)],
    "text of nanoseconds": [f"2026-01-01 00:00:00.00000000{digit}" for digit in (2, 2, 3, 1)],
    "months": pa.array(
        ["2026-01-01", "2026-01-01", "2026-02-01", "2025-12-01"]
    ).dictionary_encode(),
}


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("day", [0, 1, 2, 3])
def test_an_event_that_goes_back_is_an_error_wherever_the_day_ends(kind, day, tmp_path):
    times = ORDERS[kind] if isinstance(ORDERS[kind], pa.Array) else pa.array(ORDERS[kind])
    table = pa.table({**features(4), "card": ["x"] * 4, "time": times})
    store = im.StateStore(MODEL)
    MODEL.predict_events(table.slice(0, day), "card", "time", states=store)
    store.save(tmp_path / "s.parquet")
    store = im.StateStore.load(tmp_path / "s.parquet", MODEL)
    assert MODEL.predict_events(table[:3], "card", "time").shape == (3, 1)
    before = store.get("x")
    with pytest.raises(InputError, match=r"key is 'x' .*\[unordered_events\]") as caught:
        MODEL.predict_events(table.slice(day), "card", "time", states=store)
    assert (caught.value.column, caught.value.row) == ("time", 3 - day)
    assert np.array_equal(store.get("x"), before) if day else len(store) == 0


def test_other_sequences_may_be_ahead(small_blocks):
    table = {**features(6), "card": [1, 2, 1, 2, 3, 1], "time": [7, 1, 8, 2, 0, 8]}
    assert MODEL.predict_events(table, "card", "time").shape == (6, 1)
    table["time"] = [7, 1, 8, 2, 0, 7]
    with pytest.raises(InputError, match=r"row 5.*key is 1 .*at least 8, got 7") as caught:
        MODEL.predict_events(table, "card", "time")
    assert caught.value.row == 5


def test_a_call_without_an_order_changes_no_time():
    store = im.StateStore(MODEL)
    row = {"a": [1.0], "b": [2.0], "card": [1]}
    MODEL.predict_events(row, "card", states=store)
    MODEL.predict_events({**row, "time": [5]}, "card", "time", states=store)
    MODEL.predict_events(row, "card", states=store)
    with pytest.raises(InputError, match="at least 5, got 4"):
        MODEL.predict_events({**row, "time": [4]}, "card", "time", states=store)


@pytest.mark.parametrize(
    "times",
    [["a", "b"], [b"1", b"2"], [[1], [2]], [True, False], ["1", "2026-01-01"], ["1", "nan"]],
)
def test_what_has_no_order_is_refused(times):
    with pytest.raises(InputError, match=r"column 'time'.*\[invalid_cell\]"):
        MODEL.predict_events({**features(2), "card": [1, 1], "time": times}, "card", "time")
