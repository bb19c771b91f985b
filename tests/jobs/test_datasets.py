"""Folders: parts, partitions, manifests; killed at any moment and resumed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity, network

import instmodel as im
from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model():
    identity(["a", "b"]).info.save("model.json")
    return "model.json"


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


def nothing_left():
    return [path for path in Path().rglob(".*instmodel*") if path.is_file() or path.is_dir()] == []


def test_a_folder_becomes_a_folder_of_the_same_shape(data):
    identity(["a", "year"]).info.save("model.json")
    assert score("model.json", data, "-o", "out", "--keep", "id") == 0
    assert names("out") == [
        "_manifest.json",
        "year=2025/country=at/part-0.parquet",
        "year=2026/country=de/part-1.parquet",
        "year=2026/part-2.parquet",
    ]
    result = ds.dataset("out", partitioning="hive").to_table().sort_by("output_0")
    assert result["output_0"].to_pylist() == [
        100.0 * number + row for number in range(3) for row in range(10 + number)
    ]
    assert result["output_1"].to_pylist() == [2025.0] * 10 + [2026.0] * 23
    manifest = json.loads(Path("out/_manifest.json").read_text())
    assert (manifest["rows"], manifest["bad_rows"]) == (33, 0)
    assert [part["rows"] for part in manifest["parts"]] == [10, 11, 12]
    assert manifest["job"]["model"] == im.load("model.json").info.digest()
    assert nothing_left()


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
    assert names("out") == [f"2.{kind}", "_manifest.json"]


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
    assert all(name.endswith("." + kind) or name == "_manifest.json" for name in names("out"))


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
    assert json.loads(Path("out/_manifest.json").read_text())["bad_rows"] == 4


def test_a_finished_job_does_not_make_up_a_list_of_bad_rows(data, capsys):
    identity(["a"]).info.save("model.json")
    assert score("model.json", data, "-o", "out") == 0
    assert score("model.json", data, "-o", "out", "--resume", "--bad-rows", "bad.csv") == 2
    assert "bad.csv: the output is complete" in capsys.readouterr().err
    Path("bad.csv").touch()
    assert score("model.json", data, "-o", "out", "--resume", "--bad-rows", "bad.csv") == 0


def twins():
    for ending in ("parquet", "pq"):
        parquet.write_table(pa.table({"a": [1.0]}), f"data/x.{ending}")


def test_links_to_folders_are_followed(data):
    identity(["a"]).info.save("model.json")
    Path(data).rename("elsewhere")
    Path(data).mkdir()
    Path(data, "link").symlink_to("../elsewhere/year=2025")
    assert score("model.json", data, "-o", "out") == 0
    assert names("out") == ["_manifest.json", "link/country=at/part-0.parquet"]


def test_folders_as_deep_as_the_system_allows(model):
    folder = Path("data", *(f"column_{i}={i}{'x' * 60}" for i in range(8)))
    folder.mkdir(parents=True)
    table = pa.table({"a": [1.0, None], "b": [1.0, 2.0]})
    parquet.write_table(table, folder / "part-0.parquet")
    assert score(model, "data", "-o", "out", "--on-bad-row", "skip", "--bad-rows", "bad.csv") == 0
    assert len(Path("bad.csv").read_text().splitlines()) == 2
    assert len(names("out")) == 2


def iceberg():
    """Make a folder look like a table of Iceberg."""
    Path("data/metadata").mkdir()
    Path("data/metadata/00000-5f.metadata.json").touch()


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
        (lambda: None, ["data", "-o", "o", "--bad-rows", "data/b"], "would lie in the input"),
        (twins, ["data", "-o", "out"], "x.parquet and x.pq would become the same part"),
        (lambda: Path("data/l.parquet").symlink_to("no"), ["data", "-o", "out"], "No such file"),
        (lambda: None, ["data", "-o", "out", "--keep", "no"], "column 'no': missing"),
        (lambda: Path("out").mkdir(), ["data", "-o", "out", "--resume"], "from another job"),
        (lambda: Path("data/_delta_log").mkdir(), ["data", "-o", "out"], "data: a Delta table"),
        (iceberg, ["data", "-o", "out.csv"], "data: an Iceberg table"),
    ],
)
def test_what_does_not_work(data, capsys, prepare, arguments, says):
    identity(["a"]).info.save("model.json")
    prepare()
    assert score("model.json", *arguments) == 2
    assert says in capsys.readouterr().err


# ------------------------------------------------------------------------------------------ resume


def broken_then_whole(data):
    """Run a job that fails in the last file, then mend that."""
    identity(["a"]).info.save("model.json")
    last = Path(data, "year=2026/part-2.parquet")
    good = last.read_bytes()
    parquet.write_table(pa.table({"a": ["text"], "id": [1]}), last)
    assert score("model.json", data, "-o", "out") == 2
    assert not Path("out").exists()
    last.write_bytes(good)


def test_finished_parts_are_not_done_again(data, capsys):
    broken_then_whole(data)
    first = Path(".out.instmodel-part/year=2025/country=at/part-0.parquet").stat()
    assert score("model.json", data, "-o", "out", "--resume") == 0
    assert "33 rows scored: out (2 of 3 parts were there)" in capsys.readouterr().out
    again = Path("out/year=2025/country=at/part-0.parquet").stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)
    assert score("model.json", data, "-o", "out", "--resume") == 0
    assert "(3 of 3 parts were there)" in capsys.readouterr().out
    assert nothing_left()


def test_without_resume_a_job_begins_anew(data, capsys):
    broken_then_whole(data)
    assert score("model.json", data, "-o", "out") == 0
    assert "were there" not in capsys.readouterr().out


def test_a_changed_source_is_done_again(data, capsys):
    broken_then_whole(data)
    parquet.write_table(
        pa.table({"a": [5.0], "id": [0]}), Path(data, "year=2025/country=at/part-0.parquet")
    )
    assert score("model.json", data, "-o", "out", "--resume") == 0
    assert "24 rows scored: out (1 of 3 parts were there)" in capsys.readouterr().out


def test_another_job_does_not_resume(data, capsys):
    broken_then_whole(data)
    assert score("model.json", data, "-o", "out", "--resume", "--keep", "id") == 2
    assert "another job left its work there" in capsys.readouterr().err


def test_a_source_that_is_gone_leaves_no_part(data):
    broken_then_whole(data)
    Path(data, "year=2025/country=at/part-0.parquet").unlink()
    assert score("model.json", data, "-o", "out", "--resume") == 0
    assert [name for name in names("out") if "2025" in name] == []
    assert not Path("out/year=2025").exists()


def test_two_runs_do_not_work_on_one_output(data, capsys):
    fcntl = pytest.importorskip("fcntl")
    broken_then_whole(data)
    descriptor = os.open(".out.instmodel-part", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for options in ([], ["--resume"]):
            assert score("model.json", data, "-o", "out", *options) == 2
            assert "another run is working on this" in capsys.readouterr().err
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------------------------------- kills


def command(*arguments):
    code = "import sys; from instmodel.cli import main; sys.exit(main())"
    return [sys.executable, "-c", code, "score", *map(str, arguments)]


def check_kills(count, seed):
    """Kill a job at random moments, again and again, until it comes through; many times over."""
    files, rows = 8, 40_000
    rng = np.random.default_rng(seed)
    network(8).info.save("model.json")
    Path("data").mkdir()
    for number in range(files):
        values = {f"f{i}": rng.normal(size=rows) for i in range(8)}
        values["f3"][rng.random(rows) < 0.001] = 1e300
        table = pa.table(values | {"id": np.arange(rows) + rows * number})
        parquet.write_table(table, f"data/{number}.parquet", row_group_size=5_000)
    job = ["model.json", "data", "--keep", "id", "--on-bad-row", "skip", "--bad-rows"]
    start = time.monotonic()
    subprocess.run(command(*job, "bad.csv", "-o", "whole"), check=True, capture_output=True)
    seconds = time.monotonic() - start
    expected = {name: Path("whole", name).read_bytes() for name in names("whole")}
    bad = Path("bad.csv").read_bytes()
    assert bad.count(b"\n") > 100

    chance = random.Random(seed)
    kills = finished = reused = 0
    while kills < count:
        out = f"out{finished}"
        process = subprocess.Popen(
            command(*job, "bad2.csv", "-o", out, "--resume"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said, problem = process.communicate(timeout=chance.uniform(0.1, 1.1) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            if not Path(out).exists():
                continue
            # Killed after the folder had its name: then everything is there.
        else:
            assert process.returncode == 0, problem
            reused += "parts were there" in said
        found = {n: Path(out, n).read_bytes() for n in names(out) if not n.startswith("_work")}
        assert found == expected
        assert Path("bad2.csv").read_bytes() == bad
        Path("bad2.csv").unlink()
        finished += 1
    return finished, reused


def test_killed_at_any_moment_and_resumed_gives_the_same_rows():
    check_kills(6, seed=0)


@pytest.mark.exhaustive
def test_a_hundred_kills():
    finished, reused = check_kills(100, seed=1)
    # How often a kill finds a job between two parts is the machine's business.
    assert finished > 0
    assert reused > 0
