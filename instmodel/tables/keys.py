"""A column that rows are grouped by: its distinct values as plain Python, and which row has which.

Missing values (null, None, NaN, NaT) are one value, None. Dates and instants are their ISO text;
an instant with a time zone is that of UTC, with a Z behind it: one instant is one value, whatever
zone a row or a library tells it in.
"""

from __future__ import annotations

import datetime
import math
import re
import sys
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.arrays import is_masked
from instmodel.errors import InputError
from instmodel.tables.streams import is_arrow, one_array

Key = str | int | float | bool | None

_MISSING = {"NoneType", "NAType", "NaTType"}
# Months, dates and instants as their text, be it of a file or made here.
_MOMENT = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d(:\d\d){0,2}(\.\d+)?)?Z?)?")


@dataclass(frozen=True, slots=True)
class Keys:
    """Some rows of the column.

    Attributes
    ----------
    values : list of str, int, float, bool or None
        Perhaps with repetitions.
    codes : (N,) integers
        The place in `values` of each row's.
    written : bool
        The values are text of a file without types: all numbers, they are meant as such.
    """

    values: list[Key]
    codes: NDArray[np.intp]
    written: bool = False


def keys_of(column: Any, name: str, written: bool = False) -> Keys:
    """Return the values of a column and each row's place among them.

    Parameters
    ----------
    column : array_like (N,), pandas Series or Arrow array
    name : str
        Of the column, for errors.
    written : bool
        See `Keys`; empty text is missing then.

    Raises
    ------
    InputError
        ``invalid_cell``: lists and what else makes no groups, and text that is not UTF-8.
    """
    pandas = sys.modules.get("pandas")
    if is_masked(column):
        column = column.tolist()  # with None for what is masked
    if pandas is not None and isinstance(column, pandas.Series):
        distinct, codes = _of_pandas(column, pandas)
    elif is_arrow(column):
        distinct, codes = _of_arrow(one_array(column), name)
    elif isinstance(column, np.ndarray) and column.dtype.kind in "biufMm" and column.ndim == 1:
        distinct, codes = np.unique(column, return_inverse=True)
    else:
        distinct, codes = _of_objects(column, name)
    if isinstance(distinct, np.ndarray) and distinct.dtype.kind in "biuf":
        distinct = distinct.tolist()
    values = [_plain(value, name) for value in distinct]
    if written:
        values = [None if value == "" else value for value in values]
    return Keys(values, np.asarray(codes, np.intp), written)


def as_numbers(values: Iterable[Key]) -> dict[Key, Key] | None:
    """Return the number of every text that a file without types holds, or None if one is none."""
    numbers: dict[Key, Key] = {None: None}
    for value in values:
        if isinstance(value, str):
            try:
                number = float(value)
                if "_" in value:
                    return None
                exact = value.strip().lstrip("+-").isdecimal()
                numbers[value] = int(value) if exact else _number(number)
            except ValueError:
                return None
        else:
            numbers[value] = value
    return numbers


def in_order(values: Iterable[Key]) -> list[Key] | None:
    """Return numbers, or dates and instants, by value, and what is missing last; of text None."""
    values = list(values)
    known = [value for value in values if value is not None]
    missing = [None] * (len(values) - len(known))
    if all(isinstance(value, str) and _MOMENT.fullmatch(value) for value in known):
        # Without Z: midnight, which has no time, comes before the hours of its day.
        return [*sorted(known, key=lambda value: str(value).removesuffix("Z")), *missing]
    if any(isinstance(value, str) for value in known):
        return None
    return [*sorted(known, key=lambda value: float(value)), *missing]


