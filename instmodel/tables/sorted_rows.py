"""The rows of a file in another order, by DuckDB: what memory does not hold waits on the disk."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.tables.cells import BadCell
from instmodel.tables.reader import Reader, Rows

# What DuckDB may hold in memory; more of a file goes to the disk.
_MEMORY = "1GB"
_MOST_ROWS = 1 << 16
_KEY, _NUMBER = "key", "number"  # what is sorted by; the other columns are c0, c1 …

Times = NDArray[np.int64]
KeyOf = Callable[[Any], Times]
"""Returns numbers that compare as the values of an Arrow array without nulls do."""


class SortedRows(Reader):
    """A file that is read to its end and sorted before it hands out its first row.

    Rows of equal keys stay in the order of the file; those without a key come first.

    Parameters
    ----------
    inner : Reader
        Reads the file; closed with this.
    order : str
        The column to sort by.
    key_of : callable
    """

    def __init__(self, inner: Reader, order: str, key_of: KeyOf) -> None:
        self._inner, self._order, self._key_of = inner, order, key_of
        self._faults: dict[int, BadCell] = {}
        self._done = 0
        self._count = 1
        self._take_over()

    def _take_over(self) -> None:
        self.schema = self._inner.schema
        self.added, self.in_folders = self._inner.added, self._inner.in_folders

    def _open(self, source: Any) -> Any:
        raise NotImplementedError  # `inner` has opened it

    def learn(self) -> bool:
        """Read the file to its end for the names and types of all columns."""
        found = self._inner.learn()
        self._take_over()
        return found

    def batches(self, names: Sequence[str], batch_rows: int | None) -> Iterator[Rows]:
        """Yield the rows, with the columns of these names in the order of `schema`."""
        import pyarrow as pa

        duckdb = require("duckdb", "duckdb")
        wanted = set(names)
        schema = pa.schema([field for field in self.schema if field.name in wanted])
        plain = [pa.field(f"c{place}", _carried(field)) for place, field in enumerate(schema)]
        carried = pa.schema([*plain, pa.field(_KEY, pa.int64()), pa.field(_NUMBER, pa.int64())])
        failures: list[BaseException] = []
        numbered = _noting(self._numbered(names, carried), failures)
        stream = pa.RecordBatchReader.from_batches(carried, numbered)
        with _reraised(failures), tempfile.TemporaryDirectory(prefix="instmodel-sort-") as folder:
            settings = {"temp_directory": folder, "memory_limit": _MEMORY}
            with contextlib.closing(duckdb.connect(":memory:", config=settings)) as connection:
                rows = connection.from_arrow(stream)
                ordered = rows.order(f"{_KEY} NULLS FIRST, {_NUMBER}")
                most = batch_rows or _MOST_ROWS
                for batch in pa.RecordBatchReader.from_stream(ordered):
                    for start in range(0, batch.num_rows, most):
                        yield self._rows(batch.slice(start, most).cast(carried), schema)

    def _numbered(self, names: Sequence[str], carried: Any) -> Iterator[Any]:
        """Yield the rows of the file with their keys, and with their numbers from 0."""
        import pyarrow as pa

        first = 0
        for rows in self._inner.batches(names, None):
            columns = rows.kept(range(len(carried) - 2))
            place = [field.name for field in self._of(names)].index(self._order)
            keys = self._keys(columns[place], first)
            numbers = pa.array(np.arange(first, first + rows.count))
            self._faults |= {first + row: fault for row, fault in rows.faults.items()}
            self._make = rows.make
            plain = [
                column if column.type == field.type else column.cast(field.type)
                for column, field in zip(columns, carried, strict=False)
            ]
            yield pa.RecordBatch.from_arrays([*plain, keys, numbers], schema=carried)
            first += rows.count
        self._count = max(first, 1)

    def _of(self, names: Sequence[str]) -> Any:
        return [field for field in self.schema if field.name in names]

    def _keys(self, column: Any, first: int) -> Any:
        """Return the keys of a column, null where it is."""
        import pyarrow as pa

        there = np.asarray(column.is_valid())
        keys = np.zeros(len(there), np.int64)
        try:
            keys[there] = self._key_of(column.filter(pa.array(there)))
        except InputError as error:
            raise error if error.row is None else error.in_row(first + error.row) from None
        return pa.array(keys, mask=~there)

    def _rows(self, batch: Any, schema: Any) -> Rows:
        import pyarrow as pa

        numbers = batch.column(_NUMBER).to_numpy()
        faults = {}
        if self._faults:
            places = enumerate(numbers.tolist())
            faults = {row: self._faults[n] for row, n in places if n in self._faults}
        columns = map(_restored, batch.columns[:-2], schema.types)
        part = pa.RecordBatch.from_arrays(list(columns), schema=schema)
        self._done += len(numbers)
        return Rows(part, self.in_folders, self._make, faults, numbers)

    def fraction(self) -> float:
        """Return how much of the file was read, and then handed out, 0 to 1."""
        return (self._inner.fraction() + self._done / self._count) / 2

    def close(self) -> None:
        """Close the file."""
        self._inner.close()


def _carried(field: Any) -> Any:
    """Return the type in which DuckDB takes a column and hands it back without a loss.

    Its times are microseconds and its floats single at the least, so these go as plain numbers.

    Raises
    ------
    InputError
        ``invalid_cell``: there is none.
    """
    import pyarrow as pa

    types, kind = pa.types, field.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_float16(kind):
        return pa.float32()
    if types.is_null(kind):
        return pa.int8()
    if types.is_time32(kind) or types.is_date32(kind):
        return pa.int32()
    if types.is_temporal(kind) and not types.is_interval(kind):
        return pa.int64()
    if not _is_held(kind):
        raise InputError(
            "invalid_cell",
            "a file with such a column cannot be sorted",
            column=field.name,
            expected="numbers, text, bytes, booleans, dates, times, or lists of the first four",
            actual=kind,
        )
    return kind


def _is_held(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_held(kind.value_type)
    if types.is_struct(kind):
        return all(_is_held(part.type) for part in kind)
    return any(
        holds(kind)
        for holds in (
            *(types.is_integer, types.is_float32, types.is_float64, types.is_decimal128),
            *(types.is_boolean, types.is_string, types.is_large_string),
            *(types.is_binary, types.is_large_binary),
        )
    )


def _restored(column: Any, kind: Any) -> Any:
    """Return a column in the type that it has in the file."""
    import pyarrow as pa

    if pa.types.is_null(kind):
        return pa.nulls(len(column))
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type).dictionary_encode().cast(kind)
    return column.cast(kind)


def _noting(batches: Iterator[Any], failures: list[BaseException]) -> Iterator[Any]:
    """Yield batches to a library that keeps but the words of an error; note the error itself."""
    try:
        yield from batches
    except (Exception, KeyboardInterrupt) as error:
        failures.append(error)
        raise


@contextlib.contextmanager
def _reraised(failures: list[BaseException]) -> Iterator[None]:
    """Let the error come out that was noted, not what a library made of it."""
    try:
        yield
    except Exception:
        if failures:
            raise failures[0] from None
        raise
