"""Read files of every format with Arrow, in batches of rows, only the columns that are needed.

A reader knows the names and types of all columns before the first row, and holds one batch.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

from instmodel.errors import InputError, InstModelError
from instmodel.tables.arrow import arrow_column, text_column
from instmodel.tables.binding import Slot
from instmodel.tables.cells import Column, ObjectColumn
from instmodel.tables.columns import holds_numbers
from instmodel.tables.csv_stream import CsvStream, odd_lines
from instmodel.tables.inputs import Source
from instmodel.tables.scoring import Chunk

# A batch holds about this many values, unless the caller says how many rows.
_BATCH_VALUES = 1 << 21
_MOST_ROWS = 1 << 16
# Bytes of CSV that are parsed together.
_CSV_BLOCK = 4 << 20
# What Parquet reads of a column at a time.
_PARQUET_BUFFER = 1 << 18

# What Arrow raises for cells of several types, integers beyond 64 bits, and halves of surrogate
# pairs; its own errors are of these types.
_UNFIT = (ValueError, TypeError, OverflowError)

ColumnMaker = Callable[[Slot, Any, int], Column]


class Rows:
    """Some rows of a file: an Arrow batch, and how its columns are read."""

    def __init__(self, batch: Any, make: ColumnMaker = arrow_column) -> None:
        self.batch = batch
        self.count: int = batch.num_rows
        self._make = make

    def chunk(self, slots: Sequence[Slot], first_row: int) -> Chunk:
        """Return the model's columns."""
        columns = [self._make(s, self.batch.column(s.position), first_row) for s in slots]
        return Chunk(self.count, columns)

    def cells(self, position: int) -> Any:
        """Return a column as the file has it: an Arrow array, or a list of what JSON holds."""
        return self.batch.column(position)

    def kept(self, positions: Sequence[int]) -> list[Any]:
        """Return Arrow arrays of other columns."""
        return [self.batch.column(position) for position in positions]


class Reader(ABC):
    """A file that is read once, from the first row to the last.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of all columns, those of the partition at the end.
    """

    schema: Any

    def __init__(self, source: Source) -> None:
        import pyarrow as pa

        own = self._open(source.path)
        names = [name for name in source.partition if name not in own.names]
        self._added = {name: source.partition[name] for name in names}
        fields = [pa.field(name, value.type) for name, value in self._added.items()]
        self.schema = pa.schema([*own, *fields])

    @abstractmethod
    def _open(self, path: str) -> Any:
        """Open the file, and return its schema."""

    @abstractmethod
    def batches(self, names: Sequence[str], batch_rows: int | None) -> Iterator[Rows]:
        """Yield the rows, with the columns of these names in the order of `schema`."""

    @abstractmethod
    def fraction(self) -> float:
        """Return how much of the file was read, 0 to 1."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


class _Batched(Reader):
    """A file that pyarrow reads in batches of its own size."""

    def batches(self, names: Sequence[str], batch_rows: int | None) -> Iterator[Rows]:
        import pyarrow as pa

        added = [self._added[name] for name in self._added if name in names]
        own = [name for name in names if name not in self._added]
        most = batch_rows or max(1024, min(_MOST_ROWS, _BATCH_VALUES // (len(names) or 1)))
        schema = pa.schema([field for field in self.schema if field.name in names])
        for batch in self._batches(own, most):
            for start in range(0, batch.num_rows, most):
                part = batch.slice(start, most)
                constant = [pa.repeat(value, part.num_rows) for value in added]
                arrays = [*part.columns, *constant]
                yield self._rows(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _rows(self, batch: Any) -> Rows:
        return Rows(batch)

    @abstractmethod
    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        """Yield record batches of the columns of these names, in the file's order."""


