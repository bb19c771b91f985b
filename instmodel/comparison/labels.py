"""The truth beside the scores: labels that are numbers, or the names of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.errors import InputError
from instmodel.tables.keys import Key, Keys, shown

Floats = NDArray[np.float64]

# Values that an error names.
_MOST_NAMED = 5


class Labels:
    """Labels as numbers: the number of the class, or the value.

    Parameters
    ----------
    column : str
        Their name, for errors.
    classes : sequence of str, int or float, optional
        The names of the classes, in the order of their numbers.
    strict : bool
        Whether labels must be among `classes`. Otherwise they may be numbers, too, and are, if any
        of them is no class.
    positive : str, int or float, optional
        The label that is 1; there may be one other, which is 0.
    """

    COLUMNS = 2

    def __init__(
        self,
        column: str,
        classes: Sequence[Any] | None = None,
        strict: bool = False,
        positive: Any = None,
    ) -> None:
        self._column = column
        self._classes = list(classes) if classes is not None else None
        self._places = {_canonical(name): i for i, name in enumerate(classes or ())}
        self._strict = strict
        self._positive = positive
        self._rows = self._missing = 0
        # Labels, in the order in which they come, that are no number, no class; that are not 1.
        self._no_number: dict[str, None] = {}
        self._no_class: dict[str, None] = {}
        self._other: dict[Any, str] = {}
        self._found_positive = False

    def add(self, keys: Keys) -> Floats:
        """Return, for each row, the number that its label is, and the class: (N, 2), or NaN."""
        self._rows += len(keys.codes)
        if self._positive is None and self._classes is None:
            numbers = _numbers(keys.values)
            if numbers is not None:
                return np.column_stack([numbers, np.full(len(numbers), np.nan)])[keys.codes]
        table = np.array([self._both(value) for value in keys.values]).reshape(-1, self.COLUMNS)
        unlabelled = np.array([_is_missing(value) for value in keys.values], bool)
        self._missing += int(unlabelled[keys.codes].sum())
        return table[keys.codes]

    def _both(self, value: Key) -> tuple[float, float]:
        if _is_missing(value):
            return math.nan, math.nan
        name = _canonical(value)
        text = shown(value if isinstance(value, bool) else name)
        # Files without types hold booleans as their text.
        names = [name, str(value)] if isinstance(value, bool) else [name]
        if self._positive is not None:
            same = _canonical(self._positive) in names
            self._found_positive |= same
            if not same and len(self._other) < _MOST_NAMED:
                self._other[name] = text
            return float(same), math.nan
        place = next((self._places[item] for item in names if item in self._places), None)
        number = float(name) if isinstance(name, float) else math.nan
        if math.isnan(number) and len(self._no_number) < _MOST_NAMED:
            self._no_number[text] = None
        if place is None and len(self._no_class) < _MOST_NAMED:
            self._no_class[text] = None
        return number, math.nan if place is None else float(place)

    def resolve(self, columns: Floats) -> tuple[Floats, list[str] | None]:
        """Return the labels of rows, of which `add` gave `columns`, and the names of the classes.

        Raises
        ------
        InputError
            ``non_finite_value``: rows without a label. ``invalid_label``: labels that fit nothing.
        """
        if self._missing:
            raise InputError(
                "non_finite_value",
                f"{self._missing} of {self._rows} rows have no finite label; leave them out",
                column=self._column,
            )
        numbers, places = columns.T
        if self._positive is not None:
            return numbers, self._two_classes()
        if self._classes is not None and not self._no_class:
            return places, [shown(name) for name in self._classes]
        if self._classes is not None and (self._strict or self._no_number):
            known = _some(map(shown, self._classes))
            raise self._error("labels that are none of the classes", known, self._no_class)
        if self._no_number:
            raise self._error(
                "labels are text: say which is positive, or name the classes in the order of the "
                "outputs",
                "numbers, or positive=… or classes=…",
                self._no_number,
            )
        return numbers, None

    def _two_classes(self) -> list[str]:
        positive = shown(_canonical(self._positive))
        others = list(self._other.values())
        if len(others) > 1:
            raise self._error(
                "more than two kinds of labels", f"{positive!r} and one other", others
            )
        if not self._found_positive:
            raise self._error("no label is the positive one", repr(positive), others)
        return [others[0] if others else f"not {positive}", positive]

    def _error(self, message: str, expected: str, actual: Any) -> InputError:
        return InputError(
            "invalid_label",
            message,
            column=self._column,
            expected=expected,
            actual=_some(actual),
        )


def same_classes(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists name the same classes in the same order, be they numbers or their text."""
    return [_canonical(name) for name in a] == [_canonical(name) for name in b]


def place_of(name: Any, classes: Sequence[Any]) -> int | None:
    """Return the number of a class by its name."""
    canonical = [_canonical(item) for item in classes]
    return canonical.index(_canonical(name)) if _canonical(name) in canonical else None


def _numbers(values: Sequence[Key]) -> Floats | None:
    """Return labels all of which are numbers, many at a time: true values are all different."""
    if any(isinstance(value, str) and "_" in value for value in values):
        return None
    try:
        numbers = np.array([float(value) for value in values])  # type: ignore[arg-type] # or raises
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if np.isfinite(numbers).all() else None


def _canonical(value: Any) -> str | float:
    """Return a label in one form, whether a file or an argument holds it as number or as text."""
    if isinstance(value, str):
        try:
            return value if "_" in value else float(value)
        except ValueError:
            return value
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def _is_missing(value: Key) -> bool:
    """Whether a label is null, not a number or infinite."""
    if value is None:
        return True
    number = _canonical(value)
    return isinstance(number, float) and not math.isfinite(number)


def _some(names: Any) -> str:
    found = [repr(name) for name in names]
    return ", ".join(found[:_MOST_NAMED]) + (" …" if found[_MOST_NAMED:] else "")
