"""Functions of `keras.ops` and layers one by one: imported as what they compute, NaN included."""

import os

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras")

import keras
from keras import layers, ops
from support.keras_sources import stir

from instmodel.importers.keras import from_keras, source_outputs

pytestmark = pytest.mark.filterwarnings("ignore")  # of Keras and its backend


def functional(function, shape=(6,), dtype="float32"):
    x = keras.Input(shape, dtype=dtype, name="x")
    return keras.Model(x, function(x))


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def side_by_side(*functions):
    return lambda x: ops.concatenate([function(x) for function in functions], -1)


def adapted(**options):
    layer = layers.Normalization(**options)
    layer.adapt(3 + 2 * numbers(50, 3, 2))
    return layer


def shifted_twice():
    shared = layers.Dense(6, "tanh")
    return lambda x: shared(shared(x)) + shared(x * 2)


def of_a_dictionary():
    a, b = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    inner = keras.Model({"b": a, "a": b}, layers.Dense(3)(a) - 2 * layers.Dense(3)(b))
    return lambda x: inner({"a": x[:, :2], "b": x[:, 2:4]})


class Pair(layers.Layer):
    def call(self, x, factor=1.0, other=None):
        return {"b": x * factor, "a": x[:, :2] if other is None else other[:, :2]}


def by_name(x):
    parts = Pair()(x, factor=2.0, other=ops.relu(x))
    return parts["b"][:, :2] * parts["a"]


class Weighted(layers.Layer):
    def build(self, input_shape):
        self.parts = [self.add_weight(shape=(6,), initializer="random_normal") for _ in range(2)]
        self.alpha = self.add_weight(shape=(6,), initializer="random_normal", name="slope")

    def call(self, x):
        slope = ops.softplus(self.alpha)
        return ops.where(x > 0, self.parts[0] * x, slope * x) + self.parts[1] ** 2


# Of six numbers.
VECTORS = {
    "a shared layer": shifted_twice(),
    "a model of a dictionary": of_a_dictionary(),
    "a layer that returns a dictionary": by_name,
    "weights on the left": lambda x: Weighted()(x),
    "powers": side_by_side(
        lambda x: 2.0**x, lambda x: x**2, lambda x: ops.power(x, 3), lambda x: ops.abs(x) ** 1.7
    ),
    "a root of any number": lambda x: x**0.5,
    "division": lambda x: x / (1 + ops.exp(-x)) + 1 / (1 + x * x),
    "logarithms": side_by_side(
        ops.log, lambda x: ops.log1p(ops.abs(x)), lambda x: ops.log2(ops.exp(x)),
        lambda x: ops.log10(x * x + 1),
    ),
    "statistics": side_by_side(
        *(
            lambda x, f=f: f(x, axis=1, keepdims=True)
            for f in (ops.mean, ops.std, ops.var, ops.min, ops.max, ops.logsumexp)
        )
    ),
    "norms": side_by_side(
        lambda x: ops.norm(x, axis=1, keepdims=True),
        lambda x: ops.norm(x, ord=1, axis=1, keepdims=True),
        lambda x: ops.normalize(x, order=1),
        ops.normalize,
    ),
    "an average": lambda x: ops.average(x, axis=1, weights=np.arange(6.0))[:, None],
    "logic": lambda x: (
        ops.cast(ops.logical_or((x > 0) & (x < 1), ops.logical_not(x >= -1)), "float32")
        + ops.cast(ops.any(x > 2, axis=1, keepdims=True), "float32")
        - ops.cast(ops.all(ops.not_equal(x, 0), axis=1, keepdims=True), "float32")
    ),
    "logic of numbers": lambda x: ops.cast(ops.logical_xor(x, x > 0), "float32"),
    "booleans as numbers": lambda x: (x > 0) * x + ops.sum(ops.equal(x, 0), axis=1, keepdims=True),
    "gaps": lambda x: (
        ops.nan_to_num(x, nan=3.0) + ops.cast(ops.isnan(x) & ~ops.isfinite(x), "float32")
    ),
    "larger and smaller": lambda x: (
        ops.maximum(x, ops.flip(x, 1)) + ops.minimum(x, 0.3) - ops.maximum(0.1, x)
    ),
    "places": lambda x: ops.take(x, [3, 1, 1], axis=1) + ops.take(x, 2, axis=-1)[:, None],
    "slices": side_by_side(lambda x: x[..., 1:2], lambda x: x[:, -2:], lambda x: x[:, None][:, 0]),
    "moves": side_by_side(
        lambda x: ops.roll(x, 2, axis=1), lambda x: ops.tile(x, (1, 2)),
        lambda x: ops.repeat(x, 2, axis=1),
        lambda x: ops.pad(x, ((0, 0), (1, 2)), constant_values=2.0),
    ),
    "parts": lambda x: (
        ops.stack(ops.unstack(x, axis=1)[::-1], axis=-1)[:, :3] * ops.split(x, [3], axis=-1)[1]
    ),
    "constants": lambda x: x + ops.zeros_like(x) + 2 * ops.ones_like(x) + ops.full_like(x, 3),
    "activations": side_by_side(
        ops.gelu, ops.squareplus, ops.softsign, ops.hard_tanh, ops.glu,
        lambda x: ops.gelu(x, approximate=False),
        lambda x: ops.threshold(x, 0.2, -5.0), lambda x: ops.soft_shrink(x, 0.3),
        lambda x: ops.hard_shrink(x, 0.3), lambda x: ops.celu(x, 2.0), lambda x: ops.elu(x, 0.5),
    ),
    "a rectifier with everything": lambda x: layers.ReLU(1.0, 0.2, 0.5)(x),
    "a rectifier with a threshold": lambda x: layers.ReLU(threshold=0.5)(x),
    "the error function": lambda x: 0.5 * (1 + ops.erf(x)),
    "an outer product": lambda x: ops.einsum("bi,bj->bij", x, x[:, :2]),
    "a product with constants": lambda x: ops.dot(x, numbers(6, 4)),
    "an addition of logarithms": lambda x: ops.logaddexp(x, ops.flip(x, 1)),
    "bins": lambda x: ops.cast(ops.digitize(x, np.array([-1.0, 0.0, 0.5])), "float32"),
    "a softmax of some": lambda x: layers.Softmax()(x, mask=x > 0),
}  # fmt: skip

