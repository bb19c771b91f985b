"""scikit-learn's imputers: numbers in the place of missing ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Value
from instmodel.importers.sklearn_texts import category_numbers
from instmodel.importers.sklearn_walk import Walk, inside, require

Floats = NDArray[np.float64]

# A text that is missing is none of the numbers of columns without text: a number that they lack.
_NO_NUMBER = 3e38


def imputer(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return ``transform`` of a SimpleImputer."""
    gaps, filled = _filled(walk, e, x)
    return _with_indicator(e, filled, gaps)


def _filled(walk: Walk, e: Any, x: Value) -> tuple[Value, Value]:
    """Return 1 for each number that is missing, and what a SimpleImputer puts there."""
    statistics = np.asarray(e.statistics_).tolist()
    texts = walk.texts(e, len(statistics))
    fills = np.array(
        [category_numbers([fill], codes)[0] for fill, codes in zip(statistics, texts, strict=True)]
    )
    missing = _missing_numbers(walk, e, x)
    gaps, kept = _gaps(x, missing)
    empty = np.isnan(fills)
    fills = np.where(empty, 0.0, fills)
    if np.isnan(missing).all():
        filled = fn.replace_nan(x, fills)
    else:
        filled = ex.add(ex.multiply(x, kept), ex.multiply(gaps, ex.constant(fills)))
    walk.filled[id(ex.bare(filled))] = (filled, gaps, fills)
    if not e.keep_empty_features and empty.any():
        require(not empty.all(), "no columns are left")
        filled = ex.rearrange(filled, np.flatnonzero(~empty))
    return gaps, filled


def _missing_numbers(walk: Walk, e: Any, x: Value) -> Floats:
    """Return the number that stands for a missing one in each column, NaN for None, too."""
    missing = e.missing_values
    require(not isinstance(missing, bool), f"missing_values={missing!r}")
    return np.array(
        [
            _NO_NUMBER
            if isinstance(missing, str) and codes is None
            else category_numbers([missing], codes)[0]
            for codes in walk.texts(e, x.size)
        ]
    )


def _gaps(x: Value, missing: Floats) -> tuple[Value, Value]:
    """Return 1 for each number that is missing, and 1 for each that is not."""
    if np.isnan(missing).all():
        gaps = fn.is_nan(x)
        return gaps, ex.activation(gaps, "INVERSE")
    # SIGN of the distance is 0 only at the value itself.
    distance = ex.activation(ex.subtract(x, ex.constant(missing)), "SIGN")
    kept = ex.multiply(distance, distance)
    return ex.activation(kept, "INVERSE"), kept


def _with_indicator(e: Any, filled: Value, gaps: Value) -> Value:
    if not e.add_indicator or not len(e.indicator_.features_):
        return filled
    return ex.concatenate([filled, ex.rearrange(gaps, np.asarray(e.indicator_.features_))])


def missing_indicator(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return ``transform`` of a MissingIndicator."""
    missing = _missing_numbers(walk, e, x)
    gaps, _ = _gaps(x, missing)
    if not np.isnan(missing).all():
        walk.refuse_nan(x)
    if e.features == "missing-only" and e.error_on_new:
        others = np.setdiff1d(np.arange(x.size), e.features_)
        if len(others):
            walk.refuse(ex.rearrange(gaps, others))
    require(len(e.features_) > 0, "no columns are left")
    return ex.rearrange(gaps, np.asarray(e.features_))


def iterative_imputer(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return ``transform`` of an IterativeImputer: one prediction after the other."""
    require(not e.sample_posterior, "sample_posterior=True")
    gaps, filled = _filled(walk, e.initial_imputer_, x)
    require(filled.size == x.size, "columns without any number")
    kept = ex.activation(gaps, "INVERSE")
    columns = [ex.rearrange(filled, np.array([index])) for index in range(x.size)]
    known = [ex.multiply(c, ex.rearrange(kept, np.array([i]))) for i, c in enumerate(columns)]
    for nth, step in enumerate(e.imputation_sequence_ if e.n_iter_ else ()):
        index = int(step.feat_idx)
        others = ex.concatenate([columns[other] for other in step.neighbor_feat_idx])
        where = inside(place, f"imputation_sequence_[{nth}].estimator")
        with walk.without_nan():
            guess = walk.predict(step.estimator, others, "predict", where)
        limits = [float(np.asarray(limit)[index]) for limit in (e._min_value, e._max_value)]
        guess = ex.multiply(ex.clip(guess, *limits), ex.rearrange(gaps, np.array([index])))
        columns[index] = ex.add(known[index], guess)
    return _with_indicator(e, ex.concatenate(columns), gaps)
