"""Read and write NPY files in batches of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from instmodel.base import map_keys
from instmodel.errors import InputError
from instmodel.stores import AnyPath, location

Floats = NDArray[np.float32]

# A batch holds about this many values, unless the caller says how many rows.
BATCH_VALUES = 1 << 20


class NpyReader:
    """Read a 2-D array of numbers, (rows, features), from an NPY file.

    Parameters are those of `open_reader`. Reads batches with plain file access: a memory map would
    count as used memory once read.
    """

    header: list[str] | None = None  # NPY has no names

    def __init__(
        self,
        path: AnyPath,
        width: int,
        batch_rows: int | None = None,
        key_inputs: Sequence[int] = (),
    ) -> None:
        place = location(path)
        self._path = str(place)
        self._batch_rows = batch_rows or max(1, BATCH_VALUES // width)
        self._key_inputs = key_inputs
        self._rows = self._done = 0
        self._size = place.stamp()["size"]
        self._file: Any = place.open(0)
        try:
            self._read_header(width)
        except BaseException:
            self._file.close()
            raise

    def _read_header(self, width: int) -> None:
        try:
            version = npy.read_magic(self._file)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"version {version}")
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, self._by_column, self._dtype = read(self._file)
        except (ValueError, SyntaxError, TypeError, KeyError) as error:
            raise self._error("invalid_table", "not an NPY file of numbers", actual=error) from None
        if self._dtype.kind not in "fiub":
            raise self._error(
                "invalid_type", "wrong type of values", "floats, integers or booleans", self._dtype
            )
        if len(shape) != 2 or shape[1] != width or shape[0] < 0:
            raise self._error("input_size_mismatch", "wrong shape", f"(rows, {width})", shape)
        self._width = width
        self._rows = shape[0]
        self._start = self._file.tell()
        size = self._size - self._start
        needed = self._rows * width * self._dtype.itemsize
        if size < needed:
            raise self._error(
                "invalid_table", "the file is cut short", f"{needed} bytes of values", size
            )

    def batches(self) -> Iterator[Floats]:
        """Yield the rows as arrays of shape (rows, features)."""
        while self._done < self._rows:
            count = min(self._batch_rows, self._rows - self._done)
            values = self._read(count)
            with np.errstate(over="ignore", invalid="ignore"):
                rounded = values.astype(np.float32)
            lost = np.isinf(rounded) & np.isfinite(values)
            if lost.any():
                row, column = np.argwhere(lost)[0].tolist()
                raise self._error(
                    "invalid_cell",
                    "too large for float32",
                    actual=values[row, column],
                    row=self._done + row + 1,
                    column=column + 1,
                )
            inexact = map_keys.find(values, self._key_inputs)
            if inexact is not None:
                row, column = inexact
                raise self._error(
                    "inexact_key",
                    map_keys.MESSAGE,
                    map_keys.EXPECTED,
                    int(values[inexact]),
                    row=self._done + row + 1,
                    column=column + 1,
                )
            self._done += count
            yield rounded

    def _read(self, count: int) -> NDArray[Any]:
        """Read the next rows, (count, features), of the file's own dtype."""
        if not self._by_column:
            values = np.empty((count, self._width), self._dtype)
            self._fill(values, self._done * self._width)
            return values
        columns = np.empty((self._width, count), self._dtype)
        for i, column in enumerate(columns):
            self._fill(column, i * self._rows + self._done)
        return columns.T

    def _fill(self, out: NDArray[Any], first: int) -> None:
        self._file.seek(self._start + first * self._dtype.itemsize)
        left = out.reshape(-1).view(np.uint8)
        while left.size:
            got = self._file.readinto(left.data)
            if not got:
                raise self._error("invalid_table", "the file became shorter while it was read")
            left = left[got:]

    def fraction(self) -> float:
        """Return how much of the file was read, 0 to 1."""
        return self._done / self._rows if self._rows else 1.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _error(
        self, code: str, message: str, expected: Any = None, actual: Any = None, **place: Any
    ) -> InputError:
        return InputError(code, message, file=self._path, expected=expected, actual=actual, **place)


class NpyWriter:
    """Write scores as a float32 array of shape (rows, outputs) into a seekable file."""

    def __init__(self, file: BinaryIO, outputs: int) -> None:
        self._file = file
        self._outputs = outputs
        self._rows = 0
        self._start = self._write_header()

    def _write_header(self) -> int:
        shape = (self._rows, self._outputs)
        header = {"shape": shape, "fortran_order": False, "descr": "<f4"}
        npy.write_array_header_1_0(self._file, header)
        return self._file.tell()

    def write(self, scores: Floats) -> None:
        """Add rows, given as (rows, outputs)."""
        self._file.write(np.ascontiguousarray(scores, "<f4").data)
        self._rows += len(scores)

    def finish(self) -> None:
        """Write the number of rows into the header."""
        self._file.seek(0)
        # NumPy pads headers so that the row count can grow in place.
        if self._write_header() != self._start:
            raise AssertionError("the header of an NPY file changed its size")
