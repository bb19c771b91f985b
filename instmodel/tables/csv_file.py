"""Read and write CSV files in batches of rows.

Design
------
A. No row is dropped or guessed. A cell that is empty or no number, a row with too few or too many
   cells and a blank line between rows are errors that name the row, the line and the column.
   ``nan`` and ``inf`` are numbers. Blank lines after the last row are ignored.
B. Two paths with one meaning. Batches of plain lines go through NumPy's C parser; whatever it or a
   quick look at the lines does not accept goes through `csv` and `float`, which either handle it
   (quotes) or say exactly what is wrong.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, count, islice
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from instmodel.base import map_keys
from instmodel.base.categories import Categories
from instmodel.errors import InputError
from instmodel.stores import AnyPath
from instmodel.tables.cells import decimal_advice, nulls_advice, unknown_category
from instmodel.tables.columns import (
    holds_numbers,
    is_infinity,
    is_number,
    match_columns,
    output_names,
    with_point,
)
from instmodel.tables.compression import bytes_read
from instmodel.tables.csv_options import is_text
from instmodel.tables.inputs import Source, single

Floats = NDArray[np.float32]

# A batch holds about this many cells, unless the caller says how many rows.
BATCH_VALUES = 1 << 18
# Longer "lines" come from files that are no CSV; 1,000,000 features fit.
_LINE_LIMIT = 1 << 25
# From here on, a number rounds to infinity in float32.
_FLOAT32_LIMIT = float(2**128 - 2**103)


class CsvReader:
    """Read a CSV file, from the first byte to the last.

    Parameters are those of `open_reader`. With `columns`, the first line is the header. Without,
    the first line is the header unless all its cells are numbers. `keys`, beside `columns`, are the
    names of columns whose text `keyed_batches` gives. `categories` has those of each of `columns`
    that holds text, None for the others.

    Attributes
    ----------
    header : list of str or None
        The column names, if the file has them.
    """

    def __init__(
        self,
        path: AnyPath | Source,
        columns: Sequence[str] | None,
        width: int,
        batch_rows: int | None = None,
        keys: Sequence[str] = (),
        key_inputs: Sequence[int] = (),
        categories: Sequence[Categories | None] = (),
    ) -> None:
        self._key_inputs = list(key_inputs)
        self._categories = {
            place: found for place, found in enumerate(categories) if found is not None
        }
        source = path if isinstance(path, Source) else single(path)
        self._path = source.path
        self._options = source.csv
        self._size = source.stamp()["size"]
        self._file: Any = source.open()
        try:
            self._open(columns, width, batch_rows)
            self._keys = match_columns(keys, self.header or [], self._path) if keys else []
        except BaseException:
            self._file.close()
            raise

    def _open(self, columns: Sequence[str] | None, width: int, batch_rows: int | None) -> None:
        self._text = self._options.text(self._file)
        self._line = self._row = 0  # lines and rows taken so far
        self._blank: int | None = None  # the first blank line
        self._lines = self._read_lines()

        first_lines: list[str] = []
        reader = self._csv(_remember(self._lines, first_lines))
        try:
            first: list[str] = next(reader, [])
        except csv.Error as error:
            raise self._error("invalid_table", str(error), line=reader.line_num) from None
        if not first_lines or not first:
            raise self._error("invalid_table", "the line is empty", "a header or numbers", line=1)
        if not all(map(is_text, first)):
            raise self._not_encoded(line=1)

        self.header: list[str] | None = first
        if columns is None and self._holds_numbers(first):
            self.header = None
            self._lines = chain(first_lines, self._lines)
        else:
            self._line = reader.line_num
        self._count = len(first)
        if columns is not None:
            self._positions = match_columns(columns, first, self._path)
        elif self._count == width:
            self._positions = list(range(width))
        else:
            raise self._error(
                "column_count_mismatch",
                "the model does not name its features, so the columns must be exactly its inputs",
                f"{width} columns",
                self._count,
            )
        self._batch_rows = batch_rows or max(1, BATCH_VALUES // self._count)

    def _csv(self, lines: Iterator[str]) -> Any:
        return csv.reader(lines, delimiter=self._options.delimiter, strict=True)

    def _holds_numbers(self, first: list[str]) -> bool:
        try:
            return holds_numbers([with_point(cell, self._options.decimal) for cell in first])
        except InputError as error:
            raise error.in_file(self._path) from None

    def batches(self) -> Iterator[Floats]:
        """Yield the rows as arrays of shape (rows, features)."""
        for values, _ in self.keyed_batches():
            yield values

    def keyed_batches(self) -> Iterator[tuple[Floats, list[list[str]]]]:
        """Yield the rows, and the text that they have in each of the columns `keys`."""
        while lines := list(islice(self._lines, self._batch_rows)):
            texts: list[list[str]] = [[] for _ in self._keys]
            values = self._plain(lines)
            if values is None:
                values = self._exact(lines, texts)
            elif self._keys:
                texts = self._cells(lines)
            self._row += len(values)
            if len(values):
                yield values, texts

    def _cells(self, lines: list[str]) -> list[list[str]]:
        """Return what plain lines hold in each of the columns `keys`, split from the nearer end."""
        left, right = max(self._keys) + 1, self._count - min(self._keys)
        mark = self._options.delimiter
        if left <= right:
            cells = [line.rstrip("\r\n").split(mark, left) for line in lines]
            return [[row[place] for row in cells] for place in self._keys]
        cells = [line.rstrip("\r\n").rsplit(mark, right) for line in lines]
        return [[row[place - self._count] for row in cells] for place in self._keys]

    def fraction(self) -> float:
        """Return how much of the file was read, 0 to 1."""
        return min(1.0, bytes_read(self._file) / self._size) if self._size else 0.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_lines(self) -> Iterator[str]:
        read = self._text.readline
        for number in count(1):
            try:
                line = read(_LINE_LIMIT)
            except UnicodeError:  # all is lost: UTF-16 without its mark
                raise self._not_encoded(line=number) from None
            if len(line) == _LINE_LIMIT:
                raise self._error("invalid_table", "too long for a CSV file", line=number)
            if not line:
                return
            yield line if number > 1 else line.removeprefix("\ufeff")

    def _plain(self, lines: list[str]) -> Floats | None:
        """Parse lines of plain numbers fast, or return None for `_exact` to look at them."""
        borders, mark = self._count - 1, self._options.delimiter
        if self._blank is not None or not all(
            line.count(mark) == borders and '"' not in line and not line.isspace() for line in lines
        ):
            return None
        if not is_text("".join(lines)):
            return None
        try:
            values = self._parsed(lines)
        except (ValueError, KeyError):
            return None
        with np.errstate(over="ignore"):
            rounded = values.astype(np.float32)
        if np.isinf(rounded).any():  # written so, or too large
            return None
        if map_keys.inexact(values[:, self._key_inputs]) is not None:
            return None
        self._line += len(lines)
        return rounded

    def _parsed(self, lines: list[str]) -> NDArray[np.float64]:
        """Return the numbers of plain lines; ValueError or KeyError where one needs a look."""
        mark = self._options.delimiter
        places = [p for p in range(len(self._positions)) if p not in self._categories]
        columns = [self._positions[place] for place in places]
        numbers = [with_point(line, self._options.decimal) for line in lines]
        load = partial(np.loadtxt, numbers, delimiter=mark, comments=None, ndmin=2)
        if not self._categories:
            return load(usecols=columns)
        values = np.empty((len(lines), len(self._positions)))
        if columns:
            values[:, places] = load(usecols=columns)
        cells = [line.rstrip("\r\n").split(mark) for line in lines]
        for place, categories in self._categories.items():
            position, codes = self._positions[place], categories.codes
            values[:, place] = [codes[row[position]] for row in cells]
        return values

    def _exact(self, lines: list[str], texts: list[list[str]]) -> Floats:
        """Parse lines with quotes or errors; a quoted cell may take more lines from the file.

        What the columns `keys` hold is added to `texts`.
        """
        reader = self._csv(chain(lines, self._lines))
        values: list[float] = []
        rows = 0
        try:
            while reader.line_num < len(lines):
                line = self._line + reader.line_num + 1
                row = next(reader)
                if not row or (len(row) == 1 and row[0].isspace()):
                    self._blank = self._blank or line
                    continue
                if self._blank is not None:
                    place = {"row": self._row + rows + 1, "line": self._blank}
                    raise self._error("invalid_table", "the line is blank", "a row", **place)
                values += self._numbers(row, self._row + rows + 1, line)
                for text, column in zip(texts, self._keys, strict=True):
                    text.append(row[column])
                rows += 1
        except csv.Error as error:
            place = {"row": self._row + rows + 1, "line": line}
            raise self._error("invalid_table", str(error), **place) from None
        self._line += reader.line_num
        return np.array(values, np.float32).reshape(rows, len(self._positions))

    def _numbers(self, cells: list[str], row: int, line: int) -> list[float]:
        if len(cells) != self._count:
            raise self._error(
                "invalid_table",
                "the row has the wrong length",
                f"{self._count} cells",
                len(cells),
                row=row,
                line=line,
            )
        if not all(map(is_text, cells)):
            raise self._not_encoded(row=row, line=line)
        numbers = []
        for place, position in enumerate(self._positions):
            cell = cells[position]
            if place in self._categories:
                numbers.append(self._code(cell, place, row, line))
                continue
            text = with_point(cell, self._options.decimal)
            try:
                number = math.nan if "_" in text else float(text)
                fits = math.isnan(number) or abs(number) < _FLOAT32_LIMIT or is_infinity(cell)
                problem = "not a number" if "_" in text else "" if fits else "too large for float32"
            except ValueError:
                problem = "not a number" if cell.strip() else "empty" + nulls_advice()
            if problem:
                message = f"the cell is {problem}{'' if is_number(text) else decimal_advice(cell)}"
                code, wanted = "invalid_cell", "a number"
            elif place in self._key_inputs and map_keys.is_inexact(number):
                code, message, wanted = "inexact_key", map_keys.MESSAGE, map_keys.EXPECTED
            else:
                numbers.append(number)
                continue
            raise self._error(
                code,
                message,
                wanted,
                repr(cell if len(cell) <= 40 else cell[:37] + "..."),
                row=row,
                column=self.header[position] if self.header else position + 1,
                line=line,
            )
        return numbers

    def _code(self, cell: str, place: int, row: int, line: int) -> float:
        """Return the number of a text, which is a category or what stands for unknown ones."""
        categories = self._categories[place]
        number = None
        if cell or cell in categories.codes:
            number = categories.codes.get(cell, categories.unknown_number)
        if number is not None:
            return number
        position = self._positions[place]
        column = self.header[position] if self.header else position + 1
        where: Any = {"row": row, "column": column, "line": line}
        if not cell:
            message = "the cell is empty" + nulls_advice()
            raise self._error("invalid_cell", message, "text or a number", "''", **where)
        problem = unknown_category(cell, categories)
        raise self._error(
            problem.code,
            problem.message + problem.advice(),
            problem.expected,
            problem.actual,
            **where,
        )

    def _not_encoded(self, **place: Any) -> InputError:
        message, expected = self._options.misfit()
        return self._error("invalid_table", message, expected, **place)

    def _error(
        self, code: str, message: str, expected: Any = None, actual: Any = None, **place: Any
    ) -> InputError:
        return InputError(code, message, file=self._path, expected=expected, actual=actual, **place)


def _remember(lines: Iterator[str], memory: list[str]) -> Iterator[str]:
    for line in lines:
        memory.append(line)
        yield line


class CsvWriter:
    """Write scores as CSV: ``score``, or ``output_0`` and on; shortest decimals that round-trip."""

    def __init__(self, file: BinaryIO, outputs: int) -> None:
        self._file = file
        self._file.write((",".join(output_names(outputs)) + "\n").encode())

    def write(self, scores: Floats) -> None:
        """Add rows, given as (rows, outputs)."""
        # str() of a float32 is the shortest decimal that gives the same float32 again.
        cells = map(str, scores.ravel())
        rows = zip(*[cells] * scores.shape[1], strict=True)
        self._file.write("".join([",".join(row) + "\n" for row in rows]).encode())

    def finish(self) -> None:
        """Do nothing: a CSV file has no end mark."""
