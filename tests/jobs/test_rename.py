"""Columns of the input that are called otherwise than the features."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def _files():
    identity(["age", "emb[2]"]).info.save("model.json")


def save(path, **columns):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if path.endswith(".jsonl"):
        Path(path).write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif path.endswith(".csv"):
        pa.csv.write_csv(table, path)
    elif path.endswith(".arrow"):
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        parquet.write_table(table, path)


def score(*arguments, model="model.json"):
    return main(["score", model, *map(str, arguments)])


def rows(path="out.parquet"):
    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow", "jsonl"])
def test_columns_become_features_and_keep_their_names(kind):
    pytest.importorskip("pyarrow.csv")
    save(f"in.{kind}", AGE=[40, 50], e0=[1.0, 2.0], **{"emb[1]": [3.0, 4.0], "a=b": [5, 6]})
    renamed = ["--rename", "AGE=age", "--rename", "e0=emb[0]"]
    assert score(f"in.{kind}", "-o", "out.parquet", *renamed, "--keep", "AGE") == 0
    found = [list(row.values()) for row in rows()]
    assert [list(map(float, row)) for row in found] == [[40, 40, 1, 3], [50, 50, 2, 4]]
    assert list(rows()[0]) == ["AGE", "output_0", "output_1", "output_2"]


def test_a_list_and_a_name_with_an_equals_sign():
    save("in.parquet", **{"a=b": [40.0], "EMB": [[1.0, 2.0]]})
    assert (
        score("in.parquet", "-o", "out.parquet", "--rename", "a=b=age", "--rename", "EMB=emb") == 0
    )
    assert list(rows()[0].values()) == [40, 1, 2]


def test_names_may_change_places():
    identity(["a", "b"]).info.save("model.json")
    save("in.parquet", a=[1.0], b=[2.0])
    assert score("in.parquet", "-o", "out.parquet", "--rename", "a=b", "--rename", "b=a") == 0
    assert list(rows()[0].values()) == [2, 1]


@pytest.mark.parametrize("name", ["AGE", "age"])
def test_nulls_go_by_either_name(name):
    save("in.parquet", AGE=[None, 1.0], emb=[[1.0, 2.0]] * 2)
    options = ["--rename", "AGE=age", "--nulls", f"{name}=7"]
    assert score("in.parquet", "-o", "out.parquet", *options) == 0
    assert [row["output_0"] for row in rows()] == [7, 1]


def test_errors_name_the_column_of_the_table(capsys):
    save("in.parquet", AGE=[1.0, None], emb=[[1.0, 2.0]] * 2)
    assert score("in.parquet", "-o", "out.parquet", "--rename", "AGE=age") == 2
    assert "column 'AGE', row 2" in capsys.readouterr().err


def test_the_names_of_folders_can_be_renamed():
    identity(["a", "year"]).info.save("model.json")
    save("data/Y=2026/1.parquet", a=[1.0])
    assert score("data", "-o", "out", "--rename", "Y=year", "--incremental") == 0
    assert parquet.read_table("out")["output_1"].to_pylist() == [2026]
    assert score("data", "-o", "out", "--incremental") == 2


@pytest.mark.parametrize(
    ("renamed", "says"),
    [
        (["AGE=agee"], "not a feature of the model; did you mean 'age'?"),
        (["AGEE=age"], "column 'AGEE': missing, to be renamed; did you mean 'AGE'?"),
        (["AGE=age", "AGE=emb[0]"], "two values of one column"),
        (["AGE=age", "id=age"], "column 'age': two columns are renamed to this"),
        (["AGE=emb[0]"], "column 'emb[0]': there, and 'AGE' is renamed to it"),
        (["AGE"], "no such column"),
    ],
)
def test_what_does_not_work(capsys, renamed, says):
    save("in.parquet", AGE=[1.0], id=[1], **{"emb[0]": [2.0], "emb[1]": [3.0]})
    options = [word for pair in renamed for word in ("--rename", pair)]
    assert score("in.parquet", "-o", "out.parquet", *options) == 2
    assert says in capsys.readouterr().err


def test_a_model_without_names_has_nothing_to_rename_to():
    save("in.parquet", a=[1.0])
    with pytest.raises(im.InputError) as caught:
        jobs.run(jobs.Job(identity(1), "in.parquet", "out.parquet", rename={"a": "age"}))
    assert (caught.value.code, caught.value.field) == ("missing_features", "rename")


@pytest.mark.parametrize("odd", [5, "a=b", {1: "age"}, {"a": None}, [("a", "age")]])
def test_what_is_no_mapping_of_names(odd):
    save("in.parquet", a=[1.0])
    with pytest.raises(im.InputError) as caught:
        jobs.run(jobs.Job(im.load("model.json"), "in.parquet", "out.parquet", rename=odd))
    assert (caught.value.code, caught.value.field) == ("invalid_type", "rename")
