"""Steps that bend numbers: functions, powers, bins, curves, calibration, densities, kernels."""

import warnings

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import (
    calibration,
    compose,
    discriminant_analysis,
    isotonic,
    linear_model,
    naive_bayes,
    svm,
)
from sklearn import preprocessing as pre
from sklearn.pipeline import make_pipeline
from support.sources import assert_same, source_of_each_row

from instmodel.importers import sklearn as importer

RNG = np.random.default_rng(7)
X = RNG.normal(size=(300, 4)) * [1, 10, 0.1, 3] + [0, 50, 1, -3]
X = X.astype(np.float32).astype(np.float64)
AMOUNTS = RNG.lognormal(3, 2, (300, 3)).astype(np.float32).astype(np.float64)
SCORE = X @ [1.0, 0.1, -5.0, 0.3] + RNG.normal(size=300)
TWO = (np.median(SCORE) < SCORE).astype(int)
THREE = np.digitize(SCORE, np.quantile(SCORE, [0.33, 0.66]))
POSITIVE = np.exp(SCORE / 10)


def scaled(step):
    return make_pipeline(pre.StandardScaler(), step)


def applied(function, **options):
    return pre.FunctionTransformer(function, **options)


def target(**options):
    return compose.TransformedTargetRegressor(scaled(linear_model.Ridge()), **options)


# name: (estimator, X, y, options of from_sklearn)
SUPPORTED = {
    **{
        f"function {function.__name__}": (applied(function), x, None, {})
        for function, x in [
            (np.log1p, AMOUNTS),
            (np.log, AMOUNTS),
            (np.log2, AMOUNTS),
            (np.log10, AMOUNTS),
            (np.exp, X[:, [0, 2, 3]]),
            (np.expm1, X[:, [0, 2, 3]]),
            (np.sqrt, AMOUNTS),
            (np.square, X),
            (np.absolute, X),
            (np.abs, X),
            (np.negative, X),
            (np.tanh, X),
            (np.sign, X),
        ]
    },
    "function that refuses NaN": (applied(np.log1p, validate=True), AMOUNTS, None, {}),
    "power": (pre.PowerTransformer(), X, None, {}),
    "power, not scaled": (pre.PowerTransformer(standardize=False), X[:, [0, 3]], None, {}),
    "bins": (pre.KBinsDiscretizer(5, encode="onehot"), X, None, {}),
    "bins, ordinal": (
        pre.KBinsDiscretizer([2, 3, 4, 5], encode="ordinal", strategy="uniform"),
        X,
        None,
        {},
    ),
    "scorecard": (
        make_pipeline(pre.KBinsDiscretizer(4), linear_model.LogisticRegression()),
        X,
        TWO,
        {},
    ),
    "calibrated, sigmoid": (
        calibration.CalibratedClassifierCV(scaled(svm.LinearSVC()), cv=3),
        X,
        TWO,
        {},
    ),
    "calibrated, isotonic": (
        calibration.CalibratedClassifierCV(
            scaled(linear_model.LogisticRegression()), method="isotonic", cv=2
        ),
        X,
        TWO,
        {},
    ),
    "isotonic": (isotonic.IsotonicRegression(), X[:, :1], SCORE, {}),
    "isotonic, clip": (isotonic.IsotonicRegression(out_of_bounds="clip"), X[:, :1], SCORE, {}),
    "isotonic, raise": (isotonic.IsotonicRegression(out_of_bounds="raise"), X[:, :1], SCORE, {}),
    "Gaussian naive Bayes": (scaled(naive_bayes.GaussianNB()), X, TWO, {}),
    "Gaussian naive Bayes, three classes": (scaled(naive_bayes.GaussianNB()), X, THREE, {}),
    "multinomial naive Bayes of large counts": (
        naive_bayes.MultinomialNB(),
        np.floor(AMOUNTS),
        TWO,
        {},
    ),
    "Bernoulli naive Bayes": (scaled(naive_bayes.BernoulliNB(binarize=0.2)), X, THREE, {}),
    "quadratic discriminant": (
        discriminant_analysis.QuadraticDiscriminantAnalysis(),
        X,
        THREE,
        {},
    ),
    "quadratic discriminant, decision": (
        discriminant_analysis.QuadraticDiscriminantAnalysis(),
        X,
        TWO,
        {"output": "decision_function"},
    ),
    "SVC": (scaled(svm.SVC()), X, TWO, {}),
    "SVR": (scaled(svm.SVR(C=10)), X, SCORE, {}),
    "target, functions": (target(func=np.log1p, inverse_func=np.expm1), X, POSITIVE, {}),
    "target, scaler": (target(transformer=pre.StandardScaler()), X, SCORE, {}),
    "target, range": (target(transformer=pre.MinMaxScaler((1, 3))), X, SCORE, {}),
    "target, robust": (target(transformer=pre.RobustScaler()), X, SCORE, {}),
}


