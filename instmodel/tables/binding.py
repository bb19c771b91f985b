"""Which column of a table fills which input values, and what a null in it becomes."""

from __future__ import annotations

import contextlib
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from instmodel.base import map_keys, values
from instmodel.base.categories import Categories
from instmodel.base.features import Feature
from instmodel.errors import InputError
from instmodel.tables.columns import column_names, match_columns
from instmodel.tables.naming import AS_THE_FEATURES, Naming

Nulls = str | float | Mapping[str, str | float]
"""``"error"``, ``"nan"``, a number, or one of them for each column."""


class Slot(NamedTuple):
    """A column of a table and the input values that it fills."""

    position: int  # of the column in the table
    name: str
    start: int  # of the input values
    size: int
    is_array: bool  # each cell is a list of `size` numbers
    null: float | None  # what takes the place of a null; None: a null is an error
    keys: tuple[int, ...] = ()  # which of its values are looked up in maps as they come
    categories: Categories | None = None  # what text its cells may be


class Binding:
    """The features of a model, ready to be found in tables.

    Parameters
    ----------
    features : sequence of Feature
        Empty for a model without names: then columns count by their position.
    feature_size : int
    nulls : str, number or mapping
        See `Nulls`; a mapping goes by column or feature, and what it leaves out is an error.
    key_inputs : sequence of int
        `InstructionModel.key_inputs`.
    naming : Naming
        What the columns of tables are called, if not as the features.
    read_inputs : sequence of int
        `InstructionModel.read_inputs`, if the others need no columns.

    Raises
    ------
    InputError
        ``repeated_feature``, ``invalid_nulls``, and what `Naming.check` raises.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        feature_size: int,
        nulls: Nulls = "error",
        key_inputs: Sequence[int] = (),
        naming: Naming = AS_THE_FEATURES,
        read_inputs: Sequence[int] = (),
    ) -> None:
        self.features = tuple(features)
        # A table must have columns, for the number of its rows.
        self._read_inputs = read_inputs or range(feature_size)
        naming.check(self.features)
        self._naming = naming
        self.feature_size = feature_size
        self._key_inputs = key_inputs
        self._categories = {feature.name: feature.categories for feature in self.features}
        column_names(self.features)  # raises for repeated names
        names = [feature.name for feature in self.features]
        if len(set(names)) < len(names):  # "a" and "a[1]": the same column
            raise InputError("repeated_feature", "an array and another feature share a name")
        if isinstance(nulls, Mapping):
            self._nulls = {name: null_value(value, name) for name, value in nulls.items()}
            self._other: float | None = None
        else:
            self._nulls = {}
            self._other = null_value(nulls, None)

    def slots(self, header: Sequence[str]) -> list[Slot]:
        """Find the columns of a table; extra ones do not matter.

        An array feature ``emb[3]`` is a column ``emb`` of lists or, where there is none, the three
        columns ``emb[0]``, ``emb[1]``, ``emb[2]``.

        Raises
        ------
        InputError
            ``missing_column``, ``repeated_column``, ``column_count_mismatch``, ``invalid_nulls``,
            ``inexact_key`` for a null that would become one.
        """
        wanted: list[tuple[str, str, int, bool]] = []  # column, feature, size, is_array
        called = self._naming.called(header, self.features)
        if self.features:
            present = set(called)
            for feature in self.features:
                if feature.is_array and (feature.name in present or not _parts(feature, present)):
                    wanted.append((feature.name, feature.name, feature.size, True))
                else:
                    wanted += [(name, feature.name, 1, False) for name in feature.columns()]
        else:
            self._check_count(header)
            wanted = [(name, name, 1, False) for name in header]
        self._check_nulls(wanted)
        starts = accumulate((size for _, _, size, _ in wanted), initial=0)
        # What changes no score need not be there, and may be anything.
        places = [
            (place, start)
            for place, (start, (_, _, size, _)) in enumerate(zip(starts, wanted, strict=False))
            if _within(self._read_inputs, start, size)
        ]
        read = [wanted[place] for place, _ in places]
        if self.features:
            names = [name for name, *_ in read]
            lists = {name: size for name, _, size, is_array in read if is_array}
            positions = match_columns(names, called, arrays=lists)
        else:
            positions = [place for place, _ in places]
        slots = []
        for (name, owner, size, is_array), (_, start), position in zip(
            read, places, positions, strict=True
        ):
            column = header[position]
            rules = (self._nulls[n] for n in (column, name, owner) if n in self._nulls)
            null = next(rules, self._other)
            keys = self._keys_in(start, size)
            if keys and null is not None and map_keys.is_inexact(null):
                raise map_keys.error(null, field="nulls", column=column)
            texts = self._categories.get(owner)
            slots.append(Slot(position, column, start, size, is_array, null, keys, texts))
        return slots

    def _keys_in(self, start: int, size: int) -> tuple[int, ...]:
        return tuple(place - start for place in _within(self._key_inputs, start, size))

    def _check_count(self, header: Sequence[str]) -> None:
        if len(header) != self.feature_size:
            raise InputError(
                "column_count_mismatch",
                "the model does not name its features, so the columns must be exactly its inputs",
                expected=f"{self.feature_size} columns",
                actual=len(header),
            )

    def _check_nulls(self, wanted: Sequence[tuple[str, str, int, bool]]) -> None:
        known = {name for column, feature, *_ in wanted for name in (column, feature)}
        known.update(self._naming.rename)
        for name in self._nulls:
            if name not in known:
                advice = values.hint(str(name), sorted(known))
                if "=" in str(name):  # age=0,city of `--nulls age=0,city=0`
                    advice = "; `--nulls` is given once for each column"
                raise InputError(
                    "invalid_nulls", f"`nulls` names no column of the model: {name!r}{advice}"
                )


def narrowed(slots: Sequence[Slot]) -> tuple[list[int], list[Slot]]:
    """Return which columns of a table slots need, and the slots in a table of only these."""
    places = sorted({slot.position for slot in slots})
    new = {place: index for index, place in enumerate(places)}
    return places, [slot._replace(position=new[slot.position]) for slot in slots]


def _within(places: Sequence[int], start: int, size: int) -> Sequence[int]:
    """Return those of ascending places that are in a range."""
    return places[bisect_left(places, start) : bisect_left(places, start + size)]


def _parts(feature: Feature, present: set[str]) -> bool:
    return any(name in present for name in feature.columns())


def null_rule(text: str) -> str | float:
    """Read what a null becomes from a text: ``nan``, ``0``; others are left to be refused."""
    try:
        number = float(text)
    except ValueError:
        return text
    return text if math.isnan(number) else number


def null_value(value: Any, name: str | None) -> float | None:
    """Return what a null becomes under a rule, None for an error; refuse what is no rule."""
    if isinstance(value, str) and value in ("error", "nan"):
        return None if value == "error" else math.nan
    # What rounds to infinity in float32 is no replacement for anything.
    with np.errstate(over="ignore"), contextlib.suppress(OverflowError):
        if (
            isinstance(value, Real)
            and not isinstance(value, bool)
            and not np.isinf(np.float32(float(value)))
        ):
            return float(value)
    raise InputError(
        "invalid_nulls",
        "not a way to treat nulls",
        field="nulls" if name is None else f"nulls[{name!r}]",
        expected="'error', 'nan', or a finite number",
        actual=repr(value),
    )
