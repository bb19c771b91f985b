"""What reads a file in batches of rows, and what it hands out.

A reader knows the names and types of all columns before the first row, and holds one batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from instmodel.tables.arrow import arrow_column
from instmodel.tables.binding import Slot
from instmodel.tables.cells import BadCell, Column
from instmodel.tables.compression import bytes_read
from instmodel.tables.inputs import Source
from instmodel.tables.scoring import NO_FAULTS, Chunk
from instmodel.tables.streams import joined

# A batch holds about this many values and bytes, unless the caller says how many rows.
_BATCH_VALUES = 1 << 21
_MOST_ROWS = 1 << 16
BATCH_BYTES = 1 << 25

ColumnMaker = Callable[[Slot, Any, int], Column]


class Rows:
    """Some rows of a file: an Arrow batch, and how its columns are read.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
    folders : collection of str
        The columns that the names of folders hold: text, also where it is all whole numbers.
    make : callable
    faults : mapping of int to BadCell
        What is wrong with rows as such, counted from 0; their cells are null.
    numbers : ndarray of int64 (rows,), optional
        Which rows of the file they are, counted from 0, if they are not the next ones.
    """

    numbers: NDArray[np.int64] | None = None

    def __init__(
        self,
        batch: Any,
        folders: Collection[str],
        make: ColumnMaker = arrow_column,
        faults: Mapping[int, BadCell] = NO_FAULTS,
        numbers: NDArray[np.int64] | None = None,
    ) -> None:
        self.batch = batch
        self._folders = folders
        self.count: int = batch.num_rows
        self.make = make
        self.faults = faults
        self.numbers = numbers

    def chunk(self, slots: Sequence[Slot], first_row: int) -> Chunk:
        """Return the model's columns."""
        columns = [self.make(slot, self._column(slot), first_row) for slot in slots]
        return Chunk(self.count, columns, self.faults)

    def _column(self, slot: Slot) -> Any:
        cells = self.batch.column(slot.position)
        if slot.categories is not None and slot.name in self._folders:
            return cells.cast("string")
        return cells

    def cells(self, position: int) -> Any:
        """Return a column as the file has it: an Arrow array, or a list of what JSON holds."""
        return self.batch.column(position)

    def kept(self, positions: Sequence[int]) -> list[Any]:
        """Return Arrow arrays of other columns."""
        return [self.batch.column(position) for position in positions]


class Reader(ABC):
    """A file that is read once, from the first row to the last.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of all columns, those of the partition at the end.
    added : dict of str to pyarrow.Scalar
        The columns that the file does not hold.
    in_folders : collection of str
        Those of them that the names of folders hold.
    """

    schema: Any
    added: dict[str, Any]
    in_folders: Collection[str]

    def __init__(self, source: Source) -> None:
        import pyarrow as pa

        own = self._open(source)
        names = [name for name in source.partition if name not in own.names]
        self.added = {name: source.partition[name] for name in names}
        self.in_folders = self.added
        fields = [pa.field(name, value.type) for name, value in self.added.items()]
        self.schema = pa.schema([*own, *fields], own.metadata)

    @abstractmethod
    def _open(self, source: Source) -> Any:
        """Open the file, and return its schema."""

    @abstractmethod
    def batches(self, names: Sequence[str], batch_rows: int | None) -> Iterator[Rows]:
        """Yield the rows, with the columns of these names in the order of `schema`."""

    def learn(self) -> bool:
        """Read the file to its end for the names and types of all columns.

        Returns
        -------
        bool
            Whether more may be known now than before.
        """
        return False

    @abstractmethod
    def fraction(self) -> float:
        """Return how much of the file was read, 0 to 1."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


class BatchedReader(Reader):
    """A file that pyarrow reads in batches of its own size."""

    def batches(self, names: Sequence[str], batch_rows: int | None) -> Iterator[Rows]:
        """Yield the rows, with the columns of these names in the order of `schema`."""
        import pyarrow as pa

        added = [self.added[name] for name in self.added if name in names]
        own = [name for name in names if name not in self.added]
        most = batch_rows or self._most_rows(own)
        wanted = set(names)
        schema = pa.schema([field for field in self.schema if field.name in wanted])
        first = 0
        for batch in joined(self._batches(own, most), BATCH_BYTES):
            for start in range(0, batch.num_rows, most):
                part = batch.slice(start, most)
                constant = [pa.repeat(value, part.num_rows) for value in added]
                arrays = [*part.columns, *constant]
                yield self._rows(pa.RecordBatch.from_arrays(arrays, schema=schema), first + start)
            first += batch.num_rows

    def _most_rows(self, names: Sequence[str]) -> int:
        """Return how many rows of these columns are read together."""
        return max(1024, min(_MOST_ROWS, _BATCH_VALUES // (len(names) or 1)))

    def _rows(self, batch: Any, first: int) -> Rows:
        """Return a batch whose first row has a number, counted from 0."""
        return Rows(batch, self.added)

    @abstractmethod
    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        """Yield record batches of the columns of these names, in the file's order."""


class TextReader(Reader):
    """A format that is read from an open file."""

    _file: BinaryIO
    _size: int  # on the disk; 0 for a pipe

    def fraction(self) -> float:
        """Return how much of the file was read, 0 to 1."""
        return min(1.0, bytes_read(self._file) / self._size) if self._size else 0.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()