# Of three steps of two numbers.
STEPS = {
    "norm of all": lambda x: adapted(axis=None)(x),
    "norm of each": lambda x: adapted(axis=(1, 2))(x),
    "norm of steps, inverted": lambda x: adapted(axis=1, invert=True)(x),
    "batch norm of steps": lambda x: layers.BatchNormalization(axis=1)(x),
    "layer norm of both axes": lambda x: layers.LayerNormalization(axis=(1, 2))(x),
    "unit norm of steps": lambda x: layers.UnitNormalization(axis=1)(x),
    "a softmax over steps": lambda x: layers.Softmax(axis=1)(x),
    "logarithms of it": lambda x: ops.log_softmax(x, axis=1),
    "axes": lambda x: ops.moveaxis(x, 1, 2) + ops.swapaxes(x, -1, -2) + ops.transpose(x, (0, 2, 1)),
    "einsum of one": lambda x: ops.einsum("bij->bji", x),
    "einsum that sums": lambda x: ops.einsum("bij->bj", x),
    "einsum of two": lambda x: ops.einsum("bij,bkj->bik", x, x),
    "einsum with constants": lambda x: ops.einsum("...j,jk->...k", x, numbers(2, 4)),
    "tensordot": lambda x: ops.tensordot(x, numbers(3, 2, 4), axes=[[1, 2], [0, 1]]),
    "dot": lambda x: layers.Dot((1, 2))([x, ops.swapaxes(x, 1, 2)]),
    "values of other ranks": lambda x: layers.Add()([x, x[:, 0]]),
    "attention to others": lambda x: layers.MultiHeadAttention(2, 3, 4, output_shape=5)(
        x[:, :1], x, ops.flip(x, 1)
    ),
    "attention to what was": lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
    "attention with a constant mask": lambda x: layers.MultiHeadAttention(2, 3)(
        x, x, attention_mask=np.tril(np.ones((1, 3, 3), bool))
    ),
    "attention with a gate": lambda x: layers.MultiHeadAttention(2, 3, use_gate=True)(x, x),
    "scores of attention": lambda x: layers.MultiHeadAttention(2, 3)(
        x, x, return_attention_scores=True
    )[1],
    "attention of sums": lambda x: layers.Attention(score_mode="concat")([x, x]),
    "a convolution with gaps": lambda x: layers.Conv1D(3, 2, dilation_rate=2, padding="same")(x),
    "a convolution with strides": lambda x: layers.Conv1D(3, 2, strides=2, padding="same")(x),
    "the largest of padded": lambda x: layers.MaxPooling1D(2, 2, padding="same")(x),
    "the mean of padded": lambda x: layers.AveragePooling1D(2, 2, padding="same")(x),
    "channels first": lambda x: layers.Flatten("channels_first")(x),
    "slopes that steps share": lambda x: layers.PReLU("random_normal", shared_axes=[1])(x),
    "each step": lambda x: layers.TimeDistributed(layers.BatchNormalization())(x),
}


