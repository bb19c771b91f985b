"""Jobs from one file to another, in every pair of formats."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity, network

import instmodel as im
from instmodel import jobs
from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
arrow_csv = pytest.importorskip("pyarrow.csv")
arrow_json = pytest.importorskip("pyarrow.json")
parquet = pytest.importorskip("pyarrow.parquet")

FORMATS = [".parquet", ".csv", ".arrow", ".jsonl"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model():
    identity(["a", "b"]).info.save("model.json")
    return "model.json"


def save(table, path):
    ending = Path(path).suffix
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if ending == ".parquet":
        parquet.write_table(table, path)
    elif ending == ".csv":
        arrow_csv.write_csv(table, path)
    elif ending == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        lines = [json.dumps(row, default=str) for row in table.to_pylist()]
        Path(path).write_text("".join(line + "\n" for line in lines))
    return str(path)


def read(path):
    ending = Path(path).suffix
    if ending == ".parquet":
        return parquet.read_table(path)
    if ending == ".csv":
        return arrow_csv.read_csv(path)
    if ending == ".arrow":
        with pa.ipc.open_file(path) as file:
            return file.read_all()
    return arrow_json.read_json(path)


def table(rows=2_500):
    rng = np.random.default_rng(rows)
    return pa.table(
        {
            "id": [f"r{row}" for row in range(rows)],
            "b": rng.normal(size=rows).astype(np.float32),
            "a": rng.normal(size=rows).astype(np.float32),
        }
    )


def score(*arguments):
    return main(["score", *map(str, arguments)])


def fails(capsys, *arguments):
    assert score(*arguments) == 2
    assert [path.name for path in Path().rglob("*.tmp")] == []
    return capsys.readouterr().err


@pytest.mark.parametrize("after", FORMATS)
@pytest.mark.parametrize("before", FORMATS)
def test_every_format_becomes_every_other(model, before, after):
    whole = table()
    source = save(whole, f"in{before}")
    out = f"out{after}"
    assert score(model, source, "-o", out, "--keep", "id", "--batch-rows", 999) == 0
    result = read(out)
    assert result.column_names == ["id", "output_0", "output_1"]
    assert result["id"].to_pylist() == whole["id"].to_pylist()
    for name, column in (("output_0", "a"), ("output_1", "b")):
        assert np.array_equal(np.float32(result[name].to_numpy()), whole[column].to_numpy())


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("before", FORMATS)
def test_standard_output_takes_csv_and_json_lines(model, capsysbinary, before, kind):
    source = save(table(), f"in{before}")
    options = ["--keep", "id", "--batch-rows", 999]
    assert score(model, source, "-o", f"out.{kind}", *options) == 0
    capsysbinary.readouterr()
    assert score(model, source, "-o", "-", "--format", kind, *options) == 0
    assert capsysbinary.readouterr() == (Path(f"out.{kind}").read_bytes(), b"")


def test_scores_do_not_depend_on_batches_and_threads():
    rng = np.random.default_rng(0)
    columns = {f"f{i}": rng.normal(size=20_000) for i in range(30)}
    network().info.save("model.json")
    save(pa.table(columns), "in.parquet")
    expected = network().predict(np.column_stack(list(columns.values())))[:, 0]
    for options in ([], ["--batch-rows", 77], ["--threads", 1], ["--threads", 5]):
        assert score("model.json", "in.parquet", "-o", "out.parquet", *options) == 0
        assert np.array_equal(read("out.parquet")["score"].to_numpy(), expected)


# ---------------------------------------------------------------------------------------- bad rows

BAD = {
    "in.jsonl": '{"a": 1, "b": 2}\n{"a": "x", "b": 2}\n{"b": 2}\n{"a": 1e39, "b": 2}\n',
    "in.csv": "b,a\n2,1\n2,x\n2,\n2,1e39\n",
}


@pytest.mark.parametrize("source", BAD)
@pytest.mark.parametrize("how", ["null", "skip"])
def test_bad_rows_are_counted_and_listed(model, capsys, source, how):
    Path(source).write_text(BAD[source])
    options = ["--on-bad-row", how, "--bad-rows", "bad.csv", "--batch-rows", 2]
    assert score(model, source, "-o", "out.parquet", *options) == 0
    told = "4 rows scored, 3 of them bad" if how == "null" else "1 rows scored, 3 bad left out"
    assert f"{told}: out.parquet" in capsys.readouterr().out
    expected = [1, None, None, None] if how == "null" else [1]
    assert read("out.parquet")["output_0"].to_pylist() == expected
    with open("bad.csv", newline="") as file:
        bad = list(csv.DictReader(file))
    assert [(row["file"], row["row"], row["column"]) for row in bad] == [
        (source, "2", "a"),
        (source, "3", "a"),
        (source, "4", "a"),
    ]
    reasons = [row["reason"] for row in bad]
    assert "not a number (got 'x') [invalid_cell]" in reasons[0]
    assert "null" in reasons[1]
    assert "too large" in reasons[2]


@pytest.mark.parametrize("source", BAD)
def test_a_bad_row_ends_the_job_and_nothing_is_written(model, capsys, source):
    Path(source).write_text(BAD[source])
    Path("out.parquet").write_text("old")
    said = fails(capsys, model, source, "-o", "out.parquet", "--bad-rows", "bad.csv")
    assert f"{source}, column 'a', row 2: the cell is not a number" in said
    assert Path("out.parquet").read_text() == "old"
    assert not Path("bad.csv").exists()


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["nan"], [1, None, None]),
        (["-2.5"], [1, -2.5, -2.5]),
        (["a=7", "b=8"], [1, 7, 7]),
        (["a=nan", "b=error"], [1, None, None]),
    ],
)
def test_nulls(model, rules, expected):
    save(pa.table({"a": [1.0, None, None], "b": [1, 1, 1]}), "in.parquet")
    options = [part for rule in rules for part in ("--nulls", rule)]
    assert score(model, "in.parquet", "-o", "out.jsonl", *options) == 0
    assert read("out.jsonl")["output_0"].to_pylist() == expected


# ------------------------------------------------------------------------------- each format's ways


def test_csv_of_other_programs(model):
    text = '\ufeffb,note,a\r\n"2","x\ny, z",1\r\n 4 ,"",0x\r\nnan,q,-inf\r\n'
    Path("in.csv").write_bytes(text.encode())
    options = ["--keep", "note", "--on-bad-row", "null"]
    assert score(model, "in.csv", "-o", "out.jsonl", *options) == 0
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == [
        {"note": "x\ny, z", "output_0": 1.0, "output_1": 2.0},
        {"note": "", "output_0": None, "output_1": None},
        {"note": "q", "output_0": None, "output_1": None},
    ]
    assert score(model, "in.csv", "-o", "out.parquet", *options) == 0
    assert read("out.parquet")["output_0"].to_pylist() == [1, None, -np.inf]


ENDS = ["\n", "\r\n", "\r"]


def scores_of(text, *options):
    Path("in.csv").write_bytes(text.encode())
    assert score("model.json", "in.csv", "-o", "out.jsonl", *options) == 0
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    return [row["score" if "score" in row else "output_0"] for row in rows]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("blank", ["", " ", "\t"])
@pytest.mark.parametrize("options", [(), ("--nulls", 0), ("--on-bad-row", "null")])
def test_blank_lines_at_the_end_are_no_rows(model, end, blank, options):
    text = end.join(["a,b", "1,2", "3,4", blank, blank])
    for given in (text, text + end):
        assert scores_of(given, *options) == [1, 3]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_line_between_rows_is_a_bad_row_whatever_nulls_says(model, capsys, end, blank):
    text = end.join(["a,b", blank, "1,2", blank, blank, "3,4"])
    options = ["--nulls", 0, "--on-bad-row", "null"]
    assert scores_of(text, *options) == [None, 1, None, None, 3]
    assert scores_of(text, "--on-bad-row", "skip") == [1, 3]
    assert "row 1 (line 2): the line is blank" in fails(capsys, model, "in.csv", "-o", "out.arrow")


def test_a_null_is_no_blank_line_in_a_file_of_one_column(capsys):
    identity(["a"]).info.save("model.json")
    assert scores_of("a\n1\n\n", "--nulls", 0) == [1]
    assert scores_of('a\n1\n\n""\n2', "--nulls", 0, "--on-bad-row", "null") == [1, None, 0, 2]
    said = fails(capsys, "model.json", "in.csv", "-o", "out.arrow")
    assert "row 2 (line 3): the line is blank" in said


def test_a_blank_line_in_a_quoted_cell_is_part_of_it(model):
    text = 'a,note,b\n1,"x\n\ny",2\n\n3,"\n\n ""\n\n",4\n'
    assert scores_of(text, "--keep", "note", "--on-bad-row", "skip") == [1, 3]
    notes = [json.loads(line)["note"] for line in Path("out.jsonl").read_text().splitlines()]
    assert notes == ["x\n\ny", '\n\n "\n\n']


HEADERLESS = {
    "1,2\n3,4\n5,6\n": "numbers where the column names should be",
    "nan,2\n3,4\n": "numbers where the column names should be",
    "\ufeff1,2\n3,4\n": "numbers where the column names should be",
    "1,\n3,4\n": "a first line is either a header or a row of numbers (expected names or numbers",
    "1,x\n3,4\n": "a first line is either a header or a row of numbers (expected numbers only",
}


@pytest.mark.parametrize("text", HEADERLESS)
def test_no_row_is_taken_for_the_names_of_columns_by_position(capsys, text):
    identity(2).info.save("model.json")
    Path("in.csv").write_text(text, encoding="utf-8")
    for options in (["-o", "out.jsonl"], ["-o", "out.csv", "--on-bad-row", "skip"]):
        said = fails(capsys, "model.json", "in.csv", *options)
        assert f"in.csv, line 1: {HEADERLESS[text]}" in said
    with pytest.raises(im.InputError) as caught:
        jobs.run(jobs.Job(im.load("model.json"), "in.csv", "out.parquet"))
    assert (caught.value.code, caught.value.line) == ("invalid_table", 1)
    assert not list(Path().glob("out.*"))
    Path("in.csv").write_text("x,y\n" + text.removeprefix("\ufeff"))
    assert score("model.json", "in.csv", "-o", "out.jsonl", "--on-bad-row", "null") == 0
    assert len(Path("out.jsonl").read_text().splitlines()) == text.count("\n")


def test_numbers_may_name_the_columns_of_a_model_with_such_names():
    identity(["1", "2"]).info.save("model.json")
    Path("in.csv").write_text("2,1\n3,4\n")
    assert score("model.json", "in.csv", "-o", "out.jsonl") == 0
    assert read("out.jsonl").to_pylist() == [{"output_0": 4.0, "output_1": 3.0}]


def test_what_float64_cannot_hold_is_not_infinity(model, capsys):
    Path("in.csv").write_text("a,b\n1,inf\n2,-Infinity\n-1e400,3\n")
    assert "column 'a', row 3: too large" in fails(capsys, model, "in.csv", "-o", "out.arrow")
    assert score(model, "in.csv", "-o", "out.arrow", "--on-bad-row", "skip") == 0
    assert read("out.arrow")["output_1"].to_pylist() == [float("inf"), -float("inf")]
    Path("in.jsonl").write_text(
        '{"a": 1, "b": Infinity}\n{"a": 2, "b": 1e39}\n{"a": 3, "b": -1e400}\n{"a": 4, "b": 1e3}\n'
    )
    assert "column 'b', row 2: too large" in fails(capsys, model, "in.jsonl", "-o", "out.arrow")
    assert score(model, "in.jsonl", "-o", "out.arrow", "--on-bad-row", "skip") == 0
    assert read("out.arrow")["output_1"].to_pylist() == [float("inf"), 1e3]


def test_what_csv_keeps_stays_as_it_was_written(model):
    Path("in.csv").write_text("id,zip,a,b\n007,1e5,1,2\n")
    assert score(model, "in.csv", "-o", "out.csv", "--keep", "id,zip") == 0
    assert Path("out.csv").read_text() == 'id,zip,output_0,output_1\n"007","1e5",1,2\n'


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("in.csv", "a,b\n1,2\n\n3,4\n", "in.csv, row 2 (line 3): the line is blank"),
        ("in.csv", "", "the file has no header"),
        ("in.csv", "a;b\n1;2\n", "the only column is 'a;b'; `instmodel score --delimiter ';'`"),
        ("in.jsonl", '{"a": 1, "b": 2}\n{"a": 1,\n', "line 2, column 9: not JSON"),
        ("in.jsonl", '{"a": 1, "b": 2}\n\n', "line 2, column 1: not JSON"),
        ("in.jsonl", "[1, 2]\n", "line 1: not a JSON object"),
        ("in.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("in.jsonl", "", "there are no columns"),
        ("in.parquet", "PAR1", "in.parquet: "),
        ("in.arrow", "ARROW1", "in.arrow: "),
    ],
)
def test_broken_files(model, capsys, name, text, says):
    Path(name).write_text(text)
    said = fails(capsys, model, name, "-o", "out.arrow", "--keep", "a")
    assert says in said
    assert any(f"[{code}]" in said for code in ("missing_column", "invalid_table", "invalid_cell"))
    assert name in said
    assert not Path("out.arrow").exists()


def test_lists_in_files():
    identity(["emb[2]", "a"]).info.save("model.json")
    cells = pa.table({"a": [1.0, 2.0], "emb": [[3.0, 4.0], [5.0, 6.0]]})
    for ending in (".parquet", ".arrow", ".jsonl"):
        save(cells, "in" + ending)
        assert score("model.json", "in" + ending, "-o", "out.csv", "--outputs", "x,y,z") == 0
        assert Path("out.csv").read_text() == "x,y,z\n3,4,1\n5,6,2\n"
    said = ["score", "model.json", "in.parquet", "-o", "out.csv", "--keep", "emb"]
    assert main(said) == 2


def test_a_stream_is_arrow_too(model):
    whole = table()
    with pa.ipc.new_stream("in.arrow", whole.schema) as writer:
        writer.write_table(whole, max_chunksize=999)
    assert score(model, "in.arrow", "-o", "out.arrow") == 0
    assert read("out.arrow")["output_0"].equals(whole["a"])


def test_columns_with_dots_and_brackets():
    identity(["a.b", "c[2]"]).info.save("model.json")
    cells = pa.table({"a.b": [1.0], "c[1]": [3.0], "c[0]": [2.0], "a": [9.0]})
    for ending in FORMATS:
        save(cells, "in" + ending)
        assert score("model.json", "in" + ending, "-o", "out.csv", "--keep", "a.b") == 0
        assert Path("out.csv").read_text().splitlines()[0] == "a.b,output_0,output_1,output_2"
        assert Path("out.csv").read_text().splitlines()[1].endswith("1,2,3")


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


def test_no_rows(model):
    for ending in (".parquet", ".arrow"):
        save(table(0), "in" + ending)
        assert score(model, "in" + ending, "-o", "out.parquet", "--keep", "id") == 0
        assert read("out.parquet").num_rows == 0
        assert read("out.parquet").column_names == ["id", "output_0", "output_1"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in.parquet", "-o", "in.parquet"], "the output is also the input"),
        (["in.parquet", "-o", "model.json"], "the output is also the model"),
        (["in.parquet", "-o", "o.csv", "--bad-rows", "in.parquet"], "bad rows is also the input"),
        (["in.parquet", "-o", "o.csv", "--bad-rows", "o.csv"], "bad rows is also the output"),
        (["in.parquet", "-o", "o.csv", "--metrics", "model.json"], "metrics is also the model"),
        (["in.parquet", "-o", "o.csv", "--metrics", "no/m"], "no/m: the folder no is not there"),
        (["in.parquet", "-o", "o.csv", "--bad-rows", "no/b"], "no/b: the folder no is not there"),
        (["in.parquet", "-o", "o.csv", "--format", "arrow"], "the name tells another format"),
        (["in.parquet", "-o", "-", "--format", "arrow"], "expected csv or jsonl, got arrow"),
        (["in.parquet", "-o", "out"], "the name does not tell a format"),
        (["in.parquet", "-o", "out", "--keep", "id"], "the name does not tell a format"),
        (["none.parquet", "-o", "out.csv"], "none.parquet: No such file"),
        (["in.npy", "-o", "out.csv", "--keep", "id"], "the name does not tell a format"),
        (["in.parquet", "-o", "out.csv", "--keep", "idd"], "did you mean 'id'?"),
        (["in.parquet", "-o", "out.csv", "--outputs", "x"], "expected 2 names"),
        (["in.parquet", "-o", "out.csv", "--nulls", "0", "--nulls", "a=1"], "one rule for all"),
        (["in.parquet", "-o", "out.csv", "--nulls", "none"], "invalid_nulls"),
        (["in.parquet", "-o", "no/out.csv"], "no/out.csv: the folder no is not there"),
        (["in.parquet", "-o", "out.csv", "--on-bad-row", "drop"], "invalid choice"),
    ],
)
def test_bad_arguments(model, capsys, arguments, says):
    save(table(5), "in.parquet")
    Path("in.npy").touch()
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert says in fails(capsys, model, *arguments)
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"threads": 0}, "invalid_thread_count"),
        ({"threads": 1.5}, "invalid_type"),
        ({"batch_rows": 0}, "invalid_type"),
        ({"batch_rows": -5}, "invalid_type"),
        ({"bad_rows": 5}, "invalid_type"),
        ({"resume": "no"}, "invalid_type"),
    ],
)
def test_bad_numbers(options, code):
    save(table(5), "in.parquet")
    with pytest.raises(im.InstModelError) as caught:
        jobs.run(jobs.Job(identity(["a", "b"]), "in.parquet", "out.csv", **options))
    assert caught.value.code == code
    assert not Path("out.csv").exists()


def test_a_stream_that_is_cut_names_its_file(model, capsys):
    with pa.ipc.new_stream("whole.arrow", table(5000).schema) as writer:
        writer.write_table(table(5000))
    whole = Path("whole.arrow").read_bytes()
    Path("cut.arrow").write_bytes(whole[: len(whole) // 2])
    assert "cut.arrow: " in fails(capsys, model, "cut.arrow", "-o", "out.csv")
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
def test_columns_of_arrow_that_nobody_wants_are_not_decoded(model, opened):
    noise = np.random.default_rng(0).bytes(1 << 20)
    values = pa.table({"a": [1.0], "other": [noise], "b": [2.0]})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with opened("in.arrow", values.schema, options=options) as writer:
        writer.write_table(values)
    damaged = bytearray(Path("in.arrow").read_bytes())
    # zstd keeps noise as it is; before it stands the number that every frame begins with.
    frame = damaged.rindex(b"\x28\xb5\x2f\xfd", 0, damaged.index(noise[1000:1100]))
    damaged[frame : frame + 4] = bytes(4)
    Path("in.arrow").write_bytes(damaged)
    assert score(model, "in.arrow", "-o", "out.csv", "--keep", "a") == 0
    assert Path("out.csv").read_text().splitlines()[1] == "1,1,2"


def test_json_stays_json(model):
    nested = [{"x": float("nan"), "y": [1.5, float("inf")]}, None]
    save(pa.table({"a": [1.0, 2.0], "b": [1.0, 2.0], "nested": nested}), "in.parquet")
    assert score(model, "in.parquet", "-o", "out.jsonl", "--keep", "nested") == 0

    def refuse(name):
        raise AssertionError(name)

    lines = Path("out.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [row["nested"] for row in rows] == [{"x": None, "y": [1.5, None]}, None]


@pytest.mark.parametrize("cell", [str(2**70), '"\\ud800"', '1, "id": 1e999'])
def test_json_that_arrow_cannot_hold_is_scored_but_not_kept(model, capsys, cell):
    first = '{"a": 1, "b": 2, "id": ' + cell + "}\n"
    Path("in.jsonl").write_text(first + '{"a": 1, "b": 2, "id": "x"}\n')
    assert "one type for a kept column" in fails(
        capsys, model, "in.jsonl", "-o", "out.csv", "--keep", "id"
    )
    assert score(model, "in.jsonl", "-o", "out.csv") == 0


LATE = [
    (19, 19.99, [19.0, 19.99]),
    ([2], [2.75], [[2.0], [2.75]]),
    ({"x": 1}, {"x": 1, "y": 2}, [{"x": 1, "y": None}, {"x": 1, "y": 2}]),
    (None, "text", [None, "text"]),
    ([{"x": None}], [{"x": [0.5]}], [[{"x": None}], [{"x": [0.5]}]]),
]


@pytest.mark.parametrize(("early", "late", "kept"), LATE, ids=str)
def test_kept_columns_of_json_widen_to_what_comes_late(model, early, late, kept):
    rows = [{"a": 1, "b": 2, "c": early}] * 5000 + [{"a": 1, "b": 2, "c": late}]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score(model, "in.jsonl", "-o", "out.parquet", "--keep", "c") == 0
    found = read("out.parquet")["c"].to_pylist()
    assert [found[0], found[-1]] == kept
    assert len(found) == len(rows)


@pytest.mark.parametrize(
    ("early", "late"), [(1, "x"), (True, 1), ([1], {"x": 1}), (0.5, 2**53 + 1)], ids=str
)
def test_what_no_type_holds_without_loss_is_an_error_with_its_line(model, capsys, early, late):
    rows = [{"a": 1, "b": 2, "c": early}] * 5000 + [{"a": 1, "b": 2, "c": late}]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = fails(capsys, model, "in.jsonl", "-o", "out.parquet", "--keep", "c")
    assert "line 5001, column 'c': Arrow has no one type for a kept column" in said


def test_kept_columns_from_a_pipe_are_never_cut(model, capsys):
    lines = ['{"a": 1, "b": 2, "c": 19}\n'] * 5000 + ['{"a": 1, "b": 2, "c": 19.99}\n']
    subprocess.run(["mkfifo", "in.jsonl"], check=True)
    with subprocess.Popen(
        ["tee", "in.jsonl"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as writer:
        feed = threading.Thread(target=writer.communicate, args=("".join(lines),))
        feed.start()
        said = fails(capsys, model, "in.jsonl", "-o", "out.parquet", "--keep", "c")
        feed.join()
    assert "line 5001, column 'c': Arrow has no one type" in said
    assert not Path("out.parquet").exists()


def test_a_feature_may_appear_late_in_json(model):
    rows = [{"a": 1}] * 5000 + [{"a": 1, "b": 2}]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score(model, "in.jsonl", "-o", "out.parquet", "--nulls", "0") == 0
    assert read("out.parquet").num_rows == len(rows)


def test_a_model_without_names_is_told_in_one_line(capsys):
    identity(2).info.save("model.json")
    save(pa.table({"y": [1.0], "x": [2.0]}), "in.parquet")
    assert score("model.json", "in.parquet", "-o", "out.csv") == 0
    said = capsys.readouterr().err
    assert said.startswith("instmodel: warning: the model does not name its features: the columns")
    assert said.count("\n") == 1


def samples(name):
    """Return the values of a file of metrics by name and labels, without those of the job."""
    lines = Path(name).read_text().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert all('job_name="m"' in sample for sample in values)
    return {
        sample.replace('job_name="m",', "").replace('{job_name="m"}', ""): value
        for sample, value in values.items()
    }


def test_metrics_are_prometheus_text(model):
    save(pa.table({"a": [1.0, None, 3.0], "b": [1.0] * 3}), "in.parquet")
    options = ["--metrics", "m.prom", "--on-bad-row", "skip", "--batch-rows", 1, "--threads", 1]
    start = time.time()
    assert score(model, "in.parquet", "-o", "out.parquet", *options) == 0
    values = samples("m.prom")
    assert values["instmodel_rows_total"] == values["instmodel_last_run_rows"] == "3"
    assert values["instmodel_bad_rows_total"] == "1"
    assert values["instmodel_batch_seconds_count"] == "3"
    assert values["instmodel_threads"] == "1"
    assert values[f'instmodel_model_info{{digest="{im.load(model).info.digest()}"}}'] == "1"
    quantiles = [float(values[f'instmodel_batch_seconds{{quantile="{q}"}}']) for q in (0.5, 0.99)]
    assert 0 < quantiles[0] <= quantiles[1]
    stages = [float(values[f'instmodel_stage_seconds_total{{stage="{s}"}}']) for s in STAGES]
    assert all(0 < seconds < float(values["instmodel_seconds"]) for seconds in stages)
    ended = float(values["instmodel_last_success_timestamp_seconds"])
    assert start - 1 < ended == float(values["instmodel_last_run_timestamp_seconds"])
    helped = [line.split()[2] for line in Path("m.prom").read_text().splitlines() if "HELP" in line]
    assert len(helped) == len(set(helped)) == 20


STAGES = ("read", "score", "write")


def test_counters_go_on_and_a_failed_run_says_so(model, capsys):
    save(pa.table({"a": [1.0, None], "b": [1.0] * 2}), "in.parquet")
    options = ["in.parquet", "-o", "out.parquet", "--metrics", "m.prom"]
    for _ in range(2):
        assert score(model, *options, "--on-bad-row", "null") == 0
    before = samples("m.prom")
    assert before["instmodel_rows_total"] == "4"
    assert before["instmodel_last_run_rows"] == "2"
    fails(capsys, model, *options)
    after = samples("m.prom")
    assert after['instmodel_runs_total{result="ok"}'] == "2"
    assert after['instmodel_runs_total{result="error"}'] == "1"
    assert [before["instmodel_last_run_success"], after["instmodel_last_run_success"]] == ["1", "0"]
    kept = "instmodel_last_success_timestamp_seconds"
    assert before[kept] == after[kept]


def test_metrics_have_the_labels_that_were_asked_for(model, capsys):
    save(pa.table({"a": [1.0], "b": [1.0]}), "in.parquet")
    options = ["in.parquet", "-o", "out.parquet", "--metrics", "m.prom"]
    assert score(model, *options, "--metrics-label", 'job_name=a "b"\\') == 0
    text = Path("m.prom").read_text()
    assert 'instmodel_rows_total{job_name="a \\"b\\"\\\\"} 1' in text
    for label in ("9=x", "stage=x", "__x=y", "=x", "team"):
        assert "no such label" in fails(capsys, model, *options, "--metrics-label", label)
    twice = ["--metrics-label", "team=a", "--metrics-label", "team=b"]
    assert "two values of one label" in fails(capsys, model, *options, *twice)


def test_metrics_of_a_run_that_found_nothing(model, capsys):
    assert "gone.parquet" in fails(
        capsys, model, "gone.parquet", "-o", "out.parquet", "--metrics", "m.prom"
    )
    values = samples("m.prom")
    assert values['instmodel_batch_seconds{quantile="0.5"}'] == "NaN"
    assert values["instmodel_last_success_timestamp_seconds"] == "NaN"


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


def test_without_pyarrow_it_says_what_to_install(model, capsys, monkeypatch):
    Path("in.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = fails(capsys, model, "in.parquet", "-o", "out.parquet")
    assert "pip install 'instmodel-inference[arrow]'" in said


def test_ctrl_c_leaves_the_old_output(model):
    """A job that waits for its input, a pipe, is stopped."""
    Path("out.parquet").write_text("old")
    code = (
        "import os, sys; from instmodel.tables import inputs; from instmodel.cli import main\n"
        "inputs.Source.stamp = lambda self: {'size': 0, 'mtime_ns': 0}\n"
        "os.path.getsize = lambda path: 0\n"
        "print('ready', flush=True); sys.exit(main(sys.argv[1:]))"
    )
    subprocess.run(["mkfifo", "in.jsonl"], check=True)
    with subprocess.Popen(
        [sys.executable, "-c", code, "score", model, "in.jsonl", "-o", "out.parquet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with open("in.jsonl", "w") as pipe:
            pipe.write('{"a": 1, "b": 2}\n' * 20_000)
            pipe.flush()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        assert process.stderr.read() == "instmodel: error: stopped\n"
    assert Path("out.parquet").read_text() == "old"
    assert list(Path().glob(".instmodel*")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_table():
    network().info.save("model.json")

    def peak(rows):
        rng = np.random.default_rng(0)
        values = {f"f{i}": rng.normal(size=rows).astype(np.float32) for i in range(30)}
        parquet.write_table(pa.table(values), "in.parquet", row_group_size=100_000)
        code = (
            "import sys; from instmodel.cli import main; code = main(); "
            "print([x for x in open('/proc/self/status') if x.startswith('VmHWM')][0].split()[1]); "
            "sys.exit(code)"
        )
        arguments = ["score", "model.json", "in.parquet", "-o", "out.parquet"]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        return 1024 * int(done.stdout.split()[-1])

    small, large = peak(600_000), peak(1_800_000)
    assert large < 500_000_000
    # A busy machine alone makes 40,000,000 bytes of difference.
    assert large - small < 72_000_000, "the table has 144,000,000 bytes more"


def test_the_model_of_a_job_is_loaded():
    with pytest.raises(im.InstModelError, match="load the model first"):
        jobs.run(jobs.Job("model.json", "in.csv", "out.csv"))
