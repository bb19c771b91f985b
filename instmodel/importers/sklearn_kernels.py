"""Kernels of scikit-learn: similarities of a sample to the vectors that an estimator keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.sklearn_encoders import dense_array
from instmodel.importers.sklearn_functions import decisions_of_pairs
from instmodel.importers.sklearn_walk import Walk, require

Floats = NDArray[np.float64]

# Powers are products: more would be no kernel that somebody fits.
_MOST_DEGREES = 16
# Differences between a sample and all vectors that are computed one by one.
_MOST_DIFFERENCES = 100_000


def weighted(
    x: Value,
    vectors: Floats,
    factors: Floats,
    bias: Any,
    *,
    kernel: Any,
    gamma: float,
    coef0: float,
    degree: float,
) -> Value:
    """Return ``factors · k + bias`` of the kernel k of x and each vector: shape (O,).

    Parameters
    ----------
    vectors : (V, F) array
    factors : (O, V) array
    bias : float or (O,) array
    kernel : str
    gamma, coef0, degree : float
        Of the kernels that have them.
    """
    bias = np.broadcast_to(np.asarray(bias, float).reshape(-1), (len(factors),))
    if kernel == "linear":
        return ex.dense(x, factors @ vectors, bias)
    order = _balanced(factors[0])
    vectors, factors = vectors[order], factors[:, order]
    if kernel == "rbf":
        return ex.dense(radial(x, vectors, gamma), factors, bias)
    products = ex.dense(x, gamma * vectors, np.full(len(vectors), coef0))
    if kernel in ("poly", "polynomial"):
        return ex.dense(_power(products, degree), factors, bias)
    if kernel == "sigmoid":
        return ex.dense(ex.activation(products, "TANH"), factors, bias)
    raise Unsupported(f"kernel={kernel if isinstance(kernel, str) else type(kernel).__name__!r}")


def radial(x: Value, vectors: Floats, gamma: float) -> Value:
    """Return ``exp(-gamma · |x - v|²)`` of each vector."""
    if vectors.size > _MOST_DIFFERENCES:
        return _radial_of_products(x, vectors, gamma)
    total = ex.constant(0.0)
    for index, column in enumerate(vectors.T):
        number = ex.rearrange(x, np.full(len(vectors), index))
        difference = ex.subtract(number, ex.constant(column))
        total = ex.add(total, ex.multiply(difference, difference))
    return ex.activation(ex.multiply(total, ex.constant(-gamma)), "EXP")


def _radial_of_products(x: Value, vectors: Floats, gamma: float) -> Value:
    """Return the same with fewer numbers on the way, and some digits less.

    |x - v|² = |x|² - 2 x·v + |v|², with the origin amid the vectors: it cancels least there.
    """
    origin = vectors.mean(axis=0).astype(np.float32).astype(float)
    vectors = vectors - origin
    x = ex.subtract(x, ex.constant(origin))
    both = ex.concatenate([x, ex.multiply(x, x)])
    weights = gamma * np.concatenate([2 * vectors, -np.ones(vectors.shape)], axis=1)
    return ex.activation(ex.dense(both, weights, -gamma * (vectors**2).sum(axis=1)), "EXP")


def _power(x: Value, degree: float) -> Value:
    require(degree == int(degree) and 1 <= degree <= _MOST_DEGREES, f"degree={degree}")
    product = x
    for _ in range(int(degree) - 1):
        product = ex.multiply(product, x)
    return product


# ------------------------------------------------------------------------- support vector machines


def support_vectors(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return ``decision_function`` or ``predict`` of a support vector machine."""
    scored = not hasattr(e, "offset_") and not hasattr(e, "classes_")  # else `predict` labels
    require(
        method == "decision_function" or (method == "predict" and scored),
        f"{method} of a support vector machine; take output='decision_function'",
    )
    scores = weighted(
        x,
        dense_array(e.support_vectors_),
        _weights_of_pairs(e),
        e.intercept_,
        kernel=e.kernel,
        gamma=e._gamma,
        coef0=e.coef0,
        degree=e.degree,
    )
    if scores.size > 1 and e.decision_function_shape == "ovr":
        return decisions_of_pairs(ex.multiply(scores, ex.constant(-1.0)), len(e.classes_))
    return scores


