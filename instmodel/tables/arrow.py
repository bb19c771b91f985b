"""Columns of Arrow record batches: numbers are read where they are, the rest a block at a time."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.tables.binding import Slot
from instmodel.tables.cells import (
    BadCell,
    CodedColumn,
    Column,
    Mask,
    NumpyColumn,
    Part,
    categorised,
    decimal_advice,
    empty_text,
    not_a_number,
    shown,
    too_large,
    wrong_length,
    wrong_type,
)
from instmodel.tables.columns import is_infinity, is_number, with_point


def arrow_column(slot: Slot, array: Any, first_row: int = 0) -> Column:
    """Return the column of an Arrow array.

    Raises
    ------
    InputError
        ``invalid_cell``: the type is no number, or for an array feature no list of numbers.
    """
    import pyarrow as pa

    while isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    if pa.types.is_null(kind):
        return _nothing(slot, len(array))
    if slot.is_array:
        if _is_list(kind):
            return _ListColumn(slot, array)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _PlainColumn(slot, array)
    elif _numeric_after_conversion(kind):
        return _ConvertedColumn(slot, array)
    elif slot.categories is not None and _is_text(kind):
        if pa.types.is_dictionary(kind) and len(array.dictionary) <= len(array):
            return _coded(slot, array)
        return _CategoryColumn(slot, array)
    row = next((i for i, valid in enumerate(array.is_valid()) if valid.as_py()), None)
    if row is None:
        raise wrong_type(slot, str(kind))
    raise wrong_type(slot, str(kind), first_row + row, _cell(array[row]))


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes()


def text_column(slot: Slot, array: Any, first_row: int = 0, decimal: str = ".") -> Column:
    """Return the column of an Arrow array that is all text, as in CSV: numbers are, too."""
    import pyarrow as pa

    if pa.types.is_string(array.type) and not slot.is_array:
        if slot.categories is not None:
            return _CategoryColumn(slot, array, written=True)
        return _TextColumn(slot, array, decimal)
    return arrow_column(slot, array, first_row)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        kind = kind.value_type
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(kind) for check in checks)


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    checks = (
        *(pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list),
        *(pa.types.is_list_view, pa.types.is_large_list_view),
    )
    return any(check(kind) for check in checks)


def _numeric_after_conversion(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        kind = kind.value_type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return True
    return bool(pa.types.is_boolean(kind) or pa.types.is_decimal(kind))


def _nothing(slot: Slot, rows: int) -> Column:
    shape = (rows, slot.size) if slot.is_array else (rows,)
    return NumpyColumn(
        slot, np.broadcast_to(np.float32(0), shape), np.broadcast_to(np.True_, shape)
    )


class _PlainColumn(Column):
    """Integers or floats, read where Arrow has them."""

    def __init__(self, slot: Slot, array: Any) -> None:
        super().__init__(slot)
        dtype = _dtype(array.type)
        validity, data = array.buffers()
        self._offset = array.offset
        self._values: NDArray[Any] = np.zeros(0, dtype)
        if data is not None and len(array):
            self._values = np.frombuffer(data, dtype)[self._offset : self._offset + len(array)]
        self._validity: NDArray[np.uint8] | None = None  # a bit for each value
        if array.null_count:
            self._validity = np.frombuffer(validity, np.uint8)

    def part(self, start: int, stop: int) -> Part:
        values = self._values[start:stop]
        if self._validity is None:
            return Part(values)
        return Part(values, _cleared(self._validity, self._offset + start, len(values)))


def _dtype(kind: Any) -> np.dtype[Any]:
    """Return what NumPy calls a type of numbers; old versions of Arrow would ask pandas."""
    import pyarrow as pa

    letter = "f" if pa.types.is_floating(kind) else "i" if pa.types.is_signed_integer(kind) else "u"
    return np.dtype(f"{letter}{kind.bit_width // 8}")


def _cleared(bits: NDArray[np.uint8], start: int, count: int) -> Mask | None:
    """Return which of `count` bits from `start` on are 0; None: none is."""
    first, skip = divmod(start, 8)
    unpacked = np.unpackbits(bits[first:], count=skip + count, bitorder="little")[skip:]
    missing: Mask = unpacked == 0
    return missing if missing.any() else None


class _ConvertedColumn(Column):
    """Booleans, decimals, and integers or floats behind an encoding."""

    def __init__(self, slot: Slot, array: Any) -> None:
        super().__init__(slot)
        self._array = array

    def part(self, start: int, stop: int) -> Part:
        import pyarrow as pa
        import pyarrow.compute as pc

        array = self._array.slice(start, stop - start)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        elif pa.types.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        if pa.types.is_boolean(array.type):
            array = array.cast(pa.uint8())
        elif pa.types.is_decimal(array.type):
            array = array.cast(pa.float64())
        return _PlainColumn(self.slot, array).part(0, len(array))


class _TextColumn(Column):
    """Numbers written as text."""

    def __init__(self, slot: Slot, array: Any, decimal: str) -> None:
        super().__init__(slot)
        self._array = array
        self._decimal = decimal

    def part(self, start: int, stop: int) -> Part:
        import pyarrow as pa
        import pyarrow.compute as pc

        array = numbers = self._array.slice(start, stop - start)
        if self._decimal != ".":  # see `with_point`
            numbers = pc.replace_substring(array, ".", "_")
            numbers = pc.replace_substring(numbers, self._decimal, ".")
        try:
            found = _PlainColumn(self.slot, numbers.cast(pa.float64())).part(0, len(array))
        except pa.ArrowInvalid:
            return self._exact(array.to_pylist())
        # Written so, or too large for float64.
        return self._exact(array.to_pylist()) if np.isinf(found.values).any() else found

    def _exact(self, cells: list[str | None]) -> Part:
        values = np.zeros(len(cells))
        missing = np.array([cell is None for cell in cells], bool)
        wrong = {}
        for row, cell in enumerate(cells):
            if cell is not None:
                number = with_point(cell, self._decimal)
                if not is_number(number):
                    wrong[row] = _no_number(cell) if cell else empty_text()
                    continue
                values[row] = float(number)
                if np.isinf(values[row]) and not is_infinity(cell):
                    wrong[row] = too_large(cell)
        return Part(values, missing if missing.any() else None, wrong)


def _no_number(cell: str) -> BadCell:
    return not_a_number(cell)._replace(advice=partial(decimal_advice, cell))


class _CategoryColumn(Column):
    """Text of categories; `written`: in a file without types, where empty text is no category."""

    def __init__(self, slot: Slot, array: Any, written: bool = False) -> None:
        super().__init__(slot)
        self._array = array
        self._written = written

    def part(self, start: int, stop: int) -> Part:
        import pyarrow as pa
        import pyarrow.compute as pc

        array = self._array.slice(start, stop - start)
        if pa.types.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        if pa.types.is_dictionary(array.type):  # of more texts than there are rows
            array = _text(array.dictionary).take(array.indices)
        encoded = _text(array).dictionary_encode()
        return _coded(self.slot, encoded, self._written).part(0, len(array))


def _text(array: Any) -> Any:
    """Return text in a form that Arrow computes with; views are none."""
    import pyarrow as pa

    return array.cast(pa.large_string()) if pa.types.is_string_view(array.type) else array


def _texts(array: Any) -> tuple[list[str | None], dict[int, BadCell]]:
    """Return texts, and by place what is none: who made the array may not have looked."""
    try:
        return array.to_pylist(), {}
    except UnicodeDecodeError:
        cells = list(map(_cell, array))
    wrong = {
        place: BadCell("invalid_cell", "the text is not UTF-8", "UTF-8", shown(cell))
        for place, cell in enumerate(cells)
        if isinstance(cell, bytes)
    }
    return [None if place in wrong else cell for place, cell in enumerate(cells)], wrong


def _coded(slot: Slot, array: Any, written: bool = False) -> Column:
    """Return the column of text behind a dictionary, which is looked at once."""
    distinct, wrong = _texts(array.dictionary)
    found = categorised(distinct, slot.categories)
    found = found._replace(wrong={**found.wrong, **wrong})
    if written and "" in distinct and slot.categories and "" not in slot.categories.codes:
        found = found._replace(wrong={**found.wrong, distinct.index(""): empty_text()})
    return CodedColumn(slot, _PlainColumn(slot, array.indices), found)


class _ListColumn(Column):
    """Lists of numbers, of any of Arrow's list types."""

    def __init__(self, slot: Slot, array: Any) -> None:
        super().__init__(slot)
        self._array = array
        self._element = slot._replace(is_array=False)
        # Looks at the type of the elements now, so that it is an error also without rows.
        arrow_column(self._element, array[:0].flatten())

    def part(self, start: int, stop: int) -> Part:
        import pyarrow.compute as pc

        size = self.slot.size
        array = self._array.slice(start, stop - start)
        lengths = pc.fill_null(pc.list_value_length(array), size).to_numpy(zero_copy_only=False)
        missing: Mask | None = None
        if array.null_count:
            missing = array.is_null().to_numpy(zero_copy_only=False)
        wrong = {
            row: wrong_length(size, int(lengths[row]))
            for row in np.flatnonzero(lengths != size).tolist()
        }
        there: Mask | None = None  # rows whose elements are taken
        if wrong or missing is not None:
            there = lengths == size
            if missing is not None:
                there &= ~missing
            array = array.filter(there)
        inner = arrow_column(self._element, array.flatten()).part(0, len(array) * size)
        values = inner.values.reshape(-1, size)
        holes = None if inner.missing is None else inner.missing.reshape(-1, size)
        taken = np.arange(stop - start) if there is None else np.flatnonzero(there)
        for place, problem in inner.wrong.items():
            wrong.setdefault(int(taken[place // size]), problem)
        strange = None if inner.unknown is None else inner.unknown.reshape(-1, size)
        if there is None:
            return Part(values, holes, wrong, strange)
        spread = np.zeros((stop - start, size), values.dtype)
        spread[there] = values
        gaps = np.zeros((stop - start, size), bool)
        if missing is not None:
            gaps[missing] = True
        if holes is not None:
            gaps[there] = holes
        unknown: Mask | None = None
        if strange is not None:
            unknown = np.zeros((stop - start, size), bool)
            unknown[there] = strange
        return Part(spread, gaps if gaps.any() else None, wrong, unknown)
