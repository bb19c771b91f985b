"""Keras models of the zoo, made of Keras's own layers: without tokens, steps and encoders."""

from __future__ import annotations

import numpy as np
from importers.zoo.keras_own import CASES as OWN
from importers.zoo.keras_papers import CASES as PAPERS
from importers.zoo.keras_recurrent import CASES as SEQUENCES
from importers.zoo.keras_tokens import CASES as TOKENS
from support.keras_sources import amounts, keras, layered, network, numbers, with_keys
from support.zoo import Case

layers, ops = keras.layers, keras.ops
TWO = dict.fromkeys(range(2), range(10))
THREE = dict.fromkeys(range(3), range(10))
SHIFTED_FOUR = {i: range(-10 * i, 40 - 10 * i) for i in range(4)}  # rows of one table


def stack(size, *parts):
    return keras.Sequential([keras.Input((size,)), *parts])


def wide_columns(table):
    """Split rows with two columns of categories and some numbers."""
    return [table[:, :2].astype("int32"), table[:, 2:]]


# ------------------------------------------------------------------------- feed-forward networks


def credit_scorecard():
    return stack(
        12,
        *(layers.Dense(32, use_bias=False), layers.BatchNormalization(), layers.ReLU()),
        *(layers.Dropout(0.3), layers.Dense(16, "relu", kernel_regularizer="l2")),
        *(layers.BatchNormalization(), layers.Dense(1, "sigmoid")),
    )


def fraud_with_adapted_normalization():
    norm = layers.Normalization()
    norm.adapt(amounts(10))
    return stack(
        10, norm, *(layers.Dense(64, "relu") for _ in range(3)), layers.Dense(1, "sigmoid")
    )


def self_normalizing():
    parts = (
        part
        for _ in range(3)
        for part in (
            layers.Dense(16, "selu", kernel_initializer="lecun_normal"),
            layers.AlphaDropout(0.1),
        )
    )
    return stack(8, *parts, layers.Dense(1))


def residual(x):
    h = layers.Dense(16, "relu")(x)
    for _ in range(2):
        skip = h
        h = layers.Dense(16)(layers.BatchNormalization()(h))
        h = layers.Activation("swish")(layers.Add()([h, skip]))
    return layers.Dense(1)(h)


def pre_norm_residual(x):
    h = layers.Dense(16)(x)
    for _ in range(2):
        inner = layers.Dense(32, "gelu")(layers.LayerNormalization()(h))
        h = h + layers.Dense(16)(inner)
    return layers.Dense(3, "softmax")(layers.RMSNormalization()(h))


def dense_net(x):
    for _ in range(3):
        x = layers.Concatenate()([x, layers.Dense(6, "elu")(x)])
    return layers.Dense(1)(x)


def highway(x):
    for _ in range(2):
        gate = layers.Dense(8, "sigmoid")(x)
        x = gate * layers.Dense(8, "relu")(x) + (1 - gate) * x
    return layers.Dense(1)(x)


def activations(x):
    names = (
        *("relu", "sigmoid", "tanh", "softplus", "gelu", "elu", "selu", "leaky_relu", "relu6"),
        *("silu", "mish", "log_sigmoid", "hard_tanh", "tanh_shrink", "hard_sigmoid", "hard_silu"),
        *("soft_shrink", "hard_shrink", "sparse_plus", "sparse_sigmoid", "celu", "linear"),
    )
    return layers.Concatenate()([layers.Dense(2, name)(x) for name in names])


def activation_layers(x):
    h = layers.PReLU()(layers.LeakyReLU(0.1)(layers.Dense(8)(x)))
    h = layers.ELU(0.7)(layers.Dense(8)(h))
    h = layers.ReLU(max_value=4.0, negative_slope=0.1)(layers.Dense(6)(h))
    return layers.Softmax()(h)


def group_norm(x):
    return layers.Dense(2)(layers.GroupNormalization(4)(layers.Dense(16)(x)))


def unit_norm(x):
    return layers.Dense(2)(layers.UnitNormalization()(layers.Dense(8)(x)))


# ------------------------------------------------------------------------- wide, deep and factors


def wide_and_deep():
    ids = keras.Input((2,), dtype="int32", name="ids")
    x = keras.Input((6,), name="x")
    wide = layers.Dense(1)(layers.CategoryEncoding(10, output_mode="multi_hot")(ids))
    deep = layers.Concatenate()([layers.Flatten()(layers.Embedding(10, 4)(ids)), x])
    for size in (16, 8):
        deep = layers.Dense(size, "relu")(deep)
    return keras.Model([ids, x], ops.sigmoid(wide + layers.Dense(1)(deep)))