class _Parquet(_Batched):
    def _open(self, path: str) -> Any:
        import pyarrow.parquet as pq

        # Without pre_buffer, no more than a page of each column is in memory.
        self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_PARQUET_BUFFER)
        self._rows_total = self._file.metadata.num_rows
        self._done = 0
        return self._file.schema_arrow

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        for batch in self._file.iter_batches(rows, columns=list(names)):
            self._done += batch.num_rows
            yield batch

    def fraction(self) -> float:
        return self._done / self._rows_total if self._rows_total else 1.0

    def close(self) -> None:
        self._file.close()


class _Arrow(_Batched):
    """Arrow IPC: the file format, which is also Feather's second version, or a stream."""

    def _open(self, path: str) -> Any:
        import pyarrow as pa

        self._source = pa.memory_map(path)
        try:
            magic = self._source.read(6)
            self._source.seek(0)
            self._is_file = magic == b"ARROW1"
            opened = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
            self._reader = opened(self._source)
        except BaseException:
            self._source.close()
            raise
        self._done = 0.0
        return self._reader.schema

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        wanted = [field.name for field in self._reader.schema if field.name in names]
        if self._is_file:
            count = self._reader.num_record_batches
            for index in range(count):
                self._done = index / count
                yield self._reader.get_batch(index).select(wanted)
        else:
            for batch in self._reader:
                self._done = self._source.tell() / self._source.size()
                yield batch.select(wanted)

    def fraction(self) -> float:
        return self._done

    def close(self) -> None:
        self._source.close()


class _Text(Reader):
    """A format that is read from an open file."""

    _file: BinaryIO | io.FileIO
    _size: int

    def fraction(self) -> float:
        return min(1.0, self._file.tell() / self._size) if self._size else 1.0

    def close(self) -> None:
        self._file.close()


