"""Thresholds of scikit-learn are compared as exactly behind other steps as in front."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import impute, naive_bayes
from sklearn import preprocessing as pre
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline, make_union

from instmodel.importers import sklearn as importer

RNG = np.random.default_rng(11)
X = RNG.normal(5, 3, (400, 2)).astype(np.float32).astype(float)
TWO = (X[:, 0] > 5).astype(int)

BEHIND_SCALERS = {
    "bins": make_pipeline(pre.StandardScaler(), pre.KBinsDiscretizer(7, encode="ordinal")),
    "bins of a range": make_pipeline(pre.MinMaxScaler(), pre.KBinsDiscretizer(7)),
    "a threshold": make_pipeline(pre.RobustScaler(), pre.Binarizer(threshold=0.1)),
    "a mean": make_pipeline(pre.StandardScaler(), naive_bayes.BernoulliNB()),
    "quantiles": make_pipeline(pre.StandardScaler(), pre.QuantileTransformer(n_quantiles=5)),
    "steps": make_pipeline(
        pre.StandardScaler(), pre.SplineTransformer(degree=0, extrapolation="continue")
    ),
}


def around(numbers):
    """Return float32 numbers next to some: the nearest ones, below and above."""
    near = np.float32(numbers)
    return np.concatenate(
        [near, np.nextafter(near, np.float32(-1e30)), np.nextafter(near, np.float32(1e30))]
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BEHIND_SCALERS)
def test_the_input_is_compared_and_not_what_a_scaler_rounds(name):
    # 389 is no multiple of 7: where a quantile falls on a row, the interpolation of scikit-learn
    # before 1.7 may round the edge off that row's number, which no import can tell from the number.
    estimator = BEHIND_SCALERS[name].fit(X[:390], TWO[:390])
    info = importer.from_sklearn(estimator)
    scaler, step = estimator
    edges = [0.1, 0.0, *np.ravel(getattr(step, "quantiles_", []))]
    for column in getattr(step, "bin_edges_", []):
        edges += list(column)
    for curve in getattr(step, "bsplines_", []):
        edges += list(curve.t)
    places = scaler.inverse_transform(np.repeat(np.array(edges)[:, None], 2, axis=1))
    rows = np.column_stack([around(column) for column in places.T])
    expected = importer.source_outputs(
        estimator, info.metadata["output"], rows, info.buffer_sizes[-1]
    )
    actual = im.InstructionModel(info).predict(rows)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


FEW = RNG.integers(0, 7, (400, 2)).astype(float)  # so that edges are numbers that are computed
COMPUTED = {
    "quantiles": pre.QuantileTransformer(n_quantiles=30),
    "a range with limits": pre.MinMaxScaler(clip=True),
    "powers": pre.PowerTransformer(),
    "shares": pre.Normalizer("max"),
    "a union": make_union(pre.MinMaxScaler(), pre.PowerTransformer()),
    "flags": make_pipeline(pre.Binarizer(threshold=2), pre.StandardScaler()),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_computed_as_an_edge_is_on_its_own_side(name):
    bins = pre.KBinsDiscretizer(3, encode="ordinal", strategy="quantile")
    estimator = make_pipeline(COMPUTED[name], bins).fit(FEW)
    model = im.InstructionModel(importer.from_sklearn(estimator, sample=FEW))
    assert np.array_equal(model.predict(FEW), estimator.transform(FEW))


def test_columns_that_are_joined_are_compared_each_where_it_comes_from():
    columns = make_column_transformer(
        (pre.StandardScaler(), [1]), ("passthrough", [0]), (pre.MaxAbsScaler(), [0])
    )
    x = np.column_stack([np.arange(5e6, 5e6 + 400), X[:, 1]])
    bins = pre.KBinsDiscretizer(5, encode="ordinal", strategy="uniform")
    estimator = make_pipeline(columns, bins).fit(x)
    model = im.InstructionModel(importer.from_sklearn(estimator, sample=x[:50]))
    assert np.array_equal(model.predict(x)[:, :2], estimator.transform(x)[:, :2])


FILLED = {
    "bins": pre.KBinsDiscretizer(4, encode="ordinal", strategy="quantile"),
    "scaled bins": make_pipeline(
        pre.StandardScaler(), pre.KBinsDiscretizer(4, strategy="quantile")
    ),
    "quantiles": pre.QuantileTransformer(n_quantiles=9),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILLED)
@pytest.mark.parametrize("missing", [np.nan, -9.0])
def test_a_gap_is_filled_with_the_very_edge_of_a_bin(name, missing):
    x = X[:9, :1].copy()
    x[:, 0] = [0.1, 0.2, 0.3, 0.4, missing, missing, missing, 0.9, 1.0]
    x = np.where(x == missing, missing, x.astype(np.float32).astype(float))
    filler = impute.SimpleImputer(missing_values=missing, strategy="median")
    estimator = make_pipeline(filler, FILLED[name]).fit(x)
    fill = filler.statistics_[0]
    assert fill != np.float32(fill)  # the mean of two float32 numbers
    rows = np.append(around([fill, 0.3, 0.4]), np.float32(missing))[:, None]
    info = importer.from_sklearn(estimator)
    expected = importer.source_outputs(estimator, "transform", rows, info.buffer_sizes[-1])
    np.testing.assert_allclose(im.InstructionModel(info).predict(rows), expected, atol=1e-6)
