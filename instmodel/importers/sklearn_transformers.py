"""What scikit-learn's transformers do, as expressions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.sklearn_curves import splines
from instmodel.importers.sklearn_encoders import dense_array, encode
from instmodel.importers.sklearn_functions import (
    POLES,
    apply_function,
    bins,
    box_cox,
    inverse_box_cox,
    inverse_yeo_johnson,
    normalized,
    yeo_johnson,
)
from instmodel.importers.sklearn_imputers import (
    imputer,
    iterative_imputer,
    missing_indicator,
)
from instmodel.importers.sklearn_kernels import kernel_components, nystroem
from instmodel.importers.sklearn_quantiles import quantiles
from instmodel.importers.sklearn_texts import ENCODERS
from instmodel.importers.sklearn_thresholds import exceeds
from instmodel.importers.sklearn_walk import (
    Walk,
    inside,
    known_class,
    require,
    require_own_methods,
    skipped,
)


def transform(walk: Walk, estimator: Any, x: Value, place: str) -> Value:
    """Return ``estimator.transform`` of x: shape (columns,)."""
    kind = known_class(estimator, _TRANSFORMERS)
    if kind is None:
        raise Unsupported("a transformer without instructions")
    require_own_methods(estimator, kind, "transform")
    if kind not in _DECIDED_INSIDE and not _takes_nan(estimator, x.size):
        walk.refuse_nan(x)
    if kind not in (*_DECIDED_INSIDE, "FunctionTransformer"):
        walk.refuse_infinite()
    return _TRANSFORMERS[kind](walk, estimator, x, place)


def _takes_nan(estimator: Any, columns: int) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that columns have no names
        try:
            estimator.transform(np.full((1, columns), np.nan))
        except ValueError:
            return False
    return True


# ------------------------------------------------------------------------------------- composites


def _pipeline(walk: Walk, estimator: Any, x: Value, place: str) -> Value:
    return pipeline_steps(walk, estimator, x, place, last=True)


def pipeline_steps(walk: Walk, pipeline: Any, x: Value, place: str, *, last: bool) -> Value:
    """Apply the steps of a pipeline, with or without the last."""
    for name, step in pipeline.steps if last else pipeline.steps[:-1]:
        if not skipped(step):
            size = getattr(step, "n_features_in_", x.size)
            # A step that could not be expressed may have left another number of columns.
            x = walk.transform(step, x if x.size == size else ex.source(size), inside(place, name))
    return x


def _union(walk: Walk, estimator: Any, x: Value, place: str) -> Value:
    weights = estimator.transformer_weights or {}
    parts = []
    for name, member in estimator.transformer_list:
        if member == "drop":
            continue
        part = x if member == "passthrough" else walk.transform(member, x, inside(place, name))
        parts.append(ex.multiply(part, ex.constant(weights[name])) if name in weights else part)
    require(bool(parts), "no columns are left")
    return ex.concatenate(parts)


def _columns(walk: Walk, estimator: Any, x: Value, place: str) -> Value:
    parts = []
    weights = estimator.transformer_weights or {}
    for name, member, columns in estimator.transformers_:
        positions = column_positions(estimator, columns)
        if (isinstance(member, str) and member == "drop") or not len(positions):
            continue
        part = ex.rearrange(x, positions)
        if not (isinstance(member, str) and member == "passthrough"):
            part = walk.transform(member, part, inside(place, name))
        parts.append(ex.multiply(part, ex.constant(weights[name])) if name in weights else part)
    require(bool(parts), "no columns are left")
    return ex.concatenate(parts)


def column_positions(estimator: Any, columns: Any) -> NDArray[np.intp]:
    """Return the positions of the columns that a member of a ColumnTransformer takes."""
    size = int(estimator.n_features_in_)
    names = list(getattr(estimator, "feature_names_in_", ()))
    if isinstance(columns, slice):
        start, stop = columns.start, columns.stop
        if isinstance(start, str):
            start = names.index(start)
        if isinstance(stop, str):
            stop = names.index(stop) + 1  # by name, the end belongs to it
        return np.arange(size)[slice(start, stop, columns.step)]
    if isinstance(columns, str):
        columns = [columns]
    chosen = np.atleast_1d(np.asarray(columns))
    if not chosen.size:
        return np.empty(0, np.intp)
    if chosen.dtype.kind in "UO":
        return np.array([names.index(name) for name in chosen], np.intp)
    positions: NDArray[np.intp] = np.arange(size)[chosen]
    return positions


# ----------------------------------------------------------------------------------------- scaling


def _standard(walk: Walk, e: Any, x: Value, place: str) -> Value:
    spread = 1.0 if e.scale_ is None else e.scale_
    if e.with_mean and e.mean_ is not None:
        x = centred(x, e.mean_, spread)
    return ex.divide(x, ex.constant(spread))


def _robust(walk: Walk, e: Any, x: Value, place: str) -> Value:
    spread = e.scale_ if e.with_scaling else 1.0
    if e.with_centering:
        x = centred(x, e.center_, spread)
    return ex.divide(x, ex.constant(spread))


def _min_max(walk: Walk, e: Any, x: Value, place: str) -> Value:
    # From the least value that was seen: X · scale_ + min_ would cancel far from zero.
    low, high = e.feature_range
    x = ex.multiply(centred(x, e.data_min_, 1.0 / e.scale_), ex.constant(e.scale_))
    x = ex.add(x, ex.constant(low))
    return ex.clip(x, low, high) if e.clip else x


def centred(x: Value, center: Any, spread: Any) -> Value:
    """Return x - center: twice where float32 cannot hold the center to a millionth of the spread.

    The first difference is exact near the center.
    """
    held, rest = _in_two_parts(center)
    if np.any(np.abs(rest) > 1e-6 * np.asarray(spread, float)):
        return ex.subtract(ex.subtract(x, ex.constant(held)), ex.constant(rest))
    return ex.subtract(x, ex.constant(center))  # exactly, for whom it is compared with


def _in_two_parts(numbers: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what float32 holds of the numbers, and the rest."""
    exact = np.asarray(numbers, float)
    held = exact.astype(np.float32).astype(float)
    return held, exact - held


