"""The GPU benchmark's peers compute what they claim to measure; NumPy stands in for CuPy."""

import sys

import numpy as np
import pytest
from support import device

import instmodel as im
from examples import gpu_simulation as example
from perf import gpu
from perf.networks import NETWORKS

NUMPY = gpu.array_library("NumPy", np, np.asarray, np.asarray)


@pytest.fixture(params=["NumPy", "PyTorch"])
def library(request):
    if request.param == "NumPy":
        yield NUMPY
        return
    torch = pytest.importorskip("torch", reason="PyTorch's calls are tried on the CPU")
    with torch.no_grad():  # puts back what `pytorch` changes
        yield gpu.pytorch("cpu")


@pytest.mark.parametrize("name", ["250-300-200", "64x20", "30-16-8-1"])
def test_the_peers_networks_are_ours(library, name):
    network = NETWORKS[name]
    x = network.inputs(100)
    want = im.InstructionModel(network.info).predict(x)
    np.testing.assert_allclose(gpu.make_predict(library, network)(x), want, rtol=1e-4, atol=1e-4)


def test_the_peers_simulation_is_the_examples(library):
    policy = example.make_policy(np.linspace(-1, 1, example.PARAMETERS))
    starts = example.random_starts(200, np.random.default_rng(0))
    survived = gpu.make_simulation(library, policy)(starts, 100)
    want, _ = example.run_on_cpu(policy, starts, 100)
    assert (survived == want).mean() > 0.98
    assert len(set(want.tolist())) > 2


def test_a_library_that_computes_is_found(library):
    gpu.try_out(library)
    with pytest.raises(AssertionError, match="computes"):
        gpu.try_out(library._replace(linear=lambda x, weights, bias: x))


def test_a_library_that_cannot_compute_is_left_out_with_its_reason(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    monkeypatch.setattr(gpu, "cupy_library", lambda: NUMPY._replace(upload=no_driver))
    assert list(gpu.found_libraries()) == []
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("PyTorch is left out: ModuleNotFoundError: ")
    assert told[1:] == ["CuPy is left out: RuntimeError: no CUDA driver"]


def no_driver(x):
    raise RuntimeError("no CUDA driver")


def test_without_a_gpu_the_benchmark_says_so(monkeypatch, capsys):
    def none(**options):
        raise RuntimeError("Request adapter failed")

    monkeypatch.setattr(device.wgpu.gpu, "request_adapter_sync", none, raising=False)
    monkeypatch.setattr(sys, "argv", ["perf.gpu"])
    with pytest.raises(SystemExit) as caught:
        gpu.main()
    assert caught.value.code == 1
    assert "finds no GPU" in capsys.readouterr().err


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
