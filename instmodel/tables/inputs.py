"""The files that hold rows: one, or a folder of them in one format, perhaps Hive-partitioned."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.stores import AnyPath, Location, location
from instmodel.tables.compression import borrowed, decompressed
from instmodel.tables.csv_options import CsvOptions
from instmodel.tables.kinds import SUFFIXES, TEXT, compression_of, kind_of, kind_seen, parts_of
from instmodel.tables.versions import LATEST, Moment, log_in, log_of

# What Hive calls a folder whose column is null, and the values that make a column of integers.
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
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
        The columns that the folders' names, or a log, hold.
    compression : {"gz", "zst", "bz2"} or None
    opener : callable, optional
        What opens it, if that is more than its format tells.
    table : mapping
        Of a table that has a log: which one, at which version.
    csv : CsvOptions
    stream : binary file, optional
        What is read; the location is nothing but its name.
    """

    location: Location
    name: str
    format: str
    partition: Mapping[str, Any] = field(default_factory=dict)
    compression: str | None = None
    opener: Callable[[Any], Any] | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    csv: CsvOptions = field(default_factory=CsvOptions)
    stream: BinaryIO | None = None

    @property
    def kind(self) -> str:
        """The format, and how it is compressed."""
        return self.format if self.compression is None else f"{self.format}.{self.compression}"

    @property
    def path(self) -> str:
        """Where it is, for messages."""
        return str(self.location)

    def open(self) -> BinaryIO:
        """Return the bytes of its format; what was compressed is not any more."""
        file = self.location.open() if self.stream is None else self._borrowed(self.stream)
        return file if self.compression is None else decompressed(file, self.compression, self.path)

    def _borrowed(self, stream: BinaryIO) -> BinaryIO:
        """Return a view of the stream, which has no name to tell its kind; refuse another one."""
        file: Any = borrowed(stream)
        seen = kind_seen(file.peek(16), self.kind)
        if seen not in (None, self.kind):
            raise InputError(
                "invalid_table",
                f"these are bytes of {seen}: `input_format` (`--input-format {seen}`) says so",
                file=self.path,
                expected=self.kind,
                actual=seen,
            )
        return cast(BinaryIO, file)

    @property
    def once(self) -> bool:
        """Whether it can be opened but once, as a pipe can."""
        local = self.location.local
        return self.stream is not None or (local is not None and not local.is_file())

    def stamp(self) -> dict[str, Any]:
        """Return what changes when somebody replaces the file."""
        return {"size": 0} if self.stream is not None else self.location.stamp()


def single(path: AnyPath, csv: CsvOptions | None = None, kind: str | None = None) -> Source:
    """Return a file, of the kind that its name tells if nobody else does.

    Raises
    ------
    InputError
        ``invalid_table``: it is a part of a table that has a log; or its name tells no kind.
    """
    place = location(path, "input")
    _refuse_pieces(place)
    return _source(place, place.name, csv, kind)


def of_stream(file: BinaryIO, kind: str, csv: CsvOptions | None = None) -> Source:
    """Return an open file, which is read once and stays open."""
    name = getattr(file, "name", None)
    name = name if isinstance(name, str) else "<stream>"
    return replace(_source(location(name), name, csv, kind), stream=file)


def _source(
    place: Location,
    name: str,
    csv: CsvOptions | None,
    kind: str | None,
    partition: Mapping[str, Any] | None = None,
) -> Source:
    form, compression = parts_of(_known(place) if kind is None else kind)
    return Source(
        place,
        name,
        form,
        partition or {},
        compression or compression_of(place.name),
        csv=csv or CsvOptions(),
    )


def find(
    path: AnyPath,
    moment: Moment = LATEST,
    csv: CsvOptions | None = None,
    kind: str | None = None,
) -> list[Source]:
    """Return the files of a table, in the order of their names.

    In a folder, what begins with ``.`` or ``_`` is not looked at, nor are empty files of text,
    which engines write for parts without rows; folders called ``column=value`` give every row below
    them that column. Of a table that has a log, it is the log that says which files count.

    Parameters
    ----------
    path : path-like or Location
    moment : Moment
        Which version of a table that has a log.
    csv : CsvOptions, optional
        How CSV files are written.
    kind : str, optional
        Of the files, whatever their names tell.

    Raises
    ------
    InputError
        ``invalid_table``: no files, several formats, or an unknown one; a broken log; a moment of
        files that have none.
    """
    root = location(path, "input")
    log = log_of(root)
    if log is not None:
        return _files_of_log(log, root, moment)
    if moment != LATEST:
        raise InputError(
            "invalid_table",
            "only a table that has a log has versions",
            file=str(root),
            expected="the folder of a Delta or Iceberg table",
        )
    if not root.is_folder():
        root.stamp()  # its error is the best one for a file that is not there
        return [single(root, csv, kind)]
    files = {file.relative_to(root): file for file in root.files()}
    _refuse_pieces(root, files)
    kinds = {name: kind or _known(file) for name, file in files.items()}
    formats = {name: parts_of(found)[0] for name, found in kinds.items()}
    for name, file in files.items():
        if formats[name] in TEXT and _is_empty(file):
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
    return [_source(files[name], name, csv, kinds[name], partitions[name]) for name in formats]


def _is_empty(file: Location) -> bool:
    if file.local is not None and not file.local.is_file():
        return False  # a pipe: reading would take what it holds
    size, compression = file.stamp()["size"], compression_of(file.name)
    if compression is None or not 0 < size <= _PERHAPS_EMPTY:
        return not size
    with contextlib.suppress(InputError), decompressed(file.open(), compression) as text:
        return not text.read(1)
    return False  # it is damaged, which the one who reads it tells


def is_dataset(path: AnyPath) -> bool:
    """Return whether `find` finds any number of files there, not just the one."""
    root = location(path, "input")
    return root.is_folder() or log_of(root) is not None


def _files_of_log(log: str, root: Location, moment: Moment) -> list[Source]:
    # Here, because they read their files as others are read, and those are found by this module.
    from instmodel.tables import delta, iceberg

    if log == "delta":
        return delta.sources(root, moment)
    return iceberg.sources(root, moment)


def _refuse_pieces(root: Location, names: Iterable[str] = ()) -> None:
    """Refuse a part of a table that has a log, and such a table in a folder of other files.

    Read without the log, they hold rows that were overwritten or deleted.
    """
    below = {folder for name in names for folder in PurePosixPath(name).parents[:-1]}
    for folder in (*_above(root), *(root / str(path) for path in sorted(below))):
        # Tables are hardly partitions of others; to ask a store for each of them would take long.
        is_partition = folder.local is None and "=" in folder.name
        if not is_partition and _has_log(folder):
            raise InputError(
                "invalid_table",
                "a table that has a log can only be read as a whole",
                file=str(root),
                expected="plain files, or the folder of the table",
                actual=f"the table {folder}",
            )


def _has_log(folder: Location) -> bool:
    try:
        return log_in(folder) is not None
    except OSError:  # not everybody may look into the folders above a file
        return False


def _above(root: Location) -> Iterator[Location]:
    here = root if root.local is None else location(root.local.absolute())
    while str(above := here.parent) != str(here):
        yield above
        here = above


def _known(file: Location) -> str:
    kind = kind_of(file.name)
    if kind is None:
        raise InputError(
            "invalid_table",
            "the name does not tell a format; `input_format` (`--input-format`) does",
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
