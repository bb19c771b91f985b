"""The page on sequences says what is so."""

from __future__ import annotations

import re

import pytest
from support.paths import ROOT

pytest.importorskip("pyarrow")

PAGE = ROOT / "docs" / "sequences.md"


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "monday.parquet").exists()
