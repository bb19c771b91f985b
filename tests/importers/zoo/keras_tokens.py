"""Keras models of the zoo: attention, fixed steps, encoders, and what is refused."""

from __future__ import annotations

import numpy as np
from support.keras_sources import (
    NEGATIVE,
    amounts,
    functional,
    keras,
    layered,
    network,
    numbers,
    with_keys,
)
from support.zoo import Case

layers, ops = keras.layers, keras.ops
SHIFTED = {i: range(-10 * i, 30 - 10 * i) for i in range(3)}  # rows of one table


def stack(size, *parts):
    return keras.Sequential([keras.Input((size,)), *parts])


# --------------------------------------------------------------------------------------- attention


def multi_head(x):
    tokens = layers.Reshape((4, 6))(layers.Dense(24)(x))
    mixed = layers.MultiHeadAttention(2, 3, dropout=0.1)(tokens, tokens)
    tokens = layers.LayerNormalization()(layers.Add()([tokens, mixed]))
    return layers.Dense(1)(layers.GlobalAveragePooling1D()(tokens))


def multi_head_without_dropout(x):
    tokens = layers.Reshape((4, 6))(layers.Dense(24)(x))
    mixed = layers.MultiHeadAttention(2, 3)(tokens, tokens)
    return layers.Dense(1)(layers.Flatten()(tokens + mixed))


def grouped_query(x):
    tokens = layers.Reshape((4, 6))(layers.Dense(24)(x))
    mixed = layers.GroupQueryAttention(3, 4, 2)(tokens, tokens)
    return layers.Dense(1)(layers.Flatten()(tokens + mixed))


def dot_attention(x):
    tokens = layers.Reshape((4, 6))(layers.Dense(24)(x))
    mixed = layers.Attention(use_scale=True)([tokens, tokens])
    return layers.Dense(1)(layers.Flatten()(mixed))


def additive_attention(x):
    tokens = layers.Reshape((4, 6))(layers.Dense(24)(x))
    return layers.Dense(1)(layers.Flatten()(layers.AdditiveAttention()([tokens, tokens])))


def tab_transformer():
    ids = keras.Input((3,), dtype="int32", name="ids")
    x = keras.Input((4,), name="x")
    tokens = layers.Embedding(30, 8)(ids + np.array([0, 10, 20]))
    for _ in range(2):
        mixed = layers.MultiHeadAttention(2, 8, dropout=0.1)(tokens, tokens)
        tokens = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([mixed, tokens]))
        fed = layers.Dense(8)(layers.Dense(16, "gelu")(tokens))
        tokens = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([fed, tokens]))
    rest = layers.LayerNormalization()(x)
    joined = layers.Concatenate()([layers.Flatten()(tokens), rest])
    return keras.Model([ids, x], layers.Dense(1, "sigmoid")(layers.Dense(16, "selu")(joined)))


def tab_inputs(table):
    return [table[:, :3].astype("int32"), table[:, 3:]]


# ----------------------------------------------------------------------------- steps in fixed rows


def convolution(x):
    h = layers.Conv1D(4, 3, activation="relu", padding="same")(layers.Reshape((8, 1))(x))
    h = layers.MaxPooling1D(2)(layers.Conv1D(3, 2, strides=2, padding="causal")(h))
    return layers.Dense(1)(layers.Flatten()(h))


def pooling(x):
    steps = layers.Reshape((4, 2))(x)
    steps = layers.ZeroPadding1D((1, 2))(layers.UpSampling1D(2)(steps))
    return layers.Concatenate()(
        [
            layers.GlobalMaxPooling1D()(steps),
            layers.GlobalAveragePooling1D()(steps),
            layers.Flatten()(layers.AveragePooling1D(3, 2, padding="same")(steps)),
        ]
    )


def einsum_layers(x):
    steps = layers.Reshape((4, 2))(x)
    h = layers.EinsumDense("abc,cd->abd", (None, 3), "relu", bias_axes="d")(steps)
    h = layers.EinsumDense("...x,xy->...y", (2,), bias_axes="y")(h)
    h = layers.EinsumDense("abc,bcd->abd", (4, 2), bias_axes="bd")(layers.Reshape((4, 2))(h))
    return layers.TimeDistributed(stack(2, layers.Dense(3, "relu"), layers.Dense(1)))(h)


# ----------------------------------------------------------------------------------- preprocessing


def discretized(x):
    bins = layers.Discretization(bin_boundaries=[-1.0, -0.1, 0.3, 1.2], output_mode="one_hot")
    return layers.Dense(1)(layers.Concatenate()([bins(x[:, i : i + 1]) for i in range(3)]))


def embedded_bins(x):
    bins = layers.Discretization(bin_boundaries=[-1.0, 0.0, 0.7])(x)
    return layers.Dense(1)(layers.Flatten()(layers.Embedding(4, 3)(bins)))


