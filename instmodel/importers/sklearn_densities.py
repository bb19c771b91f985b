"""scikit-learn's classifiers by densities: naive Bayes, and normal densities."""

from __future__ import annotations

from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import keys
from instmodel.importers.expressions import Value
from instmodel.importers.sklearn_thresholds import exceeds
from instmodel.importers.sklearn_transformers import centred
from instmodel.importers.sklearn_walk import Walk, require


def naive_bayes(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return ``predict_proba`` of a MultinomialNB."""
    require(method == "predict_proba", f"{method} of a naive Bayes classifier")
    return _class_probabilities(x, e.feature_log_prob_, e.class_log_prior_)


def complement(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return ``predict_proba`` of a ComplementNB, which leaves the prior out."""
    require(method == "predict_proba", f"{method} of a naive Bayes classifier")
    return _class_probabilities(x, e.feature_log_prob_, np.zeros(len(e.feature_log_prob_)))


def categorical(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return ``predict_proba`` of a CategoricalNB: a lookup a column, of keys without fraction."""
    require(method == "predict_proba", f"{method} of a naive Bayes classifier")
    total = ex.constant(e.class_log_prior_)
    whole = keys.to_integers(x)
    for index, logs in enumerate(e.feature_log_prob_):
        table = np.asarray(logs, float).T  # (categories, classes)
        rows = keys.embedding(table, ex.rearrange(whole, np.array([index])))
        total = ex.add(total, ex.reshape(rows, (table.shape[1],)))
    return _class_probabilities(total, np.eye(total.size), np.zeros(total.size))


def _class_probabilities(x: Value, weights: Any, bias: Any) -> Value:
    """Return the softmax of ``weights · x + bias``; of two classes the second.

    Only differences between the classes count: their mean is left out before anything is rounded.
    """
    if len(weights) == 2:
        return ex.activation(ex.dense(x, weights[1:] - weights[:1], bias[1:] - bias[:1]), "SIGMOID")
    return ex.softmax(ex.dense(x, weights - weights.mean(axis=0), bias - bias.mean()))


def bernoulli(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return ``predict_proba`` of a BernoulliNB."""
    require(method == "predict_proba", f"{method} of a naive Bayes classifier")
    if e.binarize is not None:
        x = exceeds(walk, x, float(e.binarize))
    absent = np.log1p(-np.exp(e.feature_log_prob_))
    weights, bias = e.feature_log_prob_ - absent, e.class_log_prior_ + absent.sum(axis=1)
    return _class_probabilities(x, weights, bias)


def gaussian(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return ``predict_proba`` of a GaussianNB."""
    require(method == "predict_proba", f"{method} of a naive Bayes classifier")
    covariances = np.array([np.diag(variances) for variances in e.var_])
    bias = np.log(e.class_prior_) - 0.5 * np.log(e.var_).sum(axis=1)
    return _normal_classes(x, method, e.theta_, covariances, bias)


def quadratic(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return the scores or probabilities of a QuadraticDiscriminantAnalysis."""
    covariances = np.array(
        [
            (np.asarray(rotation) * scaling) @ np.asarray(rotation).T
            for rotation, scaling in zip(e.rotations_, e.scalings_, strict=True)
        ]
    )
    bias = np.log(e.priors_) - 0.5 * np.array([np.log(scaling).sum() for scaling in e.scalings_])
    return _normal_classes(x, method, e.means_, covariances, bias)


def _normal_classes(x: Value, method: str, means: Any, covariances: Any, bias: Any) -> Value:
    """Return the scores or probabilities of classes with normal densities.

    The logarithm of a density is a sum of products of two numbers, of the numbers, and of a
    constant.
    """
    ex.checked((len(means), x.size, x.size))
    center = np.mean(means, axis=0)
    spread = np.sqrt(np.mean([np.diag(covariance) for covariance in covariances], axis=0))
    x = ex.divide(centred(x, center, spread), ex.constant(spread))
    means = (np.asarray(means) - center) / spread
    precisions = np.linalg.inv(np.asarray(covariances) / np.outer(spread, spread))
    left, right = np.nonzero(np.triu(np.any(precisions != 0, axis=0)))
    squares = -np.where(left == right, 0.5, 1.0) * precisions[:, left, right]
    lines = np.einsum("cij,cj->ci", precisions, means)
    weights = np.concatenate([lines, squares], axis=1)
    bias = bias - 0.5 * np.einsum("ci,ci->c", lines, means)
    products = ex.multiply(ex.rearrange(x, left), ex.rearrange(x, right))
    both = ex.concatenate([x, products])
    if method == "predict_proba":
        return _class_probabilities(both, weights, bias)
    if len(means) == 2:
        return ex.dense(both, weights[1:] - weights[:1], bias[1:] - bias[:1])
    return ex.dense(both, weights, bias)
