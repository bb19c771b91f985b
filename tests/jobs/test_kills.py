"""Jobs that are killed, at any moment and at every step, lose nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.table_models import network

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


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
            reused += "were there" in said
        found = {name: Path(out, name).read_bytes() for name in names(out)}
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


def check_steps(folder, monkeypatch, scenario, first, stride):
    """Kill a job before its change of a file number `first`, then every `stride` further on."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "support.killed_steps", scenario, str(first), str(stride)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


linux = pytest.mark.skipif(sys.platform != "linux", reason="forks, and counts what Linux does")
scenarios = pytest.mark.parametrize(
    "scenario", ["new", "incremental", "rescored", "replaced", "resumed"]
)


@linux
@scenarios
def test_killed_before_a_change_of_a_file(tmp_path, monkeypatch, scenario):
    check_steps(tmp_path / "here", monkeypatch, scenario, len(scenario), 11)


@linux
@scenarios
@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
def test_killed_before_every_change_of_a_file(tmp_path, monkeypatch, scenario):
    check_steps(tmp_path / "here", monkeypatch, scenario, 0, 1)
