"""What a prediction allocates: nothing but its result, and one tile for each thread."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from support.documents import build, everything, network


def peak_of(call):
    """Return the bytes that `call` had allocated at its worst."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_predicting_into_out_allocates_nothing_after_the_first_call(rows):
    model = build(everything())
    x = np.ones((rows, model.feature_size), np.float32)
    out = np.empty((rows, model.output_size), np.float32)
    model.predict(x, out=out)
    assert peak_of(lambda: model.predict(x, out=out)) < 256  # the frame and its arguments


def test_the_first_call_allocates_one_tile():
    model = build(everything())
    x = np.ones((1000, model.feature_size), np.float32)
    out = np.empty((1000, model.output_size), np.float32)
    tile = model.tile_samples * model.required_memory * 4
    assert tile <= peak_of(lambda: model.predict(x, out=out)) < tile + 2048


def test_a_thread_of_a_middling_network_needs_at_most_256_kib():
    model = build(network([250, 300, 200], ["RELU", "SIGMOID"]))
    assert model.tile_samples * model.required_memory * 4 <= 256 * 1024


def test_other_types_are_converted_piece_by_piece():
    model = build(network([4, 1], [None]))
    x = np.ones((1_000_000, 4))  # float64
    result = 4 * len(x)
    assert peak_of(lambda: model.predict(x)) < result + x.nbytes / 4


def test_absent_bounds_of_clips_cost_one_vector():
    size, count = 100_000, 50
    clip = {"type": "CLIP_ELEMENTWISE", "input": 0, "parameters_min": 0}
    document = {
        "feature_size": size,
        "buffer_sizes": [size, 1],
        "instructions": [clip] * count + [{"type": "REDUCE_SUM", "input": 0, "output": 1}],
        "weights": [],
        "bias": [],
        "parameters": [[0.0] * size],
    }
    assert peak_of(lambda: build(document)) < 20 * 4 * size
