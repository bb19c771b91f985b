"""scikit-learn estimators are imported as what they are, or refused with all reasons."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import (
    compose,
    cross_decomposition,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    impute,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neural_network,
    preprocessing,
    random_projection,
    svm,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from support.sklearn_sources import fitted
from support.sources import ROWS, assert_same

from instmodel.importers import sklearn as importer

RNG = np.random.default_rng(1)
X = RNG.normal(size=(200, 5)) * [1, 10, 0.1, 3, 2] + [0, 50, 1, -3, 4]
X = X.astype(np.float32).astype(np.float64)
SCORE = X @ [1.0, 0.1, -5.0, 0.3, 0.5]
TWO = (np.median(SCORE) < SCORE).astype(int)
THREE = np.digitize(SCORE, np.quantile(SCORE, [0.33, 0.66]))
REAL = SCORE + RNG.normal(size=len(X))
PAIR = np.column_stack([REAL, X[:, 0] - X[:, 3]])
COUNTS = np.exp(SCORE / 10)
CODES = RNG.integers(0, 6, (200, 3)) * [1, 10, -2] + [0, 100, 3]
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
NINES = np.where(RNG.random(X.shape) < 0.2, -9.0, X)
MIXED = np.column_stack([X, CODES])

linear, pre = linear_model, preprocessing


def scaled(*steps):
    return make_pipeline(pre.StandardScaler(), *steps)


# name: (estimator, X, y, options of from_sklearn)
SUPPORTED = {
    "logistic": (scaled(linear.LogisticRegression()), X, TWO, {}),
    "logistic, three classes": (scaled(linear.LogisticRegression()), X, THREE, {}),
    "logistic, decision": (
        scaled(linear.LogisticRegression()),
        X,
        THREE,
        {"output": "decision_function"},
    ),
    "logistic, no bias": (scaled(linear.LogisticRegression(fit_intercept=False)), X, TWO, {}),
    "logistic, cross-validated": (scaled(linear.LogisticRegressionCV(Cs=2, cv=2)), X, TWO, {}),
    "ridge classifier": (scaled(linear.RidgeClassifier()), X, THREE, {}),
    "perceptron": (scaled(linear.Perceptron()), X, TWO, {}),
    "SGD, log loss": (scaled(linear.SGDClassifier(loss="log_loss", alpha=0.1)), X, TWO, {}),
    "SGD, modified Huber": (
        scaled(linear.SGDClassifier(loss="modified_huber", alpha=0.1)),
        X,
        TWO,
        {},
    ),
    "SGD, hinge": (scaled(linear.SGDClassifier(alpha=0.1)), X, THREE, {}),
    "linear SVC": (scaled(svm.LinearSVC()), X, THREE, {}),
    "SVC, linear kernel": (scaled(svm.SVC(kernel="linear")), X, TWO, {}),
    "SVR, linear kernel": (scaled(svm.SVR(kernel="linear")), X, REAL, {}),
    "linear SVR": (scaled(svm.LinearSVR()), X, REAL, {}),
    "discriminant": (discriminant_analysis.LinearDiscriminantAnalysis(), X, THREE, {}),
    "discriminant, transform": (
        discriminant_analysis.LinearDiscriminantAnalysis(),
        X,
        THREE,
        {"output": "transform"},
    ),
    "multinomial naive Bayes": (
        make_pipeline(pre.MinMaxScaler(clip=True), naive_bayes.MultinomialNB()),
        X,
        THREE,
        {},
    ),
    "linear": (linear.LinearRegression(), X, REAL, {}),
    "linear, two outputs": (linear.LinearRegression(), X, PAIR, {}),
    "ridge": (linear.Ridge(), X, REAL, {}),
    "lasso": (linear.Lasso(alpha=0.1), X, REAL, {}),
    "elastic net": (linear.ElasticNetCV(cv=2), X, REAL, {}),
    "multi-task lasso": (linear.MultiTaskLasso(), X, PAIR, {}),
    "Bayesian ridge": (linear.BayesianRidge(), X, REAL, {}),
    "Huber": (linear.HuberRegressor(max_iter=1000), X, REAL, {}),
    "quantile": (linear.QuantileRegressor(alpha=0.01), X, REAL, {}),
    "SGD regressor": (scaled(linear.SGDRegressor()), X, REAL, {}),
    "RANSAC": (linear.RANSACRegressor(random_state=0), X, REAL, {}),
    "Poisson": (scaled(linear.PoissonRegressor()), X, COUNTS, {}),
    "Tweedie, identity link": (scaled(linear.TweedieRegressor(power=0)), X, REAL, {}),
    "partial least squares": (cross_decomposition.PLSRegression(2), X, PAIR, {}),
    **{
        f"MLP, {name}": (
            scaled(neural_network.MLPClassifier((7, 5), activation=name, max_iter=20)),
            X,
            THREE,
            {},
        )
        for name in ("relu", "tanh", "logistic", "identity")
    },
    "MLP, two classes": (scaled(neural_network.MLPClassifier((6,), max_iter=20)), X, TWO, {}),
    "MLP, labels": (
        scaled(neural_network.MLPClassifier((6,), max_iter=20)),
        X,
        np.column_stack([TWO, THREE == 1]),
        {},
    ),
    "MLP regressor": (
        scaled(neural_network.MLPRegressor(hidden_layer_sizes=(8, 4), max_iter=20)),
        X,
        PAIR,
        {},
    ),
    "standard scaler": (pre.StandardScaler(), X, None, {}),
    "standard scaler, no mean": (pre.StandardScaler(with_mean=False), X, None, {}),
    "min-max scaler": (pre.MinMaxScaler((-1, 3), clip=True), X, None, {}),
    "max-abs scaler": (pre.MaxAbsScaler(), X, None, {}),
    "robust scaler": (pre.RobustScaler(), X, None, {}),
    "binarizer": (pre.Binarizer(threshold=0.5), X, None, {}),
    "polynomial": (make_pipeline(pre.StandardScaler(), pre.PolynomialFeatures(3)), X, None, {}),
    "imputer, NaN": (impute.SimpleImputer(strategy="median"), HOLES, None, {}),
    "imputer, number": (impute.SimpleImputer(missing_values=-9.0), NINES, None, {}),
    "imputer, indicator": (
        impute.SimpleImputer(add_indicator=True, strategy="constant", fill_value=7.0),
        HOLES,
        None,
        {},
    ),
    "PCA": (decomposition.PCA(3), X, None, {}),
    "PCA, whitened": (decomposition.PCA(3, whiten=True), X, None, {}),
    "incremental PCA": (decomposition.IncrementalPCA(3), X, None, {}),
    "truncated SVD": (decomposition.TruncatedSVD(3), X, None, {}),
    "factor analysis": (scaled(decomposition.FactorAnalysis(2)), X, None, {}),
    "ICA": (scaled(decomposition.FastICA(3, random_state=0)), X, None, {}),
    "random projection": (
        random_projection.GaussianRandomProjection(3, random_state=0),
        X,
        None,
        {},
    ),
    "selection": (feature_selection.SelectKBest(k=2), X, TWO, {}),
    "one-hot": (pre.OneHotEncoder(), CODES, None, {}),
    "one-hot, drop and ignore": (
        pre.OneHotEncoder(drop="first", handle_unknown="ignore", sparse_output=False),
        CODES,
        None,
        {},
    ),
    "one-hot, infrequent": (
        pre.OneHotEncoder(min_frequency=33, handle_unknown="infrequent_if_exist"),
        CODES,
        None,
        {},
    ),
    "ordinal": (pre.OrdinalEncoder(), CODES, None, {}),
    "ordinal, unknown": (
        pre.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        CODES,
        None,
        {},
    ),
    "union": (
        FeatureUnion(
            [("a", pre.StandardScaler()), ("b", decomposition.PCA(2)), ("c", "passthrough")],
            transformer_weights={"a": 0.5},
        ),
        X,
        None,
        {},
    ),
    "columns": (
        make_pipeline(
            compose.ColumnTransformer(
                [
                    ("numbers", scaled(pre.PolynomialFeatures(2)), slice(0, 3)),
                    ("codes", pre.OneHotEncoder(handle_unknown="ignore"), [-3, -1]),
                    ("rest", "passthrough", [3]),
                ],
                remainder="drop",
            ),
            linear.LogisticRegression(max_iter=1000),
        ),
        MIXED,
        THREE,
        {},
    ),
    "voting": (
        ensemble.VotingRegressor(
            [("a", linear.Ridge()), ("b", scaled(linear.Lasso()))], weights=[1, 3]
        ),
        X,
        REAL,
        {},
    ),
    "stacking": (
        ensemble.StackingClassifier(
            [("a", scaled(linear.LogisticRegression())), ("b", scaled(svm.LinearSVC()))],
            cv=2,
        ),
        X,
        TWO,
        {},
    ),
    "several outputs": (multioutput.MultiOutputRegressor(linear.Ridge()), X, PAIR, {}),
    "one against the rest": (
        multiclass.OneVsRestClassifier(linear.LogisticRegression(max_iter=1000)),
        X,
        THREE,
        {"output": "decision_function"},
    ),
    "search": (
        model_selection.GridSearchCV(scaled(linear.Ridge()), {"ridge__alpha": [1, 10]}, cv=2),
        X,
        REAL,
        {},
    ),
}


def many_rows(x: np.ndarray) -> np.ndarray:
    """Return rows as in training, mixed anew: categories stay what they are."""
    rng = np.random.default_rng(2)
    columns = [rng.choice(x[:, i], ROWS) for i in range(x.shape[1])]
    return np.column_stack(columns).astype(np.float32)


@pytest.mark.parametrize("name", SUPPORTED)
def test_an_estimator_is_imported_as_what_it_is(name):
    estimator, x, y, options = SUPPORTED[name]
    estimator = fitted(estimator, x, y)
    info = importer.from_sklearn(estimator, **options)
    rows = many_rows(x)
    method, outputs = info.metadata["output"], info.buffer_sizes[-1]
    assert_same(info, rows, importer.source_outputs(estimator, method, rows, outputs))
    assert info.validation_data is not None


GAPPY = np.where(RNG.random(CODES.shape) < 0.1, np.nan, CODES)
FILLED = {
    "filled categories": (
        make_pipeline(impute.SimpleImputer(strategy="most_frequent"), pre.OneHotEncoder()),
        GAPPY,
        None,
    ),
    "filled columns of both kinds": (
        make_pipeline(
            compose.ColumnTransformer(
                [
                    ("n", make_pipeline(impute.SimpleImputer(), pre.StandardScaler()), slice(0, 5)),
                    (
                        "c",
                        make_pipeline(
                            impute.SimpleImputer(strategy="most_frequent"), pre.OneHotEncoder()
                        ),
                        slice(5, 8),
                    ),
                ]
            ),
            linear.LogisticRegression(),
        ),
        np.column_stack([HOLES, GAPPY]),
        TWO,
    ),
    "one column for two steps": (
        compose.ColumnTransformer(
            [
                ("codes", pre.OneHotEncoder(), [0, 1]),
                ("number", pre.StandardScaler(), [0]),
                ("filled", impute.SimpleImputer(), [2]),
            ]
        ),
        CODES,
        None,
    ),
    "a search": (
        model_selection.GridSearchCV(
            make_pipeline(pre.OneHotEncoder(handle_unknown="ignore"), linear.Ridge()), {}, cv=2
        ),
        CODES,
        REAL,
    ),
}


@pytest.mark.parametrize("name", FILLED)
def test_the_rows_to_compare_on_are_such_as_the_source_takes(name, tmp_path):
    estimator, x, y = FILLED[name]
    estimator = fitted(estimator, x, y)
    info = importer.from_sklearn(estimator)
    rows = many_rows(x)
    method, outputs = info.metadata["output"], info.buffer_sizes[-1]
    np.testing.assert_allclose(
        im.InstructionModel(info).predict(rows),
        importer.source_outputs(estimator, method, rows, outputs),
        atol=1e-5,
    )
    for ending in (".json", ".instmodel"):  # which hold no NaN
        info.save(tmp_path / f"model{ending}")
        assert im.load(tmp_path / f"model{ending}").info.validation_data.inputs


def test_a_pipeline_may_start_with_a_skipped_step():
    for first in ("passthrough", None):
        steps = [("first", first), ("last", linear.LogisticRegression())]
        info = importer.from_sklearn(fitted(Pipeline(steps), X, TWO))
        assert info.metadata["classes"] == [0, 1]


def test_classes_that_json_does_not_know_are_texts(tmp_path):
    days = np.where(TWO == 1, np.datetime64("2020-01-01"), np.datetime64("2021-01-01"))
    info = importer.from_sklearn(fitted(scaled(linear.LogisticRegression()), X, days))
    assert info.metadata["classes"] == ["2020-01-01", "2021-01-01"]
    info.save(tmp_path / "model.json")


def test_the_names_of_a_frame_become_features():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    columns = compose.ColumnTransformer(
        [("scaled", pre.StandardScaler(), ["e", "a"]), ("rest", "passthrough", slice("b", "c"))]
    )
    pipeline = fitted(make_pipeline(columns, linear.LogisticRegression()), frame, TWO)
    info = importer.from_sklearn(pipeline)
    assert info.features == list("abcde")
    assert_same(info, X[:100].astype(np.float32), pipeline.predict_proba(frame[:100])[:, 1])


def frame_of(columns):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(X, columns=columns)


def test_tables_need_only_the_columns_that_a_pipeline_uses():
    frame = frame_of(list("abcde"))
    columns = compose.ColumnTransformer([("scaled", pre.StandardScaler(), ["c"])])
    pipeline = fitted(make_pipeline(columns, linear.LogisticRegression()), frame, TWO)
    model = im.InstructionModel(importer.from_sklearn(pipeline))
    assert model.features == list("abcde")
    assert model.read_inputs == (2,)
    expected = model.predict(X.astype(np.float32))
    assert np.array_equal(model.predict_table(frame[["c"]]), expected)
    assert np.array_equal(model.predict_table(frame.assign(a="text")), expected)


def test_columns_of_an_array_feature_become_one():
    frame = frame_of(["emb[0]", "emb[1]", "emb[2]", "age", "one[0]"])
    estimator = linear.Ridge().fit(frame, REAL)
    info = importer.from_sklearn(estimator, sample=frame[:20])
    assert info.features == ["emb[3]", "age", "one[1]"]
    turned = frame[frame.columns[::-1]]  # found by name, not by position
    found = im.InstructionModel(info).predict_table(turned)[:, 0]
    np.testing.assert_allclose(found, estimator.predict(frame), atol=1e-4)


BRACKETS = {
    "a unit": (["x[usd]", "b", "c", "d", "e"], r"x\[usd\]"),
    "not from 0 on": (["emb[1]", "emb[2]", "c", "d", "e"], r"expected emb\[0\] before it"),
    "with a gap": (["emb[0]", "emb[2]", "c", "d", "e"], r"expected emb\[1\] before it"),
    "not together": (["emb[0]", "b", "emb[1]", "d", "e"], r"expected emb\[0\] before it"),
    "with zeros before": (["emb[00]", "emb[01]", "c", "d", "e"], r"expected emb\[0\], got"),
    "beside its name": (["emb", "emb[0]", "emb[1]", "d", "e"], "'emb' for two features"),
}


@pytest.mark.parametrize("name", BRACKETS)
def test_columns_that_cannot_name_features_are_never_counted_by_position(name):
    columns, reason = BRACKETS[name]
    frame = frame_of(columns)
    estimator = linear.Ridge().fit(frame, REAL)
    with pytest.raises(im.InstModelError, match=f"say with features=.*{reason}") as caught:
        importer.from_sklearn(estimator)
    assert caught.value.code == "invalid_feature_format"
    for sample in (None, frame[:20]):
        info = importer.from_sklearn(estimator, features=list("pqrst"), sample=sample)
        assert info.features == list("pqrst")


def test_names_for_another_number_of_columns_are_refused():
    estimator = linear.Ridge().fit(X, REAL)
    assert importer.from_sklearn(estimator, features=["emb[5]"]).features == ["emb[5]"]
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(estimator, features=["a", "b"])
    assert caught.value.code == "feature_size_mismatch"


def test_a_sample_in_another_order_is_refused():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    estimator = linear.LinearRegression().fit(frame, REAL)
    importer.from_sklearn(estimator, sample=frame[:10])
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(estimator, sample=frame[list("edcba")][:10])
    assert caught.value.code == "column_mismatch"


def test_a_sample_with_text_is_refused_and_needs_a_fit_without_it():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde")).assign(city="x")
    columns = compose.make_column_transformer((pre.StandardScaler(), list("ab")))
    pipeline = make_pipeline(columns, linear.LinearRegression())
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(pipeline.fit(frame, REAL), sample=frame)
    assert (caught.value.code, caught.value.field) == ("invalid_type", "sample")
    fit = frame.drop(columns="city")
    info = importer.from_sklearn(pipeline.fit(fit, REAL), sample=fit)
    assert info.features == list("abcde")


def test_large_outputs_keep_the_cases_that_float32_can_hold():
    info = importer.from_sklearn(fitted(linear.Ridge(), X, REAL * 1e6))
    im.InstructionModel(info)  # whatever validation data it has, it passes
