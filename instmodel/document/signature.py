"""What a model expects of its inputs: ranges, codes, nulls, and how the training data lay.

Nothing of it changes a score. It is what jobs count by, what `instmodel drift` holds data against,
and what a reader of the document learns of the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

import numpy as np

from instmodel.base import values
from instmodel.base.features import Feature
from instmodel.errors import DocumentError, StructureError

# Where an ONNX file that this package wrote keeps it, among the properties of the model.
SIGNATURE_KEY = "instmodel.signature"

Kind = Literal["number", "code", "text"]
NullRule = Literal["allowed", "never"]

# Edges or codes of a feature: more tell nobody more, and counting them takes time.
MOST_EDGES = 10_000
# What shares may be above 1 together, because they were rounded.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class FeatureSignature:
    """What a model expects of a feature; all but the kind is optional.

    Parameters
    ----------
    kind : {"number", "code", "text"}
        A number in a range; one of some whole numbers; or one of the feature's `Categories`.
    min, max : float, optional
        The least and the greatest value that a number may have.
    codes : sequence of int, optional
        The whole numbers that a code may be, ascending, each exact in float32.
    nulls : {"allowed", "never"}
        Whether nulls, and NaN, are expected.
    edges : sequence of float
        Of numbers: where the bins of the training data meet, ascending. A bin holds what is at
        least its lower edge and below its upper one; the first and the last have no end.
    shares : sequence of float, optional
        The part of the training data in each bin: one more than `edges`, or one for each of
        `codes`, or for each category. With `null_share`, at most 1 together: the rest is unknown.
    null_share : float
        The part of the training data that was null.

    Raises
    ------
    InstModelError
        ``invalid_signature``: what does not fit together, reversed or repeated; ``invalid_type``,
        ``non_finite_value``.
    """

    kind: Kind = "number"
    min: float | None = None
    max: float | None = None
    codes: Sequence[int] | None = None
    nulls: NullRule = "allowed"
    edges: Sequence[float] = ()
    shares: Sequence[float] | None = None
    null_share: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in (("kind", get_args(Kind)), ("nulls", get_args(NullRule))):
            given = getattr(self, name)
            if not isinstance(given, str) or given not in choices:
                raise values.wrong_type(given, name, " or ".join(choices))
        edges = tuple(values.vector(self.edges, "edges").tolist())
        self._set("edges", _ascending(edges, "edges"))
        for name in ("min", "max"):
            bound = getattr(self, name)
            self._set(name, None if bound is None else _number(bound, name))
        if self.codes is not None:
            self._set("codes", _codes(self.codes))
        self._check_kind()
        if self.min is not None and self.max is not None and self.min > self.max:
            raise _invalid("min", "the range is reversed", f"at most {self.max:g}", self.min)
        self._set("null_share", _share(self.null_share, "null_share"))
        if self.shares is not None:
            self._set("shares", self._shares(self.shares))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_kind(self) -> None:
        foreign = {"number": ("codes",), "code": ("min", "max", "edges"), "text": _NOT_OF_TEXT}
        for name in foreign[self.kind]:
            if getattr(self, name) not in (None, ()):
                raise _invalid(name, f"not of the kind {self.kind!r}", "nothing", "a value")
        if self.kind == "code" and self.codes is None:
            raise DocumentError("missing_field", "a required key is missing", field="codes")

    def _shares(self, given: Any) -> tuple[float, ...]:
        shares = tuple(
            _share(share, f"shares[{place}]")
            for place, share in enumerate(values.sequence(given, "shares", "numbers"))
        )
        if self.kind != "text":  # whose categories stand elsewhere: `check_signature`
            _check_length(shares, len(self.edges) + 1 if self.codes is None else len(self.codes))
        total = math.fsum([*shares, self.null_share])
        if total > 1 + _ROUNDING:
            raise _invalid("shares", "more than the whole", "at most 1 with `null_share`", total)
        return shares

    def to_json(self) -> dict[str, Any]:
        """Return the one JSON form: what is not the default."""
        given = {part.name: getattr(self, part.name) for part in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if name == "kind" or value != _DEFAULTS[name]
        }


_NOT_OF_TEXT = ("min", "max", "edges", "codes")
_DEFAULTS = {part.name: part.default for part in fields(FeatureSignature)}


@dataclass(frozen=True)
class Signature:
    """What a model expects of its inputs.

    Parameters
    ----------
    features : mapping of str to FeatureSignature
        By the name of a feature, without brackets: the values of an array feature share one. Not
        every feature needs to be there.
    rows : int, optional
        How many rows of training data it was made from.

    Raises
    ------
    InstModelError
        ``invalid_type``, ``invalid_signature``.
    """

    features: Mapping[str, FeatureSignature] = field(default_factory=dict)
    rows: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.features, Mapping):
            raise values.wrong_type(self.features, "features", "an object of features")
        for name, item in self.features.items():
            if not isinstance(name, str):
                raise values.wrong_type(name, "features", "names of features")
            if not isinstance(item, FeatureSignature):
                raise values.wrong_type(item, _place(name), "a FeatureSignature")
        ordered = {str(name): self.features[name] for name in sorted(self.features)}
        object.__setattr__(self, "features", ordered)
        if self.rows is not None:
            rows = values.integer(self.rows, "rows")
            if rows < 0:
                raise _invalid("rows", "not a number of rows", "0 or more", rows)
            object.__setattr__(self, "rows", rows)

    @classmethod
    def from_data(cls, model: Any, data: Any, *, batch_rows: int | None = None) -> Signature:
        """Describe the data that a model was trained on.

        Of numbers the least and the greatest value are the range, and ten bins with a tenth of the
        rows each are kept; up to twenty different values have a bin each. Inputs that the model
        looks up in maps are codes: those that were there. Nulls are never expected where there was
        none. Bins are of a uniform sample of the rows where there are more than 4 million values.

        Parameters
        ----------
        model : InstructionModel or InstructionModelInfo
            Whose features are looked for; it must name them.
        data : table or path-like
            Files, folders and tables, as for `instmodel.compare`; nulls are counted.
        batch_rows : int, optional
            Rows that are read together.

        Raises
        ------
        InstModelError
            What is wrong with the table; ``missing_features`` for a model without names,
            ``no_rows`` for an empty table.
        OSError
            The file cannot be read.
        """
        from instmodel.signatures.profile import profile

        return profile(model, data, batch_rows=batch_rows)

    def to_json(self) -> dict[str, Any]:
        """Return the one JSON form."""
        rows = {} if self.rows is None else {"rows": self.rows}
        return {**rows, "features": {name: item.to_json() for name, item in self.features.items()}}


def read_signature(given: Any, unknown: str = "error") -> Signature:
    """Return the ``signature`` of a document.

    Parameters
    ----------
    given : Signature, or the JSON form of one
    unknown : {"error", "ignore"}
        What to do with a key that the format does not know.

    Raises
    ------
    InstModelError
        As `Signature`, with the place in the document; ``unknown_field``, ``missing_field``.
    """
    if isinstance(given, Signature):
        return given
    if not isinstance(given, Mapping):
        raise values.wrong_type(given, "signature", "an object")
    parts = values.known_only(given, ("features", "rows"), "signature", unknown)
    if "features" not in parts:
        raise DocumentError(
            "missing_field", "a required key is missing", field="signature.features"
        )
    features = parts["features"]
    try:
        if isinstance(features, Mapping):
            parts["features"] = {name: _feature(features[name], name, unknown) for name in features}
        return Signature(**parts)
    except (DocumentError, StructureError) as error:
        raise error.inside("signature") from None


def _feature(given: Any, name: Any, unknown: str) -> FeatureSignature:
    place = _place(name)
    if isinstance(given, FeatureSignature):
        return given
    if not isinstance(given, Mapping):
        raise values.wrong_type(given, place, "an object")
    parts = values.known_only(given, _DEFAULTS, place, unknown)
    if "kind" not in parts:
        raise DocumentError("missing_field", "a required key is missing", field=f"{place}.kind")
    try:
        return FeatureSignature(**parts)
    except (DocumentError, StructureError) as error:
        raise error.inside(place) from None


def check_signature(signature: Signature | None, features: Sequence[Feature]) -> None:
    """Hold a signature against the features of its document.

    Raises
    ------
    InstModelError
        ``unknown_feature``: it tells of something else; ``invalid_signature``: text without
        categories or with other ones, or categories that are no text.
    """
    if signature is None:
        return
    known = {feature.name: feature for feature in features}
    for name, item in signature.features.items():
        place = f"signature.{_place(name)}"
        if name not in known:
            raise StructureError(
                "unknown_feature",
                f"a signature of a feature that the model does not name{values.hint(name, known)}",
                field=place,
                expected="a name of `features`, without brackets",
                actual=repr(_short(name)),
            )
        categories = known[name].categories
        if (item.kind == "text") != (categories is not None):
            wanted = "number or code" if categories is None else "text, as it has categories"
            raise _invalid(f"{place}.kind", "not of this kind", wanted, repr(item.kind))
        if categories is not None and item.shares is not None:
            try:
                _check_length(item.shares, len(categories.values))
            except StructureError as error:
                raise error.inside(place) from None


def _short(name: Any) -> str:
    text = str(name)
    return text if len(text) <= 60 else text[:57] + "..."


def _place(name: Any) -> str:
    return f"features[{_short(name)!r}]"


def _number(value: Any, name: str) -> float:
    """Return a number as float32 holds it."""
    try:
        return float(values.vector([value], name)[0])
    except DocumentError as error:  # of the list that it is not
        raise DocumentError(
            error.code,
            error.message,
            field=name,
            expected="a number between ±3.4028235e38",
            actual=error.actual,
        ) from None


def _share(value: Any, name: str) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise values.wrong_type(value, name, "a number from 0 to 1")
    if not 0 <= value <= 1:
        raise _invalid(name, "not a share", "a number from 0 to 1", values.describe(value))
    return float(value)


def _codes(given: Any) -> tuple[int, ...]:
    codes = values.integers(given, "codes")
    for place, code in enumerate(codes):
        if int(np.float32(code)) != code:
            raise _invalid(f"codes[{place}]", "float32 cannot hold the code", "another", code)
    return _ascending(codes, "codes")


def _ascending(numbers: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    if len(numbers) > MOST_EDGES:
        raise _invalid(name, "too many", f"at most {MOST_EDGES}", len(numbers))
    for place in range(1, len(numbers)):
        if not numbers[place - 1] < numbers[place]:
            expected = f"more than {numbers[place - 1]}"
            raise _invalid(f"{name}[{place}]", "they must ascend", expected, numbers[place])
    return numbers


def _check_length(shares: Sequence[float], count: int) -> None:
    if len(shares) != count:
        raise _invalid("shares", "another number than there are bins", count, len(shares))


def _invalid(place: str, message: str, expected: Any, actual: Any) -> StructureError:
    return StructureError(
        "invalid_signature", message, field=place, expected=expected, actual=actual
    )
