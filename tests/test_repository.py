"""The repository stands alone: what it says can be read in it."""

from __future__ import annotations

import re
import subprocess

import pytest
from support.paths import ROOT

# Names of pages that are not here, and paths that lead out.
OUTSIDE = re.compile(r"\b(?:SPEC|DESIGN|STYLE)\.md\b|\.\./shared\b")


def tracked_texts():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout of git")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and name != "tests/test_repository.py":
            yield name, path.read_text(encoding="utf-8", errors="ignore")


def test_no_sentence_points_outside_of_the_repository():
    found = [
        f"{name}: {match[0]}" for name, text in tracked_texts() for match in OUTSIDE.finditer(text)
    ]
    assert not found
