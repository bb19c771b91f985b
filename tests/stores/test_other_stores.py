"""Google's and Azure's packages, before servers that answer what those services do."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from instmodel.stores import location

fsspec = pytest.importorskip("fsspec")

KEY = "c2VjcmV0"  # of nothing
EMPTY = {
    "gs": json.dumps({"kind": "storage#objects", "items": []}),
    "az": '<?xml version="1.0"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>',
}
# What Azure calls them, without which its package makes nothing of them.
CODES = {403: "AuthorizationPermissionMismatch", 404: "ContainerNotFound"}


@pytest.fixture(params=["gs", "az"])
def store(request, monkeypatch):
    """A store, and the answers of its server: to questions for a bucket, and for a list of it."""
    # gcsfs would ask with gRPC what kind of bucket it is.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    pytest.importorskip({"gs": "gcsfs", "az": "adlfs"}[request.param])
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            lists = "/o?" in self.path or "comp=list" in self.path
            status = answers["list" if lists else "bucket"]
            text = EMPTY[request.param] if lists and status == 200 else "{}"
            self.send_response(status)
            if status in CODES:
                self.send_header("x-ms-error-code", CODES[status])
            self.send_header("Content-Type", "application/xml" if "<" in text else "text/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(text.encode())

        do_HEAD = do_GET

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    options = {
        "gs": {"endpoint_url": url, "token": "anon", "project": "p"},
        "az": {
            "connection_string": f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={KEY};"
            f"BlobEndpoint={url}/a;"
        },
    }
    monkeypatch.setitem(fsspec.config.conf, request.param, options[request.param])
    yield location(f"{request.param}://place"), answers
    fsspec.get_filesystem_class(request.param).clear_instance_cache()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_bucket_that_is_not_there_is_named(store):
    place, answers = store
    answers.update(bucket=404, list=404)
    assert not place.exists()
    with pytest.raises(FileNotFoundError, match=rf"(bucket|container) {place} is not there"):
        (place / "a").check_writable()


def test_a_bucket_that_nobody_may_look_at_is_there_if_it_can_be_listed(store):
    place, answers = store
    answers.update(bucket=403, list=200)
    (place / "a").check_writable()


def test_who_may_not_look_may_still_be_allowed_to_write(store):
    place, answers = store
    answers.update(bucket=403, list=403)
    (place / "a").check_writable()
    with pytest.raises(PermissionError, match="the credentials are those that"):
        place.exists()
