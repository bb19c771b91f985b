"""Asking, finding and killing the processes that an engine started."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import instmodel as im


def threads_here():
    """How many threads this process may use, what decided that, and which process it is.

    Here, as a worker can import this module, but no file of tests.
    """
    info = im.runtime_info()
    return info["threads"], info["threads_decided_by"], os.getpid()


def descendants(root):
    """The processes below one, with their command lines."""
    parents, lines = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
                lines[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # it ended meanwhile
                continue
            parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    found = {root}
    for _ in range(20):
        found |= {child for child, parent in parents.items() if parent in found}
    return {process: lines[process].replace("\0", " ") for process in found - {root}}


class KillOne:
    """Kills one descendant of this process whose command line has a word, when told to."""

    def __init__(self, word, when):
        self._word, self._when = word, when
        self._stop = threading.Event()
        self.killed = None
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.is_set():
            if self._when():
                for process, line in sorted(descendants(os.getpid()).items()):
                    if self._word in line:
                        os.kill(process, signal.SIGKILL)
                        self.killed = process
                        return
            time.sleep(0.02)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()
