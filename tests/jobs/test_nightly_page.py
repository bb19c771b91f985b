"""What docs/nightly.md shows runs as it stands, from top to bottom, and two nights more."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT

from instmodel.cli import main

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")
pytest.importorskip("jinja2")

PAGE = ROOT / "docs" / "nightly.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
[RULES] = [text for kind, text in BLOCKS if kind == "yaml"]


def commands(text):
    """Run the commands of a block."""
    for line in text.replace("\\\n", "").splitlines():
        program, *arguments = shlex.split(line)
        if program == "mv":
            os.replace(*arguments)
        else:
            assert program == "instmodel"
            assert main(arguments) == 0


@pytest.fixture
def world(tmp_path, monkeypatch, capsys):
    """The names of the page's programs, and what each of three nights wrote and told."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"pipelines": [], "told": [], "metrics": []}
    [night] = [text for kind, text in BLOCKS if not kind and "instmodel score" in text]

    def score():
        capsys.readouterr()
        commands(night)
        names["told"].append(json.loads(capsys.readouterr().out))
        names["metrics"].append(Path("scores.prom").read_text("utf-8"))

    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), names)
            if "pipeline = train(" in text:
                names["pipelines"].append(names["pipeline"])
        elif text == night:
            score()
        elif not kind:
            commands(text)
    # The next customers are richer; for twenty of them, nobody knows the income.
    third = names["customers"](1_000)
    third["income"] *= 2
    third.loc[:19, "income"] = None
    names["arrive"]("2026-11-22", third)
    score()
    score()
    return names


def test_every_row_gets_the_score_of_the_pipeline_of_its_night(world):
    assert [outcome["scored_rows"] for outcome in world["told"]] == [2000, 1000, 0]
    assert [outcome["scored_bad_rows"] for outcome in world["told"]] == [0, 20, 0]
    assert len(Path("bad.csv").read_text("utf-8").splitlines()) == 1 + 20
    scores = pandas.read_parquet("scores")
    version = scores["model_version"].astype(str).to_numpy()
    assert version.tolist() == ["1"] * 2000 + ["2"] * 1000
    assert scores["model_digest"].nunique() == 2
    bad = scores["score"].isna().to_numpy()
    assert np.flatnonzero(bad).tolist() == [*range(2000, 2020)]
    rows = pandas.read_parquet("customers")[world["inputs"]]
    for pipeline, its_version in zip(world["pipelines"], ("1", "2"), strict=True):
        which = ~bad & (version == its_version)
        expected = pipeline.predict_proba(rows[which])[:, 1]
        np.testing.assert_allclose(scores["score"][which], expected, atol=1e-5)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_the_alarms_ring_for_what_they_are_for(world):
    Path("rules.yml").write_text(RULES, "utf-8")
    quiet, loud, idle = world["metrics"]
    rings(quiet, hours=25)
    rings(loud, hours=25, BadRows={}, InputsHaveShifted={"feature": "income"})
    rings(idle, hours=25, BadRows={}, InputsHaveShifted={"feature": "income"})
    rings(quiet, hours=27, NoScores={})
    rings("", hours=0, NoScores={})


def rings(metrics, hours, **alarms):
    """Hold the alarms, so many hours after the run that wrote the metrics, against their labels."""
    asked = set(re.findall(r"instmodel_\w+", RULES))
    samples = re.findall(r"^((instmodel_\w+)\{.*\}) (\S+)$", metrics, re.MULTILINE)
    started = "instmodel_last_success_timestamp_seconds"
    series = [
        # The run was at time 0, and the file says the same every hour from then on.
        {"series": which, "values": f"{0 if name == started else value}+0x30"}
        for which, name, value in samples
        if name in asked
    ]
    assert not metrics or {name for _, name, _ in samples} >= asked
    expected = [
        {
            "eval_time": f"{hours}h",
            "alertname": name,
            "exp_alerts": [{"exp_labels": {"job_name": "scores", **alarms[name]}}]
            if name in alarms
            else [],
        }
        for name in re.findall(r"alert: (\w+)", RULES)
    ]
    test = {"interval": "1h", "input_series": series, "alert_rule_test": expected}
    # JSON is YAML.
    Path("test.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
