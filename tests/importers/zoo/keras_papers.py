"""Keras models of the zoo: networks of papers, and losses that give outputs another meaning."""

from __future__ import annotations

import numpy as np
from support.keras_sources import amounts, keras, layered, network, numbers, with_keys
from support.zoo import Case

layers, ops = keras.layers, keras.ops
FIELDS = dict.fromkeys(range(4), range(10))


def whole(table):
    return table.astype("int32")


def fields():
    ids = keras.Input((4,), dtype="int32", name="ids")
    return ids, layers.Embedding(10, 4)(ids)


def auto_int():
    ids, tokens = fields()
    for _ in range(2):
        mixed = layers.MultiHeadAttention(2, 4)(tokens, tokens)
        tokens = ops.relu(mixed + layers.Dense(4, use_bias=False)(tokens))
    return keras.Model(ids, layers.Dense(1, "sigmoid")(layers.Flatten()(tokens)))


class CompressedInteraction(layers.Layer):
    """Of xDeepFM."""

    def build(self, input_shape):
        count = input_shape[1]
        self.kernels = [
            self.add_weight(shape=(count * n, 3), name=f"kernel_{i}")
            for i, n in enumerate((count, 3))
        ]

    def call(self, x0):
        pooled, x = [], x0
        for kernel in self.kernels:
            pairs = ops.einsum("bhd,bmd->bhmd", x, x0)
            flat = ops.reshape(pairs, (-1, pairs.shape[1] * pairs.shape[2], x0.shape[2]))
            x = ops.relu(ops.einsum("bpd,pk->bkd", flat, kernel))
            pooled.append(ops.sum(x, axis=-1))
        return ops.concatenate(pooled, axis=-1)


def x_deep_fm():
    ids, tokens = fields()
    return keras.Model(ids, layers.Dense(1, "sigmoid")(CompressedInteraction()(tokens)))


class TransformerBlock(layers.Layer):
    """The block of keras.io, behind tokens with learned positions."""

    def __init__(self, width, heads, inner):
        super().__init__()
        self.positions = layers.Embedding(4, width)
        self.att = layers.MultiHeadAttention(num_heads=heads, key_dim=width)
        self.ffn = keras.Sequential([layers.Dense(inner, "relu"), layers.Dense(width)])
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout = layers.Dropout(0.1)

    def call(self, inputs, training=False):
        x = inputs + self.positions(ops.arange(0, 4))
        x = self.layernorm1(x + self.dropout(self.att(x, x), training=training))
        return self.layernorm2(x + self.dropout(self.ffn(x), training=training))


def transformer_block(x):
    tokens = layers.Reshape((4, 6))(layers.Dense(24)(x))
    return layers.Dense(1)(layers.GlobalAveragePooling1D()(TransformerBlock(6, 2, 8)(tokens)))


