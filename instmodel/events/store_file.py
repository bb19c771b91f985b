"""Files of states: a table that any program reads, with what it is about in its metadata."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from instmodel.base.extras import require
from instmodel.errors import InputError, InstModelError
from instmodel.events.columns import NO_TIME, Order, key_type, time_type, values_of, wrong_type
from instmodel.events.held import SOME_KEYS, Held
from instmodel.events.keys import Keys
from instmodel.stores import AnyPath, Location, location
from instmodel.tables.columns import match_columns
from instmodel.tables.inputs import single
from instmodel.tables.kinds import kind_of
from instmodel.tables.reader import Reader
from instmodel.tables.readers import open_reader, reading
from instmodel.tables.writers import open_writer

# Where the metadata of the schema says what the columns are.
_ABOUT = b"instmodel.states"
_VERSION = 1
_KINDS = ("parquet", "arrow")


def kind_of_states(place: Location) -> str:
    """Return the format of a file of states by its name.

    Raises
    ------
    InputError
        ``invalid_table``: no such file is one.
    """
    kind = kind_of(place.name)
    if kind not in _KINDS:
        raise _no_file_of_states(str(place))
    return kind


def write(path: AnyPath, held: Held | None, digest: str, size: int) -> None:
    """Write a file; see `StateStore.save`."""
    require("pyarrow", "arrow")
    place = location(path)
    kind = kind_of_states(place)
    with place.replacing() as file:
        write_into(file, kind, held, digest, size)


def write_into(file: BinaryIO, kind: str, held: Held | None, digest: str, size: int) -> None:
    """Do what `write` does, into an open file."""
    with open_writer(kind, file) as writer:
        writer.begin(_schema(held, digest, size))
        for batch in _batches(held, size):
            writer.write(batch)
        writer.finish()


def _schema(held: Held | None, digest: str, size: int) -> Any:
    import pyarrow as pa

    names = [] if held is None else held.keys.names
    types = [] if held is None else held.keys.types
    order = None if held is None else held.order
    about: dict[str, Any] = {"version": _VERSION, "digest": digest, "by": names}
    about["state"] = _free("state", names)
    fields = [pa.field(name, kind) for name, kind in zip(names, types, strict=True)]
    fields.append(pa.field(about["state"], pa.list_(pa.float32(), size)))
    if order is not None and order.kind is not None:
        about["order"] = {"column": _free("order", names), "of": order.name}
        fields.append(pa.field(about["order"]["column"], order.kind))
    return pa.schema(fields, {_ABOUT: json.dumps(about)})


def _free(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _batches(held: Held | None, size: int) -> Iterator[Any]:
    import pyarrow as pa

    if held is None:
        return
    order = held.order
    for start in range(0, len(held), SOME_KEYS):
        stop = min(start + SOME_KEYS, len(held))
        floats = pa.array(held.states[start:stop].reshape(-1))
        columns = [
            *held.keys.arrays(start, stop),
            pa.FixedSizeListArray.from_arrays(floats, size),
        ]
        if order is not None and order.kind is not None:
            columns.append(order.values(held.last[start:stop, 0]))
        yield pa.RecordBatch.from_arrays(columns, [str(place) for place in range(len(columns))])


# ------------------------------------------------------------------------------------------ reading


def read(path: AnyPath, digest: str, size: int) -> Held | None:
    """Read a file; see `StateStore.load`."""
    require("pyarrow", "arrow")
    place = location(path)
    kind_of_states(place)
    place.stamp()  # its error is the best one for a file that is not there
    source = single(place)
    with reading(source), contextlib.closing(open_reader(source)) as reader:
        return _read(reader, digest, size)


def _read(reader: Reader, digest: str, size: int) -> Held | None:
    about = _about(reader.schema.metadata)
    if about["digest"] != digest:
        raise mismatch(digest, about["digest"])
    names, order = about["by"], about.get("order")
    wanted = [*names, about["state"], *([order["column"]] if order else [])]
    places = match_columns(wanted, reader.schema.names)
    fields = [reader.schema.field(place) for place in places]
    for field in fields[: len(names)]:
        if key_type(field.type) != field.type:
            raise wrong_type(field.name, "keys", field.type)
    _check_state(fields[len(names)], size)
    last = None
    if order:
        last = Order(order["of"], fields[-1].type)
        if time_type(last.kind) != last.kind:
            raise wrong_type(fields[-1].name, "times", last.kind)
    if not names:
        return None
    held = Held(Keys(names, [field.type for field in fields[: len(names)]]), last, size)
    shown = [reader.schema.names[place] for place in sorted(places)]
    for rows in reader.batches(shown, None):
        rows.batch.validate(full=True)  # what a damaged file says about itself need not be so
        _take(held, [rows.batch.column(name) for name in wanted], wanted, len(held) + 1)
    return held


def _about(metadata: Any) -> dict[str, Any]:
    """Return what the metadata says, as far as it makes sense."""
    text = (metadata or {}).get(_ABOUT)
    if text is None:
        raise _no_states("a table, but none of states", "metadata 'instmodel.states'")
    try:
        about = json.loads(text)
        version = about["version"]
        texts = [about["digest"], about["state"], *about["by"]]
        order = about.get("order")
        texts += [] if order is None else [order["column"], order["of"]]
        sound = isinstance(about["by"], list) and all(isinstance(item, str) for item in texts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        version, sound = _VERSION, False
    if version != _VERSION:
        raise InstModelError(
            "unsupported_version",
            "states of another version",
            expected=_VERSION,
            actual=repr(version)[:40],
        )
    if not sound:
        raise _no_states("the metadata makes no sense", "metadata as `StateStore.save` writes it")
    found: dict[str, Any] = about
    return found


def _check_state(field: Any, size: int) -> None:
    import pyarrow as pa

    kind = field.type
    if not (
        pa.types.is_fixed_size_list(kind)
        and kind.list_size == size
        and pa.types.is_float32(kind.value_type)
    ):
        raise wrong_type(field.name, f"lists of {size} float32", kind)


def _take(held: Held, columns: list[Any], names: list[str], first_row: int) -> None:
    """Add rows of a file; the first one has a number, counted from 1."""
    count = len(held.keys.names)
    keys, state = columns[:count], columns[count]
    values = state.flatten()
    for name, column in zip(names, [*keys, state], strict=False):
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise _null(name, first_row + row)
    if values.null_count:
        row = values.is_null().to_pylist().index(True) // held.states.shape[1]
        raise _null(names[count], first_row + row)
    before = len(held)
    rows = len(state)
    slots = held.slots(keys, np.zeros(held.states.shape[1], np.float32))
    again = np.flatnonzero(slots != np.arange(before, before + rows))
    if len(again):
        raise InputError("invalid_table", "the key is there twice", row=first_row + int(again[0]))
    held.states[before : before + rows] = values_of(values).reshape(rows, -1)
    if held.order is not None:
        times = columns[-1]
        known = times.is_valid().to_numpy(zero_copy_only=False)
        found = np.full(rows, NO_TIME, np.int64)
        found[known] = held.order.numbers(times.drop_null())
        held.last[before : before + rows, 0] = found


def _null(name: str, row: int) -> InputError:
    return InputError("null_value", "the value is null", column=name, row=row)


def _no_states(message: str, expected: str) -> InputError:
    return InputError("invalid_table", message, expected=expected)


def _no_file_of_states(path: str) -> InputError:
    return InputError(
        "invalid_table",
        "the name tells no format that holds states",
        file=path,
        expected=".parquet, .arrow",
    )


def mismatch(own: str, other: str) -> InputError:
    """Return the error for the states of another model."""
    return InputError(
        "state_model_mismatch",
        "these are the states of another model",
        expected=f"the digest {own[:16]}…",
        actual=f"{other[:16]}…",
    )
