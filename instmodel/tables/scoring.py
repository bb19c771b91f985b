"""Score tables: fill blocks of rows from columns, and run the model on each.

Design
------
A. A table comes as *chunks*: one for a data frame, some for Arrow data, see
   `instmodel.tables.streams`. A chunk holds one `Column` for each `Slot` of the model's input.
B. A block is a float32 matrix of some thousand rows that fits the cache. Every column is written
   into it, and the model reads it at once: nothing of the size of the table is ever made.
C. What is wrong with a row is a `BadRow`; the caller makes it an error, a null, or a gap.
"""

from __future__ import annotations

import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from instmodel.base.cpus import default_thread_count
from instmodel.base.pool import run_together
from instmodel.errors import InputError
from instmodel.tables import arrow, frames
from instmodel.tables.binding import Binding, Nulls, Slot, narrowed
from instmodel.tables.cells import (
    BadCell,
    Column,
    InputWatch,
    ObjectColumn,
)
from instmodel.tables.fill import Floats, fill
from instmodel.tables.naming import AS_THE_FEATURES, Naming
from instmodel.tables.scorer import RowScorer
from instmodel.tables.streams import is_arrow, open_stream

# Values of a block: half a megabyte, which fits L2 beside what is read meanwhile.
_BLOCK_VALUES = 1 << 17
# Rows of Python objects that are looked at together.
_ROWS_OF_OBJECTS = 4096
# Models whose users know that names are not looked at.
_told_positions: weakref.WeakSet[Any] = weakref.WeakSet()


class BadRow(NamedTuple):
    """A row that cannot be scored, and the first column at fault."""

    row: int | None  # None where there is but one
    column: str | None  # None where the row as such is at fault
    cell: BadCell

    def error(self) -> InputError:
        """Return the row as an error."""
        code, message, expected, actual, advice, line = self.cell
        return InputError(
            code,
            message + advice(),
            column=self.column,
            row=self.row,
            line=line,
            expected=expected,
            actual=actual,
        )


NO_FAULTS: Mapping[int, BadCell] = MappingProxyType({})


class Chunk(NamedTuple):
    """Rows of a table."""

    rows: int
    columns: Sequence[Column]
    faults: Mapping[int, BadCell] = NO_FAULTS  # of rows as such, counted from 0


def binding_of(
    model: RowScorer, nulls: Nulls, naming: Naming = AS_THE_FEATURES, whole: bool = False
) -> Binding:
    """Return a model's features, ready for tables; `whole`: also those that it never reads."""
    reads = () if whole else model.read_inputs
    features, size = model.named_features, model.feature_size
    return Binding(features, size, nulls, model.key_inputs, naming, reads)


def say_positions(model: RowScorer, header: Sequence[str]) -> None:
    """Warn, once for each model, that names are not looked at."""
    if not model.features and model not in _told_positions:
        _told_positions.add(model)
        shown = ", ".join(map(repr, header[:5])) + (", …" if len(header) > 5 else "")
        warnings.warn(
            f"the model does not name its features: the columns {shown} count by their position",
            UserWarning,
            stacklevel=4,
        )


def predict_table(
    model: RowScorer,
    table: Any,
    nulls: Nulls = "error",
    threads: int | None = 1,
    watch: InputWatch | None = None,
) -> Floats:
    """Score a table; see `InstructionModel.predict_table`."""
    header, chunks = open_table(table, binding_of(model, nulls))
    say_positions(model, header)
    return score_chunks(model, chunks, threads, watch=watch)[0]


def score_chunks(
    model: RowScorer,
    chunks: Iterable[Chunk],
    threads: int | None,
    bad_rows_end: bool = True,
    watch: InputWatch | None = None,
) -> tuple[Floats, list[BadRow]]:
    """Score all chunks of a table; see `score_chunk`.

    Raises
    ------
    InputError
        The first bad row, if that is to end the work.
    """
    results = [np.empty((0, model.output_size), np.float32)]
    found: list[BadRow] = []
    row = 0
    for chunk in chunks:
        scores, bad = score_chunk(model, chunk, row, bad_rows_end, watch, threads)
        if bad and bad_rows_end:
            raise bad[0].error()
        results.append(scores)
        found += bad
        row += chunk.rows
    return results[1] if len(results) == 2 else np.concatenate(results), found


def open_table(table: Any, binding: Binding) -> tuple[list[str], Iterable[Chunk]]:
    """Return the column names and the chunks of any table.

    Raises
    ------
    InputError
        ``invalid_table`` for what is none, and what `Binding.slots` raises.
    """
    if frames.is_pandas(table):
        header = list(map(str, table.columns))
        columns = frames.pandas_columns(binding.slots(header), table)
        return header, [Chunk(len(table), columns)]
    if frames.is_series(table):  # of pandas 3, one hands out Arrow data, too
        raise _no_table(table, "not a table; predict_one takes a single row")
    if is_arrow(table):
        stream = open_stream(table)
        places, slots = narrowed(binding.slots(stream.header))
        return stream.header, _arrow_chunks(stream.read(places).items, slots)
    if isinstance(table, np.ndarray) and table.dtype.names:
        table = {name: table[name] for name in table.dtype.names}
    if isinstance(table, Mapping):
        header = list(map(str, table))
        return header, [Chunk(*frames.numpy_columns(binding.slots(header), table))]
    if isinstance(table, list | tuple) and all(isinstance(row, Mapping) for row in table):
        return _open_rows(table, binding)
    raise _no_table(table, "not a table; predict takes matrices")


