"""Small valid documents, and the conformance cases, for every test to start from."""

from __future__ import annotations

import copy
import dataclasses
import gzip
import json
import pickle
from functools import cache

import numpy as np
import pytest

import instmodel as im
from instmodel.document.constants import share_constants
from support.paths import TESTS

GOLDEN = TESTS / "golden"

# For a test whose maps have keys that float32 cannot hold: a model of them warns when it is built.
with_lost_keys = pytest.mark.filterwarnings(r"ignore:maps\[.*float32 cannot hold:UserWarning")


def dense():
    """2 features -> 3 -> 1, with an in-place instruction in the middle."""
    return {
        "features": ["a", "b"],
        "buffer_sizes": [2, 3, 1],
        "instructions": [
            {"type": "DOT", "input": 0, "output": 1, "weights": 0, "activation": "TANH"},
            {"type": "MUL_ELEMENTWISE", "input": 1, "parameters": 0},
            {"type": "DOT", "input": 1, "output": 2, "weights": 1, "activation": "SIGMOID"},
        ],
        "weights": [[[1.0, -0.5], [0.25, 0.75], [-1.5, 2.0]], [[0.5, -1.0, 0.125]]],
        "bias": [[0.1, -0.2, 0.3], [0.05]],
        "parameters": [[1.5, -0.5, 2.0]],
    }


def recurrent():
    """A vanilla cell of 2 features and 3 states that are not 0 at first, and one output."""
    return {
        "features": ["a", "b"],
        #               x  h  both  y
        "buffer_sizes": [2, 3, 5, 1],
        "instructions": [
            {"type": "COPY", "input": 0, "output": 2, "internal_index": 0},
            {"type": "COPY", "input": 1, "output": 2, "internal_index": 2},
            {"type": "DOT", "input": 2, "output": 1, "weights": 0, "activation": "TANH"},
            {"type": "DOT", "input": 1, "output": 3, "weights": 1, "activation": "SIGMOID"},
        ],
        "state": [{"buffer": 1, "initial": 0}],
        "weights": [
            [
                [0.5, -0.25, 0.75, -0.5, 0.125],
                [-1.0, 0.5, 0.25, 0.5, -0.75],
                [0.25, 1.0, -0.5, 0.25, 0.5],
            ],
            [[1.0, -0.5, 0.25]],
        ],
        "bias": [[0.1, -0.2, 0.3], [0.05]],
        "parameters": [[0.5, -0.25, 1.0]],
    }


def two_states():
    """Two state buffers, listed backwards; what lies between them is partly never written."""
    return {
        "feature_size": 2,
        #                x  s  gap t  y
        "buffer_sizes": [2, 2, 5, 3, 10],
        "instructions": [
            {"type": "COPY", "input": 1, "output": 2, "internal_index": 2},
            {"type": "ACTIVATION", "input": 2, "activation": "INVERSE"},
            {"type": "COPY", "input": 2, "output": 4, "internal_index": 0},
            {"type": "COPY", "input": 3, "output": 4, "internal_index": 5},
            {"type": "COPY", "input": 0, "output": 4, "internal_index": 8},
            {"type": "DOT", "input": 4, "output": 1, "weights": 0, "activation": "TANH"},
            {"type": "DOT", "input": 1, "output": 3, "weights": 1},
        ],
        "state": [{"buffer": 3, "initial": 0}, {"buffer": 1}],
        "weights": [
            np.linspace(-1, 1, 20).reshape(2, 10).tolist(),
            np.linspace(-1, 1, 6).reshape(3, 2).tolist(),
        ],
        "bias": [[0.25, -0.5], [0.1, 0.2, 0.3]],
        "parameters": [[0.5, -0.25, 1.0]],
    }


def running_sum():
    """The state is the output: what the features of the steps so far sum up to."""
    return {
        "feature_size": 3,
        "buffer_sizes": [3, 3],
        "instructions": [{"type": "ADD_ELEMENTWISE_BUFFERS", "input": [0, 1], "output": 1}],
        "state": [{"buffer": 1}],
        "weights": [],
        "bias": [],
    }


