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


class Waves(layers.Layer):
    """A layer of one's own, with what has no instructions in it."""

    def __init__(self):
        super().__init__(name="waves")
        self.inner = layers.Dense(4, name="inner")

    def call(self, x):
        return ops.sin(self.inner(x)) + ops.argmax(x, axis=1, keepdims=True)


class Sorted(layers.Layer):
    """A layer that nothing can follow."""

    def call(self, x):
        return ops.convert_to_tensor(np.sort(ops.convert_to_numpy(x)))


class Marked(layers.Layer):
    """A layer whose mask later layers obey."""

    def call(self, x):
        return x

    def compute_mask(self, inputs, mask=None):
        return ops.any(ops.not_equal(inputs, 0.0), axis=-1)


UNSUPPORTED = {
    "layers": (
        lambda: functional(
            lambda x: layers.Dense(2, "sparsemax")(layers.LSTM(3)(layers.Reshape((3, 2))(x)))
        ),
        ["LSTM", "(Dense)"],
    ),
    "operations": (
        lambda: functional(lambda x: ops.sin(x) + ops.argmax(x, axis=1, keepdims=True)),
        ["(Sin)", "(Argmax)"],
    ),
    "inside of a layer of one's own": (
        lambda: functional(lambda x: layers.Dense(2)(Waves()(x))),
        ["waves.sin", "waves.argmax"],
    ),
    "what cannot be followed, and more behind it": (
        lambda: functional(lambda x: Waves()(Sorted(name="sorted")(x))),
        ["'sorted' (Sorted): its call cannot be followed", "waves.sin", "waves.argmax"],
    ),
    "a lambda": (
        lambda: functional(lambda x: layers.Lambda(lambda y: ops.cos(y), name="l")(x)),
        ["l.cos"],
    ),
    "masks": (
        lambda: functional(lambda x: layers.GlobalMaxPooling1D()(Marked()(x)), (3, 2)),
        ["(GlobalMaxPooling1D): a mask"],
    ),
    "an order of numbers": (lambda: functional(lambda x: ops.sort(x, axis=1)), ["(Sort)"]),
    "half of a float": (
        lambda: sequence(layers.Dense(3, dtype="mixed_bfloat16"), layers.Dense(1)),
        ["bfloat16"],
    ),
    "a dropout that goes on": (
        lambda: functional(lambda x: layers.Dropout(0.5)(x, training=True)),
        ["training=True"],
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_one_error_lists_all_that_has_no_instructions(name):
    make, reasons = UNSUPPORTED[name]
    with pytest.raises(im.InstModelError) as caught:
        from_keras(make())
    assert caught.value.code == "unsupported_model"
    assert len(caught.value.pieces) == len(reasons), caught.value.pieces
    for reason in reasons:
        assert any(reason in piece for piece in caught.value.pieces), caught.value.pieces


def test_a_layer_of_ones_own_is_not_taken_for_keras():
    class Dense(layers.Dense):
        def call(self, x):
            return super().call(x) * 2

    model = functional(lambda x: Dense(3)(x))
    rows = many_rows(6)
    assert_same(from_keras(model), rows, source_outputs(model, rows))


def test_a_wrapper_of_ones_own_is_not_taken_for_keras():
    class TimeDistributed(layers.TimeDistributed):
        def call(self, x, training=None, mask=None):
            return self.layer(x) * 2

    model = functional(lambda x: TimeDistributed(layers.Dense(2))(x), (3, 2))
    rows = many_rows(6)
    assert_same(from_keras(model), rows, source_outputs(model, rows))


def test_a_call_set_on_a_layer_is_followed():
    model = sequence(layers.Dense(3))
    inner = model.layers[0].call
    model.layers[0].call = lambda x, training=None: ops.relu(inner(x)) + 1
    rows = many_rows(6)
    assert_same(from_keras(model), rows, source_outputs(model, rows))


def test_an_activation_of_the_same_name_is_not_kerass():
    def gelu(x):
        return x * ops.sigmoid(1.702 * x)

    model = sequence(layers.Dense(3, gelu))
    rows = many_rows(6)
    assert_same(from_keras(model), rows, source_outputs(model, rows))


class Scaled(keras.Model):
    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(4,), initializer="random_normal", name="scale")
        self.dense = layers.Dense(3)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=None):
        self.calls.assign_add(1.0)
        noise = 1e9 if training else 0.0
        return self.dense(x * self.scale) + noise


def test_a_model_of_ones_own_is_followed_and_left_alone():
    model = Scaled()
    model(np.zeros((1, 4), np.float32))
    calls = float(ops.convert_to_numpy(model.calls))
    nodes = len(model.dense._inbound_nodes)
    rows = many_rows(4)
    info = from_keras(model, features=list("abcd"))
    assert len(model.dense._inbound_nodes) == nodes
    assert float(ops.convert_to_numpy(model.calls)) - calls <= 2  # only the comparison ran it
    assert_same(info, rows, source_outputs(model, rows))