def _no_table(table: Any, message: str) -> InputError:
    kind = type(table)
    hint = " (collect() it first)" if kind.__name__ == "LazyFrame" else ""
    return InputError(
        "invalid_table",
        message,
        expected="an Arrow, pandas, Polars or DuckDB table, a dict of arrays, or a list of dicts",
        actual=f"{kind.__module__}.{kind.__qualname__}{hint}".removeprefix("builtins."),
    )


def _arrow_chunks(batches: Iterable[Any], slots: Sequence[Slot]) -> Iterator[Chunk]:
    row = 0
    for batch in batches:
        columns = [arrow.arrow_column(slot, batch.column(slot.position), row) for slot in slots]
        yield Chunk(batch.num_rows, columns)
        row += batch.num_rows


# ----------------------------------------------------------------------------------- rows of dicts


def _open_rows(rows: Sequence[Mapping[Any, Any]], binding: Binding) -> tuple[list[str], Any]:
    # Not every row may have every key; the first one says which names there are.
    if not rows:
        return [], []
    keys = list(rows[0])
    header = list(map(str, keys))
    return header, _row_chunks(rows, keys, binding.slots(header))


def _row_chunks(
    rows: Sequence[Mapping[Any, Any]], keys: Sequence[Any], slots: Sequence[Slot]
) -> Iterator[Chunk]:
    for start in range(0, len(rows), _ROWS_OF_OBJECTS):
        part = rows[start : start + _ROWS_OF_OBJECTS]
        yield Chunk(
            len(part), [_row_column(slot, keys[slot.position], part, start) for slot in slots]
        )


def _row_column(slot: Slot, key: Any, rows: Sequence[Mapping[Any, Any]], first_row: int) -> Column:
    try:
        return ObjectColumn(slot, [row[key] for row in rows])
    except KeyError:
        index = next(i for i, row in enumerate(rows) if key not in row)
        raise InputError(
            "missing_column", "missing in this row", column=slot.name, row=first_row + index
        ) from None


# ------------------------------------------------------------------------------------------ blocks


def score_chunk(
    model: RowScorer,
    chunk: Chunk,
    first_row: int = 0,
    first_only: bool = False,
    watch: InputWatch | None = None,
    threads: int | None = 1,
) -> tuple[Floats, list[BadRow]]:
    """Score the rows of a chunk.

    Parameters
    ----------
    model : RowScorer
    chunk : Chunk
    first_row : int
        Number of the chunk's first row.
    first_only : bool
        Return with the first block that has a bad row.
    watch : InputWatch, optional
        Sees every row before the model does, in as many threads.
    threads : int, optional
        How many threads share the blocks; None is every CPU that this process may use.

    Returns
    -------
    scores : ndarray of float32, shape (rows, O)
        Of a bad row, anything.
    bad : list of BadRow
        In the order of the rows, one for each bad row.
    """
    scores = np.empty((chunk.rows, model.output_size), np.float32)
    size = _block_rows(model.feature_size)
    starts = deque(range(0, chunk.rows, size))
    found: dict[int, list[BadRow]] = {}

    def work(watch_signals: bool = False) -> None:
        # Inputs that the model never reads stay 0.
        block = np.zeros((min(size, chunk.rows), model.feature_size), np.float32)
        for start in _claimed(starts):
            stop = min(start + size, chunk.rows)
            rows = block[: stop - start]
            bad = fill_rows(chunk, start, stop, rows, watch)
            for row in sorted(bad):
                found.setdefault(start, []).append(BadRow(first_row + start + row, *bad[row]))
                rows[row] = 0
            if bad and first_only:  # some thread has claimed every block before this one
                starts.clear()
            else:
                model.predict(rows, out=scores[start:stop])

    _work_off(starts, work, threads)
    return scores, [row for start in sorted(found) for row in found[start]]


def fill_on_threads(
    chunk: Chunk,
    start: int,
    stop: int,
    rows: Floats,
    watch: InputWatch | None = None,
    threads: int | None = 1,
) -> dict[int, tuple[str | None, BadCell]]:
    """Do what `fill_rows` does, for many rows on several threads."""
    size = _block_rows(rows.shape[1])
    starts = deque(range(start, stop, size))
    found: dict[int, tuple[str | None, BadCell]] = {}

    def work(watch_signals: bool = False) -> None:
        for first in _claimed(starts):
            last = min(first + size, stop)
            bad = fill_rows(chunk, first, last, rows[first - start : last - start], watch)
            found.update({first - start + row: problem for row, problem in bad.items()})

    _work_off(starts, work, threads)
    return found


def _block_rows(features: int) -> int:
    return max(64, _BLOCK_VALUES // features)


def _claimed(starts: deque[int]) -> Iterator[int]:
    """Yield what is left of some blocks that threads share."""
    while True:
        try:
            start = starts.popleft()
        except IndexError:
            return
        yield start


def _work_off(starts: deque[int], work: Callable[..., None], threads: int | None) -> None:
    if threads is None and len(starts) > 1:  # to find out what this process may use takes a while
        threads = default_thread_count().threads
    run_together(work, min(threads or 1, len(starts)) - 1, starts.clear)


def fill_rows(
    chunk: Chunk, start: int, stop: int, block: Floats, watch: InputWatch | None = None
) -> dict[int, tuple[str | None, BadCell]]:
    """Do what `fill` does; what is wrong with a row as such comes before its cells."""
    lost = {row - start: fault for row, fault in chunk.faults.items() if start <= row < stop}
    bad = fill(chunk.columns, start, stop, block, watch, lost)
    return {**bad, **{row: (None, fault) for row, fault in lost.items()}}
