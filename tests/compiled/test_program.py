"""Lowering: what the kernels get."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import build, everything, network

from instmodel import _kernels
from instmodel.compiled import program


def lowered(document):
    model = build(document)
    return program.lower(model._checked, model._packed)


def test_subnormal_constants_are_zeros_of_their_sign():
    document = everything()
    document["parameters"][0] = [-1e-40] * len(document["parameters"][0])
    constants = lowered(document).constants
    assert not ((constants != 0) & (np.abs(constants) < 2.0**-126)).any()
    assert np.signbit(constants[constants == 0]).any()


@pytest.mark.parametrize(
    ("sizes", "at_least"),
    [([300, 200], 60_000), ([300, 200, 100], 80_000), ([2, 300, 200], 60_000)],
)
def test_work_counts_every_dense_layer(sizes, at_least):
    # Threads, chunks and the time between two looks at Ctrl-C are cut to it.
    work = lowered(network(sizes, [None] * (len(sizes) - 1))).work
    assert at_least <= work < 2 * at_least


def test_only_a_narrow_first_layer_that_alone_reads_the_input_is_taken_from_the_rows():
    linear = network([4, 1, 2], ["RELU", None])
    assert build(linear).first_reads_rows
    assert not build(network([4, 2, 1], ["RELU", None])).first_reads_rows
    assert not build(network([100, 9, 1], ["RELU", None])).first_reads_rows
    assert not build(network([100, 96, 1], ["RELU", None])).first_reads_rows
    narrow = build(network([100, 16, 1], ["RELU", None]))
    assert narrow.first_reads_rows == (_kernels.isa() in ("avx2", "avx512"))
    read_again = network([4, 1, 4], ["RELU", None])
    read_again["buffer_sizes"].append(4)
    read_again["instructions"].append(
        {"type": "ADD_ELEMENTWISE_BUFFERS", "input": [0, 2], "output": 3}
    )
    assert not build(read_again).first_reads_rows
    two_inputs = linear | {"feature_size": 6, "buffer_sizes": [4, 2, 1, 2]}
    two_inputs["instructions"] = [
        item | {"input": 2 * bool(item["input"]), "output": item["output"] + 1}
        for item in linear["instructions"]
    ]
    assert not build({k: v for k, v in two_inputs.items() if k != "features"}).first_reads_rows


def test_work_counts_attention():
    document = everything()
    assert build(document).work > sum(np.size(w) for w in document["weights"])
