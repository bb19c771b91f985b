"""Files of states that are damaged, or of something else, are clear errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.documents import build, recurrent
from support.events import fill

import instmodel as im
from instmodel.errors import InputError, InstModelError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MODEL = build(recurrent())
SIZE = MODEL.state_size


def good_table():
    state = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(3 * SIZE, dtype=np.float32)), SIZE)
    return {"card": pa.array([1, 2, 3]), "state": state, "order": pa.array([5, None, 7])}


ABOUT = {
    "version": 1,
    "digest": MODEL.digest,
    "by": ["card"],
    "state": "state",
    "order": {"column": "order", "of": "time"},
}


def saved(path, columns, about=ABOUT):
    text = about if isinstance(about, bytes) else json.dumps(about).encode()
    table = pa.table(columns).replace_schema_metadata({"instmodel.states": text})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return path


def test_a_file_made_elsewhere_is_read(tmp_path):
    store = im.StateStore.load(saved(tmp_path / "s.parquet", good_table()), MODEL)
    assert len(store) == 3
    assert store.get(2).tolist() == list(np.arange(SIZE, 2 * SIZE, dtype=np.float32))


def lists(values, kind="float32"):
    return pa.array(values, pa.list_(getattr(pa, kind)(), SIZE))


WHOLE = [[0.0] * SIZE] * 3
BROKEN = {
    "no keys": ({"card": None}, {}, "missing_column", None),
    "no state": ({"state": None}, {}, "missing_column", None),
    "no order": ({"order": None}, {}, "missing_column", None),
    "keys that are null": ({"card": pa.array([1, None, 3])}, {}, "null_value", 2),
    "states that are null": ({"state": lists([*WHOLE[:2], None])}, {}, "null_value", 3),
    "a value that is null": (
        {"state": lists([*WHOLE[:1], [None] * SIZE, *WHOLE[:1]])},
        {},
        "null_value",
        2,
    ),
    "the same key twice": ({"card": pa.array([1, 2, 1])}, {}, "invalid_table", 3),
    "keys of floats": ({"card": pa.array([1.0, 2.0, 3.0])}, {}, "invalid_cell", None),
    "keys of a narrow type": (
        {"card": pa.array([1, 2, 3], pa.int8())},
        {},
        "invalid_cell",
        None,
    ),
    "states of float64": ({"state": lists(WHOLE, "float64")}, {}, "invalid_cell", None),
    "states too long": (
        {"state": pa.array([[0.0] * (SIZE + 1)] * 3, pa.list_(pa.float32(), SIZE + 1))},
        {},
        "invalid_cell",
        None,
    ),
    "lists of any length": (
        {"state": pa.array(WHOLE, pa.list_(pa.float32()))},
        {},
        "invalid_cell",
        None,
    ),
    "times of text": ({"order": pa.array(["a", "b", "c"])}, {}, "invalid_cell", None),
    "another digest": ({}, {"digest": "0" * 64}, "state_model_mismatch", None),
    "a digest of numbers": ({}, {"digest": 5}, "invalid_table", None),
    "another version": ({}, {"version": 2}, "unsupported_version", None),
    "names that are no list": ({}, {"by": "card"}, "invalid_table", None),
    "names that are no text": ({}, {"by": [1]}, "invalid_table", None),
    "an order that is no object": ({}, {"order": "order"}, "invalid_table", None),
    "keys that are the state": ({}, {"by": ["state"]}, "invalid_cell", None),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_a_clear_error(what, tmp_path):
    changes, about, code, row = BROKEN[what]
    columns = {**good_table(), **changes}
    columns = {name: column for name, column in columns.items() if column is not None}
    # As Arrow: not every version reads null lists of one size from Parquet.
    path = saved(tmp_path / "s.arrow", columns, {**ABOUT, **about})
    with pytest.raises(InstModelError) as caught:
        im.StateStore.load(path, MODEL)
    assert (caught.value.code, caught.value.row) == (code, row)
    assert caught.value.file == str(path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 10_000, b"{}"])
def test_metadata_that_is_no_such_json_is_a_clear_error(text, tmp_path):
    path = saved(tmp_path / "s.parquet", good_table(), text)
    with pytest.raises(InputError, match="invalid_table"):
        im.StateStore.load(path, MODEL)


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_table_of_anything_else_is_no_store(ending, tmp_path):
    path = tmp_path / f"s.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"a": [1]}), path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, pa.schema([])):
            pass
    with pytest.raises(InputError, match=r"none of states.*\[invalid_table\]"):
        im.StateStore.load(path, MODEL)


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_damaged_file_is_a_clear_error(ending, tmp_path):
    path = tmp_path / f"s.{ending}"
    fill(im.StateStore(MODEL), [f"card {i}" for i in range(200)], times=list(range(200))).save(path)
    data = path.read_bytes()
    rng = np.random.default_rng(5)
    cuts = [data[:size] for size in rng.integers(0, len(data), 40)]
    for _ in range(150):
        flipped = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            flipped[place] = rng.integers(256)
        cuts.append(bytes(flipped))
    refused = 0
    for damaged in [b"", rng.bytes(500), *cuts]:
        path.write_bytes(damaged)
        try:
            store = im.StateStore.load(path, MODEL)
        except (InstModelError, OSError):
            refused += 1
        else:  # a state or a key is another one, which nobody can know
            assert len(store) <= 200
    assert refused > 40
