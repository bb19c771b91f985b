"""Keras models are imported as what they are, or refused with all reasons."""

import os

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras")

import keras
from keras import layers, ops
from support.sources import ROWS, assert_same

from instmodel.importers.keras import from_keras, source_outputs

pytestmark = pytest.mark.filterwarnings("ignore")  # of Keras and its backend


def sequence(*parts, size=6):
    return keras.Sequential([keras.Input((size,)), *parts])


def functional(function, shape=(6,), dtype="float32"):
    x = keras.Input(shape, dtype=dtype, name="x")
    return keras.Model(x, function(x))


def two_inputs():
    ids = keras.Input((2,), dtype="int32", name="ids")
    x = keras.Input((4,), name="x")
    h = layers.Concatenate()([layers.Flatten()(layers.Embedding(7, 3)(ids)), x])
    return keras.Model([ids, x], layers.Dense(2, "softmax")(h))


def normalized():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 6)).astype(np.float32))
    return sequence(layer, layers.Dense(2))


def trained_norm(**options):
    """Return a model whose batch norm has seen data."""
    model = sequence(layers.Dense(5), layers.BatchNormalization(**options), layers.Dense(2))
    rng = np.random.default_rng(1)
    for weight in model.layers[1].weights:
        weight.assign(rng.uniform(0.5, 2, weight.shape))
    return model


def attention(x):
    gate = layers.Dense(6, "softmax")(x)
    return layers.Dense(1, "sigmoid")(layers.Multiply()([x, gate]))


def nested():
    inner = sequence(layers.Dense(4, "tanh"), layers.Dense(3))
    return functional(lambda x: layers.Add()([inner(x), layers.Dense(3)(x)]))


