"""The example simulation learns, and runs the same on GPU and CPU."""

import sys

import pytest
from support import device
from support.paths import EXAMPLES

pytest.importorskip("matplotlib", reason="the example draws with it")
sys.path.insert(0, str(EXAMPLES))

import gpu_simulation


def test_the_example_learns_and_agrees_with_the_cpu(tmp_path, capsys):
    device.adapter()
    output = tmp_path / "simulation.png"
    found = gpu_simulation.main(
        f"--generations 9 --episodes 500 --steps 200 --output {output}".split()
    )
    assert found["first"] < 40
    assert found["steps"] > 150
    assert found["distance"] < 1e-3
    assert found["same"] > 0.98
    assert output.read_bytes().startswith(b"\x89PNG")
    assert "same length" in capsys.readouterr().out


def test_steps_that_no_dispatch_ends_with(capsys):
    with pytest.raises(SystemExit):
        gpu_simulation.main(["--steps", "75"])
    assert "multiple of 50" in capsys.readouterr().err
