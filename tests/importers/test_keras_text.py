"""Keras models that take text: StringLookup becomes categories, other layers of text are refused.

StringLookup computes by TensorFlow, which CI does not have. To run the tests that need it::

    python3 -m venv /tmp/tensorflow
    /tmp/tensorflow/bin/pip install tensorflow-cpu keras pytest pytest-timeout hypothesis -e .
    KERAS_BACKEND=tensorflow /tmp/tensorflow/bin/python -m pytest tests/importers/test_keras_text.py
"""

import os
from types import SimpleNamespace

import numpy as np
import pytest

import instmodel as im
from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported
from instmodel.importers.keras import load_keras
from instmodel.importers.keras_texts import TextInput, known_words, string_lookup

pytestmark = pytest.mark.filterwarnings("ignore")  # of Keras and its backend

COLOURS = ["red", "green", "blue"]


def lookup(vocabulary=(), **options):
    """Return what a StringLookup says of itself."""
    given = {
        "invert": False,
        "num_oov_indices": 1,
        "mask_token": None,
        "sparse": False,
        "output_mode": "int",
        **options,
    }
    return SimpleNamespace(get_vocabulary=lambda include_special_tokens: vocabulary, **given)


def test_the_words_of_a_layer_are_its_vocabulary_and_its_mask():
    assert known_words(lookup(np.array(COLOURS))) == COLOURS
    assert known_words(lookup(COLOURS, mask_token="")) == ["", *COLOURS]
    with pytest.raises(Unsupported, match="no vocabulary"):
        known_words(lookup())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"num_oov_indices": 3}, "3 places for unknown text: a hash"),
        ({"invert": True}, "numbers become text"),
        ({"sparse": True}, "a sparse output"),
        ({"output_mode": "count"}, "output_mode='count' of 0 axes"),
    ],
)
def test_what_no_table_can_hold_is_refused(options, reason):
    with pytest.raises(Unsupported, match=reason):
        string_lookup(lookup(COLOURS, **options), TextInput().value(ex.source(1), ()))


def test_a_lookup_takes_the_text_of_one_input_and_nothing_else():
    with pytest.raises(Unsupported, match="numbers, where"):
        string_lookup(lookup(COLOURS), ex.source(1))
    both = ex.concatenate([TextInput().value(ex.source(1), (1,)) for _ in range(2)])
    with pytest.raises(Unsupported, match="several inputs"):
        string_lookup(lookup(COLOURS), both)


def test_layers_share_the_numbers_of_an_input():
    texts = TextInput()
    texts.add(["b", "a"], strict=False)
    texts.add(["c", "a"], strict=True)
    assert texts.codes == {"b": 0, "a": 1, "c": 2}
    assert texts.categories().to_json() == ["b", "a", "c"]
    assert texts.of(np.array([[1, 7], [-1, 2]])).tolist() == [["a", "b?"], ["b?", "c"]]
    assert texts.numbers(["c", "?", 1.0]) == [2, -1.0, 1.0]


def test_what_tables_of_whole_numbers_hold_needs_no_rounding():
    places = {0: np.array([1.0, 2.0]), 1: np.array([3.0, 4.0])}
    assert ex.lookup(ex.source(3), places, [0.0, 0.0]).whole
    assert not ex.lookup(ex.source(3), places, [0.5, 0.0]).whole
    assert not ex.lookup(ex.source(3), {0: np.array([1.5])}, [0.0]).whole


# ------------------------------------------------------------------------- what needs TensorFlow


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("tensorflow")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    found = pytest.importorskip("keras")
    if found.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow holds text")
    return found


def model_of(keras, read, shape=(1,), **options):
    """Return a model of one input of text, which a StringLookup reads."""
    text = keras.Input(shape, dtype="string", name="colour")
    return keras.Model(text, read(keras.layers.StringLookup(**options)(text)))


def scored(model, *inputs):
    """Return what Keras computes for inputs of text and numbers."""
    import tensorflow

    tensors = [tensorflow.constant(part) for part in inputs]
    found = model(tensors if len(tensors) > 1 else tensors[0], training=False)
    return np.asarray(found, np.float64).reshape(len(inputs[0]), -1)


def drawn(words, *shape):
    return np.random.default_rng(0).choice(np.array(words, object), shape)


