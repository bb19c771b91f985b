"""What docs/gpu.md shows runs as it stands, and does what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from support import device
from support.documents import build, dense
from support.paths import ROOT

PAGE = ROOT / "docs" / "gpu.md"


def test_the_programs_of_the_page_run(tmp_path, monkeypatch):
    device.adapter()
    blocks = re.findall(
        r"^```(python|wgsl)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert [language for language, _ in blocks] == ["python", "wgsl", "python", "python"]
    monkeypatch.chdir(tmp_path)
    Path("model.json").write_text(json.dumps(dense()), "utf-8")
    names = {}
    for language, text in blocks:
        if language == "wgsl":
            Path("step.wgsl").write_text(text, "utf-8")
        else:
            exec(compile(text, str(PAGE), "exec"), names)

    model = build(dense())
    action = model.predict(names["states"])[:, 0]
    speed = names["states"][:, 1]
    want = names["states"] + np.float32(0.1) * np.stack([speed, action], axis=1)
    np.testing.assert_allclose(names["after"], want, rtol=1e-6)
    assert np.abs(want).min(axis=0)[1] > 0.01
    device.assert_close(names["scores"], model.predict(names["rows"]))
