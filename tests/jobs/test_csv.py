"""CSV files as other programs write them, and as jobs do."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.table_files import fails, read, score
from support.table_models import identity

import instmodel as im
from instmodel import jobs


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
