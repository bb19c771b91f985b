"""A few rows run side by side, each in its own buffer: how many, and with the bits of a tile."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import build, everything, network
from support.strategies import samples

import instmodel as im
from instmodel import _kernels

LANES = {"avx512": 16, "avx2": 8, "neon": 4, "generic": 1}[_kernels.isa()]


def then_wide(document, sizes=(300, 300, 2)):
    """Append dense layers, so many that a tile of a few rows would be mostly waste."""
    last = len(document["buffer_sizes"]) - 1
    layers = network([document["buffer_sizes"][-1], *sizes], ["TANH", None, "SOFTMAX"])
    moved = [
        item
        | {"input": item["input"] + last, "output": item["output"] + last}
        | {"weights": item["weights"] + len(document["weights"])}
        for item in layers["instructions"]
    ]
    return document | {
        "buffer_sizes": [*document["buffer_sizes"], *sizes],
        "instructions": [*document["instructions"], *moved],
        "weights": document["weights"] + layers["weights"],
        "bias": document["bias"] + layers["bias"],
    }


def with_a_gap():
    """Values 0 and 3 of a buffer are written by nobody, so they read as 0."""
    copy = {"type": "COPY", "input": 0, "output": 1, "internal_index": 1}
    return {
        "feature_size": 2,
        "buffer_sizes": [2, 4],
        "instructions": [copy, {"type": "ACTIVATION", "input": 1, "activation": "EXP"}],
        "weights": [],
        "bias": [],
    }


MODELS = {
    "every instruction": then_wide(everything()),
    "a gap": then_wide(with_a_gap()),
    "weights beyond L2": network([300, 1000, 250], ["RELU", "SIGMOID"]),
    "panels that are not full": network([200, 151, 310, 7], ["RELU", "GELU", None]),
    "narrow layers": network([30, 16, 8, 1], ["RELU", "RELU", "SIGMOID"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_1_to_40_rows_have_the_bits_of_each_row_alone(name):
    model = build(MODELS[name])
    share = min(0.1, 1 / model.feature_size)
    x = samples(40, model.feature_size, 3, hostile=True, share=share)
    whole = im.PredictConfig(buffer_slice=(0, model.required_memory))
    alone = np.concatenate([np.asarray(model.predict_parallel(row[None], whole)) for row in x])
    for rows in range(1, 41):
        found = np.asarray(model.predict_parallel(x[:rows], whole))
        np.testing.assert_array_equal(found.view(np.uint32), alone[:rows].view(np.uint32))


def test_rows_that_a_tile_left_behind_do_not_reach_the_gaps_of_a_few():
    model = build(MODELS["a gap"])
    x = samples(100, 2, 0)
    model.predict(x)
    whole = im.PredictConfig(buffer_slice=(2, 6), threads=1)
    found = np.asarray(model.predict_parallel(x[:3], whole))
    np.testing.assert_array_equal(found[:, [0, 3]], np.ones((3, 2)))


@pytest.mark.parametrize("name", MODELS)
def test_fewer_than_the_lanes_of_a_vector(name):
    model = build(MODELS[name])
    assert 1 <= model.few_samples <= max(1, LANES - 1)
    assert model.few_samples < model.tile_samples or LANES == 1


@pytest.mark.skipif(LANES == 1, reason="there is no choice without vectors")
def test_how_many_depends_on_what_a_tile_would_waste():
    def few(*sizes, last=None):
        return build(network(sizes, ["RELU"] * (len(sizes) - 2) + [last])).few_samples

    assert few(250, 300, 200) == LANES - 1  # its vectors are full either way
    assert few(250, 1) == 1  # a vector with one output would have one lane in use
    assert few(250, 1) < few(30, 16, 8, 1) < few(250, 300, 200)
    assert few(64, 100, last="SOFTMAX") < few(64, 100)  # what is no product, a row at a time
    # Weights that are read from beyond L2 once in any case: a tile reads them while it computes.
    assert few(2000, 1000) < few(500, 500)
