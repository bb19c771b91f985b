"""Text categories of a feature: a dictionary from text to the number that stands for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from instmodel.base import values
from instmodel.errors import DocumentError, StructureError

# Where an ONNX file that this package wrote keeps them, among the properties of the model.
CATEGORIES_KEY = "instmodel.categories"

# The numbers of the categories are float32, which holds every whole number up to here.
_MOST = 2**24
_KEYS = ("values", "unknown")


@dataclass(frozen=True, eq=False)
class Categories:
    """What text a feature may have; the number of a text is its place in `values`, from 0.

    Parameters
    ----------
    values : sequence of str
        All different, the empty text among them if it is a category.
    unknown : {"error", "nan"} or number
        What any other text becomes.

    Raises
    ------
    InstModelError
        ``duplicate_category``, ``category_limit_exceeded`` for more than 2^24 texts,
        ``invalid_type``, ``non_finite_value``, ``invalid_document`` for half a surrogate pair.
    """

    values: Sequence[str]
    unknown: Literal["error", "nan"] | float = "error"

    def __post_init__(self) -> None:
        texts = values.sequence(self.values, "values", "texts")
        if len(texts) > _MOST:
            raise StructureError(
                "category_limit_exceeded",
                "float32 cannot number so many categories",
                field="values",
                expected=f"at most {_MOST}",
                actual=len(texts),
            )
        if set(map(type, texts)) - {str}:
            for index, text in enumerate(texts):
                if not isinstance(text, str):
                    raise values.wrong_type(text, f"values[{index}]", "a text")
        # The texts of NumPy are of a class of its own.
        object.__setattr__(self, "values", tuple(map(str, texts)))
        if len(self.codes) < len(texts):
            index = next(i for i, text in enumerate(self.values) if self.codes[text] != i)
            text = self.values[index]
            raise StructureError(
                "duplicate_category",
                "the same category twice",
                field=f"values[{self.codes[text]}]",
                expected=f"another text than in values[{index}]",
                actual=repr(text if len(text) <= 60 else text[:57] + "..."),
            )
        try:
            "".join(self.values).encode()
        except UnicodeEncodeError:
            raise DocumentError(
                "invalid_document", "half a surrogate pair in a text", field="values"
            ) from None
        object.__setattr__(self, "unknown", _unknown(self.unknown))

    @cached_property
    def codes(self) -> dict[str, int]:
        """The number of each text."""
        return {text: code for code, text in enumerate(self.values)}

    @property
    def unknown_number(self) -> float | None:
        """What an unknown text becomes; None: it is an error."""
        if isinstance(self.unknown, str):
            return None if self.unknown == "error" else math.nan
        return self.unknown

    def to_json(self) -> Any:
        """Return the one JSON form: the list alone where unknown text is an error."""
        if self.unknown == "error":
            return list(self.values)
        return {"values": list(self.values), "unknown": self.unknown}

    def __repr__(self) -> str:
        return f"Categories({len(self.values)} texts, unknown={self.unknown!r})"

    def __reduce__(self) -> Any:
        return Categories, (self.values, self.unknown)  # without what is cached


def by_feature(given: Any, unknown: str = "error") -> dict[str, Categories]:
    """Return the ``categories`` of a document: by feature, in the order of the names.

    Parameters
    ----------
    given : mapping of str to Categories, list of str, or the JSON form of `Categories`
    unknown : {"error", "ignore"}
        What to do with a key that the format does not know.

    Raises
    ------
    InstModelError
        As `Categories`, with the place in the document; ``unknown_field``, ``missing_field``.
    """
    if not isinstance(given, Mapping):
        raise values.wrong_type(given, "categories", "an object of features")
    for name in given:
        if not isinstance(name, str):
            raise values.wrong_type(name, "categories", "names of features")
    return {str(name): _categories(given[name], _place(name), unknown) for name in sorted(given)}


def size_of(given: Any) -> tuple[int, int]:
    """Count the texts of ``categories``, and their characters, without making anything of them."""
    count = characters = 0
    for item in given.values() if isinstance(given, Mapping) else ():
        texts = item.get("values") if isinstance(item, Mapping) else item
        texts = texts.values if isinstance(texts, Categories) else texts
        if isinstance(texts, list | tuple):  # else a wrong type, reported where it is converted
            count += len(texts)
            characters += sum(len(text) for text in texts if isinstance(text, str))
    return count, characters


def _place(name: str) -> str:
    return f"categories[{name if len(name) <= 60 else name[:57] + '...'!r}]"


def _categories(given: Any, place: str, unknown: str) -> Categories:
    if isinstance(given, Categories):
        return given
    parts: Mapping[str, Any] = {"values": given}
    if isinstance(given, Mapping):
        parts = values.known_only(given, _KEYS, place, unknown)
        if "values" not in parts:
            raise DocumentError(
                "missing_field", "a required key is missing", field=f"{place}.values"
            )
    elif not isinstance(given, list | tuple) and not hasattr(given, "dtype"):
        raise values.wrong_type(given, place, "a list of texts, or an object with `values`")
    try:
        return Categories(**parts)
    except (DocumentError, StructureError) as error:
        raise error.inside(place) from None


def _unknown(value: Any) -> Any:
    if isinstance(value, str):
        if value in ("error", "nan"):
            return str(value)
        raise values.wrong_type(value, "unknown", "'error', 'nan', or a number")
    try:
        return float(values.vector([value], "unknown")[0])
    except DocumentError as error:  # of the list that it is not
        raise DocumentError(
            error.code,
            error.message,
            field="unknown",
            expected="'error', 'nan', or a number between ±3.4028235e38",
            actual=error.actual,
        ) from None