def rows_around(x):
    """Return rows of the training data mixed anew, with some that are not like it."""
    rows = np.column_stack([RNG.choice(column, 1000) for column in x.T])
    odd = np.choose(
        RNG.integers(0, 5, rows.shape),
        [np.full(rows.shape, np.nan), np.zeros(rows.shape), -rows, 3 * rows, rows - 0.5],
    )
    return np.where(RNG.random(rows.shape) < 0.05, odd, rows).astype(np.float32)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUPPORTED)
def test_what_bends_numbers_is_imported_as_what_it_is(name):
    estimator, x, y, options = SUPPORTED[name]
    estimator.fit(x, y) if x.shape[1] > 1 else estimator.fit(x[:, 0], y)
    info = importer.from_sklearn(estimator, **options)
    rows = rows_around(x)
    expected = source_of_each_row(estimator, info.metadata["output"], rows, info.buffer_sizes[-1])
    finite = np.where(np.isinf(expected), np.nan, expected)
    ordinary = ~np.isinf(expected).any(axis=1)
    assert np.nanstd(finite, axis=0).max() > 0
    assert_same(info, rows[ordinary], expected[ordinary])
    if not ordinary.all():
        actual = im.InstructionModel(info).predict(rows[~ordinary])
        assert np.array_equal(np.isinf(actual), np.isinf(expected[~ordinary]))


def test_bins_begin_exactly_where_the_source_begins_them():
    x = np.linspace(0, 1, 1001)[:, None]  # edges that float32 does not hold
    binned = pre.KBinsDiscretizer(10, encode="ordinal", strategy="uniform").fit(x)
    edges = binned.bin_edges_[0].astype(np.float32)
    rows = np.concatenate([edges, np.nextafter(edges, -1), np.nextafter(edges, 2), [-0.0]])[:, None]
    model = im.InstructionModel(importer.from_sklearn(binned))
    assert np.array_equal(model.predict(rows), binned.transform(rows.astype(float)))


def test_thresholds_that_float32_does_not_hold_are_compared_exactly():
    tenths = np.arange(1, 10) / 10
    rows = np.float32(tenths)[:, None]
    rows = np.concatenate([rows, np.nextafter(rows, np.float32(0)), [[0.0]]])
    for threshold in tenths:
        binarizer = pre.Binarizer(threshold=threshold).fit(rows)
        model = im.InstructionModel(importer.from_sklearn(binarizer))
        assert np.array_equal(model.predict(rows), binarizer.transform(rows.astype(float)))


def test_logarithms_stand_first_without_a_sample():
    step = make_pipeline(applied(np.log), pre.StandardScaler(), linear_model.Ridge())
    info = importer.from_sklearn(step.fit(AMOUNTS, SCORE))
    assert info.validation_data is not None


REFUSED = {
    "a function of one's own": (applied(lambda x: x + 1), TWO, "look into"),
    "a function with options": (applied(np.exp, kw_args={"where": True}), TWO, "kw_args"),
    "the inverse of another transformer": (
        compose.TransformedTargetRegressor(transformer=pre.QuantileTransformer(n_quantiles=10)),
        SCORE,
        "inverse of a QuantileTransformer",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_instructions_is_refused(name):
    estimator, y, reason = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    with pytest.raises(im.InstModelError, match=reason) as caught:
        importer.from_sklearn(estimator)
    assert caught.value.code == "unsupported_model"


def test_an_inverse_of_ones_own_is_refused():
    class Own(pre.StandardScaler):
        def inverse_transform(self, X, copy=None):
            return super().inverse_transform(X) + 1

    estimator = target(transformer=Own(), check_inverse=False).fit(X, SCORE)
    with pytest.raises(im.InstModelError, match="inverse_transform: not the method"):
        importer.from_sklearn(estimator)
