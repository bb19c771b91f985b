"""Pipes and standard input, compressed files, and CSV that is written in other ways."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.cli import main
from instmodel.tables.compression import COMPRESSIONS, compressing, decompressed

pa = pytest.importorskip("pyarrow")
arrow_csv = pytest.importorskip("pyarrow.csv")
parquet = pytest.importorskip("pyarrow.parquet")

AB = identity(["a", "b"])
ROWS = 9_000
TABLE = {"id": [f"r{row}" for row in range(ROWS)], "b": np.arange(ROWS) / 4, "a": np.arange(ROWS)}


@pytest.fixture(autouse=True)
def _files():
    AB.info.save("model.json")


def content(kind):
    """Return the table in a format, as bytes."""
    file = io.BytesIO()
    table = pa.table(TABLE)
    if kind == "csv":
        arrow_csv.write_csv(table, file)
    elif kind == "jsonl":
        file.write("".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode())
    elif kind == "arrow":
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, 1_000)
    else:
        parquet.write_table(table, file)
    return file.getvalue()


def packed(data, compression):
    file = io.BytesIO()
    with compressing(file, compression) as packing:
        packing.write(data)
    return file.getvalue()


def scored(*arguments):
    assert main(["score", "model.json", *map(str, arguments)]) == 0


def refused(capsys, *arguments):
    assert main(["score", "model.json", *map(str, arguments)]) == 2
    return capsys.readouterr().err


@pytest.fixture
def feed(monkeypatch):
    """Return what gives bytes to standard input, through a pipe."""
    with contextlib.ExitStack() as stack:

        def start(data):
            reading, writing = os.pipe()
            thread = threading.Thread(target=_pour, args=(writing, data))
            stack.callback(thread.join)
            monkeypatch.setattr(sys, "stdin", stack.enter_context(os.fdopen(reading)))
            thread.start()

        yield start


def _pour(target, data):
    try:
        with open(target, "wb") as file:
            file.write(data)
    except BrokenPipeError:  # nobody reads on
        pass


def check_output(name="out.parquet"):
    table = parquet.read_table(name)
    assert table["id"].to_pylist() == TABLE["id"]
    assert np.array_equal(table["output_0"], np.float32(TABLE["a"]))
    assert np.array_equal(table["output_1"], np.float32(TABLE["b"]))


KINDS = ["csv", "jsonl", "arrow", "parquet", "csv.gz", "jsonl.zst", "csv.bz2"]


@pytest.mark.parametrize("kind", KINDS)
def test_standard_input_is_a_table(feed, kind):
    form, _, compression = kind.partition(".")
    data = content(form)
    feed(packed(data, compression) if compression else data)
    scored("-", "-o", "out.parquet", "--keep", "id", "--input-format", kind)
    check_output()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("named", [True, False])
def test_a_pipe_with_a_name_is_opened_once(kind, named):
    form, _, compression = kind.partition(".")
    data = content(form)
    name = f"pipe.{kind}" if named else "pipe"
    os.mkfifo(name)
    thread = threading.Thread(
        target=_pour, args=(name, packed(data, compression) if compression else data)
    )
    thread.start()
    try:
        jobs.run(
            jobs.Job(AB, name, "out.parquet", keep=["id"], input_format=None if named else kind)
        )
    finally:
        thread.join()
    check_output()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_of_csv_needs_no_job():
    os.mkfifo("pipe.csv")
    thread = threading.Thread(target=_pour, args=("pipe.csv", b"a,b\n1,2\n"))
    thread.start()
    scored("pipe.csv", "-o", "out.csv")
    thread.join()
    assert Path("out.csv").read_text() == "output_0,output_1\n1.0,2.0\n"


def test_csv_runs_from_pipe_to_pipe_without_a_job(feed, capsysbinary):
    feed(b"b,a\n1,2\n3,4\n")
    scored("-", "-o", "-")
    assert capsysbinary.readouterr() == (b"output_0,output_1\n2.0,1.0\n4.0,3.0\n", b"")
    feed(gzip.compress(b"b;a\n1,5;2\n"))
    scored("-", "-o", "-", "--input-format", "csv.gz", "--delimiter", ";", "--decimal", ",")
    assert capsysbinary.readouterr() == (b"output_0,output_1\n2.0,1.5\n", b"")


def test_errors_of_standard_input_name_row_and_line(feed, capsys):
    for options in ([], ["--keep", "a"]):
        feed(b"a,b\n1,2\n3,x\n")
        said = refused(capsys, "-", "-o", "out.csv", *options)
        assert "row 2" in said
        assert "column 'b'" in said


def test_standard_input_that_is_empty_or_of_another_format(feed, capsys):
    feed(b"")
    assert "the line is empty" in refused(capsys, "-", "-o", "out.csv")
    feed(b"")
    assert "the file has no header" in refused(capsys, "-", "-o", "out.csv", "--keep", "a")
    feed(b"ARROW1\0\0more")
    said = refused(capsys, "-", "-o", "out.csv", "--input-format", "arrow")
    assert "Arrow's file format cannot be read from a pipe" in said
    feed(b"no parquet")
    assert "[invalid_table]" in refused(capsys, "-", "-o", "o.csv", "--input-format", "parquet")
    assert "invalid_table" in refused(capsys, "-", "-o", "o.csv", "--input-format", "xml")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("csv", "jsonl")])
@pytest.mark.parametrize("options", [[], ["--keep", "id", "--delimiter", ";"]])
def test_bytes_of_another_format_are_told_from_text(feed, capsys, kind, options):
    form, _, compression = kind.partition(".")
    data = content(form)
    feed(packed(data, compression) if compression else data)
    said = refused(capsys, "-", "-o", "out.csv", *options)
    shown = f"csv.{compression}" if compression else form  # what is compressed is not looked at
    assert f"--input-format {shown}`" in said


def test_the_letters_that_formats_begin_with_are_names_of_columns(feed, capsysbinary):
    for name in ("PAR1", "ARROW1", "BZh9"):
        feed(f"{name},a,b\n0,1,2\n".encode())
        scored("-", "-o", "-")
        assert capsysbinary.readouterr().out == b"output_0,output_1\n1.0,2.0\n"


@pytest.mark.parametrize("options", [[], ["--keep", "a"]])
def test_the_other_delimiter_or_decimal_mark_is_told(capsys, options):
    Path("t.csv").write_text("a,b\n1,2\n")
    said = refused(capsys, "t.csv", "-o", "out.csv", "--delimiter", ";", *options)
    assert "the only column is 'a,b'; `instmodel score --delimiter ','`" in said
    Path("t.csv").write_text("a;b\n1;62,0\n")
    said = refused(capsys, "t.csv", "-o", "out.csv", "--delimiter", ";", *options)
    assert "not a number; `decimal` (`--decimal`)" in said
    Path("t.csv").write_text("a;b\n1;6.5\n")
    marks = ["--delimiter", ";", "--decimal", ","]
    assert "`--decimal`" in refused(capsys, "t.csv", "-o", "out.csv", *marks, *options)
    Path("t.csv").write_text("a;b\n1;six\n")
    assert "`--decimal`" not in refused(capsys, "t.csv", "-o", "out.csv", *marks, *options)


def test_an_open_file_stays_open():
    with io.BytesIO(content("csv")) as file:
        jobs.run(jobs.Job(AB, file, "out.parquet", keep=["id"]))
        assert not file.closed
    check_output()


def test_a_format_may_be_said_where_names_do_not_tell(capsys):
    Path("data").mkdir()
    for name in ("part-00000", "part-00001"):
        Path("data", name).write_bytes(content("csv"))
    assert "--input-format" in refused(capsys, "data", "-o", "out")
    scored("data", "-o", "out", "--input-format", "csv", "--keep", "id", "--format", "parquet")
    check_output("out/part-00000.parquet")
    check_output("out/part-00001.parquet")
    Path("t.txt").write_bytes(b"a,b\n1,2\n")
    scored("t.txt", "-o", "out.csv", "--input-format", "csv")
    assert Path("out.csv").read_text() == "output_0,output_1\n1.0,2.0\n"


# ----------------------------------------------------------------------------------------- outputs


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_is_written_compressed_is_what_is_written_else(form, compression):
    Path("t.csv").write_bytes(content("csv"))
    scored("t.csv", "-o", f"out.{form}", "--keep", "id")
    name = f"out.{form}.{compression}"
    scored("t.csv", "-o", name, "--keep", "id")
    first = Path(name).read_bytes()
    assert len(first) < Path(f"out.{form}").stat().st_size / 2
    assert decompressed(io.BytesIO(first), compression).read() == Path(f"out.{form}").read_bytes()
    scored("t.csv", "-o", name, "--keep", "id")
    assert Path(name).read_bytes() == first


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressed_csv_needs_no_job(compression):
    Path(f"t.csv.{compression}").write_bytes(packed(b"1,2\n3,4\n", compression))
    identity(2).info.save("model.json")
    scored(f"t.csv.{compression}", "-o", f"out.csv.{compression}")
    data = Path(f"out.csv.{compression}").read_bytes()
    text = decompressed(io.BytesIO(data), compression).read()
    assert text == b"output_0,output_1\n1.0,2.0\n3.0,4.0\n"


def test_parts_of_a_folder_are_compressed_as_their_sources(capsys):
    Path("in/day=1").mkdir(parents=True)
    Path("in/day=1/x.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    scored("in", "-o", "out")
    text = gzip.decompress(Path("out/day=1/x.csv.gz").read_bytes())
    assert text == b"output_0,output_1\n1,2\n"
    Path("in/day=1/y.csv").write_bytes(b"a,b\n3,4\n")
    scored("in", "-o", "mixed")
    assert sorted(path.name for path in Path("mixed/day=1").iterdir()) == ["x.csv", "y.csv"]
    scored("in", "-o", "packed", "--format", "csv.zst")
    assert sorted(path.name for path in Path("packed/day=1").iterdir()) == [
        "x.csv.zst",
        "y.csv.zst",
    ]
    Path("in/day=1/x.csv").write_bytes(b"a,b\n3,4\n")
    assert "would become the same part" in refused(capsys, "in", "-o", "other")


def test_a_failed_run_leaves_no_compressed_output(capsys):
    Path("t.csv").write_text("a,b\n1,2\n3,x\n")
    for name in ("out.csv.gz", "out.jsonl.zst", "out.csv.bz2"):
        refused(capsys, "t.csv", "-o", name)
        assert not Path(name).exists()


def test_nulls_of_one_column_are_read_back_as_such():
    identity(["score"]).info.save("model.json")
    Path("t.csv").write_text('score\n1\nx\n""\n2.5\n')
    scored("t.csv", "-o", "out.csv", "--on-bad-row", "null")
    assert Path("out.csv").read_text() == 'score\n1\n""\n""\n2.5\n'
    scored("out.csv", "-o", "again.csv", "--on-bad-row", "null")
    assert Path("again.csv").read_bytes() == Path("out.csv").read_bytes()
    scored("out.csv", "-o", "again.csv", "--nulls", "7")
    assert Path("again.csv").read_text() == "score\n1\n7\n7\n2.5\n"


def test_a_list_that_csv_cannot_hold_is_named(capsys):
    parquet.write_table(pa.table({"a": [1], "b": [2], "id": ["x"], "emb": [[1, 2]]}), "t.parquet")
    said = refused(capsys, "t.parquet", "-o", "out.csv", "--keep", "id,emb")
    assert "column 'emb': CSV cannot hold a kept column of this type" in said
    assert "list<" in said


# ------------------------------------------------------------------------------------ ways of CSV

WAYS = {
    "a;b\n1,5;2,5\n": ["--delimiter", ";", "--decimal", ","],
    "a\tb\n1.5\t2.5\n": ["--delimiter", r"\t"],
    "a|b|é\n1.5|2.5|é\n": ["--delimiter", "|", "--encoding", "latin-1"],
    "a,b,€\n1.5,2.5,€\n": ["--encoding", "cp1252"],
    "a,b,猫\n1.5,2.5,猫\n": ["--encoding", "utf-16"],
    "\ufeffa,b,猫\n1.5,2.5,猫\n": ["--encoding", "utf-16-le"],
}


@pytest.mark.parametrize("text", WAYS)
def test_both_ways_to_read_csv_take_the_options(text):
    options = WAYS[text]
    encoding = options[-1] if "--encoding" in options else "utf-8"
    Path("t.csv").write_bytes(text.encode(encoding))
    scored("t.csv", "-o", "plain.csv", *options)
    scored("t.csv", "-o", "job.jsonl", *options)
    assert Path("plain.csv").read_text() == "output_0,output_1\n1.5,2.5\n"
    assert json.loads(Path("job.jsonl").read_text()) == {"output_0": 1.5, "output_1": 2.5}


@pytest.mark.parametrize("row", ["1,2,\xe9", "\xe9,2,3", "1,2,3\n\xe9,2,3"])
@pytest.mark.parametrize("before", [0, 70_000])
def test_bytes_of_another_encoding_are_an_error_wherever_they_are(capsys, row, before):
    Path("t.csv").write_bytes(("a,b,c\n" + "1,2,3\n" * before + row + "\n").encode("latin-1"))
    at = before + 1 + row.count("\n")
    for options in ([], ["--keep", "a"], ["--keep", "c"], ["--on-bad-row", "error"]):
        said = refused(capsys, "t.csv", "-o", "out.csv", *options)
        assert f"row {at} (line {at + 1})" in said
        assert "the text is not UTF-8; `encoding` (`--encoding`) says what it is" in said
    scored("t.csv", "-o", "out.csv", "--on-bad-row", "skip")
    assert len(Path("out.csv").read_text().splitlines()) == at


def test_utf_16_without_a_mark_must_say_its_order(capsys):
    Path("t.csv").write_bytes("a,b\n1,2\n".encode("utf-16-le"))
    for options in ([], ["--keep", "a"]):
        said = refused(capsys, "t.csv", "-o", "out.csv", "--encoding", "utf-16", *options)
        assert "the text is not utf-16; `encoding`" in said
        assert "t.csv" in said


def test_null_values_are_nulls_and_kept_as_nulls():
    Path("t.csv").write_text('a,b,note\n1,NA,-\n2,,"NA"\n')
    options = ["--null-values", "NA", "--null-values=-,?", "--nulls", "9", "--keep", "note"]
    scored("t.csv", "-o", "out.jsonl", *options)
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert rows == [
        {"note": None, "output_0": 1.0, "output_1": 9.0},
        {"note": "NA", "output_0": 2.0, "output_1": 9.0},
    ]


def test_options_that_make_no_sense_are_refused(capsys):
    Path("t.csv").write_text("a,b\n1,2\n")
    for options in (["--delimiter", "ab"], ["--decimal", ","], ["--encoding", "latin-99"]):
        assert "[invalid_table]" in refused(capsys, "t.csv", "-o", "out.csv", *options)
        assert "[invalid_table]" in refused(capsys, "t.csv", "-o", "out.jsonl", *options)


def test_options_of_csv_are_refused_where_nothing_is_csv(capsys):
    Path("t.jsonl").write_text('{"a": 1, "b": 2}\n')
    said = refused(capsys, "t.jsonl", "-o", "out.csv", "--delimiter", ";")
    assert "says how CSV is written, and the input is none" in said
    assert "got jsonl" in said
    np.save("t.npy", np.ones((1, 2)))
    said = refused(capsys, "t.npy", "-o", "out.csv", "--delimiter", ";")
    assert "says how CSV is written, and the input is none" in said


def test_a_job_that_resumes_with_other_options_of_csv_is_another_job():
    job = jobs.Job(AB, "t.csv", "out")
    other = jobs.Job(AB, "t.csv", "out", csv=jobs.CsvOptions(null_values=["NA"]))
    assert job.meaning() != other.meaning()
    same = jobs.Job(AB, "t.csv", "out", csv=jobs.CsvOptions(encoding="UTF8"))
    assert job.meaning() == same.meaning()
    json.dumps(other.meaning())


def test_ragged_rows_go_on_under_skip_and_null():
    Path("t.csv").write_text('id,a,b\n1,1,2\n2,3\n"x\n\ny",4,5\n\n3,6,7,8\n4,9,10\n')
    for how in ("skip", "null"):
        options = ["--on-bad-row", how, "--bad-rows", "bad.csv", "--keep", "id"]
        scored("t.csv", "-o", "out.jsonl", *options)
        rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
        bad = [] if how == "skip" else [None]
        ids = ["1", *bad, "x\n\ny", *bad, *bad, "4"]
        assert [row["id"] for row in rows] == ids
        assert [row["output_0"] for row in rows] == [1, *bad, 4, *bad, *bad, 9]
        assert Path("bad.csv").read_text() == (
            "file,row,column,reason\n"
            "t.csv,2,,the row has the wrong length (got 2) [invalid_table]\n"
            "t.csv,4,,the line is blank (got a blank line) [invalid_table]\n"
            "t.csv,5,,the row has the wrong length (got 4) [invalid_table]\n"
        )
    with pytest.raises(im.InputError) as caught:
        jobs.run(jobs.Job(AB, "t.csv", "out.parquet"))
    assert (caught.value.row, caught.value.line, caught.value.column) == (2, 3, None)


def test_a_blank_line_is_no_category():
    builder = im.ModelBuilder()
    x = builder.input(["a", "colour"], {"colour": ["", "red"]})
    dense = builder.dense(x, [[1.0, 1.0]], [0.0])
    model = im.InstructionModel(builder.build(output=dense))
    Path("t.csv").write_text('a,colour\n1,red\n\n1,""\n')
    jobs.run(jobs.Job(model, "t.csv", "out.parquet", on_bad_row="null"))
    assert parquet.read_table("out.parquet")["score"].to_pylist() == [2, None, 1]
