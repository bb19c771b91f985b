"""ModelBuilder: every method computes what it says, whatever is shared and reused."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import instmodel as im
from instmodel import reference
from instmodel.document.instructions import INSTRUCTIONS

RNG = np.random.default_rng(0)
X = RNG.normal(0, 2, (20, 6)).astype(np.float32)
W = RNG.normal(size=(4, 6)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)
SIX = RNG.normal(size=6).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def affine(x, bias=BIAS):
    return x @ W.astype(float).T + bias


def embed(x):
    table = {0: [1.0, 2.0], 1: [3.0, 4.0], -2: [5.0, 6.0]}
    return np.array([table.get(round(v), [7.0, 8.0]) for v in x[:, 1]])


TABLE = {"0": [1.0, 2.0], 1: [3.0, 4.0], -2: [5.0, 6.0]}
# method: (what the builder is told, what that is on X in float64)
METHODS = {
    "dense": (lambda b, x: b.dense(x, W, BIAS, "SIGMOID"), lambda x: sigmoid(affine(x))),
    "dense without a bias": (lambda b, x: b.dense(x, W), lambda x: affine(x, 0)),
    "dense of lists": (
        lambda b, x: b.dense(x, W.tolist(), BIAS.tolist(), activation=im.Activation.TANH),
        lambda x: np.tanh(affine(x)),
    ),
    "dense with a number as bias": (lambda b, x: b.dense(x, W, 0.5), lambda x: affine(x, 0.5)),
    "an integer of NumPy as bias": (
        lambda b, x: b.dense(x, W, np.array(2)),
        lambda x: affine(x, 2.0),
    ),
    "attention with a number as bias": (
        lambda b, x: b.attention(b.copy_masked(x, [0, 1, 2, 3]), x, W, 3),
        lambda x: softmax(affine(x, 0)) * x[:, :4],
    ),
    "add_elementwise of a number": (lambda b, x: b.add_elementwise(x, -1.5), lambda x: x - 1.5),
    "mul_elementwise of a number": (
        lambda b, x: b.mul_elementwise(x, np.float32(3)),
        lambda x: x * 3,
    ),
    "clip_elementwise of numbers": (
        lambda b, x: b.clip_elementwise(x, -1, 0.5),
        lambda x: np.clip(x, -1, 0.5),
    ),
    "clip_elementwise of a vector and a number": (
        lambda b, x: b.clip_elementwise(x, maximum=0.5, minimum=-np.abs(SIX)),
        lambda x: np.minimum(np.maximum(x, -np.abs(SIX)), 0.5),
    ),
    "h + h": (lambda b, x: b.activation(x, "TANH") + x, lambda x: np.tanh(x) + x),
    "h * h": (lambda b, x: b.activation(x, "TANH") * x, lambda x: np.tanh(x) * x),
    "h + vector": (lambda b, x: x + SIX, lambda x: x + SIX),
    "vector + h": (lambda b, x: SIX + x, lambda x: x + SIX),
    "list * h": (lambda b, x: SIX.tolist() * x, lambda x: x * SIX),
    "number + h * number": (lambda b, x: 2 + x * np.float64(0.5), lambda x: 2 + x / 2),
    "a handle stays what it was": (lambda b, x: (x + 1) * x + 2 * x, lambda x: (x + 1) * x + 2 * x),
    "attention": (
        lambda b, x: b.attention(b.copy_masked(x, [0, 1, 2, 3]), x, W, BIAS),
        lambda x: softmax(affine(x)) * x[:, :4],
    ),
    "copy": (lambda b, x: b.copy(x), lambda x: x),
    "copy into a wider buffer": (
        lambda b, x: b.copy(x, size=9, at=2),
        lambda x: np.pad(x, [(0, 0), (2, 1)]),
    ),
    "copy to a place": (lambda b, x: b.copy(x, at=3), lambda x: np.pad(x, [(0, 0), (3, 0)])),
    "copy_masked": (lambda b, x: b.copy_masked(x, [5, 0, 0]), lambda x: x[:, [5, 0, 0]]),
    "copy_masked of a range": (
        lambda b, x: b.copy_masked(x, range(5, -1, -2)),
        lambda x: x[:, [5, 3, 1]],
    ),
    "concatenate": (
        lambda b, x: b.concatenate([x, b.copy_masked(x, [1]), x]),
        lambda x: np.c_[x, x[:, 1], x],
    ),
    "map_transform": (lambda b, x: b.map_transform(x, 1, TABLE, [7.0, 8.0]), embed),
    "add_buffers": (
        lambda b, x: b.add_buffers(x, b.copy_masked(x, [1, 2, 3, 4, 5, 0]), x),
        lambda x: 2 * x + np.roll(x, -1, axis=1),
    ),
    "multiply_buffers": (lambda b, x: b.multiply_buffers(x, x, x), lambda x: x**3),
    "add_heads": (
        lambda b, x: b.add_heads(x, b.copy_masked(x, [4, 5])),
        lambda x: x + np.repeat(x[:, 4:], 3, axis=1),
    ),
    "multiply_heads": (
        lambda b, x: b.multiply_heads(x, b.copy_masked(x, [4, 5, 1])),
        lambda x: x * np.repeat(x[:, [4, 5, 1]], 2, axis=1),
    ),
    "reduce_sum": (lambda b, x: b.reduce_sum(x), lambda x: x.sum(axis=1, keepdims=True)),
    "activation": (lambda b, x: b.activation(x, "SOFTMAX"), softmax),
    "add_elementwise": (lambda b, x: b.add_elementwise(x, SIX), lambda x: x + SIX),
    "mul_elementwise": (lambda b, x: b.mul_elementwise(x, SIX.tolist()), lambda x: x * SIX),
    "clip_elementwise": (
        lambda b, x: b.clip_elementwise(x, [-1.0] * 6, [0.5] * 6),
        lambda x: x.clip(-1, 0.5),
    ),
    "clip_elementwise from below": (
        lambda b, x: b.clip_elementwise(x, minimum=[-1.0] * 6),
        lambda x: np.maximum(x, -1),
    ),
    "clip_elementwise from above": (
        lambda b, x: b.clip_elementwise(x, maximum=[0.5] * 6),
        lambda x: np.minimum(x, 0.5),
    ),
    "constant": (
        lambda b, x: b.concatenate([b.constant([3.0, -1.0]), x]),
        lambda x: np.c_[np.tile([3.0, -1.0], (len(x), 1)), x],
    ),
    # ---- values keep what they are, also where the instruction works in place
    "the input again after it was changed": (
        lambda b, x: b.concatenate([b.activation(x, "RELU"), x]),
        lambda x: np.c_[np.maximum(x, 0), x],
    ),
    "a value changed in two ways": (
        lambda b, x: b.add_buffers(
            b.activation(h := b.copy(x), "RELU"), b.activation(h, "INVERSE"), h
        ),
        lambda x: np.maximum(x, 0) + (1 - x) + x,
    ),
    "a chain of changes": (
        lambda b, x: b.add_elementwise(
            b.clip_elementwise(b.mul_elementwise(b.add_elementwise(x, SIX), SIX), [0.0] * 6), SIX
        ),
        lambda x: np.maximum((x + SIX) * SIX, 0) + SIX,
    ),
    "a change of a value that a later change needs": (
        lambda b, x: b.multiply_buffers(b.add_elementwise(b.activation(x, "TANH"), SIX), x),
        lambda x: (np.tanh(x) + SIX) * x,
    ),
    "a change of the heads": (
        lambda b, x: b.multiply_heads(x, b.activation(b.copy_masked(x, [0, 1]), "SIGMOID")),
        lambda x: x * np.repeat(sigmoid(x[:, :2]), 3, axis=1),
    ),
    "one vector of parameters many times": (
        lambda b, x: b.concatenate([b.add_elementwise(x, SIX), b.mul_elementwise(x, SIX), x]),
        lambda x: np.c_[x + SIX, x * SIX, x],
    ),
    "the input itself": (lambda b, x: x, lambda x: x),
    "a value from the middle": (
        lambda b, x: [h := b.dense(x, W, BIAS), b.activation(h, "RELU")][0],
        affine,
    ),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("named", [False, True])
def test_what_a_method_computes(name, named):
    tell, expected = METHODS[name]
    b = im.ModelBuilder()
    x = b.input([f"f{i}" for i in range(6)] if named else 6)
    y = tell(b, x)
    info = b.build(output=y)
    model = im.InstructionModel(info)
    assert (model.feature_size, model.output_size) == (6, y.size)
    want = expected(X.astype(float))
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(reference.predict(info, X), want, rtol=1e-6, atol=1e-6)
    twin = im.InstructionModel(im.InstructionModelInfo.from_json(info.to_json()))
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_every_method_is_tried_and_every_instruction_has_one():
    methods = {
        name
        for name, member in inspect.getmembers(im.ModelBuilder, inspect.isfunction)
        if not name.startswith("_")
    }
    recurrent = {"state", "set_state", "rnn", "gru", "lstm"}  # see test_cells.py
    assert methods - {"input", "build", *recurrent} <= {name.split()[0] for name in METHODS}
    made = set()
    for tell, _ in METHODS.values():
        b = im.ModelBuilder()
        made |= {item.TYPE for item in b.build(output=tell(b, b.input(6))).instructions}
    assert made == set(INSTRUCTIONS)


def test_several_inputs_follow_each_other():
    b = im.ModelBuilder()
    first, second, third = b.input(["a", "b"]), b.input("c"), b.input(["emb[3]"])
    assert (first.size, second.size, third.size) == (2, 1, 3)
    hidden = b.activation(second, "INVERSE")
    info = b.build(output=b.concatenate([third, first, hidden]))
    assert info.features == ["a", "b", "c", "emb[3]"]
    assert info.feature_size == 6
    got = im.InstructionModel(info).predict([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert got.tolist() == [4, 5, 6, 1, 2, -2]


def test_an_input_that_nothing_uses_stays_an_input():
    b = im.ModelBuilder()
    b.input(2)
    x = b.input(1)
    model = im.InstructionModel(b.build(output=b.activation(x, "INVERSE")))
    assert model.predict([7.0, 8.0, 3.0]).tolist() == [-2.0]


def test_an_input_that_is_changed_is_not_the_output_buffer():
    b = im.ModelBuilder()
    x, extra = b.input(2), b.input(2)
    y = b.activation(b.activation(x, "INVERSE"), "RELU")
    model = im.InstructionModel(b.build(output=y))
    assert model.predict([-3.0, 3.0, 9.0, 9.0]).tolist() == [4.0, 0.0]
    y = b.add_buffers(y, extra)
    model = im.InstructionModel(b.build(output=y))
    assert model.predict([-3.0, 3.0, 9.0, 9.0]).tolist() == [13.0, 9.0]


def test_the_builder_goes_on_after_build():
    b = im.ModelBuilder()
    x = b.input(6)
    hidden = b.dense(x, W, BIAS, "RELU")
    first = im.InstructionModel(b.build(output=hidden))
    second = im.InstructionModel(b.build(output=b.reduce_sum(hidden)))
    again = im.InstructionModel(b.build(output=hidden))
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    np.testing.assert_allclose(
        second.predict(X)[:, 0], first.predict(X).astype(float).sum(axis=1), rtol=1e-6
    )


def test_what_a_caller_does_to_arrays_afterwards_changes_nothing():
    w, bias, parameters = W.copy(), BIAS.copy(), np.ones(4, np.float32)
    b = im.ModelBuilder()
    y = b.add_elementwise(b.dense(b.input(6), w, bias), parameters)
    expected = im.InstructionModel(b.build(output=y)).predict(X)
    w[:], bias[:], parameters[:] = 0, 0, 0
    np.testing.assert_array_equal(im.InstructionModel(b.build(output=y)).predict(X), expected)


def test_validation_data_and_metadata_travel():
    b = im.ModelBuilder()
    y = b.activation(b.input(1), "INVERSE")
    info = b.build(
        output=y,
        validation_data=im.ValidationData([[0.25]], [[0.75]]),
        metadata={"trained": "today"},
    )
    assert im.InstructionModel(info).info.metadata == {"trained": "today"}
    info = b.build(output=y, validation_data=im.ValidationData([[0.25]], [[0.5]]))
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModel(info)
    assert caught.value.code == "validation_mismatch"


# ------------------------------------------------------------------------------------------ errors


def make(tell):
    b = im.ModelBuilder()
    return im.InstructionModel(b.build(output=tell(b, b.input(6))))


ERRORS = {
    "weights of the wrong width": (
        lambda b, x: b.dense(x, W[:, :5]),
        "weights_column_size_mismatch",
    ),
    "a bias of the wrong size": (
        lambda b, x: b.dense(x, W, BIAS[:3]),
        "bias_weights_size_mismatch",
    ),
    "a mistyped activation": (lambda b, x: b.dense(x, W, BIAS, "RELLU"), "unknown_activation"),
    "no activation": (lambda b, x: b.activation(x, None), "invalid_type"),
    "parameters of the wrong size": (
        lambda b, x: b.add_elementwise(x, [1.0]),
        "parameters_size_mismatch",
    ),
    "parameters that are not finite": (
        lambda b, x: b.mul_elementwise(x, [1e39] * 6),
        "non_finite_value",
    ),
    "no bounds": (lambda b, x: b.clip_elementwise(x), "missing_field"),
    "a mask outside": (lambda b, x: b.copy_masked(x, [6]), "mask_index_out_of_bounds"),
    "a range outside": (lambda b, x: b.copy_masked(x, range(7)), "mask_index_out_of_bounds"),
    "a range beyond int64": (
        lambda b, x: b.copy_masked(x, range(2**64, 2**64 + 2)),
        "mask_index_out_of_bounds",
    ),
    "a copy that does not fit": (
        lambda b, x: b.copy(x, size=7, at=2),
        "internal_index_out_of_bounds",
    ),
    "a bias that is no number": (lambda b, x: b.dense(x, W, True), "invalid_type"),
    "no parameters": (lambda b, x: b.add_elementwise(x, None), "invalid_type"),
    "parameters that are one number": (
        lambda b, x: b.mul_elementwise(x, np.float64(1e39)),
        "non_finite_value",
    ),
    "a handle for parameters": (lambda b, x: b.add_elementwise(x, x), "invalid_type"),
    "a sum of two sizes": (lambda b, x: x + b.reduce_sum(x), "input_buffer_size_mismatch"),
    "a sum with a vector of another size": (lambda b, x: x + SIX[:5], "parameters_size_mismatch"),
    "a product with text": (lambda b, x: "2" * x, "invalid_type"),
    "a sum over two builders": (
        lambda b, x: x + im.ModelBuilder().input(6),
        "buffer_index_out_of_bounds",
    ),
    "a mapping of columns": (lambda b, x: im.ModelBuilder().input({"a": [1]}), "invalid_type"),
    "one buffer to add": (lambda b, x: b.add_buffers(x), "insufficient_input_buffers"),
    "buffers of two sizes": (
        lambda b, x: b.add_buffers(x, b.reduce_sum(x)),
        "input_buffer_size_mismatch",
    ),
    "heads that do not divide": (
        lambda b, x: b.add_heads(x, b.copy_masked(x, [0, 1, 2, 3])),
        "invalid_heads_size",
    ),
    "a key outside": (
        lambda b, x: b.map_transform(x, 6, TABLE, [0.0, 0.0]),
        "internal_input_index_out_of_bounds",
    ),
    "a key that is no integer": (
        lambda b, x: b.map_transform(x, 0, {"a": [1.0]}, [0.0]),
        "invalid_map_key",
    ),
    "values of another size": (
        lambda b, x: b.map_transform(x, 0, TABLE, [0.0]),
        "map_value_size_mismatch",
    ),
    "an index for a handle": (lambda b, x: b.dense(0, W), "invalid_type"),
    "None for a handle": (lambda b, x: b.activation(None, "RELU"), "invalid_type"),
    "a handle of another builder": (
        lambda b, x: b.activation(im.ModelBuilder().input(6), "RELU"),
        "buffer_index_out_of_bounds",
    ),
    "an output of another builder": (
        lambda b, x: im.ModelBuilder().input(6),
        "buffer_index_out_of_bounds",
    ),
    "no output": (lambda b, x: None, "invalid_type"),
    "named and unnamed inputs": (lambda b, x: b.input(["a"]), "missing_features"),
    "a feature that is no name": (
        lambda b, x: im.ModelBuilder().input(["a[0]"]),
        "invalid_feature_format",
    ),
    "a size that is no integer": (lambda b, x: im.ModelBuilder().input(2.0), "invalid_type"),
    "a feature that is no string": (lambda b, x: im.ModelBuilder().input([1]), "invalid_type"),
    "a concatenation of one handle": (lambda b, x: b.concatenate(x), "invalid_type"),
    "a concatenation of no handles": (lambda b, x: b.concatenate([x, 3]), "invalid_type"),
    "a place that is no integer": (lambda b, x: b.copy(x, at="1"), "invalid_type"),
    "a room that is no integer": (lambda b, x: b.copy(x, size=9.0), "invalid_type"),
    "a key at no integer": (
        lambda b, x: b.map_transform(x, "0", TABLE, [0.0, 0.0]),
        "invalid_type",
    ),
    "a concatenation of nothing": (lambda b, x: b.concatenate([]), "invalid_buffer_size"),
    "a selection of nothing": (lambda b, x: b.copy_masked(x, []), "invalid_buffer_size"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_mistakes(name):
    tell, code = ERRORS[name]
    with pytest.raises(im.InstModelError) as caught:
        make(tell)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "mistake",
    [
        lambda b, x: b.dense("x", W, BIAS),
        lambda b, x: b.dense(x, W, ["a"] * 4),
        lambda b, x: b.dense(x, [[1.0, 2.0]]),
        lambda b, x: b.dense(x, W, [1.0]),
        lambda b, x: b.mul_elementwise(x, [1.0]),
        lambda b, x: b.add_elementwise(None, SIX),
        lambda b, x: b.add_elementwise(x, None),
        lambda b, x: b.dense(x, W, "1"),
        lambda b, x: x * [1.0],
        lambda b, x: b.clip_elementwise(x, [0.0] * 6, ["a"] * 6),
        lambda b, x: b.copy(x, at=None),
        lambda b, x: b.copy(x, size="9"),
        lambda b, x: b.concatenate(x),
        lambda b, x: b.map_transform(3, 0, TABLE, [0.0, 0.0]),
        lambda b, x: b.map_transform(x, None, TABLE, [0.0, 0.0]),
        lambda b, x: b.map_transform(x, 0, TABLE, "ab"),
    ],
)
def test_a_mistake_leaves_the_builder_as_it_was(mistake):
    b = im.ModelBuilder()
    x = b.input(6)
    with pytest.raises(im.InstModelError):
        mistake(b, x)
    model = im.InstructionModel(b.build(output=b.dense(x, W, BIAS)))
    np.testing.assert_allclose(model.predict(X), affine(X), rtol=1e-5, atol=1e-5)


def test_a_handle_says_its_size_and_not_the_whole_builder():
    b = im.ModelBuilder()
    handle = b.dense(b.input(6), W)
    assert handle.size == 4
    assert len(repr(handle)) < 100


class Frame:
    """As much of a data frame as the builder looks at."""

    def __init__(self, columns):
        self.columns = columns


NAMED = {
    "a frame": (Frame(["age", "emb[0]", "emb[1]", "x[0]"]), ["age", "emb[2]", "x[1]"]),
    "a frame with an array twice": (Frame(["a[0]", "a[0]", "a[1]"]), ["a[1]", "a[2]"]),
    "an array": (np.array(["b", "a[2]"]), ["b", "a[2]"]),
    "a tuple": (("b", "a"), ["b", "a"]),
    "one name": ("b", ["b"]),
}


@pytest.mark.parametrize(("given", "features"), NAMED.values(), ids=NAMED)
def test_names_of_an_input(given, features):
    b = im.ModelBuilder()
    info = b.build(output=b.reduce_sum(b.input(given)))
    assert info.features == features
    assert all(type(name) is str for name in info.features)


@pytest.mark.parametrize("columns", [["emb[1]", "emb[2]"], ["emb[0]", "emb[2]"], ["a", "emb[1]"]])
def test_columns_of_an_array_feature_that_are_out_of_place(columns):
    with pytest.raises(im.InstModelError) as caught:
        im.ModelBuilder().input(Frame(columns))
    assert caught.value.code == "invalid_feature_format"


def test_real_frames_name_an_input():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["age", "emb[0]", "emb[1]"])
    b = im.ModelBuilder()
    model = im.InstructionModel(b.build(output=b.dense(b.input(frame), [[1, 10, 100]])))
    assert model.columns == list(frame.columns)
    assert model.predict(frame).tolist() == model.predict_table(frame).tolist() == [[321.0]]
    b = im.ModelBuilder()
    assert b.build(output=b.reduce_sum(b.input(frame.columns[:1]))).features == ["age"]
    with pytest.raises(im.InstModelError, match="invalid_type"):
        im.ModelBuilder().input(pd.DataFrame([[1.0]]))


def test_sizes_of_an_input():
    for size in (3, np.int32(3), np.array(3)):
        assert im.ModelBuilder().input(size).size == 3
