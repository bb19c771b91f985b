"""Walk through nested scikit-learn estimators, and find the class that instmodel knows."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Container, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers.common import Findings
from instmodel.importers.expressions import (
    Unsupported,
    Value,
    add,
    bare,
    concatenate,
    constant,
    multiply,
    reduce_sum,
    source,
)
from instmodel.importers.functions import nan_where
from instmodel.importers.patterns import spreads_nan


def known_class(estimator: Any, known: Container[str]) -> str | None:
    """Return the first scikit-learn class of an estimator, itself or inherited, that is known.

    A class that inherits may compute something else; see `require_own_methods`.
    """
    for kind in _library_classes(estimator):
        if kind.__name__ in known:
            return kind.__name__
    return None


# What others may override, because nothing that is imported runs it: fitting, describing, scoring.
_FREE_PREFIXES = ("fit", "_fit", "partial_fit", "_partial_fit", "set_", "_repr_", "__")
_FREE = {
    "_get_metadata_request",
    "_get_tags",
    "_more_tags",
    "_run_search",  # how a search tries its candidates
    "_validate_params",
    "get_feature_names_out",
    "get_metadata_routing",
    "get_params",
    "inverse_transform",
    "score",
}
# Where scikit-learn asks a class of one's own for its choice; the importer asks it, too.
_ASKED = {"SelectorMixin": {"_get_support_mask", "get_support"}}


def require_own_methods(estimator: Any, kind: str, method: str) -> None:
    """Refuse an estimator whose methods are not those of its scikit-learn class.

    Rows cannot show it: an overridden method may differ in a single case. So every method counts
    that may take part, the private ones too, whether a subclass overrides it, a mixin, or an
    attribute of the estimator.

    Parameters
    ----------
    estimator : estimator
    kind : str
        What `known_class` found.
    method : str
        What is imported. A classifier's `predict` is free as long as it is not that.
    """
    classes = _library_classes(estimator)
    recognised = next(found for found in classes if found.__name__ == kind)
    library = next(found for found in classes if issubclass(found, recognised))
    free = (_FREE | _ASKED.get(kind, set()) | {"predict"}) - {method}
    changed = []
    for name in ["__getattribute__", *dir(library)]:
        if name in free or (name != "__getattribute__" and name.startswith(_FREE_PREFIXES)):
            continue
        own = inspect.getattr_static(library, name)
        if not hasattr(own, "__get__"):
            continue  # a constant, which the importer reads from the estimator itself
        shadowed = name in vars(estimator) and not hasattr(own, "__set__")
        if shadowed or inspect.getattr_static(type(estimator), name) is not own:
            changed.append(name)
    if changed:
        raise Unsupported(
            f"{', '.join(changed)}: not the method of scikit-learn's {library.__name__}, "
            "so not its model"
        )


def _library_classes(estimator: Any) -> list[type]:
    return [kind for kind in type(estimator).__mro__ if kind.__module__.startswith(_LIBRARIES)]


# imbalanced-learn's Pipeline is scikit-learn's, with samplers in it that only fitting runs.
_LIBRARIES = ("sklearn.", "imblearn.pipeline")


def skipped(step: Any) -> bool:
    """Whether a step hands on what it gets, when it is not fitted."""
    passes = step is None or (isinstance(step, str) and step == "passthrough")
    return passes or hasattr(step, "fit_resample")


def features_in(estimator: Any) -> int | None:
    """Return how many columns a fitted estimator takes; None for what is not fitted.

    The first step of a pipeline may not know: it is skipped, or a class of one's own.
    """
    for part in [estimator, *_first_parts(estimator)]:
        size = getattr(part, "n_features_in_", None)
        if isinstance(size, int | np.integer):
            return int(size)
        if known_class(part, ("IsotonicRegression",)) and hasattr(part, "X_thresholds_"):
            return 1  # which it does not say itself
    return None


def _first_parts(estimator: Any) -> list[Any]:
    """Return the steps of a pipeline, and those of pipelines in it."""
    if known_class(estimator, ("BaseSearchCV",)):
        return _first_parts(getattr(estimator, "best_estimator_", None))
    if not known_class(estimator, ("Pipeline",)):
        return []
    return [part for _, step in estimator.steps for part in (step, *_first_parts(step))]


class Walk:
    """Applies handlers to estimators inside of estimators, and notes what none of them can do.

    Parameters
    ----------
    findings : Findings
    transform, predict : callable
        The handlers.
    texts : callable
        Returns, for a step and so many columns, the numbers of the text in each; None where it is
        none. See `TextColumns.of`.
    """

    def __init__(
        self,
        findings: Findings,
        transform: Callable[[Walk, Any, Value, str], Value],
        predict: Callable[[Walk, Any, Value, str, str], Value],
        texts: Callable[[Any, int], list[dict[str, int] | None]],
    ) -> None:
        self.findings = findings
        self.texts = texts
        self._transform = transform
        self._predict = predict
        self._refused: list[Value] = []
        self._whole: list[Value] = []
        self._infinite: list[Value] = []
        # By id: what imputers made, flags of the gaps that were in it, and the numbers put there.
        self.filled: dict[int, tuple[Value, Value, NDArray[np.float64]]] = {}

    def refuse(self, flags: Value) -> None:
        """Note rows that the source raises an error for: those with a flag of 1, or NaN."""
        self._refused.append(flags)

    def refuse_nan(self, x: Value) -> None:
        """Note that the source raises an error for rows with NaN in x."""
        self._whole.append(x)

    @contextlib.contextmanager
    def without_nan(self) -> Iterator[None]:
        """Note no NaN in the block, which reads only what cannot be missing."""
        count = len(self._whole)
        yield
        del self._whole[count:]

    def note_infinite(self, flags: Value) -> None:
        """Note rows where a step gives infinities; see `refuse_infinite`."""
        self._infinite.append(flags)

    def refuse_infinite(self) -> None:
        """Note that the source raises an error for infinities from the steps before."""
        self._refused += self._infinite
        self._infinite.clear()

    def without_refused(self, output: Value) -> Value:
        """Return the output, NaN for every row that was noted, whatever came after."""
        whole = {id(bare(x)): x for x in self._whole}.values()
        lost = [multiply(x, constant(0.0)) for x in whole if not spreads_nan(output, x)]
        flags = [*self._refused, *lost]
        if not flags:
            return output
        joined = concatenate(flags)
        return add(output, nan_where(reduce_sum(joined) if joined.size > 1 else joined))

    def transform(self, estimator: Any, x: Value, place: str) -> Value:
        """Return what the transformer makes of x; where it cannot, a value of the right size."""
        with self.findings.at(_named(place, estimator)):
            return self._transform(self, estimator, x, place)
        return source(_columns_out(estimator, x))

    def predict(self, estimator: Any, x: Value, method: str, place: str) -> Value:
        """Return what `method` of the predictor makes of x: shape (outputs,)."""
        with self.findings.at(_named(place, estimator)):
            return self._predict(self, estimator, x, method, place)
        return source(1)


def inside(place: str, name: object) -> str:
    """Return the place of a step."""
    return f"{place}.{name}" if place else str(name)


def _named(place: str, estimator: Any) -> str:
    kind = type(estimator).__name__
    return f"{place} ({kind})" if place else kind


def _columns_out(estimator: Any, x: Value) -> int:
    try:
        return len(estimator.get_feature_names_out())
    except Exception:  # not fitted, or no names: any size does, since the import fails anyway
        return x.size


def library_version() -> tuple[int, ...]:
    """Return scikit-learn's version, as far as what it computes has changed with it."""
    return tuple(int(part) for part in version("scikit-learn").split(".")[:2])


def require(holds: bool, reason: str) -> None:
    """Refuse a setting that has no instructions."""
    if not holds:
        raise Unsupported(reason)