class SelfAttention(layers.Layer):
    """Attention by hand: heads are parted by a reshape that names the batch."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (layers.Dense(8) for _ in range(3))

    def heads(self, x, batch):
        return ops.transpose(ops.reshape(x, (batch, -1, 2, 4)), (0, 2, 1, 3))

    def call(self, x):
        batch = ops.shape(x)[0]
        query, key, value = (
            self.heads(layer(x), batch) for layer in (self.query, self.key, self.value)
        )
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / ops.sqrt(4.0)
        mixed = ops.transpose(ops.matmul(ops.softmax(scores), value), (0, 2, 1, 3))
        return ops.reshape(mixed, (batch, -1, 8))


class LowRankCross(layers.Layer):
    """The cross layers of DCN-Mix, with lists of weights."""

    def build(self, input_shape):
        size = input_shape[-1]
        self.u = [self.add_weight(shape=(size, 2), name=f"u{i}") for i in range(2)]
        self.v = [self.add_weight(shape=(2, size), name=f"v{i}") for i in range(2)]
        self.shifts = [self.add_weight(shape=(size,), name=f"bias{i}") for i in range(2)]

    def call(self, x0):
        x = x0
        for u, v, shift in zip(self.u, self.v, self.shifts, strict=True):
            x = x0 * (ops.matmul(ops.matmul(x, u), v) + shift) + x
        return x


def attentional_factorization():
    ids, tokens = fields()
    rows, columns = np.triu_indices(4, 1)
    pairs = ops.take(tokens, rows, axis=1) * ops.take(tokens, columns, axis=1)
    scores = layers.Softmax(axis=1)(layers.Dense(1)(layers.Dense(4, "relu")(pairs)))
    return keras.Model(ids, layers.Dense(1, "sigmoid")(ops.sum(scores * pairs, axis=1)))


def product_network():
    ids, tokens = fields()
    inner = layers.Dot(2)([tokens, tokens])
    joined = layers.Concatenate()([layers.Flatten()(tokens), layers.Flatten()(inner)])
    return keras.Model(ids, layers.Dense(1, "sigmoid")(layers.Dense(8, "relu")(joined)))


def mixer(x):
    tokens = layers.Reshape((4, 6))(layers.Dense(24)(x))
    turned = layers.Permute((2, 1))(layers.LayerNormalization()(tokens))
    mixed = layers.Dense(4)(layers.Dense(8, "gelu")(turned))
    tokens = layers.Add()([tokens, layers.Permute((2, 1))(mixed)])
    channels = layers.Dense(6)(layers.Dense(12, "gelu")(layers.LayerNormalization()(tokens)))
    return layers.Dense(2)(layers.GlobalAveragePooling1D()(tokens + channels))


def additive(x):
    """Sum what a small network makes of each feature."""
    parts = [layers.Dense(1)(layers.Dense(6, "relu")(x[:, i : i + 1])) for i in range(8)]
    return layers.Activation("sigmoid")(layers.Add()(parts))


class ExpUnits(layers.Layer):
    """The units of neural additive models."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], 6), name="w")
        self.b = self.add_weight(shape=(input_shape[-1],), name="b")

    def call(self, x):
        return ops.clip(ops.matmul(x - self.b, ops.exp(self.w)), 0, 1)


def progressive_experts():
    """Two tasks with experts of their own and shared ones."""
    x = keras.Input((8,), name="x")
    shared = [layers.Dense(4, "relu")(x) for _ in range(2)]
    heads = []
    for _ in range(2):
        experts = ops.stack([*shared, layers.Dense(4, "relu")(x)], axis=1)
        gate = ops.expand_dims(layers.Dense(3, "softmax")(x), -1)
        heads.append(layers.Dense(1, "sigmoid")(ops.sum(gate * experts, axis=1)))
    click, buy = heads
    return keras.Model(x, {"click": click, "buy": click * buy})


def zero_inflated(x):
    """Expect a value that is 0 or log-normal."""
    h = layers.Dense(12, "relu")(x)
    chance, mean = layers.Dense(1, "sigmoid")(h), layers.Dense(1)(h)
    spread = layers.Dense(1, "softplus")(h)
    return chance * ops.exp(ops.clip(mean + 0.5 * ops.square(spread), -8, 8))


def mixture_density(x):
    h = layers.Dense(12, "tanh")(x)
    weights, means = layers.Dense(3, "softmax")(h), layers.Dense(3)(h)
    spread = ops.elu(layers.Dense(3)(h)) + 1 + 1e-3
    mean = ops.sum(weights * means, axis=-1, keepdims=True)
    variance = ops.sum(weights * (spread**2 + (means - mean) ** 2), axis=-1, keepdims=True)
    return ops.concatenate([mean, ops.sqrt(variance)], axis=-1)


def evidential(x):
    evidence = ops.softplus(layers.Dense(3)(layers.Dense(8, "relu")(x)))
    alpha = evidence + 1
    return alpha / ops.sum(alpha, axis=-1, keepdims=True)


def survival(x):
    """Chances to be there after each period, from the hazards."""
    hazards = layers.Dense(4, "sigmoid")(layers.Dense(8, "relu")(x))
    left, kept = ops.ones_like(hazards[:, :1]), []
    for i in range(4):
        left = left * (1 - hazards[:, i : i + 1])
        kept.append(left)
    return ops.concatenate(kept, axis=-1)


def poisson(x):
    exposure = ops.log(ops.maximum(x[:, :1], 1e-3))
    rate = layers.Dense(1)(layers.Dense(8, "tanh")(layers.Normalization(mean=0, variance=1e4)(x)))
    return ops.exp(rate + exposure)


