"""Text that two models read at once, though its categories have other numbers in each.

Design
------
A. Text is read with the categories of the first model and, behind these, those that only the second
   knows, where the first takes unknown text at all. So numbers keep what they mean to the first.
B. Each model gets its own numbers for the text then. Text that neither knows is read as numbers
   that no category has, see `instmodel.tables.unknown_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.categories import Categories
from instmodel.base.features import Feature
from instmodel.errors import InputError
from instmodel.tables.cells import unknown_category
from instmodel.tables.scorer import RowScorer
from instmodel.tables.unknown_text import WatchedCategories, are_unknown

Floats = NDArray[np.float32]


class SharedText:
    """Two models of the same features, in any order.

    Parameters
    ----------
    first, second : RowScorer
    order : (F,) integers
        Which input of the first each input of the second is.

    Attributes
    ----------
    reader : RowScorer
        What to read rows for.
    different : list of str
        The features that have other categories in the second model.
    """

    def __init__(self, first: RowScorer, second: RowScorer, order: NDArray[np.intp]) -> None:
        self._order = order
        theirs = {item.name: item.categories for item in second.named_features}
        self.different: list[str] = []
        features: list[Feature] = []
        # The inputs of the first model with what each model makes of the joint numbers.
        self._tables: list[tuple[slice, _Table, _Table]] = []
        start = 0
        for feature in first.named_features:
            place = slice(start, start + feature.size)
            start += feature.size
            mine, them = feature.categories, theirs.get(feature.name)
            mine, them = mine or them, them or mine
            if mine is None or them is None:
                features.append(feature)
                continue
            same = (mine.values, str(mine.unknown)) == (them.values, str(them.unknown))
            if not same:
                self.different.append(feature.name)
            joint = mine if same and mine.unknown == "error" else _joint(mine, them)
            features.append(replace(feature, categories=joint))
            if joint is not mine:
                first_table, second_table = (
                    _Table(feature.name, joint, item) for item in (mine, them)
                )
                self._tables.append((place, first_table, second_table))
        self.reader: RowScorer = _Reader(first, features) if features else first

    def rows(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return what was read with `reader` as the rows (N, F) of each model.

        Raises
        ------
        InputError
            ``unknown_category``: the second model refuses a text that the first one knows.
        """
        second = inputs.copy() if self._tables else inputs
        for place, _, theirs in self._tables:
            second[:, place] = theirs.numbers(inputs[:, place])
        return self.first_rows(inputs), np.ascontiguousarray(second[:, self._order])

    def first_rows(self, inputs: Floats) -> Floats:
        """Return what was read with `reader` as the rows (N, F) of the first model."""
        first = inputs.copy() if self._tables else inputs
        for place, mine, _ in self._tables:
            first[:, place] = mine.numbers(inputs[:, place])
        return first

    def are_unknown(self, inputs: Floats) -> NDArray[np.bool_]:
        """Return which values (N, F) are text that neither model knows."""
        found = np.zeros(inputs.shape, bool)
        for place, _, _ in self._tables:
            found[:, place] = are_unknown(inputs[:, place])
        return found


def _joint(mine: Categories, theirs: Categories) -> Categories:
    texts = list(mine.values)
    if mine.unknown != "error":
        texts += [text for text in theirs.values if text not in mine.codes]
    refused = "error" in (mine.unknown, theirs.unknown)
    return Categories(texts, "error") if refused else WatchedCategories(texts)


class _Table:
    """What a model makes of the joint numbers of a feature's text."""

    def __init__(self, name: str, joint: Categories, own: Categories) -> None:
        self._name, self._texts, self._own = name, joint.values, own
        unknown = own.unknown_number
        numbers = [own.codes.get(text, unknown) for text in joint.values]
        self._refused = np.array([number is None for number in numbers], bool)
        self._numbers = np.array([number or 0.0 for number in numbers], np.float32)
        self._unknown = unknown

    def numbers(self, values: Floats) -> Floats:
        """Return the model's own numbers; what is no joint number stays as it is."""
        found = values.copy()
        whole = (values >= 0) & (values < len(self._texts)) & (values == np.trunc(values))
        places = values[whole].astype(np.intp)
        refused = places[self._refused[places]]
        if len(refused):
            problem = unknown_category(self._texts[refused[0]], self._own)
            raise InputError(
                problem.code,
                f"{problem.message} in the second model{problem.advice()}",
                column=self._name,
                expected=problem.expected,
                actual=problem.actual,
            )
        found[whole] = self._numbers[places]
        if self._unknown is not None:
            found[are_unknown(values)] = self._unknown
        return found


class _Reader:
    """A model whose features have other categories."""

    def __init__(self, model: RowScorer, features: Sequence[Feature]) -> None:
        self._model = model
        self.named_features = list(features)
        self.feature_size, self.output_size = model.feature_size, model.output_size
        self.features, self.columns = model.features, model.columns
        self.key_inputs, self.read_inputs = model.key_inputs, model.read_inputs

    def predict(self, x: Any, out: Floats | None = None) -> Floats:
        """Return the outputs of the model's own rows."""
        return self._model.predict(x, out)
