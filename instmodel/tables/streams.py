"""Arrow record batches of tables of any library: only the columns that are wanted, in large chunks.

Design
------
A. What a library hands out as Arrow data may have columns that Arrow has no type for. So names come
   first, and a library is asked for the columns of some names only.
B. What is done for each chunk takes as long as hundreds of rows. So small ones are joined, some
   thousand rows at a time; large ones stay where they are.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from instmodel.base.extras import require
from instmodel.errors import InputError

# Rows of a chunk that is worth its own work.
_ENOUGH_ROWS = 1 << 13
# Rows below which the chunks of a column are copied all at once, which is fastest. Arrow takes half
# a kilobyte for a chunk, so that the copy is no larger than the table.
_TINY_ROWS = 128


class Batches(NamedTuple):
    """Record batches of one schema."""

    schema: Any
    items: Iterator[Any]


class Stream(NamedTuple):
    """A table that is read at most once.

    Attributes
    ----------
    header : list of str
    read : callable
        Takes positions of columns, ascending, and returns the batches of these columns.
    """

    header: list[str]
    read: Callable[[Sequence[int]], Batches]


def is_arrow(table: Any) -> bool:
    """Return whether an object hands out Arrow data (the PyCapsule interface)."""
    return hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__")


def open_stream(table: Any, join: bool = True) -> Stream:
    """Return the columns of anything with the PyCapsule interface.

    Parameters
    ----------
    table : table
    join : bool
        Whether small batches become larger ones: what comes slowly should not wait for more.

    Raises
    ------
    InstModelError
        ``missing_package`` without pyarrow; ``invalid_table`` for what is not a table.
    """
    pa = require("pyarrow", "arrow")
    if isinstance(table, pa.Table):

        def of_table(places: Sequence[int]) -> Batches:
            narrow = table.select(list(places))
            items = _of_table(narrow) if join else iter(narrow.to_batches())
            return Batches(narrow.schema, items)

        return Stream(table.column_names, of_table)
    if is_a(table, "polars", "DataFrame"):
        return Stream(table.columns, lambda places: _of_polars(table[:, list(places)], join))
    if is_a(table, "duckdb", "DuckDBPyRelation") and _are_distinct(table.columns):
        return Stream(table.columns, lambda places: _of_relation(table, places, join))
    with _readable():
        if not hasattr(table, "__arrow_c_stream__"):
            batch = pa.record_batch(table)

            def of_batch(places: Sequence[int]) -> Batches:
                narrow = batch.select(list(places))
                return Batches(narrow.schema, iter([narrow]))

            return Stream(batch.schema.names, of_batch)
        reader = pa.RecordBatchReader.from_stream(table)
    return Stream(reader.schema.names, lambda places: _of_reader(reader, places, join))


def is_a(value: Any, module: str, name: str) -> bool:
    """Return whether a value is of a class of a module, which is not imported for that."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def one_array(values: Any) -> Any:
    """Return one Arrow array of anything that hands out Arrow arrays."""
    pa = require("pyarrow", "arrow")
    if is_a(values, "polars", "Series"):
        values = _exportable(values.to_frame("column")).to_series()
    if hasattr(values, "__arrow_c_stream__"):
        column = pa.chunked_array(values)
        # Arrow fails to combine an empty slice that came through a stream.
        full = [chunk for chunk in column.chunks if len(chunk)]
        return pa.chunked_array(full, column.type).combine_chunks()
    return pa.array(values)


def _read(reader: Any) -> Iterator[Any]:
    while True:
        with _readable():
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise InputError("invalid_table", "not a table that Arrow can read", actual=error) from None


def _of_polars(frame: Any, join: bool) -> Batches:
    frame = _exportable(frame)
    if join and frame.height < max(frame.n_chunks("all"), default=0) * _TINY_ROWS:
        frame = frame.rechunk()
    return _of_capsule(frame, join)


