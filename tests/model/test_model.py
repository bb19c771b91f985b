"""InstructionModel: predicting, its arguments, its attributes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.documents import build, dense, edited, everything, identity, network
from support.strategies import samples

import instmodel as im
from instmodel.compiled import program

EVERY_INPUT = {
    "predict": lambda model, x: model.predict(x),
    "predict_parallel": lambda model, x: model.predict_parallel(x),
}


@pytest.fixture
def model():
    return build(everything())  # 6 features, 36 values in all, the last 2 of them the output


def error_of(call, *arguments, **options):
    with pytest.raises(im.InstModelError) as caught:
        call(*arguments, **options)
    assert isinstance(caught.value, ValueError)
    return caught.value


# ----------------------------------------------------------------------------------------- predict


def test_shapes_and_types_of_results(model):
    x = samples(5, 6, 0)
    for rows in (x, x.tolist(), x.astype(np.float64)):
        got = model.predict(rows)
        assert (type(got), got.shape, got.dtype) == (np.ndarray, (5, 2), np.float32)
        assert got.flags.c_contiguous
        assert got.flags.owndata
    for row in (x[0], x[0].tolist(), tuple(x[0])):
        got = model.predict(row)
        assert (type(got), got.shape, got.dtype) == (np.ndarray, (2,), np.float32)
    assert model.predict(x[:1]).shape == (1, 2)


def test_predict_single_is_the_last_output_as_a_float(model):
    x = samples(3, 6, 0)
    for row in (x[0], x[0].tolist(), x[0].astype(np.float64)):
        got = model.predict_single(row)
        assert type(got) is float
        assert got == model.predict(x[0])[-1]


def test_by_hand():
    w, b = np.array(dense()["weights"][0]), np.array(dense()["bias"][0])
    hidden = np.tanh(w @ [0.5, -1.0] + b) * dense()["parameters"][0]
    score = 1 / (1 + math.exp(-(np.dot(dense()["weights"][1][0], hidden) + 0.05)))
    assert build(dense()).predict_single([0.5, -1.0]) == pytest.approx(score, rel=1e-6)


@pytest.mark.parametrize("shape", [(0, 6), (0,)])
def test_zero_rows(model, shape):
    rows = np.empty((0, 6), np.float32)
    assert model.predict(rows).shape == (0, 2)
    assert model.predict(rows.astype(np.float64)).shape == (0, 2)
    assert model.predict(np.asfortranarray(rows)).shape == (0, 2)
    out = np.empty((0, 2), np.float32)
    assert model.predict(rows, out=out) is out
    result = model.predict_parallel(np.empty(shape, np.float32), im.PredictConfig(threads=3))
    assert (result.num_samples, result.slice_size) == (0, 2)
    assert np.asarray(result).shape == (0, 2)


@pytest.mark.parametrize("call", EVERY_INPUT.values(), ids=EVERY_INPUT)
@pytest.mark.parametrize(
    "shape", [(), (5,), (7,), (2, 5), (2, 7), (0, 5), (6, 2), (2, 0), (1, 1, 5), (2, 6, 1)]
)
def test_inputs_of_a_wrong_shape(model, call, shape):
    error = error_of(call, model, np.zeros(shape, np.float32))
    assert error.code == "input_size_mismatch"
    assert "6" in str(error.expected)
    assert str(shape) in str(error.actual)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 1, 2, 2), (0, 4), (4, 0), (2, 0, 3)])
def test_inputs_of_more_dimensions(model, shape):
    x = samples(math.prod(shape), 6, 0).reshape(*shape, 6)
    expected = model.predict(x.reshape(-1, 6)).reshape(*shape, 2)
    for given in (x, x.tolist(), x.astype(np.float64), np.asfortranarray(x), np.flip(x, 0)[::-1]):
        if np.shape(given) == x.shape:  # a list cannot tell how long its empty rows are
            got = model.predict(given)
            assert (type(got), got.dtype) == (np.ndarray, np.float32)
            np.testing.assert_array_equal(got, expected)
    out = np.empty((*shape, 2), np.float32)
    assert model.predict(x, out=out) is out
    np.testing.assert_array_equal(out, expected)
    if len(shape) > 1:
        wrong = np.empty((x.size // 6, 2), np.float32)
        assert error_of(model.predict, x, out=wrong).code == "destination_size_mismatch"
    assert error_of(model.predict_single, x).code == "input_size_mismatch"
    assert error_of(model.predict_parallel, x).code == "input_size_mismatch"


def test_predict_takes_no_flat_rows_but_predict_parallel_does(model):
    assert error_of(model.predict, np.zeros(12)).code == "input_size_mismatch"
    assert error_of(model.predict, np.zeros(0)).code == "input_size_mismatch"
    assert model.predict_parallel(np.zeros(12)).num_samples == 2


@pytest.mark.parametrize("call", EVERY_INPUT.values(), ids=EVERY_INPUT)
@pytest.mark.parametrize(
    "value",
    [
        np.zeros((2, 6), complex),
        np.zeros((2, 6), np.complex64),
        np.zeros((2, 6), object),
        np.array([["1"] * 6]),
        np.array([[b"1"] * 6]),
        np.zeros((2, 6), "M8[s]"),
        np.zeros((2, 6), "m8[s]"),
        np.zeros(2, [("a", "f4"), ("b", "f4")]),
        np.zeros((2, 6), "V4"),
        [[1j] * 6],
        [["1"] * 6],
        [[None] * 6],
        [[10**400] * 6],
        "123456",
        b"123456",
        None,
        object(),
        {"x": 1},
        {1, 2, 3, 4, 5, 6},
        iter([1.0] * 6),
        len,
    ],
    ids=lambda value: f"{type(value).__name__} {str(value)[:12]}",
)
def test_inputs_that_are_no_numbers(model, call, value):
    assert error_of(call, model, value).code == "invalid_type"


@pytest.mark.parametrize("call", EVERY_INPUT.values(), ids=EVERY_INPUT)
def test_ragged_inputs(model, call):
    assert error_of(call, model, [[1.0] * 6, [1.0] * 5]).code == "input_size_mismatch"


def test_masked_values_are_missing_values():
    model = build(network([2, 1], [None]))
    x = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, False], [True, False]])
    got = model.predict(x)
    np.testing.assert_array_equal(np.isnan(got), [[False], [True]])
    np.testing.assert_array_equal(got, np.asarray(model.predict_parallel(x)))


def test_predict_single_takes_one_sample(model):
    for x in (np.zeros((1, 6)), np.zeros((2, 6)), np.zeros(5), 1.0):
        assert error_of(model.predict_single, x).code == "input_size_mismatch"
    assert error_of(model.predict_single, None).code == "invalid_type"


# --------------------------------------------------------------------------------------------- out


def test_out_is_filled_and_returned(model):
    x = samples(50, 6, 0)
    expected = model.predict(x)
    out = np.full((50, 2), np.float32(np.nan))
    assert model.predict(x, out=out) is out
    np.testing.assert_array_equal(out, expected)
    out[:] = np.nan
    assert model.predict(x, out) is out
    np.testing.assert_array_equal(out, expected)
    out[:] = np.nan
    assert model.predict(x.tolist(), out=out) is out
    np.testing.assert_array_equal(out, expected)
    row = out[3]
    assert model.predict(x[7], out=row) is row
    np.testing.assert_array_equal(out[3], expected[7])


def test_out_may_be_a_part_of_a_larger_array_that_stays_as_it_is(model):
    x = samples(10, 6, 0)
    room = np.full((30, 2), np.float32(7))
    model.predict(x, out=room[10:20])
    np.testing.assert_array_equal(room[10:20], model.predict(x))
    assert (room[:10] == 7).all()
    assert (room[20:] == 7).all()


@pytest.mark.parametrize(
    ("out", "code"),
    [
        (np.empty((3, 2), np.float64), "invalid_type"),
        (np.empty((3, 2), np.int32), "invalid_type"),
        (np.empty((3, 2), np.dtype(np.float32).newbyteorder()), "invalid_type"),
        (np.empty((3, 2), np.float32, order="F"), "invalid_type"),
        (np.empty((3, 4), np.float32)[:, ::2], "invalid_type"),
        (np.frombuffer(bytes(24), np.float32).reshape(3, 2), "invalid_type"),
        (np.frombuffer(bytearray(25), np.float32, offset=1).reshape(3, 2), "invalid_type"),
        ([[0.0, 0.0]] * 3, "invalid_type"),
        (bytearray(24), "invalid_type"),
        (np.empty((2, 2), np.float32), "destination_size_mismatch"),
        (np.empty((4, 2), np.float32), "destination_size_mismatch"),
        (np.empty((3, 3), np.float32), "destination_size_mismatch"),
        (np.empty((2, 3), np.float32), "destination_size_mismatch"),
        (np.empty((3,), np.float32), "destination_size_mismatch"),
        (np.empty((6,), np.float32), "destination_size_mismatch"),
        (np.empty((1, 3, 2), np.float32), "destination_size_mismatch"),
    ],
)
def test_an_out_that_does_not_fit(model, out, code):
    error = error_of(model.predict, samples(3, 6, 0), out=out)
    assert (error.code, error.field) == (code, "out")


@pytest.mark.parametrize("shape", [(3,), (1,), (1, 2), ()])
def test_an_out_that_does_not_fit_one_sample(model, shape):
    error = error_of(model.predict, samples(1, 6, 0)[0], out=np.empty(shape, np.float32))
    assert error.code == "destination_size_mismatch"


def test_out_may_overlap_the_input():
    model = build(network([3, 3], ["TANH"]))
    x = samples(200, 3, 0)
    expected = model.predict(x)
    same = x.copy()
    assert model.predict(same, out=same) is same
    np.testing.assert_array_equal(same, expected)
    room = np.zeros((201, 3), np.float32)
    room[:200] = x
    model.predict(room[:200], out=room[1:])
    np.testing.assert_array_equal(room[1:], expected)
    room[1:] = x
    model.predict(room[1:], out=room[:200])
    np.testing.assert_array_equal(room[:200], expected)
    room[:200] = x
    model.predict(room[:200][::-1], out=room[1:])
    np.testing.assert_array_equal(room[1:], expected[::-1])
    row = x[0].copy()
    model.predict(row, out=row)
    np.testing.assert_array_equal(row, expected[0])


# ----------------------------------------------------------------------------- predict_with_buffer


def test_predict_with_buffer_leaves_all_buffers_behind(model):
    x = samples(1, 6, 0)[0]
    buffer = np.zeros(model.required_memory, np.float32)
    buffer[:6] = x
    assert model.predict_with_buffer(buffer) is None
    whole = im.PredictConfig(buffer_slice=(0, model.required_memory))
    np.testing.assert_array_equal(buffer, model.predict_parallel(x, whole).get_result(0))
    output = [model.get_output(buffer, i) for i in range(2)]
    assert output == model.predict(x).tolist()
    assert all(type(value) is float for value in output)


def misaligned(size):
    return np.frombuffer(bytearray(4 * size + 1), np.float32, offset=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda size: np.zeros(size, np.float32),
        lambda size: np.zeros(size + 100, np.float32),
        lambda size: np.zeros(2 * size, np.float32)[::2],
        lambda size: np.zeros(size, np.float32)[::-1],
        lambda size: np.zeros(size, np.dtype(np.float32).newbyteorder()),
        misaligned,
        lambda size: np.zeros(size, np.float32).view(type("S", (np.ndarray,), {})),
    ],
    ids=["exact", "longer", "strided", "backwards", "byte-swapped", "unaligned", "subclass"],
)
def test_buffers_that_predict_with_buffer_takes(model, make):
    x = samples(1, 6, 0)[0]
    buffer = make(model.required_memory)
    buffer[:6] = x
    buffer[model.required_memory :] = 3.0
    model.predict_with_buffer(buffer)
    assert [model.get_output(buffer, i) for i in range(2)] == model.predict(x).tolist()
    assert (buffer[model.required_memory :] == 3.0).all()


@pytest.mark.parametrize(
    ("buffer", "code"),
    [
        (np.zeros(35, np.float32), "buffer_too_small"),
        (np.zeros(0, np.float32), "buffer_too_small"),
        (np.zeros(70, np.float32)[::2], "buffer_too_small"),
        (np.zeros(36), "invalid_type"),
        (np.zeros(36, np.int32), "invalid_type"),
        (np.zeros((1, 36), np.float32), "invalid_type"),
        (np.zeros((6, 6), np.float32), "invalid_type"),
        (np.float32(1), "invalid_type"),
        (np.frombuffer(bytes(144), np.float32), "invalid_type"),
        ([0.0] * 36, "invalid_type"),
        (bytearray(144), "invalid_type"),
        (None, "invalid_type"),
    ],
)
def test_buffers_that_predict_with_buffer_refuses(model, buffer, code):
    assert model.required_memory == 36
    error = error_of(model.predict_with_buffer, buffer)
    assert (error.code, error.field) == (code, "buffer")


def test_get_output_checks_its_arguments(model):
    buffer = np.zeros(36, np.float32)
    for index in (-1, 2, 10**30):
        assert error_of(model.get_output, buffer, index).code == "result_index_out_of_bounds"
    assert error_of(model.get_output, buffer[:35], 0).code == "buffer_too_small"
    for index in (0.5, "0", None, True):
        assert error_of(model.get_output, buffer, index).code == "invalid_type"
    for wrong in (None, 5):
        assert error_of(model.get_output, wrong, 0).code == "invalid_type"


# -------------------------------------------------------------------------------------- attributes


def test_attributes(model):
    assert model.required_memory == 36
    assert model.feature_size == 6
    assert model.output_size == 2
    assert model.output_index_start == 34
    assert model.buffer_sizes == [6, 4, 4, 4, 2, 4, 4, 1, 5, 2]
    assert model.buffer_offsets == [0, 6, 10, 14, 18, 20, 24, 28, 29, 34]
    assert model.is_parallelizable is True
    assert model.execution_graph.roots == [0, 5, 7]
    assert model.features == ["x[4]", "key", "extra"]
    assert all(
        type(getattr(model, name)) is int
        for name in ("required_memory", "feature_size", "output_size", "output_index_start")
    )


@pytest.mark.parametrize("name", ["required_memory", "feature_size", "output_size", "features"])
def test_attributes_cannot_be_set(model, name):
    with pytest.raises(AttributeError):
        setattr(model, name, 1)


def test_what_a_caller_does_to_the_document_does_not_change_the_model(model):
    x = samples(5, 6, 0)
    expected = model.predict(x)
    document = everything()
    info = im.InstructionModelInfo.from_dict(document)
    second = im.InstructionModel(info)
    info.weights[0][:] = 0
    info.bias[0][:] = 0
    info.parameters[0][:] = 0
    info.maps[0].clear()
    info.instructions.clear()
    info.buffer_sizes[0] = 1
    document["weights"][0][0][0] = 9.0
    second.info.weights[0][:] = 0
    second.buffer_sizes[0] = 9
    second.features.clear()
    np.testing.assert_array_equal(second.predict(x), expected)
    assert second.info.to_json() == model.info.to_json()
    assert second.buffer_sizes == model.buffer_sizes


def test_a_model_is_made_of_an_info_and_nothing_else():
    for wrong in (None, everything(), "model.json", 1):
        assert error_of(im.InstructionModel, wrong).code == "invalid_type"


def test_repr_is_short(model):
    assert repr(model).startswith("InstructionModel(")
    assert len(repr(build(network([100, 100], [None])))) < 100


# ------------------------------------------------------------------------------------------ limits


def test_limits_are_the_specified_ones():
    limits = im.Limits()
    assert (limits.max_buffer_size, limits.max_weight_count) == (1_000_000, 10_000_000)
    build(identity(1, 999_999))
    assert error_of(build, identity(1, 1_000_000)).code == "buffer_limit_exceeded"


def test_limits_can_be_changed(tmp_path):
    info = im.InstructionModelInfo.from_dict(dense())
    count = 2 * 3 + 3 + 3 + 1
    for limits in (im.Limits(max_buffer_size=6), im.Limits(max_weight_count=count)):
        im.InstructionModel(info, limits=limits)
    info.save(tmp_path / "model.json")
    for limits, code in [
        (im.Limits(max_buffer_size=5), "buffer_limit_exceeded"),
        (im.Limits(max_weight_count=count - 1), "weight_limit_exceeded"),
    ]:
        assert error_of(im.InstructionModel, info, limits=limits).code == code
        assert error_of(im.load, tmp_path / "model.json", limits=limits).code == code
    wide = im.Limits(max_buffer_size=2_000_000)
    im.InstructionModel(im.InstructionModelInfo.from_dict(identity(1, 1_000_000)), limits=wide)


@pytest.mark.parametrize(("cases", "counted"), [(1, 64), (64, 64), (65, 65)])
def test_validation_data_may_not_take_more_work_than_the_limit(tmp_path, cases, counted):
    model = build(network([100, 100], [None]))
    info, rows = model.info, samples(cases, 100, 0)
    info.validation_data = im.ValidationData(rows, model.predict(rows))
    info.save(tmp_path / "model.json")
    # Not `model.work`, which depends on the vectors of this CPU.
    work = counted * program.lower(model._checked, model._packed).work
    im.load(tmp_path / "model.json", limits=im.Limits(max_validation_work=work))
    limits = im.Limits(max_validation_work=work - 1)
    for call, given in ((im.load, tmp_path / "model.json"), (im.InstructionModel, info)):
        error = error_of(call, given, limits=limits)
        assert (error.code, error.field) == ("validation_limit_exceeded", "validation_data")
        assert error.actual == work


def test_a_tiny_document_costs_no_large_allocation():
    # If the sizes were believed before they are checked, this would ask for terabytes.
    huge = identity(1, *[2**40] * 50)
    assert error_of(build, huge).code == "buffer_limit_exceeded"


# ------------------------------------------------------------------------------------ feature count


def test_unnamed_features_are_counted_by_a_validation_input():
    document = edited(dense(), "features", to=[])
    document["validation_data"] = {"inputs": [[0.0, 0.0]], "expected_outputs": [[0.5]]}
    document["validation_data"]["expected_outputs"] = build(dense()).predict([[0, 0]]).tolist()
    assert build(document).feature_size == 2


@pytest.mark.parametrize(
    ("instructions", "size"),
    [
        ([{"type": "DOT", "input": 0, "output": 2, "weights": 0}], 2),
        ([{"type": "ADD_ELEMENTWISE_BUFFERS", "input": [0, 1], "output": 3}], 4),
        ([{"type": "COPY", "input": 1, "output": 0, "internal_index": 0}], None),
        (
            [
                {"type": "ACTIVATION", "input": 0, "activation": "RELU"},
                {"type": "ACTIVATION", "input": 1, "activation": "RELU"},
            ],
            4,
        ),
        # Buffer 1 is written fully before it is read.
        (
            [
                {"type": "DOT", "input": 0, "output": 1, "weights": 0},
                {"type": "ACTIVATION", "input": 1, "activation": "RELU"},
            ],
            2,
        ),
        # Buffers 0 and 2 are read, 1 is not: the leading ones are 0 alone.
        ([{"type": "ADD_ELEMENTWISE_BUFFERS", "input": [0, 2], "output": 3}], 2),
    ],
)
def test_unnamed_features_are_the_leading_buffers_that_are_read_first(instructions, size):
    needs = any(item["type"] == "DOT" for item in instructions)
    document = {
        "features": [],
        "buffer_sizes": [2, 2, 2, 2],
        "instructions": instructions,
        "weights": [[[1.0, 0.0], [0.0, 1.0]]] if needs else [],
        "bias": [[0.0, 0.0]] if needs else [],
    }
    if size is None:
        assert error_of(build, document).code == "missing_features"
    else:
        assert build(document).feature_size == size


def test_unnamed_features_with_a_feature_size():
    assert build({**dense(), "features": [], "feature_size": 2}).feature_size == 2


def test_repeated_names_load():
    assert build({**dense(), "features": ["a", "a"]}).feature_size == 2


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_the_input_fills_the_first_buffers(inputs):
    document = {
        "feature_size": [2, 5, 6][inputs - 1],
        "buffer_sizes": [2, 3, 1, 6],
        "instructions": [
            {"type": "COPY", "input": buffer, "output": 3, "internal_index": start}
            for buffer, start in [(0, 0), (1, 2), (2, 5)]
        ],
        "weights": [],
        "bias": [],
    }
    size = document["feature_size"]
    x = np.arange(1, size + 1)
    got = build(document).predict(x)
    assert got.tolist() == [*x, *[0] * (6 - size)]