def everything():
    """One valid document with each of the 14 instructions, by name of the instruction.

    The values are such that every instruction changes what the last buffer ends with.
    """
    return {
        "features": ["x[4]", "key", "extra"],
        #               0  1  2  3  4  5  6  7  8  9
        "buffer_sizes": [6, 4, 4, 4, 2, 4, 4, 1, 5, 2],
        "instructions": [
            {"type": "COPY_MASKED", "input": 0, "output": 1, "indexes": [3, 0, 1, 1]},
            {"type": "ADD_ELEMENTWISE", "input": 1, "parameters": 0},
            {"type": "MUL_ELEMENTWISE", "input": 1, "parameters": 1},
            {
                "type": "CLIP_ELEMENTWISE",
                "input": 1,
                "parameters_min": 2,
                "parameters_max": 3,
            },
            {"type": "ACTIVATION", "input": 1, "activation": "TANH"},
            {"type": "DOT", "input": 0, "output": 2, "weights": 0, "activation": "SOFTPLUS"},
            {"type": "ATTENTION", "input": 1, "key": 0, "output": 3, "weights": 0},
            {
                "type": "MAP_TRANSFORM",
                "input": 0,
                "output": 4,
                "internal_input_index": 4,
                "internal_output_index": 0,
                "map": 0,
                "size": 2,
                "default": [0.5, -0.5],
            },
            {"type": "ADD_BUFFER_HEADS", "input": [3, 4], "output": 5},
            {"type": "MULTIPLY_BUFFER_HEADS", "input": [2, 4], "output": 6},
            {"type": "ADD_ELEMENTWISE_BUFFERS", "input": [5, 6, 1], "output": 5},
            {"type": "MULTIPLY_ELEMENTWISE_BUFFERS", "input": [5, 2], "output": 6},
            {"type": "REDUCE_SUM", "input": 6, "output": 7},
            {"type": "COPY", "input": 5, "output": 8, "internal_index": 0},
            {"type": "COPY", "input": 7, "output": 8, "internal_index": 4},
            {"type": "DOT", "input": 8, "output": 9, "weights": 1, "activation": "SOFTMAX"},
        ],
        "weights": [
            [
                [0.5, -0.25, 0.75, 1.0, 0.125, -0.5],
                [-0.75, 0.5, 0.25, -1.0, 0.25, 0.375],
                [1.25, 0.125, -0.5, 0.5, -0.125, 0.25],
                [0.25, 0.75, 0.5, -0.25, 0.0625, 1.0],
            ],
            [[0.3, -0.2, 0.1, 0.4, 0.05], [-0.1, 0.6, -0.3, 0.2, -0.02]],
        ],
        "bias": [[0.1, 0.2, -0.3, 0.05], [0.01, -0.02]],
        "parameters": [
            [0.5, -0.5, 0.25, 1.0],
            [1.5, 2.0, -1.0, 0.5],
            [-1.0, -1.0, -1.0, -1.0],
            [2.0, 2.0, 2.0, 2.0],
        ],
        "maps": [{"1": [1.0, 2.0], "2": [-1.0, 0.25], "-3": [0.125, 4.0]}],
    }


def identity(size=3, *more_sizes):
    """An input buffer that is the output too, and an instruction that changes nothing."""
    return {
        "feature_size": size,
        "buffer_sizes": [size, *more_sizes],
        "instructions": [{"type": "COPY", "input": 0, "output": 0, "internal_index": 0}],
        "weights": [],
        "bias": [],
    }


def one(instruction, sizes, feature_size=None, **parts):
    """A document of one instruction; `parts` are its weights, bias, parameters, maps …"""
    return {
        "feature_size": sizes[0] if feature_size is None else feature_size,
        "buffer_sizes": list(sizes),
        "instructions": [instruction],
        "weights": [],
        "bias": [],
        **parts,
    }


def network(sizes, activations, seed=0):
    """A plain multi-layer network; `activations` has one name (or None) per layer."""
    rng = np.random.default_rng(seed)
    document = {
        "feature_size": sizes[0],
        "buffer_sizes": list(sizes),
        "instructions": [],
        "weights": [],
        "bias": [],
    }
    for layer, activation in enumerate(activations):
        rows, cols = sizes[layer + 1], sizes[layer]
        instruction = {"type": "DOT", "input": layer, "output": layer + 1, "weights": layer}
        if activation:
            instruction["activation"] = activation
        document["instructions"].append(instruction)
        w = rng.normal(0, 1 / np.sqrt(cols), (rows, cols)).astype(np.float32)
        document["weights"].append(w.tolist())
        document["bias"].append(rng.normal(0, 0.5, rows).astype(np.float32).tolist())
    return document


def edited(document, *path, to):
    """Return a copy of `document` with the value at `path` replaced, or removed with `to=...`."""
    document = copy.deepcopy(document)
    place = document
    for step in path[:-1]:
        place = place[step]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return document


@cache
def engine_cases():
    """The 150 models that the original engine ran; see golden/README.md."""
    with gzip.open(GOLDEN / "engine_cases.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


@cache
def trainer_exports():
    """The 16 models that a trainer exported; see golden/README.md."""
    with gzip.open(GOLDEN / "trainer_exports.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def float32(bits):
    """Turn uint32 bit patterns into the float32 values they stand for."""
    return np.array(bits, dtype=np.uint32).view(np.float32)


def build(document, **options):
    """Return the model of a document (a dict, or JSON as str or bytes)."""
    texts = isinstance(document, (str, bytes))
    read = im.InstructionModelInfo.from_json if texts else im.InstructionModelInfo.from_dict
    return im.InstructionModel(read(document, **options))


def refused(document):
    """Return the error that a document gets; anything but an InstModelError is a bug."""
    with pytest.raises(im.InstModelError) as caught:
        build(document)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 1000
    return caught.value


# The header and the data section of a small binary file: a dense layer of two inputs.
HEADER = {
    "feature_size": 2,
    "buffer_sizes": [2, 1],
    "instructions": [{"type": "DOT", "input": 0, "output": 1, "weights": 0}],
    "dense": [[1, 2]],
    "parameters": [],
    "maps": [],
}
DATA = np.array([0.5, 1.0, -2.0], "<f4").tobytes()  # the bias, then one row for each input

# Ways on which a document comes back; nothing may get lost on them.
WAYS = {
    "dict": lambda info: im.InstructionModelInfo.from_dict(info.to_dict()),
    "json": lambda info: im.InstructionModelInfo.from_json(info.to_json()),
    "binary": lambda info: im.InstructionModelInfo.from_bytes(info.to_bytes()),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda info: pickle.loads(pickle.dumps(info)),
    "replace": dataclasses.replace,
    "model": lambda info: im.InstructionModel(info).info,
    "pickled model": lambda info: pickle.loads(pickle.dumps(im.InstructionModel(info))).info,
    "weights": lambda info: info.with_weights(info.weights, info.bias),
    "shared constants": share_constants,
}
