"""Record batches in, record batches out: what files, engines and servers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arguments, values
from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.tables.arrow import arrow_column
from instmodel.tables.binding import Nulls
from instmodel.tables.cells import UNEXPECTED, InputWatch
from instmodel.tables.columns import match_columns, output_names
from instmodel.tables.naming import AS_THE_FEATURES, Naming
from instmodel.tables.scorer import RowScorer
from instmodel.tables.scoring import BadRow, Chunk, binding_of, say_positions, score_chunk
from instmodel.tables.streams import is_arrow, open_stream

OnBadRow = Literal["error", "null", "skip"]


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
    keep : sequence of str
        Columns that go along unchanged; ``"*"`` for all.
    outputs : sequence of str, optional
        Names of the output columns: by default ``score``, or ``output_0``, ``output_1`` …
    nulls : see `InstructionModel.predict_table`
    on_bad_row : {"error", "null", "skip"}
        Whether a row that cannot be scored ends the work, gets null outputs, or is left out.
    watches : callable, optional
        Makes for each batch what is to see its rows; it may find them bad.
    on_unexpected : {"error", "null", "skip"}
        As `on_bad_row`, of the rows that only a watch finds bad.
    threads : int, optional
        How many threads share a batch, see `instmodel.tables.scoring.score_chunk`.
    naming : Naming
        What the columns are called, if not as the features.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the results.

    Raises
    ------
    InstModelError
        What the columns of the schema get wrong, and ``invalid_outputs``, ``invalid_type``.
    """

    def __init__(
        self,
        model: RowScorer,
        schema: Any,
        keep: Sequence[str] = (),
        outputs: Sequence[str] | None = None,
        nulls: Nulls = "error",
        on_bad_row: OnBadRow = "error",
        watches: Callable[[], InputWatch] | None = None,
        on_unexpected: OnBadRow = "error",
        threads: int | None = 1,
        naming: Naming = AS_THE_FEATURES,
    ) -> None:
        pa = require("pyarrow", "arrow")
        arguments.choice(on_bad_row, "on_bad_row", get_args(OnBadRow))
        whole = watches is not None  # who expects something of an input wants it to be there
        self.slots = binding_of(model, nulls, naming, whole).slots(schema.names)
        say_positions(model, schema.names)
        keep = kept_columns(keep, schema.names)
        self.kept = match_columns(keep, schema.names)
        self._model = model
        self._on_bad_row, self._on_unexpected = on_bad_row, on_unexpected
        self._watches, self._threads = watches, threads
        names = checked_outputs(outputs, model.output_size, keep)
        fields = [pa.field(name, pa.float32()) for name in names]
        self.schema = pa.schema([*(schema.field(i) for i in self.kept), *fields])

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
        kept = [batch.column(i) for i in self.kept]
        return self.score_chunk(Chunk(batch.num_rows, columns), kept, first_row)

    def score_chunk(self, chunk: Chunk, kept: Sequence[Any], first_row: int = 0) -> Scored:
        """Score rows whose columns are there already; `kept` are Arrow arrays."""
        import pyarrow as pa

        watch = None if self._watches is None else self._watches()
        stop = self._on_bad_row == self._on_unexpected == "error"
        scores, bad = score_chunk(self._model, chunk, first_row, stop, watch, self._threads)
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

    def _fate(self, row: BadRow) -> OnBadRow:
        return self._on_unexpected if row.cell.code == UNEXPECTED else self._on_bad_row


def _arrow_floats(values: NDArray[np.float32], null: NDArray[np.bool_] | None) -> Any:
    """Return an Arrow array; ``pa.array`` would import pandas, which takes longer than scoring."""
    import pyarrow as pa

    validity = None
    if null is not None:
        validity = pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(pa.float32(), len(values), [validity, pa.py_buffer(values)])


def kept_columns(keep: Sequence[str], header: Sequence[str]) -> list[str]:
    """Return the names of the columns to keep; ``*`` alone is all of them."""
    names = arguments.names(keep, "keep")
    return list(header) if names == ["*"] and "*" not in header else names


def needed_columns(
    model: RowScorer,
    header: Sequence[str],
    keep: Sequence[str],
    nulls: Nulls,
    naming: Naming = AS_THE_FEATURES,
) -> list[int]:
    """Return the positions of a table's columns that are scored or kept, ascending."""
    needed = {slot.position for slot in binding_of(model, nulls, naming).slots(header)}
    needed.update(match_columns(kept_columns(keep, header), header))
    return sorted(needed)


def checked_outputs(
    outputs: Sequence[str] | None, count: int, keep: Sequence[str]
) -> Sequence[str]:
    """Return the names of the output columns.

    Raises
    ------
    InputError
        ``invalid_outputs``: too few or many, or one of them is kept already.
    """
    if outputs is None:
        outputs = output_names(count)
    try:
        names: list[Any] = [outputs] if isinstance(outputs, str) else list(outputs)
    except TypeError:
        names = [outputs]
    if len(names) != count or not all(isinstance(name, str) and name for name in names):
        raise InputError(
            "invalid_outputs",
            "not the names of the outputs",
            field="outputs",
            expected=f"{count} names",
            actual=repr(names),
        )
    taken = [*keep, *names]
    twice = next((name for name in taken if taken.count(name) > 1), None)
    if twice is not None:
        raise InputError("invalid_outputs", f"two columns of the result would be called {twice!r}")
    return names


def score_batches(
    model: RowScorer,
    batches: Iterable[Any],
    keep: Sequence[str],
    outputs: Sequence[str] | None,
    nulls: Nulls,
    on_bad_row: OnBadRow,
    naming: Naming = AS_THE_FEATURES,
) -> Iterator[Any]:
    """Score batches one by one; see `InstructionModel.score_batches`."""
    pa = require("pyarrow", "arrow")
    if is_arrow(batches):
        stream = open_stream(batches, join=False)
        batches = stream.read(needed_columns(model, stream.header, keep, nulls, naming)).items
    else:
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
            scorer = BatchScorer(model, schema, keep, outputs, nulls, on_bad_row, naming=naming)
        yield scorer.score(batch, first_row).batch
        first_row += batch.num_rows


def _fields(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
