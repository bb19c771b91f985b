"""The commands with URLs."""

import contextlib
import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from support.commands import identity

from instmodel.cli import main
from instmodel.stores import location

pytest.importorskip("s3fs")


@pytest.fixture
def files(bucket):
    """A model in a bucket, and a table beside it with recorded scores."""
    put(f"{bucket}/model.json", json.dumps(identity(["a", "b"], 2)).encode())
    put(f"{bucket}/rows.csv", b"a,b,pa,pb\n1,2,1,2\n3,4,3,4\n")
    return bucket


def put(place, data):
    with location(place).replacing() as file:
        file.write(data)


def test_a_model_is_inspected_and_converted(files, capsys):
    assert main(["convert", f"{files}/model.json", f"{files}/model.instmodel"]) == 0
    assert main(["inspect", f"{files}/model.instmodel"]) == 0
    assert "DOT" in capsys.readouterr().out
    assert main(["convert", f"{files}/model.instmodel", f"{files}/again.json"]) == 0
    again = json.loads(location(f"{files}/again.json").read_bytes())
    assert again["weights"] == [np.eye(2).tolist()]


def test_recorded_scores_are_verified_and_the_record_holds(files, capsys):
    arguments = ["--data", f"{files}/rows.csv", "--expected", "pa,pb"]
    arguments += ["--record", f"{files}/signed/record.json"]
    assert main(["verify", f"{files}/model.json", *arguments]) == 0
    record = json.loads(location(f"{files}/signed/record.json").read_bytes())
    assert record["files"]["data"]["path"] == f"{files}/rows.csv"
    assert main(["record", "check", f"{files}/signed/record.json"]) == 0
    put(f"{files}/rows.csv", b"a,b,pa,pb\n1,2,1,2\n")
    capsys.readouterr()
    assert main(["record", "check", f"{files}/signed/record.json"]) == 1
    assert f"{files}/rows.csv has changed" in capsys.readouterr().out


def test_limits_and_columns_of_unnamed_models_are_read(files):
    put(f"{files}/unnamed.json", json.dumps(identity(size=2)).encode())
    put(f"{files}/limits.toml", b"[max]\n'outputs.max_ulp' = 0\n")
    arguments = ["--data", f"{files}/rows.csv", "--expected", "pa,pb"]
    arguments += ["--limits", f"{files}/limits.toml"]
    assert main(["verify", f"{files}/unnamed.json", *arguments]) == 0


def test_models_are_compared(files, capsys):
    pytest.importorskip("sklearn")
    put(f"{files}/new.json", json.dumps(identity(["a", "b"], 2) | {"bias": [[1, 0]]}).encode())
    assert (
        main(["compare", f"{files}/model.json", f"{files}/new.json", "--data", f"{files}/rows.csv"])
        == 0
    )
    assert "2 rows" in capsys.readouterr().out


def test_a_report_goes_to_a_store(files):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    arguments = ["--data", f"{files}/rows.csv", "--report", f"{files}/page.html"]
    assert main(["verify", f"{files}/model.json", *arguments]) == 0
    assert location(f"{files}/page.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_errors_name_urls_as_they_are_and_show_no_secrets(files, capsys):
    assert main(["inspect", f"{files}/none.json"]) == 2
    assert f"error: {files}/none.json: No such file or directory" in capsys.readouterr().err
    assert main(["inspect", "ftpx://me:hidden@host/model.json"]) == 2
    said = capsys.readouterr().err
    assert "ftpx://…@host/model.json" in said
    assert "hidden" not in said


@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:hidden@bucket/rows.csv",
        "s3://KEY:of/hidden@bucket/rows.csv",
        "s3:/KEY:of/hidden@bucket/rows.csv",
        "gs://me:hidden@bucket/rows.csv",
        "ftp://me:hidden@127.0.0.1:9/rows.csv",
        "nope://me:hidden@host/rows.csv?sig=hidden",
        "az://box/rows.csv?sig=hidden",
    ],
)
def test_nothing_secret_is_printed_or_written(url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("model.json").write_text(json.dumps(identity(["a", "b"], 2)))
    Path("rows.csv").write_text("a,b\n1,2\n")
    where = [url, "-o", "out.csv"], ["rows.csv", "-o", url]
    for arguments in where:
        asked = ["score", "model.json", *arguments, "--json", "--keep", "a", "--metrics", "m.prom"]
        assert main(asked) == 2
        said = capsys.readouterr()
        assert "hidden" not in said.out + said.err + Path("m.prom").read_text()
        assert json.loads(said.out)["status"] == "error"


@contextlib.contextmanager
def web_server(folder):
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_signed_url_tells_the_format_and_leaves_no_signature_behind(
    tmp_path, monkeypatch, capsys
):
    pytest.importorskip("aiohttp")
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    Path("web").mkdir()
    Path("model.json").write_text(json.dumps(identity(["a", "b"], 2)))
    Path("web/rows.csv").write_text("a,b,pa,pb\n1,2,1,2\nx,4,3,4\n")
    with web_server("web") as server:
        url = f"{server}/rows.csv?X-Amz-Signature=hidden"
        out = ["-o", "out.csv", "--bad-rows", "bad.csv", "--on-bad-row", "skip", "--json"]
        assert main(["score", "model.json", url, *out]) == 0
        Path("web/rows.csv").write_text("a,b,pa,pb\n1,2,1,2\n")
        told = ["--data", url, "--expected", "pa,pb", "--record", "record.json"]
        assert main(["verify", "model.json", *told]) == 0
    said = capsys.readouterr()
    written = "".join(Path(name).read_text() for name in ("bad.csv", "record.json"))
    assert "rows.csv,2,a," in written
    assert "hidden" not in said.out + said.err + written
