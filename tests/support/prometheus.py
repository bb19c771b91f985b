"""A node exporter and a Prometheus of this machine, which read the metrics that jobs write."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

EXPORTER, PROMETHEUS = "prometheus-node-exporter", "prometheus"
INSTALLED = all(shutil.which(program) for program in (EXPORTER, PROMETHEUS))
# Seconds in which a scrape must show what a file says.
PATIENCE = 60

_CONFIGURATION = """
global: {{scrape_interval: 200ms}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["{target}"]}}]
"""


class Monitor:
    """Asks a Prometheus.

    Parameters
    ----------
    url : str
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def value(self, query: str) -> float | None:
        """Return the one number that a query gives now; None if it gives none."""
        asked = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"{self._url}/api/v1/query?{asked}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        assert len(found) <= 1, (query, found)
        return float(found[0]["value"][1]) if found else None

    def wait(self, query: str, value: float) -> None:
        """Wait until a query gives a number."""
        deadline = time.monotonic() + PATIENCE
        found = None
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError):  # it is starting
                found = self.value(query)
                if found == value:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{query} is {found}, not {value}")


@contextlib.contextmanager
def monitoring(metrics: Path, work: Path) -> Iterator[Monitor]:
    """Let a node exporter show the metrics in a folder, and a Prometheus scrape it."""
    exporter, prometheus = _address(), _address()
    configuration = work / "prometheus.yml"
    configuration.write_text(_CONFIGURATION.format(target=exporter))
    commands = [
        [
            *(EXPORTER, "--collector.disable-defaults", "--collector.textfile"),
            *(f"--collector.textfile.directory={metrics}", f"--web.listen-address={exporter}"),
        ],
        [
            *(PROMETHEUS, f"--config.file={configuration}", f"--web.listen-address={prometheus}"),
            f"--storage.tsdb.path={work / 'prometheus'}",
        ],
    ]
    with contextlib.ExitStack() as stack:
        for command in commands:
            stack.callback(_end, subprocess.Popen(command, stderr=subprocess.DEVNULL))
        monitor = Monitor(f"http://{prometheus}")
        monitor.wait("up", 1.0)
        yield monitor


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    process.wait(timeout=PATIENCE)


def _address() -> str:
    """Return an address that is free."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listening.getsockname()[1]}"
