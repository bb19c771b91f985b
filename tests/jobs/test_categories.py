"""Text of features with categories in files: what jobs, `score` and `verify` read in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.commands import fails
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.cli import main
from instmodel.tables.rows import read_rows

ROWS = [("red", 1.0), ("1", 2.0), ("", 3.0), ("green, light", 4.0), ("red", 5.0)]
CODES = [0.0, 1.0, 2.0, 3.0, 0.0]
CSV = 'age,colour\n1,red\n2,1\n3,""\n4,"green, light"\n5,red\n'


def model(unknown="error"):
    info = identity(["colour", "age"]).info
    info.categories = {"colour": im.Categories(["red", "1", "", "green, light"], unknown)}
    info.save("model.json")
    return im.InstructionModel(info)


def save(name, texts):
    """Write a file of these texts, and of ages from 1 on."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"colour": texts, "age": np.arange(1.0, len(texts) + 1)})
    ending = Path(name).suffix
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    if ending == ".parquet":
        pytest.importorskip("pyarrow.parquet").write_table(table, name)
    elif ending == ".arrow":
        with pa.ipc.new_file(name, table.schema) as writer:
            writer.write(table)
    elif ending == ".csv":
        pytest.importorskip("pyarrow.csv").write_csv(table, name)
    else:
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    return name


def scores(path):
    parts = Path(path).read_text().splitlines()
    return [float(line.split(",")[0]) if line[0] != "," else None for line in parts[1:]]


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".csv", ".jsonl"])
def test_every_format(ending):
    name = save("in" + ending, [text for text, _ in ROWS])
    jobs.run(jobs.Job(model(), name, "out.csv"))
    assert scores("out.csv") == CODES
    (batch,) = read_rows(name, model())
    assert batch.inputs.tolist() == [
        [code, age] for code, (_, age) in zip(CODES, ROWS, strict=True)
    ]


@pytest.mark.parametrize("output", ["out.csv", "out.jsonl"])
def test_score_reads_csv_with_and_without_arrow(output):
    if output != "out.csv":
        pytest.importorskip("pyarrow")
    model()
    Path("in.csv").write_text(CSV)
    assert main(["score", "model.json", "in.csv", "-o", output]) == 0
    found = Path(output).read_text()
    assert len(found.splitlines()) == 5 + (output == "out.csv")
    if output == "out.csv":
        assert scores("out.csv") == CODES


@pytest.mark.parametrize("text", ["0", "2.0", "nan"])
def test_a_number_in_csv_is_text(text, capsys):
    model()
    Path("in.csv").write_text(f"age,colour\n1,red\n2,{text}\n")
    for output in ("out.csv", "out.jsonl"):
        if output != "out.csv":
            pytest.importorskip("pyarrow")
        said = fails(capsys, "score", "model.json", "in.csv", "-o", output)
        assert "unknown_category" in said
        assert f"row 2{' (line 3)' if output == 'out.csv' else ''}" in said
        assert repr(text) in said


def test_json_numbers_are_those_of_categories():
    pytest.importorskip("pyarrow")
    Path("in.jsonl").write_text('{"colour": 3, "age": 1}\n{"colour": "1", "age": 1}\n')
    jobs.run(jobs.Job(model(), "in.jsonl", "out.csv"))
    assert scores("out.csv") == [3, 1]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_bad_rows_are_listed_with_their_text(ending):
    name = save("in" + ending, ["red", "blue", "1"])
    job = {"on_bad_row": "skip", "bad_rows": "bad.csv"}
    jobs.run(jobs.Job(model(), name, "out.csv", **job))
    assert scores("out.csv") == [0, 1]
    listed = Path("bad.csv").read_text().splitlines()[1]
    assert (
        listed == f"{name},2,colour,not a category of the feature (got 'blue') [unknown_category]"
    )
    error = _error(jobs.Job(model(), name, "other.csv"))
    assert (error.code, error.row, error.column) == ("unknown_category", 2, "colour")


def _error(job):
    with pytest.raises(im.InputError) as caught:
        jobs.run(job)
    return caught.value


def test_unknown_text_in_files_is_what_the_document_says():
    for name in ("in.csv", "in.parquet"):
        save(name, ["red", "blue", "1"])
        jobs.run(jobs.Job(model(-7), name, "out.csv"))
        assert scores("out.csv") == [0, -7, 1]
        (batch,) = read_rows(name, model("nan"))
        assert np.array_equal(batch.inputs[:, 0], [0, np.nan, 1], equal_nan=True)


def test_an_empty_cell_of_csv_is_null_and_empty_text_no_unknown_category():
    pytest.importorskip("pyarrow")
    info = model(-7).info
    Path("in.csv").write_text('age,colour\n1,\n2,""\n')
    jobs.run(jobs.Job(model(-7), "in.csv", "out.csv", nulls=9))
    assert scores("out.csv") == [9, 2]
    info.categories = {"colour": im.Categories(["red"], -7)}
    error = _error(jobs.Job(im.InstructionModel(info), "in.csv", "out.csv", nulls=9))
    # A blank line looks the same, and is no row.
    assert (error.code, error.row) == ("invalid_cell", 2)


def test_names_of_folders_are_text_also_where_they_are_numbers():
    texts = ["0", "1", "3"]
    info = identity(["colour", "age"]).info
    info.categories = {"colour": im.Categories(["1", "3", "0"])}
    pa = pytest.importorskip("pyarrow")
    for ending in (".parquet", ".jsonl", ".csv"):
        folder = Path("in" + ending[1:])
        for text in texts:
            path = folder / f"colour={text}" / f"x{ending}"
            path.parent.mkdir(parents=True)
            if ending == ".parquet":
                pytest.importorskip("pyarrow.parquet").write_table(pa.table({"age": [1]}), path)
            else:
                path.write_text("age\n1\n" if ending == ".csv" else '{"age": 1}\n')
        jobs.run(jobs.Job(im.InstructionModel(info), folder, "out.csv"))
        assert scores("out.csv") == [2, 0, 1]


def test_verify_and_compare_read_text():
    found = model()
    Path("in.csv").write_text(CSV)
    assert im.verify(found, "in.csv").rows == 5
    pytest.importorskip("sklearn")
    assert im.compare(found, found, "in.csv").rows == 5


def test_the_worst_rows_of_verify_have_their_text():
    found = model()
    Path("in.csv").write_text(CSV)
    worst = im.verify(found, "in.csv", against=lambda rows: rows + 1).worst
    assert [row.texts for row in worst] == [{"colour": ROWS[row.row][0]} for row in worst]


def test_models_with_other_categories_are_not_verified():
    Path("in.csv").write_text(CSV)
    old, other = model(), model().info
    other.categories = {"colour": im.Categories(["1", "red"])}
    with pytest.raises(im.InputError) as caught:
        im.verify(old, "in.csv", against=other)
    assert (caught.value.code, caught.value.column) == ("column_mismatch", "colour")
