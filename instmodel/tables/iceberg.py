"""Iceberg tables as inputs: `pyiceberg` reads the metadata, and each data file with its deletes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.stores import Location, location
from instmodel.tables.inputs import Source
from instmodel.tables.logs import LogReader, LogSource, NoRows, address, digest, log_errors
from instmodel.tables.versions import ICEBERG_CATALOG, ICEBERG_METADATA, LATEST, Moment

_NUMBER = re.compile(r"v?(\d+)")


@dataclass(frozen=True, kw_only=True)
class _IcebergFile(LogSource):
    """A data file, with the scan that it is a task of."""

    scan: Any  # pyiceberg.table.DataScan
    task: Any  # pyiceberg.table.FileScanTask


def sources(root: Location, moment: Moment = LATEST) -> list[Source]:
    """Return the files of a snapshot of an Iceberg table, in the order of their names.

    Parameters
    ----------
    root : Location
        The table's folder, one of its files ``….metadata.json``, or ``iceberg:catalog.table``.
    moment : Moment
        Its version is the number of a snapshot.

    Raises
    ------
    InputError
        ``invalid_table``: the metadata is broken, has no such snapshot, or names files elsewhere.
    """
    require("pyiceberg", "iceberg")
    require("pyarrow", "iceberg")
    with log_errors(root):
        folder = None
        if root.name.startswith(ICEBERG_CATALOG):
            table = _from_catalog(str(root).removeprefix(ICEBERG_CATALOG))
        else:
            from pyiceberg.table import StaticTable

            metadata = _newest(root)
            folder = metadata.parent.parent
            # In a store, the package and the credentials are those for other files there.
            properties = {"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO"}
            found = {} if metadata.local is not None else properties
            table = StaticTable.from_metadata(address(metadata), found)
        return _files(table, moment, root, folder)


def _from_catalog(name: str) -> Any:
    from pyiceberg.catalog import load_catalog

    catalog, dot, table = name.partition(".")
    if not (catalog and dot and table):
        raise InputError(
            "invalid_table", "no name of a table", expected="iceberg:CATALOG.NAMESPACE.TABLE"
        )
    return load_catalog(catalog).load_table(table)


def _newest(root: Location) -> Location:
    """Return the metadata file of a table: the one that is named, else the one that counts last."""
    if root.name.endswith(ICEBERG_METADATA):
        return root
    folder = root / "metadata"
    hint = folder / "version-hint.text"
    if hint.exists():
        named = hint.read_bytes().decode().strip()
        for name in (named, f"v{named}{ICEBERG_METADATA}", f"{named}{ICEBERG_METADATA}"):
            is_here = "/" not in name and "\\" not in name  # the hint is not to lead elsewhere
            if is_here and name.endswith(ICEBERG_METADATA) and (folder / name).exists():
                return folder / name

    def number(file: Location) -> int:
        found = _NUMBER.match(file.name)
        return int(found[1]) if found else -1

    return max((f for f in folder.files() if f.name.endswith(ICEBERG_METADATA)), key=number)


def _snapshot(table: Any, moment: Moment) -> Any:
    """Return the snapshot to read; None for a table that never had rows."""
    if moment.version is not None:
        found = table.snapshot_by_id(moment.version)
    elif moment.time is not None:
        found = table.snapshot_as_of_timestamp(int(moment.time.timestamp() * 1000))
    else:
        found = table.current_snapshot()
        if table.metadata.current_snapshot_id is None:
            return None
    if found is None:
        raise InputError(
            "invalid_table",
            "the table has no such snapshot",
            expected="one of "
            + ", ".join(str(snapshot.snapshot_id) for snapshot in table.snapshots()),
            actual=moment.time.isoformat() if moment.time else moment.version,
        )
    return found


def _files(table: Any, moment: Moment, root: Location, folder: Location | None) -> list[Source]:
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    snapshot = _snapshot(table, moment)
    number = snapshot and snapshot.snapshot_id
    if snapshot is not None:  # nothing elsewhere is opened
        _check_inside(snapshot.manifest_list, folder)
        for manifest in snapshot.manifests(table.io):
            _check_inside(manifest.manifest_path, folder)
    # A snapshot that is asked for has the columns of its time; the newest, those of the table now.
    scan = table.scan() if moment == LATEST else table.scan(snapshot_id=number)
    rows_as = scan.projection()
    common = {
        "format": "parquet",
        "schema": schema_to_pyarrow(rows_as, include_field_ids=False),
        "table": {"format": "iceberg", "version": number},
    }
    found: dict[str, Source] = {}
    for task in sorted(scan.plan_files(), key=lambda task: str(task.file.file_path)):
        deletes = sorted(file.file_path for file in task.delete_files)
        for path in (task.file.file_path, *deletes):
            _check_inside(path, folder)
        place = location(task.file.file_path)
        name = _name(place, found)
        identity = {
            "size": task.file.file_size_in_bytes,
            "file": str(place),
            # Columns are renamed, added and dropped without a touch to the file.
            "columns": digest(str(rows_as).encode()),
            "deletes": digest("\n".join(deletes).encode()),
        }
        found[name] = _IcebergFile(
            location=place,
            name=name,
            opener=_IcebergReader,
            identity=identity,
            scan=scan,
            task=task,
            **common,
        )
    if not found:
        return [LogSource(location=root, name="empty.parquet", opener=NoRows, **common)]
    return [found[name] for name in sorted(found)]


def _name(place: Location, taken: Collection[str]) -> str:
    """Return a file's name; with a digest before it if another, or the file itself, has it."""
    name, again = place.name, ""
    while name in taken:  # a file that is listed twice has its rows twice
        name = f"{digest(f'{place}{again}'.encode())}-{place.name}"
        again += " again"
    return name


def _check_inside(path: str, folder: Location | None) -> None:
    """Refuse a file elsewhere: of a table that was copied, or whose metadata was tampered with.

    A table that a catalogue names has no folder, and its files lie anywhere.
    """
    place = location(path)
    if folder is not None and not place.is_inside(folder):
        raise InputError(
            "invalid_table",
            "the metadata names a file outside of the table's folder; if it is the right one, name "
            "the table by its catalogue, iceberg:CATALOG.TABLE",
            expected=f"files in {folder}",
            actual=str(place),
        )


class _IcebergReader(LogReader):
    source: _IcebergFile

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        import pyarrow as pa
        from pyiceberg.io.pyarrow import ArrowScan

        scan = self.source.scan.select(*names)
        reader = ArrowScan(
            scan.table_metadata, scan.io, scan.projection(), scan.row_filter, scan.case_sensitive
        )
        wanted = pa.schema([self.schema.field(name) for name in names])
        with log_errors(self.source.location):
            # All of the file's rows that count, but only these columns, are in memory.
            for batch in reader.to_record_batches([self.source.task]):
                yield batch.select(wanted.names).cast(wanted)

    def fraction(self) -> float:
        return 1.0

    def close(self) -> None:
        pass
