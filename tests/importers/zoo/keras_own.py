"""Keras models of the zoo with layers and models of one's own, as keras.io and papers have them."""

from __future__ import annotations

import numpy as np
from support.keras_sources import keras, layered, network, numbers, with_keys
from support.zoo import Case

layers, ops = keras.layers, keras.ops


# ----------------------------------------------------------------------------- layers of one's own


class GatedLinearUnit(layers.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.linear = layers.Dense(units)
        self.sigmoid = layers.Dense(units, activation="sigmoid")

    def call(self, inputs):
        return self.linear(inputs) * self.sigmoid(inputs)


class GatedResidualNetwork(layers.Layer):
    def __init__(self, units, dropout_rate, **options):
        super().__init__(**options)
        self.units = units
        self.elu_dense = layers.Dense(units, activation="elu")
        self.linear_dense = layers.Dense(units)
        self.dropout = layers.Dropout(dropout_rate)
        self.gated_linear_unit = GatedLinearUnit(units)
        self.layer_norm = layers.LayerNormalization()
        self.project = layers.Dense(units)

    def call(self, inputs):
        x = self.elu_dense(inputs)
        x = self.linear_dense(x)
        x = self.dropout(x)
        if inputs.shape[-1] != self.units:
            inputs = self.project(inputs)
        x = inputs + self.gated_linear_unit(x)
        return self.layer_norm(x)


class VariableSelection(layers.Layer):
    def __init__(self, num_features, units, dropout_rate, **options):
        super().__init__(**options)
        self.grns = [GatedResidualNetwork(units, dropout_rate) for _ in range(num_features)]
        self.grn_concat = GatedResidualNetwork(units, dropout_rate)
        self.softmax = layers.Dense(units=num_features, activation="softmax")

    def call(self, inputs):
        v = layers.concatenate(inputs)
        v = self.grn_concat(v)
        v = ops.expand_dims(self.softmax(v), axis=-1)
        x = [grn(part) for part, grn in zip(inputs, self.grns, strict=True)]
        x = ops.stack(x, axis=1)
        return ops.squeeze(ops.matmul(ops.transpose(v, axes=[0, 2, 1]), x), axis=1)


def variable_selection(x):
    parts = [layers.Dense(4)(x[:, i : i + 1]) for i in range(5)]
    return layers.Dense(1, "sigmoid")(VariableSelection(5, 4, 0.1)(parts))


class Cross(layers.Layer):
    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[0][-1],) * 2, name="kernel")
        self.bias = self.add_weight(shape=(input_shape[0][-1],), name="bias")

    def call(self, inputs):
        base, x = inputs
        return base * (ops.matmul(x, self.kernel) + self.bias) + x


def cross_network(x):
    h = x
    for _ in range(3):
        h = Cross()([x, h])
    return layers.Dense(1)(h)


class Scale(layers.Layer):
    """A layer with its weight on the left of an operator."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), name="scale")
        self.alpha = self.add_weight(shape=(), name="alpha")

    def call(self, x, training=None):
        if training:
            x = x + 1e9
        return ops.exp(self.alpha) * x + self.scale * ops.relu(x)


class FactorizationMachine(layers.Layer):
    def __init__(self, factors=4):
        super().__init__()
        self.factors = factors

    def build(self, input_shape):
        self.w0 = self.add_weight(shape=(1,), name="bias")
        self.w = self.add_weight(shape=(input_shape[-1], 1), name="w")
        self.v = self.add_weight(shape=(input_shape[-1], self.factors), name="v")

    def call(self, x):
        linear = self.w0 + ops.matmul(x, self.w)
        pairs = ops.square(ops.matmul(x, self.v)) - ops.matmul(ops.square(x), ops.square(self.v))
        return linear + 0.5 * ops.sum(pairs, axis=-1, keepdims=True)


class FeatureTokenizer(layers.Layer):
    """Of the FT-Transformer: a token for each number, and one of the class in front."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def build(self, input_shape):
        self.weight = self.add_weight(shape=(input_shape[-1], self.width), name="weight")
        self.bias = self.add_weight(shape=(input_shape[-1], self.width), name="bias")
        self.cls = self.add_weight(
            shape=(1, 1, self.width), name="cls", initializer="random_normal"
        )

    def call(self, x):
        tokens = ops.expand_dims(x, -1) * self.weight + self.bias
        cls = ops.broadcast_to(self.cls, (ops.shape(x)[0], 1, self.width))
        return ops.concatenate([cls, tokens], axis=1)


def ft_transformer(x):
    tokens = FeatureTokenizer(8)(x)
    for _ in range(2):
        h = layers.LayerNormalization()(tokens)
        tokens = tokens + layers.MultiHeadAttention(2, 4)(h, h)
        h = layers.LayerNormalization()(tokens)
        tokens = tokens + layers.Dense(8)(layers.Dense(16, "relu")(h))
    return layers.Dense(1)(ops.relu(layers.LayerNormalization()(tokens[:, 0])))