@pytest.mark.parametrize("name", ["__call__", "predict_step"])
def test_a_model_that_scores_in_its_own_way_is_refused(name):
    own = type("Own", (Scaled,), {name: lambda self, *given, **named: 0})
    model = own()
    model.built = True
    model._build_shapes_dict = {"input_shape": (1, 4)}
    with pytest.raises(im.InstModelError, match=name) as caught:
        from_keras(model)
    assert caught.value.code == "unsupported_model"


def test_what_is_no_built_model_is_refused():
    for wrong in (3, keras.Sequential([layers.Dense(2)]), Scaled()):
        with pytest.raises(im.InstModelError) as caught:
            from_keras(wrong)
        assert caught.value.code == "invalid_type"


def two_heads(outputs):
    x = keras.Input((6,), name="x")
    h = layers.Dense(4, "relu")(x)
    parts = layers.Dense(1, name="risk")(h), layers.Dense(2, name="loss")(h)
    return keras.Model(x, outputs(*parts))


@pytest.mark.parametrize(
    ("outputs", "choice", "columns"),
    [
        (lambda risk, loss: {"r": risk, "l": loss}, "r", [2]),
        (lambda risk, loss: {"r": risk, "l": loss}, ["r", "l"], [2, 0, 1]),
        (lambda risk, loss: [risk, loss], "loss", [1, 2]),
        (lambda risk, loss: [risk, loss], 1, [1, 2]),
        (lambda risk, loss: [risk, loss], [1, "risk"], [1, 2, 0]),
    ],
)
def test_outputs_are_chosen(outputs, choice, columns):
    model = two_heads(outputs)
    rows = many_rows(6)
    assert_same(from_keras(model, output=choice), rows, source_outputs(model, rows)[:, columns])


def test_several_outputs_need_a_choice():
    model = two_heads(lambda risk, loss: [risk, loss])
    with pytest.raises(im.InstModelError, match="'risk', 'loss'") as caught:
        from_keras(model)
    assert caught.value.code == "ambiguous_output"
    with pytest.raises(im.InstModelError, match="no such output"):
        from_keras(model, output="size")


def test_an_integer_input_drops_fractions_before_offsets():
    model = functional(
        lambda x: layers.Flatten()(layers.Embedding(20, 3)(x + np.array([0, 10]))), (2,), "int32"
    )
    rows = np.random.default_rng(5).uniform(-9, 9.9, (ROWS, 2)).astype(np.float32)
    rows[:, 0] = np.abs(rows[:, 0])
    assert_same(from_keras(model), rows, source_outputs(model, rows))


def test_discretization_takes_bins_to_begin_at_the_very_number():
    bins = [-0.3, 0.1, 0.7]
    edges = np.array(bins, np.float32)
    rows = np.concatenate([edges, np.nextafter(edges, -9), np.nextafter(edges, 9), [np.nan]])
    for mode in ("int", "one_hot", "multi_hot", "count"):
        model = functional(
            lambda x, mode=mode: ops.cast(
                layers.Discretization(bin_boundaries=bins, output_mode=mode)(x), "float32"
            ),
            (1,),
        )
        table = rows[:, None].astype(np.float32)
        actual = im.InstructionModel(from_keras(model)).predict(table)
        np.testing.assert_array_equal(actual, source_outputs(model, table))


def test_places_are_none_for_negative_numbers_and_nan_beyond():
    model = functional(lambda x: ops.one_hot(x, 4)[:, 0], (1,))
    rows = np.array([[0], [3], [3.9], [-0.5], [-1], [-7]], np.float32)
    scored = im.InstructionModel(from_keras(model))
    np.testing.assert_array_equal(scored.predict(rows), source_outputs(model, rows))
    assert np.isnan(scored.predict(np.array([[4], [np.nan]], np.float32))).all()


class Vocabulary:
    """What the importer asks an IntegerLookup; the layer itself needs TensorFlow."""

    invert, num_oov_indices, mask_token = False, 1, None
    max_tokens, pad_to_max_tokens, output_mode = None, False, "int"

    def get_vocabulary(self, include_special_tokens=True):
        return [12, -3, 100]

    def vocabulary_size(self):
        return 4


def test_numbers_of_a_vocabulary_are_looked_up():
    from instmodel.importers import common
    from instmodel.importers import expressions as ex
    from instmodel.importers.keras_encoders import integer_lookup

    leaf = ex.source(1)
    info = common.build(integer_lookup(Vocabulary(), leaf), [leaf], ["x"], {})
    rows = np.array([[12], [-3], [100], [5], [0], [12.9], [-3.5]], np.float32)
    actual = im.InstructionModel(info).predict(rows)[:, 0]
    np.testing.assert_array_equal(actual, [1, 2, 3, 0, 0, 1, 2])


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