SUPPORTED = {
    "dense": lambda: sequence(layers.Dense(3)),
    "layers": lambda: sequence(
        layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(1, "sigmoid")
    ),
    **{
        name: (lambda name=name: sequence(layers.Dense(5, name)))
        for name in (
            *("relu", "sigmoid", "tanh", "softplus", "exponential", "softmax", "gelu", "elu"),
            *("selu", "leaky_relu", "relu6", "silu", "mish", "hard_sigmoid", "hard_silu"),
        )
    },
    "activation layers": lambda: sequence(
        layers.Dense(5), layers.LeakyReLU(0.1), layers.Dense(5), layers.PReLU("uniform"),
        layers.Dense(5), layers.ELU(0.7), layers.ReLU(2.0, 0.1), layers.Dense(4), layers.Softmax(),
    ),
    "batch norm": trained_norm,
    "batch norm without scale": lambda: trained_norm(scale=False, center=False),
    "normalization": normalized,
    "rescaling": lambda: sequence(layers.Rescaling(1 / 255, 0.5), layers.Dense(2)),
    "embedding": two_inputs,
    "attention": lambda: functional(attention),
    "residual": lambda: functional(
        lambda x: layers.Average()([layers.Subtract()([x, layers.Dense(6)(x)]), x, x])
    ),
    "nested": nested,
    "operations": lambda: functional(
        lambda x: ops.concatenate([x[:, 1:3] * 2 - 1, ops.clip(x, -0.5, 0.5)], axis=-1)
        / 4.0 + ops.sum(ops.abs(x), axis=1, keepdims=True)
    ),
    "shapes": lambda: functional(
        lambda x: layers.Flatten()(
            layers.Permute((2, 1))(layers.Dense(4, "tanh")(layers.Reshape((3, 2))(x)))
        )
    ),
    "steps": lambda: functional(
        lambda x: layers.GlobalAveragePooling1D()(layers.TimeDistributed(layers.Dense(4))(x)),
        (3, 2),
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


def many_rows(size, keys=()):
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(ROWS, size))
    rows[:, keys] = rng.integers(0, 7, (ROWS, len(keys)))
    return rows.astype(np.float32)


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_model_is_imported_as_what_it_is(name):
    model = SUPPORTED[name]()
    info = from_keras(model)
    rows = many_rows(6, [0, 1] if name == "embedding" else [])
    assert_same(info, rows, source_outputs(model, rows))
    assert info.validation_data is not None


def test_inputs_become_features():
    assert from_keras(two_inputs()).features == ["ids[2]", "x[4]"]
    info = from_keras(sequence(layers.Dense(1)), features=list("abcdef"))
    assert info.features == list("abcdef")
    assert [item.TYPE for item in from_keras(functional(attention)).instructions] == [
        "ATTENTION",
        "DOT",
    ]


UNSUPPORTED = {
    "layers": (
        lambda: sequence(
            layers.Dense(4, "softsign"), layers.LayerNormalization(), layers.UnitNormalization()
        ),
        ["softsign", "LayerNormalization", "UnitNormalization"],
    ),
    "a lambda": (lambda: sequence(layers.Lambda(lambda x: x * 2)), ["Lambda"]),
    "a sequence": (
        lambda: functional(lambda x: layers.LSTM(3)(layers.Reshape((3, 2))(x))),
        ["LSTM"],
    ),
    "operations": (
        lambda: functional(lambda x: ops.sin(x) + ops.max(x, axis=1, keepdims=True)),
        ["Sin", "Max"],
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_one_error_lists_all_that_has_no_instructions(name):
    make, reasons = UNSUPPORTED[name]
    with pytest.raises(im.InstModelError) as caught:
        from_keras(make())
    assert caught.value.code == "unsupported_model"
    assert len(caught.value.pieces) == len(reasons)
    assert all(any(reason in piece for piece in caught.value.pieces) for reason in reasons)


def test_a_layer_of_ones_own_is_not_taken_for_keras():
    class Dense(layers.Layer):
        def call(self, x):
            return x * 2

    with pytest.raises(im.InstModelError) as caught:
        from_keras(sequence(Dense()))
    assert caught.value.code == "unsupported_model"


class Subclassed(keras.Model):
    def call(self, x):
        return x * 2


def test_a_subclassed_model_inside_of_another_is_listed():
    with pytest.raises(im.InstModelError) as caught:
        from_keras(sequence(Subclassed(), layers.LayerNormalization()))
    assert caught.value.code == "unsupported_model"
    assert len(caught.value.pieces) == 2


def test_what_is_no_built_model_is_refused():
    built = Subclassed()
    built(np.zeros((1, 4), np.float32))
    for wrong in (3, keras.Sequential([layers.Dense(2)]), built):
        with pytest.raises(im.InstModelError) as caught:
            from_keras(wrong)
        assert caught.value.code == "invalid_type"


def test_files_are_loaded_without_code(tmp_path, capsys):
    from instmodel.cli import main

    target = tmp_path / "model.json"
    model = sequence(layers.Dense(3, "relu"), layers.Dense(1))
    model.save(tmp_path / "model.keras")
    assert main(["convert", str(tmp_path / "model.keras"), str(target)]) == 0
    rows = many_rows(6)
    np.testing.assert_allclose(
        im.load(target).predict(rows), source_outputs(model, rows), atol=1e-5
    )
    sequence(layers.Lambda(lambda x: x)).save(tmp_path / "code.keras")
    (tmp_path / "text.keras").write_text("no model")
    for name in ("code.keras", "text.keras"):
        assert main(["convert", str(tmp_path / name), str(target)]) == 2
        assert "invalid_document" in capsys.readouterr().err


def test_a_missing_backend_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(im.InstModelError, match=r"needs its backend: .* KERAS_BACKEND"):
        from_keras(sequence(layers.Dense(1)))


def test_a_key_loses_its_fraction_and_gives_nan_outside():
    model = functional(lambda x: layers.Flatten()(layers.Embedding(7, 3)(x)), (2,))
    info = from_keras(model)
    rows = np.random.default_rng(5).uniform(-0.999, 6.999, (ROWS, 2)).astype(np.float32)
    assert_same(info, rows, source_outputs(model, rows))
    outside = np.array([[7, 7], [-1, -1], [np.nan, np.nan]], np.float32)
    assert np.isnan(im.InstructionModel(info).predict(outside)).all()
