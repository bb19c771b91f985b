"""What docs/gpu.md shows runs as it stands, and does what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from support import device
from support.documents import build, dense, recurrent
from support.paths import ROOT

PAGE = ROOT / "docs" / "gpu.md"


def test_the_programs_of_the_page_run(tmp_path, monkeypatch):
    device.adapter()
    blocks = re.findall(
        r"^```(python|wgsl)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert [language for language, _ in blocks] == [
        *("python", "wgsl", "python", "wgsl", "python", "python", "python")
    ]
    monkeypatch.chdir(tmp_path)
    Path("model.json").write_text(json.dumps(dense()), "utf-8")
    Path("policy.json").write_text(json.dumps(recurrent()), "utf-8")
    shaders = iter(["step.wgsl", "remember.wgsl"])
    names = {}
    for language, text in blocks:
        if language == "wgsl":
            Path(next(shaders)).write_text(text, "utf-8")
        else:
            exec(compile(text, str(PAGE), "exec"), names)

    model = build(dense())
    action = model.predict(names["states"])[:, 0]
    speed = names["states"][:, 1]
    want = names["states"] + np.float32(0.1) * np.stack([speed, action], axis=1)
    np.testing.assert_allclose(names["after"], want, rtol=1e-6)
    assert np.abs(want).min(axis=0)[1] > 0.01
    device.assert_close(names["scores"], model.predict(names["rows"]))

    policy = build(recurrent())
    world, memory = np.ones((1000, 2), np.float32), policy.initial_state(1000)
    for _ in range(20):
        action = policy.step(world, memory)[:, 0]
        world = world + np.float32(0.1) * np.stack([world[:, 1], action], axis=1)
    device.assert_close(names["worlds"], world)
    device.assert_close(names["memories"], memory)
    sequences, state = names["sequences"], policy.initial_state(3)
    for got, want in zip(
        names["outputs"], policy.predict_sequences(sequences, state=state), strict=True
    ):
        device.assert_close(got, want)
    first = [item[:5] for item in sequences]
    want = policy.predict_sequences(first, state=state, last=True)
    device.assert_close(names["tomorrow"], want)
