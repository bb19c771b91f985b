"""Imports of graphs are compared on rows that try what breaks imports, too."""

import os

import numpy as np
import pytest

import instmodel as im
from instmodel.importers import expressions as ex
from instmodel.importers import keys
from instmodel.importers.strange import learned_values, outputs_or_nan, strange_rows

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras")

import keras
import torch
from support.onnx_graphs import array, model
from torch import nn

from instmodel.importers import keras_walk, onnx_graph
from instmodel.importers.keras import from_keras
from instmodel.importers.onnx import from_onnx
from instmodel.importers.torch import from_torch
from instmodel.importers.torch_graph import OPERATORS as TORCH

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch.export, of Keras and its backend

USUAL = np.random.default_rng(5).normal(size=(50, 3)).astype(np.float32)


class Formula(nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def test_constants_that_a_graph_meets_an_input_with_are_tried():
    first, second = ex.source(3), ex.source(1)
    table = {4: np.ones(1), 9: np.zeros(1)}
    output = ex.concatenate(
        [
            ex.multiply(ex.add(first, ex.constant([-50.0, 0.0, 0.0])), ex.constant([0.1, 1, 1])),
            ex.clip(ex.multiply(first, ex.constant([1.0, 2.0, 1.0])), None, [9e9, 7.0, 9e9]),
            ex.reshape(ex.lookup(second, table, [0.0]), (1,)),
        ]
    )
    values = learned_values(output, [first, second])
    assert {50.0, 80.0, 20.0} <= set(np.round(values[0], 9))
    assert 3.5 in values[1]
    assert {4.0, 9.0, 10.0, 3.0, -9.0, 9.3, 3.5, 2.0**31} <= set(np.round(values[3], 9))


def test_integers_get_neither_nan_nor_fractions():
    rows = strange_rows(USUAL, [[2.5], [7.25, 3e9], []], whole=[1])
    assert np.isfinite(rows[:-1, 1]).all()
    strange = rows[:-1, 1][~np.isin(rows[:-1, 1], USUAL[:, 1])]
    assert {7.0, 2.0**31 - 128} <= set(strange.tolist())
    assert np.all(strange % 1 == 0)
    assert np.isnan(rows[-1]).tolist() == [True, False, True]


def test_wide_models_get_strange_numbers_of_every_kind():
    usual = np.random.default_rng(5).normal(size=(50, 900)).astype(np.float32)
    rows = strange_rows(usual, [[123.0]] * 900)
    assert len(rows) == 129
    assert np.isnan(rows[:-1]).any(axis=1).sum() == 64
    assert np.any(rows == 123)
    assert np.nanmax(rows) > 1000
    assert np.nanmin(rows) < -1000
    assert np.any((rows > 0) & (rows < 1e-20))


def test_rows_that_the_source_refuses_are_found_one_by_one():
    def run(rows):
        if (rows < 0).any():
            raise IndexError
        return rows * 2

    outputs, refused = outputs_or_nan(run, np.array([[1.0], [-1.0], [3.0]], np.float32), 1)
    np.testing.assert_array_equal(outputs, [[2.0], [np.nan], [6.0]])
    assert refused.tolist() == [False, True, False]


def limited_torch():
    return from_torch(Formula(lambda m, x: x.clamp(-20, 20)), torch.zeros(2, 3))


def limited_onnx():
    limits = {"low": np.float32(-20), "high": np.float32(20)}
    return from_onnx(model("y = Clip(x, low, high)", "float[N,3] x", **limits))


def limited_keras():
    x = keras.Input((3,))
    return from_keras(keras.Model(x, keras.ops.clip(x, -20.0, 20.0)))


LIMITED = {
    "torch": (limited_torch, TORCH, "clamp", lambda x, *_: x),
    "onnx": (limited_onnx, onnx_graph._HANDLERS[""], "Clip", lambda node: node.value(0)),
    "keras": (limited_keras, keras_walk.OPERATIONS, "Clip", lambda _, x, *__, **___: x),
}


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_that_only_strange_rows_reach_is_compared_and_kept(name, monkeypatch):
    make, handlers, operator, without = LIMITED[name]
    kept = np.array(make().validation_data.expected_outputs)
    assert 20 in np.abs(kept)
    monkeypatch.setitem(handlers, operator, without)
    with pytest.raises(im.InstModelError) as caught:
        make()
    assert caught.value.code == "import_mismatch"


def test_a_key_that_the_source_refuses_must_give_nan(monkeypatch):
    lookup = Formula(lambda m, x: m.table(x.long()).flatten(1), table=nn.Embedding(5, 2))
    graph = model(
        "k = Cast<to=7>(x) g = Gather(T, k) y = Flatten(g)", "float[N,3] x", T=array(5, 2)
    )
    from_torch(lookup, torch.zeros(2, 3))
    from_onnx(graph)
    zeros = ex.constant(np.zeros(3))
    monkeypatch.setattr(keys, "_nan_outside", lambda numbers, count: zeros)
    for wrong in (lambda: from_torch(lookup, torch.zeros(2, 3)), lambda: from_onnx(graph)):
        with pytest.raises(im.InstModelError) as caught:
            wrong()
        assert caught.value.code == "import_mismatch"


def test_nan_must_not_become_a_number(monkeypatch):
    module = Formula(lambda m, x: torch.relu(x) + 1)
    from_torch(module, torch.zeros(2, 3))
    root = lambda x: ex.multiply(ex.activation(x, "SQRT"), ex.activation(x, "SQRT"))  # noqa: E731
    monkeypatch.setitem(TORCH, "relu", root)
    with pytest.raises(im.InstModelError, match="nan") as caught:
        from_torch(module, torch.zeros(2, 3))
    assert caught.value.code == "import_mismatch"


def test_a_comparison_with_nan_is_false_as_in_pytorch():
    info = from_torch(Formula(lambda m, x: (x > 0.5).float() * 2 + 1), torch.zeros(2, 3))
    assert im.InstructionModel(info).predict([np.nan, 1, 0]).tolist() == [1, 3, 1]


def test_digits_that_the_source_loses_are_not_asked_of_the_model():
    # The factorization machine: far from the usual, float32 cancels nearly all digits.
    torch.manual_seed(0)
    machine = Formula(
        lambda m, x: (1e3 * ((x @ m.v) ** 2 - (x**2) @ (m.v**2))).sum(1, keepdim=True),
        v=nn.Parameter(torch.randn(3, 1)),
    )
    assert from_torch(machine, torch.zeros(2, 3)).validation_data is not None
