"""Score the events of many sequences that come in one table, in any order of the sequences.

Design
------
A. Rows come in chunks, as for `instmodel.tables.scoring`, and are scored in blocks of thousands of
   rows: what is needed beside the table, its scores and the states does not grow with the table.
B. In a block, each row's key becomes a slot, rows are brought together by their slots, and the
   engine runs each group as the next steps of its sequence. A sequence goes through as many blocks
   as have rows of it: where it is cut makes no difference to the bits.
C. What changes in the store is remembered first, so that an error takes everything back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from instmodel._keys import Grouper
from instmodel.base import arguments
from instmodel.compiled.sequences import run_events
from instmodel.errors import InputError
from instmodel.events import store_file
from instmodel.events.columns import Order, Times, as_arrow, null_key, nulls_in, shown
from instmodel.events.held import SOME_KEYS, Floats, Held, Undo, held_for
from instmodel.events.keys import Slots
from instmodel.events.recurrent import RecurrentModel
from instmodel.events.store import StateStore, checked_store
from instmodel.tables.beside import binding_beside, chunks_beside, parts, some_rows
from instmodel.tables.binding import Nulls
from instmodel.tables.cells import InputWatch
from instmodel.tables.options import ScoreOptions
from instmodel.tables.scoring import BadRow, Chunk, fill_on_threads, say_positions

# Values of a block: 8 MiB. The more rows, the more of them are of one sequence.
_BLOCK_VALUES = 1 << 21
_LEAST_ROWS, _MOST_ROWS = 1 << 10, 1 << 16


def predict_events(
    model: RecurrentModel,
    table: Any,
    by: str | Sequence[str],
    order: str | None = None,
    states: StateStore | None = None,
    nulls: Nulls = "error",
    threads: int | None = None,
) -> Floats:
    """Score a table of events; see `InstructionModel.predict_events`."""
    scorer = EventScorer(model, by, order, states, threads)
    options = ScoreOptions(nulls=nulls)
    found: list[Floats] = []
    row = 0
    with scorer.changing() as undo:
        for part, header, columns in parts(table, model, [], scorer.columns):
            say_positions(model, header)
            binding = binding_beside(model, header, scorer.columns, options)
            for chunk, cells in chunks_beside(part, binding, scorer.columns, columns):
                scores, bad = scorer.score(undo, chunk, cells, row, first_only=True)
                if bad:
                    raise bad[0].error()
                found.append(scores)
                row += chunk.rows
    return _joined(found, model.output_size)


def _joined(parts: list[Floats], size: int) -> Floats:
    """Return arrays as one, and let go of each as soon as it was copied."""
    if len(parts) == 1:
        return parts[0]
    whole = np.empty((sum(map(len, parts)), size), np.float32)
    row = 0
    for place, part in enumerate(parts):
        whole[row : row + len(part)] = part
        row += len(part)
        parts[place] = part[:0].copy()
    return whole


class EventScorer:
    """Scores events, and keeps the state of each one's sequence for the next ones.

    Parameters
    ----------
    model : RecurrentModel
    by : str or sequence of str
        The columns that name the sequence.
    order : str, optional
        The column whose values never go back within a sequence.
    states : StateStore, optional
        Where sequences go on and what gets their states; else they begin anew, and none is kept.
    threads : int, optional
        None is every CPU that this process may use.

    Attributes
    ----------
    columns : list of str
        Those of `by`, then `order`.

    Raises
    ------
    InputError
        ``invalid_type``, ``repeated_column``, ``state_model_mismatch``.
    """

    def __init__(
        self,
        model: RecurrentModel,
        by: str | Sequence[str],
        order: str | None = None,
        states: StateStore | None = None,
        threads: int | None = None,
    ) -> None:
        self._by = arguments.names(by, "by")
        if not self._by:
            raise InputError("invalid_type", "no columns", field="by", expected="one or more")
        for name in self._by:
            if self._by.count(name) > 1:
                raise InputError("repeated_column", "twice in `by`", column=name)
        if order is not None and not isinstance(order, str):
            raise arguments.wrong_type(order, "order", "the name of a column")
        self._store = StateStore(model) if states is None else checked_store(states)
        self._store.check(model)
        self._order = order
        self.columns = [*self._by, *([] if order is None else [order])]
        self._model = model
        self._engine: Any = model  # as which alone `compiled` knows it
        self._threads = threads
        self._initial = model.initial_state(1)[0]
        self._grouper = Grouper()
        rows = max(_LEAST_ROWS, min(_MOST_ROWS, _BLOCK_VALUES // model.feature_size))
        self._block_rows = rows
        self._latest: _Latest | None = None
        self._block = np.zeros((0, model.feature_size), np.float32)

    def changing(self) -> Any:
        """Return what is to be entered for `score`: all calls of it count, or none does."""
        return self._store._changing()

    def remember_latest(self) -> None:
        """Keep each sequence's last output from now on, for `latest`."""
        self._latest = _Latest(self._model.output_size)

    def latest(self) -> Iterator[tuple[list[Any], Floats]]:
        """Yield each sequence that had an event since `remember_latest`.

        Yields
        ------
        keys : list of pyarrow.Array
            The columns `by`.
        outputs : float32 (n, O)
            Of each one's last event.
        """
        held = self._store._held
        if self._latest is None or held is None:
            return
        for start in range(0, len(held), SOME_KEYS):
            stop = min(start + SOME_KEYS, len(held))
            slots = self._latest.among(start, stop)
            if len(slots):
                keys = [array.take(slots - start) for array in held.keys.arrays(start, stop)]
                yield keys, self._latest.outputs[slots]

    def save_states(self, file: BinaryIO, kind: str) -> int:
        """Write the store into an open file, as `StateStore.save` would; return how many it holds.

        Parameters
        ----------
        file : BinaryIO
        kind : {"parquet", "arrow"}
        """
        held = self._store._held
        store_file.write_into(file, kind, held, self._store.digest, self._store.state_size)
        return 0 if held is None else len(held)

    def score(
        self,
        undo: Undo,
        chunk: Chunk,
        cells: Sequence[Any],
        first_row: int = 0,
        first_only: bool = False,
        watch: InputWatch | None = None,
    ) -> tuple[Floats, list[BadRow]]:
        """Score the events of a chunk.

        Parameters
        ----------
        undo : Undo
            Of `changing`.
        chunk : Chunk
        cells : sequence of columns
            Those of `columns`, of any library, with the rows of the chunk.
        first_row : int
            Number of the chunk's first row.
        first_only : bool
            Return with the first block that has a bad row.
        watch : InputWatch, optional
            Sees every row before the model does, and may find rows bad.

        Returns
        -------
        scores : ndarray of float32, shape (rows, O)
            Of a bad row, anything: it is no step of its sequence.
        bad : list of BadRow
            In the order of the rows, one for each bad row.

        Raises
        ------
        InputError
            ``unordered_events``; ``invalid_cell``, ``column_mismatch`` for what is wrong with the
            columns as such.
        """
        scores = np.empty((chunk.rows, self._model.output_size), np.float32)
        bad: list[BadRow] = []
        for start in range(0, chunk.rows, self._block_rows):
            stop = min(start + self._block_rows, chunk.rows)
            part = scores[start:stop]
            bad += self._score(undo, chunk, cells, start, first_row, part, first_only, watch)
            if bad and first_only:
                break
        return scores, bad

    def _score(
        self,
        undo: Undo,
        chunk: Chunk,
        cells: Sequence[Any],
        start: int,
        first_row: int,
        scores: Floats,
        first_only: bool,
        watch: InputWatch | None,
    ) -> list[BadRow]:
        """Score the rows of a block."""
        rows = len(scores)
        if rows > len(self._block):
            # Inputs that the model never reads stay 0.
            self._block = np.zeros((rows, self._model.feature_size), np.float32)
        x = self._block[:rows]
        problems = fill_on_threads(chunk, start, start + rows, x, watch, self._threads)
        arrays = [
            as_arrow(some_rows(column, start, start + rows), name)
            for name, column in zip(self.columns, cells, strict=True)
        ]
        for name, array in reversed(list(zip(self.columns, arrays, strict=True))):
            for row in nulls_in(array).tolist():
                if start + row not in chunk.faults:  # whose cells are all null
                    problems[row] = (name, null_key())
        bad = [BadRow(first_row + start + row, *problems[row]) for row in sorted(problems)]
        if (bad and first_only) or len(bad) == rows:
            return bad
        good: Slots | None = None  # None: all are
        if bad:
            good = np.delete(np.arange(rows, dtype=np.int64), list(problems))
            arrays = [array.take(good) for array in arrays]
        held = self._held(arrays)
        numbers = first_row + start + (np.arange(rows) if good is None else good)
        order, starts, members, latest = self._grouped(held, arrays, numbers)
        undo.keep(held, members)
        if good is not None:
            order = good[order]
        run_events(self._engine, x, order, starts, held.states, members, scores, self._threads)
        if latest is not None:
            held.last[members, 0] = latest
        if self._latest is not None:
            self._latest.put(members, scores[order[starts[1:] - 1]])
        return bad

    def _grouped(
        self, held: Held, arrays: Sequence[Any], numbers: NDArray[np.intp]
    ) -> tuple[Slots, Slots, Slots, Times | None]:
        """Return what `Grouper.group` does for rows that have these numbers in the table."""
        keys = held.keys.read(arrays[: len(self._by)])
        slots = held.slots(keys, self._initial)
        times = last = None
        if self._order is not None and held.order is not None:
            times, last = held.order.numbers(held.order.read(arrays[-1])), held.last[:, 0]
        order, starts, members, latest, back = self._grouper.group(slots, len(held), times, last)
        if back >= 0 and times is not None and held.order is not None:
            before = np.flatnonzero(slots[:back] == slots[back])
            newest = times[before[-1:]] if len(before) else held.last[slots[back], :]
            key = ", ".join(shown(column.slice(back, 1)) for column in keys)
            raise InputError(
                "unordered_events",
                f"the event comes before the last one of its sequence, whose key is {key}",
                column=self._order,
                row=int(numbers[back]),
                expected=f"at least {shown(held.order.values(newest))}",
                actual=shown(held.order.values(times[back : back + 1])),
            )
        return order, starts, members, latest

    def _held(self, arrays: Sequence[Any]) -> Held:
        """Return what the store holds, made for these columns if there is nothing yet."""
        held = self._store._held
        if held is None:
            held = held_for(self._by, arrays[: len(self._by)], self._model.state_size)
            self._store._held = held
        elif held.keys.names != self._by:
            raise _other_columns("by", held.keys.names, self._by)
        if self._order is not None:
            if held.order is None:
                held.put_in_order(Order(self._order))
            elif held.order.name != self._order:
                raise _other_columns("order", [held.order.name], [self._order])
        return held


class _Latest:
    """The last output of each sequence, by slot."""

    def __init__(self, size: int) -> None:
        self.outputs: Floats = np.empty((0, size), np.float32)
        self._has = np.zeros(0, bool)

    def put(self, slots: Slots, outputs: Floats) -> None:
        most = int(slots.max(initial=-1)) + 1
        if most > len(self._has):
            room = most + most // 2
            self.outputs = np.resize(self.outputs, (room, self.outputs.shape[1]))
            self._has = np.concatenate([self._has, np.zeros(room - len(self._has), bool)])
        self.outputs[slots], self._has[slots] = outputs, True

    def among(self, start: int, stop: int) -> Slots:
        """Return which of the slots start … stop - 1 have an output."""
        return start + np.flatnonzero(self._has[start:stop])


def _other_columns(field: str, expected: Sequence[str], actual: Sequence[str]) -> InputError:
    return InputError(
        "column_mismatch",
        "the store was filled from other columns",
        field=field,
        expected=", ".join(expected),
        actual=", ".join(actual),
    )
