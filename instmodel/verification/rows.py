"""Rows to verify on: the inputs of a model, and recorded outputs or labels beside them."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import arrays
from instmodel.errors import InputError
from instmodel.extras import require
from instmodel.features import Feature, parse_feature_names
from instmodel.model import InstructionModel
from instmodel.tables.arrow import is_arrow
from instmodel.tables.binding import Binding
from instmodel.tables.columns import column_names
from instmodel.tables.files import SUFFIXES, open_reader, suffix
from instmodel.tables.scoring import BadRow, fill, open_table

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
    """

    inputs: Floats
    extra: Floats
    fraction: float


def read_rows(
    data: Any,
    model: InstructionModel,
    extra: Sequence[str | int] = (),
    batch_rows: int | None = None,
) -> Generator[Batch, None, None]:
    """Yield rows of a table.

    Parameters
    ----------
    data : path-like, table, or array_like of shape (N, F + columns)
        A file in .csv or .npy; or, with the extra ``arrow``, a file or folder of Parquet, Arrow or
        JSON lines; or what `InstructionModel.predict_table` takes. In an array and in NPY, what is
        asked for beside the inputs follows them in that order; elsewhere it is found by name, and
        the inputs are, too, if the model names its features.
    model : InstructionModel
    extra : sequence of str or int
        Names of further columns.
    batch_rows : int, optional
        Rows at a time.

    Raises
    ------
    InstModelError
        What is wrong with the table, and where.
    OSError
        The file cannot be read.
    """
    features, count = model.feature_size, len(extra)
    if isinstance(data, str | os.PathLike):
        if Path(data).suffix.lower() not in SUFFIXES:
            yield from _dataset_rows(data, model, [str(name) for name in extra], batch_rows)
            return
        columns = None
        if suffix(data) == ".csv":
            columns = _csv_columns(data, model, [str(name) for name in extra])
        reader = open_reader(data, columns, features + count, batch_rows)
        try:
            for rows in reader.batches():
                yield Batch(rows[:, :features], rows[:, features:], reader.fraction())
        finally:
            reader.close()
        return
    if model.features and is_table(data):
        yield from _table_rows(data, model, [str(name) for name in extra], batch_rows)
        return
    table = arrays.real_array(data, "data")
    if table.ndim != 2 or table.shape[1] != features + count:
        raise InputError(
            "input_size_mismatch",
            "wrong shape",
            field="data",
            expected=f"(rows, {features + count})",
            actual=table.shape,
        )
    step = batch_rows or max(1, _BATCH_VALUES // (features + count))
    for start in range(0, len(table), step):
        rows = np.asarray(table[start : start + step], np.float32)
        done = min(1.0, (start + step) / len(table))
        yield Batch(rows[:, :features], rows[:, features:], done)


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
    table: Any, model: InstructionModel, extra: list[str], batch_rows: int | None
) -> Generator[Batch, None, None]:
    """Yield the rows of a table in memory, its columns found by name; a null is NaN."""
    count = model.feature_size
    features, places = _with_extra(parse_feature_names(model.features), extra)
    width = len(column_names(features))
    _, chunks = open_table(table, Binding(features, width, "nan"))
    step = batch_rows or max(1, _BATCH_VALUES // width)
    before = 0
    for chunk in chunks:
        for start in range(0, chunk.rows, step):
            stop = min(start + step, chunk.rows)
            block = np.empty((stop - start, width), np.float32)
            bad = fill(chunk.columns, start, stop, block)
            if bad:
                first = min(bad)
                raise BadRow(before + start + first, *bad[first]).error()
            yield Batch(block[:, :count], block[:, places], 0.0)
        before += chunk.rows


def _dataset_rows(
    path: Any, model: InstructionModel, extra: list[str], batch_rows: int | None
) -> Generator[Batch, None, None]:
    """Yield the rows of what only Arrow reads."""
    arrow = require("pyarrow", "arrow")
    from instmodel.jobs.inputs import find
    from instmodel.jobs.readers import open_reader as open_dataset

    count = model.feature_size
    sources = find(path)
    for index, source in enumerate(sources):
        with contextlib.closing(open_dataset(source)) as reader:
            names = reader.schema.names
            features = parse_feature_names(model.features)
            if not features:
                features = [Feature(name) for name in names if name not in extra]
                if len(features) != count:
                    raise InputError(
                        "column_count_mismatch",
                        "the model does not name its features, so the columns must be its inputs",
                        file=source.path,
                        expected=f"{count} columns",
                        actual=len(features),
                    )
            features, places = _with_extra(features, extra)
            width = len(column_names(features))
            binding = Binding(features, width)
            needed = sorted({slot.position for slot in binding.slots(names)})
            narrow = arrow.schema([reader.schema.field(position) for position in needed]).names
            slots, row = binding.slots(narrow), 0
            for rows in reader.batches(narrow, batch_rows):
                block = np.empty((rows.count, width), np.float32)
                bad = fill(rows.chunk(slots, row).columns, 0, rows.count, block)
                if bad:
                    first = min(bad)
                    raise BadRow(row + first, *bad[first]).error().in_file(source.path)
                row += rows.count
                done = (index + reader.fraction()) / len(sources)
                yield Batch(block[:, :count], block[:, places], done)


def _with_extra(features: list[Feature], extra: list[str]) -> tuple[list[Feature], list[int]]:
    """Add features for the extra columns that are no inputs; return the places of all extra ones.

    What rows are grouped by is often an input, too, and no table holds it twice.
    """
    known = column_names(features)
    new = [name for name in dict.fromkeys(extra) if name not in known]
    columns = known + new
    return [*features, *map(Feature, new)], [columns.index(name) for name in extra]


def _csv_columns(path: Any, model: InstructionModel, extra: list[str]) -> list[str] | None:
    if model.features:
        return column_names(parse_feature_names(model.features)) + extra
    if not extra:
        return None
    with open(path, encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        header = next(csv.reader(file), [])
    return [name for name in header if name not in extra] + extra


def input_order(model: InstructionModel, other: InstructionModel) -> NDArray[np.intp]:
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
    odd = sorted(set(mine) ^ set(theirs))
    raise InputError(
        "column_mismatch",
        "the models take other features" + (f": {', '.join(odd[:5])}" if odd else ""),
        expected=f"{model.feature_size} features",
        actual=f"{other.feature_size} features",
    )
