"""Random rows on which a fitted scikit-learn estimator is likely to do something, and strange ones.

Encoders get their categories, scalers what they map to a few standard deviations, and imputers gaps
in every other row, but only where no other step would see them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers.sklearn_encoders import dense_array
from instmodel.importers.sklearn_texts import ENCODERS, Columns, TextColumns, category_numbers
from instmodel.importers.sklearn_transformers import column_positions
from instmodel.importers.sklearn_walk import features_in, known_class, skipped
from instmodel.importers.strange import around

_CONTAINERS = ("Pipeline", "ColumnTransformer", "FeatureUnion", "SimpleImputer")
_SCALERS = ("StandardScaler", "RobustScaler", "MinMaxScaler", "MaxAbsScaler")
_CURVES = (
    "BaseLibSVM",
    "CategoricalNB",
    "FunctionTransformer",
    "GaussianNB",
    "IsotonicRegression",
    "KBinsDiscretizer",
    "PowerTransformer",
    "QuadraticDiscriminantAnalysis",
    "QuantileTransformer",
    "SplineTransformer",
)
# Where scalers keep the middle of a column, or its least value, and how far it reaches.
_SPREADS = {
    "StandardScaler": ("mean_", "scale_"),
    "RobustScaler": ("center_", "scale_"),
    "MinMaxScaler": ("data_min_", "data_range_"),
}
# Of the spread: rounding by more is told.
COARSE = 1e-4
# Where other estimators keep those that get the same columns.
_MEMBERS = ("estimators_", "estimator_", "best_estimator_", "regressor_", "calibrated_classifiers_")


def text_columns(estimator: Any) -> TextColumns:
    """Return the columns of the input that are text."""
    found = _Readers()
    found.visit(estimator, [(position, False) for position in range(features_in(estimator) or 0)])
    encoders = [leaf for leaf in found.leaves if known_class(leaf[0], ENCODERS)]
    return TextColumns(encoders, found.imputers, found.unread())


def random_rows(
    estimator: Any, texts: TextColumns, rng: np.random.Generator, count: int
) -> NDArray[np.float64]:
    """Return random rows (count, F)."""
    size = features_in(estimator) or 0
    rows = rng.normal(size=(count, size))
    found = _Readers()
    found.visit(estimator, [(position, False) for position in range(size)])
    for step, columns in found.leaves:
        drawn = _usual(step, rng, count)
        for column, values in zip(columns, [] if drawn is None else drawn.T, strict=False):
            if column:
                rows[:, column[0]] = values
    for encoder, columns in found.leaves:
        if known_class(encoder, ENCODERS):
            for column, known in zip(columns, _categories(encoder, texts), strict=False):
                if column and len(known):
                    rows[:, column[0]] = rng.choice(known, count)
    read = {column[0] for _, got in found.leaves for column in got if column and not column[1]}
    for imputer, columns in found.imputers:
        for column, codes in zip(columns, texts.of(imputer, len(columns)), strict=True):
            if column is None or column[0] in read:
                continue
            if isinstance(imputer.missing_values, str) and codes is None:
                continue  # which no number is
            gaps = (rng.random(count) < 0.4) & (np.arange(count) % 2 == 1)
            rows[gaps, column[0]] = category_numbers([imputer.missing_values], codes)[0]
    return rows


def _categories(encoder: Any, texts: TextColumns) -> list[NDArray[np.float64]]:
    """Return the numbers of an encoder's categories, column by column."""
    codes = texts.of(encoder, len(encoder.categories_))
    found = [
        category_numbers(values.tolist(), known)
        for values, known in zip(encoder.categories_, codes, strict=True)
    ]
    return [values[np.isfinite(values)] for values in found]


