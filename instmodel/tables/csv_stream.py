"""The bytes of a CSV file for Arrow's reader: blank lines made plain, quotes counted.

Arrow either drops blank lines or takes each for a row of nulls, also at the end of a file. Here one
is a row that cannot be scored, except at the end of the file, where it is nothing.
"""

from __future__ import annotations

import io
import re
from itertools import islice

_SPACE = b" \t\v\f\r\n"
_END = rb"(?:\r?\n|\r(?!\n))"
_BLANK_LINES = re.compile(rb"(%s)((?:[ \t\v\f]*%s)+)" % (_END, _END))
_LINE_ENDS = re.compile(_END)
# Finds them many times faster where no line ends in a carriage return alone, and may find too much.
_MAYBE_BLANK = re.compile(rb"\n[ \t\v\f\r]*\n")


class CsvStream(io.FileIO):
    """A file that is read once, from the first byte to the last.

    Parameters
    ----------
    path : str
    width : int
        Cells of a row.

    Attributes
    ----------
    quotes : int
        Double quotes that were read.
    """

    def __init__(self, path: str, width: int) -> None:
        super().__init__(path)
        self.quotes = 0
        # Empty text, which is neither a number nor a null, as an empty cell would be.
        self._blank_row = b",".join([b'""'] * width)
        self._held = b""  # what may be blank lines at the end of the file
        self._before = b""  # the line end in front of them, which was given already
        self._ready = b""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end of the file."""
        while not self._ready and (data := super().read(size)):
            self._ready = self._take(data)
        size = len(self._ready) if size is None or size < 0 else size
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def _take(self, data: bytes) -> bytes:
        """Hold back what may be the end of the file, and fill the blank lines before it."""
        given = len(self._before)
        data = self._before + self._held + data
        end = _LINE_ENDS.search(data, len(data.rstrip(_SPACE)))
        stop = end.end() if end else len(data)
        if end and stop == len(data) and data.endswith(b"\r"):  # a line feed may follow
            stop, end = end.start(), None
        self._before = b"\n" if end else b""
        data, self._held = data[:stop], data[stop:]
        bare_returns = data.count(b"\r") > data.count(b"\r\n")
        if bare_returns or _MAYBE_BLANK.search(data):
            data = self._filled(data)
        self.quotes += data.count(b'"')
        return data[given:]

    def _filled(self, data: bytes) -> bytes:
        """Put a row in each blank line that is not inside a quoted cell."""
        parts = []
        place, quotes = 0, self.quotes
        for found in _BLANK_LINES.finditer(data):
            quotes += data.count(b'"', place, found.start())
            lines = found.group()
            if quotes % 2 == 0:
                blank = len(_LINE_ENDS.findall(found.group(2)))
                lines = b"\n" + (self._blank_row + b"\n") * blank
            parts += [data[place : found.start()], lines]
            place = found.end()
        return b"".join([*parts, data[place:]])


def is_utf8(text: str) -> bool:
    """Whether text that was read with surrogates for other bytes has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def first_line_not_utf8(path: str) -> int | None:
    """Find the first line with bytes that are not UTF-8; None: there is none."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not is_utf8(line.decode("utf-8", "surrogateescape")):
                return number
    return None


def odd_lines(path: str) -> tuple[int, str]:
    """Find the first line with an odd number of quotes, and name more: cells of two lines have two.

    Returns
    -------
    int
    str
        What a message adds.
    """
    with open(path, "rb") as file:
        odd = (number for number, line in enumerate(file, 1) if line.count(b'"') % 2)
        first, *others = islice(odd, 4)
    named = ", ".join(map(str, others[:2])) + (", …" if others[2:] else "")
    return first, f", also in line {named}" if named else ""
