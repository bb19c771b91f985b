"""The GPU benchmark's peers compute what they claim to measure; NumPy stands in for CuPy."""

import sys
from pathlib import Path

import device
import numpy as np
import pytest

import instmodel as im

# Neither benchmarks nor examples are installed with the package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples import gpu_simulation as example
from perf import gpu
from perf.networks import NETWORKS

NUMPY = gpu.array_library("NumPy", np, np.asarray, np.asarray)


@pytest.mark.parametrize("name", ["250-300-200", "64x20", "30-16-8-1"])
def test_the_peers_networks_are_ours(name):
    network = NETWORKS[name]
    x = network.inputs(100)
    want = im.InstructionModel(network.info).predict(x)
    np.testing.assert_allclose(gpu.make_predict(NUMPY, network)(x), want, rtol=1e-4, atol=1e-4)


def test_the_peers_simulation_is_the_examples():
    policy = example.make_policy(np.linspace(-1, 1, example.PARAMETERS))
    starts = example.random_starts(200, np.random.default_rng(0))
    survived = gpu.make_simulation(NUMPY, policy)(starts, 100)
    want, _ = example.run_on_cpu(policy, starts, 100)
    assert (survived == want).mean() > 0.98
    assert len(set(want.tolist())) > 2


def test_the_table(monkeypatch):
    device.adapter()
    monkeypatch.setattr(gpu, "found_libraries", lambda: [NUMPY])
    arguments = "perf.gpu --only 10-1 --episodes 128 --rounds 1 --seconds 0.01 --batches 1"
    monkeypatch.setattr(sys, "argv", arguments.split())
    lines = []
    monkeypatch.setattr("builtins.print", lambda *args, **options: lines.extend(args))
    gpu.main()
    assert [line.split(" |")[0] for line in lines if line.startswith("| ")] == [
        *("|", "| ---", "| 10-1, rows", "| cart-pole, steps")
    ]
    assert all(line.count("|") == 4 for line in lines if line.startswith("| "))
