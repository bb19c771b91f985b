"""Models go to ONNX, where ONNX Runtime computes the same, and come back."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from support.bounds import track
from support.documents import build, dense, trainer_exports

import instmodel as im
from instmodel import reference
from instmodel.document.instructions import INSTRUCTIONS

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from support.strategies import ACTIVATIONS, documents, samples

from instmodel.exporters.onnx import to_onnx
from instmodel.importers.common import TOLERANCE
from instmodel.importers.onnx import from_onnx, run_onnx

# Activations of ONNX Runtime are less exact than the bound of ours.
SLACK = 200


def assert_near(info, x, got):
    """Compare with the reference, as far as rounding errors and jumps leave anything to compare."""
    tracked = track(info, x).output(info)
    with np.errstate(all="ignore"):
        tracked.error = SLACK * tracked.error + 1e-5 * np.maximum(1.0, np.abs(tracked.value))
    tracked.check(got)


@settings(max_examples=120)
@given(documents())
def test_onnx_runtime_computes_what_any_model_does(document):
    info = im.InstructionModelInfo.from_dict(document)
    x = samples(50, im.InstructionModel(info).feature_size, 0)
    graph = to_onnx(info)
    assert_near(info, x, run_onnx(graph, x))


def excuses(info, x):
    """Return the codes with which a graph of this model may be refused, and why.

    No document holds an infinity, such as 1 / 0 of a buffer that nothing writes: what a graph
    computes of constants is a constant of what is imported. And where rounding errors grow, ONNX
    Runtime and the engine differ by more than an import allows on the row that it compares.
    """
    codes = set()
    values = np.zeros((len(x), sum(info.buffer_sizes)))
    values[:, : x.shape[1]] = x
    buffers = reference.split(info, values)
    with np.errstate(all="ignore"):
        for instruction in info.instructions:
            reference.run_instruction(info, instruction, buffers)
            if np.any(~np.isfinite(values[0]) & np.all(same(values, values[0]), axis=0)):
                codes |= {"non_finite_value", "unsupported_model"}
    tracked = track(info, x[:1]).output(info)
    if np.any(SLACK * tracked.error > TOLERANCE * np.maximum(1.0, np.abs(tracked.value))):
        codes.add("import_mismatch")
    return codes


def same(a, b):
    return (a == b) | (np.isnan(a) & np.isnan(b))


@settings(max_examples=80)
@given(documents())
def test_what_was_exported_can_be_imported(document):
    info = im.InstructionModelInfo.from_dict(document)
    x = samples(50, im.InstructionModel(info).feature_size, 0)
    try:
        back = from_onnx(to_onnx(info), sample=x[:1])
    except im.InstModelError as error:
        assume(error.code not in excuses(info, x))
        raise
    assert_near(info, x, im.InstructionModel(back).predict(x))
    assert (back.features or []) == (info.features or [])


def one_of_each(kind, activation=None):
    """Return a model in which one instruction does all the work."""
    b = im.ModelBuilder()
    x = b.input(4)
    rng = np.random.default_rng(0)
    w, p = rng.normal(size=(4, 4)), rng.normal(size=4)
    two = b.copy_masked(x, [0, 3])
    table = {0: [1.0, 2.0], -2: [3.0, 4.0]}
    made = {
        "DOT": lambda: b.dense(x, w, p, activation),
        "ATTENTION": lambda: b.attention(x, x, w, p),
        "COPY": lambda: b.copy(x, size=7, at=2),
        "COPY_MASKED": lambda: two,
        "MAP_TRANSFORM": lambda: b.map_transform(x, 1, table, [5.0, 6.0]),
        "ACTIVATION": lambda: b.activation(x, activation or "RELU"),
        "ADD_ELEMENTWISE": lambda: b.add_elementwise(x, p),
        "MUL_ELEMENTWISE": lambda: b.mul_elementwise(x, p),
        "CLIP_ELEMENTWISE": lambda: b.clip_elementwise(x, -np.abs(p), np.abs(p)),
        "ADD_ELEMENTWISE_BUFFERS": lambda: b.add_buffers(x, x, x),
        "MULTIPLY_ELEMENTWISE_BUFFERS": lambda: b.multiply_buffers(x, x),
        "ADD_BUFFER_HEADS": lambda: b.add_heads(x, two),
        "MULTIPLY_BUFFER_HEADS": lambda: b.multiply_heads(x, two),
        "REDUCE_SUM": lambda: b.reduce_sum(x),
    }
    return b.build(output=made[kind]())


@pytest.mark.parametrize("kind", INSTRUCTIONS)
def test_every_instruction_is_exported(kind):
    info = one_of_each(kind)
    assert kind in {item.TYPE for item in info.instructions}
    x = samples(10_000, 4, 1)
    assert_near(info, x, run_onnx(to_onnx(info), x))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["DOT", "ACTIVATION"])
def test_every_activation_is_exported(kind, activation):
    info = one_of_each(kind, activation)
    x = samples(10_000, 4, 1)
    assert_near(info, x, run_onnx(to_onnx(info), x))


def test_keys_round_half_away_from_zero_and_what_is_no_key_takes_the_default():
    info = one_of_each("MAP_TRANSFORM")
    keys = [-0.5, 0.49999997, -2.5, -1.5, 0.5, np.nan, np.inf, -np.inf, 3e9, -3e9]
    x = np.zeros((len(keys), 4), np.float32)
    x[:, 1] = keys
    np.testing.assert_array_equal(run_onnx(to_onnx(info), x), im.InstructionModel(info).predict(x))


@pytest.mark.parametrize("activation", ["SQRT", "LOG", None])
def test_what_a_graph_computes_of_constants_alone_is_imported(activation):
    """A layer over a buffer that nothing writes, and a key of it."""
    document = {
        "features": ["a", "b"],
        "buffer_sizes": [2, 1, 2, 2],
        "weights": [[[1.0], [2.0]]],
        "bias": [[0.26, 9.0]],
        "maps": [{"0": [1.0, 2.0], "1": [3.0, 4.0]}],
        "parameters": [],
        "instructions": [
            {"type": "DOT", "input": 1, "output": 2, "weights": 0},
            {"type": "MAP_TRANSFORM", "input": 2, "output": 3, "internal_input_index": 0}
            | {"internal_output_index": 0, "map": 0, "size": 2, "default": [5.0, 6.0]},
            {"type": "ADD_ELEMENTWISE_BUFFERS", "input": [0, 2, 3], "output": 3},
        ],
    }
    if activation:
        document["instructions"][0]["activation"] = activation
    info = im.InstructionModelInfo.from_dict(document)
    x = samples(50, 2, 0)
    assert_near(info, x, im.InstructionModel(from_onnx(to_onnx(info))).predict(x))


@pytest.mark.parametrize("index", range(len(trainer_exports())))
def test_what_a_trainer_exported_is_the_same_in_onnx_runtime(index):
    info = build(trainer_exports()[index]["model"]).info
    x = np.stack(info.validation_data.inputs)
    assert_near(info, x, run_onnx(to_onnx(info), x))


def test_the_file_appears_whole_and_names_its_features(tmp_path):
    info = im.InstructionModelInfo.load("instmodel/examples/breast_cancer_network.json")
    info.to_onnx(tmp_path / "model.onnx")
    back = from_onnx(tmp_path / "model.onnx")
    assert back.features == info.features
    assert json.dumps([i.TYPE for i in back.instructions]) == json.dumps(
        [i.TYPE for i in info.instructions]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_text_categories_go_along_and_come_back(tmp_path):
    texts = {"a": ["red", ""], "b": {"values": ["é"], "unknown": -1.0}}
    info = im.InstructionModelInfo.from_dict({**dense(), "categories": texts})
    info.to_onnx(tmp_path / "m.onnx")
    again = from_onnx(tmp_path / "m.onnx")
    assert again.to_dict()["categories"] == texts
    renamed = from_onnx(tmp_path / "m.onnx", features=["colour", "size"])
    assert renamed.to_dict()["categories"] == {"colour": texts["a"], "size": texts["b"]}


def test_a_signature_goes_along_and_comes_back(tmp_path):
    items = {"a": {"kind": "number", "min": -1.0}, "b": {"kind": "code", "codes": [1, 5]}}
    told = {"rows": 3, "features": items}
    info = im.InstructionModelInfo.from_dict({**dense(), "signature": told})
    info.to_onnx(tmp_path / "m.onnx")
    assert from_onnx(tmp_path / "m.onnx").to_dict()["signature"] == told
    renamed = from_onnx(tmp_path / "m.onnx", features=["age", "shop"])
    assert renamed.signature.features.keys() == {"age", "shop"}
