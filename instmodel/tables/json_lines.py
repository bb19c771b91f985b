"""Read JSON lines: an object a line, a key that a line does not have is null.

A column has the type that holds all of its values. The first lines tell it, and a look at all of
them where columns go along or are missing; whatever a type cannot hold without loss is an error.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from instmodel.errors import InputError
from instmodel.tables.arrow import arrow_column
from instmodel.tables.binding import Slot
from instmodel.tables.cells import ObjectColumn
from instmodel.tables.inputs import Source
from instmodel.tables.reader import Rows, TextReader
from instmodel.tables.scoring import NO_FAULTS, Chunk

Line = Mapping[str, Any]

# Lines that are parsed together, and about how many bytes of them.
_LINES, _BYTES = 1 << 12, 1 << 24
# Bytes; longer "lines" come from files that are no JSON lines, or grow from a few bytes to fill
# the memory. An object of 1,000,000 features fits.
_LONGEST = 1 << 26

# What Arrow raises for cells of several types, integers beyond 64 bits, and halves of surrogate
# pairs; its own errors are of these types.
_UNFIT = (ValueError, TypeError, OverflowError)


class JsonLines(TextReader):
    """One JSON object a line."""

    def _open(self, source: Source) -> Any:
        import pyarrow as pa

        self._source = source
        self._size = source.stamp()["size"]
        self._file = source.open()
        self._line = 0
        self._at_end = False
        try:
            self._first = self._read(_LINES)
        except BaseException:
            self._file.close()
            raise
        self._types = _Types()
        self._types.add(self._first, 1)
        return pa.schema(self._types.items())

    def learn(self) -> bool:
        """Look at all lines, unless they come from a pipe."""
        import pyarrow as pa

        if self._at_end or self._source.once:
            return False
        types = self._types
        with contextlib.closing(JsonLines(self._source)) as again:
            while lines := again._read(_LINES):
                types.add(lines, again._line - len(lines) + 1)
        added = [(name, self.schema.field(name).type) for name in self.added if name not in types]
        self.schema = pa.schema([*types.items(), *added])
        return True

    def _read(self, count: int) -> list[Line]:
        rows: list[Line] = []
        size = 0
        while len(rows) < count and size < _BYTES:
            line = self._file.readline(_LONGEST)
            if not line:
                self._at_end = True
                break
            self._line += 1
            size += len(line)
            if len(line) == _LONGEST:
                raise self._error("too long for a line of JSON")
            try:
                row = json.loads(line.rstrip(b"\r\n"), parse_float=_number)
            except json.JSONDecodeError as error:
                raise self._error(f"not JSON: {error.msg}", column=error.colno) from None
            except (ValueError, RecursionError) as error:
                raise self._error(f"not JSON: {error}") from None
            if not isinstance(row, dict):
                raise self._error("not a JSON object")
            rows.append(row)
        return rows

    def _error(self, message: str, column: int | None = None) -> InputError:
        return InputError("invalid_table", message, line=self._line, column=column)

    def batches(self, names: Sequence[str], batch_rows: int | None) -> Iterator[Rows]:
        """Yield the rows."""
        import pyarrow as pa

        schema = pa.schema([field for field in self.schema if field.name in names])
        most = batch_rows or _LINES
        rows, self._first = self._first, []
        line = 1
        while rows or (rows := self._read(most)):
            for start in range(0, len(rows), most):
                part = rows[start : start + most]
                yield _JsonRows(part, line + start, schema, self.added, self._types.mixed)
            line += len(rows)
            rows = []


def _number(text: str) -> float | Decimal:
    """Read a JSON number: what float64 cannot hold must not become infinity."""
    number = float(text)
    return number if math.isfinite(number) else Decimal(text)


class _Types(dict[str, Any]):
    """The Arrow type of each key that was seen; null for values that have no type together.

    Attributes
    ----------
    mixed : dict of str to InputError
        What to say where someone wants these columns of several types.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mixed: dict[str, InputError] = {}

    def add(self, lines: Sequence[Line], first_line: int) -> None:
        """Widen the types to what lines hold."""
        import pyarrow as pa

        for name in dict.fromkeys(name for line in lines for name in line):
            if name in self.mixed:
                continue
            cells = [line.get(name) for line in lines]
            type_ = self.setdefault(name, pa.null())
            try:
                self[name] = _widened(type_, pa.array(cells).type)
            except _UNFIT:  # no column to keep, but one may score it
                self[name] = pa.null()
                self.mixed[name] = _misfit(name, cells, type_, first_line)


