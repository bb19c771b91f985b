"""The bytes of a CSV file in blocks of whole rows, for Arrow to divide into cells.

Design
------
A. A file is read once, from the first byte to the last, so it may be a pipe.
B. Rows end where a line ends outside of quotes. NumPy finds the quotes; only where one of them does
   not stand at the border of a cell, they are looked at one by one. A quote that makes no sense
   ends the work: nobody knows where the row ends.
C. A blank line between rows is a row that cannot be scored. Arrow would take it for a row of nulls,
   so it gets more cells than a row has. At the end of the file it is nothing.
D. What is wrong with a row is told with the number of its line. Those are counted only in blocks
   that have such rows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import cached_property
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from instmodel.errors import InputError
from instmodel.tables.csv_options import CsvOptions, is_text

Places = NDArray[np.intp]

# Bytes that are read, and parsed, together.
_BLOCK = 4 << 20
# No row is longer; 1,000,000 features fit.
_LONGEST = 1 << 25
# Bytes at the end of a block in which its last cell most likely ends.
_TAIL = 1 << 12
_QUOTE, _RETURN, _FEED = b'"\r\n'
_END = rb"(?:\r?\n|\r(?!\n))"
_LINE_END = re.compile(_END)
# Begins the text of a row that stands for a blank line.
BLANK = "\0"


class CsvBlock:
    """Whole rows of a CSV file.

    Attributes
    ----------
    data : bytes
        UTF-8, with question marks for other bytes.
    has_quotes : bool
    """

    def __init__(self, data: bytes, quotes: Places, first_line: int) -> None:
        self._raw = data
        self._quotes = quotes
        self._first_line = first_line
        self.data = self._clean = _cleaned(data)
        self.has_quotes = bool(len(quotes))

    def lines(self) -> int:
        """Return how many lines end here."""
        data = self._raw
        feeds = data.count(b"\n")
        return feeds + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else feeds

    def not_utf8(self) -> list[int]:
        """Return the rows with other bytes, counted from 0."""
        if self._clean is self._raw:
            return []
        places = np.flatnonzero(_bytes(self._clean) != _bytes(self._raw))
        rows: list[int] = np.unique(np.searchsorted(self._row_ends, places)).tolist()
        return rows

    def line(self, row: int) -> int:
        """Return the number of the line where a row begins."""
        before = np.searchsorted(self._line_ends, self._row_ends[row - 1], "right") if row else 0
        return self._first_line + int(before)

    @cached_property
    def _line_ends(self) -> Places:
        chars = _bytes(self._raw)
        ends = chars == _FEED
        returns = chars == _RETURN
        returns[:-1] &= ~ends[1:]
        return np.flatnonzero(ends | returns)

    @cached_property
    def _row_ends(self) -> Places:
        ends = self._line_ends
        outside: Places = ends[np.searchsorted(self._quotes, ends) % 2 == 0]
        return outside


class CsvBlocks:
    """The blocks of a CSV file after its header.

    Parameters
    ----------
    file : binary file
    options : CsvOptions

    Attributes
    ----------
    header : list of str
    rows : int
        Rows of the blocks so far; who divides them into rows counts here.

    Raises
    ------
    InputError
        ``invalid_table``: no header.
    """

    def __init__(self, file: BinaryIO, options: CsvOptions) -> None:
        self._file = file
        self._options = options
        self._to_utf8 = options.to_utf8()
        self._held = b""  # read, and not given out
        self._ended = False
        self._line = 1
        self.rows = 0
        # All that may stand in a blank line.
        self._space = b" \t\v\f\r\n".replace(options.delimiter.encode(), b"")
        space = b"[" + self._space[:-2] + b"]"
        self._blank_lines = re.compile(rb"(%s)((?:%s*%s)+)" % (_END, space, _END))
        self._blank_first = re.compile(rb"%s*[\r\n]" % space)
        # Faster where no line ends in a carriage return alone, and may find too much.
        self._maybe_blank = re.compile(rb"\n[%s]*\n" % self._space.replace(b"\n", b""))
        self.header = self._read_header()
        self._blank_row = BLANK.encode() + options.delimiter.encode() * len(self.header) + b"\n"

    # ------------------------------------------------------------------------------------- header

    def _read_header(self) -> list[str]:
        self._read(_BLOCK)
        reader = csv.reader(self._lines(), delimiter=self._options.delimiter, strict=True)
        try:
            header = next(reader, None)
        except csv.Error as error:
            raise InputError("invalid_table", str(error), line=reader.line_num) from None
        if not header:
            raise InputError("invalid_table", "the file has no header")
        if not all(map(is_text, header)):
            message, expected = self._options.misfit()
            raise InputError("invalid_table", message, line=1, expected=expected)
        return header

    def _lines(self) -> Iterator[str]:
        """Yield the first lines as text."""
        while True:
            end = _LINE_END.search(self._held)
            # A line feed may follow a carriage return, and all may follow no line end.
            while (end is None or end.end() == len(self._held)) and self._read(_BLOCK):
                if len(self._held) > _LONGEST:
                    raise self._error("too long for a CSV file")
                end = _LINE_END.search(self._held)
            stop = end.end() if end else len(self._held)
            if not stop:
                return
            line, self._held = self._held[:stop], self._held[stop:]
            text = line.decode("utf-8", "surrogateescape")
            if self._line == 1:
                text = text.removeprefix("\ufeff")
            self._line += 1
            yield text

    # --------------------------------------------------------------------------------------- rows

    def __iter__(self) -> Iterator[CsvBlock]:
        while True:
            data = self._held
            quotes, stray = _cell_quotes(data, self._options.delimiter)
            fault = "the quote is not doubled in its cell, or one before it not closed"
            if stray is None and self._ended and len(quotes) % 2:
                stray, fault = int(quotes[-1]), "a quote is not closed"
            if stray is not None:
                stop = _row_end(data, quotes, stray)
            elif self._ended:
                stop = self._without_blank_end(data, len(data))
            else:
                stop = self._without_blank_end(data, _row_end(data, quotes, len(data)))
            if stop:
                yield self._block(data[:stop], quotes[: np.searchsorted(quotes, stop)])
                self._held = data[stop:]
            elif stray is not None:
                raise self._error(fault, row=self.rows + 1)
            elif self._ended:
                return
            elif len(data) > _LONGEST:
                raise self._error("too long for a CSV file", row=self.rows + 1)
            else:
                self._read(max(_BLOCK, len(data)))

    def _read(self, size: int) -> bool:
        """Read on; return whether there was more."""
        data = self._file.read(size)
        self._ended = not data
        self._held += self._to_utf8(data, self._ended)
        return not self._ended

    def _without_blank_end(self, data: bytes, stop: int) -> int:
        """Return where the line of the last cell before `stop` ends."""
        tail = data[max(0, stop - _TAIL) : stop]
        if not tail.rstrip(self._space):
            tail = data[:stop]
        cells = stop - len(tail) + len(tail.rstrip(self._space))
        end = _LINE_END.search(data, cells, stop) if cells else None
        return end.end() if end else stop if cells else 0

    def _block(self, data: bytes, quotes: Places) -> CsvBlock:
        block = CsvBlock(data, quotes, self._line)
        self._line += block.lines()
        returns = b"\r" in data and data.count(b"\r") > data.count(b"\r\n")
        if returns or self._maybe_blank.search(data) or self._blank_first.match(data):
            block.data = self._filled(block.data, quotes)
        return block

    def _filled(self, data: bytes, quotes: Places) -> bytes:
        """Put a row that is none in each blank line that is not inside a quoted cell."""
        parts, place = [], 1
        data = b"\n" + data
        for found in self._blank_lines.finditer(data):
            if np.searchsorted(quotes, found.start() - 1) % 2 == 0:
                blank = len(_LINE_END.findall(found.group(2)))
                parts += [data[place : found.end(1)], self._blank_row * blank]
                place = found.end()
        return b"".join([*parts, data[place:]])

    def _error(self, message: str, row: int | None = None) -> InputError:
        return InputError("invalid_table", message, row=row, line=self._line)


def _cleaned(data: bytes) -> bytes:
    """Return UTF-8 as it is, with a question mark for each other byte."""
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape").encode("utf-8", "replace")
    return data


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _cell_quotes(data: bytes, delimiter: str) -> tuple[Places, int | None]:
    """Return where quoted cells begin and end, in turn, and the first quote that makes no sense.

    A doubled quote counts as an end and a beginning. The first byte is outside of quotes.
    """
    if b'"' not in data:
        return np.empty(0, np.intp), None
    chars = _bytes(data)
    quotes = np.flatnonzero(chars == _QUOTE)
    borders = np.zeros(256, bool)
    borders[[_QUOTE, _RETURN, _FEED, ord(delimiter)]] = True
    # Whether each of them has a border before and behind it, as the first and the last byte have.
    before = borders[chars[quotes - 1]] | (quotes == 0)
    behind = borders[chars[(quotes + 1) % len(chars)]] | (quotes == len(chars) - 1)
    if before[0::2].all() and behind[1::2].all():
        return quotes, None
    return _one_by_one(quotes.tolist(), before.tolist(), behind.tolist())


def _one_by_one(
    quotes: list[int], before: list[bool], behind: list[bool]
) -> tuple[Places, int | None]:
    """Leave out the quotes inside of cells that are not quoted, as in ``5" pipe``."""
    found: list[int] = []
    inside = False
    last = -2
    for place, begins, ends in zip(quotes, before, behind, strict=True):
        if inside:
            if not ends:
                return np.array(found, np.intp), place
            inside = False
            found.append(place)
        elif last == place - 1:  # after another one: doubled, if that one ended a cell
            inside = bool(found) and found[-1] == last
            if inside:
                found.append(place)
        elif begins:
            inside = True
            found.append(place)
        last = place
    return np.array(found, np.intp), None


def _row_end(data: bytes, quotes: Places, stop: int) -> int:
    """Return where the last row ends that ends before `stop`; 0: none does."""
    while True:
        # At the very end, a line feed may follow.
        returned = data.rfind(b"\r", 0, min(stop, len(data) - 1))
        end = max(data.rfind(b"\n", 0, stop), returned) + 1
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            return end
        stop = int(quotes[before - 1])
