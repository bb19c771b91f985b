"""Models that tf2onnx exported; not in CI, where TensorFlow would be most of the download."""

import numpy as np
import pytest
from support.sources import ROWS, assert_same

import instmodel as im

tf = pytest.importorskip("tensorflow")
tf2onnx = pytest.importorskip("tf2onnx")
layers = tf.keras.layers


def gated():
    x = layers.Input((6,))
    h = layers.Dense(8, activation="relu")(x)
    gate = layers.Dense(8, activation="softmax")(x)
    both = layers.Concatenate()([layers.Multiply()([h, gate]), layers.Add()([h, gate])])
    return tf.keras.Model(x, layers.Dense(1, activation="sigmoid")(both))


def chain(*parts):
    return lambda: tf.keras.Sequential([layers.Input((6,)), *parts])


MODELS = {
    "softmax": chain(layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")),
    "batch normalization": chain(
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.Activation("tanh"),
        layers.Dropout(0.3),
        layers.Dense(1, activation="sigmoid"),
    ),
    "exponential": chain(
        layers.Dense(5, activation="softplus"), layers.Dense(1, activation="exponential")
    ),
    "gated": gated,
}


@pytest.mark.filterwarnings("default")  # TensorFlow's own
@pytest.mark.parametrize("name", MODELS)
def test_exported_models_are_imported_and_go_back(name):
    model = MODELS[name]()
    rows = np.random.default_rng(0).standard_normal((ROWS, 6)).astype(np.float32)
    signature = (tf.TensorSpec((None, 6), tf.float32, name="x"),)
    function = tf.function(lambda x: model(x, training=False), input_signature=signature)
    exported, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=17)
    assert_same(im.importers.from_onnx(exported), rows, model(rows).numpy())
