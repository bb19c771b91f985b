"""The copy on this machine that is uploaded."""

import errno
import os
import tempfile

import pytest

from instmodel.stores import location, remote

pytest.importorskip("fsspec")


@pytest.fixture
def place():
    yield location("memory://spool/a")
    location("memory://spool").remove_tree()


def test_where_no_file_can_be_without_a_name_it_has_one_that_goes(place, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(remote, "_DESCRIPTORS", "/nowhere")
    with place.replacing() as file:
        file.write(b"some")
        assert len(os.listdir(tmp_path)) == 1
    assert place.read_bytes() == b"some"
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="files have names here")
def test_the_copy_has_no_name(place, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with place.replacing() as file:
        file.write(b"some")
        assert os.listdir(tmp_path) == []
    assert place.read_bytes() == b"some"


def test_a_full_disk_is_told_by_where_it_is(place):
    with pytest.raises(OSError, match="No space") as caught, place.replacing():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == f"memory://spool/a (its copy in {tempfile.gettempdir()})"
    assert not place.exists()
