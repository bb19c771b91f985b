"""What the command line shows: tables and progress.

Rich makes tables and progress bars nicer on a terminal; without it, or when the output goes to a
file, the same comes as plain aligned text. Nothing here prints; `instmodel.cli` does.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from instmodel.errors import printable


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, styled: bool = False) -> str:
    """Format rows as a table; numbers are aligned to the right.

    Parameters
    ----------
    columns : sequence of str
        The headings.
    rows : sequence of sequences
        One cell per column; anything with a `str`.
    styled : bool
        For a terminal, if rich is installed.

    Returns
    -------
    str
        Several lines, each with its newline.
    """
    right = [
        bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        for i in range(len(columns))
    ]
    columns = [printable(name) for name in columns]
    cells = [[printable(cell) for cell in row] for row in rows]
    if styled:
        with contextlib.suppress(ImportError):
            return _rich_table(columns, cells, right)
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = []
    for row in (columns, ["-" * width for width in widths], *cells):
        parts = zip(row, widths, right, strict=True)
        line = "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in parts)
        lines.append(line.rstrip() + "\n")
    return "".join(lines)


def _rich_table(columns: Sequence[str], cells: list[list[str]], right: list[bool]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name, is_number in zip(columns, right, strict=True):
        shown.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in cells:
        shown.add_row(*map(Text, row))  # Text: brackets in names are no markup
    out = io.StringIO()
    width = shutil.get_terminal_size((100, 24)).columns
    Console(file=out, force_terminal=True, width=width).print(shown)
    return out.getvalue()


def standard_output() -> BinaryIO:
    """Return standard output for bytes that somebody wants to have.

    Raises
    ------
    OSError
        It was closed before the program started.
    """
    if sys.__stdout__ is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard output")
    return sys.stdout.buffer


@contextlib.contextmanager
def progress(label: str) -> Iterator[Callable[[float, int], None]]:
    """Show a progress bar on stderr while the block runs, if stderr is a terminal and rich is here.

    Yields
    ------
    callable
        To be called with the part that is done, 0 to 1, and the rows so far.
    """
    if not sys.stderr.isatty():
        yield lambda fraction, rows: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield lambda fraction, rows: None
        return
    parts = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(printable(label), total=1.0, rate="")

        def advance(fraction: float, rows: int) -> None:
            rate = rows / max(time.monotonic() - start, 1e-9)
            bar.update(task, completed=fraction, rate=f"{short(rate)} rows/s")

        yield advance


def short(number: float) -> str:
    """Return a rate in few characters: ``1.25M``, ``830k``."""
    return f"{number / 1e6:.2f}M" if number >= 1e6 else f"{number / 1e3:.0f}k"
