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
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    layers: Any = network.layers
    x = network.inputs(16)
    flags = np.arange(16) % 2
    many = np.repeat(flags[:, np.newaxis], network.outputs, axis=1)
    if len(layers) == 1:
        logistic = LogisticRegression().fit(x, flags)
        logistic.coef_, logistic.intercept_ = layers[0].weights, layers[0].bias
        return logistic.predict_proba
    shape: dict[str, Any] = {
        "hidden_layer_sizes": [len(layer.bias) for layer in layers[:-1]],
        "max_iter": 1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged: nobody asked it to
        if layers[-1].activation == "SIGMOID":
            network_model: Any = MLPClassifier(**shape).fit(
                x, flags if many.shape[1] == 1 else many
            )
            predict = network_model.predict_proba
        else:
            network_model = MLPRegressor(**shape).fit(x, many.astype(np.float32))
            predict = network_model.predict
    network_model.coefs_ = [np.ascontiguousarray(layer.weights.T) for layer in layers]
    network_model.intercepts_ = [layer.bias for layer in layers]
    return predict
