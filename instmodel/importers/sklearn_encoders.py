"""Categories of scikit-learn's encoders, as lookups that take the very number only.

Design
------
A. Each column is looked up in a table of what the encoder itself makes of every category. That
   covers dropped and infrequent categories without knowing them.
B. A lookup rounds its key, and gives a default for what it does not know. So a table also holds
   the category and a 1: what is looked up counts if it is known and equal to the input.
C. Everything else gets what the encoder gives an unknown category. Where the encoder would raise an
   error, the row is refused: the model's output becomes NaN, whatever comes after the encoder.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.sklearn_texts import category_numbers
from instmodel.importers.sklearn_walk import Walk, known_class, require

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Column:
    """What an encoder makes of one column: rows of `width` numbers.

    Attributes
    ----------
    table : dict of int to (width,) array
    missing : (width,) array, optional
        For NaN, if that is a category.
    unknown : (width,) array, optional
        For everything else; None where the encoder raises an error.
    """

    table: dict[int, Floats]
    missing: Floats | None
    unknown: Floats | None

    @property
    def width(self) -> int:
        return len(next(iter(self.table.values())))


def encode(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return ``e.transform`` of x, for encoders of whole numbers and of text."""
    columns = _columns(e, walk.texts(e, len(e.categories_)))
    looked_up: list[Value] = []
    rows: list[int] = []  # where the encoded numbers are in what was looked up
    keys: list[int] = []
    known: list[int] = []
    start = 0
    for index, column in enumerate(columns):
        table = {key: np.array([*row, key, 1.0]) for key, row in column.table.items()}
        found = ex.lookup(ex.rearrange(x, np.array([index])), table, np.zeros(column.width + 2))
        looked_up.append(ex.reshape(found, (column.width + 2,)))
        rows += range(start, start + column.width)
        start += column.width + 2
        keys.append(start - 2)
        known.append(start - 1)
    joined = ex.concatenate(looked_up)
    same = fn.equal(x, ex.rearrange(joined, np.array(keys)))
    valid = ex.multiply(same, ex.rearrange(joined, np.array(known)))
    rest = ex.activation(valid, "INVERSE")

    with_nan = np.array([i for i, column in enumerate(columns) if column.missing is not None], int)
    missing = ex.constant(np.zeros(len(columns)))
    if len(with_nan):
        gaps = fn.is_nan(x)
        missing = ex.multiply(gaps, ex.constant(np.isin(range(len(columns)), with_nan)))
        rest = ex.subtract(rest, missing)
    strict = [i for i, column in enumerate(columns) if column.unknown is None]
    if strict:
        walk.refuse(ex.rearrange(rest, np.array(strict)))

    require(bool(rows), "no columns are left")
    owner = np.repeat(range(len(columns)), [column.width for column in columns])
    encoded = ex.multiply(ex.rearrange(joined, np.array(rows)), ex.rearrange(valid, owner))
    for flags, given in (
        (missing, [column.missing for column in columns]),
        (rest, [column.unknown for column in columns]),
    ):
        numbers = np.concatenate(
            [
                np.zeros(column.width) if row is None else row
                for column, row in zip(columns, given, strict=True)
            ]
        )
        encoded = _where(encoded, flags, owner, numbers)
    return encoded


def _where(encoded: Value, flags: Value, owner: NDArray[np.intp], numbers: Floats) -> Value:
    """Add the numbers where the flag of their column is 1; some of them may be NaN."""
    if not numbers.any():  # NaN counts as something
        return encoded
    wide = ex.rearrange(flags, owner)
    is_nan = np.isnan(numbers)
    encoded = ex.add(encoded, ex.multiply(wide, ex.constant(np.where(is_nan, 0.0, numbers))))
    if is_nan.any():
        encoded = ex.add(encoded, fn.nan_where(ex.multiply(wide, ex.constant(is_nan))))
    return encoded


def _columns(e: Any, texts: list[dict[str, int] | None]) -> list[_Column]:
    categories = [np.asarray(values) for values in e.categories_]
    keys = []
    for position, values in enumerate(categories):
        numbers = category_numbers(values.tolist(), texts[position])
        if not _whole(numbers[~np.isnan(numbers)]):
            raise Unsupported(
                f"column {position} has categories that are neither text nor whole numbers below "
                "2^24"
            )
        keys.append(numbers)
    plain = all(values.dtype.kind in "iubf" for values in categories)
    first = np.array([values[0] for values in categories], float if plain else object)
    starts = np.cumsum([0, *_widths(e, len(categories))])
    columns = []
    for position, values in enumerate(categories):
        part = slice(starts[position], starts[position + 1])
        encoded = _encoded(e, first, position, values)[:, part]
        gap = np.isnan(keys[position])
        require(
            not gap.any() or np.array_equal(encoded[gap][0], encoded[gap][-1], equal_nan=True),
            f"column {position} tells None and NaN apart",
        )
        table = dict(zip(keys[position][~gap].astype(int).tolist(), encoded[~gap], strict=True))
        unknown = None
        if getattr(e, "handle_unknown", "ignore") != "error":
            absent = np.array([_absent(values[~gap].tolist())], first.dtype)
            unknown = _encoded(e, first, position, absent)[0, part]
        columns.append(_Column(table, encoded[gap][0] if gap.any() else None, unknown))
    return columns


def _absent(known: list[Any]) -> Any:
    """Return a category that is none of those."""
    if isinstance(known[0], str):
        return max(known, key=len) + "?"
    return max(float(max(known)), 0.0) + 1.0


def _whole(values: NDArray[Any]) -> bool:
    numbers = values.astype(float)
    return bool(len(numbers) and np.all((numbers % 1 == 0) & (np.abs(numbers) < 2**24)))


def _encoded(e: Any, first: Floats, position: int, values: NDArray[Any]) -> Floats:
    """Return what the encoder makes of values of one column; the others hold known ones."""
    rows = np.tile(first, (len(values), 1))
    rows[:, position] = values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a value is unknown, or columns have no names
        return dense_array(e.transform(rows))


def _widths(e: Any, columns: int) -> list[int]:
    if known_class(e, ("OneHotEncoder",)):
        return [int(n) for n in e._n_features_outs]
    classes = getattr(e, "classes_", None)  # of a TargetEncoder
    width = 1 if classes is None or len(classes) == 2 else len(classes)
    return [width] * columns


def dense_array(table: Any) -> Floats:
    """Return a table of numbers, sparse or not, as an array."""
    return np.asarray(table.toarray() if hasattr(table, "toarray") else table, np.float64)
