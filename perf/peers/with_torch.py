"""PyTorch, under `torch.inference_mode`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from perf.networks import Array, Attention, Dense, Embed, Layer, Network, Normalize
from perf.peers.base import Peer


class TorchPeer(Peer):
    """The functions that a module's forward calls, without the module around them.

    Eager matrix products are MKL's, which is half as fast on some CPUs that are not Intel's;
    `torch.utils.mkldnn` takes oneDNN's.
    """

    NAME, MODULE = "PyTorch", "torch"
    MODES = ("eager", "oneDNN")

    def __init__(self, network: Network, threads: int, mode: str) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch = torch
        product = _eager_product if mode == "eager" else _onednn_product
        self._layers = [_layer(torch, layer, product) for layer in network.layers]

    def predict(self, x: Array, out: Array) -> Array:
        """Compute all rows at once."""
        with self._torch.inference_mode():
            self._forward(self._torch.from_numpy(x), self._torch.from_numpy(out))
        return out

    def single(self, row: Array) -> Callable[[], object]:
        """Return the call that computes one row."""
        return partial(self._single, row[np.newaxis])

    def _single(self, row: Array) -> Array:
        with self._torch.inference_mode():
            return self._forward(self._torch.from_numpy(row), None).numpy()

    def _forward(self, x: Any, out: Any) -> Any:
        h = x
        for layer in self._layers[:-1]:
            h = layer(x, h, None)
        return self._layers[-1](x, h, out)


_Product = Callable[[Any, Any, Any], Any]


def _eager_product(torch: Any, weights: Any, bias: Any) -> Callable[[Any], Any]:
    return lambda h: torch.nn.functional.linear(h, weights, bias)


def _onednn_product(torch: Any, weights: Any, bias: Any) -> Callable[[Any], Any]:
    from torch.utils import mkldnn

    linear = torch.nn.Linear(weights.shape[1], weights.shape[0])
    linear.weight.data, linear.bias.data = weights, bias
    return mkldnn.to_mkldnn(linear.eval())


def _layer(torch: Any, layer: Layer, product: _Product) -> Callable[[Any, Any, Any], Any]:
    """Return the layer as a function of the network's input, its own, and where to write."""
    match layer:
        case Dense(weights, bias, activation):
            linear = product(torch, torch.from_numpy(weights), torch.from_numpy(bias))
            return partial(_dense, torch, linear, activation)
        case Attention(weights, bias):
            linear = product(torch, torch.from_numpy(weights), torch.from_numpy(bias))
            return lambda x, h, out: linear(x).softmax(1).mul_(h)
        case Normalize(factors, terms):
            f, t = torch.from_numpy(factors), torch.from_numpy(terms)
            return lambda x, h, out: torch.addcmul(t, h, f)
        case Embed(tables):
            table, starts = torch.from_numpy(layer.joined), torch.from_numpy(layer.starts)
            return partial(_embed, torch, table, starts, len(tables))


def _dense(torch: Any, linear: Any, activation: str | None, x: Any, h: Any, out: Any) -> Any:
    h = linear(h)
    match activation:
        case "RELU":
            return h.relu_()
        case "SIGMOID":
            return torch.sigmoid(h, out=out)
    return h if out is None else out.copy_(h)


def _embed(torch: Any, table: Any, starts: Any, count: int, x: Any, h: Any, out: None) -> Any:
    rows = x[:, :count].long() + starts
    looked_up = torch.nn.functional.embedding(rows, table)
    return torch.cat([x[:, count:], looked_up.flatten(1)], 1)
