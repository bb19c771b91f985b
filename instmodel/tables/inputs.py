"""The files that hold rows: one, or a folder of them in one format, perhaps Hive-partitioned."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.stores import AnyPath, Location, location
from instmodel.tables.compression import COMPRESSIONS, decompressed

SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
# What Hive calls a folder whose column is null, and the values that make a column of integers.
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_TEXT = ("csv", "jsonl")
FORMATS = ("parquet", "csv", "arrow", "jsonl")
# A compressed file of at most so many bytes may hold no text at all.
_PERHAPS_EMPTY = 1024


@dataclass(frozen=True)
class Source:
    """A file to read.

    Attributes
    ----------
    location : Location
    name : str
        The path below the folder of the dataset, with slashes; the file's name for a single file.
    format : {"parquet", "csv", "arrow", "jsonl"}
    partition : mapping of str to pyarrow.Scalar
        The columns that the folders' names hold.
    compression : {"gz", "zst", "bz2"} or None
    """

    location: Location
    name: str
    format: str
    partition: Mapping[str, Any] = field(default_factory=dict)
    compression: str | None = None

    @property
    def path(self) -> str:
        """Where it is, for messages."""
        return str(self.location)

    def open(self) -> BinaryIO:
        """Return the bytes of its format; what was compressed is not any more."""
        file = self.location.open()
        return file if self.compression is None else decompressed(file, self.compression)

    @property
    def once(self) -> bool:
        """Whether it can be opened but once, as a pipe can."""
        return self.location.local is not None and not self.location.local.is_file()

    def stamp(self) -> dict[str, Any]:
        """Return what changes when somebody replaces the file."""
        return self.location.stamp()


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Return the format that the name of a file asks for, compressed or not."""
    compression = compression_of(path)
    if compression is None:
        return SUFFIXES.get(Path(path).suffix.lower())
    kind = SUFFIXES.get(Path(Path(path).stem).suffix.lower())
    return kind if kind in _TEXT else None


def compression_of(path: str | os.PathLike[str]) -> str | None:
    """Return how the name of a file says it is compressed."""
    ending = Path(path).suffix.lower().removeprefix(".")
    return ending if ending in COMPRESSIONS else None


def find(path: AnyPath) -> list[Source]:
    """Return the files of a table, in the order of their names.

    In a folder, what begins with ``.`` or ``_`` is not looked at, nor are empty files of text,
    which engines write for parts without rows; folders called ``column=value`` give every row below
    them that column.

    Raises
    ------
    InputError
        ``invalid_table``: no files, several formats, or an unknown one; a Delta or Iceberg table.
    """
    root = location(path, "input")
    if not root.is_folder():
        root.stamp()  # its error is the best one for a file that is not there
        return [Source(root, root.name, _known(root), compression=compression_of(root.name))]
    _refuse_logs(root)
    sources = {file.relative_to(root): file for file in root.files()}
    formats = {name: _known(file) for name, file in sources.items()}
    for name, file in sources.items():
        if formats[name] in _TEXT and _is_empty(file):
            del formats[name]
    if len(set(formats.values())) != 1:
        raise InputError(
            "invalid_table",
            "not a dataset",
            file=str(root),
            expected="files in one format",
            actual=", ".join(sorted(set(formats.values()))) or "no files",
        )
    partitions = _partitions(formats)
    return [
        Source(sources[name], name, kind, partitions[name], compression_of(name))
        for name, kind in formats.items()
    ]


def _is_empty(file: Location) -> bool:
    if file.local is not None and not file.local.is_file():
        return False  # a pipe: reading would take what it holds
    size, compression = file.stamp()["size"], compression_of(file.name)
    if compression is None or not 0 < size <= _PERHAPS_EMPTY:
        return not size
    with contextlib.suppress(InputError), decompressed(file.open(), compression) as text:
        return not text.read(1)
    return False  # it is damaged, which the one who reads it tells


def _refuse_logs(root: Location) -> None:
    """Refuse folders of which a log says what files count: the others hold rows that are gone."""
    kind = None
    metadata = root / "metadata"
    if (root / "_delta_log").is_folder():
        kind, way = "a Delta table", "deltalake.DeltaTable(path).to_pyarrow_dataset().to_batches()"
    elif metadata.is_folder() and any(
        file.name.endswith(".metadata.json") for file in metadata.files()
    ):
        kind, way = "an Iceberg table", "pyiceberg's table.scan().to_arrow_batch_reader()"
    if kind:
        raise InputError(
            "invalid_table",
            f"{kind}, whose log says which of its files count; read it with {way}, and give that "
            "to model.score_batches",
            file=str(root),
            expected="a folder of plain files",
            actual=kind,
        )


def _known(file: Location) -> str:
    kind = format_of(file.name)
    if kind is None:
        raise InputError(
            "invalid_table",
            "the name does not tell a format",
            file=str(file),
            expected="a name in "
            + ", ".join(SUFFIXES)
            + "; .csv and .jsonl also with .gz, .zst, .bz2",
        )
    return kind


def _partitions(files: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Read the folders ``column=value``: a column is of integers if all its values are, or text."""
    pa = require("pyarrow", "arrow")
    texts: dict[str, dict[str, str]] = {}
    for file in files:
        parts = [part.split("=", 1) for part in file.split("/")[:-1] if "=" in part]
        texts[file] = {unquote(name): unquote(value) for name, value in parts}
    columns = dict.fromkeys(name for found in texts.values() for name in found)
    types = {}
    for name in columns:
        cells = [found[name] for found in texts.values() if name in found]
        whole = all(_WHOLE.fullmatch(cell) for cell in cells if cell != _HIVE_NULL)
        types[name] = pa.int64() if whole else pa.string()

    def scalar(name: str, text: str | None) -> Any:
        if text is None or text == _HIVE_NULL:
            return pa.scalar(None, types[name])
        return pa.scalar(int(text) if types[name] == pa.int64() else text, types[name])

    return {
        file: {name: scalar(name, found.get(name)) for name in columns}
        for file, found in texts.items()
    }
