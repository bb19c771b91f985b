"""Files of text that are compressed: ``.gz``, ``.bz2`` and ``.zst`` behind the name of the format.

Whatever is read or written passes through a buffer of bounded size, however well it compresses.
Several members behind each other are one text, as the tools of each format have it. What is written
depends on the text alone: no time and no name goes into it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from instmodel.base.extras import require
from instmodel.errors import InputError

COMPRESSIONS = ("gz", "zst", "bz2")

# What the libraries raise for files that are damaged or end too early.
_BROKEN = (EOFError, zlib.error, OSError)
_BUFFER = 1 << 18


def decompressed(file: BinaryIO, compression: str, name: str | None = None) -> BinaryIO:
    """Return the text of an open file; closing it closes the file.

    Parameters
    ----------
    file : binary file
    compression : {"gz", "zst", "bz2"}
    name : str, optional
        The file's, for errors.
    """
    return cast(BinaryIO, io.BufferedReader(_Decompressed(file, compression, name), _BUFFER))


class _Decompressed(io.RawIOBase):
    """The text of a compressed file, whose damage is one of our errors."""

    def __init__(self, file: BinaryIO, compression: str, name: str | None) -> None:
        self._name = name
        self._file = file
        self._compression = compression
        self._text: Any = _OPEN[compression](file)

    def readable(self) -> bool:
        return True

    def position(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any, /) -> int:
        try:
            return int(self._text.readinto(buffer))
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the disk
                raise
            raise InputError(
                "invalid_table",
                f"the compressed file is damaged or not complete: {error}",
                file=self._name,
                expected=f"a file of .{self._compression}",
            ) from None

    def close(self) -> None:
        if not self.closed:
            try:
                self._text.close()
            finally:
                self._file.close()
                super().close()


class _Borrowed(io.RawIOBase):
    """A file that stays open when what reads from it is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def borrowed(file: BinaryIO) -> BinaryIO:
    """Return a view of an open file; closing it leaves that one open."""
    return cast(BinaryIO, io.BufferedReader(_Borrowed(file), _BUFFER))


def spooled(file: BinaryIO) -> BinaryIO:
    """Return a copy on the disk, without a name, of a file that then is closed."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 closed by the caller
    try:
        with file:
            shutil.copyfileobj(file, copy, _BUFFER)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return cast(BinaryIO, copy)


def bytes_read(file: BinaryIO) -> int:
    """Return how many bytes of the file on the disk were read."""
    raw = getattr(file, "raw", None)
    return raw.position() if isinstance(raw, _Decompressed) else file.tell()


def _zstd_reader(file: BinaryIO) -> Any:
    pa = require("pyarrow", "arrow")
    return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")


class _Bz2Reader(io.RawIOBase):
    """The text of a .bz2 file.

    Python's own reader takes a member whose beginning is damaged for the end of the text.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._member: bz2.BZ2Decompressor | None = None

    def readinto(self, buffer: Any, /) -> int:
        while True:
            member, data = self._member, b""
            if member is None or member.eof:
                data = (member and member.unused_data) or self._file.read(io.DEFAULT_BUFFER_SIZE)
                if not data:
                    return 0
                member = self._member = bz2.BZ2Decompressor()
            elif member.needs_input:
                data = self._file.read(io.DEFAULT_BUFFER_SIZE)
                if not data:
                    raise EOFError("its end is missing")
            text = member.decompress(data, len(buffer))
            if text:
                buffer[: len(text)] = text
                return len(text)


_OPEN: dict[str, Callable[[BinaryIO], Any]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    "bz2": _Bz2Reader,
    "zst": _zstd_reader,
}


def compressing(file: BinaryIO, compression: str) -> BinaryIO:
    """Return a file whose text goes into another one; closing it leaves that one open.

    Parameters
    ----------
    file : binary file
    compression : {"gz", "zst", "bz2"}
    """
    return cast(BinaryIO, _WRITE[compression](cast(BinaryIO, _Kept(file))))


class _Kept(io.RawIOBase):
    """A file that stays open when what writes into it is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        if not self.closed:
            self._file.flush()


def _zstd_writer(file: BinaryIO) -> Any:
    pa = require("pyarrow", "arrow")
    return pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), "zstd")


_WRITE: dict[str, Callable[[BinaryIO], Any]] = {
    # Without a name and a time: the same text gives the same bytes.
    "gz": lambda file: gzip.GzipFile("", "wb", 6, file, mtime=0),
    "bz2": lambda file: bz2.BZ2File(file, "wb"),
    "zst": _zstd_writer,
}