def centred_product(x: Value, center: Any, weights: Any, bias: Any = 0.0) -> Value:
    """Return ``weights · (x - center) + bias``; what float32 cannot hold of the center is bias."""
    held, rest = _in_two_parts(center)
    return ex.dense(ex.subtract(x, ex.constant(held)), weights, bias - np.asarray(weights) @ rest)


def _max_abs(walk: Walk, e: Any, x: Value, place: str) -> Value:
    x = ex.divide(x, ex.constant(e.scale_))
    return ex.clip(x, -1.0, 1.0) if getattr(e, "clip", False) else x


def _normalizer(walk: Walk, e: Any, x: Value, place: str) -> Value:
    return normalized(x, e.norm)


def _binarizer(walk: Walk, e: Any, x: Value, place: str) -> Value:
    return exceeds(walk, x, float(e.threshold))


def _function(walk: Walk, e: Any, x: Value, place: str) -> Value:
    require(not e.kw_args or e.func is None, "kw_args of a function")
    for function, pole in POLES:
        if e.func is function:
            walk.note_infinite(fn.equal(x, ex.constant(pole)))
    return apply_function(e.func, x)


def _power(walk: Walk, e: Any, x: Value, place: str) -> Value:
    if e.method == "box-cox":
        outside = ex.activation(exceeds(walk, x, 0.0), "INVERSE")
        walk.refuse(ex.activation(outside, "SQRT"))  # but not NaN, which SQRT makes 0
        x = box_cox(x, e.lambdas_)
    else:
        x = yeo_johnson(x, e.lambdas_)
    return _standard(walk, e._scaler, x, place) if e.standardize else x


def _bins(walk: Walk, e: Any, x: Value, place: str) -> Value:
    return bins(walk, e, x)