def columns_of(name, cells):
    """Return the columns of a table for an input (N, size)."""
    if cells.shape[1] == 1:
        return {name: cells[:, 0]}
    return {f"{name}[{place}]": column for place, column in enumerate(cells.T)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mask_token": ""},
        {"mask_token": "no colour"},
        {"oov_token": "red"},
        {"vocabulary": ["[UNK]", "é", "two words", "1"]},
        {"max_tokens": 9},
    ],
)
@pytest.mark.parametrize("size", [1, 3])
def test_embeddings_are_found_by_text(keras, options, size):
    options = {"vocabulary": COLOURS, **options}

    def read(places):
        return keras.layers.Flatten()(keras.layers.Embedding(6, 3)(places))

    model = model_of(keras, read, (size,), **options)
    imported = im.InstructionModel(im.importers.from_keras(model))
    words = [*options["vocabulary"], "", "no colour", "mauve", "[UNK]", "red ", "RED"]
    cells = drawn(words, 60, size)
    actual = imported.predict_table(columns_of("colour", cells))
    np.testing.assert_array_equal(actual, scored(model, cells))


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count", "tf_idf"])
@pytest.mark.parametrize(
    "options", [{}, {"mask_token": ""}, {"num_oov_indices": 0}, {"pad_to_max_tokens": True}]
)
@pytest.mark.parametrize("size", [1, 4])
def test_encodings_are_those_of_keras(keras, mode, options, size):
    options = {"vocabulary": COLOURS, "output_mode": mode, **options}
    if mode == "tf_idf":
        options["idf_weights"] = [0.5, 0.25, 3.0]
    if "pad_to_max_tokens" in options:
        options["max_tokens"] = 7
    model = model_of(keras, lambda x: x, (size,), **options)
    imported = im.InstructionModel(im.importers.from_keras(model))
    known = options.get("num_oov_indices") == 0
    cells = drawn(COLOURS if known else [*COLOURS, "mauve", ""], 60, size)
    actual = imported.predict_table(columns_of("colour", cells))
    np.testing.assert_array_equal(actual, scored(model, cells))


def test_unknown_text_is_refused_where_keras_refuses_it(keras):
    model = model_of(
        keras, lambda x: x, vocabulary=COLOURS, num_oov_indices=0, output_mode="one_hot"
    )
    info = im.importers.from_keras(model)
    assert info.categories["colour"].to_json() == COLOURS
    scores = im.InstructionModel(info)
    assert scores.predict_one({"colour": "blue"}).tolist() == [0, 0, 1]
    with pytest.raises(im.InstModelError, match="mauve"):
        scores.predict_one({"colour": "mauve"})
    assert np.isnan(scores.predict([[-1], [3], [np.nan]])).all()


def test_numbers_that_are_no_category_are_unknown_text(keras):
    model = model_of(keras, lambda x: x, vocabulary=COLOURS, output_mode="one_hot")
    info = im.importers.from_keras(model)
    assert info.categories["colour"].to_json() == {"values": COLOURS, "unknown": -1.0}
    rows = im.InstructionModel(info).predict([[0], [-1], [3], [np.nan]])
    np.testing.assert_array_equal(rows, np.eye(4)[[1, 0, 0, 0]])


def two_kinds(keras):
    """Return a model of text that two layers read, text that none reads, and numbers."""
    layers = keras.layers
    place = keras.Input((), dtype="string", name="place")
    tags = keras.Input((2,), dtype="string", name="tags")
    x = keras.Input((2,), name="x")
    either = layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")
    other = layers.StringLookup(vocabulary=["Bern", "Oslo", "Rome"], output_mode="one_hot")
    tagged = layers.StringLookup(vocabulary=["new", "sale"], output_mode="multi_hot")
    column = layers.Reshape((1,))(place)
    parts = [either(column), other(column), tagged(tags), x]
    return keras.Model([place, tags, x], layers.Dense(2)(layers.Concatenate()(parts)))


