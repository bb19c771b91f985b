"""Record batches of events: what `instmodel.tables.batches` is for independent rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from instmodel.events.held import Floats, Undo
from instmodel.events.recurrent import RecurrentModel
from instmodel.events.scoring import EventScorer
from instmodel.tables.batches import BatchScorer, score_all
from instmodel.tables.beside import binding_beside
from instmodel.tables.binding import Binding
from instmodel.tables.cells import InputWatch
from instmodel.tables.columns import match_columns
from instmodel.tables.options import OnBadRow, ScoreOptions
from instmodel.tables.scorer import RowScorer
from instmodel.tables.scoring import BadRow, Chunk
from instmodel.tables.streams import is_arrow, open_stream


class EventBatches(BatchScorer):
    """Scores record batches of one schema, in the order in which the events came.

    Parameters
    ----------
    events : EventScorer
    undo : Undo
        Of `EventScorer.changing`.
    model : RecurrentModel
    schema, options, watches, on_unexpected
        As for `BatchScorer`.
    """

    def __init__(
        self,
        events: EventScorer,
        undo: Undo,
        model: RecurrentModel,
        schema: Any,
        options: ScoreOptions,
        watches: Callable[[], InputWatch] | None = None,
        on_unexpected: OnBadRow = "error",
    ) -> None:
        self._events, self._undo = events, undo
        super().__init__(model, schema, options, watches, on_unexpected)
        self.beside = match_columns(events.columns, schema.names)

    def _binding(
        self, model: RowScorer, options: ScoreOptions, header: Sequence[str], whole: bool
    ) -> Binding:
        others = [*options.kept_columns(header), *self._events.columns]
        return binding_beside(model, header, others, options, whole)

    def _scores(
        self,
        chunk: Chunk,
        beside: Sequence[Any],
        first_row: int,
        first_only: bool,
        watch: InputWatch | None,
    ) -> tuple[Floats, list[BadRow]]:
        return self._events.score(self._undo, chunk, beside, first_row, first_only, watch)


def score_batches(
    model: RecurrentModel, batches: Iterable[Any], options: ScoreOptions, events: EventScorer
) -> Iterator[Any]:
    """Score batches of events one by one; see `InstructionModel.score_batches`."""
    if is_arrow(batches):
        stream = open_stream(batches, join=False)
        batches = stream.read(range(len(stream.header))).items

    def scored() -> Iterator[Any]:
        with events.changing() as undo:
            yield from score_all(
                batches, lambda schema: EventBatches(events, undo, model, schema, options)
            )

    return scored()
