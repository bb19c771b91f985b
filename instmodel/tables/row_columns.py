"""Which columns rows are made of: the inputs, what is asked for beside them, and their nulls."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Mapping
from typing import Any

from instmodel.base.features import Feature
from instmodel.errors import InputError
from instmodel.stores import location
from instmodel.tables.binding import Nulls, null_value
from instmodel.tables.columns import column_names
from instmodel.tables.scorer import RowScorer


def features_among(
    model: RowScorer, header: list[str], extra: list[str], by: list[str]
) -> list[Feature]:
    """Return a model's features; where it names none, all columns that are nothing else."""
    if model.features:
        return model.named_features
    features = [Feature(name) for name in header if name not in extra and name not in by]
    if len(features) != model.feature_size:
        raise InputError(
            "column_count_mismatch",
            "the model does not name its features, so the columns must be its inputs",
            expected=f"{model.feature_size} columns",
            actual=len(features),
        )
    return features


def with_extra(features: list[Feature], extra: list[str]) -> tuple[list[Feature], list[int]]:
    """Add features for the extra columns that are no inputs; return the places of all extra ones.

    What rows are grouped by is often an input, too, and no table holds it twice.
    """
    known = column_names(features)
    new = [name for name in dict.fromkeys(extra) if name not in known]
    columns = known + new
    return [*features, *map(Feature, new)], [columns.index(name) for name in extra]


def null_rules(nulls: Nulls, inputs: list[Feature], others: list[str]) -> Nulls:
    """Return the rule for each input; a null in any other column is an error.

    Who fills what is missing in labels or recorded outputs compares with what nobody observed.
    """
    if not isinstance(nulls, Mapping):
        null_value(nulls, None)
        return {feature.name: nulls for feature in inputs}
    known = {*column_names(inputs), *(feature.name for feature in inputs)}
    for name in nulls:
        if name in others and name not in known:
            raise InputError(
                "invalid_nulls", f"no input of the model, and never filled: {name!r}", field="nulls"
            )
    return nulls


def csv_columns(path: Any, model: RowScorer, extra: list[str], by: list[str]) -> list[str] | None:
    """Return the columns of a CSV file that hold numbers; None if they count by position."""
    if model.features:
        return column_names(model.named_features) + extra
    if not extra and not by:
        return None
    header: list[str] = []
    with (
        location(path).open() as file,
        contextlib.suppress(csv.Error),  # CsvReader says where
    ):
        text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
        header = next(csv.reader(text), [])
    return [name for name in header if name not in extra and name not in by] + extra
