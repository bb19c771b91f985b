"""What scikit-learn's classifiers and regressors compute, as expressions."""

from __future__ import annotations

from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import sklearn_densities as densities
from instmodel.importers import sklearn_kernels as kernels
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.sklearn_composites import COMPOSITES, Handler
from instmodel.importers.sklearn_curves import isotonic
from instmodel.importers.sklearn_functions import shares, shares_of_sigmoids
from instmodel.importers.sklearn_transformers import centred_product
from instmodel.importers.sklearn_walk import Walk, known_class, require, require_own_methods

METHODS = ("predict_proba", "decision_function", "predict", "transform")


def predict(walk: Walk, estimator: Any, x: Value, method: str, place: str) -> Value:
    """Return ``estimator.<method>`` of x: shape (outputs,)."""
    kind = known_class(estimator, COMPOSITES | _LEAVES)
    if kind is None:
        raise Unsupported("an estimator without instructions")
    require_own_methods(estimator, kind, method)
    if method == "predict" and hasattr(estimator, "classes_"):
        raise Unsupported("the labels of a classifier; import its scores")
    if kind not in COMPOSITES:
        walk.refuse_nan(x)
        walk.refuse_infinite()
    return (COMPOSITES | _LEAVES)[kind](walk, estimator, x, method, place)


# ------------------------------------------------------------------------------------------ linear


def _scores(e: Any, x: Value) -> Value:
    weights = np.asarray(e.coef_.toarray() if hasattr(e.coef_, "toarray") else e.coef_, float)
    weights = weights.reshape(-1, x.size)
    return ex.dense(x, weights, np.broadcast_to(np.asarray(e.intercept_, float), len(weights)))


def _regressor(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "predict", f"{method} of a regressor")
    return _scores(e, x)


def _one_class(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "decision_function", f"{method} of one class")
    return ex.dense(x, e.coef_.reshape(1, -1), -np.asarray(e.offset_, float))


def _generalized(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    scores = _regressor(walk, e, x, method, place)
    link = type(e._base_loss.link).__name__
    require(link in ("IdentityLink", "LogLink"), f"the link function {link}")
    return ex.activation(scores, "EXP") if link == "LogLink" else scores


def _isotonic(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return isotonic(walk, e, x)


def _partial_least_squares(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "predict", f"{method} of a regressor")
    return centred_product(x, e._x_mean, e.coef_, e.intercept_)


def _classifier(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    scores = _scores(e, x)
    if method == "decision_function":
        return scores
    return ex.softmax(scores) if scores.size > 1 else ex.activation(scores, "SIGMOID")


def _logistic(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    if method == "predict_proba":
        scores = _scores(e, x)
        way = getattr(e, "multi_class", None)  # until 1.7
        if scores.size > 1 and (way == "ovr" or e.solver == "liblinear"):
            return shares_of_sigmoids(scores, 1.0 / scores.size)
        if scores.size == 1 and way == "multinomial":  # the softmax of -s and s
            return ex.activation(ex.multiply(scores, ex.constant(2.0)), "SIGMOID")
    return _classifier(walk, e, x, method, place)


def _gradient(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    scores = _scores(e, x)
    if method == "decision_function":
        return scores
    if e.loss == "modified_huber":
        grown = ex.add(ex.clip(scores, -1.0, 1.0), ex.constant(1.0))
        halves = ex.multiply(grown, ex.constant(0.5))
        return halves if scores.size == 1 else shares(halves, 1.0 / scores.size)
    if scores.size == 1:
        return ex.activation(scores, "SIGMOID")
    return shares_of_sigmoids(scores, 1.0 / scores.size)


# ---------------------------------------------------------------------------------------- networks

_NETWORK_ACTIVATIONS = {
    "identity": None,
    "relu": "RELU",
    "tanh": "TANH",
    "logistic": "SIGMOID",
    "softmax": "SOFTMAX",
}


def _network(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method in ("predict", "predict_proba"), f"{method} of a network")
    layers = list(zip(e.coefs_, e.intercepts_, strict=True))
    for index, (weights, bias) in enumerate(layers):
        name = e.activation if index + 1 < len(layers) else e.out_activation_
        require(name in _NETWORK_ACTIVATIONS, f"the activation {name!r}")
        x = ex.dense(x, weights.T, bias)
        function = _NETWORK_ACTIVATIONS[name]
        x = ex.activation(x, function) if function else x
    return x


_LINEAR_REGRESSORS = (
    "LinearModel",  # LinearRegression, Ridge, Lasso, BayesianRidge and many more
    "LinearSVR",
    "SGDRegressor",
    "PassiveAggressiveRegressor",
)

# None of these takes NaN.
_LEAVES: dict[str, Handler] = {
    "LogisticRegression": _logistic,
    "LinearDiscriminantAnalysis": _classifier,
    "SGDClassifier": _gradient,
    "PassiveAggressiveClassifier": _classifier,
    "Perceptron": _classifier,
    "RidgeClassifier": _classifier,
    "RidgeClassifierCV": _classifier,
    "LinearSVC": _classifier,
    **dict.fromkeys(("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"), kernels.support_vectors),
    "SGDOneClassSVM": _one_class,
    "KernelRidge": kernels.kernel_ridge,
    "GaussianProcessRegressor": kernels.gaussian_process,
    "MultinomialNB": densities.naive_bayes,
    "ComplementNB": densities.complement,
    "CategoricalNB": densities.categorical,
    "BernoulliNB": densities.bernoulli,
    "GaussianNB": densities.gaussian,
    "QuadraticDiscriminantAnalysis": densities.quadratic,
    "IsotonicRegression": _isotonic,
    "_GeneralizedLinearRegressor": _generalized,
    "_PLS": _partial_least_squares,
    "MLPClassifier": _network,
    "MLPRegressor": _network,
    **dict.fromkeys(_LINEAR_REGRESSORS, _regressor),
}
