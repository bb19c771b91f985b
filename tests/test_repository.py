"""The repository stands alone: what it says can be read in it."""

from __future__ import annotations

import re
import subprocess
import tomllib

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


def rows_below(heading):
    """The first cell of every row of the table below a heading of README.md."""
    _, _, after = (ROOT / "README.md").read_text("utf-8").partition(f"\n## {heading}\n")
    section, _, _ = after.partition("\n## ")
    return re.findall(r"^\| (.*?) \|", section, re.MULTILINE)


def test_readme_lists_every_page():
    pages = [re.fullmatch(r"\[(.*)\]\((.*)\)", cell) for cell in rows_below("Documentation")]
    listed = [page[1] for page in pages if page]
    assert listed == [page[2] for page in pages if page]
    assert sorted(listed) == sorted(
        path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")
    )


def test_readme_lists_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for_developers = re.compile(r"test(-.*)?|lint")
    extras = {
        name for name in project["optional-dependencies"] if not for_developers.fullmatch(name)
    }
    listed = [name for cell in rows_below("Extras") for name in re.findall(r"`(\S+?)`", cell)]
    assert sorted(listed) == sorted(extras)
