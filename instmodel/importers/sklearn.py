"""Import fitted scikit-learn estimators.

The pieces are in `instmodel.importers.sklearn_transformers` and `sklearn_predictors`; here is what
calls them: choosing the output, names of features, and the comparison with the source.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.base import arrays
from instmodel.base.extras import require as require_package
from instmodel.base.features import features_of_columns, parse_feature_names
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError, StructureError, ValidationDataError
from instmodel.importers import common
from instmodel.importers.expressions import source
from instmodel.importers.sklearn_predictors import METHODS, predict
from instmodel.importers.sklearn_rows import (
    random_rows,
    strange_values,
    text_columns,
    warn_of_coarse_columns,
)
from instmodel.importers.sklearn_transformers import transform
from instmodel.importers.sklearn_walk import Walk, features_in
from instmodel.importers.strange import outputs_or_nan, strange_rows


def from_sklearn(
    estimator: Any,
    *,
    output: str | None = None,
    sample: ArrayLike | None = None,
    features: Sequence[str] | None = None,
) -> InstructionModelInfo:
    """Turn a fitted scikit-learn estimator into a model document.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier, regressor, transformer, or a pipeline of them; docs/importers.md lists
        what is known.
    output : {"predict_proba", "decision_function", "predict", "transform"}, optional
        The method that the model is to compute; by default the first of these that the estimator
        has. For two classes, `predict_proba` gives one column: the probability of
        ``classes_[1]``.
    sample : array_like of shape (N, F), optional
        Rows on which the import is compared with the estimator, and of which a few become the
        model's validation data; by default random ones of the scale that the first step learned.
        Either way strange ones are made of them: with unknown categories, NaN, large numbers.
    features : sequence of str, optional
        Names of the features, by default those of ``feature_names_in_``.

    Returns
    -------
    InstructionModelInfo
        Columns ``emb[0]``, ``emb[1]`` … that follow each other are the feature ``emb[n]``.

    Warns
    -----
    UserWarning
        Of columns of numbers so large that float32 is too coarse for them, such as seconds.

    Raises
    ------
    InstModelError
        ``unsupported_model`` with every piece that has no instructions; ``import_mismatch`` when
        the result is not what the estimator computes; ``source_failed`` when the estimator refuses
        the rows; ``invalid_feature_format`` for columns that no features can be named after, until
        `features` does; ``missing_package``.
    """
    require_package("sklearn", "sklearn")
    size = features_in(estimator)
    if size is None:
        raise InputError(
            "invalid_type",
            "not a fitted scikit-learn estimator of a table",
            expected="an estimator with n_features_in_",
            actual=type(estimator).__name__,
        )
    method = _method(estimator, output)
    findings = common.Findings("scikit-learn")
    texts = text_columns(estimator)
    walk = Walk(findings, transform, predict, texts.of)
    leaf = source(size)
    result = leaf
    with findings.at(type(estimator).__name__):
        if method == "transform":
            result = walk.transform(estimator, leaf, "")
        else:
            result = walk.predict(estimator, leaf, method, "")
    findings.check()
    result = walk.without_refused(result)

    columns = getattr(estimator, "feature_names_in_", None)
    columns = None if columns is None else list(columns)
    names = features
    if features is None and columns is not None:
        names = _named_after(columns)
    warn_of_coarse_columns(estimator, columns, stacklevel=2)
    if texts and names is None:
        names = [f"x{place}" for place in range(size)]  # as scikit-learn calls them
    info = common.build(result, [leaf], names, _metadata(estimator, method))
    info.categories = texts.categories(names or [])
    if features is not None and list(getattr(sample, "columns", [])) == columns:
        sample = np.asarray(sample)  # its names are not those of the features, but in order
    if texts and sample is not None:
        arrays.check_columns(sample, parse_feature_names(names or []))
        sample = texts.numbers(sample)
    rows = common.sample_rows(
        sample, info, size, lambda rng, n: random_rows(estimator, texts, rng, n)
    )
    try:
        expected = source_outputs(estimator, method, rows, result.size)
    except ValueError as error:
        raise ValidationDataError(
            "source_failed",
            f"the estimator refuses {'random rows, pass others' if sample is None else 'them'}: "
            f"{error}",
            field="sample",
        ) from error
    odd = strange_rows(rows, strange_values(estimator, texts))

    def compute(some: NDArray[np.float32]) -> NDArray[np.float64]:
        return source_outputs(estimator, method, some, result.size)

    computed, _ = outputs_or_nan(compute, odd, result.size, (ValueError, IndexError))
    return common.attach_cases(info, rows, expected, (odd, computed))


def _named_after(columns: list[str]) -> list[str]:
    """Return the features that the columns of a table become."""
    try:
        names = features_of_columns(columns)
        known = [feature.name for feature in parse_feature_names(names)]
    except StructureError as error:
        expected, actual = error.expected, error.actual
    else:
        if len(set(known)) == len(known):
            return names
        expected, actual = "different names", f"{max(known, key=known.count)!r} for two features"
    raise InputError(
        "invalid_feature_format",
        "features cannot be named after the columns; say with features= how they are called",
        field="feature_names_in_",
        expected=expected,
        actual=actual,
    )


def _metadata(estimator: Any, method: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "imported_from": "scikit-learn",
        "estimator": type(estimator).__name__,
        "output": method,
    }
    classes = getattr(estimator, "classes_", None)
    if isinstance(classes, np.ndarray) and classes.ndim == 1:
        metadata["classes"] = [
            label if isinstance(label, str | int | float) else str(label)
            for label in classes.tolist()
        ]
    return metadata


def source_outputs(
    estimator: Any, method: str, rows: ArrayLike, outputs: int
) -> NDArray[np.float64]:
    """Return what the estimator computes, (N, O) float64, in the form that the import has.

    Parameters
    ----------
    estimator : estimator
    method : str
        As `from_sklearn` chose it; it is ``metadata["output"]``.
    rows : array_like of shape (N, F)
        With the numbers of texts, as the import takes them.
    outputs : int
        How many outputs the import has: 1 asks for the second of two probabilities.
    """
    table: Any = np.asarray(rows, np.float64)
    texts = text_columns(estimator)
    if texts:
        table = np.array(texts.table(table), object).T
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        try:
            import pandas
        except ImportError:
            pass  # whoever fitted by name without pandas selected columns by position
        else:
            table = pandas.DataFrame(table, columns=names)
            if texts:  # what is no text is a column of floats
                table = table.astype(
                    {name: float for i, name in enumerate(names) if i not in texts.positions}
                )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = getattr(estimator, method)(table)
    if method == "predict_proba" and isinstance(result, list):  # one array per label
        result = np.hstack([one[:, 1:] if one.shape[1] == 2 else one for one in result])
    if hasattr(result, "toarray"):  # sparse
        result = result.toarray()
    result = np.asarray(result, np.float64).reshape(len(table), -1)
    return result[:, 1:] if result.shape[1] == 2 and outputs == 1 else result


def _method(estimator: Any, output: str | None) -> str:
    if output is not None and output not in METHODS:
        raise InputError(
            "invalid_type",
            "no such output",
            field="output",
            expected="one of " + ", ".join(METHODS),
            actual=repr(output),
        )
    for method in METHODS if output is None else (output,):
        if callable(getattr(estimator, method, None)):
            return method
    raise InputError(
        "invalid_type",
        f"{type(estimator).__name__} computes no {output or 'output'}",
        field="output",
        expected="one of " + ", ".join(m for m in METHODS if hasattr(estimator, m)),
    )
