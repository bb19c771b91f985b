"""Keras models of sequences become recurrent models; the zoo has many more of them."""

import os

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras")

import keras
from keras import layers, ops

from instmodel.importers.keras import from_keras

pytestmark = pytest.mark.filterwarnings("ignore")


def test_what_a_stateful_model_keeps_is_the_state_of_the_caller():
    given = keras.Input(batch_shape=(2, None, 3))
    model = keras.Model(given, layers.GRU(4, return_sequences=True, stateful=True)(given))
    model(np.ones((2, 5, 3), np.float32))  # what it keeps now is no part of the import
    before = [np.asarray(ops.convert_to_numpy(v)) for v in model.layers[1].states]
    imported = im.InstructionModel(from_keras(model))
    after = [np.asarray(ops.convert_to_numpy(v)) for v in model.layers[1].states]
    assert all(map(np.array_equal, before, after))
    model.layers[1].reset_state()
    rows = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    state = imported.initial_state(2)
    for part in (rows[:, :2], rows[:, 2:]):
        expected = np.asarray(ops.convert_to_numpy(model(part)))
        actual = imported.predict_sequences(part.copy(), state=state)
        assert np.allclose(actual, expected, rtol=0, atol=1e-5)


def test_an_input_without_steps_is_the_same_for_all_of_them():
    steps, customer = keras.Input((None, 3), name="steps"), keras.Input((2,), name="customer")
    both = layers.Concatenate()([layers.LSTM(4)(steps), customer])
    model = keras.Model([steps, customer], layers.Dense(1)(both))
    info = from_keras(model)
    assert info.features == ["steps[3]", "customer[2]"]
    rng = np.random.default_rng(1)
    rows, fact = rng.normal(size=(7, 3)), np.tile(rng.normal(size=2), (7, 1))
    given = np.concatenate([rows, fact], axis=1).astype(np.float32)
    expected = model([given[None, :, :3], given[:1, 3:]])
    (actual,) = im.InstructionModel(info).predict_sequences([given], last=True)
    assert np.allclose(actual, ops.convert_to_numpy(expected), rtol=0, atol=1e-5)


class Own(keras.Model):
    """A model of one's own, whose `call` is followed."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = layers.GRU(4, return_sequences=True), layers.Dense(1)

    def call(self, x):
        return self.head(self.gru(x)[:, -1])


def test_a_model_of_ones_own_that_was_built_for_any_length():
    model = Own()
    model.build((None, None, 3))
    imported = im.InstructionModel(from_keras(model))
    assert imported.is_recurrent
    rows = np.random.default_rng(2).normal(size=(1, 9, 3)).astype(np.float32)
    actual = imported.predict_sequences(rows, last=True)
    assert np.allclose(actual, ops.convert_to_numpy(model(rows)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "piece"),
    [
        (lambda x: layers.GRU(2, return_sequences=True)(x)[:, 0], "another step than the last"),
        (lambda x: ops.cumsum(layers.GRU(2, return_sequences=True)(x), 1), "along the steps"),
        (lambda x: layers.GRU(2)(layers.Concatenate(axis=1)([x, x])), "along the steps"),
    ],
)
def test_what_looks_at_several_steps_is_refused(make, piece):
    given = keras.Input((None, 3))
    with pytest.raises(im.InstModelError) as caught:
        from_keras(keras.Model(given, make(given)))
    assert any(piece in each for each in caught.value.pieces), caught.value.pieces


def test_a_fixed_number_of_steps_is_refused_with_what_to_do():
    given = keras.Input((5, 3))
    with pytest.raises(im.InstModelError) as caught:
        from_keras(keras.Model(given, layers.LSTM(2)(given)))
    assert "give the model an input of None" in caught.value.pieces[0]