def vectors_of(x):
    return layers.Embedding(5, 3, mask_zero=True)(x)


# Of four whole numbers; 0 stands for none.
KEYS = {
    "a mask that nothing asks for": lambda x: layers.Dense(2)(layers.Flatten()(vectors_of(x))),
    "a mean of some": lambda x: layers.GlobalAveragePooling1D()(
        layers.Add()([vectors_of(x), layers.LayerNormalization()(vectors_of(x))])
    ),
    "an equal key": lambda x: ops.cast(ops.equal(x, 3), "float32") + ops.cast(x, "float32"),
}


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("name", KEYS)
def test_keys_are_compared_without_their_fraction(name, dtype):
    model = functional(KEYS[name], (4,), dtype)
    rows = np.random.default_rng(0).integers(0, 5, (400, 4)).astype(np.float32)
    rows[0] = 0
    if name != "an equal key" and dtype == "int32":
        rows += 0.7
    expected = source_outputs(model, rows)
    actual = im.InstructionModel(from_keras(model)).predict(rows)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        *(pytest.param(function, (6,), id=name) for name, function in VECTORS.items()),
        *(pytest.param(function, (3, 2), id=name) for name, function in STEPS.items()),
    ],
)
def test_it_is_imported_as_what_it_computes(function, shape):
    model = functional(function, shape)
    stir(model)
    rows = numbers(400, 6)
    rows[:60] *= 20
    rows[60:120] = np.rint(rows[60:120])
    rows[120:140, 2] = np.nan
    expected = source_outputs(model, rows)
    actual = im.InstructionModel(from_keras(model)).predict(rows).astype(float)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    held = np.isfinite(expected)
    error = np.abs(actual[held] - expected[held]) / np.maximum(1.0, np.abs(expected[held]))
    assert error.max() < 2e-5


UNSUPPORTED = {
    "a mask for a layer of one's own": (
        lambda x: Pair()(vectors_of(x))["b"],
        "(Pair): a mask",
    ),
    "a mask for a model inside": (
        lambda x: keras.Sequential([layers.Dense(2), layers.GlobalAveragePooling1D()])(
            vectors_of(x)
        ),
        "(Sequential): a mask",
    ),
    "a mask for attention": (
        lambda x: layers.MultiHeadAttention(2, 3)(vectors_of(x), vectors_of(x)),
        "(MultiHeadAttention): a mask",
    ),
    "the batch": (lambda x: x - ops.mean(x), "along the batch"),
    "a row": (lambda x: x[0] + x, "an index of the batch"),
    "arithmetic of integers": (
        lambda x: ops.cast(ops.cast(x, "int32") * 2, "float32"),
        "a conversion to integers",
    ),
    "values that Keras itself aligns with the batch": (
        lambda x: layers.Reshape((3, 2))(x) * x[:, :2],
        "different numbers of axes",
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_mixes_samples_or_has_no_instructions_is_refused(name):
    function, reason = UNSUPPORTED[name]
    with pytest.raises(im.InstModelError) as caught:
        from_keras(functional(function))
    assert caught.value.code == "unsupported_model"
    assert any(reason in piece for piece in caught.value.pieces)


def test_a_model_that_keras_cannot_run_is_named():
    with pytest.raises(im.InstModelError) as caught:
        from_keras(functional(lambda x: layers.LayerNormalization(axis=1)(x), (3, 2)))
    assert caught.value.code == "source_failed"
    assert "normalized_shape" in str(caught.value)
