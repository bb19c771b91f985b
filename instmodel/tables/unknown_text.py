"""Text that no category knows: which it was, and in how many rows.

Design
------
A. Where documents let unknown text pass, it becomes a number that may be that of something else.
   So it is read as numbers that no category has, one for each text as far as they are remembered,
   and becomes what the documents say only after it was counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.categories import Categories
from instmodel.base.features import Feature

# Beyond the number of any category. It stands for any unknown text, and those that are remembered
# follow it: from here on, float32 holds every fourth whole number.
UNKNOWN, _STEP, _MOST = 2.0**25, 4, 1000
UNKNOWN_TEXT = "unknown text"


@dataclass(frozen=True, slots=True)
class UnknownText:
    """Text of one feature that no category knows.

    Attributes
    ----------
    name : str
        The feature.
    rows : int
        Of the data.
    unknown_rows, unknown_values : int
        Those with such text; an array feature has several values in a row.
    example : str or None
        One of these texts.
    """

    name: str
    rows: int
    unknown_rows: int
    unknown_values: int
    example: str | None


class WatchedCategories(Categories):
    """Categories that number unknown text, too."""

    def __init__(self, values: Sequence[str]) -> None:
        super().__init__(values, UNKNOWN)

    @cached_property
    def codes(self) -> Any:
        """The number of each text; `get` has one for any."""
        return _Numbers((text, code) for code, text in enumerate(self.values))

    def unknown_text(self, number: float) -> str:
        """Return the text that a number of an unknown one stands for, if it is remembered."""
        texts = list(self.codes.unknown)
        place = int(number - UNKNOWN) // _STEP - 1
        return texts[place] if 0 <= place < len(texts) else UNKNOWN_TEXT


class _Numbers(dict[str, int]):
    def __init__(self, items: Any) -> None:
        super().__init__(items)
        self.unknown: dict[str, int] = {}

    def get(self, text: str, default: Any = None) -> Any:
        number = super().get(text)
        if number is not None or not isinstance(text, str):
            return number
        if text not in self.unknown and len(self.unknown) == _MOST:
            return int(UNKNOWN)
        place = self.unknown.setdefault(text, len(self.unknown) + 1)
        return int(UNKNOWN) + _STEP * place


def are_unknown(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which numbers of a feature with `WatchedCategories` stand for unknown text."""
    return (values >= UNKNOWN) & (values <= UNKNOWN + _STEP * _MOST)


class UnknownTexts:
    """Counts unknown text.

    Parameters
    ----------
    features : sequence of Feature
        As the rows are read.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        ends = np.cumsum([feature.size for feature in features]).tolist()
        self._features = [
            (feature, slice(end - feature.size, end))
            for feature, end in zip(features, ends, strict=True)
            if feature.categories is not None
        ]
        self._rows = 0
        self._counts = np.zeros((len(self._features), 2), int)
        self._examples: list[str | None] = [None] * len(self._features)

    def add(self, inputs: NDArray[np.float32]) -> None:
        """Add rows (N, F)."""
        self._rows += len(inputs)
        for index, (feature, place) in enumerate(self._features):
            if not isinstance(feature.categories, WatchedCategories):
                continue
            values = inputs[:, place]
            unknown = are_unknown(values)
            if unknown.any():
                self._counts[index] += [unknown.any(axis=1).sum(), unknown.sum()]
                if self._examples[index] is None:
                    self._examples[index] = feature.categories.unknown_text(values[unknown][0])

    def found(self) -> list[UnknownText]:
        """Return what each feature with categories has, also if that is none."""
        return [
            UnknownText(feature.name, self._rows, rows, values, example)
            for (feature, _), (rows, values), example in zip(
                self._features, self._counts.tolist(), self._examples, strict=True
            )
        ]