def _misfit(name: str, cells: Sequence[Any], type_: Any, first_line: int) -> InputError:
    """Return an error for the first cell that has no type with those before it."""
    import pyarrow as pa

    for place, cell in enumerate(cells):
        try:
            type_ = _widened(type_, pa.array([cell]).type)
        except _UNFIT as error:
            return _no_type(name, error, first_line + place)
    for place, cell in enumerate(cells):  # an integer beyond 2**53 among fractions
        try:
            pa.array([cell], type_)
        except _UNFIT as error:
            return _no_type(name, error, first_line + place)
    raise AssertionError(f"{type_} holds them all")


def _no_type(name: str, error: Exception, line: int) -> InputError:
    return InputError(
        "invalid_table",
        f"Arrow has no one type for a kept column: {error}",
        column=name,
        line=line,
    )


def _widened(a: Any, b: Any) -> Any:
    """Return the type that holds the values of two.

    Raises
    ------
    TypeError
        There is none.
    """
    import pyarrow as pa

    types = pa.types
    if a.equals(b) or types.is_null(b):
        return a
    if types.is_null(a):
        return b
    if all(types.is_integer(t) or types.is_floating(t) for t in (a, b)):
        return pa.float64()
    if types.is_list(a) and types.is_list(b):
        return pa.list_(_widened(a.value_type, b.value_type))
    if types.is_struct(a) and types.is_struct(b):
        parts = {part.name: part.type for part in a}
        for part in b:
            parts[part.name] = _widened(parts.get(part.name, pa.null()), part.type)
        return pa.struct(parts.items())
    raise TypeError(f"{b} after {a}")


class _JsonRows(Rows):
    def __init__(
        self,
        lines: Sequence[Line],
        first_line: int,
        schema: Any,
        added: Mapping[str, Any],
        mixed: Mapping[str, InputError],
    ) -> None:
        self.count = len(lines)
        self.make, self.faults = arrow_column, NO_FAULTS  # of what `kept` returns
        self._lines = lines
        self._first_line = first_line
        self._schema = schema
        self._mixed = mixed
        self._added = {name: value.as_py() for name, value in added.items()}

    def cells(self, position: int) -> Any:
        return self._cells(self._schema.names[position])

    def _cells(self, name: str) -> list[Any]:
        default = self._added.get(name)
        return [line.get(name, default) for line in self._lines]

    def chunk(self, slots: Sequence[Slot], first_row: int) -> Chunk:
        return Chunk(self.count, [ObjectColumn(slot, self._numbers(slot)) for slot in slots])

    def _numbers(self, slot: Slot) -> list[Any]:
        name = self._schema.names[slot.position]
        folder = self._added.get(name)
        if slot.categories is not None and folder is not None:
            return [line.get(name, str(folder)) for line in self._lines]
        return self._cells(name)

    def kept(self, positions: Sequence[int]) -> list[Any]:
        return [self._kept(self._schema.field(position)) for position in positions]

    def _kept(self, field: Any) -> Any:
        """Return the cells of a column in its type; Arrow alone would cut 19.99 down to 19."""
        import pyarrow as pa

        if field.name in self._mixed:
            raise self._mixed[field.name]
        cells = self._cells(field.name)
        try:
            found = pa.array(cells)
            if found.type.equals(field.type):
                return found
            if _widened(field.type, found.type).equals(field.type):
                return pa.array(cells, field.type)
        except _UNFIT:
            pass
        for place, cell in enumerate(cells):
            try:
                found = pa.array([cell]).type
                if not _widened(field.type, found).equals(field.type):
                    raise TypeError(f"{found} after {field.type}")
                pa.array([cell], field.type)
            except _UNFIT as error:
                raise _no_type(field.name, error, self._first_line + place) from None
        raise AssertionError("each cell fits, but not all of them")
