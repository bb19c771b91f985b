"""What a run tells other programs: JSON, exit codes, metrics of runs that fail early."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.paths import ROOT
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

KEYS = [
    *("status", "error", "rows", "bad_rows", "parts"),
    *("added_rows", "added_bad_rows", "added_parts", "scored_rows", "scored_bad_rows"),
    *("bad_rows_by_reason", "scored_parts", "reused_parts", "removed_parts", "scored_at"),
    *("seconds", "model_digest", "model_version", "inputs", "table", "output_version"),
    *("repeated", "sequences", "outputs"),
]


@pytest.fixture(autouse=True)
def _files():
    identity(["a"]).info.save("model.json")
    for name, values in (("1", [1.0, None, 1e300]), ("2", [3.0])):
        Path("data").mkdir(exist_ok=True)
        parquet.write_table(pa.table({"a": values}), f"data/{name}.parquet")


def run(capsys, *arguments):
    """Return the exit code, the JSON and what else was said."""
    code = main(["score", "model.json", *map(str, arguments), "--json"])
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert list(found) == KEYS
    return code, found, said.err


def test_the_page_has_every_key():
    page = (ROOT / "docs" / "jobs.md").read_text("utf-8")
    table = page[page.index("| key | |") :]
    cells = [line.split("|")[1] for line in table[: table.index("```")].splitlines() if "|" in line]
    assert sorted(re.findall("`(.*?)`", "".join(cells))) == sorted(KEYS)


def test_a_folder(capsys):
    job = ["data", "-o", "out", "--on-bad-row", "skip", "--incremental", "--metrics", "m.prom"]
    code, found, said = run(capsys, *job)
    assert (code, found["status"], found["error"]) == (0, "ok", None)
    assert said == "2 rows scored, 2 bad left out: out\n"
    assert (found["rows"], found["bad_rows"], found["parts"]) == (4, 2, 2)
    assert found["bad_rows_by_reason"] == {"invalid_cell": 1, "null_value": 1}
    assert found["model_digest"] == im.load("model.json").digest
    assert found["outputs"] == {
        "scores": "out",
        "bad_rows": None,
        "metrics": "m.prom",
        "states": None,
        "manifest": ".out.instmodel.json",
    }
    Path("data/1.parquet").unlink()
    parquet.write_table(pa.table({"a": [5.0]}), "data/3.parquet")
    _, found, _ = run(capsys, *job)
    assert (found["rows"], found["bad_rows"], found["scored_rows"]) == (2, 0, 1)
    counts = [found[f"{how}_parts"] for how in ("scored", "reused", "removed")]
    assert counts == [1, 1, 1]
    assert found["bad_rows_by_reason"] == {}


def test_a_file(capsys):
    code, found, _ = run(capsys, "data/2.parquet", "-o", "out.csv", "--bad-rows", "bad.csv")
    assert (code, found["rows"], found["parts"], found["scored_parts"]) == (0, 1, 1, 1)
    assert found["outputs"]["manifest"] is None
    assert found["outputs"]["bad_rows"] == "bad.csv"


def test_a_run_that_fails_says_why_and_where(capsys):
    code, found, said = run(capsys, "data", "-o", "out")
    assert (code, found["status"]) == (2, "error")
    error = found["error"]
    assert error["code"] == "null_value"
    assert (error["file"], error["row"], error["column"]) == ("data/1.parquet", 2, "a")
    assert error["columns"] == []
    assert said == f"instmodel: error: {error['message']}\n"
    assert found["outputs"]["scores"] == "out"


def test_all_missing_columns_are_told(capsys):
    names = [f"f{number}" for number in range(30)]
    identity(names).info.save("model.json")
    _, found, said = run(capsys, "data", "-o", "out")
    assert "and 10 more: missing" in said  # a message lists the first ones alone
    assert found["error"]["columns"] == names


@pytest.mark.parametrize(
    ("arguments", "code", "file"),
    [
        (["gone.parquet", "-o", "out.parquet"], "os_error", "gone.parquet"),
        (["data", "-o", "data/out"], "invalid_table", "data/out"),
        (["data", "-o", "out", "--outputs", "a,b"], "invalid_outputs", "data/1.parquet"),
    ],
)
def test_errors_before_the_first_row(capsys, arguments, code, file):
    exit_code, found, _ = run(capsys, *arguments)
    assert (exit_code, found["error"]["code"], found["error"]["file"]) == (2, code, file)
    assert found["rows"] == found["scored_rows"] == 0


def test_a_model_that_cannot_be_loaded(capsys):
    Path("model.json").write_text("{}")
    options = ["--metrics", "m.prom", "--metrics-label", "team=risk"]
    code, found, _ = run(capsys, "data", "-o", "out", *options)
    assert (code, found["model_digest"], found["outputs"]) == (2, None, None)
    text = Path("m.prom").read_text()
    assert 'instmodel_last_run_success{job_name="m",team="risk"} 0' in text
    assert 'instmodel_runs_total{job_name="m",team="risk",result="error"} 1' in text


def test_ctrl_c_is_told(capsys, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt(143)

    monkeypatch.setattr(jobs, "run", stop)
    code, found, said = run(capsys, "data", "-o", "out")
    assert (code, found["error"]["code"]) == (143, "stopped")
    assert said == f"instmodel: error: {found['error']['message']}\n"


def test_scores_and_json_do_not_mix(capsys):
    assert main(["score", "model.json", "data", "-o", "-", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "the scores go to standard output" in said.err


def test_metrics_tell_what_the_output_holds_and_why_rows_are_bad(capsys):
    job = ["data", "-o", "out", "--incremental", "--metrics", "m.prom", "--on-bad-row"]
    assert run(capsys, *job, "null")[0] == 0
    sample = 'instmodel_{}{{job_name="m"{}}} {}\n'.format
    text = Path("m.prom").read_text()
    for reason in ("null_value", "invalid_cell"):
        assert sample("bad_rows_by_reason_total", f',reason="{reason}"', 1) in text
    assert sample("output_rows", "", 4) in text
    assert sample("last_run_parts", ',how="scored"', 2) in text
    parquet.write_table(pa.table({"a": ["text"]}), "data/3.parquet")
    assert run(capsys, *job, "null")[0] == 2
    text = Path("m.prom").read_text()
    assert sample("last_run_success", "", 0) in text
    assert sample("output_rows", "", 4) in text
    assert sample("bad_rows_by_reason_total", ',reason="null_value"', 1) in text
    assert sample("last_run_parts", ',how="reused"', 2) in text


def test_a_job_that_makes_no_sense_is_in_the_metrics_too():
    model = im.load("model.json")
    with pytest.raises(im.InstModelError):
        jobs.run(jobs.Job(model, "data", "out", threads=0, metrics="m.prom"))
    assert 'instmodel_last_run_success{job_name="m"} 0' in Path("m.prom").read_text()
    Path("m.prom").unlink()
    with pytest.raises(im.InstModelError, match="the metrics is also the input"):
        jobs.run(jobs.Job(model, "data/2.parquet", "out.csv", metrics="data/2.parquet"))
    assert parquet.read_table("data/2.parquet").num_rows == 1