def inverse(estimator: Any, x: Value) -> Value:
    """Return ``estimator.inverse_transform`` of x."""
    kinds = (
        "FunctionTransformer",
        "StandardScaler",
        "RobustScaler",
        "MinMaxScaler",
        "PowerTransformer",
    )
    kind = known_class(estimator, kinds)
    if kind is None:
        raise Unsupported(f"the inverse of a {type(estimator).__name__}")
    require_own_methods(estimator, kind, "inverse_transform")
    if kind == "FunctionTransformer":
        require(not estimator.inv_kw_args or estimator.inverse_func is None, "inv_kw_args")
        return apply_function(estimator.inverse_func, x)
    if kind == "MinMaxScaler":
        low, _ = estimator.feature_range
        x = ex.divide(ex.add(x, ex.constant(-low)), ex.constant(estimator.scale_))
        return ex.add(x, ex.constant(estimator.data_min_))
    if kind == "PowerTransformer":
        if estimator.standardize:
            x = inverse(estimator._scaler, x)
        undo = inverse_box_cox if estimator.method == "box-cox" else inverse_yeo_johnson
        return undo(x, estimator.lambdas_)
    center = estimator.mean_ if kind == "StandardScaler" else estimator.center_
    spread = estimator.scale_
    x = x if spread is None else ex.multiply(x, ex.constant(spread))
    return x if center is None else ex.add(x, ex.constant(center))


def _polynomial(walk: Walk, e: Any, x: Value, place: str) -> Value:
    parts = []
    for degrees in e.powers_:
        chosen = np.repeat(np.arange(x.size), degrees)  # the factors of this column
        product = ex.constant([1.0])
        for index in chosen:
            product = ex.multiply(product, ex.rearrange(x, np.array([index])))
        parts.append(product)
    return ex.concatenate(parts)


# -------------------------------------------------------------------------------------- projections


def _principal(walk: Walk, e: Any, x: Value, place: str) -> Value:
    center = np.zeros(x.size) if e.mean_ is None else e.mean_
    x = centred_product(x, center, e.components_)
    if e.whiten:
        deviations = np.sqrt(np.maximum(e.explained_variance_, np.finfo(float).eps))
        x = ex.divide(x, ex.constant(deviations))
    return x


def _projection(walk: Walk, e: Any, x: Value, place: str) -> Value:
    return ex.dense(x, dense_array(e.components_))


def _ica(walk: Walk, e: Any, x: Value, place: str) -> Value:
    return centred_product(x, e.mean_ if e.whiten else np.zeros(x.size), e.components_)


def _factors(walk: Walk, e: Any, x: Value, place: str) -> Value:
    scaled = e.components_ / e.noise_variance_
    covariance = np.linalg.inv(np.eye(len(scaled)) + scaled @ e.components_.T)
    return centred_product(x, e.mean_, covariance @ scaled)


def _selector(walk: Walk, e: Any, x: Value, place: str) -> Value:
    chosen = np.flatnonzero(e.get_support())
    require(len(chosen) > 0, "no columns are left")
    return ex.rearrange(x, chosen)


def _discriminant(walk: Walk, e: Any, x: Value, place: str) -> Value:
    require(e.solver != "lsqr", "solver='lsqr' has no transform")
    scalings = e.scalings_[:, : e._max_components]
    return centred_product(x, e.xbar_ if e.solver == "svd" else np.zeros(x.size), scalings.T)


# Whether these take NaN, their parts decide, or the column.
_DECIDED_INSIDE = (
    "Pipeline",
    "FeatureUnion",
    "ColumnTransformer",
    "MissingIndicator",
    *ENCODERS,
)

_TRANSFORMERS: dict[str, Callable[[Walk, Any, Value, str], Value]] = {
    "Pipeline": _pipeline,
    "FeatureUnion": _union,
    "ColumnTransformer": _columns,
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "Normalizer": _normalizer,
    "Binarizer": _binarizer,
    "FunctionTransformer": _function,
    "PowerTransformer": _power,
    "KBinsDiscretizer": _bins,
    "SplineTransformer": splines,
    "QuantileTransformer": quantiles,
    "Nystroem": nystroem,
    "KernelPCA": kernel_components,
    "PolynomialFeatures": _polynomial,
    "SimpleImputer": imputer,
    "IterativeImputer": iterative_imputer,
    "MissingIndicator": missing_indicator,
    **dict.fromkeys(ENCODERS, encode),
    "PCA": _principal,
    "IncrementalPCA": _principal,
    "FactorAnalysis": _factors,
    "FastICA": _ica,
    "TruncatedSVD": _projection,
    "GaussianRandomProjection": _projection,
    "SparseRandomProjection": _projection,
    "NeighborhoodComponentsAnalysis": _projection,
    "SelectorMixin": _selector,
    "LinearDiscriminantAnalysis": _discriminant,
}
