"""Scores as a table of the kind that was scored, beside the columns that go along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instmodel.errors import InputError
from instmodel.tables.batches import BatchScorer, needed_columns
from instmodel.tables.cells import InputWatch, Mask
from instmodel.tables.columns import match_columns
from instmodel.tables.frames import is_pandas, is_series
from instmodel.tables.options import ScoreOptions
from instmodel.tables.scorer import RowScorer
from instmodel.tables.scoring import binding_of, open_table, say_positions, score_chunks
from instmodel.tables.streams import is_a, is_arrow, open_stream

Floats = NDArray[np.float32]


class Scores(NamedTuple):
    """The scores of the rows that are left, and which these are.

    Attributes
    ----------
    columns : dict of str to ndarray of float32
        The outputs by name.
    null : (rows,) bool, or None
        Which of them are null; None: none can be.
    left : (rows of the table,) bool, or None
        Which rows of the table are left; None: all.
    """

    columns: dict[str, Floats]
    null: Mask | None
    left: Mask | None


def scored_table(
    model: RowScorer,
    table: Any,
    options: ScoreOptions,
    threads: int | None,
    watch: InputWatch | None = None,
) -> Any:
    """Return the kept columns and the scores; see `InstructionModel.predict_table`."""
    of_polars = is_a(table, "polars", "DataFrame")
    if is_arrow(table) and not (of_polars or is_pandas(table) or is_series(table)):
        return _of_arrow(model, table, options, threads, watch)
    header, chunks = open_table(table, binding_of(model, options.nulls))
    say_positions(model, header)
    keep = options.kept_columns(header)
    places = match_columns(keep, header) if header else []  # no rows of dicts have no names
    names = options.output_names(model.output_size, keep)
    found, bad = score_chunks(model, chunks, threads, options.on_bad_row == "error", watch)
    is_bad = np.zeros(len(found), bool)
    is_bad[[row.row for row in bad if row.row is not None]] = True
    left = ~is_bad if options.on_bad_row == "skip" else None
    if left is not None:
        found = found[left]
    columns = dict(zip(names, np.ascontiguousarray(found.T), strict=True))
    scores = Scores(columns, is_bad if options.on_bad_row == "null" else None, left)
    if is_pandas(table):
        return _of_pandas(table, places, scores)
    if of_polars:
        return _of_polars(table, places, scores)
    if isinstance(table, Mapping):
        return _of_mapping(table, places, scores, len(is_bad))
    if isinstance(table, np.ndarray):
        return _of_records(table, places, scores)
    return _of_rows(table, places, scores)


def _of_arrow(
    model: RowScorer,
    table: Any,
    options: ScoreOptions,
    threads: int | None,
    watch: InputWatch | None,
) -> Any:
    import pyarrow as pa

    stream = open_stream(table)
    schema, batches = stream.read(needed_columns(model, stream.header, options))
    say_positions(model, stream.header)
    # Of the table, of which the stream has no more than what is needed.
    whole = replace(options, keep=options.kept_columns(stream.header))
    scorer = BatchScorer(
        model,
        schema,
        whole,
        watches=None if watch is None else lambda: watch,
        on_unexpected=options.on_bad_row,
        threads=threads,
    )
    scored, row = [], 0
    for batch in batches:
        scored.append(scorer.score(batch, row).batch)
        row += batch.num_rows
    if isinstance(table, pa.RecordBatch):  # of which, without rows, a stream has no batch
        return scored[0] if scored else pa.RecordBatch.from_pylist([], scorer.schema)
    return pa.Table.from_batches(scored, scorer.schema)


def _of_pandas(frame: Any, places: list[int], scores: Scores) -> Any:
    import pandas as pd

    rows = slice(None) if scores.left is None else scores.left
    kept = frame.iloc[rows, places]
    columns: dict[str, Any] = dict(scores.columns)
    if scores.null is not None:  # a type in which NaN is no null
        columns = {
            name: pd.arrays.FloatingArray(column, scores.null.copy())
            for name, column in columns.items()
        }
    found = pd.DataFrame(columns, index=kept.index)
    levels = kept.columns.nlevels
    if levels > 1:
        found.columns = pd.MultiIndex.from_tuples([(n, *[""] * (levels - 1)) for n in columns])
    return pd.concat([kept, found], axis=1) if places else found


def _of_polars(frame: Any, places: list[int], scores: Scores) -> Any:
    import polars as pl

    found = pl.DataFrame(scores.columns)
    if scores.null is not None:
        found = found.with_columns(
            pl.when(pl.lit(pl.Series(~scores.null))).then(pl.all()).name.keep()
        )
    if not places:
        return found
    kept = frame[:, places]
    if scores.left is not None:
        kept = kept.filter(pl.Series(scores.left))
    return kept.hstack(found)


def _of_mapping(table: Mapping[Any, Any], places: list[int], scores: Scores, rows: int) -> Any:
    keys = list(table)
    kept = {keys[place]: table[keys[place]] for place in places}
    for name, column in kept.items():
        if len(column) != rows:
            raise InputError(
                "invalid_table",
                "the columns have unequal lengths",
                column=str(name),
                expected=f"{rows} rows",
                actual=len(column),
            )
    if scores.left is not None:
        kept = {name: _left_of(column, scores.left) for name, column in kept.items()}
    return {**kept, **_masked(scores)}


def _left_of(column: Any, left: Mask) -> Any:
    if isinstance(column, list | tuple):
        return [cell for cell, stays in zip(column, left.tolist(), strict=True) if stays]
    if is_arrow(column) and not is_series(column):
        import pyarrow as pa

        return pa.chunked_array(column).filter(pa.array(left))
    return column[left]


def _masked(scores: Scores) -> dict[str, Any]:
    if scores.null is None:
        return dict(scores.columns)
    return {name: np.ma.array(column, mask=scores.null) for name, column in scores.columns.items()}


def _of_records(table: NDArray[Any], places: list[int], scores: Scores) -> Any:
    names = table.dtype.names or ()
    kept = [names[place] for place in places]
    rows = table if scores.left is None else table[scores.left]
    types = [(name, table.dtype[name]) for name in kept] + [(n, np.float32) for n in scores.columns]
    found = np.empty(len(rows), types)
    for name in kept:
        found[name] = rows[name]
    for name, column in scores.columns.items():
        found[name] = column
    if scores.null is None:
        return found
    masked = np.ma.array(found)
    for name in scores.columns:
        masked[name] = np.ma.array(found[name], mask=scores.null)
    return masked


def _of_rows(rows: Sequence[Mapping[Any, Any]], places: list[int], scores: Scores) -> Any:
    keys = [list(rows[0])[place] for place in places] if rows else []
    left = range(len(rows)) if scores.left is None else np.flatnonzero(scores.left).tolist()
    found = [{key: rows[row].get(key) for key in keys} for row in left]
    for name, column in scores.columns.items():
        nulls = np.zeros(len(found), bool) if scores.null is None else scores.null
        for row, score, null in zip(found, column.tolist(), nulls.tolist(), strict=True):
            row[name] = None if null else score
    return found
