"""What lies beside an output may come from anybody: it touches nothing outside of the output."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.table_models import identity

from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

STAGING = Path(".out.instmodel-part")
MANIFEST = Path(".out.instmodel.json")


@pytest.fixture(autouse=True)
def precious(tmp_path, monkeypatch):
    """A file outside of the output ``out``, which has one part."""
    monkeypatch.chdir(tmp_path)
    identity(["a"]).info.save("model.json")
    Path("in").mkdir()
    parquet.write_table(pa.table({"a": [1.0]}), "in/part.parquet")
    assert score("--incremental") == 0
    file = tmp_path / "precious" / "file"
    file.parent.mkdir()
    file.write_text("precious")
    return file


def score(*options):
    return main(["score", "model.json", "in", "-o", "out", *options])


def change(**changes):
    """Write a manifest with another part, or with changes of the one that is there."""
    found = json.loads(MANIFEST.read_bytes())
    found["parts"].append(found["parts"][0] | changes)
    MANIFEST.write_text(json.dumps(found))


@pytest.mark.parametrize("name", ["../precious/file", "/absolute", "a/../../precious/file"])
def test_a_manifest_names_no_file_elsewhere(name, precious, capsys):
    change(part=str(precious) if name == "/absolute" else name)
    assert score("--incremental") == 2
    assert "no job made it" in capsys.readouterr().err
    assert precious.exists()


@pytest.mark.parametrize("step", ["moved", "removed"])
def test_a_commit_names_no_file_elsewhere(step, precious):
    manifest = json.loads(MANIFEST.read_bytes())
    commit = {"how": "parts", "moved": [], "removed": [], "manifest": manifest}
    (STAGING / "work").mkdir(parents=True)
    (STAGING / "parts").mkdir()
    commit[step] = ["../precious/file" if step == "removed" else str(precious)]
    (STAGING / "work" / "commit.json").write_text(json.dumps(commit))
    assert score("--incremental") == 0
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("link", [STAGING, STAGING / "other", STAGING / "parts", STAGING / "work"])
def test_links_in_the_work_are_not_followed(link, precious):
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(precious.parent, target_is_directory=True)
    assert score("--overwrite") == (2 if link == STAGING else 0)
    assert precious.exists()


def test_a_folder_of_links_is_not_empty(precious, capsys):
    Path("out/part.parquet").unlink()
    MANIFEST.unlink()
    Path("out/link").symlink_to(precious.parent, target_is_directory=True)
    assert score("--overwrite") == 2
    assert "no job made this folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"part": 5},
        {"part": "a\0b"},
        {"part": "."},
        {"stamp": None},
        {"stamp": {}},
        {"source": 5},
        {"rows": "many"},
        {"bad_rows": -1},
        {"model": None},
    ],
    ids=str,
)
def test_a_manifest_with_odd_parts_is_none(changes, capsys):
    change(**changes)
    assert score("--incremental") == 2
    assert "no job made it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        '{"version": 2, "job": [], "parts": []}',
        '{"version": 2, "job": {"format": "csv/../../x"}, "parts": []}',
        '{"version": 2, "job": {"format": "csv"}, "parts": [], "table": 5}',
        "[" * 100_000,
    ],
    ids=["job", "format", "table", "deep"],
)
def test_an_odd_manifest_is_none(text, capsys):
    MANIFEST.write_text(text)
    assert score("--incremental") == 2
    assert "no job made it" in capsys.readouterr().err


def test_links_in_a_circle_are_refused(capsys):
    for name in ("again", "once-more"):
        Path("in", name).symlink_to(".", target_is_directory=True)
    assert score("--overwrite") == 2
    assert "symbolic links" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_the_work_of_another_user_is_not_touched(precious, capsys):
    STAGING.mkdir()
    (STAGING / "parts").symlink_to(precious.parent, target_is_directory=True)
    os.chown(STAGING, 12345, -1)
    assert score("--overwrite") == 2
    assert f"{STAGING}: the folder belongs to another user" in capsys.readouterr().err
    assert (STAGING / "parts").is_symlink()
    assert [file.name for file in precious.parent.iterdir()] == ["file"]


def test_where_all_files_belong_to_one_user_work_goes_on(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(".").st_uid + 1)
    assert score("--overwrite") == 0
