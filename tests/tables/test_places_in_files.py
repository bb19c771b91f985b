"""Errors in files carry file, row, column and line, and say them once; rows count from 1."""

from __future__ import annotations

import copy
import json
import pickle
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.tables.csv_file import _LINE_LIMIT
from instmodel.tables.numpy_files import open_reader

AB = identity(["a", "b"])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def place(error):
    return error.file, error.row, error.column, error.line


def refused(use, *arguments, **options):
    with pytest.raises(im.InstModelError) as caught:
        use(*arguments, **options)
    return caught.value


def read(path, columns=("a", "b"), batch_rows=None):
    with closing(open_reader(path, columns, 2, batch_rows)) as reader:
        list(reader.batches())


# ------------------------------------------------------------------------------------- CSV and NPY


@pytest.mark.parametrize("batch_rows", [None, 1, 2])
@pytest.mark.parametrize(
    ("text", "row", "column", "line", "said"),
    [
        ("a,b\n1,2\n3,x\n", 2, "b", 3, "row 2 (line 3), column 'b'"),
        ('note,a,b\n"1\n2",1,2\n,3,\n', 2, "b", 4, "row 2 (line 4), column 'b'"),
        ("a,b\n1,2\n3\n", 2, None, 3, "row 2 (line 3)"),
        ('a,b\n1,2\n3,"4\n', 2, None, 3, "row 2 (line 3)"),
        ("a,b\n1,2\n\n3,4\n", 2, None, 3, "row 2 (line 3)"),
        ("\n1,2\n", None, None, 1, "line 1"),
        ("a,c\n1,2\n", None, "b", None, "column 'b'"),
    ],
)
def test_csv(text, row, column, line, said, batch_rows):
    Path("t.csv").write_text(text)
    error = refused(read, "t.csv", batch_rows=batch_rows)
    assert place(error) == ("t.csv", row, column, line)
    assert str(error).startswith(f"t.csv, {said}: ")
    assert said not in error.message


@pytest.mark.parametrize(("first", "line"), [("", 2), ("1,2\n", 3)])
def test_csv_without_names_numbers_its_columns(first, line):
    Path("t.csv").write_text(f"{first}1,2\n3,x\n")
    error = refused(read, "t.csv", None)
    assert place(error) == ("t.csv", line, 2, line)
    assert f"row {line} (line {line}), column 2: " in str(error)


def test_csv_with_a_line_that_never_ends():
    Path("t.csv").write_text("a,b\n1,2\n3,4" + " " * _LINE_LIMIT)
    assert place(refused(read, "t.csv")) == ("t.csv", None, None, 3)


@pytest.mark.parametrize("batch_rows", [None, 1])
def test_npy(batch_rows):
    np.save("t.npy", np.array([[1.0, 2.0], [3.0, 1e300]]))
    error = refused(read, "t.npy", batch_rows=batch_rows)
    assert place(error) == ("t.npy", 2, 2, None)
    assert str(error).startswith("t.npy, row 2, column 2: too large")


def test_a_place_travels():
    Path("t.csv").write_text("a,b\n1,2\n3,x\n")
    error = refused(read, "t.csv")
    for twin in (
        pickle.loads(pickle.dumps(error)),
        copy.copy(error),
        error.in_file(Path("t.csv")),
        error.at(None, None),
    ):
        assert place(twin) == ("t.csv", 2, "b", 3)
        assert str(twin) == str(error)


# ----------------------------------------------------------------------- what Arrow reads, and jobs


def write(kind, rows):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [row[0] for row in rows], "b": [row[1] for row in rows]})
    path = f"t.{kind}"
    if kind == "parquet":
        __import__("pyarrow.parquet").parquet.write_table(table, path)
    elif kind == "jsonl":
        Path(path).write_text("".join(json.dumps({"a": a, "b": b}) + "\n" for a, b in rows))
    else:
        Path(path).write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
    return path


@pytest.mark.parametrize("batch_rows", [None, 1])
@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_rows_of_a_job_and_of_verify_are_the_same(kind, batch_rows):
    path = write(kind, [(1.0, 2.0), (3.0, 4.0), (5.0, 1e300)])
    job = jobs.Job(AB, path, "out.parquet", batch_rows=batch_rows)
    assert place(refused(jobs.run, job)) == (path, 3, "b", None)
    for use in (im.verify, lambda *arguments, **options: im.compare(AB, *arguments, **options)):
        error = refused(use, AB, path, batch_rows=batch_rows)
        assert place(error) == (path, 3, "b", 4 if kind == "csv" else None)
        assert str(error).count("row 3") == 1


def test_rows_of_a_folder_count_in_each_file():
    pytest.importorskip("pyarrow")
    Path("folder").mkdir()
    Path("folder/1.csv").write_text("a,b\n1,2\n3,4\n")
    Path("folder/2.csv").write_text("a,b\n1,2\n3,x\n")
    Path("folder/3.csv").write_text("a,b\n1,inf\n")
    expected = ("folder/2.csv", 2, "b", None)
    assert place(refused(jobs.run, jobs.Job(AB, "folder", "out"))) == expected
    assert place(refused(im.verify, AB, "folder")) == expected
    Path("folder/2.csv").write_text("a,b\n1,2\n")
    error = refused(im.compare, AB, AB, "folder")
    assert (error.code, *place(error)) == ("non_finite_value", "folder/3.csv", 1, None, None)


@pytest.mark.parametrize(
    ("name", "text", "column", "line"),
    [
        ("t.jsonl", '{"a": 1, "b": 2}\n{"a": 1,\n', 9, 2),
        ("t.jsonl", '{"a": 1, "b": 2}\n[1]\n', None, 2),
        ("t.csv", '"a,b\n1,2\n', None, 2),
        ("t.csv", "\udce9,b\n1,2\n", None, 1),
    ],
)
def test_text_that_is_no_table(name, text, column, line):
    pytest.importorskip("pyarrow")
    Path(name).write_bytes(text.encode(errors="surrogateescape"))
    error = refused(jobs.run, jobs.Job(AB, name, "out.parquet"))
    assert (error.code, *place(error)) == ("invalid_table", name, None, column, line)


def test_bytes_behind_the_header_are_not_its_fault():
    pytest.importorskip("pyarrow")
    Path("t.csv").write_bytes(b"a,b\n1,\xff\n")
    error = refused(jobs.run, jobs.Job(AB, "t.csv", "out.parquet"))
    assert (error.code, error.file, error.row, error.line) == ("invalid_table", "t.csv", 1, 2)
    assert "the text is not UTF-8; `encoding`" in str(error)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_a_broken_file_is_one_of_our_errors_for_verify_too(name):
    pytest.importorskip("pyarrow")
    Path(name).write_bytes(b"PAR1 ARROW1")
    error = refused(im.verify, AB, name)
    assert (error.code, error.file) == ("invalid_table", name)


# ---------------------------------------------------------------------------------------- in memory


def test_rows_in_memory_count_from_0():
    columns = {"a": [1.0, 2.0], "b": [3.0, None]}
    assert place(refused(AB.predict_table, columns)) == (None, 1, "b", None)


def test_rows_of_arrays_that_compare_gets_count_from_0():
    pytest.importorskip("sklearn")
    error = refused(im.compare, AB, AB, np.array([[1.0, 2.0], [3.0, np.inf]]))
    assert place(error) == (None, 1, None, None)
