"""`instmodel bench` runs what it says it runs; how fast is nobody's promise."""

import json

import numpy as np
import pytest
from support.paths import SHIPPED

from instmodel.cli import main

MODEL = str(SHIPPED / "breast_cancer_network.json")
FEW = ["--rows", "200", "--seconds", "0.01", "--threads", "2"]


def test_figures_for_each_thread_count_and_batch(capsys):
    assert main(["bench", MODEL, *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    lines = [(item["threads"], item["batch_rows"]) for item in found["throughput"]]
    assert lines == [(1, 100), (1, 200), (2, 100), (2, 200)]
    assert all(item["rows_per_second"] > 0 for item in found["throughput"])
    latency = list(found["latency_us"].values())
    assert list(found["latency_us"]) == ["p50", "p90", "p99", "p99.9"]
    assert latency == sorted(latency)
    assert main(["bench", MODEL, *FEW]) == 0
    assert "rows a second" in capsys.readouterr().out
    assert main(["bench", MODEL, *FEW, "--rows", "2000"]) == 0
    assert "2,000" in capsys.readouterr().out


def test_rows_of_a_table(tmp_path, capsys):
    np.save(tmp_path / "rows.npy", np.ones((70, 30), np.float32))
    arguments = ["bench", MODEL, *FEW, "--data", str(tmp_path / "rows.npy"), "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert {item["batch_rows"] for item in found["throughput"]} == {70}
    np.save(tmp_path / "rows.npy", np.ones((0, 30), np.float32))
    assert main(arguments) == 2
    assert "no rows" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "x"])
def test_no_time_is_no_measurement(wrong, capsys):
    assert main(["bench", MODEL, "--seconds", wrong]) == 2
    assert "seconds" in capsys.readouterr().err
