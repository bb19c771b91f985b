"""One row, given by name: the online side of a feature store."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base import map_keys
from instmodel.errors import InputError
from instmodel.tables import frames
from instmodel.tables.binding import Nulls, null_value
from instmodel.tables.cells import ObjectColumn
from instmodel.tables.fill import fill
from instmodel.tables.scorer import RowScorer
from instmodel.tables.scoring import BadRow, binding_of, say_positions
from instmodel.tables.streams import is_a

Floats = NDArray[np.float32]
Packer = Callable[[Mapping[str, Any], Nulls], Floats | None]

# By type, too: True is no number here. Refusals are not remembered.
_check_rule = lru_cache(typed=True)(null_value)

# Packing asks an object for its float, and complex numbers, text in arrays and masks answer.
_PACKED = frozenset({int, float, bool, *(np.dtype(code).type for code in "?bhilqBHILQefd")})


def packer_of(model: RowScorer) -> Packer:
    """Return what turns a row of plain numbers into an input quickly.

    Packing converts numbers and known categories, and refuses everything else, or a rule for nulls
    that is none: then the result is None, and `predict_one` looks closer. So it is for models
    without names, and with array features.
    """
    inputs = model.read_inputs or range(model.feature_size)
    names = [model.columns[place] for place in inputs] if model.columns else []
    arrays = any(feature.is_array for feature in model.named_features)
    if not names or arrays or len(set(model.columns)) < len(model.columns):
        return lambda row, nulls: None
    read = set(inputs)
    # 4x is a 0 that nobody reads.
    pack = struct.Struct(
        "=" + "".join("f" if i in read else "4x" for i in range(model.feature_size))
    ).pack
    known = set(model.columns)
    get = _getter(names)
    keys = [place for place, i in enumerate(inputs) if i in set(model.key_inputs)]
    if keys:
        pack = _with_held_keys(pack, keys)
    features = [model.named_features[i] for i in inputs]
    codes = [
        (place, feature.categories.codes)
        for place, feature in enumerate(features)
        if feature.categories is not None
    ]

    def packer(row: Mapping[str, Any], nulls: Nulls) -> Floats | None:
        try:
            if nulls != "error" and not _are_rules(nulls, known):
                return None
            if type(row) is not dict and frames.is_series(row):  # where NaN is a null
                return None
            cells: Sequence[Any] = get(row)
            if codes:
                cells = _as_numbers(cells, codes)
            if not _PACKED.issuperset(map(type, cells)):
                return None
            return np.frombuffer(pack(*cells), np.float32)
        except (LookupError, TypeError, ValueError, OverflowError, struct.error):
            return None

    return packer


def _getter(places: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what takes the items at some places, always as a tuple."""
    return itemgetter(*places) if len(places) > 1 else lambda items: (items[places[0]],)


def _as_numbers(
    cells: Sequence[Any], codes: Sequence[tuple[int, Mapping[str, int]]]
) -> Sequence[Any]:
    """Return cells with the number of each category; KeyError for a text that is none."""
    found = list(cells)
    for place, numbers in codes:
        if isinstance(found[place], str):
            found[place] = numbers[found[place]]
    return found


def _with_held_keys(pack: Callable[..., bytes], key_inputs: Sequence[int]) -> Callable[..., bytes]:
    """Return `pack`, but raising ValueError where a key of a map needs a closer look."""
    get = _getter(key_inputs)

    def checked(*cells: Any) -> bytes:
        if not map_keys.are_held([*map(float, get(cells))]):
            raise ValueError
        return pack(*cells)

    return checked


def _are_rules(nulls: Nulls, names: set[str]) -> bool:
    """Return whether `nulls` goes by these names; raise where one of its rules is none."""
    if not isinstance(nulls, Mapping):
        _check_rule(nulls, None)
        return True
    for name, rule in nulls.items():
        _check_rule(rule, name)
    return names.issuperset(nulls)


def predict_one(model: RowScorer, row: Any, nulls: Nulls) -> Floats:
    """Score a row that is not only plain numbers; see `InstructionModel.predict_one`."""
    nan_is_null = False
    if frames.is_series(row):
        header, cells, nan_is_null = frames.series_row(row)
    else:
        named = _by_name(row)
        header, cells = list(map(str, named)), list(named.values())
    slots = binding_of(model, nulls).slots(header)
    say_positions(model, header)
    block = np.zeros((1, model.feature_size), np.float32)
    columns = [ObjectColumn(slot, [cells[slot.position]], nan_is_null) for slot in slots]
    bad = fill(columns, 0, 1, block)
    if bad:
        raise BadRow(None, *bad[0]).error()
    return model.predict(block[0])


def _by_name(row: Any) -> Mapping[Any, Any]:
    """Return the cells of what libraries call a row."""
    if is_a(row, "pyarrow", "StructScalar"):
        return _by_name(row.as_py() or {})
    if isinstance(row, Mapping):
        return row
    if isinstance(row, np.void) and row.dtype.names:
        return {name: row[name] for name in row.dtype.names}
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    for method in ("_asdict", "asDict"):  # named tuples, and rows of SQLAlchemy; those of Spark
        if isinstance(row, tuple) and hasattr(row, method):
            return dict(getattr(row, method)())
    if hasattr(row, "keys") and not hasattr(row, "columns"):  # rows of SQLite
        return {name: row[name] for name in row.keys()}  # noqa: SIM118 it iterates over cells
    kind = type(row)
    advice = "; predict_table takes tables, also of one row" if hasattr(row, "columns") else ""
    raise InputError(
        "invalid_table",
        f"not a row whose cells have names{advice}",
        expected="a mapping from names to values, a named tuple, or a pandas Series",
        actual=f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
    )
