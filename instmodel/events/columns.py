"""Columns that name sequences and put their events in order, in few types.

Integers of any width are one type, so are text and bytes however they are stored, and instants of
any unit: what one day's file has as int32 and the next day's as int64 are the same keys. Unsigned
integers of 64 bits are a type of their own, for int64 does not hold them all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.tables.cells import BadCell
from instmodel.tables.frames import is_series
from instmodel.tables.streams import is_arrow, one_array

Times = NDArray[np.int64]

NO_TIME = np.iinfo(np.int64).min
"""What is before every time, and stands for none."""

_SIGN = np.uint64(1 << 63)
_BELOW_SIGN = np.int64((1 << 63) - 1)


def as_arrow(cells: Any, name: str) -> Any:
    """Return an Arrow array of some rows of a column of any library, behind no encoding.

    Raises
    ------
    InputError
        ``invalid_cell``: a list of cells of several types.
    """
    pa = require("pyarrow", "arrow")
    try:
        if is_series(cells):
            found = pa.array(cells, from_pandas=True)
        elif is_arrow(cells):
            found = one_array(cells)
        elif isinstance(cells, np.ma.MaskedArray):
            found = pa.array(cells.data, mask=np.ma.getmaskarray(cells))
        elif isinstance(cells, np.ndarray) and cells.dtype.kind == "T":
            found = pa.array(cells.tolist())
        else:
            found = _inferred(cells)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            "invalid_cell", "the column is of no one type", column=name, actual=error
        ) from None
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return _decoded(found)


def _inferred(cells: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.array(cells)
    except OverflowError:  # Arrow never takes whole numbers of Python for uint64 by itself
        return pa.array(cells, pa.uint64())


def _decoded(array: Any) -> Any:
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
    return array


def key_type(kind: Any) -> Any:
    """Return the type that keys of an Arrow type have; None: it is none of keys."""
    import pyarrow as pa

    types = pa.types
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    if any(check(kind) for check in texts):
        return pa.large_string()
    pieces = (types.is_binary, types.is_large_binary, types.is_binary_view)
    if any(check(kind) for check in (*pieces, types.is_fixed_size_binary)):
        return pa.large_binary()
    if types.is_decimal(kind):
        return pa.decimal128(38, kind.scale)
    return kind if types.is_boolean(kind) else time_type(kind, with_floats=False)


def time_type(kind: Any, with_floats: bool = True) -> Any:
    """Return the type that values of an Arrow type have in an order; None: they have none."""
    import pyarrow as pa

    types = pa.types
    if types.is_integer(kind):
        return kind if types.is_uint64(kind) else pa.int64()
    if types.is_floating(kind):
        return pa.float64() if with_floats else None
    if types.is_date(kind):
        return pa.date32()
    if types.is_timestamp(kind):
        return pa.timestamp("ns", None if kind.tz is None else "UTC")
    if types.is_time(kind):
        return pa.time64("ns")
    return pa.duration("ns") if types.is_duration(kind) else None


def converted(array: Any, kind: Any, name: str) -> Any:
    """Return an array of a type that `key_type` or `time_type` gave for its own.

    Raises
    ------
    InputError
        ``invalid_cell``: instants before 1678 or after 2262, decimals of more than 38 digits.
    """
    import pyarrow as pa

    if array.type == kind:
        return array
    try:
        return array.cast(kind)
    except pa.ArrowInvalid as error:
        raise InputError(
            "invalid_cell",
            "a value is out of range",
            column=name,
            expected=str(kind),
            actual=error,
        ) from None


def nulls_in(array: Any) -> NDArray[np.intp]:
    """Return the rows whose value is null or, of floats, NaN."""
    import pyarrow as pa

    is_float = pa.types.is_floating(array.type)
    if not array.null_count and not is_float:
        return np.zeros(0, np.intp)
    if pa.types.is_float16(array.type):  # of which older versions of Arrow tell no NaN
        array = array.cast(pa.float32())
    found = array.is_null(nan_is_null=is_float).to_numpy(zero_copy_only=False)
    return np.flatnonzero(found)


def null_key() -> BadCell:
    """Return the problem of a null that no rule for nulls makes anything of."""
    return BadCell("null_value", "the value is null", "the key or the time of an event", "null")


def wrong_type(name: str, expected: str, actual: Any) -> InputError:
    """Return the error of a column whose type does not fit."""
    return InputError(
        "invalid_cell",
        "the column is of the wrong type",
        column=name,
        expected=expected,
        actual=actual,
    )


def shown(array: Any) -> str:
    """Return the first value of an array of keys or times for a message."""
    import pyarrow as pa

    types = pa.types
    if types.is_large_string(array.type) or types.is_large_binary(array.type):
        found = array[0].as_buffer().to_pybytes()
        is_text = types.is_large_string(array.type)
        # Who made the array may not have looked whether it is UTF-8.
        text = repr(found.decode(errors="backslashreplace") if is_text else found)
        return text if len(text) <= 60 else text[:57] + "..."
    return str(array.cast(pa.string())[0])


# ------------------------------------------------------------------------------------------- times


class Order:
    """The column that puts events in order.

    Its values become int64 that compare as they do. Text is read as numbers or as ISO instants,
    whichever the first rows are: files without types have nothing else.

    Parameters
    ----------
    name : str
    kind : pyarrow.DataType, optional
        Of its values, once that is known.
    """

    def __init__(self, name: str, kind: Any = None) -> None:
        self.name = name
        self.kind = kind

    def read(self, array: Any) -> Any:
        """Return a column in the type of this order, nulls among it; the first one decides on it.

        Raises
        ------
        InputError
            ``invalid_cell``: it is of another type, or its values have no order.
        """
        import pyarrow as pa

        if pa.types.is_null(array.type):
            return array
        if key_type(array.type) == pa.large_string():
            return self._of_text(array)
        kind = time_type(array.type)
        if kind is None:
            raise wrong_type(self.name, "numbers, dates or times", array.type)
        self._settle(kind, array.type)
        return converted(array, kind, self.name)

    def _settle(self, kind: Any, given: Any) -> None:
        if self.kind is None:
            self.kind = kind
        elif kind != self.kind:
            raise wrong_type(self.name, f"{self.kind}, as in the rows before", given)

    def _of_text(self, array: Any) -> Any:
        import pyarrow as pa

        instants = [pa.timestamp(unit, zone) for unit in ("us", "ns") for zone in (None, "UTC")]
        for kind in (pa.int64(), pa.float64(), *instants):
            if self.kind in (None, time_type(kind)):
                try:
                    found = array.cast(kind)
                except pa.ArrowInvalid:
                    continue
                if len(nulls_in(found)) != array.null_count:
                    raise wrong_type(self.name, "numbers, which have an order", "NaN")
                self._settle(time_type(kind), array.type)
                return converted(found, self.kind, self.name)
        expected = "numbers, or dates and times such as 2026-03-01T12:00:00"
        if self.kind is not None:
            expected = f"{self.kind}, as in the rows before"
        raise wrong_type(self.name, expected, array.type)

    def numbers(self, array: Any) -> Times:
        """Return values that `read` has returned, without nulls, as numbers that compare alike."""
        import pyarrow as pa

        if pa.types.is_date32(array.type):
            return values_of(array).astype(np.int64)
        values = values_of(array)
        if pa.types.is_uint64(array.type):
            return (values ^ _SIGN).view(np.int64)
        if pa.types.is_floating(array.type):
            return _flipped((values + 0.0).view(np.int64))  # one zero, not two
        return values

    def values(self, numbers: Times) -> Any:
        """Return what `numbers` has returned as an Arrow array; `NO_TIME` is null."""
        import pyarrow as pa

        kind = self.kind
        raw: NDArray[Any] = numbers
        if pa.types.is_date32(kind):
            raw = numbers.astype(np.int32)
        elif pa.types.is_uint64(kind):
            raw = numbers.view(np.uint64) ^ _SIGN
        elif pa.types.is_floating(kind):
            raw = _flipped(numbers).view(np.float64)
        known = np.packbits(numbers != NO_TIME, bitorder="little")
        buffers = [pa.py_buffer(known), pa.py_buffer(np.ascontiguousarray(raw))]
        return pa.Array.from_buffers(kind, len(raw), buffers)


def _flipped(bits: Times) -> Times:
    """Return the bits of floats as integers of the same order, or the other way round."""
    return bits ^ ((bits >> 63) & _BELOW_SIGN)


def values_of(array: Any) -> NDArray[Any]:
    """Return the numbers, dates or times of an Arrow array as what they are stored as."""
    import pyarrow as pa

    types = pa.types
    kind = array.type
    letter = "f" if types.is_floating(kind) else "u" if types.is_unsigned_integer(kind) else "i"
    dtype = np.dtype(f"{letter}{kind.bit_width // 8}")
    data = array.buffers()[1]
    if data is None or not len(array):
        return np.zeros(0, dtype)
    # The buffer may end with bytes that are none of its values.
    return np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)
