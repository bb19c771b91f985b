"""Read files of every format with Arrow, in batches of rows, only the columns that are needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from instmodel.errors import InputError, InstModelError
from instmodel.tables.compression import spooled
from instmodel.tables.csv_table import CsvTable
from instmodel.tables.inputs import Source
from instmodel.tables.json_lines import JsonLines
from instmodel.tables.reader import BATCH_BYTES, BatchedReader, Reader

# What Parquet reads of a column at a time.
_PARQUET_BUFFER = 1 << 18
# Bytes of row groups, all columns of them, that are asked of a store at once.
_AHEAD = 16 << 20


def _arrow_file(source: Source, mapped: bool = False) -> Any:
    """Open a file for Arrow, which asks for the bytes that it needs."""
    import pyarrow as pa

    local = source.location.local
    if source.once:
        return pa.PythonFile(spooled(source.open()), "r")
    if local is None:
        return pa.PythonFile(source.location.open(0), "r")
    return pa.memory_map(str(local)) if mapped else pa.OSFile(str(local))


class Parquet(BatchedReader):
    """Parquet, of which only the columns that are needed are read."""

    def _open(self, source: Source) -> Any:
        import pyarrow.parquet as pq

        self._is_local = source.location.local is not None
        self._source = _arrow_file(source)
        try:
            # On a disk no more than a page of each column is in memory. A store is asked for what
            # lies together at once: each question takes long.
            buffer = _PARQUET_BUFFER if self._is_local else 0
            self._file = pq.ParquetFile(
                self._source, pre_buffer=not self._is_local, buffer_size=buffer
            )
        except BaseException:
            self._source.close()
            raise
        self._rows_total = self._file.metadata.num_rows
        self._done = 0
        return self._file.schema_arrow

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        for groups in self._groups():
            for batch in self._file.iter_batches(rows, groups, columns=list(names)):
                self._done += batch.num_rows
                # A name is a path to Parquet: `user.age` is also in a struct `user`.
                yield batch.select(list(names))

    def _most_rows(self, names: Sequence[str]) -> int:
        """Return fewer rows where they are large."""
        most = super()._most_rows(names)
        wanted = set(names)
        metadata = self._file.metadata
        for index in range(metadata.num_row_groups):
            group = metadata.row_group(index)
            # To look at each column takes long where there are many: first at all of them together.
            if group.num_rows and group.total_byte_size / group.num_rows * most > BATCH_BYTES:
                size = sum(
                    column.total_uncompressed_size
                    for column in map(group.column, range(group.num_columns))
                    if _is_below(column.path_in_schema, wanted)
                )
                most = min(most, max(1, int(BATCH_BYTES * group.num_rows // max(1, size))))
        return most

    def _groups(self) -> Iterator[list[int]]:
        """Yield the row groups that are read together: what is read ahead stays in memory."""
        metadata = self._file.metadata
        groups: list[int] = []
        size = 0
        for group in range(metadata.num_row_groups):
            groups.append(group)
            size += metadata.row_group(group).total_byte_size
            if size > _AHEAD and not self._is_local:
                yield groups
                groups, size = [], 0
        if groups:
            yield groups

    def fraction(self) -> float:
        """Return how much of the file was read, 0 to 1."""
        return self._done / self._rows_total if self._rows_total else 1.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._source.close()


def _is_below(path: str, names: Collection[str]) -> bool:
    """Tell whether what Parquet stores is a column of one of these names, or a part of one."""
    parts = path.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts) + 1))


class _Arrow(BatchedReader):
    """Arrow IPC: the file format, which is also Feather's second version, or a stream."""

    def _open(self, source: Source) -> Any:
        self._source = _arrow_file(source, mapped=True)
        try:
            self._is_file = self._source.read(6) == b"ARROW1"
            schema = self._reader().schema
        except BaseException:
            self._source.close()
            raise
        self._done = 0.0
        return schema

    def _reader(self, places: Sequence[int] | None = None) -> Any:
        """Return a reader from the start that decodes the columns at these places, or all."""
        import pyarrow as pa

        self._source.seek(0)
        options = pa.ipc.IpcReadOptions(included_fields=places)
        opened = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
        return opened(self._source, options=options)

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        wanted = [name for name in self.schema.names if name in names]
        # One at least, for the number of rows: an empty list would stand for all.
        reader = self._reader([self.schema.names.index(name) for name in wanted] or [0])
        if self._is_file:
            count = reader.num_record_batches
            for index in range(count):
                self._done = index / count
                yield reader.get_batch(index).select(wanted)
        else:
            for batch in reader:
                self._done = self._source.tell() / self._source.size()
                yield batch.select(wanted)

    def fraction(self) -> float:
        return self._done

    def close(self) -> None:
        self._source.close()


class _ArrowPipe(BatchedReader):
    """A stream of Arrow IPC that is read as it comes; all of its columns are decoded."""

    def _open(self, source: Source) -> Any:
        import pyarrow as pa

        file: Any = source.open()
        self._file = file
        try:
            if file.peek(1)[:1] == b"A":
                raise InputError(
                    "invalid_table",
                    "Arrow's file format cannot be read from a pipe",
                    expected="Arrow's stream format",
                    actual="ARROW1",
                )
            self._stream = pa.ipc.open_stream(self._file)
        except BaseException:
            self._file.close()
            raise
        return self._stream.schema

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        wanted = [name for name in self.schema.names if name in names]
        for batch in self._stream:
            yield batch.select(wanted)

    def fraction(self) -> float:
        return 0.0

    def close(self) -> None:
        self._file.close()


def _arrow(source: Source) -> Reader:
    return _ArrowPipe(source) if source.once else _Arrow(source)


_READERS: dict[str, Callable[[Source], Reader]] = {
    "parquet": Parquet,
    "arrow": _arrow,
    "csv": CsvTable,
    "jsonl": JsonLines,
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
    reader = (source.opener or _READERS[source.format])(source)
    try:
        if by_position and isinstance(reader, CsvTable):
            reader.check_names()
    except BaseException:
        reader.close()
        raise
    return reader


@contextlib.contextmanager
def reading(source: Source) -> Iterator[None]:
    """Name the file in errors that do not, and turn those of Arrow into ``invalid_table``."""
    import pyarrow as pa

    try:
        yield
    except InstModelError as error:
        if error.file:
            raise
        raise error.in_file(source.path) from error.__cause__
    except (
        *(pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError),
        UnicodeDecodeError,  # of the names in a damaged file
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk
            raise
        raise InputError("invalid_table", str(error), file=source.path) from None
