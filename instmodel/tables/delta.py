"""Delta tables as inputs: `deltalake` reads the log, and the files are read as Parquet files are.

The protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.stores import Location
from instmodel.tables.inputs import Source
from instmodel.tables.logs import (
    LogReader,
    LogSource,
    NoRows,
    address,
    digest,
    log_errors,
    storage_options,
)
from instmodel.tables.readers import Parquet
from instmodel.tables.versions import LATEST, Moment

# What a table may ask of its readers that is done here or by deltalake.
_FEATURES = {
    *("columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint"),
    *("variantType", "variantType-preview"),
}
_MAPPINGS = ("none", "name", "id")
_NAME = b"delta.columnMapping.physicalName"
_ID = b"delta.columnMapping.id"
# In seconds. deltalake reads all deletion vectors at once, each on one of 512 threads, which need
# another one: with more vectors in files than that, it never comes back (delta-rs issue 4657, open
# with deltalake 1.6.6). Those that it can read take seconds, from a slow store, too.
_PATIENCE = 300.0


@dataclass(frozen=True, kw_only=True)
class _DeltaFile(LogSource):
    """A data file: its columns by the table's schema, and which of its rows were not deleted."""

    mapping: str  # "none", "name" or "id": what the table's columns are called in the file
    rows_left: Any  # pyarrow.BooleanArray, a value for each row of the file; None: all


def sources(root: Location, moment: Moment = LATEST) -> list[Source]:
    """Return the files of a version of a Delta table, in the order of their names.

    Raises
    ------
    InputError
        ``invalid_table``: the log is broken, has no such version, or needs what is not known here.
    """
    deltalake = require("deltalake", "delta")
    require("pyarrow", "delta")
    with log_errors(root):
        place, options = address(root), storage_options(root)
        table = deltalake.DeltaTable(place, None, options)
        if moment.version is not None:
            # Before deltalake is asked for it: with a huge one it never comes back.
            _check_version(root, table.version(), moment.version)
            table = deltalake.DeltaTable(place, moment.version, options)
        if moment.time is not None:
            table.load_as_version(moment.time)
            _check_begin(deltalake.DeltaTable(place, None, options), table.version(), moment)
        _check_features(table, root)
        return _files(table, root)


def _check_version(root: Location, newest: int, version: int) -> None:
    """Refuse a version that the log does not have, or no more."""
    # Where the first commit is gone, the oldest checkpoint is what a version can begin with.
    names = [file.name.partition(".") for file in (root / "_delta_log").files()]
    starts = [
        int(number)
        for number, _, kind in names
        if number.isdecimal() and (kind.startswith("checkpoint.") or int(number) == 0)
    ]
    oldest = min(starts, default=newest)
    if not oldest <= version <= newest:
        raise InputError(
            "invalid_table",
            "the table has no such version",
            expected=f"one of {oldest} to {newest}" if oldest < newest else str(newest),
            actual=version,
        )


def _check_begin(newest: Any, version: int, moment: Moment) -> None:
    """Refuse a time before the first version that is left, for which deltalake takes that one."""
    commits = {commit["version"]: commit.get("timestamp") for commit in newest.history()}
    begin = commits.get(version)
    if begin is not None and moment.time is not None and begin > moment.time.timestamp() * 1000:
        raise InputError("invalid_table", f"the log has no version of {moment.time.isoformat()}")


def _check_features(table: Any, root: Location) -> None:
    unknown = sorted(set(table.protocol().reader_features or ()) - _FEATURES)
    if unknown:
        raise InputError(
            "invalid_table",
            "the Delta table needs a reader that knows more",
            file=str(root),
            expected="the reader features " + ", ".join(sorted(_FEATURES)),
            actual=", ".join(unknown),
        )


def _files(table: Any, root: Location) -> list[Source]:
    import pyarrow as pa

    metadata = table.metadata()
    whole = pa.schema(table.schema().to_arrow())
    folders = metadata.partition_columns
    mapping = metadata.configuration.get("delta.columnMapping.mode", "none")
    if mapping not in _MAPPINGS:
        raise InputError(
            "invalid_table",
            "the log maps columns in an unknown way",
            field="delta.columnMapping.mode",
            expected="one of " + ", ".join(_MAPPINGS),
            actual=repr(mapping),
        )
    schema = pa.schema([field for field in whole if field.name not in folders])
    for field in schema:
        _key(field, mapping)  # before any row is scored
    common = {"schema": schema, "table": {"format": "delta", "version": table.version()}}
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    names = [unquote(action["path"]) for action in actions]
    common["in_folders"] = frozenset(
        column for column in folders if all(_is_in_folders(column, name) for name in names)
    )
    # Where columns can be renamed, the same file may hold others under their names.
    columns = None if mapping == "none" else digest(whole.serialize().to_pybytes())
    left = _rows_left(table)
    found: list[Source] = []
    for action, name in zip(actions, names, strict=True):
        _check_inside(name, action["path"])
        partition = {
            column: pa.scalar(action.get(f"partition.{column}"), whole.field(column).type)
            for column in folders
        }
        rows = left.pop(name, None)
        identity = {"size": action["size_bytes"], "mtime_ns": action["modification_time"] * 10**6}
        if columns is not None:
            identity["columns"] = columns
        if rows is not None:
            identity["rows"] = digest(*map(bytes, filter(None, rows.buffers())))
        found.append(
            _DeltaFile(
                location=root / name,
                name=name,
                format="parquet",
                partition=partition,
                opener=_DeltaReader,
                identity=identity,
                mapping=mapping,
                rows_left=rows,
                **common,
            )
        )
    if left:
        raise InputError("invalid_table", f"rows of an unknown file were deleted: {min(left)}")
    if not found:
        partition = {column: pa.scalar(None, whole.field(column).type) for column in folders}
        return [
            LogSource(
                location=root,
                name="empty.parquet",
                format="parquet",
                partition=partition,
                opener=NoRows,
                **common,
            )
        ]
    return sorted(found, key=lambda source: source.name)


