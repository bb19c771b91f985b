"""Recurrent ONNX graphs come in as one step; the zoo holds what there is of them.

Here: what the document says of its source, the sequences that it keeps, and what is refused.
"""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from importers.zoo.onnx_recurrent import weights
from support.onnx_graphs import array, ints, model

from instmodel.importers import onnx_recurrent
from instmodel.importers.onnx import from_onnx, run_onnx_sequences, steps_taken

EVERY = "o = LSTM<hidden_size=3>(x, W, R, B) y = Squeeze(o, one)"
LAST = "o, h = LSTM<hidden_size=3>(x, W, R, B) y = Squeeze(h, zero)"
HELD = "o = GRU<hidden_size=3>(x, W, R, B, , h0) y = Squeeze(o, one)"


def graph(body=EVERY, inputs="float[T,N,4] x", gates=4, **constants):
    constants = weights(gates) | {"one": ints(1), "zero": ints(0)} | constants
    named = {name: item for name, item in constants.items() if name in body}
    return model(body, inputs, **named)


def test_every_step_is_computed_and_it_is_said_which_the_source_returns():
    every, last = from_onnx(graph()), from_onnx(graph(LAST))
    assert every.metadata["source_returns"] == "every step"
    assert last.metadata["source_returns"] == "the last step"
    rows = np.random.default_rng(0).normal(size=(3, 9, 4)).astype(np.float32)
    model = im.InstructionModel(last)
    final = model.predict_sequences(rows, last=True)
    source = run_onnx_sequences(graph(LAST), list(rows))
    assert np.array_equal(final, model.predict_sequences(rows)[:, -1])
    assert final.shape == (3, 3)
    assert [len(item) for item in source] == [9, 9, 9]  # run on every beginning


def test_the_steps_are_where_the_recurrent_node_takes_them():
    batch_first = graph(
        "t = Transpose<perm=[1,0,2]>(x) " + EVERY.replace("(x,", "(t,"), "float[N,T,4] x"
    )
    assert from_onnx(batch_first).features == from_onnx(graph()).features == ["x[4]"]


def test_sequences_of_several_lengths_are_kept():
    info = from_onnx(graph())
    kept = info.validation_data
    assert len(kept.inputs) == 4
    assert len({len(item) for item in kept.inputs}) > 1
    assert all(len(x) == len(y) for x, y in zip(kept.inputs, kept.expected_outputs, strict=True))


def test_the_sample_is_sequences():
    rng = np.random.default_rng(1)
    sample = [rng.normal(10, 1, (n, 4)) for n in (3, 5)]
    kept = from_onnx(graph(), sample=sample).validation_data
    assert sorted(len(item) for item in kept.inputs) == [3, 5]
    assert np.mean(kept.inputs[0]) > 8
    for wrong in ([], [np.zeros((0, 4))], [np.zeros((2, 3))], [np.zeros(4)]):
        with pytest.raises(im.InstModelError) as caught:
            from_onnx(graph(), sample=wrong)
        assert caught.value.code == "input_size_mismatch"


def test_of_a_graph_of_one_length_and_its_last_step_the_reference_says_the_rest():
    fixed = graph(LAST, "float[5,2,4] x")
    assert steps_taken(fixed) == 5
    info = from_onnx(fixed)
    assert {len(item) for item in info.validation_data.inputs} == {5}
    model = im.InstructionModel(info)
    assert model.predict_sequences(np.zeros((2, 7, 4))).shape == (2, 7, 3)
    sequences = [np.ones((5, 4), np.float32)]
    (after,) = run_onnx_sequences(fixed, sequences)
    assert np.isnan(after[:-1]).all()
    np.testing.assert_allclose(after[-1], model.predict_sequences(sequences)[0][-1], atol=1e-5)
    with pytest.raises(im.InstModelError) as caught:
        run_onnx_sequences(fixed, [np.ones((4, 4), np.float32)])
    assert caught.value.code == "input_size_mismatch"


def test_a_reshape_may_say_how_many_steps_there_are():
    """PyTorch's exporter does, of inputs that may have any."""
    body = "o = GRU<hidden_size=3>(x, W, R, B) y = Reshape(o, s)"
    said = graph(body, gates=3, s=ints(11, -1, 3))
    assert steps_taken(said) == 11
    assert from_onnx(said).metadata["source_returns"] == "every step"


