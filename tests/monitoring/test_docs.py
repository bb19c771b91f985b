"""What docs/drift.md shows runs as it stands."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest
from support.paths import ROOT

from instmodel.cli import main

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("jinja2")

PAGE = ROOT / "docs" / "drift.md"


def _blocks(kind: str) -> list[str]:
    page = PAGE.read_text("utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [text for language, text in blocks if language == kind]


def test_the_programs_and_commands_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    programs = _blocks("python")
    assert len(programs) == 3
    for text in programs:
        exec(compile(text, str(PAGE), "exec"), names)
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["age", "income", "colour"]
    drift = names["drift"]
    assert drift.features[0].name == "income"
    assert drift.largest_psi > 0.25

    people, info = names["people"], names["info"]
    info.signature = None
    info.save("model.json")
    people(2000).to_parquet("train.parquet")
    people(2000).to_parquet("last_month.parquet")
    (tmp_path / "month").mkdir()
    times = np.datetime64("2026-11-01T08:00:00") + np.arange(2000) * np.timedelta64(300, "s")
    people(2000).assign(ts=pandas.to_datetime(times)).to_parquet("month/november.parquet")
    lines = [line for block in _blocks("") for line in block.splitlines()]
    ends = {}
    for line in lines:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "instmodel"
        ends[line] = main(arguments)
    assert [line for line, end in ends.items() if end] == [
        line
        for line in lines
        # The incomes of that day are out of range, and have shifted.
        if "--check-inputs error" in line or "--max-psi" in line
    ]
    assert (tmp_path / "drift.html").exists()
    assert 'instmodel_input_psi{job_name="scores",feature="age"}' in (
        tmp_path / "scores.prom"
    ).read_text("utf-8")
