"""Columns that go along with the scores, of every kind and by any name."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from support.table_files import FORMATS, fails, read, save, score
from support.table_models import identity

pa = pytest.importorskip("pyarrow")


def test_what_is_kept(model):
    save(pa.table({"a": [1.0], "b": [2.0], "x,y": ["z"], "*": [5]}), "in.parquet")
    outputs = ["output_0", "output_1"]
    for options, names in [
        (["--keep", "a", "--keep", '"x,y",b'], ["a", "x,y", "b"]),
        (["--keep", "*"], ["*"]),
    ]:
        assert score(model, "in.parquet", "-o", "out.parquet", *options) == 0
        assert read("out.parquet").column_names == names + outputs
    save(read("in.parquet").drop(["*"]), "in.parquet")
    assert score(model, "in.parquet", "-o", "out.parquet", "--keep", "*") == 0
    assert read("out.parquet").column_names == ["a", "b", "x,y", *outputs]


def test_kept_columns_of_every_type(model, capsys):
    kept = {
        "category": pa.chunked_array(
            [pa.array([*part]).dictionary_encode() for part in ("xy", "zx")]
        ),
        "time": pa.array([1, 2, None, 4], pa.timestamp("us", "UTC")),
        "price": pa.array([Decimal(1), None, None, Decimal(4)], pa.decimal128(9, 2)),
        "bytes": pa.array([b"a", b"b", None, b"d"]),
        "tags": pa.array([["a"], [], None, ["b", "c"]]),
    }
    numbers = pa.array([1.0, 2.0, 3.0, 4.0])
    whole = pa.table({"a": numbers, "b": numbers} | kept)
    with pa.ipc.new_stream("in.arrow", whole.schema) as writer:
        for batch in whole.to_batches(2):
            writer.write_batch(batch)
    names = ",".join(kept)
    for out in ("out.parquet", "out.arrow"):
        assert score(model, "in.arrow", "-o", out, "--keep", names, "--batch-rows", 1) == 0
        assert read(out).select(list(kept)).to_pylist() == whole.select(list(kept)).to_pylist()
    assert score(model, "in.arrow", "-o", "out.jsonl", "--keep", "category,time,price,tags") == 0
    first, *_, last = map(json.loads, Path("out.jsonl").read_text().splitlines())
    assert first["category"] == "x"
    assert (last["price"], last["tags"]) == ("4.00", ["b", "c"])
    assert "cannot hold the bytes" in fails(
        capsys, model, "in.arrow", "-o", "o.jsonl", "--keep", "bytes"
    )
    assert "CSV cannot hold" in fails(capsys, model, "in.arrow", "-o", "out.csv", "--keep", "tags")


def test_what_csv_keeps_stays_as_it_was_written(model):
    Path("in.csv").write_text("id,zip,a,b\n007,1e5,1,2\n")
    assert score(model, "in.csv", "-o", "out.csv", "--keep", "id,zip") == 0
    assert Path("out.csv").read_text() == 'id,zip,output_0,output_1\n"007","1e5",1,2\n'


def test_columns_with_dots_and_brackets():
    identity(["a.b", "c[2]"]).info.save("model.json")
    cells = pa.table({"a.b": [1.0], "c[1]": [3.0], "c[0]": [2.0], "a": [9.0]})
    for ending in FORMATS:
        save(cells, "in" + ending)
        assert score("model.json", "in" + ending, "-o", "out.csv", "--keep", "a.b") == 0
        assert Path("out.csv").read_text().splitlines()[0] == "a.b,output_0,output_1,output_2"
        assert Path("out.csv").read_text().splitlines()[1].endswith("1,2,3")
