"""Packed dense layers: the layout that kernels and binary files share."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import build, dense, network

from instmodel.compiled.panels import PackedWeights


def layer(rows, cols):
    w = np.arange(1, rows * cols + 1, dtype=np.float32).reshape(rows, cols)
    return w, -np.arange(1, rows + 1, dtype=np.float32)


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 32, 40])
@pytest.mark.parametrize("cols", [1, 3, 40])
def test_panels_hold_every_weight_once_in_the_documented_order(rows, cols):
    w, b = layer(rows, cols)
    packed = PackedWeights.pack([w], [b]).layer(0)
    assert sorted(packed) == sorted([*w.ravel(), *b])
    # Panel by panel: the biases of 16 outputs, then their weights of one input after the other.
    start = 0
    for first in range(0, rows, 16):
        panel = slice(first, min(first + 16, rows))
        expected = np.concatenate([b[panel], w[panel].T.ravel()])
        np.testing.assert_array_equal(packed[start : start + len(expected)], expected)
        start += len(expected)


def test_unpacking_gives_every_layer_back():
    layers = [layer(17, 5), layer(1, 30), layer(48, 1)]
    packed = PackedWeights.pack(*zip(*layers, strict=True))
    for index, (w, b) in enumerate(layers):
        weights, bias = packed.unpack(index)
        np.testing.assert_array_equal(weights, w)
        np.testing.assert_array_equal(bias, b)


def test_layers_start_at_cache_lines():
    packed = PackedWeights.pack(*zip(layer(3, 2), layer(5, 7), strict=True))
    assert packed.arena.ctypes.data % 64 == 0
    assert all(start % 16 == 0 for start in packed.starts)


def test_shared_weights_are_packed_once():
    document = network([3, 3, 3], [None, None])
    twice = build(document)._packed.arena.size
    document["instructions"][1]["weights"] = 0
    document["weights"].pop()
    document["bias"].pop()
    assert build(document)._packed.arena.size < twice


def test_subnormal_weights_stay_in_the_document():
    document = dense()
    document["weights"][0][0] = [1e-40, -1e-40]
    kept = build(document).info.weights[0][0]
    np.testing.assert_array_equal(kept, np.array([1e-40, -1e-40], np.float32))
    assert kept.any()
