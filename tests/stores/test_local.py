"""Paths and URLs, and what only files of this machine have."""

import errno
import os
import sys
from pathlib import Path

import pytest

from instmodel.errors import InputError, InstModelError, printable
from instmodel.stores import local, location


def folder_of(path, text):
    path.mkdir(parents=True)
    (path / "a").write_text(text)
    return location(path)


@pytest.mark.parametrize(
    "path", ["a.csv", "/tmp/a.csv", r"C:\data\a.csv", "C:/a.csv", "C://a.csv", "a:b", "models:/a/1"]
)
def test_paths_are_no_urls(path):
    assert str(location(path)) == str(Path(path))
    assert location(path).local == Path(path)


def test_urls_of_this_machine_are_its_paths(tmp_path):
    (tmp_path / "a b%20").write_bytes(b"here")
    place = location((tmp_path / "a b%20").as_uri())
    assert place.local == tmp_path / "a b%20"
    assert place.read_bytes() == b"here"
    assert location("file://localhost/tmp").local == Path("/tmp")
    with pytest.raises(InputError, match="another machine") as caught:
        location("file://there/tmp")
    assert caught.value.code == "invalid_type"


@pytest.mark.parametrize("url", ["s3://bucket/a", "S3://bucket/a", "abfss://a@b.net/c", "hf://a/b"])
def test_urls_are_in_stores(url):
    assert location(url).local is None
    assert str(location(url)).lower().startswith(url.partition(":")[0].lower() + "://")


def test_what_pathlib_made_of_a_url_is_refused_unless_it_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no room for a URL") as caught:
        location(Path("s3://bucket/a"), "input")
    assert (caught.value.code, caught.value.field) == ("invalid_type", "input")
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:/bucket").write_bytes(b"")
    assert location(Path("s3://bucket")).local == Path("s3:/bucket")


@pytest.mark.parametrize("wrong", [3, None, object()])
def test_what_is_no_path_is_refused(wrong):
    with pytest.raises(InstModelError) as caught:
        location(wrong, "model")
    assert (caught.value.code, caught.value.field) == ("invalid_type", "model")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ftp://me:hidden@host/a", "ftp://…@host/a"),
        ("no https://host/a?X-Amz-Signature=hidden here", "no https://host/a?… here"),
        ("s3://KEY:hid/den+=@bucket/a", "s3://…@bucket/a"),
        ("s3:/KEY:hid/den@bucket/a", "s3:/…@bucket/a"),
        ("simplecache::ftp:/me:hidden@host/a", "simplecache::ftp:/…@host/a"),
        ("ftp://me:hid@den@host/a@b", "ftp://…@host/a@b"),
        ("az://box/a?sv=1&sig=hidden, really", "az://box/a?… really"),
        ("s3://bucket/a@b?c", "s3://bucket/a@b?c"),
        ("http://host:9000/a@b", "http://host:9000/a@b"),
        ("hf://datasets/me/rows@main/a", "hf://datasets/me/rows@main/a"),
        ("models:/risk@champion", "models:/risk@champion"),
        ("me@host", "me@host"),
    ],
)
def test_no_message_shows_what_a_url_hides(text, shown):
    assert printable(text) == shown


def test_what_a_long_text_hides_is_hidden_where_it_is_cut():
    assert printable("s3://" + "KEY:" + 500 * "hidden" + "@bucket", 40) == "s3://…@bucket"
    assert "hidden" not in printable(90 * "x" + "s3://KEY:" + 500 * "hidden" + "@bucket", 120)


def test_a_url_shows_nothing_secret_as_a_text():
    place = location("ftp://me:hidden@host/a")
    assert "hidden" not in str(place) + repr(place) + str(place / "b") + str(place.parent)


@pytest.fixture(params=["in one step", "without renameat2"])
def renaming(request, monkeypatch):
    if request.param == "without renameat2":
        monkeypatch.setattr(local, "_renameat2", lambda: None)
    return request.param


def test_folders_change_places(tmp_path, renaming):
    staged, target = folder_of(tmp_path / ".staged", "new"), folder_of(tmp_path / "out", "old")
    staged.publish(target, replace=True)
    assert (target / "a").read_bytes() == b"new"
    assert (staged / "a").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == [".staged", "out"]


def test_a_file_gives_its_place_to_a_folder(tmp_path, renaming):
    staged = folder_of(tmp_path / ".staged", "new")
    (tmp_path / "out").write_bytes(b"old")
    staged.publish(location(tmp_path / "out"), replace=True)
    assert (tmp_path / "out/a").read_text() == "new"


def test_an_empty_folder_is_not_replaced_by_chance(tmp_path, renaming):
    staged = folder_of(tmp_path / ".staged", "new")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        staged.publish(location(tmp_path / "out"))


def test_a_link_stays_and_its_folder_is_replaced(tmp_path, renaming):
    staged = folder_of(tmp_path / ".staged", "new")
    folder_of(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")
    staged.publish(location(tmp_path / "link"), replace=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/a").read_text() == "new"


def test_what_a_killed_run_kept_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_renameat2", lambda: None)
    staged, target = folder_of(tmp_path / ".staged", "new"), folder_of(tmp_path / "out", "old")
    os.rename(tmp_path / "out", tmp_path / ".staged-old")  # and was killed
    staged.publish(target)
    assert os.listdir(tmp_path) == ["out"]
    assert (target / "a").read_bytes() == b"new"


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_a_folder_that_took_the_name_of_a_locked_one_is_another(tmp_path):
    folder = location(tmp_path / "work")
    with folder.locked():
        os.rename(tmp_path / "work", tmp_path / "published")
        with folder.locked():
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_a_file_system_without_locks_is_not_taken_for_another_run(tmp_path, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("instmodel.stores.local.fcntl.flock", no_locks)
    with pytest.raises(OSError, match=r"(?i)no locks") as caught, location(tmp_path).locked():
        pass
    assert caught.value.filename == str(tmp_path)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://bucket/a", "S3a://bucket/a/"),
        ("gs://bucket/a", "gcs://bucket/a"),
        ("az://box/a", "abfss://box@account.dfs.core.windows.net/a"),
    ],
)
def test_one_place_has_several_spellings(one, other):
    assert location(one).is_same(location(other))
    assert (location(one) / "b").is_inside(location(other))
    assert location(one).is_inside(location(other).parent)


@pytest.mark.parametrize("root", ["s3://bucket", "memory:///a"])
def test_above_the_first_folder_of_a_url_is_nothing(root):
    assert str(location(f"{root}/b").parent) == root
    assert str(location(root).parent) == root