class _Csv(_Text, _Batched):
    """CSV: UTF-8, commas, a header; cells are text until a column of numbers is wanted."""

    _file: CsvStream

    def _open(self, path: str) -> Any:
        import pyarrow as pa

        self._path = path
        header = _csv_header(path)
        self._size = os.path.getsize(path)
        self._file = CsvStream(path, len(header))
        return pa.schema([(name, pa.string()) for name in header])

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.csv as pc

        wanted = [field.name for field in self.schema if field.name in names]
        options = {
            "read_options": pc.ReadOptions(block_size=_CSV_BLOCK),
            "parse_options": pc.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            "convert_options": pc.ConvertOptions(
                column_types=dict.fromkeys(self.schema.names, pa.string()),
                include_columns=[name for name in wanted if name not in self._added],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        }
        with pc.open_csv(self._file, **options) as reader:
            yield from reader
        if self._file.quotes % 2:
            # Arrow takes all that follows such a quote for its cell: the rows would be lost.
            first, others = odd_lines(self._path)
            raise InputError(
                "invalid_table",
                "an odd number of quotes: one is not closed, or not doubled inside a cell",
                line=first,
                expected='an even number, also in each line, as in "5"" pipe"',
                actual="an odd number" + others,
            )

    def _rows(self, batch: Any) -> Rows:
        return Rows(batch, text_column)


def _csv_header(path: str) -> list[str]:
    # What comes after the header is read here, too: its bytes are not the header's fault.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            header = next(reader, None)
        except csv.Error as error:
            raise InputError("invalid_table", str(error), line=reader.line_num) from None
    if not header:
        raise InputError("invalid_table", "the file has no header")
    if any("\ud800" <= c <= "\udfff" for name in header for c in name):
        raise InputError("invalid_table", "the column names are not UTF-8", line=1)
    return header


class _JsonLines(_Text):
    """One JSON object a line. A key that a line does not have is null."""

    def _open(self, path: str) -> Any:
        import pyarrow as pa

        self._size = os.path.getsize(path)
        self._file = open(path, "rb")  # noqa: SIM115 closed by `close`
        self._line = 0
        try:
            self._first = self._read(_MOST_ROWS // 16)
        except BaseException:
            self._file.close()
            raise
        names = dict.fromkeys(name for row in self._first for name in row)
        return pa.schema([(name, _json_type(self._first, name)) for name in names])

    def _read(self, count: int) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        for line in islice(self._file, count):
            self._line += 1
            try:
                row = json.loads(line.rstrip(b"\r\n"), parse_float=_json_number)
            except json.JSONDecodeError as error:
                raise self._error(f"not JSON: {error.msg}", column=error.colno) from None
            except (ValueError, RecursionError) as error:
                raise self._error(f"not JSON: {error}") from None
            if not isinstance(row, dict):
                raise self._error("not a JSON object")
            rows.append(row)
        return rows

    def _error(self, message: str, column: int | None = None) -> InputError:
        return InputError("invalid_table", message, line=self._line, column=column)

    def batches(self, names: Sequence[str], batch_rows: int | None) -> Iterator[Rows]:
        import pyarrow as pa

        schema = pa.schema([field for field in self.schema if field.name in names])
        most = batch_rows or _MOST_ROWS // 16
        rows, self._first = self._first, []
        while rows or (rows := self._read(most)):
            for start in range(0, len(rows), most):
                yield _JsonRows(rows[start : start + most], schema, self._added)
            rows = []


def _json_number(text: str) -> float | Decimal:
    """Read a JSON number: what float64 cannot hold must not become infinity."""
    number = float(text)
    return number if math.isfinite(number) else Decimal(text)


def _json_type(rows: list[Mapping[str, Any]], name: str) -> Any:
    import pyarrow as pa

    try:
        return pa.array([row.get(name) for row in rows]).type
    except _UNFIT:  # of several types: no column to keep, but one may score it
        return pa.null()


class _JsonRows(Rows):
    def __init__(
        self, rows: Sequence[Mapping[str, Any]], schema: Any, added: Mapping[str, Any]
    ) -> None:
        self.count = len(rows)
        self._lines = rows
        self._schema = schema
        self._added = {name: value.as_py() for name, value in added.items()}

    def cells(self, position: int) -> Any:
        return self._cells(self._schema.names[position])

    def _cells(self, name: str) -> list[Any]:
        default = self._added.get(name)
        return [row.get(name, default) for row in self._lines]

    def chunk(self, slots: Sequence[Slot], first_row: int) -> Chunk:
        columns = [ObjectColumn(s, self._cells(self._schema.names[s.position])) for s in slots]
        return Chunk(self.count, columns)

    def kept(self, positions: Sequence[int]) -> list[Any]:
        import pyarrow as pa

        fields = [self._schema.field(position) for position in positions]
        try:
            return [pa.array(self._cells(field.name), field.type) for field in fields]
        except _UNFIT as error:
            raise InputError(
                "invalid_table", f"Arrow has no one type for a kept column: {error}"
            ) from None


_READERS: dict[str, Callable[[Source], Reader]] = {
    "parquet": _Parquet,
    "arrow": _Arrow,
    "csv": _Csv,
    "jsonl": _JsonLines,
}


def open_reader(source: Source, by_position: bool = False) -> Reader:
    """Open a file.

    Parameters
    ----------
    source : Source
    by_position : bool
        Whether columns count by position: then any names do, and a CSV file without a header would
        lose its first row. So numbers in its first line are an error.

    Raises
    ------
    InputError
        ``invalid_table``: it is not of its format, or has no header.
    OSError
    """
    if by_position and source.format == "csv" and holds_numbers(_csv_header(source.path)):
        raise InputError(
            "invalid_table",
            "numbers where the column names should be; put a line of names before them",
            line=1,
        )
    return _READERS[source.format](source)


@contextlib.contextmanager
def reading(source: Source) -> Iterator[None]:
    """Name the file in errors that do not, and turn those of Arrow into ``invalid_table``."""
    import pyarrow as pa

    try:
        yield
    except InstModelError as error:
        raise error if error.file else error.in_file(source.path) from None
    except (
        *(pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError),
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk
            raise
        raise InputError("invalid_table", str(error), file=source.path) from None
