"""Dictionary columns whose batches come with dictionaries of their own, as one dictionary.

A file of Arrow IPC has one dictionary for each column, before the first row; only some readers know
those that grow. So the rows wait as numbers until all distinct values are known.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any


class Dictionary:
    """The distinct values of a column, in the order in which they come.

    Parameters
    ----------
    kind : pyarrow.DictionaryType
    """

    def __init__(self, kind: Any) -> None:
        import pyarrow as pa

        self._kind = kind
        self._values = pa.array([], _stored(kind.value_type))
        self._last: tuple[Any, Any] | None = None  # a dictionary, and the numbers of its values
        self._is_ordered = kind.ordered

    def numbers(self, column: Any) -> Any:
        """Return the place of each cell among the values: an array of int32."""
        if self._last is None or not column.dictionary.equals(self._last[0]):
            self._last = column.dictionary, self._learn(column.dictionary)
        return self._last[1].take(column.indices)

    def _learn(self, values: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        values = values.cast(self._values.type)
        found = pc.index_in(values, value_set=self._values)
        new = values.filter(pc.and_(found.is_null(), values.is_valid())).unique()
        if not len(new):
            return found
        # Values that come later may belong between those that are there.
        self._is_ordered = self._is_ordered and not len(self._values)
        self._values = pa.concat_arrays([self._values, new])
        return pc.index_in(values, value_set=self._values)

    def column(self, numbers: Any) -> Any:
        """Return a column of all that was learnt, of what `numbers` has returned."""
        import pyarrow as pa

        return pa.DictionaryArray.from_arrays(numbers, self._values, ordered=self._is_ordered)

    @property
    def kind(self) -> Any:
        """The type of `column`."""
        import pyarrow as pa

        return pa.dictionary(pa.int32(), self._values.type, self._is_ordered)


def _stored(kind: Any) -> Any:
    import pyarrow as pa

    return pa.large_string() if pa.types.is_string_view(kind) else kind


def is_joinable(kind: Any) -> bool:
    """Return whether a type is a dictionary of values that Arrow finds again."""
    import pyarrow as pa

    if not pa.types.is_dictionary(kind):
        return False
    held = kind.value_type
    return bool(
        (pa.types.is_primitive(held) and not pa.types.is_float16(held))
        or pa.types.is_string(held)
        or pa.types.is_large_string(held)
        or pa.types.is_string_view(held)
        or pa.types.is_binary(held)
        or pa.types.is_decimal(held)
    )


def decoded(column: Any) -> Any:
    """Return the cells of a dictionary column themselves."""
    return column.dictionary.take(column.indices)


def without_null_values(column: Any) -> Any:
    """Return a column that is a dictionary with its nulls among the rows, not among the values."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type) or not column.dictionary.null_count:
        return column
    return decoded(column).dictionary_encode().cast(column.type)


class WaitingRows:
    """Rows with dictionary columns, in a nameless file until all their values are known.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the rows.
    """

    def __init__(self, schema: Any) -> None:
        import pyarrow as pa

        self._schema = schema
        self._dictionaries = {
            place: Dictionary(field.type)
            for place, field in enumerate(schema)
            if is_joinable(field.type)
        }
        fields = list(schema)
        for place in self._dictionaries:
            fields[place] = fields[place].with_type(pa.int32())
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 closed by `close`
        self._numbered = pa.schema(fields)
        self._writer = pa.ipc.new_stream(self._file, self._numbered)

    def write_batch(self, batch: Any) -> None:
        """Add rows."""
        import pyarrow as pa

        columns = list(batch.columns)
        for place, dictionary in self._dictionaries.items():
            columns[place] = dictionary.numbers(columns[place])
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._numbered))

    @property
    def schema(self) -> Any:
        """What the rows are like now."""
        import pyarrow as pa

        fields = list(self._schema)
        for place, dictionary in self._dictionaries.items():
            fields[place] = fields[place].with_type(dictionary.kind)
        return pa.schema(fields, self._schema.metadata)

    def batches(self) -> Iterator[Any]:
        """Yield all rows, as they came, with one dictionary for each column."""
        import pyarrow as pa

        self._writer.close()
        self._file.seek(0)
        schema = self.schema
        for batch in pa.ipc.open_stream(self._file):
            columns = list(batch.columns)
            for place, dictionary in self._dictionaries.items():
                columns[place] = dictionary.column(columns[place])
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def close(self) -> None:
        """Remove the rows."""
        self._writer.close()
        self._file.close()
