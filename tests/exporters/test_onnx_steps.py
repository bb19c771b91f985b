"""A recurrent model goes to ONNX as one step with its state in and out, and comes back whole."""

import json

import numpy as np
import pytest
from hypothesis import given
from support.documents import build, recurrent

import instmodel as im
from instmodel import reference

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnxruntime
from support.strategies import feature_size, recurrent_documents, samples

from instmodel.exporters.onnx import to_onnx
from instmodel.importers.onnx import from_onnx, run_onnx_sequences

RNG = np.random.default_rng(6)


def weights(*shape):
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def network(kind, gates, layers=1, **options):
    """Return a document of `layers` of a kind over 4 features, and a layer behind them."""
    builder = im.ModelBuilder()
    x = builder.input(["a", "b", "c[2]"])
    for size in (4, 3, 3)[:layers]:
        cell = (weights(gates * 3, size), weights(gates * 3, 3), weights(gates * 3))
        x = getattr(builder, kind)(x, *cell, **options)
    return builder.build(output=builder.dense(x, weights(2, 3), weights(2), "SIGMOID"))


def output_is_state():
    builder = im.ModelBuilder()
    x = builder.input(4)
    return builder.build(output=builder.rnn(x, weights(3, 4), weights(3, 3)))


MODELS = {
    "RNN": lambda: network("rnn", 1),
    "RNN of relu": lambda: network("rnn", 1, nonlinearity="relu"),
    "GRU that starts somewhere": lambda: network("gru", 3, initial=[0.1, -0.2, 0.3]),
    "LSTM of three layers": lambda: network("lstm", 4, 3),
    "LSTM that starts somewhere": lambda: network("lstm", 4, initial=([0.5, 0.0, -0.5], 1.0)),
    "its output is its state": output_is_state,
    "a vanilla cell by hand": lambda: build(recurrent()).info,
}


def session(info):
    return onnxruntime.InferenceSession(to_onnx(info).SerializeToString())


def ragged(columns, longest=300):
    lengths = [1, 2, 7, 30, longest]
    return [RNG.normal(size=(n, columns)).astype(np.float32) for n in lengths]


@pytest.mark.parametrize("name", MODELS)
def test_a_step_after_the_other_is_what_the_model_computes(name):
    info = MODELS[name]()
    model = im.InstructionModel(info)
    step = session(info)
    shapes = {item.name: item.shape for item in (*step.get_inputs(), *step.get_outputs())}
    columns, states = model.feature_size, model.state_size
    assert shapes == {
        "input": ["N", columns],
        "state_in": ["N", states],
        "output": ["N", model.output_size],
        "state_out": ["N", states],
    }
    x = RNG.normal(size=(5, 300, columns)).astype(np.float32)
    ended = model.initial_state(5)
    expected = model.predict_sequences(x, state=ended)
    state = model.initial_state(5)
    for at in range(x.shape[1]):
        output, state = step.run(["output", "state_out"], {"input": x[:, at], "state_in": state})
        np.testing.assert_allclose(output, expected[:, at], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(state, ended, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_it_comes_back_as_the_same_recurrent_model(name):
    info = MODELS[name]()
    graph = to_onnx(info)
    again = from_onnx(graph)
    model, back = im.InstructionModel(info), im.InstructionModel(again)
    assert back.state_size == model.state_size
    np.testing.assert_array_equal(np.sort(back.initial_state(1)), np.sort(model.initial_state(1)))
    assert again.features == info.features or info.features is None
    assert len(again.validation_data.inputs) == 4
    sequences = ragged(model.feature_size)
    runs = zip(
        *(item.predict_sequences(sequences) for item in (model, back)),
        run_onnx_sequences(graph, sequences),
        strict=True,
    )
    for expected, *others in runs:
        for found in others:
            np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@given(recurrent_documents())
def test_any_recurrent_model_goes_out_as_a_step(document):
    info = im.InstructionModelInfo.from_dict(document)
    model = im.InstructionModel(info)
    x = samples(20, feature_size(document), 0)
    state = np.random.default_rng(0).normal(size=(20, model.state_size)).astype(np.float32)
    output, after = session(info).run(["output", "state_out"], {"input": x, "state_in": state})
    outputs, ended = reference.predict_sequences(info, list(x[:, None]), state)
    exact = np.concatenate([np.concatenate(outputs), ended], axis=1)
    computed = np.concatenate([model.step(x, state), state], axis=1)
    size = np.maximum(1.0, np.abs(exact))
    with np.errstate(invalid="ignore", over="ignore"):
        sound = np.isfinite(exact) & (np.abs(computed - exact) <= 1e-6 * size)
        error = np.abs(np.concatenate([output, after], axis=1) - exact) / size
    assert (error[sound] <= 1e-3).all()


def test_all_that_a_document_says_of_its_features_goes_along(tmp_path):
    told = {"rows": 3, "features": {"a": {"kind": "number", "min": -1.0}}}
    texts = {"b": ["red", "green"]}
    info = im.InstructionModelInfo.from_dict(
        {**recurrent(), "categories": texts, "signature": told}
    )
    info.to_onnx(tmp_path / "step.onnx")
    again = from_onnx(tmp_path / "step.onnx").to_dict()
    assert again["features"] == ["a", "b"]
    assert again["categories"] == texts
    assert again["signature"] == told


def test_a_state_of_which_the_file_says_nothing_is_an_input():
    """Anyone's graph of a step without our property: rows of features and states."""
    graph = to_onnx(build(recurrent()).info)
    properties = {item.key: item for item in graph.metadata_props}
    for broken in ("[]", '{"sizes": [3]}', "nonsense", json.dumps({"sizes": [4], "initial": [0]})):
        properties["instmodel.state"].value = broken
        properties["instmodel.features"].value = "null"
        info = from_onnx(graph, output="output")
        assert info.features == ["input[2]", "state_in[3]"]
        assert not info.state


def test_states_that_do_not_fit_the_graph_are_no_states():
    graph = to_onnx(build(recurrent()).info)
    properties = {item.key: item for item in graph.metadata_props}
    said = json.loads(properties["instmodel.state"].value)
    for key, value in (("input", "other"), ("output", "other"), ("sizes", [2])):
        wrong = said | {key: value} | ({"initial": [None]} if key == "sizes" else {})
        properties["instmodel.state"].value = json.dumps(wrong)
        properties["instmodel.features"].value = "null"
        assert not from_onnx(graph, output="output").state