def _weights_of_pairs(e: Any) -> Floats:
    """Return a factor for each vector (pairs of classes, vectors); without classes, one row.

    scikit-learn keeps them by the vector's class, for each of the other classes.
    """
    factors = dense_array(e.dual_coef_)
    if len(factors) == 1:
        return factors
    owner = np.repeat(np.arange(len(e.n_support_)), e.n_support_)
    rows = []
    for one in range(len(e.n_support_)):
        for other in range(one + 1, len(e.n_support_)):
            row = np.where(owner == one, factors[other - 1], 0.0)
            rows.append(row + np.where(owner == other, factors[one], 0.0))
    return np.array(rows)


def _balanced(factors: Floats) -> list[int]:
    """Return an order in which sums of the factors stay near zero, so that little is rounded."""
    above, below = (np.flatnonzero(side).tolist() for side in (factors > 0, factors <= 0))
    order: list[int] = []
    total = 0.0
    while above or below:
        order.append((above if above and (total <= 0 or not below) else below).pop())
        total += factors[order[-1]]
    return order


# --------------------------------------------------------------------------- ridges and processes


def kernel_ridge(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return ``predict`` of a KernelRidge."""
    require(method == "predict", f"{method} of a regressor")
    return weighted(
        x,
        dense_array(e.X_fit_),
        np.asarray(e.dual_coef_, float).reshape(len(e.X_fit_), -1).T,
        0.0,
        kernel=e.kernel,
        gamma=1.0 / x.size if e.gamma is None else e.gamma,
        coef0=e.coef0,
        degree=e.degree,
    )


def gaussian_process(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return ``predict`` of a GaussianProcessRegressor: the mean."""
    require(method == "predict", f"{method} of a regressor")
    require(hasattr(e, "alpha_"), "a process without data")
    vectors = np.asarray(e.X_train_, float)
    factors = np.asarray(e.alpha_, float).reshape(len(vectors), -1).T
    factors = factors * np.reshape(e._y_train_std, (-1, 1))
    order = _balanced(factors[0])
    mean = ex.constant(np.broadcast_to(e._y_train_mean, (len(factors),)))
    return ex.add(_covariances(e.kernel_, x, vectors[order], factors[:, order]), mean)


def _covariances(kernel: Any, x: Value, vectors: Floats, factors: Floats) -> Value:
    """Return ``factors · k`` of what a kernel of Gaussian processes gives for each vector."""
    kind = type(kernel)
    known = kind.__module__ == "sklearn.gaussian_process.kernels"
    match kind.__name__ if known else "":
        case "RBF":
            scales = np.broadcast_to(np.asarray(kernel.length_scale, float), (x.size,))
            scaled = ex.divide(x, ex.constant(scales))
            return ex.dense(radial(scaled, vectors / scales, 0.5), factors)
        case "ConstantKernel":
            return ex.constant(kernel.constant_value * factors.sum(axis=1))
        case "WhiteKernel":  # noise of the training data alone
            return ex.constant(np.zeros(len(factors)))
        case "DotProduct":
            return ex.dense(x, factors @ vectors, kernel.sigma_0**2 * factors.sum(axis=1))
        case "Sum":
            parts = [_covariances(part, x, vectors, factors) for part in (kernel.k1, kernel.k2)]
            return ex.add(*parts)
        case "Product":
            for one, other in ((kernel.k1, kernel.k2), (kernel.k2, kernel.k1)):
                if type(one).__name__ == "ConstantKernel":
                    return _covariances(other, x, vectors, one.constant_value * factors)
    raise Unsupported(f"the kernel {kernel}")


# ------------------------------------------------------------------------------------ transformers


def nystroem(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return ``transform`` of a Nystroem."""
    options = {"gamma": 1.0 / x.size, "coef0": 1.0, "degree": 3.0, **(e.kernel_params or {})}
    for name in ("gamma", "coef0", "degree"):
        given = getattr(e, name)
        options[name] = options[name] if given is None else given
    vectors = dense_array(e.components_)
    return weighted(x, vectors, np.asarray(e.normalization_), 0.0, kernel=e.kernel, **options)


def kernel_components(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return ``transform`` of a KernelPCA, whose centring of the kernel becomes weights."""
    found = e.eigenvalues_ > 0
    factors = np.zeros(e.eigenvectors_.shape)
    factors[:, found] = e.eigenvectors_[:, found] / np.sqrt(e.eigenvalues_[found])
    sums = factors.sum(axis=0)
    middle = e._centerer
    return weighted(
        x,
        dense_array(e.X_fit_),
        (factors - sums / len(factors)).T,
        middle.K_fit_all_ * sums - middle.K_fit_rows_ @ factors,
        kernel=e.kernel,
        gamma=e.gamma_,
        coef0=e.coef0,
        degree=e.degree,
    )