def deep_and_cross():
    ids = keras.Input((2,), dtype="int32", name="ids")
    x = keras.Input((6,), name="x")
    base = layers.Concatenate()([layers.Flatten()(layers.Embedding(10, 4)(ids)), x])
    cross = base
    for _ in range(2):
        cross = layers.Add()([base * layers.Dense(base.shape[-1])(cross), cross])
    deep = layers.Dense(16, "relu")(base)
    return keras.Model([ids, x], layers.Dense(1, "sigmoid")(layers.Concatenate()([cross, deep])))


def factorization_machine():
    ids = keras.Input((4,), dtype="int32", name="ids")
    shifted = ids + np.arange(0, 40, 10)
    first = ops.sum(layers.Embedding(40, 1)(shifted), axis=1)
    vectors = layers.Embedding(40, 4)(shifted)
    square_of_sum = ops.square(ops.sum(vectors, axis=1))
    sum_of_squares = ops.sum(ops.square(vectors), axis=1)
    second = 0.5 * ops.sum(square_of_sum - sum_of_squares, axis=1, keepdims=True)
    deep = layers.Dense(1)(layers.Dense(8, "relu")(layers.Flatten()(vectors)))
    return keras.Model(ids, layers.Activation("sigmoid")(first + second + deep))


def dlrm():
    ids = [keras.Input((1,), dtype="int32", name=f"c{i}") for i in range(3)]
    x = keras.Input((4,), name="x")
    bottom = layers.Dense(4, "relu")(layers.Dense(8, "relu")(x))
    tables = [layers.Flatten()(layers.Embedding(10, 4)(one)) for one in ids]
    stacked = ops.stack([bottom, *tables], axis=1)
    products = ops.matmul(stacked, ops.transpose(stacked, (0, 2, 1)))
    rows, columns = np.triu_indices(4, 1)
    pairs = ops.take(ops.reshape(products, (-1, 16)), rows * 4 + columns, axis=1)
    top = layers.Dense(8, "relu")(layers.Concatenate()([bottom, pairs]))
    return keras.Model([*ids, x], layers.Dense(1, "sigmoid")(top))


def dlrm_inputs(table):
    return [*(table[:, i : i + 1].astype("int32") for i in range(3)), table[:, 3:]]


def two_towers():
    user = keras.Input((1,), dtype="int32", name="user")
    item = keras.Input((1,), dtype="int32", name="item")
    sides = [
        layers.Dense(6)(layers.Dense(8, "relu")(layers.Flatten()(layers.Embedding(10, 4)(side))))
        for side in (user, item)
    ]
    return keras.Model([user, item], layers.Dot(axes=1, normalize=True)(sides))


def matrix_factorization():
    user = keras.Input((1,), dtype="int32", name="user")
    item = keras.Input((1,), dtype="int32", name="item")
    rating = layers.Dot(2)([layers.Embedding(10, 5)(user), layers.Embedding(10, 5)(item)])
    bias = layers.Embedding(10, 1)(user) + layers.Embedding(10, 1)(item)
    return keras.Model([user, item], layers.Flatten()(rating + bias))


def siamese():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    tower = stack(4, layers.Dense(8, "relu"), layers.Dense(6))
    a, b = tower(left), tower(right)
    return keras.Model([left, right], layers.Dense(1, "sigmoid")(ops.abs(a - b)))


