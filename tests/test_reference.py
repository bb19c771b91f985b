"""The reference itself, against numbers worked out by hand or by Python's math module."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.documents import build, one

import instmodel as im
from instmodel import reference

NAN, INF = math.nan, math.inf


def run(document, *rows):
    """Return the unified buffers of a document for some rows of input."""
    info = im.InstructionModelInfo.from_dict(document)
    return reference.unified_buffers(info, np.array(rows, np.float32))


# activation: {x: exact value}
ACTIVATIONS = {
    "RELU": {-2.0: 0.0, -0.0: 0.0, 3.5: 3.5, -INF: 0.0, INF: INF, NAN: NAN},
    "SIGMOID": {
        0.0: 0.5,
        -80.0: math.exp(-80.0) / (1 + math.exp(-80.0)),
        80.0: 1.0,
        -INF: 0.0,
        INF: 1.0,
        NAN: NAN,
    },
    "TANH": {0.5: math.tanh(0.5), 1e-20: 1e-20, -40.0: -1.0, INF: 1.0, -INF: -1.0, NAN: NAN},
    "SQRT": {2.0: math.sqrt(2.0), -4.0: 0.0, 0.0: 0.0, INF: INF, -INF: 0.0, NAN: 0.0},
    "LOG": {
        1.0: math.log(2.0),
        1e-20: 1e-20,
        -0.5: 0.0,
        0.0: 0.0,
        INF: INF,
        -INF: 0.0,
        NAN: 0.0,
    },
    "LOG10": {9.0: 1.0, 1e-20: 1e-20 / math.log(10.0), -0.5: 0.0, INF: INF, -INF: 0.0, NAN: 0.0},
    "INVERSE": {0.25: 0.75, INF: -INF, -INF: INF, NAN: NAN},
    "GELU": {
        0.0: 0.0,
        1.0: 0.5 * (1 + math.erf(1 / math.sqrt(2))),
        -10.0: -5.0 * math.erfc(10 / math.sqrt(2)),
        20.0: 20.0,
        INF: INF,
        -INF: NAN,  # -∞ · 0 in the formula
        NAN: NAN,
    },
    "SOFTPLUS": {
        0.0: math.log(2.0),
        -50.0: math.exp(-50.0),
        50.0: 50.0 + math.exp(-50.0),
        1000.0: 1000.0,
        -INF: 0.0,
        INF: INF,
        NAN: NAN,
    },
    "EXP": {
        1.0: math.e,
        88.0: math.exp(88.0),
        100.0: math.exp(88.0),
        INF: math.exp(88.0),
        -88.0: 0.0,  # 6e-39 is subnormal in float32
        -87.0: math.exp(-87.0),
        -INF: 0.0,
        NAN: NAN,
    },
    "SIGN": {-3.0: -1.0, 0.0: 0.0, 1e-30: 1.0, INF: 1.0, -INF: -1.0, NAN: NAN},
    "RECIPROCAL": {
        3.0: 1 / 3,
        -0.125: -8.0,
        0.0: INF,
        2.0**126: 2.0**-126,
        -(2.0**127): 0.0,  # 2^-127 is subnormal in float32
        INF: 0.0,
        NAN: NAN,
    },
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    points = ACTIVATIONS[name]
    x = np.array(list(points))
    got = run(one({"type": "ACTIVATION", "input": 0, "activation": name}, [len(x)]), x)[0]
    # The inputs are rounded to float32 first, which moves 1e-20 and its like a little.
    np.testing.assert_allclose(got, list(points.values()), rtol=1e-7, atol=0)


def test_softmax():
    document = one({"type": "ACTIVATION", "input": 0, "activation": "SOFTMAX"}, [3])
    e = math.e
    total = 1 + e + e**2
    got = run(document, [0, 1, 2], [1000, 1001, 1002], [0, 0, -INF], [0, NAN, 0], [INF, 0, 0])
    np.testing.assert_allclose(got[0], [1 / total, e / total, e**2 / total], rtol=1e-15)
    np.testing.assert_allclose(got[1], got[0], rtol=1e-15)
    np.testing.assert_array_equal(got[2], [0.5, 0.5, 0.0])
    assert np.isnan(got[3:]).all()


def test_every_activation_is_tried_here():
    assert {*ACTIVATIONS, "SOFTMAX"} == set(reference.ACTIVATIONS)


# ------------------------------------------------------------------------------------ instructions

W = {"weights": [[[1.0, 2.0], [3.0, -1.0], [0.0, 0.5]]], "bias": [[10.0, 20.0, 30.0]]}
MAP = {
    "type": "MAP_TRANSFORM",
    "input": 0,
    "output": 1,
    "internal_input_index": 1,
    "internal_output_index": 1,
    "map": 0,
    "size": 2,
    "default": [-1.0, -2.0],
}
TABLE = [{"2": [1.0, 2.0], "-3": [3.0, 4.0], "0": [5.0, 6.0], "2147483647": [7.0, 8.0]}]
# name: (document, input, the whole unified buffer)
INSTRUCTIONS = {
    "DOT": (
        one({"type": "DOT", "input": 0, "output": 1, "weights": 0}, [2, 3], **W),
        [1.0, 2.0],
        [1.0, 2.0, 15.0, 21.0, 31.0],
    ),
    "DOT with RELU": (
        one(
            {"type": "DOT", "input": 0, "output": 1, "weights": 0, "activation": "RELU"},
            *([2, 3],),
            **W,
        ),
        [-20.0, 2.0],
        [-20.0, 2.0, 0.0, 0.0, 31.0],
    ),
    "ATTENTION": (
        one(
            {"type": "ATTENTION", "input": 0, "key": 1, "output": 2, "weights": 0},
            *([2, 1, 2], 3),
            weights=[[[1.0], [0.0]]],
            bias=[[0.0, 0.0]],
        ),
        [8.0, 12.0, math.log(3.0)],
        [8.0, 12.0, np.float32(math.log(3.0)), 6.0, 3.0],
    ),
    "COPY": (
        one({"type": "COPY", "input": 0, "output": 1, "internal_index": 1}, [2, 4]),
        [1.0, 2.0],
        [1.0, 2.0, 0.0, 1.0, 2.0, 0.0],
    ),
    "COPY_MASKED": (
        one({"type": "COPY_MASKED", "input": 0, "output": 1, "indexes": [2, 0, 2]}, [3, 4]),
        [1.0, 2.0, 3.0],
        [1.0, 2.0, 3.0, 3.0, 1.0, 3.0, 0.0],
    ),
    "ACTIVATION": (
        one({"type": "ACTIVATION", "input": 1, "activation": "INVERSE"}, [1, 2]),
        [5.0],
        [5.0, 1.0, 1.0],
    ),
    "ADD_ELEMENTWISE": (
        one(
            {"type": "ADD_ELEMENTWISE", "input": 0, "parameters": 0}, [2], parameters=[[1.0, -2.0]]
        ),
        [1.0, 2.0],
        [2.0, 0.0],
    ),
    "MUL_ELEMENTWISE": (
        one(
            {"type": "MUL_ELEMENTWISE", "input": 0, "parameters": 0}, [2], parameters=[[3.0, -2.0]]
        ),
        [1.0, 2.0],
        [3.0, -4.0],
    ),
    "CLIP_ELEMENTWISE": (
        one(
            {"type": "CLIP_ELEMENTWISE", "input": 0, "parameters_min": 0, "parameters_max": 1},
            [5],
            parameters=[[0.0, 0.0, 0.0, 4.0, 0.0], [1.0, 1.0, 1.0, 3.0, 1.0]],
        ),
        [-1.0, 0.5, 2.0, 3.5, NAN],
        [0.0, 0.5, 1.0, 3.0, NAN],  # where the bounds cross, the upper one wins
    ),
    "CLIP_ELEMENTWISE below": (
        one(
            {"type": "CLIP_ELEMENTWISE", "input": 0, "parameters_min": 0},
            [2],
            parameters=[[0.0, 0.0]],
        ),
        [-1.0, INF],
        [0.0, INF],
    ),
    "CLIP_ELEMENTWISE above": (
        one(
            {"type": "CLIP_ELEMENTWISE", "input": 0, "parameters_max": 0},
            [2],
            parameters=[[0.0, 0.0]],
        ),
        [-INF, 1.0],
        [-INF, 0.0],
    ),
    "ADD_ELEMENTWISE_BUFFERS": (
        one({"type": "ADD_ELEMENTWISE_BUFFERS", "input": [0, 1, 0], "output": 1}, [2, 2], 4),
        [1.0, 2.0, 10.0, 20.0],
        [1.0, 2.0, 12.0, 24.0],
    ),
    "MULTIPLY_ELEMENTWISE_BUFFERS": (
        one({"type": "MULTIPLY_ELEMENTWISE_BUFFERS", "input": [0, 1, 1], "output": 0}, [2, 2], 4),
        [1.0, 2.0, 10.0, 20.0],
        [100.0, 800.0, 10.0, 20.0],
    ),
    "ADD_BUFFER_HEADS": (
        one({"type": "ADD_BUFFER_HEADS", "input": [0, 1], "output": 2}, [6, 2, 6], 8),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 20.0],
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 20.0, 11.0, 12.0, 13.0, 24.0, 25.0, 26.0],
    ),
    "MULTIPLY_BUFFER_HEADS": (
        one({"type": "MULTIPLY_BUFFER_HEADS", "input": [0, 1], "output": 0}, [4, 2], 6),
        [1.0, 2.0, 3.0, 4.0, 10.0, -1.0],
        [10.0, 20.0, -3.0, -4.0, 10.0, -1.0],
    ),
    "REDUCE_SUM": (
        one({"type": "REDUCE_SUM", "input": 0, "output": 1}, [3, 1]),
        [1.0, 2.0, 4.0],
        [1.0, 2.0, 4.0, 7.0],
    ),
    "MAP_TRANSFORM": (
        one(MAP, [2, 4], maps=TABLE),
        [9.0, 2.0],
        [9.0, 2.0, 0.0, 1.0, 2.0, 0.0],
    ),
    "a map of nothing": (one(MAP, [2, 4], maps=[{}]), [9.0, 2.0], [9.0, 2.0, 0.0, -1.0, -2.0, 0.0]),
    "a dense sum that overflows on its way": (
        one(
            {"type": "DOT", "input": 0, "output": 1, "weights": 0},
            *([3, 1],),
            weights=[[[1.0, 1.0, 1.0]]],
            bias=[[0.0]],
        ),
        [3e38, 3e38, -3e38],
        [np.float32(3e38), np.float32(3e38), np.float32(-3e38), INF],
    ),
    "a sum of float64 that does not": (
        one({"type": "REDUCE_SUM", "input": 0, "output": 1}, [3, 1]),
        [3e38, 3e38, -3e38],
        [np.float32(3e38), np.float32(3e38), np.float32(-3e38), np.float32(3e38)],
    ),
    "zero times infinity": (
        one(
            {"type": "DOT", "input": 0, "output": 1, "weights": 0},
            *([2, 1],),
            weights=[[[0.0, 1.0]]],
            bias=[[0.0]],
        ),
        [INF, 1.0],
        [INF, 1.0, NAN],
    ),
}


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instruction(name):
    document, x, expected = INSTRUCTIONS[name]
    np.testing.assert_allclose(run(document, x)[0], expected, rtol=1e-7, atol=0)


@pytest.mark.filterwarnings("ignore:maps")  # that nothing finds one of the keys
@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_the_engine_has_the_same_numbers(name, rows):
    document, x, expected = INSTRUCTIONS[name]
    model = build(document)
    whole = im.PredictConfig(buffer_slice=(0, model.required_memory))
    got = np.asarray(model.predict_parallel([x] * rows, whole))
    np.testing.assert_allclose(got, [expected] * rows, rtol=1e-6, atol=0)


@pytest.mark.parametrize("bound", ["parameters_min", "parameters_max"])
def test_a_clip_leaves_zeros_their_sign(bound):
    clip = {"type": "CLIP_ELEMENTWISE", "input": 0, bound: 0}
    model = build(one(clip, [4], parameters=[[0.0, -0.0, 0.0, -0.0]]))
    x = [[0.0, 0.0, -0.0, -0.0]]
    for found in (reference.predict(model.info, x), model.predict(x)):
        assert np.signbit(found).tolist() == np.signbit(x).tolist()


def test_every_instruction_is_tried_here():
    tried = {
        item["type"]
        for document, _, _ in INSTRUCTIONS.values()
        for item in document["instructions"]
    }
    assert tried == set(reference.INSTRUCTIONS)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (2.0, 1.0),
        (1.5, 1.0),  # halves go away from zero
        (2.4999998, 1.0),
        (2.5, -1.0),
        (-2.5, 3.0),
        (-3.4, 3.0),
        (-3.5, -1.0),
        (0.49999997, 5.0),
        (-0.49999997, 5.0),
        (0.5, -1.0),
        (-0.0, 5.0),
        (1e-40, 5.0),
        (2147483520.0, -1.0),
        (2147483648.0, -1.0),
        (-2147483648.0, -1.0),
        (1e30, -1.0),
        (NAN, -1.0),
        (INF, -1.0),
        (-INF, -1.0),
    ],
)
def test_map_key(value, found):
    assert run(one(MAP, [2, 4], maps=TABLE), [0.0, value])[0, 3] == found


def test_the_largest_and_smallest_keys():
    assert reference._map_key(2147483647.4) == 2147483647
    assert reference._map_key(2147483647.5) is None
    assert reference._map_key(-2147483648.4) == -2147483648
    assert reference._map_key(-2147483648.5) is None
    assert reference._map_key(0.49999999999999994) == 0


def test_values_have_the_range_of_float32():
    document = one(
        {"type": "MUL_ELEMENTWISE", "input": 0, "parameters": 0}, [4], parameters=[[1e20] * 4]
    )
    got = run(document, [1e20, -1e20, 1e-40, 3e18])[0]
    np.testing.assert_allclose(got, [INF, -INF, 0.0, 3e38], rtol=1e-6)
    document["parameters"] = [[1e-30, 1e-30, -1e-30, 1e-40]]
    got = run(document, [1e-8, 1e-9, 1e-9, 1e30])[0]
    np.testing.assert_array_equal(got, [0.0, 0.0, -0.0, 0.0])
    assert np.signbit(got).tolist() == [False, False, True, False]


def test_one_sample_and_many():
    info = im.InstructionModelInfo.from_dict(INSTRUCTIONS["DOT"][0])
    assert reference.predict(info, [1.0, 2.0]).shape == (1, 3)
    assert reference.predict(info, np.zeros((5, 2))).shape == (5, 3)
    assert reference.predict(info, np.zeros((0, 2))).shape == (0, 3)


# -------------------------------------------------------------------------------------- sequences


def two_states():
    """h' = tanh(W·[x, h] + b), and a sum that fades: s' = (s + h') / 2; the output is s'."""
    return {
        #               x  h  both  s
        "feature_size": 2,
        "buffer_sizes": [2, 3, 5, 3],
        "instructions": [
            {"type": "COPY", "input": 1, "output": 2, "internal_index": 2},
            {"type": "COPY", "input": 0, "output": 2, "internal_index": 0},
            {"type": "DOT", "input": 2, "output": 1, "weights": 0, "activation": "TANH"},
            {"type": "ADD_ELEMENTWISE_BUFFERS", "input": [3, 1], "output": 3},
            {"type": "MUL_ELEMENTWISE", "input": 3, "parameters": 1},
        ],
        "state": [{"buffer": 3, "initial": 0}, {"buffer": 1}],
        "weights": [[[0.5, -1, 0.25, 0, 1], [-0.25, 0.5, 0, 1, -2], [1, 0.125, -0.5, 0.5, 0]]],
        "bias": [[0.5, 0.0, -0.25]],
        "parameters": [[1.0, -2.0, 4.0], [0.5, 0.5, 0.5]],
    }


def by_hand(steps, s, h):
    """Return the outputs of `two_states` for some steps, and the state that they leave."""
    document = two_states()
    w, b = document["weights"][0], document["bias"][0]
    outputs = []
    for x in steps:
        both = [*x, *h]
        h = [
            math.tanh(sum(map(math.prod, zip(row, both, strict=True))) + c)
            for row, c in zip(w, b, strict=True)
        ]
        s = [(old + new) / 2 for old, new in zip(s, h, strict=True)]
        outputs.append(s)
    return outputs, [*s, *h]


SEQUENCES = [
    [[1.0, -0.5], [0.25, 2.0], [-3.0, 0.0]],
    [],
    [[0.5, 0.5]],
    [[1.0, 1.0], [-1.0, 1.0], [0.0, 0.0], [0.5, -2.0]],
]


def info_of(document):
    return im.InstructionModelInfo.from_dict(document)


def test_sequences_step_by_step():
    outputs, state = reference.predict_sequences(info_of(two_states()), SEQUENCES)
    assert [len(item) for item in outputs] == [3, 0, 1, 4]
    for steps, got, left in zip(SEQUENCES, outputs, state, strict=True):
        expected, after = by_hand(steps, [1.0, -2.0, 4.0], [0.0, 0.0, 0.0])
        np.testing.assert_allclose(got, np.reshape(expected, (-1, 3)), rtol=1e-14)
        np.testing.assert_allclose(left, after, rtol=1e-14)


def test_sequences_that_go_on():
    info, before = info_of(two_states()), np.arange(24.0).reshape(4, 6)
    outputs, state = reference.predict_sequences(info, SEQUENCES, before)
    for i, steps in enumerate(SEQUENCES):
        expected, after = by_hand(steps, before[i, :3], before[i, 3:])
        np.testing.assert_allclose(outputs[i], np.reshape(expected, (-1, 3)), rtol=1e-14)
        np.testing.assert_allclose(state[i], after, rtol=1e-14)
    np.testing.assert_array_equal(before, np.arange(24.0).reshape(4, 6))


def test_what_is_no_state_starts_as_zeros_in_each_step():
    # Buffer 1 counts the steps; buffer 2 is changed in place and would count, too, if it were kept.
    document = {
        "feature_size": 1,
        "buffer_sizes": [1, 1, 1, 2],
        "instructions": [
            {"type": "ADD_ELEMENTWISE", "input": 1, "parameters": 0},
            {"type": "ADD_ELEMENTWISE", "input": 2, "parameters": 0},
            {"type": "COPY", "input": 1, "output": 3, "internal_index": 0},
            {"type": "COPY", "input": 2, "output": 3, "internal_index": 1},
        ],
        "state": [{"buffer": 1}],
        "weights": [],
        "bias": [],
        "parameters": [[1.0]],
    }
    (output,), state = reference.predict_sequences(info_of(document), [np.zeros((3, 1))])
    assert output.tolist() == [[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]
    assert state.tolist() == [[3.0]]


def test_one_step_of_a_recurrent_model():
    info = info_of(two_states())
    (step,), _ = by_hand([[1.0, -0.5]], [1.0, -2.0, 4.0], [0.0] * 3)
    np.testing.assert_allclose(reference.predict(info, [1.0, -0.5]), [step], rtol=1e-14)
    (step,), _ = by_hand([[1.0, -0.5]], [0.0] * 3, [1.0] * 3)
    unified = reference.unified_buffers(info, [1.0, -0.5], [[0.0] * 3 + [1.0] * 3])
    np.testing.assert_allclose(unified[:, -3:], [step], rtol=1e-14)


def test_sequences_of_a_model_without_state_are_rows():
    info = info_of(INSTRUCTIONS["DOT"][0])
    (output,), state = reference.predict_sequences(info, [[[1.0, 2.0], [0.5, -1.0]]])
    np.testing.assert_array_equal(output, reference.predict(info, [[1.0, 2.0], [0.5, -1.0]]))
    assert state.shape == (1, 0)
    assert reference.predict_sequences(info, []) == ([], pytest.approx(np.zeros((0, 0))))


def test_the_input_is_not_changed():
    info = im.InstructionModelInfo.from_dict(INSTRUCTIONS["ADD_ELEMENTWISE"][0])
    x = np.ones((2, 2))
    reference.predict(info, x)
    assert (x == 1).all()
