"""Folders: parts, partitions, manifests, and who can read them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im
from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def data():
    """Three files of one row more each, in folders that hold columns."""
    for number, folder in enumerate(("year=2025/country=at", "year=2026/country=de", "year=2026")):
        rows = 10 + number
        values = pa.table({"a": np.arange(rows) + 100.0 * number, "id": range(rows)})
        Path("data", folder).mkdir(parents=True, exist_ok=True)
        parquet.write_table(values, f"data/{folder}/part-{number}.parquet")
    Path("data/_SUCCESS").touch()
    Path("data/.hidden.parquet").touch()
    return "data"


def score(*arguments):
    return main(["score", *map(str, arguments)])


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def work_left():
    return [path for path in Path().rglob(".*instmodel*") if path.suffix != ".json"]


def test_a_folder_becomes_a_folder_of_the_same_shape(data):
    identity(["a", "year"]).info.save("model.json")
    assert score("model.json", data, "-o", "out", "--keep", "id") == 0
    assert names("out") == [
        "year=2025/country=at/part-0.parquet",
        "year=2026/country=de/part-1.parquet",
        "year=2026/part-2.parquet",
    ]
    result = ds.dataset("out", partitioning="hive").to_table().sort_by("output_0")
    assert result["output_0"].to_pylist() == [
        100.0 * number + row for number in range(3) for row in range(10 + number)
    ]
    assert result["output_1"].to_pylist() == [2025.0] * 10 + [2026.0] * 23
    manifest = json.loads(Path(".out.instmodel.json").read_text())
    assert (manifest["version"], manifest["rows"], manifest["bad_rows"]) == (2, 33, 0)
    assert [part["rows"] for part in manifest["parts"]] == [10, 11, 12]
    first = manifest["parts"][0]
    source = Path(data, "year=2025/country=at/part-0.parquet").stat()
    assert first["part"] == "year=2025/country=at/part-0.parquet"
    assert first["source"] == {
        "name": first["part"],
        "size": source.st_size,
        "mtime_ns": source.st_mtime_ns,
    }
    assert first["stamp"]["size"] == Path("out", first["part"]).stat().st_size
    assert first["model"] == im.load("model.json").info.digest()
    assert datetime.fromisoformat(first["scored_at"]).utcoffset() == timedelta(0)
    assert work_left() == []


@pytest.mark.parametrize("keep", ["id,year", "*"])
def test_kept_columns_of_the_partition_stay_in_the_names_of_folders(data, keep):
    identity(["a"]).info.save("model.json")
    assert score("model.json", data, "-o", "out", "--keep", keep) == 0
    # In the files, too, pandas and pyarrow would not know which of two types to take.
    table = parquet.read_table("out")
    assert len(table) == 33
    assert table["year"].to_pylist() == [2025] * 10 + [2026] * 23
    part = parquet.ParquetFile("out/year=2025/country=at/part-0.parquet")
    assert part.schema_arrow.names == (["a", "id", "score"] if keep == "*" else ["id", "score"])


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_empty_files_of_text_hold_no_rows(kind):
    identity(["a"]).info.save("model.json")
    Path("in").mkdir()
    for name in ("1", "3"):
        Path(f"in/{name}.{kind}").touch()
    Path(f"in/2.{kind}").write_text("a\n5\n" if kind == "csv" else '{"a": 5}\n')
    assert score("model.json", "in", "-o", "out.parquet") == 0
    assert parquet.read_table("out.parquet")["score"].to_pylist() == [5.0]
    assert score("model.json", "in", "-o", "out") == 0
    assert names("out") == [f"2.{kind}"]


def test_files_of_other_types_do_not_become_one_file(capsys):
    identity(["a"]).info.save("model.json")
    Path("in").mkdir()
    for name, values in (("1", [1, 2]), ("2", [2.5])):
        lines = [f'{{"a": 1, "b": 5, "kept": {value}}}\n' for value in values]
        Path(f"in/{name}.jsonl").write_text("".join(lines))
    assert score("model.json", "in", "-o", "out.parquet", "--keep", "b,kept") == 2
    said = capsys.readouterr().err
    assert "in/2.jsonl: the kept columns are not those of the other files " in said
    assert "(expected kept: int64, got kept: double)" in said
    assert not Path("out.parquet").exists()


def test_a_folder_becomes_one_file(data):
    identity(["a"]).info.save("model.json")
    assert score("model.json", data, "-o", "out.csv", "--keep", "country,year,id") == 0
    lines = Path("out.csv").read_text().splitlines()
    assert lines[0] == "country,year,id,score"
    assert (lines[1], lines[-1]) == ('"at",2025,0,0', ",2026,11,211")
    assert len(lines) == 34


@pytest.mark.parametrize("kind", ["csv", "arrow", "jsonl"])
def test_parts_in_another_format(data, kind):
    identity(["a"]).info.save("model.json")
    assert score("model.json", data, "-o", "out", "--format", kind) == 0
    assert all(name.endswith("." + kind) for name in names("out"))


def test_bad_rows_of_all_parts(model):
    Path("data").mkdir()
    for name in "xy":
        table = pa.table({"a": [1.0, None, 3.0], "b": [1.0, 2.0, None]})
        parquet.write_table(table, f"data/{name}.parquet")
    assert score(model, "data", "-o", "out", "--on-bad-row", "skip", "--bad-rows", "bad.csv") == 0
    lines = Path("bad.csv").read_text().splitlines()
    assert lines[0] == "file,row,column,reason"
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["x.parquet", "2", "a"],
        ["x.parquet", "3", "b"],
        ["y.parquet", "2", "a"],
        ["y.parquet", "3", "b"],
    ]
    assert json.loads(Path(".out.instmodel.json").read_text())["bad_rows"] == 4


def twins():
    for ending in ("parquet", "pq"):
        parquet.write_table(pa.table({"a": [1.0]}), f"data/x.{ending}")


def test_links_to_folders_are_followed(data):
    identity(["a"]).info.save("model.json")
    Path(data).rename("elsewhere")
    Path(data).mkdir()
    Path(data, "link").symlink_to("../elsewhere/year=2025")
    assert score("model.json", data, "-o", "out") == 0
    assert names("out") == ["link/country=at/part-0.parquet"]


def test_folders_as_deep_as_the_system_allows(model):
    folder = Path("data", *(f"column_{i}={i}{'x' * 60}" for i in range(8)))
    folder.mkdir(parents=True)
    table = pa.table({"a": [1.0, None], "b": [1.0, 2.0]})
    parquet.write_table(table, folder / "part-0.parquet")
    assert score(model, "data", "-o", "out", "--on-bad-row", "skip", "--bad-rows", "bad.csv") == 0
    assert len(Path("bad.csv").read_text().splitlines()) == 2
    assert len(names("out")) == 1


def table_among_files():
    Path("data/table/_delta_log").mkdir(parents=True)
    Path("data/year=2026/part-2.parquet").rename("data/table/part-2.parquet")


@pytest.mark.parametrize(
    ("prepare", "arguments", "says"),
    [
        (lambda: Path("empty").mkdir(), ["empty", "-o", "out"], "no files"),
        (
            lambda: Path("data/x.csv").write_text("a\n"),
            ["data", "-o", "out"],
            "files in one format",
        ),
        (lambda: Path("data/x.txt").touch(), ["data", "-o", "out"], "does not tell a format"),
        (lambda: Path("out").mkdir(), ["data", "-o", "out"], "the output is already there"),
        (lambda: None, ["data", "-o", "data"], "the output is also the input"),
        (lambda: None, ["data", "-o", "data/out"], "the output would lie in the input"),
        (lambda: None, ["data", "-o", "data/out.csv"], "the output would lie in the input"),
        (lambda: None, ["data/year=2026", "-o", "data"], "the input lies in the output"),
        (lambda: None, ["data", "-o", "o", "--bad-rows", "data/b"], "would lie in the input"),
        (twins, ["data", "-o", "out"], "x.parquet and x.pq would become the same part"),
        (lambda: Path("data/l.parquet").symlink_to("no"), ["data", "-o", "out"], "No such file"),
        (lambda: None, ["data", "-o", "out", "--keep", "no"], "column 'no': missing"),
        (lambda: Path("out").mkdir(), ["data", "-o", "out", "--resume"], "and no job made it"),
        (table_among_files, ["data", "-o", "out"], "as a whole"),
        (lambda: Path("_delta_log").mkdir(), ["data", "-o", "out"], "as a whole"),
        (lambda: None, ["data", "-o", "out", "--table-version", "0"], "has versions"),
    ],
)
def test_what_does_not_work(data, capsys, prepare, arguments, says):
    identity(["a"]).info.save("model.json")
    prepare()
    assert score("model.json", *arguments) == 2
    assert says in capsys.readouterr().err


# ---------------------------------------------------------------------- who reads an output folder


def read_pandas(folder):
    return pytest.importorskip("pandas").read_parquet(folder)["score"].tolist()


def read_polars(folder):
    return pytest.importorskip("polars").read_parquet(folder)["score"].to_list()


def scan_polars(folder):
    return pytest.importorskip("polars").scan_parquet(folder).collect()["score"].to_list()


def read_pyarrow(folder):
    return parquet.read_table(folder)["score"].to_pylist()


def read_duckdb(folder):
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(f"SELECT score FROM read_parquet('{folder}/**', hive_partitioning=true)")
    return [score for (score,) in rows.fetchall()]


@pytest.mark.parametrize("depth", ["flat", "partitioned"])
@pytest.mark.parametrize("read", [read_pandas, read_polars, scan_polars, read_pyarrow, read_duckdb])
def test_engines_read_the_folder_that_a_job_wrote(model, read, depth):
    folders = ("x=1/y=a", "x=1/y=b", "x=2/y=a") if depth == "partitioned" else ("",)
    for number, folder in enumerate(folders):
        Path("data", folder).mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table({"a": [1.0, 2.0], "id": [1, 2]}), f"data/{folder}/{number}.pq")
    identity(["a"]).info.save("model.json")
    told = "model_digest,scored_at"
    assert score("model.json", "data", "-o", "out", "--keep", "id", "--with", told) == 0
    assert sorted(read("out")) == sorted([1.0, 2.0] * len(folders))
