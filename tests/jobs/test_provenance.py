"""Columns that say where scores come from."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ALL = ("model_digest", "model_version", "scored_at")


@pytest.fixture(autouse=True)
def _files():
    identity(["a"]).info.save("model.json")
    parquet.write_table(pa.table({"a": [1.0, None, 3.0], "scored_at": [1, 2, 3]}), "in.parquet")


def score(*arguments):
    return main(["score", "model.json", *map(str, arguments)])


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "jsonl"])
def test_every_row_says_where_its_score_comes_from(kind):
    options = ["--with", ",".join(ALL), "--model-version", "2.1", "--on-bad-row", "skip"]
    assert score("in.parquet", "-o", f"out.{kind}", *options) == 0
    path = Path(f"out.{kind}")
    if kind == "parquet":
        rows = parquet.read_table(path).to_pylist()
    elif kind == "arrow":
        rows = pa.ipc.open_file(path).read_all().to_pylist()
    elif kind == "csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [list(row) for row in rows] == [["score", *ALL]] * 2
    digest = im.load("model.json").digest
    assert {(row["model_digest"], row["model_version"]) for row in rows} == {(digest, "2.1")}
    (time,) = {row["scored_at"] for row in rows}
    time = time if isinstance(time, datetime) else datetime.fromisoformat(time)
    assert time.utcoffset() == timedelta(0)


def test_types_that_take_no_room():
    assert score("in.parquet", "-o", "out.parquet", "--with", "model_digest,scored_at") == 2
    assert score("in.parquet", "-o", "out.parquet", "--with", ALL[0], "--nulls", 0) == 0
    schema = parquet.read_schema("out.parquet")
    assert schema.field("model_digest").type == pa.dictionary(pa.int32(), pa.string())


def test_parts_of_a_resumed_job_have_the_time_of_the_run_that_made_them():
    Path("data").mkdir()
    parquet.write_table(pa.table({"a": [1.0]}), "data/1.parquet")
    parquet.write_table(pa.table({"a": ["text"]}), "data/2.parquet")
    assert score("data", "-o", "out", "--with", "scored_at") == 2
    parquet.write_table(pa.table({"a": [2.0]}), "data/2.parquet")
    assert score("data", "-o", "out", "--with", "scored_at", "--resume") == 0
    times = parquet.read_table("out")["scored_at"].to_pylist()
    assert times[0] < times[1]
    told = [
        part["scored_at"] for part in json.loads(Path(".out.instmodel.json").read_text())["parts"]
    ]
    assert [datetime.fromisoformat(time) for time in told] == times


def test_a_part_of_another_version_is_one_of_another_model():
    Path("data").mkdir()
    parquet.write_table(pa.table({"a": [1.0]}), "data/1.parquet")
    job = ["data", "-o", "out", "--with", "model_version", "--incremental", "--model-version"]
    assert score(*job, "1") == 0
    assert score(*job, "2") == 2
    assert score(*job, "2", "--model-change", "rescore") == 0
    assert parquet.read_table("out")["model_version"].to_pylist() == ["2"]


def test_the_version_stands_in_the_metadata():
    info = identity(["a"]).info
    info.metadata = {"version": 7}
    assert jobs.Job(im.InstructionModel(info), "in.parquet", "out.parquet").version == "7"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--with", "model_version"], "nobody knows the model's version"),
        (["--with", "weather"], "no such choice"),
        (["--with", "scored_at", "--keep", "scored_at"], "two columns of the result would be"),
        (["--with", "scored_at", "--outputs", "scored_at"], "two columns of the result would be"),
        (["--with", "scored_at,scored_at"], "named twice"),
    ],
)
def test_names_that_collide_or_mean_nothing(capsys, options, says):
    assert score("in.parquet", "-o", "out.parquet", "--nulls", 0, *options) == 2
    assert says in capsys.readouterr().err
    assert not Path("out.parquet").exists()


@pytest.mark.parametrize("options", [["--with", "scored_at"], ["--outputs", "scored_at"]])
def test_names_that_collide_with_those_of_folders(capsys, options):
    Path("data/scored_at=1").mkdir(parents=True)
    parquet.write_table(pa.table({"a": [1.0]}), "data/scored_at=1/1.parquet")
    assert score("data", "-o", "out", *options) == 2
    assert "two columns of the result would be called 'scored_at'" in capsys.readouterr().err
