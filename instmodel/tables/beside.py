"""Columns of a table as they are, beside those that a model reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from instmodel.errors import InputError
from instmodel.tables.binding import Binding
from instmodel.tables.columns import match_columns
from instmodel.tables.frames import is_pandas
from instmodel.tables.options import ScoreOptions
from instmodel.tables.row_columns import features_among
from instmodel.tables.scorer import RowScorer
from instmodel.tables.scoring import Chunk, binding_of, open_table
from instmodel.tables.streams import is_arrow, open_stream


def parts(
    table: Any, model: RowScorer, extra: list[str], by: list[str]
) -> Iterator[tuple[Any, list[str], list[Any]]]:
    """Yield a table in parts: each with the names of its columns, and its columns `by`.

    Of Arrow data, a part is a record batch; of anything else, the table as a whole is the only one.
    """
    if is_arrow(table) and not is_pandas(table):
        stream = open_stream(table)
        needed: Sequence[int] = range(len(stream.header))
        if model.features:
            known = {*extra, *by, *model.columns, *(item.name for item in model.named_features)}
            needed = [place for place in needed if stream.header[place] in known]
        header = [stream.header[place] for place in needed]
        places = match_columns(by, header)
        for batch in stream.read(needed).items:
            yield batch, header, [batch.column(place) for place in places]
        return
    if isinstance(table, np.ndarray) and table.dtype.names:
        table = {name: table[name] for name in table.dtype.names}
    rows = isinstance(table, list | tuple) and all(isinstance(row, Mapping) for row in table)
    if (rows and not len(table)) or not (rows or is_pandas(table) or isinstance(table, Mapping)):
        yield table, [], [[] for _ in by]  # which `open_table` refuses, but for no rows at all
        return
    keys = list(table[0] if rows else table.columns if is_pandas(table) else table)
    header = list(map(str, keys))
    columns = []
    for name, place in zip(by, match_columns(by, header), strict=True):
        if is_pandas(table):
            column = table.iloc[:, place]
        else:
            key = keys[place]
            column = [row.get(key) for row in table] if rows else table[key]
        if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
            raise InputError("invalid_table", "not a column", column=name, actual=repr(column)[:60])
        columns.append(column)
    yield table, header, columns


def binding_beside(
    model: RowScorer,
    header: Sequence[str],
    by: Sequence[str],
    options: ScoreOptions,
    whole: bool = False,
) -> Binding:
    """Return what `binding_of` does, for a table in which columns `by` may be no inputs.

    Parameters
    ----------
    header : sequence of str
        All columns: those of a model that names none are the ones that are not in `by`.
    whole : bool
        Also the inputs that the model never reads.

    Raises
    ------
    InputError
        As `Binding`, and ``column_count_mismatch``.
    """
    if model.features or not by:
        return binding_of(model, options.nulls, options.naming, whole)
    features = features_among(model, list(header), [], list(by))
    reads = () if whole else model.read_inputs
    inputs = (features, model.feature_size, options.nulls, model.key_inputs)
    return Binding(*inputs, options.naming, reads)


def chunks_beside(
    part: Any, binding: Binding, by: Sequence[str], columns: Sequence[Any]
) -> Iterator[tuple[Chunk, list[Any]]]:
    """Yield what `open_table` makes of a part, and for each chunk its rows of the columns `by`.

    Raises
    ------
    InputError
        ``invalid_table``: a column is longer or shorter, and what `open_table` raises.
    """
    _, chunks = open_table(part, binding)
    done = 0
    for chunk in chunks:
        stop = done + chunk.rows
        for name, column in zip(by, columns, strict=True):
            if len(column) < stop:
                raise _unequal(name, stop, len(column))
        yield chunk, [some_rows(column, done, stop) for column in columns]
        done = stop
    for name, column in zip(by, columns, strict=True):
        if len(column) != done:
            raise _unequal(name, done, len(column))


def some_rows(column: Any, start: int, stop: int) -> Any:
    """Return the rows start … stop of a column of any library."""
    return getattr(column, "iloc", column)[start:stop]


def _unequal(column: str, expected: int, actual: int) -> InputError:
    return InputError(
        "invalid_table",
        "the columns have unequal lengths",
        column=column,
        expected=f"{expected} rows",
        actual=actual,
    )