class PeriodicEmbedding(layers.Layer):
    def build(self, input_shape):
        self.coefficients = self.add_weight(shape=(input_shape[-1], 4), name="coefficients")

    def call(self, x):
        angle = ops.expand_dims(x, -1) * self.coefficients
        return ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)


class PiecewiseLinear(layers.Layer):
    """Piecewise linear encoding of numbers by their quantiles."""

    def __init__(self, edges):
        super().__init__()
        self.edges = np.asarray(edges, "float32")

    def call(self, x):
        width = self.edges[1:] - self.edges[:-1]
        share = (ops.expand_dims(x, -1) - self.edges[:-1]) / width
        return ops.reshape(ops.clip(share, 0.0, 1.0), (-1, x.shape[1] * len(width)))


class SqueezeExcite(layers.Layer):
    """SENET of FiBiNET: fields weighted by what they hold."""

    def __init__(self, fields):
        super().__init__()
        self.inner = layers.Dense(2, "relu")
        self.outer = layers.Dense(fields, "relu")

    def call(self, fields):
        weights = self.outer(self.inner(ops.mean(fields, axis=-1)))
        return fields * ops.expand_dims(weights, 2)


def fibinet():
    ids = keras.Input((3,), dtype="int32")
    fields = layers.Embedding(10, 4)(ids)
    weighted = SqueezeExcite(3)(fields)
    pairs = [weighted[:, i] * weighted[:, j] for i in range(3) for j in range(i + 1, 3)]
    return keras.Model(ids, layers.Dense(1, "sigmoid")(layers.Concatenate()(pairs)))