def cut_moment(value: Key, period: str) -> Key:
    """Return the hour, day or month of a date or an instant, as text; None stays None.

    Raises
    ------
    InputError
        ``invalid_cell``: it is neither.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise InputError(
            "invalid_cell", "no date and no instant", expected="dates", actual=shown(value)
        )
    text = value.removesuffix("Z").replace(" ", "T")
    if len(text) == 10:  # midnight, which has no time
        text += "T00"
    return text[: {"hour": 13, "day": 10, "month": 7}[period]]


def is_utc(value: Key) -> bool:
    """Whether a value is an instant of UTC."""
    return isinstance(value, str) and value.endswith("Z") and bool(_MOMENT.fullmatch(value))


def shown(value: Key) -> str:
    """Return a value as tables show it: whole numbers without a point, others in few digits."""
    if value is None:
        return "(null)"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        single = np.float32(value) if abs(value) < 3e38 else np.float32(0)
        return str(single) if float(single) == value else repr(value)
    text = str(value) or '""'
    return text if len(text) <= 60 else text[:57] + "..."


def _of_pandas(series: Any, pandas: Any) -> tuple[Iterable[Any], NDArray[Any]]:
    if isinstance(series.dtype, pandas.CategoricalDtype):
        distinct, codes = series.cat.categories, series.cat.codes.to_numpy()
    else:
        try:
            codes, distinct = pandas.factorize(series)
        except TypeError:  # lists and the like: the caller names the first
            return _of_objects(series.tolist(), str(series.name))
    # Code -1 is what is missing. Not every category need be there.
    used, codes = np.unique(codes, return_inverse=True)
    return [None if code < 0 else distinct[code] for code in used], codes


def _of_arrow(array: Any, name: str) -> tuple[Iterable[Any], NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    while isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    if pa.types.is_dictionary(array.type):
        if pa.types.is_string_view(array.type.value_type):  # which Arrow does not decode
            array = array.cast(pa.dictionary(array.type.index_type, pa.large_string()))
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    if pa.types.is_nested(array.type):
        raise _no_key(name, str(array.type))
    if pa.types.is_null(array.type):
        return [None], np.zeros(len(array), np.intp)
    encoded = array.dictionary_encode(null_encoding="encode")
    distinct = encoded.dictionary
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(distinct.type):
        instants = distinct.to_numpy(zero_copy_only=False)
        return [_instant(item, distinct.type.tz is not None) for item in instants], codes
    if pa.types.is_duration(distinct.type):
        return distinct.to_numpy(zero_copy_only=False), codes
    return distinct.to_pylist(), codes


def _of_objects(column: Any, name: str) -> tuple[Iterable[Any], NDArray[Any]]:
    places: dict[Any, int] = {}
    codes = []
    for cell in column:
        if not isinstance(cell, Hashable):
            raise _no_key(name, repr(cell)[:60])
        codes.append(places.setdefault(cell, len(places)))
    return list(places), np.array(codes, np.intp)


def _plain(value: Any, name: str) -> Key:
    """Return a value as plain Python."""
    if type(value) is float:  # as most are, where there are many
        return _number(value)
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                "invalid_cell", "the text is not UTF-8", column=name, actual=repr(value[:40])
            ) from None
        return str(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, np.datetime64):
        return _instant(value, False)
    if isinstance(value, np.timedelta64 | datetime.timedelta):
        return None if np.isnat(np.timedelta64(value)) else str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real | Decimal):
        return _number(float(value))
    if isinstance(value, datetime.datetime):
        # NumPy also holds what is in another year in UTC than datetime can tell.
        offset = value.utcoffset()
        instant = np.datetime64(value.replace(tzinfo=None))
        return _instant(instant - np.timedelta64(offset or 0, "us"), offset is not None)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise _no_key(name, repr(value)[:60])


def _number(value: float) -> float | None:
    """Return a number as a key: no NaN, and one zero, whichever of the two comes first."""
    return None if math.isnan(value) else value or 0.0


def _instant(value: np.datetime64, aware: bool) -> str | None:
    """Return a date without its time where that is midnight; Z marks what has a time zone."""
    if np.isnat(value):
        return None
    text = str(np.datetime_as_string(value, unit="auto"))
    return text + ("Z" if aware else "")


def _no_key(name: str, actual: str) -> InputError:
    return InputError(
        "invalid_cell",
        "no value to group by",
        column=name,
        expected="text, numbers, booleans, dates",
        actual=actual,
    )
