"""Tables that have a log: which of the files in a folder count, at which version, is in the log.

The log is read by the table's own package; the modules `delta` and `iceberg` make of it one source
for each data file. So parts, resumed work, rows in a fixed order and bounded memory are as with
plain files; a stream of the whole table, which these packages have, too, comes in any order.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from instmodel.errors import InputError, InstModelError, without_secrets
from instmodel.stores import Location
from instmodel.tables.inputs import Source
from instmodel.tables.reader import BatchedReader, Rows

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_BACKTRACE = re.compile(r"^ +0: ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class LogSource(Source):
    """A data file of a table that has a log, or all that there is of a table without files.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the table's rows, without the columns of the partition.
    in_folders : frozenset of str
        Columns of the partition that the names of folders hold.
    identity : mapping
        What changes when other rows come out of the file; the file itself never changes.
    """

    schema: Any
    in_folders: frozenset[str] = frozenset()
    identity: Mapping[str, Any] = field(default_factory=lambda: {"size": 0})

    def stamp(self) -> dict[str, Any]:
        """Return what changes when other rows come out of the file."""
        return dict(self.identity)


class LogReader(BatchedReader):
    """A data file of a table that has a log."""

    source: LogSource

    def __init__(self, source: LogSource) -> None:
        self.source = source
        super().__init__(source)
        self.in_folders = source.in_folders

    def _open(self, source: Source) -> Any:
        return self.source.schema

    def _rows(self, batch: Any, first: int) -> Rows:
        # The log knows the types of the columns that are in the names of folders.
        return Rows(batch, ())


class NoRows(LogReader):
    """A table that has columns, but no files."""

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        return iter(())

    def fraction(self) -> float:
        """Return how much was read: all of it."""
        return 1.0

    def close(self) -> None:
        """Do nothing."""


def address(root: Location) -> str:
    """Return what a table's package calls a place."""
    return str(root if root.local is None else root.local.absolute())


def storage_options(root: Location) -> dict[str, str] | None:
    """Return what `deltalake` must be told about a store, beside what it finds in the environment.

    It takes the server of ``AWS_ENDPOINT_URL``, as other programs do, but none without TLS.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    if root.local is not None or not endpoint.startswith("http://"):
        return None
    return {"aws_allow_http": "true"}


def digest(*parts: bytes) -> str:
    """Return what tells apart long values that a stamp should not hold."""
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


@contextlib.contextmanager
def log_errors(place: Location) -> Iterator[None]:
    """Turn whatever a table's package finds wrong with a log into ``invalid_table``.

    An error of ours that names no file gets the place. A store or a disk that fails is no fault of
    the log: its `OSError`, which names the file, may pass if tried again.
    """
    try:
        yield
    except InstModelError as error:
        if error.file is not None:
            raise
        raise error.in_file(str(place)) from error.__cause__
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except OSError as error:  # of a store or a disk: it may pass
        if error.filename is not None:
            raise
        number = error.errno or errno.EIO
        raise OSError(number, reason(error.strerror or error), str(place)) from error
    except BaseException as error:  # a panic of Rust is no Exception
        raise InputError("invalid_table", reason(error), file=str(place)) from error


def reason(error: BaseException | str) -> str:
    """Return what an error says, in one line and without the backtrace that Rust adds."""
    text = _COLOURS.sub("", str(error))
    lines = [line.strip(" ↳\t") for line in _BACKTRACE.split(text)[0].splitlines()]
    said = ": ".join(line for line in lines if line)
    return without_secrets(said) or type(error).__name__
