"""The benchmarks of tables and jobs run; what they measure is not tested."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.paths import ROOT


def run(module, *arguments):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_tables():
    for module in ("pyarrow", "pandas", "polars", "duckdb"):
        pytest.importorskip(module)
    said = run("perf.tables", "--rows", 1000, "--seconds", 0.01)
    assert said.count("Polars  ") == 2
    assert "a column of text adds" in said
    assert "scored and counted" in said
    assert "predict_one, 30 features" in said
    said = run("perf.tables", "--chunks", 50, "--seconds", 0.01)
    assert said.count(" rows each, ") == 6


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it")
def test_jobs(tmp_path):
    pytest.importorskip("pyarrow")
    said = run("perf.jobs", "--rows", 2000, "--rounds", 1, "--folder", tmp_path)
    assert said.count("of the same without a model") == 3
