"""The truth beside the scores: labels that are numbers, or the names of classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
        The names of the classes, in the order of their numbers. Labels must be among them.
    said : sequence of str, int or float, optional
        The same names in the order of the labels 0, 1 …, if labels may be such numbers.
    positive : str, int or float, optional
        The label that is 1; there may be one other, which is 0.
    """

    def __init__(
        self,
        column: str,
        classes: Sequence[Any] | None = None,
        said: Sequence[Any] | None = None,
        positive: Any = None,
    ) -> None:
        self._column = column
        self._classes = list(classes) if classes is not None else None
        self._places = {_canonical(name): i for i, name in enumerate(classes or ())}
        named = [_canonical(name) for name in said or ()]
        # Names that are numbers themselves are what labels are called, whatever their order.
        self._numbered: dict[Any, str] = {
            float(number): name for number, name in enumerate(named) if isinstance(name, str)
        }
        self._reordered = bool(said) and named != list(self._places)
        self._positive = positive
        self._rows = self._missing = 0
        # Labels, in the order in which they come, that are no number, no class; that are not 1.
        self._no_number: dict[str, None] = {}
        self._no_class: dict[str, None] = {}
        self._other: dict[Any, str] = {}
        self._found_positive = self._by_name = False

    def add(self, keys: Keys) -> Floats:
        """Return, for each row, the number (N,) that its label is or stands for, or NaN."""
        self._rows += len(keys.codes)
        if self._positive is None and self._classes is None:
            numbers = _numbers(keys.values)
            if numbers is not None:
                return numbers[keys.codes]
        table = np.array([self._number(value) for value in keys.values], np.float64)
        unlabelled = np.array([_is_missing(value) for value in keys.values], bool)
        self._missing += int(unlabelled[keys.codes].sum())
        return table[keys.codes]

    def _number(self, value: Key) -> float:
        if _is_missing(value):
            return math.nan
        name = _canonical(value)
        text = shown(value if isinstance(value, bool) else name)
        # Files without types hold booleans as their text.
        names = [name, str(value)] if isinstance(value, bool) else [name]
        if not any(item in self._places for item in names) and name in self._numbered:
            names = [text := self._numbered[name]]
        elif self._classes is not None:
            self._by_name = True
        if self._positive is not None:
            same = _canonical(self._positive) in names
            self._found_positive |= same
            if not same and len(self._other) < _MOST_NAMED:
                self._other[names[0]] = text
            return float(same)
        number = names[0] if isinstance(names[0], float) else None
        if number is None and len(self._no_number) < _MOST_NAMED:
            self._no_number[text] = None
        place = next((self._places[item] for item in names if item in self._places), None)
        if place is None and len(self._no_class) < _MOST_NAMED:
            self._no_class[text] = None
        found = number if self._classes is None else place
        return math.nan if found is None else float(found)

    def resolve(self, numbers: Floats) -> tuple[Floats, list[str] | None]:
        """Return the labels of rows, for which `add` gave numbers, and the names of the classes.

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
        if self._classes is not None and self._by_name and self._reordered:
            raise self._error(
                "the models have these classes in another order (only the labels 0, 1 … may be "
                "named in an order of their own)",
                some(map(shown, self._classes)),
                self._numbered.values(),
            )
        if self._positive is not None:
            return numbers, self._two_classes()
        if self._classes is not None:
            if self._no_class:
                raise self._no_classes(self._classes)
            return numbers, self._names(self._classes)
        if self._no_number:
            raise self._error(
                "labels are text: say which is positive, or name the classes in the order of the "
                "outputs",
                "numbers, or positive=… or classes=…",
                self._no_number,
            )
        return numbers, None

    def _names(self, classes: Sequence[Any]) -> list[str]:
        """Return the names of the classes, with the labels that stand for them, if these differ."""
        names = [shown(name) for name in classes]
        if not self._reordered:
            return names
        number = {name: label for label, name in self._numbered.items()}
        return [f"{name} (label {number[name]:g})" for name in names]

    def _no_classes(self, classes: Sequence[Any]) -> InputError:
        known = some(map(shown, classes))
        if self._no_number or self._numbered:
            return self._error("labels that are none of the classes", known, self._no_class)
        return self._error(
            "labels are numbers, and the classes of the models have names: say what 0, 1 … are "
            "called with --classes, in this order, or that they are values with --task regression",
            known,
            self._no_class,
        )

    def _two_classes(self) -> list[str]:
        positive = shown(_canonical(self._positive))
        others = list(self._other.values())
        if not self._found_positive:
            raise self._error(
                f"no row has the label {positive!r}{meant(positive, others)}",
                repr(positive),
                others,
            )
        if len(others) > 1:
            raise self._error(
                "more than two kinds of labels", f"{positive!r} and one other", others
            )
        return [others[0] if others else f"not {positive}", positive]

    def _error(self, message: str, expected: str, actual: Any) -> InputError:
        return InputError(
            "invalid_label",
            message,
            column=self._column,
            expected=expected,
            actual=some(actual),
        )


def same_class(a: Any, b: Any) -> bool:
    """Whether two names are those of the same class, be they a number or its text."""
    return _canonical(a) == _canonical(b)


def same_classes(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists name the same classes in the same order, be they numbers or their text."""
    return [_canonical(name) for name in a] == [_canonical(name) for name in b]


def place_of(name: Any, classes: Sequence[Any]) -> int | None:
    """Return the number of a class by its name."""
    canonical = [_canonical(item) for item in classes]
    return canonical.index(_canonical(name)) if _canonical(name) in canonical else None


def meant(name: Any, names: Iterable[Any]) -> str:
    """Return a question for the one of some names that differs in case or spaces alone, or ""."""
    plain = str(name).strip().casefold()
    near = [other for other in names if str(other).strip().casefold() == plain]
    return f"; did you mean {near[0]!r}?" if near else ""


def some(names: Iterable[Any]) -> str:
    """Return the first few names, for an error."""
    found = [repr(name) for name in names]
    return ", ".join(found[:_MOST_NAMED]) + (" …" if found[_MOST_NAMED:] else "")


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
