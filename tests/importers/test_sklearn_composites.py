"""scikit-learn's estimators made of others, and imputers."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import ensemble, impute, linear_model, model_selection, multioutput, naive_bayes
from sklearn import preprocessing as pre
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (it makes the class public)
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier
from support.sklearn_sources import assert_imported, drawn_table, fitted
from support.sources import assert_same, outputs_or_nan, rows_around

from instmodel.importers import sklearn as importer

RNG, X, SCORE, TWO, THREE = drawn_table()
HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
SOME_HOLES = np.where(np.arange(4) == 1, X, HOLES)
NINES = np.where(np.isnan(SOME_HOLES), -9.0, SOME_HOLES)
PAIR = np.column_stack([SCORE, X[:, 0]])
LABELS = np.column_stack([TWO, THREE == 1, THREE == 2]).astype(int)
logistic = linear_model.LogisticRegression


def scaled(step):
    return make_pipeline(pre.StandardScaler(), step)


SUPPORTED = {
    "bagging": (
        ensemble.BaggingClassifier(scaled(logistic()), 4, max_features=0.7, random_state=0),
        X,
        THREE,
    ),
    "bagging of imputers": (
        ensemble.BaggingRegressor(
            make_pipeline(impute.SimpleImputer(), linear_model.Ridge()), 4, random_state=0
        ),
        HOLES,
        SCORE,
    ),
    "a chain of regressors": (
        multioutput.RegressorChain(scaled(linear_model.Ridge()), order=[1, 0]),
        X,
        PAIR,
    ),
    "a chain that refuses what its members take": (
        multioutput.RegressorChain(make_pipeline(impute.SimpleImputer(), linear_model.Ridge())),
        X,
        PAIR,
    ),
    **{
        f"a chain of classifiers, {method}": (
            multioutput.ClassifierChain(scaled(logistic()), order=[2, 0, 1], chain_method=method),
            X,
            LABELS,
        )
        for method in ("predict", "predict_proba", "decision_function")
    },
    "self-training": (
        SelfTrainingClassifier(scaled(logistic())),
        X,
        np.where(RNG.random(300) < 0.3, -1, TWO),
    ),
    "a tuned threshold": (
        model_selection.TunedThresholdClassifierCV(scaled(logistic()), cv=2),
        X,
        TWO,
    ),
    "a fixed threshold": (
        model_selection.FixedThresholdClassifier(scaled(logistic()), threshold=0.3),
        X,
        TWO,
    ),
    "indicators": (impute.MissingIndicator(), HOLES, None),
    "indicators of some columns": (impute.MissingIndicator(), SOME_HOLES, None),
    "indicators of all columns": (impute.MissingIndicator(features="all"), SOME_HOLES, None),
    "indicators of a number": (
        impute.MissingIndicator(missing_values=-9.0, error_on_new=False),
        NINES,
        None,
    ),
    "an iterative imputer": (impute.IterativeImputer(max_iter=4, random_state=0), HOLES, None),
    "an iterative imputer with limits and indicators": (
        make_pipeline(
            impute.IterativeImputer(
                linear_model.Ridge(),
                max_iter=3,
                min_value=-50,
                max_value=60,
                add_indicator=True,
                random_state=0,
            ),
            linear_model.Ridge(),
        ),
        SOME_HOLES,
        SCORE,
    ),
    "an iterative imputer of a number": (
        impute.IterativeImputer(missing_values=-9.0, max_iter=2, random_state=0),
        NINES,
        None,
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUPPORTED)
def test_it_is_imported_as_what_it_is(name):
    assert_imported(*SUPPORTED[name])


REFUSED = {
    "boosting": (
        ensemble.AdaBoostClassifier(logistic(), n_estimators=2),
        TWO,
        "AdaBoostClassifier",
    ),
    "hard votes": (
        ensemble.VotingClassifier([("a", logistic()), ("b", naive_bayes.GaussianNB())]),
        TWO,
        "labels of a classifier",
    ),
    "bagging of votes": (
        ensemble.BaggingClassifier(linear_model.RidgeClassifier(), 2),
        TWO,
        "votes of RidgeClassifier",
    ),
    "labels that a chain hands on": (
        multioutput.ClassifierChain(naive_bayes.GaussianNB()),
        LABELS,
        "labels of estimators_",
    ),
    "neighbours": (impute.KNNImputer(), None, "KNNImputer"),
    "drawn numbers": (
        impute.IterativeImputer(sample_posterior=True, max_iter=1),
        None,
        "sample_posterior",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_instructions_is_refused(name):
    estimator, y, reason = REFUSED[name]
    fitted(estimator, HOLES if y is None else X, y)
    with pytest.raises(im.InstModelError, match=reason) as caught:
        importer.from_sklearn(estimator)
    assert caught.value.code == "unsupported_model"


def test_samplers_of_imbalanced_learn_do_nothing_to_what_is_scored():
    pipelines = pytest.importorskip("imblearn.pipeline")
    from imblearn.over_sampling import SMOTE, RandomOverSampler

    rare = (np.quantile(SCORE, 0.9) < SCORE).astype(int)
    steps = [RandomOverSampler(random_state=0), pre.StandardScaler(), SMOTE(random_state=0)]
    estimator = fitted(pipelines.make_pipeline(*steps, logistic()), X, rare)
    rows = rows_around(X)
    info = importer.from_sklearn(estimator)
    assert info.metadata["classes"] == [0, 1]
    assert_same(info, rows, outputs_or_nan(estimator, "predict_proba", rows, 1))

    class Own(pipelines.Pipeline):
        def predict_proba(self, X, **params):
            return super().predict_proba(X, **params) ** 2

    estimator = fitted(Own([("a", steps[0]), ("b", logistic())]), X, rare)
    with pytest.raises(im.InstModelError, match="predict_proba: not the method"):
        importer.from_sklearn(estimator)
