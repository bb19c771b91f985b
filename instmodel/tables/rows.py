"""Rows to verify on: the inputs of a model, and recorded outputs or labels beside them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arguments, arrays, map_keys
from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.tables.beside import chunks_beside, parts, some_rows
from instmodel.tables.binding import Binding, Nulls
from instmodel.tables.columns import column_categories, column_names, match_columns
from instmodel.tables.csv_file import CsvReader
from instmodel.tables.keys import Keys, keys_of
from instmodel.tables.npy_file import NpyReader
from instmodel.tables.row_columns import csv_columns, features_among, null_rules, with_extra
from instmodel.tables.scorer import RowScorer
from instmodel.tables.scoring import BadRow, fill_rows
from instmodel.tables.streams import is_arrow

Floats = NDArray[np.float32]

_BATCH_VALUES = 1 << 20


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of the data.

    Attributes
    ----------
    inputs : (N, F) float32
    extra : (N, columns) float32
        The further columns that were asked for.
    fraction : float
        How much of the data is read now, 0 to 1.
    row : int
        The number of the first of them, as errors count: from 1 in each file, else from 0.
    file : str or None
    keys : sequence of Keys
        The columns of any type that were asked for.
    """

    inputs: Floats
    extra: Floats
    fraction: float
    row: int
    file: str | None = None
    keys: Sequence[Keys] = ()


def read_rows(
    data: Any,
    model: RowScorer,
    extra: Sequence[str | int] = (),
    batch_rows: int | None = None,
    keys: Sequence[str | int] = (),
    key_inputs: Iterable[int] = (),
    nulls: Nulls | None = None,
) -> Generator[Batch, None, None]:
    """Yield rows of a table.

    Parameters
    ----------
    data : path-like, table, or array_like of shape (N, F + columns)
        A file in .csv or .npy; or, with the extra ``arrow``, a file or folder of Parquet, Arrow or
        JSON lines; or what `InstructionModel.predict_table` takes. In an array and in NPY, what is
        asked for beside the inputs follows them in that order; elsewhere it is found by name, and
        the inputs are, too, if the model names its features.
    model : RowScorer
    extra : sequence of str or int
        Names of further columns.
    batch_rows : int, optional
        Rows at a time.
    keys : sequence of str or int
        Names of columns of any type but lists, for `Batch.keys`; in an array and in NPY the last
        ones.
    key_inputs : iterable of int
        Inputs that another model looks up in maps as they come, beside the `key_inputs` of `model`.
    nulls : str, number or mapping, optional
        What a null among the inputs becomes, as for `InstructionModel.predict_table`; an empty cell
        of CSV is one then, and `extra` holds none. By default a null is an error in files, and NaN
        in tables in memory. What has no nulls (an array, NPY) takes no rule.

    Raises
    ------
    InstModelError
        What is wrong with the table, and where.
    OSError
        The file cannot be read.
    """
    names, by = [str(name) for name in extra], [str(name) for name in keys]
    looked_up = tuple(sorted({*model.key_inputs, *key_inputs}))
    if batch_rows is not None:
        batch_rows = arguments.count(batch_rows, "batch_rows")
    if is_path(data):
        with _in_file(data):
            kind = Path(data).suffix.lower()
            if kind == ".npy":
                _check_no_nulls(nulls)
                yield from _npy_rows(data, model, len(names), by, batch_rows, looked_up)
            elif kind == ".csv" and nulls is None:
                yield from _csv_rows(data, model, names, by, batch_rows, looked_up)
            else:
                rule = "error" if nulls is None else nulls
                yield from _dataset_rows(data, model, names, by, batch_rows, looked_up, rule)
    elif is_table(data) and (model.features or names or by or nulls is not None):
        yield from _table_rows(data, model, names, by, batch_rows, looked_up, nulls)
    else:
        _check_no_nulls(nulls)
        yield from _array_rows(data, model, len(names), by, batch_rows, looked_up)


