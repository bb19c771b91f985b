"""Curves of single numbers of scikit-learn: splines, quantiles, powers."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import compose, linear_model
from sklearn import preprocessing as pre
from sklearn.pipeline import make_pipeline
from support.sklearn_sources import assert_imported, drawn_table
from support.sources import assert_same, rows_around

from instmodel.importers import sklearn as importer

RNG, X, SCORE, TWO, THREE = drawn_table()
POSITIVE = RNG.lognormal(1, 1, (300, 3)).astype(np.float32).astype(np.float64)
HALVES = np.round(2 * POSITIVE) / 2  # with many that are the same
HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)


def spline(**options):
    return pre.SplineTransformer(**options)


def normal(**options):
    return pre.QuantileTransformer(output_distribution="normal", **options)


def target(transformer):
    scaled = make_pipeline(pre.StandardScaler(), linear_model.Ridge())
    return compose.TransformedTargetRegressor(scaled, transformer=transformer)


SUPPORTED = {
    **{
        f"splines of degree {degree}, {outside}": (
            spline(degree=degree, extrapolation=outside),
            X,
            None,
        )
        for outside in ("constant", "linear", "continue", "error")
        for degree in range(4)
        if degree or outside != "constant"
    },
    "splines, knots at quantiles": (
        spline(knots="quantile", n_knots=7, include_bias=False),
        POSITIVE,
        None,
    ),
    "splines, repeated knots": (spline(knots="quantile", n_knots=6), HALVES, None),
    "splines, given knots": (
        spline(knots=np.array([[-1, 40, 0.9, -5], [0, 50, 1, 0], [2, 70, 1.2, 3]])),
        X,
        None,
    ),
    "splines, sparse": (spline(sparse_output=True), X, None),
    **{
        f"periodic splines of degree {degree}": (
            spline(degree=degree, extrapolation="periodic"),
            X,
            None,
        )
        for degree in (1, 2, 3)
    },
    "splines in a pipeline": (
        make_pipeline(spline(), linear_model.LogisticRegression()),
        X,
        TWO,
    ),
    "quantiles": (pre.QuantileTransformer(n_quantiles=100), X, None),
    "quantiles, a thousand": (
        pre.QuantileTransformer(),
        RNG.normal(size=(3000, 2)).astype(np.float32),
        None,
    ),
    "quantiles of numbers that repeat": (
        pre.QuantileTransformer(n_quantiles=50),
        np.column_stack([HALVES, THREE]),
        None,
    ),
    "quantiles, filled": (
        make_pipeline(pre.QuantileTransformer(n_quantiles=20), linear_model.Ridge()),
        X,
        SCORE,
    ),
    "normal quantiles": (normal(n_quantiles=100), X, None),
    "normal quantiles, a thousand": (
        normal(),
        RNG.lognormal(0, 2, size=(3000, 2)).astype(np.float32),
        None,
    ),
    "normal quantiles of numbers that repeat": (
        normal(n_quantiles=50),
        np.column_stack([HALVES, THREE, 0 * THREE]),
        None,
    ),
    "normal quantiles in a pipeline": (
        make_pipeline(normal(n_quantiles=50), linear_model.LogisticRegression()),
        X,
        TWO,
    ),
    "Yeo-Johnson": (pre.PowerTransformer(), X, None),
    "Box-Cox": (pre.PowerTransformer("box-cox"), POSITIVE, None),
    "Box-Cox, not scaled": (pre.PowerTransformer("box-cox", standardize=False), POSITIVE, None),
    "target, Yeo-Johnson": (target(pre.PowerTransformer()), X, SCORE),
    "target, Yeo-Johnson of negative numbers": (
        target(pre.PowerTransformer()),
        X,
        -np.exp(SCORE / 5),
    ),
    "target, Box-Cox": (target(pre.PowerTransformer("box-cox")), X, np.exp(SCORE / 10)),
    "target, Box-Cox, not scaled": (
        target(pre.PowerTransformer("box-cox", standardize=False)),
        X,
        np.exp(SCORE / 10),
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUPPORTED)
def test_it_is_imported_as_what_it_is(name):
    assert_imported(*SUPPORTED[name])


@pytest.mark.skipif(
    "handle_missing" not in pre.SplineTransformer().get_params(), reason="scikit-learn is older"
)
def test_splines_may_make_zeros_of_nan():
    estimator = spline(handle_missing="zeros").fit(HOLES)
    rows = rows_around(HOLES)
    expected = estimator.transform(rows.astype(float))
    assert np.isfinite(expected).all()
    assert_same(importer.from_sklearn(estimator), rows, expected)


def test_quantiles_are_exact_where_numbers_repeat():
    estimator = pre.QuantileTransformer(n_quantiles=40).fit(HALVES)
    model = im.InstructionModel(importer.from_sklearn(estimator))
    places = np.unique(HALVES.astype(np.float32))
    near = np.concatenate([places, np.nextafter(places, -1), np.nextafter(places, 1e9)])
    rows = np.repeat(near[:, None], 3, axis=1)
    np.testing.assert_allclose(
        model.predict(rows), estimator.transform(rows.astype(float)), atol=1e-6
    )


def test_normal_quantiles_are_right_into_the_last_of_their_tails():
    x = np.linspace(-1, 1, 5001)[:, None].astype(np.float32)
    estimator = normal(n_quantiles=20).fit(x)
    steps = np.float32(2.0) ** -np.arange(1, 40)
    rows = np.concatenate([-1 + steps, 1 - steps, -1 - steps, 1 + steps, x[:, 0] / 3])[:, None]
    expected = estimator.transform(rows.astype(float))
    assert np.abs(expected).max() > 5
    model = im.InstructionModel(importer.from_sklearn(estimator))
    np.testing.assert_allclose(model.predict(rows.astype(np.float32)), expected, atol=5e-6)


def test_splines_of_degree_0_begin_where_the_source_begins_them():
    x = np.linspace(0, 1, 1001)[:, None]  # knots that float32 does not hold
    estimator = spline(degree=0, n_knots=8, extrapolation="continue").fit(x)
    knots = np.float32(np.linspace(0, 1, 8))
    rows = np.concatenate(
        [knots, np.nextafter(knots, np.float32(-1)), np.nextafter(knots, np.float32(2))]
    )
    model = im.InstructionModel(importer.from_sklearn(estimator))
    rows = rows[:, None]
    assert np.array_equal(model.predict(rows), estimator.transform(rows.astype(float)))


def test_hours_go_round_and_come_to_nothing_only_very_far_away():
    hours = np.arange(24.0)[:, None]
    knots = np.linspace(0, 24, 13)[:, None]
    estimator = spline(knots=knots, extrapolation="periodic").fit(hours)
    model = im.InstructionModel(importer.from_sklearn(estimator))
    rows = np.arange(-20_000, 20_000, 7.25, dtype=np.float32)[:, None]
    expected = estimator.transform(rows.astype(float))
    np.testing.assert_allclose(model.predict(rows), expected, atol=1e-6)
    assert np.isnan(model.predict([[24_001.0], [-24_001.0], [np.nan]])).all()


def test_powers_near_0_lose_nothing():
    estimator = pre.PowerTransformer(standardize=False).fit(POSITIVE)
    estimator.lambdas_ = np.array([1e-6, -1e-4, 2 - 1e-5])
    info = importer.from_sklearn(estimator)
    rows = np.concatenate([POSITIVE, -POSITIVE]).astype(np.float32)
    expected = estimator.transform(rows.astype(float))
    np.testing.assert_allclose(im.InstructionModel(info).predict(rows), expected, rtol=1e-6)


REFUSED = {
    "periodic steps": (
        spline(degree=0, extrapolation="periodic"),
        "degree=0 with extrapolation='periodic'",
    ),
    "steps that fail beyond the knots": (spline(degree=0), "which fails beyond the knots"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_instructions_is_refused(name):
    estimator, reason = REFUSED[name]
    with pytest.raises(im.InstModelError, match=reason) as caught:
        importer.from_sklearn(estimator.fit(X))
    assert caught.value.code == "unsupported_model"
