"""The benchmark of `verify` and `compare` runs; what it measures is not tested."""

import subprocess
import sys

import pytest
from support.paths import ROOT


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it")
def test_the_benchmark_runs_every_command_on_both_sizes(tmp_path):
    for module in ("onnx", "onnxruntime", "pyarrow", "sklearn"):
        pytest.importorskip(module)
    command = [sys.executable, "-m", "perf.verify", "--rows", "3000", "--folder", str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = said.splitlines()[1:]
    assert [line.split()[-3] for line in lines] == ["300"] * 5 + ["3000"] * 5
    assert {line.split()[0] for line in lines} == {"verify", "compare"}