def test_inputs_of_text_and_numbers_stand_side_by_side(keras, tmp_path):
    model = two_kinds(keras)
    info = im.importers.from_keras(model)
    assert info.features == ["place", "tags[2]", "x[2]"]
    assert info.categories["place"].values == ("Rome", "Oslo", "Bern")
    place, tags = drawn(["Rome", "Oslo", "Bern", "?"], 50), drawn(["new", "sale", ""], 50, 2)
    x = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    table = {"place": place, **columns_of("tags", tags), **columns_of("x", x)}
    expected = scored(model, place, tags, x)
    actual = im.InstructionModel(info).predict_table(table)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

    model.save(tmp_path / "model.keras")
    info.save(tmp_path / "model.instmodel")
    for path in ("model.instmodel", "model.keras"):
        given = tmp_path / path
        again = (
            im.load(given) if path.endswith("instmodel") else im.InstructionModel(load_keras(given))
        )
        np.testing.assert_array_equal(again.predict_table(table), actual)


def test_a_sample_may_hold_text(keras):
    model = two_kinds(keras)
    rows = [["Bern", "new", "?", 0.5, 1.5], ["Oslo", "sale", "new", 1.0, 2.0]]
    info = im.importers.from_keras(model, sample=np.array(rows, object))
    assert [2, 0, -1, 0.5, 1.5] in [case.tolist() for case in info.validation_data.inputs]
    names = ["town", "first", "second", "x[2]"]
    info = im.importers.from_keras(model, features=names)
    assert set(info.categories) == {"town", "first", "second"}


def test_what_reads_text_in_another_way_is_refused_by_name(keras):
    layers = keras.layers
    text = keras.Input((1,), dtype="string", name="text")
    number = keras.Input((1,), dtype="int32", name="number")
    parts = [
        layers.Hashing(5, name="hashed")(text),
        layers.HashedCrossing(5, name="crossed")((text, text)),
        layers.TextVectorization(vocabulary=["a"], name="split", output_sequence_length=2)(text),
        layers.StringLookup(vocabulary=["a"], num_oov_indices=2, name="buckets")(text),
        layers.IntegerLookup(vocabulary=[1], num_oov_indices=2, name="numbered")(number),
    ]
    whole = [layers.Flatten()(keras.ops.cast(part, "float32")) for part in parts]
    model = keras.Model([text, number], layers.Dense(1)(layers.Concatenate()(whole)))
    with pytest.raises(im.InstModelError) as caught:
        im.importers.from_keras(model)
    pieces = caught.value.pieces
    assert [piece.split("'")[1] for piece in pieces] == [
        "hashed", "crossed", "split", "buckets", "numbered"
    ]  # fmt: skip


def test_a_feature_space_with_text_is_imported(keras):
    space = keras.utils.FeatureSpace(
        features={
            "city": keras.utils.FeatureSpace.string_categorical(num_oov_indices=1),
            "age": keras.utils.FeatureSpace.float_normalized(),
        },
        output_mode="concat",
    )
    import tensorflow

    table = {"city": ["Rome", "Oslo", "Oslo"], "age": np.array([20.0, 30.0, 50.0], "float32")}
    space.adapt(tensorflow.data.Dataset.from_tensor_slices(table))
    encoded = space.get_encoded_features()
    model = keras.Model(space.get_inputs(), keras.layers.Dense(1)(encoded))
    imported = im.InstructionModel(im.importers.from_keras(model))
    actual = imported.predict_table({"age": [20.0, 41.0], "city": ["Oslo", "Bern"]})
    inputs = {
        "city": tensorflow.constant([["Oslo"], ["Bern"]]),
        "age": tensorflow.constant([[20.0], [41.0]]),
    }
    np.testing.assert_allclose(actual, np.asarray(model(inputs)), rtol=1e-5, atol=1e-6)


def test_a_model_of_ones_own_class_is_called_on_an_input_of_text(keras):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.places = keras.layers.StringLookup(vocabulary=COLOURS, output_mode="one_hot")

        def call(self, x):
            return 2 * keras.ops.cast(self.places(x), "float32")

    own = Own()
    cells = drawn([*COLOURS, "mauve"], 20, 1)
    expected = scored(own, cells)
    with pytest.raises(im.InstModelError) as caught:
        im.importers.from_keras(own)
    assert "call it on a keras.Input" in caught.value.pieces[0]
    text = keras.Input((1,), dtype="string", name="colour")
    imported = im.InstructionModel(im.importers.from_keras(keras.Model(text, own(text))))
    np.testing.assert_array_equal(imported.predict_table({"colour": cells[:, 0]}), expected)
