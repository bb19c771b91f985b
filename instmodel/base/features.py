"""Names of features: ``"age"`` is one value, ``"emb[16]"`` one array of 16 values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from instmodel.base import values
from instmodel.base.categories import Categories
from instmodel.errors import StructureError

# Where an ONNX file that this package wrote keeps the names, among the properties of the model.
FEATURES_KEY = "instmodel.features"

# At most 9 digits: more could not fit any buffer, and int() of a huge text is slow.
_ARRAY_NAME = re.compile(r"([^\[\]]+)\[([0-9]{1,9})\]")


@dataclass(frozen=True, slots=True)
class Feature:
    """One named input of a model.

    Attributes
    ----------
    name : str
        The name without brackets.
    size : int
        Number of input values it stands for, ≥ 1.
    is_array : bool
        Whether the document wrote it as ``name[size]``.
    categories : Categories or None
        What text its values may be given as.
    """

    name: str
    size: int = 1
    is_array: bool = False
    categories: Categories | None = None

    def columns(self) -> list[str]:
        """Return the column of each value: ``age``, or ``emb[0]``, ``emb[1]`` … for an array."""
        if not self.is_array:
            return [self.name]
        return [f"{self.name}[{index}]" for index in range(self.size)]


def parse_feature_names(names: Sequence[str]) -> list[Feature]:
    """Read the ``features`` of a document.

    Raises
    ------
    InstModelError
        ``invalid_feature_format``: a name that is neither ``name`` nor ``name[n]`` with n ≥ 1;
        ``invalid_type`` for what is no list of strings.
    """
    return [_parse(name, index) for index, name in enumerate(values.names(names, "features"))]


def with_categories(
    features: Sequence[Feature], categories: Mapping[str, Categories]
) -> list[Feature]:
    """Give features their categories.

    Raises
    ------
    StructureError
        ``unknown_feature``: there are categories of something else.
    """
    names = {feature.name for feature in features}
    for name in categories:
        if name not in names:
            near = values.hint(name, sorted(names))
            raise StructureError(
                "unknown_feature",
                f"categories of a feature that the model does not name{near}",
                field="categories",
                expected="a name of `features`, without brackets",
                actual=repr(name if len(name) <= 60 else name[:57] + "..."),
            )
    return [replace(item, categories=categories.get(item.name)) for item in features]


def texts_of(row: Sequence[float], features: Sequence[Feature]) -> dict[str, str]:
    """Return, by column, the text that the numbers of categories in a row of inputs stand for."""
    found: dict[str, str] = {}
    start = 0
    for feature in features:
        texts = feature.categories.values if feature.categories else ()
        for column, number in zip(
            feature.columns(), row[start : start + feature.size], strict=True
        ):
            if 0 <= number < len(texts) and number == int(number):
                found[column] = texts[int(number)]
        start += feature.size
    return found


def features_of_columns(columns: Sequence[str]) -> list[str]:
    """Return the names of the features that columns are of: ``emb[0]``, ``emb[1]`` of ``emb[2]``.

    Raises
    ------
    InstModelError
        ``invalid_feature_format`` where the columns of an array feature do not follow each other
        from 0 on; ``invalid_type`` for what is no list of strings.
    """
    names: list[str] = []
    for place, column in enumerate(values.names(columns, "features")):
        match = _ARRAY_NAME.fullmatch(column)
        if match is None:
            names.append(column)
            continue
        name, index = match[1], int(match[2])
        as_found = f"{name}[{index}]"  # how tables must spell it: not as emb[00]
        if column == as_found and index == 0:
            names.append(f"{name}[1]")
        elif column == as_found and names and names[-1] == as_found:
            names[-1] = f"{name}[{index + 1}]"
        else:
            raise StructureError(
                "invalid_feature_format",
                "the columns of an array feature must follow each other from 0 on",
                field=f"features[{place}]",
                expected=f"{name}[{index - 1}] before it" if column == as_found else as_found,
                actual=repr(column),
            )
    return names


def _parse(name: str, index: int) -> Feature:
    if name and "[" not in name and "]" not in name:
        return Feature(name)
    match = _ARRAY_NAME.fullmatch(name)
    if match and int(match[2]) >= 1:
        return Feature(match[1], int(match[2]), is_array=True)
    raise StructureError(
        "invalid_feature_format",
        "not a feature name",
        field=f"features[{index}]",
        expected="'name' or 'name[n]' with n ≥ 1",
        actual=repr(name if len(name) <= 60 else name[:57] + "..."),
    )
