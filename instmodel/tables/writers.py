"""Write record batches into files of every format."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Self

import numpy as np

from instmodel.errors import InputError
from instmodel.tables.compression import compressing
from instmodel.tables.dictionaries import (
    WaitingRows,
    decoded,
    is_joinable,
    without_null_values,
)
from instmodel.tables.kinds import parts_of

# Rows and bytes of a Parquet row group: enough for good compression, few enough to hold.
_GROUP_ROWS = 1 << 20
_GROUP_BYTES = 64 << 20


def _fields(schema: Any, other: Any) -> str:
    """Return the columns that another schema does not have, with their types."""
    names = [f"{field.name}: {field.type}" for field in schema if field not in list(other)]
    return ", ".join(names) or "none else"


def _type(field: Any) -> str:
    """Return the name of a column's type; the numbers of a dictionary are as wide as they must."""
    import pyarrow as pa

    if pa.types.is_dictionary(field.type):
        return f"dictionary of {field.type.value_type}"
    return str(field.type)


class Writer(ABC):
    """A table that is written once, from the first row to the last, into an open file.

    As a context manager, it lets go of the file whatever happens; closing that is the caller's
    business.

    Attributes
    ----------
    dictionaries : bool
        Whether the format has them.
    """

    dictionaries = False
    _writer: Any = None  # pyarrow's

    def __init__(self, file: BinaryIO, compression: str | None = None) -> None:
        self._beside: Mapping[str, str] = {}
        self._packing = None if compression is None else compressing(file, compression)
        self._file = self._packing or file
        self._schema: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            return
        # Now: closed by the garbage collector, they would write into a closed file.
        for part in (self._writer, self._packing):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()

    def lie_beside(self, columns: Mapping[str, str]) -> None:
        """Say which `columns` the files have that this one makes a table with; nothing: any."""
        self._beside = columns

    @property
    def columns(self) -> dict[str, str]:
        """The types of the columns by name; empty for a format that has no types."""
        return {field.name: _type(field) for field in self._schema} if self.dictionaries else {}

    def begin(self, schema: Any) -> None:
        """Say what the rows from here on are like.

        Raises
        ------
        InputError
            ``invalid_table``: not as those before; ``invalid_outputs``: not for this format.
        """
        if self._schema is None:
            self._schema = schema
            self._check_beside()
            self._open()
        elif schema != self._schema:
            raise InputError(
                "invalid_table",
                "the kept columns are not those of the other files",
                expected=_fields(self._schema, schema),
                actual=_fields(schema, self._schema),
            )

    def _check_beside(self) -> None:
        own, others = self.columns, self._beside
        differ = [name for name in {**others, **own} if own.get(name) != others.get(name)]
        if own and others and differ:
            raise InputError(
                "invalid_table",
                "the columns are not those of the other parts: few programs could read the folder",
                expected=", ".join(f"{name}: {others.get(name, 'none')}" for name in differ),
                actual=", ".join(f"{name}: {own.get(name, 'none')}" for name in differ),
            )

    @abstractmethod
    def _open(self) -> None:
        """Begin the file."""

    @abstractmethod
    def write(self, batch: Any) -> None:
        """Add the rows of a record batch."""

    def finish(self) -> None:
        """Complete the file."""
        self._finish()
        if self._packing is not None:
            self._packing.close()

    def _finish(self) -> None:
        self._writer.close()