def uplift(x):
    h = layers.Dense(8, "elu")(x)
    treated, not_treated = (layers.Dense(1, "sigmoid")(layers.Dense(4, "elu")(h)) for _ in "ab")
    return treated - not_treated


def calibrated(x):
    logit = layers.Dense(1)(layers.Dense(8, "relu")(x)) / 1.7
    return ops.sigmoid(0.8 * logit - 0.2)


def averaged():
    x = keras.Input((8,), name="x")
    members = [
        keras.Sequential([layers.Dense(6, "relu"), layers.Dense(1, "sigmoid")]) for _ in range(3)
    ]
    return keras.Model(x, layers.Average()([member(x) for member in members]))


def variational(x):
    """Score with the mean of a variational autoencoder's code."""
    h = layers.Dense(8, "relu")(x)
    mean, spread = layers.Dense(3)(h), layers.Dense(3)(h)
    return -0.5 * ops.sum(1 + spread - ops.square(mean) - ops.exp(spread), axis=-1, keepdims=True)


def prototypes(x):
    """Classify by the distance to learned points."""
    points = np.random.default_rng(3).normal(size=(1, 4, 8)).astype("float32")
    distance = ops.sum(ops.square(ops.expand_dims(x, 1) - points), axis=-1)
    return ops.softmax(-0.1 * distance, axis=-1)


class Sparse(layers.Layer):
    """A step of TabNet."""

    def __init__(self):
        super().__init__(name="step")
        self.dense = layers.Dense(8)

    def call(self, x):
        return x * ops.sparsemax(self.dense(x))


class Sampling(layers.Layer):
    def call(self, inputs):
        mean, spread = inputs
        noise = keras.random.normal(ops.shape(mean), seed=1)
        return mean + ops.exp(0.5 * spread) * noise


def sampled(x):
    return Sampling(name="sampling")([layers.Dense(2)(x), layers.Dense(2)(x)])


_RECOMMENDERS = "recommenders of papers"
_TABLES = "networks for tables"
_OUTPUTS = "outputs with another meaning"

CASES = [
    *(
        Case(name, _RECOMMENDERS, network(make, with_keys([10] * 4, 0), split=whole, keys=FIELDS))
        for name, make in (
            ("AutoInt", auto_int),
            ("xDeepFM's CIN", x_deep_fm),
            ("attentional factorization machine", attentional_factorization),
            ("product network", product_network),
        )
    ),
    layered("transformer block of keras.io", _TABLES, transformer_block),
    layered(
        "attention by hand",
        _TABLES,
        lambda x: layers.Dense(1)(layers.Flatten()(SelfAttention()(layers.Reshape((4, 2))(x)))),
    ),
    layered(
        "DCN-Mix",
        _RECOMMENDERS,
        lambda x: layers.Dense(1)(LowRankCross()(x)),
        reach=30.0,  # a cube of the inputs, of which most cancels
    ),
    layered("MLP-Mixer over tokens", _TABLES, mixer),
    layered("neural additive model", _TABLES, additive),
    layered("neural additive model, ExU", _TABLES, lambda x: layers.Dense(1)(ExpUnits()(x))),
    Case("ensemble of networks", _TABLES, network(averaged, numbers(8))),
    layered("distance to prototypes", _TABLES, prototypes),
    Case(
        "PLE, two tasks",
        _OUTPUTS,
        network(progressive_experts, numbers(8), outputs=[0], output="buy"),
    ),
    layered("zero-inflated log-normal", _OUTPUTS, zero_inflated),
    layered("mixture density", _OUTPUTS, mixture_density),
    layered("evidential classifier", _OUTPUTS, evidential),
    layered("survival by period", _OUTPUTS, survival),
    layered("Poisson rate with exposure", _OUTPUTS, poisson, amounts(8)),
    layered("uplift by two heads", _OUTPUTS, uplift),
    layered("calibrated scores", _OUTPUTS, calibrated),
    layered("divergence of a variational autoencoder", _OUTPUTS, variational, reach=3.0),
    layered("TabNet's sparsemax", _TABLES, lambda x: Sparse()(x), refused=("(Sparsemax)",)),
    layered("sampling layer", _OUTPUTS, sampled, refused=("a row for each sample",)),
]