def _usual(step: Any, rng: np.random.Generator, count: int) -> NDArray[np.float64] | None:
    """Return rows (count, columns) such as a step was fitted with, as far as it keeps how."""
    kind = known_class(step, (*_SCALERS, *_CURVES))
    normal = rng.normal(size=(count, features_in(step) or 0))
    uniform = rng.uniform(size=normal.shape)
    match kind:
        case "StandardScaler" | "RobustScaler":
            rows = step.inverse_transform(normal)
        case "MinMaxScaler":
            rows = step.inverse_transform(uniform)
        case "MaxAbsScaler":
            rows = step.inverse_transform(normal / 2)
        case "IsotonicRegression":
            rows = step.X_min_ + (step.X_max_ - step.X_min_) * uniform
        case "KBinsDiscretizer":
            least, most = np.array([(edges[0], edges[-1]) for edges in step.bin_edges_]).T
            rows = least + (most - least) * uniform
        case "SplineTransformer":
            curves = [(curve.t[curve.k], curve.t[-curve.k - 1]) for curve in step.bsplines_]
            least, most = np.array(curves).T
            rows = least + (most - least) * uniform
        case "QuantileTransformer":
            least, most = step.quantiles_[0], step.quantiles_[-1]
            rows = least + (most - least) * uniform
        case "CategoricalNB":
            rows = np.floor(step.n_categories_ * uniform)
        case "GaussianNB":
            nth = rng.integers(0, len(step.theta_), count)
            rows = step.theta_[nth] + np.sqrt(step.var_[nth]) * normal
        case "QuadraticDiscriminantAnalysis":
            nth = rng.integers(0, len(step.means_), count)
            turns = [r * np.sqrt(s) for r, s in zip(step.rotations_, step.scalings_, strict=True)]
            drawn = [
                turns[n] @ row[: turns[n].shape[1]] for n, row in zip(nth, normal, strict=True)
            ]
            rows = step.means_[nth] + np.array(drawn)
        case "PowerTransformer":
            rows = step.inverse_transform(normal if step.standardize else step.transform(uniform))
            rows = np.where(np.isfinite(rows), rows, uniform)
        case "FunctionTransformer":
            rows = np.exp(normal)  # logarithms and roots take nothing else
        case "BaseLibSVM":
            vectors = dense_array(step.support_vectors_)
            rows = vectors[rng.integers(0, len(vectors), count)]
            rows = rows + 0.1 * np.std(vectors, axis=0) * normal
        case _:
            return None
    return np.asarray(rows, float)


def strange_values(estimator: Any, texts: TextColumns) -> list[list[float]]:
    """Return numbers for each column that try what the steps that read it have learned.

    Categories, and what lies between and around them; the least, the largest and the typical
    values of the training data, as far as the steps keep them.
    """
    size = features_in(estimator) or 0
    values: list[list[float]] = [[] for _ in range(size)]
    found = _Readers()
    found.visit(estimator, [(position, False) for position in range(size)])
    for step, columns in found.leaves:
        for place, learned in enumerate(zip(*_learned(step, len(columns)), strict=True)):
            if column := columns[place]:
                values[column[0]] += [float(value) for value in learned]
        if known_class(step, ENCODERS):
            for column, known in zip(columns, _categories(step, texts), strict=False):
                if column:
                    values[column[0]] += around(known)
    return values


