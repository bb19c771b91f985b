"""NumPy: one matrix product per layer, the rest in place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from perf.networks import Array, Attention, Dense, Embed, Layer, Network, Normalize
from perf.peers.base import Peer


class NumPyPeer(Peer):
    """What a user writes who knows NumPy well."""

    NAME, MODULE = "NumPy", "numpy"

    def __init__(self, network: Network, threads: int, mode: str) -> None:
        self._layers = [_layer(layer) for layer in network.layers]

    def predict(self, x: Array, out: Array | None) -> Array:
        """Compute all rows at once."""
        h = x
        for layer in self._layers[:-1]:
            h = layer(x, h, None)
        return self._layers[-1](x, h, out)

    def single(self, row: Array) -> Callable[[], object]:
        """Return the call that computes one row."""
        return partial(self.predict, row[np.newaxis], None)


def _layer(layer: Layer) -> Callable[[Array, Array, Array | None], Array]:
    """Return the layer as a function of the network's input, its own, and where to write."""
    match layer:
        case Dense(weights, bias, activation):
            return partial(_dense, weights.T, bias, activation)
        case Attention(weights, bias):
            return partial(_attention, weights.T, bias)
        case Normalize(factors, terms):
            return partial(_normalize, factors, terms)
        case Embed():
            return partial(_embed, layer.joined, layer.starts)


def _dense(
    weights: Array, bias: Array, activation: str | None, x: Array, h: Array, out: Array | None
) -> Array:
    h = np.matmul(h, weights, out=out)
    h += bias
    if activation == "RELU":
        np.maximum(h, 0, out=h)
    elif activation == "SIGMOID":
        np.negative(h, out=h)
        np.exp(h, out=h)
        h += 1
        np.reciprocal(h, out=h)
    return h


def _attention(weights: Array, bias: Array, x: Array, h: Array, out: None) -> Array:
    gate = x @ weights
    gate += bias
    gate -= gate.max(axis=1, keepdims=True)
    np.exp(gate, out=gate)
    gate /= gate.sum(axis=1, keepdims=True)
    gate *= h
    return gate


def _normalize(factors: Array, terms: Array, x: Array, h: Array, out: None) -> Array:
    h = h * factors
    h += terms
    return h


def _embed(joined: Array, starts: Array, x: Array, h: Array, out: None) -> Array:
    count = len(starts)
    rows = x[:, :count].astype(np.int64) + starts
    return np.concatenate([x[:, count:], joined[rows].reshape(len(x), -1)], axis=1)
