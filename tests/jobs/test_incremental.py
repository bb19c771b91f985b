"""Output folders that are there: resumed, added to, replaced."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.cli import main
from instmodel.jobs import staging
from instmodel.stores import local

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

KEYS = ("a", "b", "c")


@pytest.fixture(autouse=True)
def _files():
    # Two models of one feature: they tell themselves apart by the sign.
    identity(["a"]).info.save("model.json")
    builder = im.ModelBuilder()
    negative = builder.mul_elementwise(builder.input(["a"]), [-1.0])
    builder.build(output=negative, metadata={"version": "2.1"}).save("negative.json")


@pytest.fixture
def data():
    """Three files in folders that hold columns: ``a`` is 1, 2; 11, 12, 13; 21, 22, 23, 24."""
    for number, key in enumerate(KEYS):
        write(f"data/key={key}/part.parquet", [10.0 * number + row for row in range(1, number + 3)])
    return "data"


def write(path, values):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({"a": values, "id": range(len(values))}), path)


def score(*arguments, model="model.json"):
    return main(["score", model, *map(str, arguments)])


def scores(folder="out"):
    found = parquet.read_table(folder)
    return {
        key: sorted(found["score"].filter(pa.compute.equal(found["key"], key)).to_pylist())
        for key in sorted(set(found["key"].to_pylist()))
    }


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def work_left():
    return [path for path in Path().rglob(".*instmodel*") if path.suffix != ".json"]


def manifest():
    return json.loads(Path(".out.instmodel.json").read_text())


# ------------------------------------------------------------------------------------------ resume


def broken_then_whole():
    """Run a job that fails in the last file, then mend that."""
    last = Path("data/key=c/part.parquet")
    good = last.read_bytes()
    write(last, ["text"])
    assert score("data", "-o", "out") == 2
    assert not Path("out").exists()
    last.write_bytes(good)


def test_finished_parts_are_not_done_again(data, capsys):
    broken_then_whole()
    first = Path(".out.instmodel-part/parts/key=a/part.parquet").stat()
    assert score(data, "-o", "out", "--resume") == 0
    assert "9 rows scored: out (2 of 3 parts were there)" in capsys.readouterr().out
    again = Path("out/key=a/part.parquet").stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)
    assert score(data, "-o", "out", "--resume") == 0
    assert "nothing to score: all 3 parts, " in capsys.readouterr().out
    assert work_left() == []


def test_without_resume_a_job_begins_anew(data, capsys):
    broken_then_whole()
    assert score(data, "-o", "out") == 0
    assert "were there" not in capsys.readouterr().out
    assert score(data, "-o", "out") == 2
    assert "the output is already there" in capsys.readouterr().err


def test_a_changed_source_is_done_again(data, capsys):
    broken_then_whole()
    write("data/key=a/part.parquet", [5.0])
    assert score(data, "-o", "out", "--resume") == 0
    assert "8 rows scored: out (1 of 3 parts were there)" in capsys.readouterr().out


def test_another_job_does_not_resume(data, capsys):
    broken_then_whole()
    assert score(data, "-o", "out", "--resume", "--keep", "id") == 2
    assert "another job left its work there" in capsys.readouterr().err
    # What runs unattended must not be stopped by work that nobody can see.
    assert score(data, "-o", "out", "--incremental", "--keep", "id") == 0
    assert scores() == {"a": [1, 2], "b": [11, 12, 13], "c": [21, 22, 23, 24]}


def test_work_of_another_model_is_not_resumed(data):
    broken_then_whole()
    assert score(data, "-o", "out", "--resume", model="negative.json") == 0
    assert scores()["a"] == [-2.0, -1.0]


def test_a_source_that_is_gone_leaves_no_part(data):
    broken_then_whole()
    Path("data/key=a/part.parquet").unlink()
    assert score(data, "-o", "out", "--resume") == 0
    assert names("out") == ["key=b/part.parquet", "key=c/part.parquet"]
    assert not Path("out/key=a").exists()


def test_a_finished_job_does_not_make_up_a_list_of_bad_rows(data, capsys):
    write("data/key=a/part.parquet", [1.0, None])
    job = [data, "-o", "out", "--on-bad-row", "skip"]
    assert score(*job) == 0
    assert score(*job, "--resume", "--bad-rows", "bad.csv") == 2
    assert "bad.csv: the output is complete" in capsys.readouterr().err
    Path("bad.csv").write_text("as it was")
    assert score(*job, "--resume", "--bad-rows", "bad.csv") == 0
    assert Path("bad.csv").read_text() == "as it was"


def test_two_runs_do_not_work_on_one_output(data, capsys):
    fcntl = pytest.importorskip("fcntl")
    broken_then_whole()
    descriptor = os.open(".out.instmodel-part", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for options in ([], ["--resume"], ["--incremental"], ["--overwrite"]):
            assert score(data, "-o", "out", *options) == 2
            assert "another run is working on this" in capsys.readouterr().err
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------------------------- incremental


@pytest.mark.parametrize("option", ["--incremental", "--resume"])
def test_only_what_is_new_or_changed_is_scored(data, capsys, option):
    assert score(data, "-o", "out", option) == 0
    kept = Path("out/key=b/part.parquet").stat()
    write("data/key=a/part.parquet", [5.0])
    write("data/key=d/part.parquet", [31.0])
    Path("data/key=c/part.parquet").unlink()
    capsys.readouterr()
    assert score(data, "-o", "out", option) == 0
    told = "5 rows scored: out (1 of 3 parts were there, 1 removed)"
    assert told in capsys.readouterr().out
    assert scores() == {"a": [5.0], "b": [11.0, 12.0, 13.0], "d": [31.0]}
    assert not Path("out/key=c").exists()
    again = Path("out/key=b/part.parquet").stat()
    assert (kept.st_ino, kept.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)
    assert [part["part"][:5] for part in manifest()["parts"]] == ["key=a", "key=b", "key=d"]
    assert manifest()["rows"] == 5
    assert work_left() == []


def test_parts_keep_the_format_of_the_output():
    Path("data").mkdir()
    for name in ("1.csv.gz", "2.csv.gz"):
        with gzip.open(f"data/{name}", "wt") as file:
            file.write("a\n1\n")
    assert score("data", "-o", "out", "--incremental") == 0
    Path("data/3.csv").write_text("a\n2\n")
    assert score("data", "-o", "out", "--incremental") == 0
    assert names("out") == ["1.csv.gz", "2.csv.gz", "3.csv.gz"]


@pytest.mark.parametrize("other", [["x", "y"], [1.5, 2.5], [None, None]])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_parts_have_the_same_columns(data, capsys, other, kind):
    job = [data, "-o", "out", "--keep", "id", "--format", kind, "--incremental"]
    assert score(*job) == 0
    before = names("out")
    path = Path("data/key=d/part.parquet")
    path.parent.mkdir()
    parquet.write_table(pa.table({"a": [1.0, 2.0], "id": other}), path)
    assert score(*job) == 2
    said = capsys.readouterr().err
    assert "data/key=d/part.parquet" in said
    assert "expected id: int64" in said
    assert names("out") == before
    parquet.write_table(pa.table({"id": [1, 2], "a": [1.0, 2.0]}), path)
    assert score(*job) == 0
    assert score(data, "-o", "text", "--keep", "id", "--format", "csv") == 0


@pytest.mark.parametrize("index", ["int8", "int32"])
def test_dictionaries_of_any_size_lie_side_by_side(data, index):
    for key, texts in (("a", ["x", "y"]), ("b", ["z"] * 3), ("c", ["x"] * 4)):
        column = pa.array(texts).dictionary_encode().cast(pa.dictionary(pa.int32(), pa.string()))
        if key == "b":
            column = column.cast(pa.dictionary(getattr(pa, index)(), pa.string()))
        values = parquet.read_table(f"data/key={key}/part.parquet", partitioning=None)["a"]
        table = pa.table({"a": values, "id": column})
        parquet.write_table(table, f"data/key={key}/part.parquet")
    assert score(data, "-o", "out", "--keep", "id") == 0
    assert set(parquet.read_table("out")["id"].to_pylist()) == {"x", "y", "z"}


def test_when_nothing_changed_nothing_is_done(data, capsys):
    assert score(data, "-o", "out", "--incremental") == 0
    before = manifest()
    assert score(data, "-o", "out", "--incremental") == 0
    assert "nothing to score: all 3 parts, " in capsys.readouterr().out
    assert manifest() == before


def test_a_part_that_somebody_removed_or_changed_is_scored_again(data):
    assert score(data, "-o", "out", "--incremental") == 0
    Path("out/key=a/part.parquet").unlink()
    Path("out/key=b/part.parquet").write_bytes(b"no Parquet")
    assert score(data, "-o", "out", "--incremental") == 0
    assert scores() == {"a": [1, 2], "b": [11, 12, 13], "c": [21, 22, 23, 24]}


def test_an_output_that_is_gone_is_made_anew(data):
    assert score(data, "-o", "out", "--incremental") == 0
    Path("out").rename("moved away")
    assert score(data, "-o", "out", "--incremental") == 0
    assert names("out") == names("moved away")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--keep", "id"], "the output was made with other options: keep"),
        (["--format", "csv", "--nulls", "0"], "with other options: format, nulls"),
        (["--with", "scored_at"], "with other options: provenance"),
        (["--overwrite"], "an output is replaced, or it stays"),
    ],
)
def test_an_output_goes_on_with_the_options_that_made_it(data, capsys, options, says):
    assert score(data, "-o", "out") == 0
    before = manifest()
    assert score(data, "-o", "out", "--incremental", *options) == 2
    assert says in capsys.readouterr().err
    assert manifest() == before
    assert work_left() == []


def test_an_error_leaves_the_output_as_it_was(data):
    assert score(data, "-o", "out", "--incremental") == 0
    before = manifest()
    write("data/key=a/part.parquet", [6.0])
    write("data/key=b/part.parquet", ["text"])
    assert score(data, "-o", "out", "--incremental") == 2
    assert scores() == {"a": [1, 2], "b": [11, 12, 13], "c": [21, 22, 23, 24]}
    assert manifest() == before
    write("data/key=b/part.parquet", [7.0])
    assert score(data, "-o", "out", "--incremental") == 0
    assert scores() == {"a": [6], "b": [7], "c": [21, 22, 23, 24]}


def test_another_model_is_an_error_unless_something_else_is_said(data, capsys):
    assert score(data, "-o", "out", "--incremental") == 0
    write("data/key=d/part.parquet", [31.0])
    assert score(data, "-o", "out", "--incremental", model="negative.json") == 2
    assert "another model scored 3 of the 3 parts: --model-change" in capsys.readouterr().err
    change = ["--incremental", "--model-change"]
    assert score(data, "-o", "out", *change, "keep", model="negative.json") == 0
    assert scores() == {"a": [1, 2], "b": [11, 12, 13], "c": [21, 22, 23, 24], "d": [-31]}
    digests = [part["model"] for part in manifest()["parts"]]
    old, new = im.load("model.json").digest, im.load("negative.json").digest
    assert digests == [old, old, old, new]
    assert [part["model_version"] for part in manifest()["parts"]] == [None, None, None, "2.1"]
    assert score(data, "-o", "out", *change, "rescore", model="negative.json") == 0
    assert "10 rows scored: out (1 of 4 parts were there)" in capsys.readouterr().out
    assert scores() == {"a": [-2, -1], "b": [-13, -12, -11], "c": [-24, -23, -22, -21], "d": [-31]}
    assert {part["model"] for part in manifest()["parts"]} == {new}


def test_an_incremental_run_lists_the_bad_rows_that_it_found(data):
    write("data/key=a/part.parquet", [1.0, None])
    job = [data, "-o", "out", "--on-bad-row", "skip", "--incremental", "--bad-rows", "bad.csv"]
    assert score(*job) == 0
    assert len(Path("bad.csv").read_text().splitlines()) == 2
    write("data/key=d/part.parquet", [None, None, 1.0])
    assert score(*job) == 0
    assert [line.split(",")[0] for line in Path("bad.csv").read_text().splitlines()] == [
        "file",
        "key=d/part.parquet",
        "key=d/part.parquet",
    ]
    assert (manifest()["rows"], manifest()["bad_rows"]) == (12, 3)
    listed = Path("bad.csv").read_text()
    assert score(*job) == 0  # adds nothing
    assert Path("bad.csv").read_text() == listed
    Path("bad.csv").unlink()
    assert score(*job) == 0
    assert Path("bad.csv").read_text() == "file,row,column,reason\n"


# --------------------------------------------------------------------------------------- overwrite


def test_an_output_is_replaced(data):
    assert score(data, "-o", "out") == 0
    Path("data/key=a/part.parquet").unlink()
    assert score(data, "-o", "out", "--overwrite", "--keep", "id", model="negative.json") == 0
    assert scores() == {"b": [-13, -12, -11], "c": [-24, -23, -22, -21]}
    assert manifest()["job"]["keep"] == ["id"]
    assert names("out") == ["key=b/part.parquet", "key=c/part.parquet"]
    assert work_left() == []


def test_overwriting_makes_what_is_not_there_and_fills_an_empty_folder(data):
    assert score(data, "-o", "new", "--overwrite") == 0
    Path("out").mkdir()
    assert score(data, "-o", "out", "--overwrite") == 0
    assert names("new") == names("out") == [f"key={key}/part.parquet" for key in KEYS]


def test_only_the_output_of_a_job_is_overwritten(data, capsys):
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("years of work")
    assert score(data, "-o", "out", "--overwrite") == 2
    assert "no job made this folder" in capsys.readouterr().err
    Path("file").write_text("more work")
    assert score(data, "-o", "file", "--overwrite") == 2
    assert "Not a directory" in capsys.readouterr().err
    assert (names("out"), Path("file").read_text()) == (["thesis.txt"], "more work")


def test_a_run_that_fails_leaves_what_it_would_have_replaced(data):
    assert score(data, "-o", "out") == 0
    write("data/key=c/part.parquet", ["text"])
    assert score(data, "-o", "out", "--overwrite", model="negative.json") == 2
    assert scores()["a"] == [1, 2]
    write("data/key=c/part.parquet", [1.0])
    assert score(data, "-o", "out", "--overwrite", "--resume", model="negative.json") == 0
    assert scores() == {"a": [-2, -1], "b": [-13, -12, -11], "c": [-1]}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"overwrite": True, "incremental": True}, "incremental"),
        ({"model_change": "keep"}, "model_change"),
        ({"incremental": True, "model_change": "burn"}, "model_change"),
        ({"incremental": "yes"}, "incremental"),
    ],
)
def test_options_that_make_no_sense(data, options, field):
    with pytest.raises(im.InstModelError) as caught:
        jobs.run(jobs.Job(im.load("model.json"), data, "out", **options))
    assert (caught.value.code, caught.value.field) == ("invalid_type", field)


@pytest.mark.parametrize("source", ["data", "data/key=a/part.parquet"])
def test_a_file_is_never_incremental(data, capsys, source):
    assert score(source, "-o", "out.csv", "--incremental") == 2
    assert "only a folder that a folder becomes can be added to" in capsys.readouterr().err
    assert score(source, "-o", "out.csv", "--overwrite") == 0


# ---------------------------------------------------------------------- where folders do not swap


def test_killed_between_two_renames_the_old_output_gives_way_to_the_new_one(data, monkeypatch):
    """Where the system exchanges no folders, there is a moment without one."""
    assert score(data, "-o", "out") == 0
    rename, steps = os.rename, []

    def stop_at_the_second(source, target):
        steps.append(target)
        if len(steps) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(local, "_renameat2", lambda: None)
        patch.setattr(local.os, "rename", stop_at_the_second)
        assert score(data, "-o", "out", "--overwrite", model="negative.json") == 130
    assert not Path("out").exists()
    write("data/key=c/part.parquet", ["text"])
    assert score(data, "-o", "out", "--overwrite", model="negative.json") == 2
    assert scores() == {"a": [-2, -1], "b": [-13, -12, -11], "c": [-24, -23, -22, -21]}
    assert {part["model"] for part in manifest()["parts"]} == {im.load("negative.json").digest}


def test_parts_that_somebody_changed_are_not_published(data, monkeypatch, capsys):
    commit = staging.Staging.commit

    def meddle(self, what):
        write(".out.instmodel-part/parts/key=a/part.parquet", [0.0])
        commit(self, what)

    monkeypatch.setattr(staging.Staging, "commit", meddle)
    assert score(data, "-o", "out") == 2
    assert "another run, or somebody, changed the parts" in capsys.readouterr().err
    assert not Path("out").exists()


def test_options_that_an_older_version_did_not_know_are_those_that_nobody_gave(data):
    assert score(data, "-o", "out") == 0
    found = manifest()
    for name in ("rename", "provenance"):
        del found["job"][name]
    Path(".out.instmodel.json").write_text(json.dumps(found))
    assert score(data, "-o", "out", "--incremental") == 0
    assert score(data, "-o", "out", "--incremental", "--with", "scored_at") == 2


def test_two_processes_at_once_never_mix(data):
    code = "import sys; from instmodel.cli import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        code,
        "score",
        "model.json",
        data,
        "-o",
        "out",
        "--incremental",
    ]
    for number in range(2):
        write("data/key=a/part.parquet", [float(number)])
        pair = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate()[1] for process in pair]
        codes = sorted(process.returncode for process in pair)
        assert codes in ([0, 0], [0, 2]), said
        assert codes == [0, 0] or any("another run is working on this" in text for text in said)
        assert scores() == {"a": [number], "b": [11, 12, 13], "c": [21, 22, 23, 24]}
        assert work_left() == []
