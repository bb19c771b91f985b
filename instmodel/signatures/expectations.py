"""A signature, ready to count by: marks that cut the values of each feature into intervals.

Design
------
A. Whatever a signature says of a value (in which bin it lies, whether it is in range, whether it is
   a known code) depends on the interval between two float32 marks in which it lies. A code c is the
   interval from c to the next float32 number.
B. How many values of each input reach each mark is one pass over a block of rows in C, with the
   first mark at -∞, which everything but NaN reaches. Features of many codes have too many marks
   for that: each value is looked up in a table, or where codes are far apart among the marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from instmodel.base.features import Feature
from instmodel.document.signature import MOST_EDGES, FeatureSignature, Signature
from instmodel.signatures.population import next_float32

CheckInputs = Literal["error", "null", "count", "off"]

# Marks of a feature that are counted together with those of all other features, and all of them.
_MOST_MARKS, _MOST_TOGETHER = 64, 1 << 22
# From the first code to the last one, in a table of codes.
_MOST_IN_TABLE = 1 << 20

FINE, OUT_OF_RANGE, UNKNOWN = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What is expected of one feature.

    Attributes
    ----------
    feature : Feature
    item : FeatureSignature
    start : int
        Of its first input value among all.
    marks : (m,) float32
        Ascending.
    roles : (m + 1,) integers
        What a value below the first mark is, between two of them, and from the last one on.
    bins : (m + 1,) integers
        The bin of such a value, -1 for none.
    table : (span,) integers, optional
        Of codes: the interval of each whole number from the first code to the last one.
    """

    feature: Feature
    item: FeatureSignature
    start: int
    marks: NDArray[np.float32]
    roles: NDArray[np.intp]
    bins: NDArray[np.intp]
    table: NDArray[np.intp] | None = None

    @property
    def columns(self) -> slice:
        """Its input values among all."""
        return slice(self.start, self.start + self.feature.size)

    def intervals_of(self, values: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the interval of each value; NaN has none."""
        if self.table is None:
            return np.searchsorted(self.marks, values, side="right")
        first = self.marks[0]
        last = np.float32(int(first) + len(self.table) - 1)  # a code, and so exact
        there = (values >= first) & (values <= last)
        whole = np.where(there, values, first).astype(np.intp)
        places = self.table[whole - int(first)]
        places[~there | (whole != values)] = 0
        return places

    def unexpected(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which values are out of range or unknown; NaN is neither."""
        if self.item.kind != "number":
            strange: NDArray[np.bool_] = self.roles[self.intervals_of(values)] != FINE
            return strange & ~np.isnan(values)
        bad = np.zeros(values.shape, bool)
        if self.item.min is not None:
            bad |= values < np.float32(self.item.min)
        if self.item.max is not None:
            bad |= values > np.float32(self.item.max)
        return bad


class Expectations:
    """What a model expects of its inputs. Any number of threads may use it at once.

    Parameters
    ----------
    signature : Signature
        Of the document that has these features.
    features : sequence of Feature

    Attributes
    ----------
    expected : list of Expected
        One for each feature that the signature tells of, in the order of the inputs.
    size : int
        Input values F.
    marks : (K, F) float32
        The marks to count by: -∞ first, NaN behind the last one.
    bad : (K, F) bool
        Whether what lies between a mark and the next one is not expected.
    whole : (F,) bool
        Of which inputs every value must be there to be expected: text, and what has no nulls.
    """

    def __init__(self, signature: Signature, features: Sequence[Feature]) -> None:
        self.expected: list[Expected] = []
        start = 0
        for feature in features:
            item = signature.features.get(feature.name)
            if item is not None:
                self.expected.append(Expected(feature, item, start, *_cuts(feature, item)))
            start += feature.size
        self.size = start
        self._most_marks = min(_MOST_MARKS, _MOST_TOGETHER // max(1, start) - 1)
        counted = [one for one in self.expected if not self.is_wide(one)]
        most = max((len(one.marks) for one in counted), default=0)
        self.marks = np.full((1 + most, start), np.nan, np.float32)
        self.marks[0] = -np.inf
        for one in counted:
            self.marks[1 : 1 + len(one.marks), one.columns] = one.marks[:, None]
        self.bad, self.whole = np.zeros(self.marks.shape, bool), np.zeros(start, bool)
        for one in self.expected:
            if self.is_wide(one):
                self.bad[:, one.columns] = True  # a value may be bad, and needs a look
            else:
                self.bad[: len(one.roles), one.columns] = (one.roles != FINE)[:, None]
            self.whole[one.columns] = one.item.nulls == "never" or one.item.kind == "text"

    def is_wide(self, one: Expected) -> bool:
        """Whether a feature has more marks than are counted together."""
        return len(one.marks) > self._most_marks


_Cuts = tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp] | None]


def _cuts(feature: Feature, item: FeatureSignature) -> _Cuts:
    """Return marks, roles and bins of a feature."""
    if feature.categories is not None:
        count = len(feature.categories.values)
        if count <= MOST_EDGES:
            return _code_cuts(np.arange(count, dtype=np.float32))
        ends = np.array([0, count], np.float32)
        return ends, np.array([UNKNOWN, FINE, UNKNOWN]), np.full(3, -1), None
    if item.codes is not None:
        return _code_cuts(np.array(item.codes, np.float32))
    edges = np.array(item.edges, np.float32)
    low, high = (np.array([] if end is None else [end], np.float32) for end in (item.min, item.max))
    marks = np.unique(np.concatenate([edges, low, next_float32(high)]))
    lowest = np.concatenate([np.array([-np.inf], np.float32), marks])
    roles = np.full(len(lowest), FINE)
    if item.min is not None:
        roles[lowest < np.float32(item.min)] = OUT_OF_RANGE
    if item.max is not None:
        roles[lowest > np.float32(item.max)] = OUT_OF_RANGE
    return marks, roles, np.searchsorted(edges, lowest, side="right"), None


def _code_cuts(codes: NDArray[np.float32]) -> _Cuts:
    marks = np.unique(np.concatenate([codes, next_float32(codes)]))
    bins = np.concatenate(
        [[-1], np.where(np.isin(marks, codes), np.searchsorted(codes, marks), -1)]
    )
    roles = np.where(bins < 0, UNKNOWN, FINE)
    span = int(codes[-1]) - int(codes[0]) + 1 if len(codes) else 0
    if len(marks) <= _MOST_MARKS or span > _MOST_IN_TABLE:
        return marks, roles, bins, None
    table = np.zeros(span, np.intp)  # interval 0 is unknown
    table[codes.astype(np.intp) - int(codes[0])] = np.flatnonzero(bins >= 0)
    return marks, roles, bins, table
