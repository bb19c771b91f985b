"""A file appears whole or not at all, and a killed program leaves nothing for ever."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from instmodel.base import atomic

WRITE = """
import os, sys, signal
from instmodel.base import atomic
if sys.argv[2] == "named":
    atomic._open_nameless = lambda folder: None
with atomic.replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    if sys.argv[3] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("waiting", flush=True)
    input()
"""


@pytest.fixture(params=["nameless", "named"])
def way(request, monkeypatch, tmp_path):
    """Run a test with files that have no name, and as where there are none."""
    atomic._sweep.cache_clear()
    if request.param == "named":
        monkeypatch.setattr(atomic, "_open_nameless", lambda folder: None)
    elif (descriptor := atomic._open_nameless(tmp_path)) is None:
        pytest.skip("no files without a name here")
    else:
        os.close(descriptor)
    return request.param


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_replaces_and_keeps_permissions(way, tmp_path):
    target = tmp_path / "out"
    target.write_text("old")
    target.chmod(0o640)
    with atomic.replacing(target) as file:
        file.write(b"new")
        assert target.read_text() == "old"
        assert names(tmp_path) == ["out"] or way == "named"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["out"]


def test_a_new_file_has_the_usual_permissions(way, tmp_path):
    with atomic.replacing(tmp_path / "out") as file:
        file.write(b"new")
    (tmp_path / "usual").write_text("")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_error_leaves_the_old_file_and_nothing_else(way, tmp_path):
    target = tmp_path / "out"
    target.write_text("old")

    def stopped():
        with atomic.replacing(target) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("place", "error"), [("", IsADirectoryError), ("nowhere/out", FileNotFoundError)]
)
def test_what_cannot_be_replaced_is_an_error_with_its_name(way, tmp_path, place, error):
    with pytest.raises(error) as caught, atomic.replacing(tmp_path / place):
        pass
    assert str(caught.value.filename) == str(tmp_path / place)


@pytest.mark.skipif(os.name == "nt", reason="no signals")
def test_a_killed_program_leaves_nothing_that_the_next_one_does_not_remove(way, tmp_path):
    command = [sys.executable, "-c", WRITE, str(tmp_path / "out"), way, "kill"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == (0 if way == "nameless" else 1)
    with atomic.replacing(tmp_path / "out") as file:
        file.write(b"whole")
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(os.name == "nt", reason="no locks")
def test_what_a_living_program_writes_stays(way, tmp_path):
    command = [sys.executable, "-c", WRITE, str(tmp_path / "out"), way, "wait"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "waiting\n"
        with atomic.replacing(tmp_path / "beside") as file:
            file.write(b"whole")
        other.communicate("\n")
    assert names(tmp_path) == ["beside", "out"]
    assert (tmp_path / "out").read_bytes() == b"half"
