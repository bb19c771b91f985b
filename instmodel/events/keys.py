"""The keys of sequences: the values of one column, or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel._keys import KeyTable
from instmodel.errors import InputError
from instmodel.events.columns import converted, key_type, wrong_type

Slots = NDArray[np.int64]


class Keys:
    """Keys of one type, and the slot of each: its number in the order in which they came.

    Of several columns, each has a table of its distinct values; a key is what their numbers are.

    Parameters
    ----------
    names : sequence of str
        The columns.
    types : sequence of pyarrow.DataType
        What `key_type` has returned for each.
    """

    def __init__(self, names: Sequence[str], types: Sequence[Any]) -> None:
        self.names = list(names)
        self.types = list(types)
        self._values = [KeyTable(_width(kind)) for kind in types]
        self._tuples = KeyTable(8 * len(types)) if len(types) > 1 else None

    def __len__(self) -> int:
        return len(self._values[0] if self._tuples is None else self._tuples)

    def read(self, arrays: Sequence[Any]) -> list[Any]:
        """Return columns of any type as columns of keys.

        Raises
        ------
        InputError
            ``invalid_cell``: they are of another type.
        """
        found = []
        for array, name, kind in zip(arrays, self.names, self.types, strict=True):
            own = key_type(array.type)
            if own != kind:
                raise wrong_type(name, f"{kind}, as in the rows before", array.type)
            found.append(converted(array, kind, name))
        return found

    def find(self, arrays: Sequence[Any]) -> Slots:
        """Return the slot of each key of some columns without nulls; -1 for an unknown one."""
        return self._look_up(arrays, KeyTable.find)

    def add(self, arrays: Sequence[Any]) -> Slots:
        """Return the slot of each key of some columns without nulls, with the new ones added."""
        return self._look_up(arrays, KeyTable.find_or_add)

    def _look_up(self, arrays: Sequence[Any], look_up: Any) -> Slots:
        rows = len(arrays[0])
        codes = [np.empty(rows, np.int64) for _ in arrays]
        for name, table, array, slots in zip(self.names, self._values, arrays, codes, strict=True):
            try:
                look_up(table, *_bytes_of(array), slots)
            except ValueError as error:  # who made the array may not have looked
                raise InputError(
                    "invalid_table", "a damaged Arrow array", column=name, actual=error
                ) from None
        if self._tuples is None:
            return codes[0]
        slots = np.empty(rows, np.int64)
        # No key has an unknown value, -1, among its numbers.
        look_up(self._tuples, np.stack(codes, axis=1).reshape(-1).view(np.uint8), None, slots)
        return slots

    def truncate(self, count: int) -> None:
        """Forget all keys but the first `count`; of several columns, the values stay known."""
        (self._values[0] if self._tuples is None else self._tuples).truncate(count)

    def arrays(self, start: int, stop: int) -> list[Any]:
        """Return the columns of the keys start … stop."""
        if self._tuples is None:
            return [_array_of(self.types[0], *self._values[0].keys(start, stop))]
        codes = self._tuples.keys(start, stop)[0].view(np.int64).reshape(-1, len(self.types))
        distinct = [
            _array_of(kind, *table.keys(0, len(table)))
            for kind, table in zip(self.types, self._values, strict=True)
        ]
        return [values.take(place) for values, place in zip(distinct, codes.T, strict=True)]


def _width(kind: Any) -> int:
    """Return the bytes of each key of a type; 0: they are of any length."""
    import pyarrow as pa

    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return 0
    return 1 if pa.types.is_boolean(kind) else int(kind.bit_width) // 8


def _bytes_of(array: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Return the bytes of keys where Arrow has them, and the offsets of those of any length."""
    import pyarrow as pa

    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    width = _width(array.type)
    first, rows = array.offset, len(array)
    if width:
        return _buffer(array.buffers()[1], np.uint8)[first * width : (first + rows) * width], None
    _, offsets, data = array.buffers()
    if not rows:
        return _buffer(None, np.uint8), np.zeros(1, np.int64)
    return _buffer(data, np.uint8), _buffer(offsets, np.int64)[first : first + rows + 1]


def _buffer(buffer: Any, dtype: Any) -> NDArray[Any]:
    if buffer is None:
        return np.zeros(0, dtype)
    # A buffer may end with bytes that are none of its values.
    return np.frombuffer(buffer, dtype, buffer.size // np.dtype(dtype).itemsize)


def _array_of(kind: Any, data: NDArray[np.uint8], offsets: NDArray[np.int64] | None) -> Any:
    """Return an Arrow array of keys."""
    import pyarrow as pa

    if offsets is not None:
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)
    if pa.types.is_boolean(kind):
        return pa.array(data).cast(kind)
    return pa.Array.from_buffers(kind, len(data) // _width(kind), [None, pa.py_buffer(data)])