def one_hot_codes(x):
    coded = [layers.CategoryEncoding(6, output_mode="one_hot")(x[:, i : i + 1]) for i in range(2)]
    return layers.Dense(1)(layers.Concatenate()(coded))


def counted_codes(x):
    return layers.Dense(1)(layers.CategoryEncoding(6, output_mode="count")(x))


def feature_space():
    of = keras.utils.FeatureSpace
    bins = layers.Discretization(bin_boundaries=[1.0, 2.0, 4.0], output_mode="one_hot")
    space = of(
        {
            "age": of.feature("float32", bins, "float"),
            "income": of.float_normalized(),
            "ratio": of.float_rescaled(0.5, 1.0),
        },
        output_mode="concat",
    )
    space.preprocessors["income"].adapt(amounts(3)[:, 1:2])
    space._is_adapted = True  # `adapt` of the whole needs TensorFlow
    inputs = space.get_inputs()
    return keras.Model(inputs, layers.Dense(1, "sigmoid")(space.get_encoded_features()))


def named_columns(table):
    return {name: table[:, i : i + 1] for i, name in enumerate(("age", "income", "ratio"))}


def padded_bag(x):
    vectors = layers.Embedding(5, 4, mask_zero=True)(x)
    return layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.Dense(3, "tanh")(vectors)))


def missing_indicators(x):
    filled = ops.where(ops.isnan(x), 0.5, x)
    flags = ops.cast(ops.isnan(x), "float32")
    return layers.Dense(1)(layers.Concatenate()([filled, flags]))


def log_amounts(x):
    h = ops.log1p(ops.relu(x))
    return layers.Dense(1)(ops.concatenate([h, ops.sqrt(ops.maximum(x, 0.0))], axis=-1))


def step_features(x):
    over = ops.cast(x > 0.5, "float32")
    inside = ops.cast(ops.logical_and(x > -1, x <= 1), "float32")
    return layers.Dense(1)(ops.concatenate([over, inside, ops.clip(x, -2, 2)], axis=1))


# ------------------------------------------------------------------------------------ not imported


def recurrent(x):
    h = layers.LSTM(3)(layers.Reshape((4, 2))(x))
    return layers.Dense(1)(ops.sin(h))


def masked(x):
    h = layers.Embedding(5, 2, mask_zero=True)(x)
    return layers.Dense(1)(layers.GRU(3, name="gru")(layers.Masking(name="masking")(h)))


_ATTENTION = "attention over fixed tokens"
_STEPS = "fixed steps"
_BEFORE = "preprocessing layers"
_NOT = "recurrent networks, masks"

CASES = [
    layered("MultiHeadAttention with dropout", _ATTENTION, multi_head),
    layered("MultiHeadAttention", _ATTENTION, multi_head_without_dropout),
    layered("GroupQueryAttention", _ATTENTION, grouped_query),
    layered("Attention with a scale", _ATTENTION, dot_attention),
    layered("AdditiveAttention", _ATTENTION, additive_attention),
    Case(
        "TabTransformer",
        _ATTENTION,
        network(tab_transformer, with_keys([10] * 3, 4), split=tab_inputs, keys=SHIFTED),
    ),
    layered("Conv1D and MaxPooling1D", _STEPS, convolution),
    layered("pooling, padding and upsampling", _STEPS, pooling),
    layered("EinsumDense, TimeDistributed", _STEPS, einsum_layers),
    layered("Discretization, one-hot", _BEFORE, discretized),
    layered("Discretization into an Embedding", _BEFORE, embedded_bins),
    layered(
        "CategoryEncoding, one-hot",
        _BEFORE,
        one_hot_codes,
        with_keys([6, 6], 0),
        2,
        keys=dict.fromkeys(range(2), range(NEGATIVE, 6)),
    ),
    layered(
        "CategoryEncoding, counts",
        _BEFORE,
        counted_codes,
        with_keys([6] * 3, 0),
        3,
        keys=dict.fromkeys(range(3), range(NEGATIVE, 6)),
    ),
    Case(
        "FeatureSpace of numbers",
        _BEFORE,
        network(feature_space, amounts(3), split=named_columns),
    ),
    layered(
        "bag of categories, padded with 0",
        _BEFORE,
        padded_bag,
        with_keys([5] * 4, 0),
        4,
        keys=dict.fromkeys(range(4), range(5)),
    ),
    layered("missing indicators", _BEFORE, missing_indicators),
    layered("log1p and square roots", _BEFORE, log_amounts, amounts(8)),
    layered("steps and clipping", _BEFORE, step_features),
    Case("LSTM", _NOT, network(lambda: functional(8, recurrent), numbers(8)), ("(LSTM)", "(Sin)")),
    Case(
        "Embedding with mask_zero",
        _NOT,
        network(lambda: functional(3, masked), with_keys([5] * 3, 0)),
        ("(GRU): a mask", "(Masking)"),
    ),
]
