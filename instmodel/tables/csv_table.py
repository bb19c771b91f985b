"""Read CSV with Arrow: cells are text until a column of numbers is wanted.

No row is dropped: one that is none (blank, of the wrong length, in another encoding) stands in its
batch as nulls, with what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from instmodel.errors import InputError
from instmodel.tables.arrow import text_column
from instmodel.tables.cells import BadCell
from instmodel.tables.columns import holds_numbers
from instmodel.tables.csv_blocks import BLANK, CsvBlock, CsvBlocks
from instmodel.tables.inputs import Source
from instmodel.tables.reader import BatchedReader, Rows, TextReader


class CsvTable(TextReader, BatchedReader):
    """A CSV file with a header."""

    def _open(self, source: Source) -> Any:
        import pyarrow as pa

        self._size = source.stamp()["size"]
        self._options = source.csv
        self._file = source.open()
        try:
            self._blocks = CsvBlocks(self._file, source.csv)
        except BaseException:
            self._file.close()
            raise
        self._faults: dict[int, BadCell] = {}  # by row of the file, until it is given out
        return pa.schema([(name, pa.string()) for name in self._blocks.header])

    def check_names(self) -> None:
        """Refuse a header of numbers, which is most likely the first row.

        Raises
        ------
        InputError
            ``invalid_table``
        """
        if holds_numbers(self._blocks.header):
            raise InputError(
                "invalid_table",
                "numbers where the column names should be; put a line of names before them",
                line=1,
            )

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[Any]:
        known = {name: place for place, name in enumerate(self._blocks.header)}
        places = [known[name] for name in names]
        for block in self._blocks:
            batch, wrong = self._parse(block, places)
            first = self._blocks.rows
            self._faults |= {first + row: wrong[row] for row in sorted(wrong)}
            self._blocks.rows += batch.num_rows
            yield batch

    def _parse(self, block: CsvBlock, places: Sequence[int]) -> tuple[Any, dict[int, BadCell]]:
        """Return some columns of a block, and what is wrong with rows as such."""
        import pyarrow as pa
        import pyarrow.csv as pc

        options = self._options
        # Not those of the header, which may be there twice.
        names = list(map(str, range(len(self._blocks.header))))
        wrong: dict[int, BadCell] = {}

        def misfit(row: Any) -> str:
            wrong[row.number - 1] = self._misfit(row, block)
            return "skip"

        table = pc.read_csv(
            pa.BufferReader(block.data),
            # One thread, or nobody numbers the rows that do not fit.
            pc.ReadOptions(use_threads=False, block_size=len(block.data) + 1, column_names=names),
            pc.ParseOptions(
                delimiter=options.delimiter,
                quote_char='"' if block.has_quotes else False,
                newlines_in_values=block.has_quotes,
                ignore_empty_lines=False,
                invalid_row_handler=misfit,
            ),
            pc.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                # One at least: an empty list would stand for all.
                include_columns=[names[place] for place in places] or names[:1],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=["", *options.nulls],
            ),
        )
        batch = _one_batch(table)
        if len(names) == 1:
            # The only way to write an empty cell that is no blank line.
            batch = _empty_as_null(batch)
        if wrong:
            batch = _spread(batch, list(wrong))
        message, expected = options.misfit()
        for row in block.not_utf8():
            wrong[row] = BadCell(
                "invalid_table", message, expected, "other bytes", line=block.line(row)
            )
        if wrong:
            batch = _cleared(batch, list(wrong))
        return batch.select(list(range(len(places)))), wrong

    def _misfit(self, row: Any, block: CsvBlock) -> BadCell:
        line = block.line(row.number - 1)
        if row.text.startswith(BLANK):
            return BadCell("invalid_table", "the line is blank", "a row", "a blank line", line=line)
        expected, actual = f"{row.expected_columns} cells", str(row.actual_columns)
        message = "the row has the wrong length"
        return BadCell("invalid_table", message, expected, actual, line=line)

    def _rows(self, batch: Any, first: int) -> Rows:
        rows = [row for row in self._faults if row < first + batch.num_rows]
        faults = {row - first: self._faults.pop(row) for row in rows}
        make = partial(text_column, decimal=self._options.decimal)
        return Rows(batch, self.added, make, faults)


def _one_batch(table: Any) -> Any:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


def _empty_as_null(batch: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = batch.column(0)
    cells = pc.if_else(pc.equal(cells, ""), pa.scalar(None, cells.type), cells)
    return pa.RecordBatch.from_arrays([cells], schema=batch.schema)


def _spread(batch: Any, missing: Sequence[int]) -> Any:
    """Return a batch with rows of nulls where rows are missing."""
    there = np.ones(batch.num_rows + len(missing), bool)
    there[list(missing)] = False
    return _taken(batch, np.cumsum(there) - 1, there)


def _cleared(batch: Any, rows: Sequence[int]) -> Any:
    """Return a batch with nulls in some rows."""
    there = np.ones(batch.num_rows, bool)
    there[list(rows)] = False
    return _taken(batch, np.arange(batch.num_rows), there)


def _taken(batch: Any, places: Any, there: Any) -> Any:
    import pyarrow as pa

    validity = pa.py_buffer(np.packbits(there, bitorder="little"))
    values = pa.py_buffer(np.maximum(places, 0).astype(np.int64))
    return batch.take(pa.Array.from_buffers(pa.int64(), len(there), [validity, values]))