def halves(table):
    return [table[:, : table.shape[1] // 2], table[:, table.shape[1] // 2 :]]


def key_columns(table):
    return [table[:, :1].astype("int32"), table[:, 1:].astype("int32")]


# ----------------------------------------------------------------------------------- several heads


def multi_task():
    x = keras.Input((8,), name="x")
    h = layers.Dense(16, "relu")(x)
    heads = {"default": layers.Dense(1, "sigmoid")(h), "loss": layers.Dense(1, "softplus")(h)}
    return keras.Model(x, heads)


def mixture_of_experts():
    x = keras.Input((8,), name="x")
    experts = ops.stack([layers.Dense(6, "relu")(x) for _ in range(4)], axis=1)
    outputs = []
    for _ in range(2):
        gate = layers.Dense(4, "softmax")(x)
        mixed = layers.Dot((1, 1))([gate, experts])
        outputs.append(layers.Dense(1, "sigmoid")(layers.Dense(4, "relu")(mixed)))
    return keras.Model(x, outputs)


def quantiles(x):
    h = layers.Dense(16, "relu")(x)
    first = layers.Dense(1)(h)
    steps = layers.Dense(3, "softplus")(h)
    rest = [first + ops.sum(steps[:, : i + 1], axis=1, keepdims=True) for i in range(3)]
    return layers.Concatenate()([first, *rest])


def maxout(x):
    h = layers.Reshape((8, 3))(layers.Dense(24)(x))
    return layers.Dense(1)(ops.max(h, axis=-1))


def minimum_of_two(x):
    one, other = layers.Dense(4)(x), layers.Dense(4)(x)
    return layers.Concatenate()([layers.Minimum()([one, other]), layers.Maximum()([one, other])])


def squeeze_and_excite(x):
    gate = layers.Dense(8, "sigmoid")(layers.Dense(2, "relu")(x))
    return layers.Dense(1)(layers.Multiply()([x, gate]))


def autoencoder(x):
    code = layers.Dense(3, "tanh")(layers.Dense(6, "relu")(x))
    back = layers.Dense(8)(layers.Dense(6, "relu")(code))
    return ops.mean(ops.square(x - back), axis=1, keepdims=True)


def ordinal(x):
    logits = layers.Dense(4)(x)
    return ops.exp(ops.log_softmax(logits, axis=-1))


_PLAIN = "feed-forward networks"
_FACTORS = "wide and deep, factorization machines, towers"
_HEADS = "several heads, experts, quantiles"

CASES = [
    Case("credit scorecard with batch norm", _PLAIN, network(credit_scorecard, numbers(12))),
    Case(
        "fraud MLP, adapted Normalization",
        _PLAIN,
        network(fraud_with_adapted_normalization, amounts(10)),
    ),
    Case("self-normalizing network", _PLAIN, network(self_normalizing, numbers(8))),
    layered("residual MLP, swish", _PLAIN, residual),
    layered("residual MLP, layer norm before each block", _PLAIN, pre_norm_residual),
    layered("DenseNet of dense layers", _PLAIN, dense_net),
    layered("highway network", _PLAIN, highway),
    layered("every activation", _PLAIN, activations),
    layered("every activation layer", _PLAIN, activation_layers),
    layered("GroupNormalization", _PLAIN, group_norm),
    layered("UnitNormalization", _PLAIN, unit_norm),
    layered("squeeze and excite", _PLAIN, squeeze_and_excite),
    layered("autoencoder's error", _PLAIN, autoencoder),
    Case(
        "wide and deep",
        _FACTORS,
        network(wide_and_deep, with_keys([10, 10], 6), split=wide_columns, keys=TWO),
    ),
    Case(
        "deep and cross, version 2",
        _FACTORS,
        network(deep_and_cross, with_keys([10, 10], 6), split=wide_columns, keys=TWO),
    ),
    Case(
        "DeepFM, one table with offsets",
        _FACTORS,
        network(
            factorization_machine,
            with_keys([10] * 4, 0),
            split=lambda table: table.astype("int32"),
            keys=SHIFTED_FOUR,
        ),
    ),
    Case(
        "DLRM",
        _FACTORS,
        network(dlrm, with_keys([10] * 3, 4), split=dlrm_inputs, keys=THREE),
    ),
    Case(
        "two towers, cosine",
        _FACTORS,
        network(two_towers, with_keys([10, 10], 0), split=key_columns, keys=TWO),
    ),
    Case(
        "matrix factorization with biases",
        _FACTORS,
        network(matrix_factorization, with_keys([10, 10], 0), split=key_columns, keys=TWO),
    ),
    Case("Siamese network", _FACTORS, network(siamese, numbers(8), split=halves)),
    Case(
        "two tasks side by side",
        _HEADS,
        network(multi_task, numbers(8), output=["default", "loss"]),
    ),
    Case("MMoE, two gates", _HEADS, network(mixture_of_experts, numbers(8), output=[0, 1])),
    layered("quantiles that do not cross", _HEADS, quantiles),
    layered("maxout", _HEADS, maxout),
    layered("Minimum and Maximum", _HEADS, minimum_of_two),
    layered("log_softmax of classes", _HEADS, ordinal),
    *TOKENS,
    *OWN,
    *PAPERS,
    *SEQUENCES,
]
