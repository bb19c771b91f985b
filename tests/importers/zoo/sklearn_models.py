"""scikit-learn models of the zoo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.zoo import Case, Source

import instmodel as im


def fitted(estimator, X, y=None) -> Source:
    """Return the source that an estimator becomes on a table (N, F) of numbers."""
    estimator.fit(X, y)

    def scores(rows):
        for method in ("predict_proba", "decision_function", "predict", "transform"):
            if hasattr(estimator, method):
                found = np.asarray(getattr(estimator, method)(rows.astype(float)))
                return found[:, 1] if method == "predict_proba" and found.shape[1] == 2 else found
        raise AttributeError("nothing to score with")

    rows = np.asarray(X, np.float32)
    return Source(rows, scores, lambda: im.importers.from_sklearn(estimator))


def numbers(seed: int = 0, rows: int = 300, columns: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def classes(X: np.ndarray, count: int = 2) -> np.ndarray:
    """Return classes that depend on the inputs."""
    return np.digitize(X[:, 0] + 0.5 * X[:, 1], np.linspace(-0.7, 0.7, count + 1)[1:-1])


def classifier(make: Callable, count: int = 2) -> Callable[[], Source]:
    X = numbers()
    return lambda: fitted(make(), X, classes(X, count))


CASES = [
    Case(
        "StandardScaler, LogisticRegression",
        "linear classifiers",
        classifier(lambda: make_pipeline(StandardScaler(), LogisticRegression())),
    ),
    Case(
        "RandomForestClassifier",
        "trees",
        classifier(lambda: RandomForestClassifier(5)),
        refused=("RandomForestClassifier",),
    ),
]