def test_initial_states_that_a_caller_feeds_are_kept_by_the_model():
    info = from_onnx(graph(HELD, "float[T,N,4] x, float[1,N,3] h0", 3))
    assert info.features == ["x[4]"]
    assert info.metadata["start_as_zeros"] == ["h0"]
    assert [item.initial for item in info.state] == [None]


def test_initial_states_that_are_constant_are_initial_values():
    start = array(1, 1, 3)
    for repeats, inputs in ((1, "float[T,1,4] x"), (2, "float[T,2,4] x")):
        given = graph(HELD, inputs, 3, h0=np.repeat(start, repeats, axis=1))
        info = from_onnx(given)
        np.testing.assert_array_equal(info.parameters[info.state[0].initial], start.ravel())
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(graph(HELD, "float[T,2,4] x", 3, h0=array(1, 2, 3)))
    assert "an initial state of its own for each sequence" in str(caught.value)


def test_nodes_that_do_not_work_together_are_all_listed():
    body = (
        'a = LSTM<hidden_size=3, direction="bidirectional", clip=1.0>(x, V, U) s = Sin(a) '
        "t = Transpose<perm=[0,2,1,3]>(a) r = Reshape(t, flat) "
        'p, y = GRU<hidden_size=3, direction="reverse">(r, W, R)'
    )
    made = graph(body, V=array(2, 12, 4), U=array(2, 12, 3), flat=ints(0, 0, -1))
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(made)
    pieces = caught.value.pieces
    assert len(pieces) == 2  # what no output needs is not looked at
    assert "the direction bidirectional, clip" in pieces[0]
    assert "the direction reverse" in pieces[1]


def test_a_row_beside_the_steps_is_refused():
    body = "o = RNN<hidden_size=4>(x, W, R) s = Squeeze(o, one) y = Add(s, z)"
    inputs = "float[T,N,4] x, float[N,4] z"
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(graph(body, inputs, W=array(1, 4, 4), R=array(1, 4, 4)))
    assert caught.value.code == "unsupported_model"
    assert "the steps or the batch in other places" in str(caught.value)


@pytest.mark.parametrize("inputs", ["float[T,1000000000000,4] x", "float[1000000000000,N,4] x"])
def test_no_sequence_is_made_that_fills_the_memory(inputs):
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(graph(inputs=inputs))
    assert caught.value.code == "unsupported_model"
    assert "too large" in str(caught.value)


def test_one_number_for_each_step():
    body = "u = Unsqueeze(x, two) " + EVERY.replace("(x,", "(u,")
    made = graph(body, "float[T,N] x", W=array(1, 12, 1), two=ints(2))
    assert from_onnx(made).features == ["x"]


BROKEN = {
    "weights of another size": {"W": array(1, 12, 5)},
    "weights of no size": {"W": np.float32(1)},
    "a recurrent matrix that is not square": {"R": array(1, 12, 2)},
    "no state": {"R": array(1, 12, 0)},
    "biases of another size": {"B": array(1, 23)},
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_weights_are_an_error_of_ours(name):
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(graph(**BROKEN[name]))
    assert caught.value.code == "unsupported_model"


def test_a_wrong_translation_does_not_get_through(monkeypatch):
    def wrong(*arguments, **options):
        _, cell = right(*arguments, **options)
        return cell, cell

    right = onnx_recurrent.recurrence.lstm
    monkeypatch.setattr(onnx_recurrent.recurrence, "lstm", wrong)
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(graph())
    assert caught.value.code == "import_mismatch"
    assert "after step" in str(caught.value)


def test_one_state_that_gets_lost_after_the_first_step_does_not_get_through(monkeypatch):
    keep = onnx_recurrent.recurrence.keep
    zeros = onnx_recurrent.recurrence.ex.constant(np.zeros(3))

    def forgetful(held, after):
        keep(held, zeros)
        return after

    monkeypatch.setattr(onnx_recurrent.recurrence, "keep", forgetful)
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(graph())
    assert caught.value.code == "import_mismatch"
