"""What the packages of a store promise: retries, errors that say what to do, nothing half."""

import http.client
import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from instmodel.errors import InputError
from instmodel.stores import location

pytest.importorskip("s3fs")

MANY = os.urandom(1 << 20) * 20  # more than two parts of a multipart upload


def write(place, data):
    with place.replacing() as file:
        file.write(data)


def uploads(bucket):
    """The multipart uploads that are under way."""
    import s3fs

    found = s3fs.S3FileSystem().call_s3("list_multipart_uploads", Bucket=bucket[5:])
    return found.get("Uploads", [])


def times(number, what, method, part=""):
    """Do `what` to the first requests of a method whose path has a part."""
    left = [number]

    def before(asked, path):
        if asked == method and part in path and left[0]:
            left[0] -= 1
            return what
        return None

    return before


@pytest.mark.parametrize("what", [500, 503, "drop"])
def test_reading_goes_on_after_a_fault(bucket, proxy, what):
    place = location(bucket) / "a"
    write(place, MANY)
    proxy.before = times(2, what, "GET", "/a")
    assert place.read_bytes() == MANY


@pytest.mark.parametrize("what", [500, 503, "drop"])
@pytest.mark.parametrize("data", [b"small", MANY], ids=["one request", "in parts"])
def test_writing_goes_on_after_a_fault(bucket, proxy, what, data):
    place = location(bucket) / "a"
    proxy.before = times(2, what, "PUT", "/a")
    write(place, data)
    assert place.read_bytes() == data
    assert uploads(bucket) == []


def test_a_file_in_parts_appears_at_the_end(bucket, proxy, s3_server):
    place = location(bucket) / "a"
    seen = []

    def before(method, path):
        if method in ("PUT", "POST"):
            server = http.client.HTTPConnection(urlsplit(s3_server).netloc)
            server.request("HEAD", f"/{bucket[5:]}/a")
            seen.append(server.getresponse().status)
            server.close()

    proxy.before = before
    write(place, MANY)
    assert len(seen) >= 5  # begin, three parts, complete
    assert set(seen) == {404}
    assert place.exists()


CODE_WRITE = """
import sys
from instmodel.stores import location
with location(sys.argv[1]).replacing() as file:
    file.write(bytes(20 << 20))
"""


@pytest.mark.parametrize("at", ["?uploads", "partNumber=1", "partNumber=3", "?uploadId"])
def test_a_writer_that_is_killed_leaves_what_was_there(bucket, proxy, at):
    old, new = location(bucket) / "old", location(bucket) / "new"
    write(old, b"before")
    for place in (old, new):
        writers = []

        def kill(method, path, writers=writers):
            if at in path and writers:
                writers[0].kill()
                writers[0].wait()
                return 500

        writer = subprocess.Popen([sys.executable, "-c", CODE_WRITE, str(place)])
        writers.append(writer)
        proxy.before = kill
        assert writer.wait() == -signal.SIGKILL
        proxy.before = lambda method, path: None
    assert old.read_bytes() == b"before"
    assert [file.name for file in location(bucket).files(hidden=True)] == ["old"]


def test_a_part_that_fails_for_good_leaves_nothing(bucket, proxy):
    place = location(bucket) / "a"
    proxy.before = times(10**6, 400, "PUT", "partNumber=2")
    with pytest.raises(OSError, match=r"400|Bad") as caught:
        write(place, MANY)
    assert caught.value.filename == str(place)
    proxy.before = lambda method, path: None
    assert not place.exists()
    assert uploads(bucket) == []


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(bucket):
    place = location(bucket) / "a"
    write(place, MANY)
    file = place.open()
    file.read(10)
    write(place, MANY[::-1])
    file.seek(15 << 20)
    with pytest.raises(OSError, match="replaced while it was read") as caught:
        file.read(10)
    assert caught.value.filename == str(place)
    with pytest.raises(OSError, match="replaced while it was read"):
        file.close()


def test_a_file_that_is_replaced_after_its_last_byte_was_read_is_an_error_as_well(bucket):
    place = location(bucket) / "a"
    write(place, b"one")
    file = place.open()
    assert file.read() == b"one"
    write(place, b"two")
    with pytest.raises(OSError, match="replaced while it was read"):
        file.close()
    assert file.closed


def test_empty_objects_that_stand_for_folders_are_no_files(bucket):
    folder = location(bucket) / "in"
    for name, data in (("day", b""), ("day/a", b"rows"), ("none", b"")):
        write(folder / name, data)
    assert [file.relative_to(folder) for file in folder.files()] == ["day/a", "none"]


def test_what_is_missing_is_named(bucket):
    with pytest.raises(FileNotFoundError, match="No such file") as caught:
        (location(bucket) / "none").read_bytes()
    assert caught.value.filename == f"{bucket}/none"
    place = location("s3://nowhere-here/a/b")
    for fails in (place.read_bytes, place.check_writable):
        with pytest.raises(FileNotFoundError, match="bucket s3://nowhere-here is not") as caught:
            fails()
        assert caught.value.filename == "s3://nowhere-here/a/b"
    with pytest.raises(FileNotFoundError, match="bucket"):
        write(location("s3://nowhere-here/a"), b"some")


@pytest.mark.parametrize("answer", [None, 404], ids=["as it is", "when asked for itself: none"])
def test_an_empty_bucket_is_there(bucket, proxy, answer):
    # s3fs of 2025 says that there is none; the newer one, if its question is answered so.
    proxy.before = times(10**6, answer, "HEAD")
    place = location(bucket)
    assert place.exists()
    assert place.is_folder()
    assert place.files() == []
    (place / "a").check_writable()


def test_no_credentials_are_an_error_that_says_who_looks_for_them(bucket, monkeypatch):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    s3fs.S3FileSystem.clear_instance_cache()
    place = location(bucket) / "a"
    for fails in (place.read_bytes, place.check_writable, lambda: write(place, b"")):
        with pytest.raises(PermissionError, match=r"(?i)credentials.*s3fs") as caught:
            fails()
        assert caught.value.filename == str(place)


def test_refused_credentials_are_an_error_that_shows_none(bucket, proxy):
    proxy.before = lambda method, path: 403
    place = location(bucket) / "a"
    for fails in (place.read_bytes, lambda: write(place, b"some")):
        with pytest.raises(PermissionError, match="s3fs") as caught:
            fails()
        assert caught.value.filename == str(place)
        assert "test-secret" not in str(caught.value)
    place.check_writable()  # who may not look may still be allowed to write


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(Exception, match=r"instmodel-inference\[s3\]") as caught:
        location("s3://bucket/a").read_bytes()
    assert caught.value.code == "missing_package"
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(Exception, match=r"instmodel-inference\[gcs\]"):
        location("gs://bucket/a").exists()


def test_a_scheme_that_nobody_knows_is_named():
    with pytest.raises(InputError, match="ssh3") as caught:
        location("ssh3://bucket/a").exists()
    assert caught.value.code == "invalid_type"
    assert "s3://" in caught.value.expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_has_connections_of_its_own(bucket):
    place = location(bucket) / "a"
    write(place, b"some")  # the loop of fsspec runs now
    child = os.fork()
    if not child:
        try:
            done = place.read_bytes() == b"some"
            write(location(bucket) / "b", b"child")
        finally:
            os._exit(0 if done else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (location(bucket) / "b").read_bytes() == b"child"
