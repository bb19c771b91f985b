"""An S3 server on this machine, and a proxy before it that breaks what it is told to."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Start moto's server, and yield its URL."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def serving_apart() -> Iterator[str]:
    """Start the server in a process of its own, and yield its URL.

    Libraries that wait for an answer without letting other threads run would wait for ever.
    """
    code = (
        "import sys; from support.s3 import serving\n"
        "with serving() as url: print(url, flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()  # closes its input, which ends it


def environment(url: str) -> dict[str, str]:
    """Return the variables by which a process finds the server at a URL."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Proxy:
    """Hands requests on to a server.

    Attributes
    ----------
    url : str
    before : callable
        Is told the method and the path of each request, and returns None, a status to answer with
        instead of the server, or ``"drop"`` to break the connection in the middle of the answer.
    requests : list of (str, str)
    received : int
        Bytes of the bodies of answers.
    """

    def __init__(self, server: str) -> None:
        self.before: Callable[[str, str], int | str | None] = lambda method, path: None
        self.requests: list[tuple[str, str]] = []
        self.received = 0
        proxy, host = self, urlsplit(server).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.requests.append((self.command, self.path))
                wanted = proxy.before(self.command, self.path)
                if isinstance(wanted, int):
                    self.answer(wanted, [], b"")
                    return
                with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
                    connection.request(self.command, self.path, body, dict(self.headers.items()))
                    response = connection.getresponse()
                    data = response.read()
                self.answer(response.status, response.getheaders(), data, drop=wanted == "drop")

            def answer(
                self, status: int, headers: list[tuple[str, str]], data: bytes, drop: bool = False
            ) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                length = dict(headers).get("Content-Length", "0")
                self.send_header("Content-Length", length if not data else str(len(data)))
                self.end_headers()
                sent = data[: len(data) // 2] if drop else data
                if self.command != "HEAD":
                    self.wfile.write(sent)
                    proxy.received += len(sent)
                if drop:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, address: object) -> None:
                pass  # a client that was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