class MonotoneDense(layers.Layer):
    """A layer whose weights have the sign that they must have."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), name="bias")

    def call(self, x):
        return ops.matmul(x, ops.abs(self.kernel)) + self.bias


class GhostlyNorm(layers.BatchNormalization):
    """A subclass that says nothing of its own about scoring."""


class Doubled(layers.Dense):
    """A subclass that overrides what it computes."""

    def call(self, inputs, training=None):
        return 2.0 * super().call(inputs)


class NeuralTree(keras.Model):
    """A tree of the neural decision forest of keras.io."""

    def __init__(self, depth, features, classes):
        super().__init__()
        self.depth, self.leaves, self.classes = depth, 2**depth, classes
        one_hot = np.eye(features, dtype="float32")
        self.used = np.random.default_rng(0).permutation(one_hot)[: features // 2]
        self.pi = self.add_weight(shape=(self.leaves, classes), initializer="random_normal")
        self.decision_fn = layers.Dense(self.leaves, activation="sigmoid")

    def call(self, features):
        batch = ops.shape(features)[0]
        features = ops.matmul(features, ops.transpose(self.used))
        decisions = ops.expand_dims(self.decision_fn(features), axis=2)
        decisions = layers.concatenate([decisions, 1 - decisions], axis=2)
        mu = ops.ones([batch, 1, 1])
        begin, end = 1, 2
        for level in range(self.depth):
            mu = ops.reshape(mu, [batch, -1, 1])
            mu = ops.tile(mu, (1, 1, 2))
            mu = mu * decisions[:, begin:end, :]
            begin, end = end, end + 2 ** (level + 1)
        mu = ops.reshape(mu, [batch, self.leaves])
        return ops.matmul(mu, ops.softmax(self.pi))


class Forest(keras.Model):
    def __init__(self):
        super().__init__()
        self.ensemble = [NeuralTree(3, 8, 2) for _ in range(2)]

    def call(self, inputs):
        return sum(tree(inputs) for tree in self.ensemble) / len(self.ensemble)


# ----------------------------------------------------------------------------- models of one's own


class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [layers.Dense(16, "relu"), layers.BatchNormalization(), layers.Dropout(0.2)]
        self.head = layers.Dense(1, "sigmoid")

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class TwoInputs(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = layers.Embedding(10, 4)
        self.dense = layers.Dense(1)

    def call(self, inputs):
        codes = layers.Flatten()(self.embedding(inputs["codes"]))
        return self.dense(ops.concatenate([codes, inputs["numbers"]], axis=-1))


def by_name(table):
    return {"codes": table[:, :2], "numbers": table[:, 2:]}


class Recommender(keras.Model):
    """The recommender of keras.io."""

    def __init__(self):
        super().__init__()
        self.user = layers.Embedding(10, 5)
        self.user_bias = layers.Embedding(10, 1)
        self.item = layers.Embedding(10, 5)
        self.item_bias = layers.Embedding(10, 1)

    def call(self, inputs):
        dot = ops.sum(self.user(inputs[:, 0]) * self.item(inputs[:, 1]), axis=1, keepdims=True)
        return ops.nn.sigmoid(dot + self.user_bias(inputs[:, 0]) + self.item_bias(inputs[:, 1]))


class Autoencoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(6, "relu"), layers.Dense(3, "relu")])
        self.decoder = keras.Sequential([layers.Dense(6, "relu"), layers.Dense(8, "sigmoid")])

    def call(self, x):
        return self.decoder(self.encoder(x))


class Heads(keras.Model):
    def __init__(self):
        super().__init__()
        self.shared = layers.Dense(8, "relu")
        self.mean, self.spread = layers.Dense(1), layers.Dense(1, "softplus")

    def call(self, x):
        h = self.shared(x)
        return {"mean": self.mean(h), "spread": self.spread(h)}


class Pinball(keras.Model):
    """A functional model with training of its own."""

    def train_step(self, data):
        raise NotImplementedError


def functional_subclass():
    x = keras.Input((8,))
    return Pinball(x, layers.Dense(3)(layers.Dense(8, "tanh")(x)))


class NumPyInside(layers.Layer):
    def call(self, x):
        return ops.convert_to_tensor(np.sort(ops.convert_to_numpy(x), axis=1))


def refused_twice(x):
    h = NumPyInside(name="sorted")(x)
    return layers.Dense(1)(PeriodicEmbedding(name="waves")(h))


class Caller(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def __call__(self, x, **options):
        return 2 * super().__call__(x, **options)

    def call(self, x):
        return self.dense(x)


_LAYERS = "layers of one's own"
_MODELS = "models of one's own"
_THREE = {"keys": dict.fromkeys(range(3), range(10))}
_TWO = {"keys": dict.fromkeys(range(2), range(10))}

CASES = [
    layered(
        "gated residual network",
        _LAYERS,
        lambda x: layers.Dense(1)(GatedResidualNetwork(6, 0.1)(x)),
    ),
    layered("variable selection network", _LAYERS, variable_selection),
    layered("cross network with a weight matrix", _LAYERS, cross_network),
    layered("weights left of an operator", _LAYERS, lambda x: layers.Dense(1)(Scale()(x))),
    layered(
        "factorization machine of numbers",
        _LAYERS,
        lambda x: ops.sigmoid(FactorizationMachine()(x)),
    ),
    layered("FT-Transformer", _LAYERS, ft_transformer),
    layered(
        "piecewise linear encoding",
        _LAYERS,
        lambda x: layers.Dense(1)(PiecewiseLinear([-2, -1, 0, 0.5, 2])(x)),
    ),
    layered("monotone layers", _LAYERS, lambda x: MonotoneDense(1)(ops.tanh(MonotoneDense(6)(x)))),
    layered("subclass of a layer", _LAYERS, lambda x: layers.Dense(1)(GhostlyNorm()(x))),
    layered("subclass that doubles Dense", _LAYERS, lambda x: Doubled(3, "relu")(x)),
    layered(
        "Lambda of keras.ops", _LAYERS, lambda x: layers.Lambda(lambda y: ops.relu(y) * 2 - 1)(x)
    ),
    layered(
        "activation of one's own",
        _LAYERS,
        lambda x: layers.Dense(1)(layers.Dense(4, lambda y: y * ops.sigmoid(1.702 * y))(x)),
    ),
    Case(
        "FiBiNET",
        _LAYERS,
        network(
            fibinet, with_keys([10] * 3, 0), split=lambda table: table.astype("int32"), **_THREE
        ),
    ),
    Case("neural decision tree", _MODELS, network(lambda: NeuralTree(3, 8, 2), numbers(8))),
    Case("neural decision forest", _MODELS, network(Forest, numbers(8))),
    Case("subclassed classifier", _MODELS, network(Classifier, numbers(8))),
    Case(
        "subclassed model of two inputs",
        _MODELS,
        network(TwoInputs, with_keys([10, 10], 4), split=by_name, **_TWO),
    ),
    Case("recommender of keras.io", _MODELS, network(Recommender, with_keys([10, 10], 0), **_TWO)),
    Case("subclassed autoencoder", _MODELS, network(Autoencoder, numbers(8))),
    Case(
        "subclassed model, one head",
        _MODELS,
        network(lambda: keras.Sequential([keras.Input((8,)), Classifier()]), numbers(8)),
    ),
    Case("mean and spread", _MODELS, network(Heads, numbers(8), output=["mean", "spread"])),
    Case(
        "functional model with its own training", _MODELS, network(functional_subclass, numbers(8))
    ),
    layered(
        "layer that uses NumPy, and sines behind it",
        _LAYERS,
        refused_twice,
        refused=("'sorted'", "(Sin)", "(Cos)"),
    ),
    Case("model with its own __call__", _MODELS, network(Caller, numbers(8)), ("__call__",)),
]
