"""Jobs from one file to another, in every pair of formats."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.table_files import FORMATS, fails, read, save, score, table
from support.table_models import identity, network

import instmodel as im
from instmodel import jobs
from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


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


def test_a_model_without_names_is_told_in_one_line(capsys):
    identity(2).info.save("model.json")
    save(pa.table({"y": [1.0], "x": [2.0]}), "in.parquet")
    assert score("model.json", "in.parquet", "-o", "out.csv") == 0
    said = capsys.readouterr().err
    assert said.startswith("instmodel: warning: the model does not name its features: the columns")
    assert said.count("\n") == 1


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
