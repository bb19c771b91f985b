"""Lowering: what the kernels get."""

from __future__ import annotations

import numpy as np
import pytest
from documents import build, dense, everything, network

from instmodel import _kernels, program


def lowered(document):
    return program.lower(build(document)._checked)


def test_the_kernels_have_the_same_constants():
    assert (program.PANEL, program.PADDING) == (_kernels.PANEL, _kernels.PADDING)


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 32, 40])
@pytest.mark.parametrize("cols", [1, 3])
def test_panels_hold_every_weight_once(rows, cols):
    w = np.arange(1, rows * cols + 1, dtype=np.float32).reshape(rows, cols)
    b = -np.arange(1, rows + 1, dtype=np.float32)
    packed = program.pack_panels(w, b)
    assert sorted(packed) == sorted([*w.ravel(), *b])
    # Panel by panel: the biases of 16 outputs, then their weights of one input after the other.
    start = 0
    for first in range(0, rows, 16):
        panel = slice(first, min(first + 16, rows))
        expected = np.concatenate([b[panel], w[panel].T.ravel()])
        np.testing.assert_array_equal(packed[start : start + len(expected)], expected)
        start += len(expected)


def test_constants_start_at_cache_lines_and_are_padded():
    code = lowered(everything())
    assert code.constants.ctypes.data % 64 == 0
    assert code.constants.dtype == np.float32
    assert (code.constants[-program.PADDING :] == 0).all()


def test_shared_weights_are_packed_once():
    document = network([3, 3, 3], [None, None])
    twice = len(lowered(document).constants)
    document["instructions"][1]["weights"] = 0
    document["weights"].pop()
    document["bias"].pop()
    assert len(lowered(document).constants) < twice


def test_subnormal_constants_are_zeros_of_their_sign():
    document = dense()
    document["weights"][0][0] = [1e-40, -1e-40]
    constants = lowered(document).constants
    small = constants[(constants != 0) & (np.abs(constants) < 2.0**-126)]
    assert small.size == 0
    assert build(document).info.weights[0][0].tolist() != [0.0, 0.0], "the document keeps them"


@pytest.mark.parametrize(
    ("sizes", "at_least"),
    [([300, 200], 60_000), ([300, 200, 100], 80_000), ([2, 300, 200], 60_000)],
)
def test_work_counts_every_dense_layer(sizes, at_least):
    # Threads, chunks and the time between two looks at Ctrl-C are cut to it.
    model = build(network(sizes, [None] * (len(sizes) - 1)))
    assert at_least <= model.work < 2 * at_least


def test_work_counts_attention():
    document = everything()
    assert build(document).work > sum(np.size(w) for w in document["weights"])
