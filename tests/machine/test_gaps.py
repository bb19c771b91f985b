"""What no instruction writes reads as 0, for every sample."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import build

import instmodel as im

ROWS = 100
COPY = {"type": "COPY", "input": 0, "output": 1, "internal_index": 1}
MASK = {"type": "COPY_MASKED", "input": 0, "output": 1, "indexes": [1]}
MAP = {
    "type": "MAP_TRANSFORM",
    "input": 0,
    "output": 1,
    "internal_input_index": 0,
    "internal_output_index": 2,
    "map": 0,
    "size": 1,
    "default": [5.0],
}
INVERSE = {"type": "ACTIVATION", "input": 1, "activation": "INVERSE"}
EXP = {"type": "ACTIVATION", "input": 1, "activation": "EXP"}
ADD = {"type": "ADD_ELEMENTWISE", "input": 1, "parameters": 0}
SUM = {"type": "REDUCE_SUM", "input": 1, "output": 2}
DOT = {"type": "DOT", "input": 1, "output": 2, "weights": 0}
ADD_ONES = {"parameters": [[1.0] * 4]}
DOT_ONES = {"weights": [[[1.0] * 4]], "bias": [[0.0]]}


def gap_model(instructions, output=1, **parts):
    """Two features, a buffer of 4 with a gap, and `output` values from it."""
    return {
        "feature_size": 2,
        "buffer_sizes": [2, 4, output],
        "instructions": instructions,
        "weights": [],
        "bias": [],
        **parts,
    }


# name: (document, the unified buffer that (3, 7) gives)
CASES = {
    "a copy in the middle": (gap_model([COPY, SUM]), [3, 7, 0, 3, 7, 0, 10]),
    "a masked copy at the start": (gap_model([MASK, SUM]), [3, 7, 7, 0, 0, 0, 7]),
    "a map at the end": (gap_model([MAP, SUM], maps=[{"3": [9.0]}]), [3, 7, 0, 0, 9, 0, 9]),
    "a masked copy of nothing": (
        gap_model([{**MASK, "indexes": []}, SUM]),
        [3, 7, 0, 0, 0, 0, 0],
    ),
    "nothing before an in-place change": (gap_model([INVERSE, SUM]), [3, 7, 1, 1, 1, 1, 4]),
    "in place on a gap": (gap_model([COPY, INVERSE, SUM]), [3, 7, 1, -2, -6, 1, -6]),
    "twice in place on a gap": (
        gap_model([COPY, ADD, ADD, SUM], **ADD_ONES),
        [3, 7, 2, 5, 9, 2, 18],
    ),
    "written after it was changed in place": (
        gap_model([ADD, COPY, ADD, SUM], **ADD_ONES),
        [3, 7, 2, 4, 8, 2, 16],
    ),
    "in place before and after two copies": (
        gap_model([COPY, INVERSE, {**COPY, "internal_index": 2}, INVERSE, SUM]),
        [3, 7, 0, 3, -2, -6, -5],
    ),
    "read, then written": (
        gap_model([SUM, COPY, {"type": "ACTIVATION", "input": 1, "activation": "RELU"}]),
        [3, 7, 0, 3, 7, 0, 0],
    ),
    "a buffer that nothing touches": (
        {
            "feature_size": 2,
            "buffer_sizes": [2, 3, 1],
            "instructions": [{"type": "REDUCE_SUM", "input": 0, "output": 2}],
            "weights": [],
            "bias": [],
        },
        [3, 7, 0, 0, 0, 10],
    ),
    "an output that nothing touches": (
        gap_model([INVERSE], output=3),
        [3, 7, 1, 1, 1, 1, 0, 0, 0],
    ),
    "a dense layer over a gap": (gap_model([COPY, EXP, DOT], **DOT_ONES), None),
}


@pytest.mark.parametrize("name", CASES)
def test_gaps_read_zero_for_every_sample(name):
    document, expected = CASES[name]
    model = build(document)
    if expected is None:
        e = np.exp([0.0, 3.0, 7.0, 0.0])
        expected = [3, 7, *e, e.sum()]
    x = np.tile(np.float32([3, 7]), (ROWS, 1))
    whole = (0, model.required_memory)
    for threads in (1, 2):
        config = im.PredictConfig(threads=threads, buffer_slice=whole)
        got = np.asarray(model.predict_parallel(x, config))
        np.testing.assert_allclose(got, np.tile(np.float32(expected), (ROWS, 1)), rtol=1e-6)
    for _ in range(2):  # again, in a workspace that was used
        expected_output = np.float32(expected)[model.output_index_start :]
        np.testing.assert_allclose(model.predict(x), np.tile(expected_output, (ROWS, 1)), rtol=1e-6)
        np.testing.assert_allclose(model.predict(x[0]), expected_output, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dirt", [7.5, np.nan, np.inf, 1e-40])
def test_gaps_read_zero_in_a_dirty_buffer(name, dirt):
    model = build(CASES[name][0])
    config = im.PredictConfig(buffer_slice=(0, model.required_memory))
    expected = np.asarray(model.predict_parallel(np.float32([[3, 7]]), config))[0]
    buffer = np.full(model.required_memory, np.float32(dirt))
    for _ in range(2):  # the second time, the first run's results are the dirt
        buffer[:2] = 3, 7
        model.predict_with_buffer(buffer)
        np.testing.assert_array_equal(buffer.view(np.uint32), expected.view(np.uint32))


def test_samples_of_hostile_values_leave_nothing_in_the_gaps_of_others():
    model = build(CASES["in place on a gap"][0])
    x = np.tile(np.float32([3, 7]), (ROWS, 1))
    expected = model.predict(x)
    model.predict(np.full((ROWS, 2), np.float32(np.nan)))
    np.testing.assert_array_equal(model.predict(x), expected)
    x[::2] = np.inf
    np.testing.assert_array_equal(model.predict(x)[1::2], expected[1::2])
