"""Keras models of sequences: recurrent networks as their users write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from importers.zoo.keras_own import numbers
from keras import layers, ops
from support.zoo import Case, Recurrent

import instmodel as im

KIND, NOT = "sequences", "refused sequences"
COLUMNS = 4


def sequences(
    name: str,
    build: Callable,
    *parts: str,
    last: bool = True,
    rows: np.ndarray | None = None,
    batch: int | None = None,
    split: Callable[[np.ndarray], Sequence[np.ndarray]] = lambda x: [x],
    inputs: Callable[[], list] | None = None,
) -> Case:
    """Return the case of a model that takes sequences.

    Parameters
    ----------
    name : str
    build : callable
        Makes the output of symbolic inputs.
    parts : str
        Of the pieces in the way, if it is refused.
    last : bool
        Whether it returns the last step alone.
    batch : int, optional
        The size of its batch, if that is fixed.
    split : callable
        Makes its inputs of steps (N, T, F).
    """
    table = numbers(COLUMNS) if rows is None else rows

    def source() -> Recurrent:
        keras.utils.set_random_seed(0)
        if inputs is None:
            given = [keras.Input(batch_shape=(batch, None, table.shape[1]))]
        else:
            given = inputs()
        model = keras.Model(given, build(*given))
        for weight in model.trainable_variables:  # biases, too
            weight.assign(weight + 0.1 * keras.random.normal(weight.shape))

        def run(x: np.ndarray) -> np.ndarray:
            for layer in model.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_state()
            size = batch or len(x)
            found = model(list(split(np.resize(x, (size, *x.shape[1:])))), training=False)
            return np.asarray(ops.convert_to_numpy(found), np.float64)[: len(x)]

        def scores(sequences: list[np.ndarray]) -> list[np.ndarray]:
            if not last:
                return [run(item[None])[0].reshape(len(item), -1) for item in sequences]
            lengths = [len(item) for item in sequences]
            found: dict[int, np.ndarray] = {}
            # Not all beginnings: every step of Keras on PyTorch takes its time.
            for length in sorted({*range(1, 9), 16, 32, 64, 128, 256, *lengths}):
                members = [i for i, n in enumerate(lengths) if n >= length]
                if not members:
                    continue
                done = run(np.stack([sequences[i][:length] for i in members]))
                for i, part in zip(members, done.reshape(len(members), -1), strict=True):
                    found.setdefault(i, np.full((lengths[i], part.size), np.nan))
                    found[i][length - 1] = part
            return [found[i] for i in range(len(sequences))]

        return Recurrent(table, scores, lambda: im.importers.from_keras(model))

    return Case(name, NOT if parts else KIND, source, parts)


def stacked(x):
    h = layers.LSTM(6, return_sequences=True, dropout=0.2, recurrent_dropout=0.1)(x)
    h = layers.LSTM(5, return_sequences=True)(h)
    return layers.Dense(2, "softmax")(layers.LSTM(4, unroll=False)(h))


def normed(x):
    h = layers.Dense(6, "gelu")(layers.BatchNormalization()(x))
    h = layers.Add()([h, layers.GRU(6, return_sequences=True)(layers.LayerNormalization()(h))])
    return layers.TimeDistributed(layers.Dense(2))(h)


def embedded(ids, amounts):
    h = layers.Concatenate()([layers.Embedding(9, 3)(ids), layers.Dropout(0.1)(amounts)])
    return layers.Dense(1, "sigmoid")(layers.LSTM(5)(h))


def states(x):
    _, hidden, cell = layers.LSTM(5, return_state=True)(x)
    return layers.Dense(2)(layers.Concatenate()([hidden, cell]))


def looking_around(x):
    h = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    h = layers.GRU(4, return_sequences=True, go_backwards=True)(h)
    return layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3, padding="causal")(h))


def masked(x):
    return layers.Dense(1)(layers.GRU(3)(layers.Masking()(x)))


def keys_and_amounts(x):
    return x[..., 0].astype(np.int32), x[..., 1:]


def two_inputs():
    return [keras.Input((None,), dtype="int32"), keras.Input((None, 2))]


CATEGORIES = np.concatenate(
    [np.random.default_rng(3).integers(0, 9, (300, 1)), numbers(2)], axis=1
).astype(np.float32)

CASES = [
    sequences("SimpleRNN", lambda x: layers.Dense(1)(layers.SimpleRNN(5)(x))),
    sequences(
        "SimpleRNN of relu, every step",
        lambda x: layers.SimpleRNN(5, "relu", return_sequences=True, use_bias=False)(x),
        last=False,
    ),
    sequences("GRU", lambda x: layers.Dense(2)(layers.GRU(5)(x))),
    sequences(
        "GRU, every step",
        lambda x: layers.Dense(2)(layers.GRU(5, return_sequences=True)(x)),
        last=False,
    ),
    sequences(
        "GRU, the reset gate before the product",
        lambda x: layers.Dense(2)(layers.GRU(5, reset_after=False)(x)),
    ),
    sequences(
        "GRU, the reset gate before, every step, without bias",
        lambda x: layers.GRU(5, reset_after=False, return_sequences=True, use_bias=False)(x),
        last=False,
    ),
    sequences("LSTM, the last step", lambda x: layers.Dense(2)(layers.LSTM(5)(x))),
    sequences(
        "LSTM, every step, TimeDistributed",
        lambda x: layers.TimeDistributed(layers.Dense(2, "tanh"))(
            layers.LSTM(5, return_sequences=True)(x)
        ),
        last=False,
    ),
    sequences("three LSTMs with dropouts", stacked),
    sequences("norms, a residual, TimeDistributed", normed, last=False),
    sequences(
        "embedded categories, and amounts",
        embedded,
        rows=CATEGORIES,
        split=keys_and_amounts,
        inputs=two_inputs,
    ),
    sequences("the states that an LSTM returns", states),
    sequences(
        "LSTM of other activations",
        lambda x: layers.LSTM(5, "softsign", "hard_sigmoid", return_sequences=True)(x),
        last=False,
    ),
    sequences(
        "RNN of stacked cells",
        lambda x: layers.RNN([layers.GRUCell(4), layers.LSTMCell(3), layers.SimpleRNNCell(3)])(x),
    ),
    sequences(
        "the last step by its place",
        lambda x: layers.Dense(2)(layers.GRU(5, return_sequences=True)(x)[:, -1]),
    ),
    sequences(
        "LSTM that keeps its states between calls",
        lambda x: layers.Dense(2)(layers.LSTM(5, stateful=True, return_sequences=True)(x)),
        last=False,
        batch=1,
    ),
    sequences(
        "standardized amounts and their squares",
        lambda x: layers.GRU(4)(layers.Concatenate()([z := (x - 0.3) / 1.7, z * z])),
    ),
    sequences(
        "looking both ways, backwards and around",
        looking_around,
        "bidirectional",
        "go_backwards",
        "(Conv1D): an operation along the steps",
        "(GlobalAveragePooling1D): an operation along the steps",
    ),
    sequences("Masking before a GRU", masked, "(Masking): a mask", "(GRU): a mask"),
    sequences(
        "mean of all steps",
        lambda x: ops.mean(layers.GRU(4, return_sequences=True)(x), axis=1),
        "(Mean): an operation along the steps",
    ),
    sequences(
        "an encoder's state for a decoder",
        lambda x: layers.GRU(4)(x, initial_state=layers.GRU(4)(x)),
        "an initial state",
    ),
]