def _is_in_folders(column: str, name: str) -> bool:
    parts = PurePosixPath(name).parts[:-1]
    return any(unquote(part.partition("=")[0]) == column for part in parts if "=" in part)


def _check_inside(name: str, written: str) -> None:
    """Refuse a file outside of the table, of a shallow clone or in a log that was tampered with."""
    if name.startswith("/") or "://" in name or ":/" in name or ".." in PurePosixPath(name).parts:
        raise InputError(
            "invalid_table",
            "the log names a file outside of the table",
            expected="files below its folder",
            actual=repr(written),
        )


def _rows_left(table: Any) -> dict[str, Any]:
    """Return, for each file of which rows were deleted, a Boolean for each row."""
    import pyarrow as pa

    root = unquote(table.table_uri).removeprefix("file://").rstrip("/") + "/"
    found = {}
    for batch in pa.RecordBatchReader.from_stream(_deletion_vectors(table)):
        for uri, rows in zip(batch["filepath"], batch["selection_vector"], strict=True):
            name = unquote(uri.as_py()).removeprefix("file://").removeprefix(root)
            found[name] = rows.values
    if found and "deletionVectors" not in (table.protocol().reader_features or ()):
        raise InputError(
            "invalid_table",
            "the log lists deleted rows, but its protocol does not allow that",
            expected="the reader feature deletionVectors",
        )
    return found


def _deletion_vectors(table: Any) -> Any:
    """Return what deltalake knows of deleted rows, or fail where it would wait for ever."""
    found: Future[Any] = Future()

    def ask() -> None:
        try:
            found.set_result(table.deletion_vectors())
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=ask, name="instmodel-delta", daemon=True).start()
    try:
        return found.result(_PATIENCE)
    except TimeoutError as error:
        raise InputError(
            "invalid_table",
            f"deltalake did not find the deleted rows in {_PATIENCE:g} seconds; it waits for ever "
            "where more than some 500 files have a deletion vector",
            expected="a table that was compacted, or whose deleted rows were purged",
        ) from error


class _DeltaReader(LogReader, Parquet):
    source: _DeltaFile

    def _open(self, source: Source) -> Any:
        key = partial(_key_in_file, by_id=self.source.mapping == "id")
        self._in_file = {key(field): field.name for field in Parquet._open(self, source)}
        return LogReader._open(self, source)

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        import pyarrow as pa

        fields = [self.schema.field(name) for name in names]
        keys = [_key(field, self.source.mapping) for field in fields]
        inside = [self._in_file.get(key) for key in keys]
        left, start = self.source.rows_left, 0
        if left is not None and len(left) != self._rows_total:
            raise InputError(
                "invalid_table",
                "the log's list of deleted rows is not of this file",
                expected=f"{self._rows_total} rows",
                actual=len(left),
            )
        for batch in Parquet._batches(self, sorted({n for n in inside if n is not None}), rows):
            count = batch.num_rows
            if left is not None:
                mask = left.slice(start, count)
                start += count
                count = mask.true_count
                batch = batch.filter(mask) if batch.num_columns else batch.slice(0, count)
            if not fields:
                yield batch
                continue
            arrays = [
                pa.nulls(count, field.type)
                if name is None
                else _fitted(batch.column(name), field, self.source.mapping)
                for field, name in zip(fields, inside, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=list(names))


def _key(field: Any, mapping: str) -> str | int:
    """Return what tells a column of the table in a file."""
    if mapping == "none":
        return str(field.name)
    metadata: Mapping[bytes, bytes] = field.metadata or {}
    try:
        return int(metadata[_ID]) if mapping == "id" else metadata[_NAME].decode()
    except (KeyError, ValueError):
        raise InputError(
            "invalid_table",
            f"the log does not tell the {mapping} that the column has in the files",
            column=field.name,
        ) from None


def _key_in_file(field: Any, by_id: bool) -> str | int:
    if not by_id:
        return str(field.name)
    return int((field.metadata or {}).get(b"PARQUET:field_id", -1))


def _fitted(array: Any, field: Any, mapping: str) -> Any:
    """Return a column of a file as the table has it: its type, its names of what lies inside."""
    import pyarrow as pa

    if not (pa.types.is_struct(field.type) and pa.types.is_struct(array.type)):
        if mapping != "none" and pa.types.is_nested(field.type) and _has_names(field.type):
            raise InputError(
                "invalid_table",
                "objects in a list or map whose keys may have been renamed are not read",
                column=field.name,
            )
        return array if array.type == field.type else array.cast(field.type)
    key = partial(_key_in_file, by_id=mapping == "id")
    inside = {key(array.type.field(place)): place for place in range(array.type.num_fields)}
    children = []
    for place in range(field.type.num_fields):
        child = field.type.field(place)
        found = inside.get(_key(child, mapping))
        children.append(
            pa.nulls(len(array), child.type)
            if found is None
            else _fitted(array.field(found), child, mapping)
        )
    fields = list(field.type)
    return pa.StructArray.from_arrays(children, fields=fields, mask=array.is_null())


def _has_names(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return True
    return any(_has_names(kind.field(place).type) for place in range(kind.num_fields))
