"""The program `instmodel`.

It stands outside of the package because that takes a moment to import, and whoever stops the
program meanwhile gets a line and an exit code as later on, and no traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal

INTERRUPTED = 130


def main() -> int:
    """Run the command line, see `instmodel.cli.main`."""
    # Whoever started the program may have set SIGINT to be ignored, as nohup does with SIGHUP.
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        # No exception: C code that is imported makes other errors of it. Nothing is open yet.
        signal.signal(signal.SIGINT, _stop)
    from instmodel import cli

    if usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


def _stop(number: int, frame: object) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"instmodel: error: stopped\n")
    os._exit(INTERRUPTED)