def is_path(data: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Return whether some data is in a file, or a folder of files."""
    return isinstance(data, str | os.PathLike)


def first_row(data: Any) -> int:
    """Return the number of the first row: rows of files count from 1, those in memory from 0."""
    return 1 if is_path(data) else 0


def _check_no_nulls(nulls: Nulls | None) -> None:
    if nulls is not None:
        raise InputError(
            "invalid_nulls", "an array has no nulls; leave the rule out", field="nulls"
        )


def _csv_rows(
    path: Any,
    model: RowScorer,
    extra: list[str],
    by: list[str],
    batch_rows: int | None,
    key_inputs: Sequence[int],
) -> Generator[Batch, None, None]:
    features = model.feature_size
    columns = csv_columns(path, model, extra, by)
    with contextlib.closing(
        CsvReader(
            path,
            columns,
            features + len(extra),
            batch_rows,
            by,
            key_inputs,
            column_categories(model.named_features),
        )
    ) as reader:
        row = 1
        for rows, texts in reader.keyed_batches():
            keys = [keys_of(text, name, written=True) for text, name in zip(texts, by, strict=True)]
            inputs, beside = rows[:, :features], rows[:, features:]
            yield Batch(inputs, beside, reader.fraction(), row, os.fspath(path), keys)
            row += len(rows)


def _npy_rows(
    path: Any,
    model: RowScorer,
    extra: int,
    by: list[str],
    batch_rows: int | None,
    key_inputs: Sequence[int],
) -> Generator[Batch, None, None]:
    features = model.feature_size
    end = features + extra
    width = end + len(by)
    with contextlib.closing(NpyReader(path, width, batch_rows, key_inputs)) as reader:
        row = 1
        for rows in reader.batches():
            keys = [keys_of(rows[:, end + place], name) for place, name in enumerate(by)]
            inputs, beside = rows[:, :features], rows[:, features:end]
            yield Batch(inputs, beside, reader.fraction(), row, os.fspath(path), keys)
            row += len(rows)


def _array_rows(
    data: Any,
    model: RowScorer,
    extra: int,
    by: list[str],
    batch_rows: int | None,
    key_inputs: Sequence[int],
) -> Generator[Batch, None, None]:
    features = model.feature_size
    end = features + extra
    width = end + len(by)
    table = arrays.real_array(data, "data")
    if table.ndim != 2 or table.shape[1] != width:
        raise InputError(
            "input_size_mismatch",
            "wrong shape",
            field="data",
            expected=f"(rows, {width})",
            actual=table.shape,
        )
    step = batch_rows or max(1, _BATCH_VALUES // width)
    for start in range(0, len(table), step):
        part = table[start : start + step]
        map_keys.check(part, key_inputs, lambda: model.columns, start)
        rows = np.asarray(part[:, :end], np.float32)
        keys = [keys_of(part[:, end + place], name) for place, name in enumerate(by)]
        done = min(1.0, (start + step) / len(table))
        yield Batch(rows[:, :features], rows[:, features:], done, start, keys=keys)


def is_table(data: Any) -> bool:
    """Whether the columns of some data have names."""
    return (
        hasattr(data, "columns")
        or is_arrow(data)
        or isinstance(data, Mapping)
        or (isinstance(data, np.ndarray) and data.dtype.names is not None)
        or (isinstance(data, list | tuple) and bool(data) and isinstance(data[0], Mapping))
    )


def _table_rows(
    table: Any,
    model: RowScorer,
    extra: list[str],
    by: list[str],
    batch_rows: int | None,
    key_inputs: Sequence[int],
    nulls: Nulls | None,
) -> Generator[Batch, None, None]:
    """Yield the rows of a table in memory, its columns found by name."""
    count = model.feature_size
    before = 0
    for part, header, columns in parts(table, model, extra, by):
        inputs = features_among(model, header, extra, by)
        rules = "nan" if nulls is None else null_rules(nulls, inputs, [*extra, *by])
        features, places = with_extra(inputs, extra)
        width = len(column_names(features))
        binding = Binding(features, width, rules, key_inputs)
        step = batch_rows or max(1, _BATCH_VALUES // width)
        for chunk, cells in chunks_beside(part, binding, by, columns):
            for start in range(0, chunk.rows, step):
                stop = min(start + step, chunk.rows)
                block = np.empty((stop - start, width), np.float32)
                bad = fill_rows(chunk, start, stop, block)
                row = before + start
                if bad:
                    first = min(bad)
                    raise BadRow(row + first, *bad[first]).error()
                keys = [
                    keys_of(some_rows(column, start, stop), name)
                    for name, column in zip(by, cells, strict=True)
                ]
                yield Batch(block[:, :count], block[:, places], 0.0, row, keys=keys)
            before += chunk.rows


def _dataset_rows(
    path: Any,
    model: RowScorer,
    extra: list[str],
    by: list[str],
    batch_rows: int | None,
    key_inputs: Sequence[int],
    nulls: Nulls,
) -> Generator[Batch, None, None]:
    """Yield the rows of what only Arrow reads."""
    arrow = require("pyarrow", "arrow")
    from instmodel.tables.inputs import find
    from instmodel.tables.readers import open_reader as open_dataset
    from instmodel.tables.readers import reading

    count = model.feature_size
    sources = find(path)
    by_position = not model.features and not extra and not by
    for index, source in enumerate(sources):
        with reading(source), contextlib.closing(open_dataset(source, by_position)) as reader:
            reader.learn()
            names = reader.schema.names
            inputs = features_among(model, names, extra, by)
            features, places = with_extra(inputs, extra)
            width = len(column_names(features))
            binding = Binding(features, width, null_rules(nulls, inputs, [*extra, *by]), key_inputs)
            needed = {slot.position for slot in binding.slots(names)}
            needed |= set(match_columns(by, names))
            narrow = arrow.schema([reader.schema.field(place) for place in sorted(needed)]).names
            slots, row = binding.slots(narrow), 1
            for rows in reader.batches(narrow, batch_rows):
                block = np.empty((rows.count, width), np.float32)
                bad = fill_rows(rows.chunk(slots, row), 0, rows.count, block)
                if bad:
                    first = min(bad)
                    raise BadRow(row + first, *bad[first]).error()
                done = (index + reader.fraction()) / len(sources)
                keys = [
                    keys_of(rows.cells(narrow.index(name)), name, written=source.format == "csv")
                    for name in by
                ]
                yield Batch(block[:, :count], block[:, places], done, row, source.path, keys)
                row += rows.count


@contextlib.contextmanager
def _in_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Add the file to an error that does not name it."""
    try:
        yield
    except InputError as error:
        raise error if error.file else error.in_file(path) from None


def input_order(model: RowScorer, other: RowScorer) -> NDArray[np.intp]:
    """Return, for each input of `other`, which input of `model` it is: by name, else by place.

    Raises
    ------
    InputError
        ``column_mismatch``: the models take other features.
    """
    mine, theirs = model.columns, other.columns
    if model.feature_size == other.feature_size:
        if mine == theirs or not mine or not theirs:
            return np.arange(model.feature_size)
        if sorted(mine) == sorted(theirs) and len(set(mine)) == len(mine):
            return np.array([mine.index(name) for name in theirs], np.intp)
    only = [
        f"only the {which} one takes {', '.join(sorted(odd)[:5])}{' …' if odd[5:] else ''}"
        for which, odd in (
            ("first", [name for name in mine if name not in theirs]),
            ("second", [name for name in theirs if name not in mine]),
        )
        if odd and mine and theirs
    ]
    raise InputError(
        "column_mismatch",
        "; ".join(["the models take other features", *only]),
        expected=f"{model.feature_size} features",
        actual=f"{other.feature_size} features",
    )