def warn_of_coarse_columns(estimator: Any, names: Sequence[str] | None, stacklevel: int) -> None:
    """Warn of columns whose numbers are so large that float32 inputs lose some of what they say.

    Parameters
    ----------
    estimator : estimator
    names : sequence of str, optional
        Of its columns.
    stacklevel : int
        As of `warnings.warn`, seen from the caller.
    """
    found = _Readers()
    found.visit(estimator, [(place, False) for place in range(features_in(estimator) or 0)])
    told: dict[int, str] = {}
    for step, columns in found.leaves:
        kind = known_class(step, _SPREADS)
        if kind is None or getattr(step, _SPREADS[kind][0], None) is None:
            continue
        center, spread = (np.asarray(getattr(step, name), float) for name in _SPREADS[kind])
        spacing = np.spacing(np.abs(center).astype(np.float32)).astype(float)
        for place in np.flatnonzero(spacing / 2 > COARSE * spread):
            if spread[place] > 0 and (column := columns[place]):
                name = repr(names[column[0]]) if names else str(column[0])
                told[column[0]] = (
                    f"column {name}: near {center[place]:.6g}, float32 numbers are "
                    f"{spacing[place]:g} apart, {spacing[place] / spread[place]:.1%} of the spread"
                )
    if told:
        warnings.warn(
            "the model takes float32, and loses what lies between its numbers; subtract a constant "
            "from the column before, also in training: " + "; ".join(told.values()),
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def _learned(step: Any, columns: int) -> list[NDArray[np.float64]]:
    """Return the statistics of the training data that a step keeps, a row for each."""
    statistics: list[NDArray[np.float64]] = []
    names = ("data_min_", "data_max_", "mean_", "center_", "quantiles_", "n_categories_")
    kept = [getattr(step, name, None) for name in names]
    if known_class(step, ("SplineTransformer",)):
        kept.append(np.array([curve.t[curve.k : -curve.k - 1] for curve in step.bsplines_]).T)
    for given in kept:
        table = np.atleast_2d(np.asarray([] if given is None else given, float))
        if table.shape[1] == columns:
            some = np.linspace(0, len(table) - 1, min(len(table), 7)).astype(int)
            statistics += list(table[some])
    return statistics


class _Readers:
    """Which steps read which columns of the input.

    Attributes
    ----------
    imputers, leaves : list of (step, Columns)
        Imputers, and steps that are made of no others.
    """

    def __init__(self) -> None:
        self._dropped: set[int] = set()
        self._taken: set[int] = set()
        self.imputers: list[tuple[Any, Columns]] = []
        self.leaves: list[tuple[Any, Columns]] = []

    def unread(self) -> set[int]:
        """Return the columns of the input that are dropped before any step reads them."""
        return self._dropped - self._taken

    def _take(self, columns: Columns) -> None:
        self._taken.update(column[0] for column in columns if column)

    def visit(self, step: Any, columns: Columns) -> Columns:
        """Note who reads what in a step, and return what its outputs are."""
        kind = known_class(step, _CONTAINERS)
        if skipped(step):
            return columns
        if kind == "Pipeline":
            for _, part in step.steps:
                columns = self.visit(part, columns)
            return columns
        if kind == "ColumnTransformer":
            return self._visit_columns(step, columns)
        if kind == "SimpleImputer":
            self.imputers.append((step, columns))
            self._take(columns)
            if step.add_indicator or len(step.statistics_) != len(columns):
                return []
            return [
                column and (column[0], True)
                for column, fill in zip(columns, step.statistics_, strict=True)
                if step.keep_empty_features or fill == fill  # NaN: nothing to fill with, dropped
            ]
        if kind == "FeatureUnion":
            for _, member in step.transformer_list:
                self.visit(member, columns)
            return []
        self.leaves.append((step, columns))
        members = False
        for name in _MEMBERS:
            for member in np.ravel(np.asarray(getattr(step, name, ()), object)).tolist():
                member = getattr(member, "estimator", member) if name == _MEMBERS[-1] else member
                if features_in(member) == len(columns):
                    self.visit(member, columns)
                    members = True
        if not members:
            self._take(columns)
        return []

    def _visit_columns(self, step: Any, columns: Columns) -> Columns:
        outputs: Columns = []
        for name, member, chosen in step.transformers_:
            got = [columns[i] for i in column_positions(step, chosen).tolist()] if columns else []
            if isinstance(member, str) and member == "drop":
                self._dropped.update(column[0] for column in got if column)
                continue
            if skipped(member):
                self._take(got)
            passed = self.visit(member, got)
            made = step.output_indices_[name]
            width = made.stop - made.start
            outputs += passed if len(passed) == width else [None] * width
        return outputs
