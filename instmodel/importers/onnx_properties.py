"""What this package's exporter wrote into an ONNX file beside the graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from instmodel.base.categories import CATEGORIES_KEY, Categories, by_feature, size_of
from instmodel.base.features import FEATURES_KEY, parse_feature_names
from instmodel.base.limits import DEFAULT_LIMITS
from instmodel.document.signature import SIGNATURE_KEY, Signature, read_signature
from instmodel.document.state import STATE_KEY
from instmodel.importers import common, recurrence
from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Value

_T = TypeVar("_T")


@dataclass(frozen=True)
class StepStates:
    """The states of a graph that is one step: before it an input (N, S), after it an output.

    Attributes
    ----------
    input, output : str
        Names of the tensors.
    sizes : list of int
        Of the states, which stand side by side.
    initial : list of (size,) or None
        What each holds before the first step; None for zeros.
    """

    input: str
    output: str
    sizes: list[int]
    initial: list[NDArray[np.float64] | None]

    def leaf(self) -> Value:
        """Return what the input stands for: states that `keep` gives their next values."""
        states = zip(self.sizes, self.initial, strict=True)
        return ex.concatenate([recurrence.state(*item) for item in states])

    def keep(self, leaf: Value, after: Value) -> None:
        """Let the states of a leaf hold at the next step what the output is."""
        positions = np.split(ex.positions_of(after), np.cumsum(self.sizes)[:-1])
        joined = ex.bare(leaf)
        states = [joined] if joined.kind == "state" else joined.inputs
        for held, chosen in zip(states, positions, strict=True):
            recurrence.keep(held, ex.rearrange(after, chosen))

    def first(self, count: int) -> NDArray[np.float32]:
        """Return the input before the first step of `count` sequences: (count, S)."""
        parts = [
            np.zeros(size) if start is None else start
            for size, start in zip(self.sizes, self.initial, strict=True)
        ]
        return np.tile(np.concatenate(parts).astype(np.float32), (count, 1))


class Properties:
    """The properties of a model.

    Parameters
    ----------
    model : ModelProto
    """

    def __init__(self, model: Any) -> None:
        self._written = {item.key: item.value for item in model.metadata_props}

    def features(self, leaves: list[tuple[str, Value]]) -> list[str] | None:
        """Return the features: as this package's exporter wrote them, or of the inputs' names."""
        names = self._property(FEATURES_KEY)
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names or None
        return common.feature_names(leaves)

    def categories(self, written: Sequence[str], names: Sequence[str]) -> dict[str, Categories]:
        """Return the text categories that this package's exporter wrote, by the new names.

        Parameters
        ----------
        written, names : sequence of str
            The features as the file names them, and as the document does.
        """
        found = self._property(CATEGORIES_KEY) or {}
        DEFAULT_LIMITS.check_categories(*size_of(found))
        return _renamed(by_feature(found), written, names)

    def signature(self, written: Sequence[str], names: Sequence[str]) -> Signature | None:
        """Return the signature that this package's exporter wrote; see `categories`."""
        found = self._property(SIGNATURE_KEY)
        if found is None:
            return None
        signature = read_signature(found)
        return Signature(_renamed(signature.features, written, names), signature.rows)

    def states(self) -> StepStates | None:
        """Return the states of a graph that is one step of a recurrent model."""
        found = self._property(STATE_KEY)
        try:
            sizes = [int(size) for size in found["sizes"]]
            starts = [None if item is None else np.array(item, float) for item in found["initial"]]
            fits = [x is None or x.shape == (n,) for x, n in zip(starts, sizes, strict=True)]
            given = StepStates(str(found["input"]), str(found["output"]), sizes, starts)
        except (TypeError, KeyError, ValueError, OverflowError):
            return None
        return given if sizes and min(sizes) > 0 and all(fits) else None

    def _property(self, key: str) -> Any:
        """Return what the model keeps as JSON under a key, None if that is nothing."""
        written = self._written.get(key)
        try:
            return None if written is None else json.loads(written)
        except (ValueError, RecursionError):
            return None


def _renamed(
    items: Mapping[str, _T], written: Sequence[str], names: Sequence[str]
) -> dict[str, _T]:
    """Return what is told of features by their new names."""
    old, new = parse_feature_names(written), parse_feature_names(names)
    renamed = {a.name: b.name for a, b in zip(old, new, strict=False)}
    return {renamed.get(name, name): item for name, item in items.items()}