def _exportable(frame: Any) -> Any:
    """Return a Polars frame of types that Arrow has, too."""
    import polars as pl

    wide = [getattr(pl, name) for name in ("Int128", "UInt128") if hasattr(pl, name)]

    def known(kind: Any) -> Any:
        # All integers go through float64 that NumPy has no type for.
        if kind in wide:
            return pl.Float64()
        if isinstance(kind, pl.List):
            return pl.List(known(kind.inner))
        return pl.Array(known(kind.inner), kind.size) if isinstance(kind, pl.Array) else kind

    changed = {}
    for name, kind in frame.schema.items():
        if kind == pl.Object:  # handed out as the addresses of the objects
            raise InputError(
                "invalid_cell", "the column is of the wrong type", column=name, actual="Object"
            )
        if known(kind) != kind:
            changed[name] = known(kind)
    return frame.cast(changed) if changed else frame


def _are_distinct(names: Sequence[str]) -> bool:
    return len({name.lower() for name in names}) == len(names)


def _of_relation(relation: Any, places: Sequence[int], join: bool) -> Batches:
    names = [relation.columns[place].replace('"', '""') for place in places]
    return _of_capsule(relation.project(", ".join(f'"{name}"' for name in names)), join)


def _of_capsule(table: Any, join: bool) -> Batches:
    import pyarrow as pa

    with _readable():
        reader = pa.RecordBatchReader.from_stream(table)
    return _of_reader(reader, range(len(reader.schema)), join)


def _of_reader(reader: Any, places: Sequence[int], join: bool) -> Batches:
    import pyarrow as pa

    narrow = (batch.select(list(places)) for batch in _read(reader))
    schema = pa.schema([reader.schema.field(place) for place in places])
    return Batches(schema, joined(narrow) if join else narrow)


# ------------------------------------------------------------------------------------ small chunks


def joined(batches: Iterable[Any], enough_bytes: int | None = None) -> Iterator[Any]:
    """Yield record batches with the small ones joined, as they come; then what ended them early.

    `enough_bytes` is for rows that may be large: as many are worth their own work, however few rows
    they are. To weigh a batch takes some time.
    """
    import pyarrow as pa

    small: list[Any] = []
    rows = size = 0
    items = iter(batches)
    failure: Exception | None = None
    while True:
        try:
            batch = next(items)
        except StopIteration:
            break
        except Exception as error:  # what is wrong with the rows before it comes first
            failure = error
            break
        is_large = batch.num_rows >= _ENOUGH_ROWS or not batch.num_columns
        if not is_large:
            small.append(batch)
            rows += batch.num_rows
            size += 0 if enough_bytes is None else _batch_bytes(batch)
        is_enough = rows >= _ENOUGH_ROWS or (enough_bytes is not None and size >= enough_bytes)
        if small and (is_large or is_enough):
            yield from _in_one(pa.Table.from_batches(small))
            small, rows, size = [], 0, 0
        if is_large:
            yield batch
    if small:
        yield from _in_one(pa.Table.from_batches(small))
    if failure is not None:
        raise failure


def _batch_bytes(batch: Any) -> int:
    import pyarrow as pa

    try:
        return int(batch.nbytes)
    except pa.ArrowTypeError:  # pyarrow 20 cannot tell which bytes views of text are made of
        return int(batch.get_total_buffer_size())


def _of_table(table: Any) -> Iterator[Any]:
    chunks = max((column.num_chunks for column in table.columns), default=0)
    if chunks > 1 and table.num_rows < chunks * _TINY_ROWS:
        return iter(_in_one(table))
    return joined(table.to_reader())


def _in_one(table: Any) -> list[Any]:
    """Return a table as one record batch, if its types can be joined."""
    import pyarrow as pa

    try:
        arrays = [_whole(column) for column in table.columns]
    except pa.ArrowException:
        return list(table.to_batches())
    return [pa.RecordBatch.from_arrays(arrays, schema=table.schema)]


def _whole(column: Any) -> Any:
    """Return the chunks of a column as one array.

    `combine_chunks` takes ten times as long for each chunk as what writes into one array at once.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if column.num_chunks == 1:
        return column.chunk(0)
    if not column.null_count and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return pa.array(column.to_numpy())
    if pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        found = pc.coalesce(column)
        if found.num_chunks == 1:
            return found.chunk(0)
    return column.combine_chunks()
