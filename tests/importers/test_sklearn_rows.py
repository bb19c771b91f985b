"""The rows on which an import is compared with scikit-learn try what breaks imports."""

import warnings

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import decomposition, feature_selection, impute, linear_model
from sklearn import preprocessing as pre
from sklearn.pipeline import FeatureUnion, make_pipeline
from support.sources import assert_same, source_of_each_row

from instmodel.importers import functions as fn
from instmodel.importers import sklearn as importer
from instmodel.importers import sklearn_encoders, sklearn_transformers
from instmodel.importers.strange import strange_rows

RNG = np.random.default_rng(5)
X = (RNG.normal(size=(200, 4)) * [1, 10, 0.1, 3] + [0, 50, 1, -3]).astype(np.float32)
TWO = (X @ [1.0, 0.1, -5.0, 0.3] > 0).astype(int)


def test_strange_rows_hold_gaps_fractions_negatives_extremes_and_what_a_step_learned():
    usual = RNG.integers(10, 20, (50, 3)).astype(np.float32)
    rows = strange_rows(usual, [[7.25], [], [1e300]])
    changed = [set(rows[:-1, i][rows[:-1, i] != usual[:, i].mean()].tolist()) for i in range(3)]
    assert np.isnan(rows[:3].diagonal()).all()
    assert np.isnan(rows[-1]).all()
    assert 7.25 in changed[0]
    assert np.finfo(np.float32).max in changed[2]
    for column in rows[:-1].T:
        assert np.nanmin(column) < 0
        assert np.nanmax(column) > 1000
        assert np.any(column % 1 == 0.5)
        assert np.any((column > 0) & (column < 1e-20))


def without_clip(handler):
    def wrong(walk, e, x, place):
        e.clip, clip = False, e.clip
        try:
            return handler(walk, e, x, place)
        finally:
            e.clip = clip

    return wrong


def test_a_limit_that_only_unusual_rows_reach_is_compared(monkeypatch):
    handlers = sklearn_transformers._TRANSFORMERS
    scaler = pre.MinMaxScaler(clip=True).fit(X)
    importer.from_sklearn(scaler)
    monkeypatch.setitem(handlers, "MinMaxScaler", without_clip(handlers["MinMaxScaler"]))
    for sample in (None, X[:20]):
        with pytest.raises(im.InstModelError, match="does not compute") as caught:
            importer.from_sklearn(scaler, sample=sample)
        assert caught.value.code == "import_mismatch"


def test_a_lookup_that_rounds_is_found(monkeypatch):
    codes = RNG.integers(0, 5, (100, 2))
    encoder = pre.OneHotEncoder(handle_unknown="ignore").fit(codes)
    importer.from_sklearn(encoder)
    monkeypatch.setattr(
        sklearn_encoders.fn, "equal", lambda a, b: fn.positive(fn.add(fn.multiply(b, b), ONE))
    )
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(encoder)
    assert caught.value.code == "import_mismatch"


ONE = fn.constant(1.0)


def test_nan_that_comes_out_as_a_number_is_found(monkeypatch):
    estimator = make_pipeline(pre.Binarizer(), linear_model.LogisticRegression()).fit(X, TWO)
    importer.from_sklearn(estimator)
    handlers = sklearn_transformers._TRANSFORMERS
    monkeypatch.setitem(
        handlers, "Binarizer", lambda walk, e, x, place: fn.positive(fn.replace_nan(x, 0.0))
    )
    monkeypatch.setattr(sklearn_transformers, "_takes_nan", lambda *_: True)
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(estimator)
    assert caught.value.code == "import_mismatch"


def test_validation_data_holds_strange_rows():
    estimator = make_pipeline(pre.StandardScaler(), linear_model.LogisticRegression()).fit(X, TWO)
    kept = np.array(importer.from_sklearn(estimator).validation_data.inputs)
    assert (np.abs((kept - X.mean(axis=0)) / X.std(axis=0)).max(axis=1) > 6).any()
    codes = RNG.integers(0, 5, (100, 1))
    encoder = pre.OneHotEncoder(handle_unknown="ignore").fit(codes)
    kept = np.array(importer.from_sklearn(encoder).validation_data.inputs)
    assert np.any(kept % 1 != 0)


NINES = np.where(RNG.random(X.shape) < 0.2, -9.0, X)
REFUSE_NAN = {
    "binarizer": (pre.Binarizer(), X),
    "polynomial": (pre.PolynomialFeatures(2), X),
    "imputer of another number": (impute.SimpleImputer(missing_values=-9.0), NINES),
    "selection": (feature_selection.SelectKBest(k=2), X),
    "union": (FeatureUnion([("a", pre.StandardScaler()), ("b", decomposition.PCA(2))]), X),
    "filled afterwards": (
        make_pipeline(decomposition.PCA(2), impute.SimpleImputer(), linear_model.Ridge()),
        X,
    ),
}


@pytest.mark.parametrize("name", REFUSE_NAN)
def test_nan_that_the_source_refuses_makes_every_output_nan(name):
    estimator, x = REFUSE_NAN[name]
    estimator.fit(x, TWO)
    info = importer.from_sklearn(estimator)
    rows = np.where(RNG.random(x.shape) < 0.1, np.nan, x).astype(np.float32)
    expected = source_of_each_row(estimator, info.metadata["output"], rows, info.buffer_sizes[-1])
    assert np.isnan(expected).all(axis=1).any()
    assert_same(info, rows, expected)


def test_nan_that_spreads_by_itself_costs_no_instructions():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = make_pipeline(decomposition.PCA(2), linear_model.LogisticRegression())
        info = importer.from_sklearn(estimator.fit(X, TWO))
    assert [type(step) for step in info.instructions] == [im.AddElementwise, im.Dot, im.Dot]


SECONDS = (1.7e9 + 128 * RNG.integers(-20_000, 20_000, 300)).astype(float)  # exact in float32
YEARS = RNG.integers(1990, 2026, 300).astype(float)
CENTRED = {
    "standard": pre.StandardScaler(),
    "robust": pre.RobustScaler(),
    "min-max": make_pipeline(pre.FunctionTransformer(), pre.MinMaxScaler()),
    "standard, then PCA": make_pipeline(pre.StandardScaler(), decomposition.PCA(2)),
    "PCA": make_pipeline(decomposition.PCA(2), pre.StandardScaler()),
}


@pytest.mark.parametrize("name", CENTRED)
def test_a_large_mean_costs_no_digits(name):
    x = np.column_stack([SECONDS + 50, YEARS])  # + 50: no mean is a float32 number
    estimator = CENTRED[name].fit(x)
    info = importer.from_sklearn(estimator, sample=np.column_stack([SECONDS, YEARS])[:50])
    rows = np.column_stack([SECONDS, YEARS]).astype(np.float32)
    expected = estimator.transform(rows.astype(float))
    error = np.abs(im.InstructionModel(info).predict(rows) - expected).max()
    assert error < 2e-6 * np.abs(expected).max()


def test_a_column_too_large_for_float32_is_named():
    pandas = pytest.importorskip("pandas")
    seconds = 1.7e9 + RNG.normal(size=200) * 3600
    frame = pandas.DataFrame({"age": X[:, 0], "time": seconds})
    estimator = make_pipeline(pre.StandardScaler(), linear_model.LogisticRegression())
    with pytest.warns(UserWarning, match=r"column 'time': near 1.7e\+09, .* 128 apart, 3\..%"):
        importer.from_sklearn(estimator.fit(frame, TWO))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importer.from_sklearn(estimator.fit(frame.assign(time=seconds - 1.7e9), TWO))
