"""Jobs on events: which rows are the steps of one sequence, and the states from run to run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from instmodel.base import arguments, values
from instmodel.errors import InputError
from instmodel.events.batches import EventBatches
from instmodel.events.columns import Order, key_type
from instmodel.events.held import Undo
from instmodel.events.scoring import EventScorer
from instmodel.events.store import StateStore
from instmodel.events.store_file import kind_of_states
from instmodel.stores import location
from instmodel.tables.batches import BatchScorer
from instmodel.tables.inputs import Source
from instmodel.tables.options import ScoreOptions
from instmodel.tables.reader import Reader
from instmodel.tables.readers import open_reader
from instmodel.tables.sorted_rows import SortedRows, Times

if TYPE_CHECKING:
    from instmodel.jobs.job import Job


@dataclass(frozen=True)
class EventOptions:
    """How the rows of a job make sequences, for a recurrent model.

    Parameters
    ----------
    by : sequence of str
        The columns that name the sequence of a row.
    order : str, optional
        The column that never goes back within a sequence: a number, date or time.
    states_in : path-like, optional
        Where sequences go on: a file that an earlier run wrote as its `states_out`, or
        `StateStore.save`.
    states_out : path-like, optional
        Where the states go, Parquet or Arrow, after the output and only with it.
    last : bool
        Write one row for each sequence that had an event: its key and the last output.
    sort : bool
        Sort each file by `order` first, with DuckDB, which spills to the disk.
    """

    by: Sequence[str]
    order: str | None = None
    states_in: str | os.PathLike[str] | None = None
    states_out: str | os.PathLike[str] | None = None
    last: bool = False
    sort: bool = False

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises
        ------
        InputError
            ``invalid_type``, ``invalid_table``.
        """
        if not arguments.names(self.by, "by"):
            raise InputError("invalid_type", "no columns", field="by", expected="one or more")
        if self.order is not None and not isinstance(self.order, str):
            raise arguments.wrong_type(self.order, "order", "the name of a column")
        for name in ("states_in", "states_out"):
            path = getattr(self, name)
            if path is not None:
                arguments.path(path, name)
                kind_of_states(location(path))
        if values.boolean(self.sort, "sort") and self.order is None:
            raise InputError("invalid_type", "sorted by what?", field="sort", expected="order, too")
        values.boolean(self.last, "last")

    def meaning(self) -> dict[str, Any]:
        """Return which of them decide the rows of the output, as JSON."""
        states = None if self.states_in is None else location(self.states_in).stamp()
        by = arguments.names(self.by, "by")
        return {"by": by, "order": self.order, "sort": self.sort, "states_in": states}


class RowScoring:
    """How the rows of a job are scored: independent of each other.

    Parameters
    ----------
    job : Job

    Attributes
    ----------
    at_a_time : int or None
        Batches that may be scored at once; None: as many as there are threads.
    only_last : bool
        Whether the output has but the last row of each sequence.
    sequences : int or None
        How many have a state in the end, if any are saved.
    """

    at_a_time: int | None = None
    only_last = False
    sequences: int | None = None

    def __init__(self, job: Job) -> None:
        self._job = job

    def scorer(self, schema: Any, options: ScoreOptions, **watching: Any) -> BatchScorer:
        """Return what scores batches of a schema; `watching` as for `BatchScorer`."""
        return BatchScorer(self._job.model, schema, options, **watching)

    def opened(self, source: Source) -> Reader:
        """Return what reads a file."""
        return open_reader(source, by_position=not self._job.model.features)

    def finish(self) -> None:
        """Do what is to be done when the last row was scored, and before the output appears."""

    def last_rows(self) -> tuple[Any, Iterator[Any]]:
        """Return the schema of the last rows of sequences, and record batches of them."""
        raise NotImplementedError


class EventScoring(RowScoring):
    """Scores the rows of a job, file after file, and keeps the state of every sequence.

    Parameters
    ----------
    job : Job
    options : EventOptions
    events : EventScorer
    undo : Undo
        Of its `changing`.
    states : binary file, optional
        Where the states go.
    """

    at_a_time = 1  # rows follow each other; all threads share a batch

    def __init__(
        self,
        job: Job,
        options: EventOptions,
        events: EventScorer,
        undo: Undo,
        states: BinaryIO | None,
    ) -> None:
        super().__init__(job)
        self._options, self._events, self._undo, self._file = options, events, undo, states
        self._keys: list[Any] | None = None  # the fields of the columns `by`
        self.only_last = options.last
        if options.last:
            events.remember_latest()

    def scorer(self, schema: Any, options: ScoreOptions, **watching: Any) -> BatchScorer:
        """Return what scores batches of a schema; `watching` as for `BatchScorer`."""
        model = self._job.model
        batches = EventBatches(self._events, self._undo, model, schema, options, **watching)
        keys = [_plain(schema.field(name)) for name in arguments.names(self._options.by, "by")]
        if self._keys not in (None, keys):  # the files differ in them: what holds those of both
            keys = [field.with_type(key_type(field.type) or field.type) for field in keys]
        self._keys = keys
        return batches

    def opened(self, source: Source) -> Reader:
        """Return what reads a file."""
        reader = super().opened(source)
        order = self._options.order
        if not self._options.sort or order is None:
            return reader
        return SortedRows(reader, order, partial(_times, Order(order)))

    def finish(self) -> None:
        """Write the states; their file appears behind the output."""
        if self._file is not None and self._options.states_out is not None:
            kind = kind_of_states(location(self._options.states_out))
            self.sequences = self._events.save_states(self._file, kind)

    def last_rows(self) -> tuple[Any, Iterator[Any]]:
        """Return the schema of the last rows of sequences, and record batches of them."""
        import pyarrow as pa

        keys = self._keys or []
        names = self._job.options.output_names(self._job.model.output_size, self._options.by)
        schema = pa.schema([*keys, *(pa.field(name, pa.float32()) for name in names)])

        def rows() -> Iterator[Any]:
            for columns, outputs in self._events.latest():
                scores = [pa.array(column) for column in np.ascontiguousarray(outputs.T)]
                found = [c.cast(f.type) for c, f in zip(columns, keys, strict=True)]
                yield pa.RecordBatch.from_arrays([*found, *scores], schema=schema)

        return schema, rows()


@contextlib.contextmanager
def scoring_of(job: Job) -> Iterator[RowScoring]:
    """Hand out what scores the rows of a job; the states appear at the end, behind the output."""
    options = job.events
    if options is None:
        yield RowScoring(job)
        return
    store = StateStore(job.model)
    if options.states_in is not None:
        store = StateStore.load(options.states_in, job.model)
        if store.order is not None and options.order is None:
            raise InputError(
                "column_mismatch",
                "the states remember the order of events: without it, nobody would notice that "
                "some come a second time",
                field="order",
                expected=store.order,
                actual="none",
            )
    events = EventScorer(job.model, options.by, options.order, store, job.threads)
    with contextlib.ExitStack() as stack:
        states = None
        if options.states_out is not None:
            states = stack.enter_context(location(options.states_out).replacing())
        with events.changing() as undo:
            yield EventScoring(job, options, events, undo, states)


def _plain(field: Any) -> Any:
    """Return a column of keys without its encoding: each key comes but once, in no order."""
    import pyarrow as pa

    kind = field.type
    encoded = pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind)
    return field.with_type(kind.value_type) if encoded else field


def _times(order: Order, column: Any) -> Times:
    return order.numbers(order.read(column))
