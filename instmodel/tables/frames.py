"""Columns that NumPy or pandas hold. Neither pyarrow nor pandas is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from instmodel.base import arrays
from instmodel.errors import InputError
from instmodel.tables import arrow
from instmodel.tables.binding import Slot
from instmodel.tables.cells import (
    CodedColumn,
    Column,
    NumpyColumn,
    ObjectColumn,
    Part,
    categorised,
    nan_as_null,
    wrong_length,
    wrong_type,
)
from instmodel.tables.streams import is_a, is_arrow, one_array


def is_pandas(table: Any) -> bool:
    """Return whether `table` is a pandas DataFrame."""
    return is_a(table, "pandas", "DataFrame")


def is_series(values: Any) -> bool:
    """Return whether `values` is a pandas Series."""
    return is_a(values, "pandas", "Series")


def series_row(series: Any) -> tuple[list[str], list[Any], bool]:
    """Return what a Series that is a row of a frame holds.

    Returns
    -------
    list of str
        The names of the columns, its index.
    list
        The cells.
    bool
        Whether NaN is a null: in all of pandas but in what Arrow holds.
    """
    nan_is_null = not hasattr(series.dtype, "pyarrow_dtype")
    return list(map(str, series.index)), series.tolist(), nan_is_null


def numpy_column(slot: Slot, values: Any, nan_is_null: bool = False) -> Column:
    """Return the column of anything that NumPy makes an array of.

    Raises
    ------
    InputError
        ``invalid_cell`` for a type that holds no numbers, ``list_length_mismatch``,
        ``invalid_table`` for what is not a column.
    """
    missing = None
    if arrays.is_masked(values):
        missing = np.ma.getmaskarray(values)
        values = np.ma.getdata(values)
    if not isinstance(values, np.ndarray):
        values = _as_array(values)
    kind = values.dtype.kind
    wanted = 2 if slot.is_array and kind in "biuf" else 1
    if values.ndim != wanted and not (kind in "OUT" and slot.is_array and values.ndim == 2):
        raise InputError(
            "invalid_table",
            "not a column",
            column=slot.name,
            expected=f"shape (rows, {slot.size})" if slot.is_array else "shape (rows,)",
            actual=f"shape {values.shape}",
        )
    if kind in "OUST":
        if missing is not None:
            values = np.where(missing, None, values.astype(object))
        return ObjectColumn(slot, values, nan_is_null)
    if kind not in "biuf":
        first = (0, values[0]) if len(values) else (None, None)
        raise wrong_type(slot, str(values.dtype), *first)
    if slot.is_array and values.shape[1] != slot.size:
        problem = wrong_length(slot.size, values.shape[1])
        raise InputError(
            problem.code,
            problem.message,
            column=slot.name,
            row=0 if len(values) else None,
            expected=problem.expected,
            actual=problem.actual,
        )
    return NumpyColumn(slot, values, missing, nan_is_null)


def _as_array(values: Any) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(values)
    except ValueError:  # lists of unequal lengths
        cells = np.empty(len(values), object)
        cells[:] = list(values)
        return cells


def numpy_columns(slots: Sequence[Slot], table: Mapping[str, Any]) -> tuple[int, list[Column]]:
    """Return the rows and the columns of a mapping from names to arrays.

    Raises
    ------
    InputError
        ``invalid_table``: the columns are of unequal lengths.
    """
    names = list(table)
    columns: list[Column] = []
    rows: int | None = None
    for slot in slots:
        values = table[names[slot.position]]
        columns.append(_from_python(slot, values))
        if rows is not None and len(values) != rows:
            raise InputError(
                "invalid_table",
                "the columns have unequal lengths",
                column=slot.name,
                expected=f"{rows} rows, as in the first column",
                actual=len(values),
            )
        rows = len(values)
    return rows or 0, columns


def _from_python(slot: Slot, values: Any) -> Column:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise InputError(
            "invalid_table",
            "not a column; predict_one takes a single row",
            column=slot.name,
            expected="an array or a list",
            actual=type(values).__name__,
        )
    if isinstance(values, list | tuple):
        return ObjectColumn(slot, values)
    if is_series(values):
        return _pandas_column(slot, values)
    if is_arrow(values):
        return arrow.arrow_column(slot, one_array(values))
    return numpy_column(slot, values)


def pandas_columns(slots: Sequence[Slot], frame: Any) -> list[Column]:
    """Return the columns of a pandas DataFrame; as there, NaN is a null."""
    return [_pandas_column(slot, frame.iloc[:, slot.position]) for slot in slots]


def _pandas_column(slot: Slot, series: Any) -> Column:
    if isinstance(series.dtype, np.dtype):
        return numpy_column(slot, series.to_numpy(), nan_is_null=True)
    if slot.categories is not None and not slot.is_array and hasattr(series, "cat"):
        codes = series.cat.codes.to_numpy()
        distinct = categorised(series.cat.categories.tolist(), slot.categories)
        return CodedColumn(slot, NumpyColumn(slot, codes, codes < 0), distinct)
    return _ExtensionColumn(slot, series)


class _ExtensionColumn(Column):
    """A pandas column that is not a NumPy array, converted a block at a time."""

    def __init__(self, slot: Slot, series: Any) -> None:
        super().__init__(slot)
        self._series = series
        self._is_arrow = hasattr(series.dtype, "pyarrow_dtype") or (
            # What pandas calls str, or string.
            slot.categories is not None and getattr(series.dtype, "storage", None) == "pyarrow"
        )
        # A nullable type, such as Int64, says what NumPy type holds its numbers.
        self._dtype = getattr(series.dtype, "numpy_dtype", None)
        self._check_type()

    def _check_type(self) -> None:
        if self._is_arrow:
            try:
                self._arrow(self._series.iloc[:1])
            except InputError:
                self._arrow(self._series)  # names the first row that is at fault
                raise

    def _arrow(self, series: Any) -> Column:
        array = series.array.__arrow_array__()
        if hasattr(array, "combine_chunks"):
            array = array.combine_chunks()
        return arrow.arrow_column(self.slot, array)

    def part(self, start: int, stop: int) -> Part:
        series = self._series.iloc[start:stop]
        if self._is_arrow:
            return self._arrow(series).part(0, stop - start)
        if self._dtype is not None and self._dtype.kind in "biuf":
            missing = series.isna().to_numpy()
            found = Part(series.to_numpy(self._dtype, na_value=0), missing)
            return nan_as_null(found) if self._dtype.kind == "f" else found
        column = numpy_column(self.slot, np.asarray(series), nan_is_null=True)
        return column.part(0, stop - start)
