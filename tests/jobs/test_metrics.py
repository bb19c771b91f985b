"""Files of metrics: what they say, and what is left of runs that write them at once."""

import dataclasses
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.paths import ROOT
from support.table_files import fails, save, score
from support.table_models import identity

import instmodel as im
from instmodel.jobs.metrics import Metrics

pa = pytest.importorskip("pyarrow")


@pytest.mark.parametrize("path", ["m.prom", "metrics/m.prom"])
def test_runs_that_end_at_once_are_all_counted(path):
    Path("metrics").mkdir()
    with ThreadPoolExecutor(4) as pool:
        saves = [pool.submit(Metrics(rows=2).save, path, {}, nth % 2 == 0) for nth in range(100)]
        for saved in saves:
            saved.result()
    text = Path(path).read_text()
    assert re.findall(r"runs_total.* (\d+)$", text, re.MULTILINE) == ["50", "50"]
    assert re.findall(r"^instmodel_rows_total.* (\d+)$", text, re.MULTILINE) == ["200"]
    assert sorted(str(path) for path in Path().rglob("*")) == sorted({"metrics", path})


def samples(name):
    """Return the values of a file of metrics by name and labels, without those of the job."""
    lines = Path(name).read_text().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert all('job_name="m"' in sample for sample in values)
    return {
        sample.replace('job_name="m",', "").replace('{job_name="m"}', ""): value
        for sample, value in values.items()
    }


STAGES = ("read", "score", "write")


def test_metrics_are_prometheus_text(model):
    save(pa.table({"a": [1.0, None, 3.0], "b": [1.0] * 3}), "in.parquet")
    options = ["--metrics", "m.prom", "--on-bad-row", "skip", "--batch-rows", 1, "--threads", 1]
    start = time.time()
    assert score(model, "in.parquet", "-o", "out.parquet", *options) == 0
    values = samples("m.prom")
    assert values["instmodel_rows_total"] == values["instmodel_last_run_rows"] == "3"
    assert values["instmodel_bad_rows_total"] == "1"
    assert values["instmodel_batch_seconds_count"] == "3"
    assert values["instmodel_threads"] == "1"
    assert values[f'instmodel_model_info{{digest="{im.load(model).info.digest()}"}}'] == "1"
    quantiles = [float(values[f'instmodel_batch_seconds{{quantile="{q}"}}']) for q in (0.5, 0.99)]
    assert 0 < quantiles[0] <= quantiles[1]
    stages = [float(values[f'instmodel_stage_seconds_total{{stage="{s}"}}']) for s in STAGES]
    assert all(0 < seconds < float(values["instmodel_seconds"]) for seconds in stages)
    ended = float(values["instmodel_last_success_timestamp_seconds"])
    assert start - 1 < ended == float(values["instmodel_last_run_timestamp_seconds"])
    helped = [line.split()[2] for line in Path("m.prom").read_text().splitlines() if "HELP" in line]
    assert len(helped) == len(set(helped)) == 20


def test_the_page_has_every_metric():
    info = identity(["a"]).info
    signature = im.Signature.from_data(info, {"a": [1.0, 2.0]})
    dataclasses.replace(info, signature=signature).save("model.json")
    save(pa.table({"a": [1.0, None]}), "in.parquet")
    options = ["-o", "out.parquet", "--metrics", "m.prom", "--on-bad-row", "null"]
    assert score("model.json", "in.parquet", *options) == 0
    written = re.findall(r"^# HELP (\w+)", Path("m.prom").read_text(), re.MULTILINE)
    page = (ROOT / "docs" / "jobs.md").read_text("utf-8")
    table = page[page.index("| metric | |") : page.index("## Sixty nights")]
    assert set(re.findall(r"instmodel_\w+", table)) == set(written)


def test_counters_go_on_and_a_failed_run_says_so(model, capsys):
    save(pa.table({"a": [1.0, None], "b": [1.0] * 2}), "in.parquet")
    options = ["in.parquet", "-o", "out.parquet", "--metrics", "m.prom"]
    for _ in range(2):
        assert score(model, *options, "--on-bad-row", "null") == 0
    before = samples("m.prom")
    assert before["instmodel_rows_total"] == "4"
    assert before["instmodel_last_run_rows"] == "2"
    fails(capsys, model, *options)
    after = samples("m.prom")
    assert after['instmodel_runs_total{result="ok"}'] == "2"
    assert after['instmodel_runs_total{result="error"}'] == "1"
    assert [before["instmodel_last_run_success"], after["instmodel_last_run_success"]] == ["1", "0"]
    kept = "instmodel_last_success_timestamp_seconds"
    assert before[kept] == after[kept]


def test_metrics_have_the_labels_that_were_asked_for(model, capsys):
    save(pa.table({"a": [1.0], "b": [1.0]}), "in.parquet")
    options = ["in.parquet", "-o", "out.parquet", "--metrics", "m.prom"]
    assert score(model, *options, "--metrics-label", 'job_name=a "b"\\') == 0
    text = Path("m.prom").read_text()
    assert 'instmodel_rows_total{job_name="a \\"b\\"\\\\"} 1' in text
    for label in ("9=x", "stage=x", "__x=y", "=x", "team"):
        assert "no such label" in fails(capsys, model, *options, "--metrics-label", label)
    twice = ["--metrics-label", "team=a", "--metrics-label", "team=b"]
    assert "two values of one label" in fails(capsys, model, *options, *twice)


def test_metrics_of_a_run_that_found_nothing(model, capsys):
    assert "gone.parquet" in fails(
        capsys, model, "gone.parquet", "-o", "out.parquet", "--metrics", "m.prom"
    )
    values = samples("m.prom")
    assert values['instmodel_batch_seconds{quantile="0.5"}'] == "NaN"
    assert values["instmodel_last_success_timestamp_seconds"] == "NaN"
