"""scikit-learn models of the zoo: ensembles, targets, and classes of one's own."""

from __future__ import annotations

import numpy as np
from importers.zoo.sklearn_cases import case, scaled
from importers.zoo.sklearn_data import (
    complete_credit,
    credit,
    diabetes,
    houses,
    wines,
)
from importers.zoo.sklearn_pipelines import columns, filled, logistic, one_hot
from sklearn import (
    compose,
    ensemble,
    naive_bayes,
    neighbors,
    semi_supervised,
    svm,
    tree,
)
from sklearn import linear_model as linear
from sklearn import preprocessing as pre
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline


class Clipped(pre.StandardScaler):
    """A subclass that computes something else."""

    def transform(self, X, copy=None):
        return np.clip(super().transform(X), -3, 3)


class Cautious(linear.LogisticRegression):
    """A subclass that only labels in its own way."""

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.3).astype(int)]


class Shrunk(linear.LogisticRegression):
    """A subclass with probabilities of its own."""

    def predict_proba(self, X):
        return 0.5 + 0.9 * (super().predict_proba(X) - 0.5)


class Ratios(TransformerMixin, BaseEstimator):
    """A transformer of one's own."""

    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X):
        X = np.asarray(X)
        return np.column_stack([X, X[:, 1] / (1 + X[:, 0])])


MADE = "ensembles"
TARGETS = "transformed targets"
OWN = "classes of one's own"

_ENSEMBLES = [
    case(
        "a soft vote",
        MADE,
        lambda: ensemble.VotingClassifier(
            [("a", scaled(logistic())), ("b", scaled(naive_bayes.GaussianNB()))],
            voting="soft",
            weights=[2, 1],
        ),
        wines,
    ),
    case(
        "a hard vote",
        MADE,
        lambda: ensemble.VotingClassifier([("a", scaled(logistic())), ("b", scaled(svm.SVC()))]),
        wines,
        "labels of a classifier",
    ),
    case(
        "a vote of regressors",
        MADE,
        lambda: ensemble.VotingRegressor(
            [("a", scaled(linear.Ridge())), ("b", scaled(svm.SVR(C=10)))]
        ),
        houses,
    ),
    case(
        "a vote with a forest",
        MADE,
        lambda: ensemble.VotingClassifier(
            [("a", scaled(logistic())), ("b", ensemble.RandomForestClassifier(3))], voting="soft"
        ),
        complete_credit,
        "RandomForestClassifier",
    ),
    case(
        "a stack",
        MADE,
        lambda: ensemble.StackingClassifier(
            [("a", scaled(logistic())), ("b", scaled(svm.LinearSVC()))], logistic(), cv=2
        ),
    ),
    case(
        "a stack that also sees the columns",
        MADE,
        lambda: ensemble.StackingClassifier(
            [("a", scaled(logistic())), ("b", scaled(naive_bayes.GaussianNB()))],
            scaled(logistic()),
            cv=2,
            passthrough=True,
        ),
        wines,
    ),
    case(
        "a stack of regressors",
        MADE,
        lambda: ensemble.StackingRegressor(
            [("a", scaled(linear.Ridge())), ("b", scaled(svm.SVR()))], linear.RidgeCV(), cv=2
        ),
        houses,
    ),
    case(
        "a stack on trees",
        MADE,
        lambda: ensemble.StackingRegressor(
            [("a", scaled(linear.Ridge())), ("b", tree.DecisionTreeRegressor(max_depth=2))],
            neighbors.KNeighborsRegressor(),
            cv=2,
        ),
        houses,
        "DecisionTreeRegressor",
        "KNeighborsRegressor",
    ),
    case(
        "bagged logistic regressions",
        MADE,
        lambda: ensemble.BaggingClassifier(scaled(logistic()), 5, max_features=0.7, random_state=0),
        wines,
    ),
    case(
        "bagged pipelines with imputers",
        MADE,
        lambda: ensemble.BaggingClassifier(
            filled(pre.StandardScaler(), logistic()), 3, random_state=0
        ),
        credit,
    ),
    case(
        "bagged ridges",
        MADE,
        lambda: ensemble.BaggingRegressor(scaled(linear.Ridge()), 5, random_state=0),
        houses,
    ),
    case(
        "self-training",
        MADE,
        lambda: semi_supervised.SelfTrainingClassifier(scaled(logistic())),
        lambda: (complete_credit()[0], np.where(np.arange(300) % 3, complete_credit()[1], -1)),
    ),
]

_TARGETS = [
    case(
        "log1p and expm1",
        TARGETS,
        lambda: compose.TransformedTargetRegressor(
            scaled(linear.Ridge()), func=np.log1p, inverse_func=np.expm1
        ),
        houses,
        reach=10,
    ),
    case(
        "log and exp on a table",
        TARGETS,
        lambda: compose.TransformedTargetRegressor(
            make_pipeline(
                columns((one_hot(), ["heating"]), remainder=pre.StandardScaler()), linear.Ridge()
            ),
            func=np.log,
            inverse_func=np.exp,
        ),
        houses,
        reach=10,
    ),
    case(
        "a scaler",
        TARGETS,
        lambda: compose.TransformedTargetRegressor(
            scaled(svm.SVR()), transformer=pre.StandardScaler()
        ),
        houses,
    ),
    case(
        "a power",
        TARGETS,
        lambda: compose.TransformedTargetRegressor(
            scaled(linear.Ridge()), transformer=pre.PowerTransformer()
        ),
        houses,
        reach=3,
    ),
    case(
        "quantiles",
        TARGETS,
        lambda: compose.TransformedTargetRegressor(
            scaled(linear.Ridge()), transformer=pre.QuantileTransformer(n_quantiles=50)
        ),
        houses,
        "the inverse of a QuantileTransformer",
    ),
]

_SUBCLASSES = [
    case(
        "a scaler with its own transform",
        OWN,
        lambda: make_pipeline(Clipped(), logistic()),
        wines,
        "transform: not the method",
    ),
    case(
        "a classifier with its own probabilities",
        OWN,
        lambda: scaled(Shrunk(max_iter=500)),
        complete_credit,
        "predict_proba: not the method",
    ),
    case(
        "a classifier with its own labels",
        OWN,
        lambda: scaled(Cautious(max_iter=500)),
    ),
    case(
        "a transformer of ratios, and neighbours behind it",
        OWN,
        lambda: Pipeline([("ratios", Ratios()), ("near", neighbors.KNeighborsRegressor())]),
        houses,
        "ratios (Ratios): a transformer without instructions",
        "KNeighborsRegressor",
    ),
    case(
        "a function with arguments",
        OWN,
        lambda: make_pipeline(
            pre.FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 1}), linear.Ridge()
        ),
        diabetes,
        "kw_args of a function",
    ),
]

ENSEMBLES = [*_ENSEMBLES, *_TARGETS, *_SUBCLASSES]
