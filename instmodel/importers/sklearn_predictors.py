"""What scikit-learn's classifiers and regressors compute, as expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.sklearn_encoders import dense_array
from instmodel.importers.sklearn_functions import isotonic
from instmodel.importers.sklearn_transformers import (
    centred,
    centred_product,
    inverse,
    pipeline_steps,
)
from instmodel.importers.sklearn_walk import (
    Walk,
    inside,
    known_class,
    require,
    require_own_methods,
)

METHODS = ("predict_proba", "decision_function", "predict", "transform")


def predict(walk: Walk, estimator: Any, x: Value, method: str, place: str) -> Value:
    """Return ``estimator.<method>`` of x: shape (outputs,)."""
    kind = known_class(estimator, _COMPOSITES | _LEAVES)
    if kind is None:
        raise Unsupported("an estimator without instructions")
    require_own_methods(estimator, kind, method)
    if method == "predict" and hasattr(estimator, "classes_"):
        raise Unsupported("the labels of a classifier; import its scores")
    if kind not in _COMPOSITES:
        walk.refuse_nan(x)
        walk.refuse_infinite()
    return (_COMPOSITES | _LEAVES)[kind](walk, estimator, x, method, place)


# ------------------------------------------------------------------------------------- composites


def _pipeline(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    name, last = e.steps[-1]
    x = pipeline_steps(walk, e, x, place, last=False)
    size = getattr(last, "n_features_in_", x.size)
    return walk.predict(last, x if x.size == size else ex.source(size), method, inside(place, name))


def _search(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return walk.predict(e.best_estimator_, x, method, inside(place, "best_estimator_"))


def _wrapped(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return walk.predict(e.estimator_, x, method, inside(place, "estimator_"))


def _voting(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method in ("predict", "predict_proba"), f"{method} of a vote")
    weights = np.ones(len(e.estimators_)) if e.weights is None else np.asarray(e._weights_not_none)
    total = ex.constant(0.0)
    for index, (member, weight) in enumerate(zip(e.estimators_, weights, strict=True)):
        part = walk.predict(member, x, method, inside(place, f"estimators_[{index}]"))
        total = ex.add(total, ex.multiply(part, ex.constant(float(weight))))
    return ex.multiply(total, ex.constant(1.0 / weights.sum()))


def _calibrated(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(len(e.classes_) == 2, "probabilities divided by their sum")
    members = e.calibrated_classifiers_
    total = ex.constant(0.0)
    for index, member in enumerate(members):
        require(member.method in ("sigmoid", "isotonic"), f"method={member.method!r}")
        decides = hasattr(member.estimator, "decision_function")
        stage = "decision_function" if decides else "predict_proba"
        where = inside(place, f"calibrated_classifiers_[{index}].estimator")
        scores = walk.predict(member.estimator, x, stage, where)
        (calibrator,) = member.calibrators
        if member.method == "isotonic":
            part = isotonic(walk, calibrator, scores)
        else:
            line = ex.dense(scores, [[-calibrator.a_]], [-calibrator.b_])
            part = ex.activation(line, "SIGMOID")
        total = ex.add(total, part)
    return ex.multiply(total, ex.constant(1.0 / len(members)))


def _frozen(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return walk.predict(e.estimator, x, method, inside(place, "estimator"))


def _target(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return inverse(
        e.transformer_, walk.predict(e.regressor_, x, method, inside(place, "regressor_"))
    )


def _many(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    members = enumerate(e.estimators_)
    parts = [walk.predict(m, x, method, inside(place, f"estimators_[{i}]")) for i, m in members]
    return ex.concatenate(parts)


def _one_against_rest(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    normalised = method == "predict_proba" and len(e.estimators_) > 1 and not e.multilabel_
    require(not normalised, "probabilities divided by their sum; take output='decision_function'")
    return _many(walk, e, x, method, place)


def _stacking(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    parts = [x] if e.passthrough else []
    level = []
    for index, (member, stage) in enumerate(zip(e.estimators_, e.stack_method_, strict=True)):
        level.append(walk.predict(member, x, stage, inside(place, f"estimators_[{index}]")))
    final = ex.concatenate([*level, *parts])
    return walk.predict(e.final_estimator_, final, method, inside(place, "final_estimator_"))


# ------------------------------------------------------------------------------------------ linear


def _scores(e: Any, x: Value) -> Value:
    weights = np.asarray(e.coef_.toarray() if hasattr(e.coef_, "toarray") else e.coef_, float)
    weights = weights.reshape(-1, x.size)
    return ex.dense(x, weights, np.broadcast_to(np.asarray(e.intercept_, float), len(weights)))


def _regressor(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "predict", f"{method} of a regressor")
    return _scores(e, x)


def _generalized(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    scores = _regressor(walk, e, x, method, place)
    link = type(e._base_loss.link).__name__
    require(link in ("IdentityLink", "LogLink"), f"the link function {link}")
    return ex.activation(scores, "EXP") if link == "LogLink" else scores


def _partial_least_squares(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "predict", f"{method} of a regressor")
    return centred_product(x, e._x_mean, e.coef_, e.intercept_)


def _classifier(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    scores = _scores(e, x)
    return scores if method == "decision_function" else _probabilities(scores)


def _probabilities(scores: Value) -> Value:
    return ex.softmax(scores) if scores.size > 1 else ex.activation(scores, "SIGMOID")


def _gradient(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    scores = _scores(e, x)
    if method == "decision_function":
        return scores
    require(scores.size == 1, "probabilities divided by their sum; take output='decision_function'")
    if e.loss == "modified_huber":
        return ex.multiply(ex.add(ex.clip(scores, -1.0, 1.0), ex.constant(1.0)), ex.constant(0.5))
    return ex.activation(scores, "SIGMOID")


def _support_vectors(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(e.kernel in ("linear", "rbf"), f"kernel={e.kernel!r}")
    require(method in ("decision_function", "predict"), f"{method} of a support vector machine")
    require(len(e.dual_coef_) == 1 == len(e.intercept_), "more than two classes")
    if e.kernel == "linear":
        return _scores(e, x)
    # |x - v|² = |x|² - 2 x·v + |v|², with the origin amid the vectors: it cancels least there.
    factors = dense_array(e.dual_coef_)[0]
    order = _balanced(factors)
    vectors, factors = dense_array(e.support_vectors_)[order], factors[order]
    origin = vectors.mean(axis=0).astype(np.float32).astype(float)
    vectors = vectors - origin
    x = ex.subtract(x, ex.constant(origin))
    both = ex.concatenate([x, ex.multiply(x, x)])
    weights = e._gamma * np.concatenate([2 * vectors, -np.ones(vectors.shape)], axis=1)
    kernel = ex.activation(ex.dense(both, weights, -e._gamma * (vectors**2).sum(axis=1)), "EXP")
    return ex.dense(kernel, factors[None], e.intercept_)


def _balanced(factors: NDArray[np.float64]) -> list[int]:
    """Return an order in which sums of the factors stay near zero, so that little is rounded."""
    above, below = (np.flatnonzero(side).tolist() for side in (factors > 0, factors <= 0))
    order: list[int] = []
    total = 0.0
    while above or below:
        order.append((above if above and (total <= 0 or not below) else below).pop())
        total += factors[order[-1]]
    return order


def _naive_bayes(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "predict_proba", f"{method} of a naive Bayes classifier")
    return _class_probabilities(x, e.feature_log_prob_, e.class_log_prior_)


def _class_probabilities(x: Value, weights: Any, bias: Any) -> Value:
    """Return the softmax of ``weights · x + bias``.

    Only differences between the classes count: their mean is left out before anything is rounded.
    """
    scores = ex.dense(x, weights - weights.mean(axis=0), bias - bias.mean())
    return _positive_class(ex.softmax(scores))


def _bernoulli(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "predict_proba", f"{method} of a naive Bayes classifier")
    if e.binarize is not None:
        x = fn.exceeds(x, float(e.binarize))
    absent = np.log1p(-np.exp(e.feature_log_prob_))
    weights, bias = e.feature_log_prob_ - absent, e.class_log_prior_ + absent.sum(axis=1)
    return _class_probabilities(x, weights, bias)


def _gaussian(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "predict_proba", f"{method} of a naive Bayes classifier")
    covariances = np.array([np.diag(variances) for variances in e.var_])
    bias = np.log(e.class_prior_) - 0.5 * np.log(e.var_).sum(axis=1)
    return _normal_classes(x, method, e.theta_, covariances, bias)


def _quadratic(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
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


def _isotonic(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return isotonic(walk, e, x)


def _positive_class(probabilities: Value) -> Value:
    two = probabilities.size == 2
    return ex.rearrange(probabilities, np.array([1])) if two else probabilities


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
    "SGDOneClassSVM",
)

_Handler = Callable[[Walk, Any, Value, str, str], Value]

_COMPOSITES: dict[str, _Handler] = {
    "Pipeline": _pipeline,
    "BaseSearchCV": _search,
    "RANSACRegressor": _wrapped,
    "VotingRegressor": _voting,
    "VotingClassifier": _voting,
    "MultiOutputRegressor": _many,
    "MultiOutputClassifier": _many,
    "OneVsRestClassifier": _one_against_rest,
    "StackingRegressor": _stacking,
    "StackingClassifier": _stacking,
    "CalibratedClassifierCV": _calibrated,
    "FrozenEstimator": _frozen,
    "TransformedTargetRegressor": _target,
}

# None of these takes NaN.
_LEAVES: dict[str, _Handler] = {
    "LogisticRegression": _classifier,
    "LinearDiscriminantAnalysis": _classifier,
    "SGDClassifier": _gradient,
    "PassiveAggressiveClassifier": _classifier,
    "Perceptron": _classifier,
    "RidgeClassifier": _classifier,
    "RidgeClassifierCV": _classifier,
    "LinearSVC": _classifier,
    "SVC": _support_vectors,
    "NuSVC": _support_vectors,
    "SVR": _support_vectors,
    "NuSVR": _support_vectors,
    "MultinomialNB": _naive_bayes,
    "BernoulliNB": _bernoulli,
    "GaussianNB": _gaussian,
    "QuadraticDiscriminantAnalysis": _quadratic,
    "IsotonicRegression": _isotonic,
    "_GeneralizedLinearRegressor": _generalized,
    "_PLS": _partial_least_squares,
    "MLPClassifier": _network,
    "MLPRegressor": _network,
    **dict.fromkeys(_LINEAR_REGRESSORS, _regressor),
}
