"""What of scikit-learn is refused: with all reasons, by name, and before it scores anything."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from sklearn import (
    compose,
    decomposition,
    ensemble,
    feature_selection,
    impute,
    kernel_approximation,
    kernel_ridge,
    linear_model,
    model_selection,
    neighbors,
    tree,
)
from sklearn import preprocessing as pre
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline
from support.sklearn_sources import drawn_table, fitted
from support.sources import assert_same

from instmodel.importers import sklearn as importer

RNG, X, SCORE, TWO, _ = drawn_table()


UNSUPPORTED = {
    "tree": (tree.DecisionTreeClassifier(), X, TWO, ["DecisionTreeClassifier"]),
    "neighbours": (neighbors.KNeighborsRegressor(), X, SCORE, ["KNeighborsRegressor"]),
    "kernel": (kernel_ridge.KernelRidge(kernel="laplacian"), X, TWO, ["kernel='laplacian'"]),
    "function": (pre.FunctionTransformer(np.sin), X, None, ["look into"]),
    "two steps": (
        make_pipeline(
            impute.KNNImputer(),
            pre.SplineTransformer(degree=0, extrapolation="periodic"),
            tree.DecisionTreeRegressor(),
        ),
        X,
        SCORE,
        ["KNNImputer", "splinetransformer", "DecisionTreeRegressor"],
    ),
    "columns": (
        make_pipeline(
            compose.ColumnTransformer(
                [
                    ("a", kernel_approximation.RBFSampler(), [0]),
                    (
                        "b",
                        make_pipeline(
                            pre.StandardScaler(),
                            pre.SplineTransformer(degree=0, extrapolation="periodic"),
                        ),
                        [1],
                    ),
                    ("c", pre.StandardScaler(), [2]),
                ]
            ),
            ensemble.RandomForestClassifier(2),
        ),
        X,
        TWO,
        ["columntransformer.a", "columntransformer.b.splinetransformer", "RandomForestClassifier"],
    ),
    "fractions as categories": (pre.OneHotEncoder(), X.round(1), None, ["whole numbers"]),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_one_error_lists_all_that_has_no_instructions(name):
    estimator, x, y, reasons = UNSUPPORTED[name]
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(fitted(estimator, x, y))
    assert caught.value.code == "unsupported_model"
    assert len(caught.value.pieces) == len(reasons)
    for reason, piece in zip(reasons, caught.value.pieces, strict=True):
        assert reason in piece
        assert piece in str(caught.value)


def test_what_is_not_fitted_or_no_estimator_is_refused():
    for wrong in (linear_model.Ridge(), object()):
        with pytest.raises(im.InstModelError, match="not a fitted") as caught:
            importer.from_sklearn(wrong)
        assert caught.value.code == "invalid_type"


class OwnScaler(pre.StandardScaler):
    def transform(self, X, copy=None):
        return np.clip(super().transform(X), -40, 40)


class OwnProbabilities(linear_model.LogisticRegression):
    def predict_proba(self, X):
        return super().predict_proba(X)


class OwnScores(linear_model.LogisticRegression):
    def decision_function(self, X):
        return super().decision_function(X)


class Bounded:
    def predict(self, X):
        return np.minimum(super().predict(X), 1e6)


class OwnRegression(Bounded, linear_model.Ridge):
    pass


class OwnValidation(decomposition.PCA):
    def _transform(self, X, *args, **options):
        return super()._transform(X, *args, **options)


class OwnPipeline(Pipeline):
    def predict(self, X, **params):
        return super().predict(X, **params)


def shadowed(estimator, name):
    setattr(estimator, name, getattr(estimator, name))
    return estimator


def own(estimator, y=TWO):
    return fitted(estimator, X, y)


OVERRIDDEN = {
    "a scaler": (lambda: own(OwnScaler(), None), "transform"),
    "a scaler in a pipeline": (
        lambda: own(make_pipeline(OwnScaler(), linear_model.Ridge())),
        "ownscaler (OwnScaler): transform",
    ),
    "a scaler of some columns": (
        lambda: own(compose.ColumnTransformer([("a", OwnScaler(), [0, 1])]), None),
        "a (OwnScaler): transform",
    ),
    "probabilities": (lambda: own(OwnProbabilities()), "predict_proba"),
    "what probabilities are made of": (lambda: own(OwnScores()), "decision_function"),
    "a mixin": (lambda: own(OwnRegression(), SCORE), "predict"),
    "a private method": (lambda: own(OwnValidation(2), None), "_transform"),
    "a pipeline": (lambda: own(OwnPipeline([("a", linear_model.Ridge())]), SCORE), "predict"),
    "in a search": (
        lambda: own(model_selection.GridSearchCV(OwnRegression(), {}, cv=2), SCORE),
        "best_estimator_ (OwnRegression): predict",
    ),
    "in a vote": (
        lambda: own(ensemble.VotingRegressor([("a", OwnRegression())]), SCORE),
        "estimators_[0] (OwnRegression): predict",
    ),
    "an attribute": (
        lambda: shadowed(own(linear_model.LogisticRegression()), "predict_proba"),
        "predict_proba",
    ),
}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_a_method_that_is_not_the_librarys_own_is_refused_by_name(name):
    estimator, piece = OVERRIDDEN[name]
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(estimator())
    assert caught.value.code == "unsupported_model"
    assert piece in caught.value.pieces[0]
    assert "not the method of scikit-learn's" in caught.value.pieces[0]


def test_a_subclass_may_fit_label_and_describe_as_it_likes():
    class Mine(linear_model.LogisticRegression):
        def __init__(self, C=1.0):
            super().__init__(C=C)

        def fit(self, X, y, sample_weight=None):
            return super().fit(X, y, sample_weight)

        def predict(self, X):
            return (self.predict_proba(X)[:, 1] > 0.2).astype(int)

        def score(self, X, y, sample_weight=None):
            return 0.5

    class First(feature_selection.SelectorMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.n_features_in_ = X.shape[1]
            return self

        def _get_support_mask(self):
            return np.arange(self.n_features_in_) < 2

    estimator = own(make_pipeline(First(), Mine()))
    info = importer.from_sklearn(estimator)
    assert_same(info, X[:100].astype(np.float32), estimator.predict_proba(X[:100])[:, 1])


def test_rows_that_the_estimator_refuses_are_an_error():
    codes = RNG.integers(0, 6, (200, 3))
    encoder = fitted(pre.OneHotEncoder(), codes, None)
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(encoder, sample=codes + 1)
    assert caught.value.code == "source_failed"


def test_a_class_of_ones_own_at_the_start_is_listed():
    class Mine(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return X

    estimator = make_pipeline(Mine(), impute.KNNImputer(), linear_model.Ridge())
    with pytest.raises(im.InstModelError) as caught:
        importer.from_sklearn(fitted(estimator, X, SCORE))
    assert caught.value.code == "unsupported_model"
    assert len(caught.value.pieces) == 2
