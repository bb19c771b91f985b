"""Text in the columns that encoders and imputers read: its numbers, and rows of it for the source.

Design
------
A. A text is its place in the dictionary of the column: every text that a step knows, in the order
   in which the steps name them. To a step that does not know it, it is unknown, as any other.
B. What is missing is NaN, whether the source calls it None or NaN.
C. Text that is in no dictionary is an error of the document where a step raises one for it, else
   the number -1, which no step has a key for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.categories import Categories
from instmodel.base.features import parse_feature_names
from instmodel.errors import StructureError
from instmodel.importers.expressions import Unsupported

Floats = NDArray[np.float64]
Codes = dict[str, int]
# What a step gets: columns of the input, and whether an imputer filled them; None for what was
# computed on the way. An empty list: everything was.
Columns = list[tuple[int, bool] | None]

ENCODERS = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
_UNKNOWN = -1.0
# Of a column that is dropped: whatever it holds, it changes nothing.
_ANY_TEXT = Categories((), 0.0)


class TextColumns:
    """The columns of an estimator's input that are text.

    Parameters
    ----------
    encoders, imputers : sequence of (estimator, Columns)
        Fitted, and what each gets.
    unread : set of int
        Columns of the input that no step gets.
    """

    def __init__(
        self,
        encoders: Sequence[tuple[Any, Columns]],
        imputers: Sequence[tuple[Any, Columns]],
        unread: set[int],
    ) -> None:
        self._unread = unread
        self._codes: dict[int, Codes] = {}  # by position in the input
        self._strict: set[int] = set()
        self._missing: dict[int, Any] = {}
        self._columns: dict[int, Columns] = {}  # by the identity of the step
        for step, columns in encoders:
            strict = getattr(step, "handle_unknown", "ignore") == "error"
            self._columns[id(step)] = columns
            for column, categories in zip(columns, step.categories_, strict=False):
                self._add(column, categories.tolist(), strict, None)
        for step, columns in imputers:
            self._columns[id(step)] = columns
            missing = step.missing_values
            for column, fill in zip(columns, np.asarray(step.statistics_).tolist(), strict=False):
                if isinstance(fill, str):
                    texts = [fill, missing] if isinstance(missing, str) else [fill]
                    self._add(column, texts, False, missing)

    def _add(
        self, column: tuple[int, bool] | None, cells: Sequence[Any], strict: bool, missing: Any
    ) -> None:
        texts = [cell for cell in cells if isinstance(cell, str)]
        if column is None or not texts:
            return
        position, _ = column
        codes = self._codes.setdefault(position, {})
        for text in texts:
            codes.setdefault(text, len(codes))
        if strict:
            self._strict.add(position)
        if missing is None and any(cell is None for cell in cells):
            self._missing[position] = None

    def __bool__(self) -> bool:
        return bool(self._codes)

    @property
    def positions(self) -> set[int]:
        """Which columns of the input these are."""
        return set(self._codes)

    def of(self, step: Any, count: int) -> list[Codes | None]:
        """Return the dictionary of each column that a step gets, None where there is none."""
        columns = self._columns.get(id(step), [])
        found = [column and self._codes.get(column[0]) for column in columns]
        return [*found, *[None] * (count - len(found))][:count]

    def categories(self, features: Sequence[str]) -> dict[str, Categories]:
        """Return the categories of a document with these features.

        Raises
        ------
        StructureError
            ``invalid_feature_format``: an array feature has several dictionaries.
        """
        found: dict[str, Categories] = {}
        start = 0
        for feature in parse_feature_names(features):
            positions = range(start, start + feature.size)
            start += feature.size
            dictionaries = {tuple(self._codes.get(position, ())) for position in positions}
            if dictionaries == {()}:
                if self._unread.issuperset(positions):
                    found[feature.name] = _ANY_TEXT
                continue
            if len(dictionaries) > 1:
                raise StructureError(
                    "invalid_feature_format",
                    f"the columns of {feature.name!r} have different categories; say with "
                    "features= what they are called",
                    field="feature_names_in_",
                )
            strict = not self._strict.isdisjoint(positions)
            texts = dictionaries.pop()
            found[feature.name] = Categories(texts, "error" if strict else _UNKNOWN)
        return found

    def table(self, rows: Floats) -> list[Any]:
        """Return the columns of rows (N, F) as the source takes them: float64, or text."""
        columns: list[Any] = list(rows.T)
        for position, codes in self._codes.items():
            texts = list(codes)
            other = max(texts, key=len) + "?"
            missing = self._missing.get(position, np.nan)
            known = dict(enumerate(texts))
            cells = [
                missing if np.isnan(x) else known.get(x, other) for x in rows[:, position].tolist()
            ]
            columns[position] = np.empty(len(cells), object)
            columns[position][:] = cells
        return columns

    def numbers(self, table: Any) -> Any:
        """Return a table (N, F) of numbers and text as numbers; a data frame loses its names."""
        frame = np.asarray(table, object)
        if frame.ndim != 2:
            return table
        return np.array(
            [
                [
                    self._codes.get(place, {}).get(cell, _UNKNOWN)
                    if isinstance(cell, str)
                    else (np.nan if is_missing(cell) else cell)
                    for place, cell in enumerate(row)
                ]
                for row in frame
            ],
            np.float64,
        ).reshape(frame.shape)


def is_missing(cell: Any) -> bool:
    """Whether a cell of a fitted estimator stands for a missing value."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, float) and cell != cell


def category_numbers(values: Iterable[Any], codes: Mapping[str, int] | None) -> Floats:
    """Return the numbers that stand for categories, NaN for what is missing.

    Raises
    ------
    Unsupported
        They are no numbers, nor text of a column of the input.
    """
    found = []
    for value in values:
        if is_missing(value):
            found.append(np.nan)
        elif isinstance(value, str):
            if codes is None:
                raise Unsupported("text that other steps compute")
            found.append(codes[value])
        elif isinstance(value, Real | np.bool_):
            found.append(float(value))
        else:
            raise Unsupported(f"categories of type {type(value).__name__}")
    return np.array(found, np.float64)
