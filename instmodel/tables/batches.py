"""Record batches in, record batches out: what files, engines and servers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instmodel.base import values
from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.tables.arrow import arrow_column
from instmodel.tables.binding import Binding
from instmodel.tables.cells import UNEXPECTED, InputWatch
from instmodel.tables.columns import match_columns
from instmodel.tables.options import OnBadRow, ScoreOptions
from instmodel.tables.scorer import RowScorer
from instmodel.tables.scoring import BadRow, Chunk, binding_of, say_positions, score_chunk
from instmodel.tables.streams import is_arrow, open_stream


class Scored(NamedTuple):
    """A scored batch."""

    batch: Any  # pyarrow.RecordBatch: the kept columns, then the outputs
    bad: list[BadRow]
    watch: InputWatch | None = None  # what has seen its rows


class BatchScorer:
    """Scores record batches of one schema. Any number of threads may use it at once.

    Parameters
    ----------
    model : RowScorer
    schema : pyarrow.Schema
        Of the batches.
    options : ScoreOptions
    watches : callable, optional
        Makes for each batch what is to see its rows; it may find them bad.
    on_unexpected : {"error", "null", "skip"}
        As `ScoreOptions.on_bad_row`, of the rows that only a watch finds bad.
    threads : int, optional
        How many threads share a batch, see `instmodel.tables.scoring.score_chunk`.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the results.
    slots : list of Slot
        Where the model's features are among the columns.
    kept, beside : list of int
        Where the columns are that go along, and that nothing but `score_chunk` looks at.

    Raises
    ------
    InstModelError
        What the columns of the schema get wrong, and ``invalid_outputs``.
    """

    def __init__(
        self,
        model: RowScorer,
        schema: Any,
        options: ScoreOptions,
        watches: Callable[[], InputWatch] | None = None,
        on_unexpected: OnBadRow = "error",
        threads: int | None = 1,
    ) -> None:
        pa = require("pyarrow", "arrow")
        whole = watches is not None  # who expects something of an input wants it to be there
        self.slots = self._binding(model, options, schema.names, whole).slots(schema.names)
        say_positions(model, schema.names)
        keep = options.kept_columns(schema.names)
        self.kept = match_columns(keep, schema.names)
        self.beside: list[int] = []
        self._model = model
        self._on_bad_row, self._on_unexpected = options.on_bad_row, on_unexpected
        self._watches, self._threads = watches, threads
        names = options.output_names(model.output_size, keep)
        fields = [pa.field(name, pa.float32()) for name in names]
        self.schema = pa.schema([*(schema.field(i) for i in self.kept), *fields])

    def _binding(
        self, model: RowScorer, options: ScoreOptions, header: Sequence[str], whole: bool
    ) -> Binding:
        return binding_of(model, options.nulls, options.naming, whole)

    def score(self, batch: Any, first_row: int = 0) -> Scored:
        """Score a record batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
        first_row : int
            Number of its first row, for errors.

        Raises
        ------
        InstModelError
            With ``on_bad_row="error"``, for the first bad row.
        """
        columns = [arrow_column(s, batch.column(s.position), first_row) for s in self.slots]
        kept, beside = ([batch.column(i) for i in places] for places in (self.kept, self.beside))
        return self.score_chunk(Chunk(batch.num_rows, columns), kept, beside, first_row)

    def score_chunk(
        self, chunk: Chunk, kept: Sequence[Any], beside: Sequence[Any] = (), first_row: int = 0
    ) -> Scored:
        """Score rows whose columns are there already; `kept` and `beside` are Arrow arrays."""
        import pyarrow as pa

        watch = None if self._watches is None else self._watches()
        stop = self._on_bad_row == self._on_unexpected == "error"
        scores, bad = self._scores(chunk, beside, first_row, stop, watch)
        for row in bad:
            if self._fate(row) == "error":
                raise row.error()
        mask: NDArray[np.bool_] | None = None
        if bad:
            mask = np.zeros(chunk.rows, bool)
            mask[[row.row - first_row for row in bad if row.row is not None]] = True
        # Of the rows that are left, either all get null outputs, or none does.
        skips = "skip" in (self._on_bad_row, self._on_unexpected)
        null = None if skips else mask
        outputs = [_arrow_floats(column, null) for column in np.ascontiguousarray(scores.T)]
        batch = pa.RecordBatch.from_arrays([*kept, *outputs], schema=self.schema)
        if mask is not None and skips:
            batch = batch.filter(pa.array(~mask))
        return Scored(batch, bad, watch)

    def _scores(
        self,
        chunk: Chunk,
        beside: Sequence[Any],
        first_row: int,
        first_only: bool,
        watch: InputWatch | None,
    ) -> tuple[NDArray[np.float32], list[BadRow]]:
        return score_chunk(self._model, chunk, first_row, first_only, watch, self._threads)

    def _fate(self, row: BadRow) -> OnBadRow:
        return self._on_unexpected if row.cell.code == UNEXPECTED else self._on_bad_row


def _arrow_floats(values: NDArray[np.float32], null: NDArray[np.bool_] | None) -> Any:
    """Return an Arrow array; ``pa.array`` would import pandas, which takes longer than scoring."""
    import pyarrow as pa

    validity = None
    if null is not None:
        validity = pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(pa.float32(), len(values), [validity, pa.py_buffer(values)])


def needed_columns(model: RowScorer, header: Sequence[str], options: ScoreOptions) -> list[int]:
    """Return the positions of a table's columns that are scored or kept, ascending."""
    slots = binding_of(model, options.nulls, options.naming).slots(header)
    kept = match_columns(options.kept_columns(header), header)
    return sorted({slot.position for slot in slots}.union(kept))


def score_batches(
    model: RowScorer,
    batches: Iterable[Any],
    options: ScoreOptions,
) -> Iterator[Any]:
    """Score batches one by one; see `InstructionModel.score_batches`."""
    require("pyarrow", "arrow")
    if is_arrow(batches):
        stream = open_stream(batches, join=False)
        batches = stream.read(needed_columns(model, stream.header, options)).items
    return score_all(batches, lambda schema: BatchScorer(model, schema, options))


def score_all(batches: Any, scorer_of: Callable[[Any], BatchScorer]) -> Iterator[Any]:
    """Score an iterable of record batches, with what `scorer_of` makes of their schema."""
    pa = require("pyarrow", "arrow")
    try:
        batches = iter(batches)
    except TypeError:
        raise values.wrong_type(batches, "batches", "pyarrow record batches") from None
    scorer: BatchScorer | None = None
    first_row = 0
    schema = None
    for batch in batches:
        if not isinstance(batch, pa.RecordBatch):
            raise values.wrong_type(batch, "batches", "pyarrow record batches")
        if scorer is None or not batch.schema.equals(schema):
            if scorer is not None:
                raise InputError(
                    "invalid_table",
                    "the batches have different columns",
                    expected=_fields(schema),
                    actual=_fields(batch.schema),
                )
            schema = batch.schema
            scorer = scorer_of(schema)
        yield scorer.score(batch, first_row).batch
        first_row += batch.num_rows


def _fields(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
