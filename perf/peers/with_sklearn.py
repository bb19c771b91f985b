"""scikit-learn, for the networks that it has: logistic regressions and multi-layer perceptrons."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from perf.networks import Array, Dense, Network
from perf.peers.base import Peer


class SklearnPeer(Peer):
    """An estimator that was fitted to nothing much and then given the network's weights."""

    NAME, MODULE = "scikit-learn", "sklearn"

    def __init__(self, network: Network, threads: int, mode: str) -> None:
        self._predict = _estimator(network)
        self._binary = network.outputs == 1

    @staticmethod
    def supports(network: Network) -> bool:
        """Whether it is a chain of dense layers, ReLU inside."""
        *inner, last = network.layers
        relu = all(isinstance(layer, Dense) and layer.activation == "RELU" for layer in inner)
        return relu and isinstance(last, Dense)

    def predict(self, x: Array, out: Array) -> Array:
        """Compute all rows at once."""
        result = self._predict(x)
        out[:] = result[:, 1:] if self._binary else result
        return out

    def single(self, row: Array) -> Callable[[], object]:
        """Return the call that computes one row."""
        return partial(self._predict, row[np.newaxis])


def _estimator(network: Network) -> Callable[[Array], Array]:
    """Return the method that computes the network."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    layers: Any = network.layers
    x = network.inputs(16)
    labels = np.arange(16) % 2
    if len(layers) == 1:
        logistic = LogisticRegression().fit(x, labels)
        logistic.coef_, logistic.intercept_ = layers[0].weights, layers[0].bias
        return logistic.predict_proba
    classifies = layers[-1].activation == "SIGMOID"
    kind: Any = MLPClassifier if classifies else MLPRegressor
    y = np.repeat(labels[:, np.newaxis], network.outputs, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged: nobody asked it to
        hidden = [len(layer.bias) for layer in layers[:-1]]
        model = kind(hidden_layer_sizes=hidden, max_iter=1).fit(x, labels if len(y[0]) == 1 else y)
    model.coefs_ = [np.ascontiguousarray(layer.weights.T) for layer in layers]
    model.intercepts_ = [layer.bias for layer in layers]
    return model.predict_proba if classifies else model.predict