class _Parquet(Writer):
    dictionaries = True

    def _open(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fields = [field.with_type(_wide(field.type)) for field in self._schema]
        self._stored = pa.schema(fields, self._schema.metadata)
        # Dictionaries of floats hardly ever save space, and cost more than all the rest.
        others = [field.name for field in self._schema if not pa.types.is_floating(field.type)]
        self._writer = pq.ParquetWriter(self._file, self._stored, use_dictionary=others)
        self._waiting: list[Any] = []
        self._rows = self._bytes = 0

    def write(self, batch: Any) -> None:
        import pyarrow as pa

        columns = list(map(without_null_values, batch.columns))  # which Parquet does not write
        columns = [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(columns, self._stored, strict=True)
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(columns, schema=self._stored))
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            table = pa.Table.from_batches(self._waiting, self._stored)
            self._writer.write_table(table, row_group_size=self._rows)
        self._waiting = []
        self._rows = self._bytes = 0

    def _finish(self) -> None:
        self._flush()
        super()._finish()


def _wide(kind: Any) -> Any:
    """Return a type for the cells of all batches, whose dictionaries may differ."""
    import pyarrow as pa

    if not pa.types.is_dictionary(kind) or kind.index_type.bit_width >= 32:
        return kind
    return pa.dictionary(pa.int32(), kind.value_type, kind.ordered)


class _Arrow(Writer):
    dictionaries = True

    def _open(self) -> None:
        import pyarrow as pa

        # What Arrow cannot look up in a dictionary cannot be joined with others.
        fields = [
            field.with_type(field.type.value_type)
            if pa.types.is_dictionary(field.type) and not is_joinable(field.type)
            else field
            for field in self._schema
        ]
        self._plain = pa.schema(fields, self._schema.metadata)
        if any(is_joinable(field.type) for field in fields):
            self._writer = WaitingRows(self._plain)
        else:
            self._writer = pa.ipc.new_file(self._file, self._plain)

    def write(self, batch: Any) -> None:
        import pyarrow as pa

        columns = [
            column if column.type == field.type else decoded(column)
            for column, field in zip(batch.columns, self._plain, strict=True)
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._plain))

    def _finish(self) -> None:
        import pyarrow as pa

        if isinstance(self._writer, WaitingRows):
            waiting = self._writer
            rows = waiting.batches()
            with pa.ipc.new_file(self._file, waiting.schema) as writer:
                for batch in rows:
                    writer.write_batch(batch)
        self._writer.close()


class _Csv(Writer):
    def _open(self) -> None:
        import pyarrow as pa
        import pyarrow.csv as pc

        # Without a header: Arrow would put quotes around every name.
        options = pc.WriteOptions(include_header=False, quoting_style="needed")
        for field in self._schema:
            try:
                nothing = pa.RecordBatch.from_pylist([], pa.schema([field]))
                pc.write_csv(nothing, io.BytesIO(), options)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise InputError(
                    "invalid_outputs",
                    "CSV cannot hold a kept column of this type",
                    column=field.name,
                    expected="numbers, text, times or booleans",
                    actual=str(field.type),
                ) from None
        self._writer = pc.CSVWriter(self._file, self._schema, write_options=options)
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(self._schema.names)
        self._file.write(header.getvalue().encode())

    def write(self, batch: Any) -> None:
        if len(self._schema) == 1 and batch.column(0).null_count:
            self._write_one_column(batch.column(0))
        else:
            self._writer.write_batch(batch)

    def _write_one_column(self, scores: Any) -> None:
        """Write nulls as ``""``: a line without anything would be no row."""
        cells = ['""' if cell is None else cell for cell in scores.cast("string").to_pylist()]
        self._file.write("".join([cell + "\n" for cell in cells]).encode())


class _JsonLines(Writer):
    """One object a line; JSON has no NaN and no infinity, so they are null."""

    def _open(self) -> None:
        pass

    def write(self, batch: Any) -> None:
        names = batch.schema.names
        columns = [_plain(column) for column in batch.columns]
        lines = [
            json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=_as_text)
            for row in zip(*columns, strict=True)
        ]
        self._file.write("".join([line + "\n" for line in lines]).encode())

    def _finish(self) -> None:
        pass


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        raise InputError("invalid_outputs", "JSON cannot hold the bytes of a kept column")
    return str(value)


def _plain(column: Any) -> list[Any]:
    import pyarrow as pa

    cells = column.to_pylist()
    if pa.types.is_float32(column.type):
        # str() of a float32 is the shortest decimal that gives the same float32 again.
        cells = [None if cell is None else float(str(np.float32(cell))) for cell in cells]
    return [_finite(cell) for cell in cells]


def _finite(cell: Any) -> Any:
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, list | tuple):
        return [_finite(item) for item in cell]
    if isinstance(cell, dict):
        return {name: _finite(item) for name, item in cell.items()}
    return cell


_WRITERS: dict[str, Callable[[BinaryIO, str | None], Writer]] = {
    "parquet": _Parquet,
    "arrow": _Arrow,
    "csv": _Csv,
    "jsonl": _JsonLines,
}


def open_writer(kind: str, file: BinaryIO) -> Writer:
    """Return the writer of a kind, such as ``csv.gz``, into an open file."""
    form, compression = parts_of(kind)
    return _WRITERS[form](file, compression)
