"""predict_parallel's arguments, and its result as an array and as an object."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from support.documents import build, everything, network
from support.strategies import samples

import instmodel as im
from instmodel.compiled import parallel

X = samples(7, 6, 0)


@pytest.fixture(scope="module")
def model():
    return build(everything())  # 6 features, 36 values in all, the last 2 of them the output


@pytest.fixture
def result(model):
    return model.predict_parallel(X)


def error_of(call, *arguments, **options):
    with pytest.raises(im.InstModelError) as caught:
        call(*arguments, **options)
    assert isinstance(caught.value, ValueError)
    return caught.value


# ------------------------------------------------------------------------------------------ config


def test_the_config_has_defaults_and_does_not_change():
    config = im.PredictConfig()
    assert (config.threads, config.buffer_slice) == (None, None)
    assert im.PredictConfig(3, (1, 2)) == im.PredictConfig(threads=3, buffer_slice=(1, 2))
    with pytest.raises(AttributeError):
        config.threads = 2


@pytest.mark.parametrize("threads", [0, -1, -(2**70)])
def test_thread_counts_below_one(model, threads):
    error = error_of(model.predict_parallel, X, im.PredictConfig(threads=threads))
    assert (error.code, error.field) == ("invalid_thread_count", "threads")


@pytest.mark.parametrize("threads", [1.0, 2.5, "2", True, [2], 1j])
def test_thread_counts_that_are_no_integers(model, threads):
    error = error_of(model.predict_parallel, X, im.PredictConfig(threads=threads))
    assert (error.code, error.field) == ("invalid_type", "threads")


@pytest.mark.parametrize("threads", [None, 1, 2, 1000, 2**70, np.int64(2), np.uint8(3)])
def test_thread_counts(model, threads):
    got = model.predict_parallel(X, im.PredictConfig(threads=threads))
    np.testing.assert_array_equal(np.asarray(got), model.predict(X))


@pytest.mark.parametrize("edges", [(0, 0), (5, 5), (36, 36), (40, 40), (5, 3), (3, -1), (-1, -1)])
def test_empty_slices(model, edges):
    error = error_of(model.predict_parallel, X, im.PredictConfig(buffer_slice=edges))
    assert (error.code, error.field) == ("invalid_slice", "buffer_slice")


@pytest.mark.parametrize("edges", [(0, 37), (36, 37), (-1, 3), (-2, 40), (0, 2**70), (-(2**70), 1)])
def test_slices_outside(model, edges):
    error = error_of(model.predict_parallel, X, im.PredictConfig(buffer_slice=edges))
    assert (error.code, error.field) == ("slice_out_of_bounds", "buffer_slice")
    assert "36" in str(error)


@pytest.mark.parametrize("edges", [3, "01", (1,), (1, 2, 3), (), slice(0, 2), range(2), {0, 2}])
def test_slices_that_are_no_pairs(model, edges):
    error = error_of(model.predict_parallel, X, im.PredictConfig(buffer_slice=edges))
    assert (error.code, error.field) == ("invalid_slice", "buffer_slice")


@pytest.mark.parametrize("edges", [(0.0, 2), (0, 2.0), (False, True), ("0", "2"), (None, 2)])
def test_slices_that_are_no_integers(model, edges):
    error = error_of(model.predict_parallel, X, im.PredictConfig(buffer_slice=edges))
    assert (error.code, error.field) == ("invalid_type", "buffer_slice")


@pytest.mark.parametrize("edges", [[0, 36], (np.int64(3), np.int32(9)), (35, 36)])
def test_slices(model, edges):
    whole = np.asarray(model.predict_parallel(X, im.PredictConfig(buffer_slice=(0, 36))))
    got = model.predict_parallel(X, im.PredictConfig(buffer_slice=edges))
    assert got.slice_size == edges[1] - edges[0]
    np.testing.assert_array_equal(np.asarray(got), whole[:, edges[0] : edges[1]])


def test_errors_come_before_work_also_without_samples(model):
    nothing = np.empty((0, 6), np.float32)
    for config, code in [
        (im.PredictConfig(threads=0), "invalid_thread_count"),
        (im.PredictConfig(buffer_slice=(1, 1)), "invalid_slice"),
        (im.PredictConfig(buffer_slice=(0, 99)), "slice_out_of_bounds"),
    ]:
        assert error_of(model.predict_parallel, nothing, config).code == code


@pytest.mark.parametrize("config", [3, (2, None), {"threads": 2}, "2"])
def test_a_config_that_is_none(model, config):
    assert error_of(model.predict_parallel, X, config).code == "invalid_type"


# ------------------------------------------------------------------------------------------ result


def test_sizes(model, result):
    assert (result.num_samples, result.slice_size, len(result)) == (7, 2, 7)
    assert type(result.num_samples) is int
    assert type(result.slice_size) is int
    one = model.predict_parallel(X[0])
    assert (one.num_samples, one.slice_size) == (1, 2)
    flat = model.predict_parallel(X.ravel())
    assert (flat.num_samples, flat.slice_size) == (7, 2)


@pytest.mark.parametrize("size", [1, 5, 7, 13, 41])
def test_flat_lengths_that_are_no_multiple(model, size):
    error = error_of(model.predict_parallel, np.zeros(size, np.float32))
    assert error.code == "input_size_mismatch"


def test_get_result(model, result):
    expected = model.predict(X)
    for index in (0, 3, 6, np.int64(6)):
        got = result.get_result(index)
        assert (got.shape, got.dtype) == ((2,), np.float32)
        np.testing.assert_array_equal(got, expected[index])


@pytest.mark.parametrize("index", [-1, 7, 2**70, -(2**70)])
def test_get_result_outside(result, index):
    error = error_of(result.get_result, index)
    assert (error.code, error.field) == ("result_index_out_of_bounds", "index")


@pytest.mark.parametrize("index", [0.0, "0", None, True, [0], slice(0, 1)])
def test_get_result_of_no_index(result, index):
    assert error_of(result.get_result, index).code == "invalid_type"


def test_get_result_of_nothing(model):
    nothing = model.predict_parallel(np.empty((0, 6), np.float32))
    assert error_of(nothing.get_result, 0).code == "result_index_out_of_bounds"


@pytest.mark.parametrize(
    "destination",
    [
        np.empty((7, 2), np.float32),
        np.empty(14, np.float32),
        np.empty((7, 2), np.float64),
        np.empty((7, 2), np.float32, order="F"),
        np.empty((14, 4), np.float32)[::2, ::2],
        np.empty((7, 2), ">f4"),
    ],
)
def test_copy_results(model, result, destination):
    destination[...] = np.nan
    result.copy_results(destination)
    expected = model.predict(X).reshape(destination.shape)
    np.testing.assert_array_equal(destination, expected)


@pytest.mark.parametrize(
    "shape", [(6, 2), (8, 2), (7, 3), (7, 1), (13,), (15,), (2, 7), (7, 2, 1), ()]
)
def test_copy_results_into_a_wrong_size(result, shape):
    destination = np.full(shape, np.float32(5))
    error = error_of(result.copy_results, destination)
    assert error.code == "destination_size_mismatch"
    assert (destination == 5).all()


@pytest.mark.parametrize(
    "destination",
    [
        [[0.0] * 2] * 7,
        None,
        bytearray(56),
        np.empty((7, 2), np.int32),
        np.empty((7, 2), object),
        np.frombuffer(bytes(56), np.float32).reshape(7, 2),
    ],
    ids=["list", "none", "bytearray", "int32", "object", "read-only"],
)
def test_copy_results_into_something_else(result, destination):
    assert error_of(result.copy_results, destination).code == "invalid_type"


def test_a_result_is_an_array_to_numpy(model, result):
    expected = model.predict(X)
    assert np.asarray(result).dtype == np.float32
    np.testing.assert_array_equal(np.asarray(result), expected)
    np.testing.assert_array_equal(np.array(result), expected)
    np.testing.assert_array_equal(np.asarray(result, np.float64), expected.astype(np.float64))
    np.testing.assert_array_equal(np.stack([result, result]), np.stack([expected, expected]))
    assert np.mean(result) == np.mean(expected)
    assert np.shape(result) == (7, 2)
    assert (result == expected).all()


def test_a_result_is_copied_when_a_copy_is_asked_for(result):
    first = np.array(result)
    first[:] = 0
    assert (np.asarray(result) != 0).any()
    assert np.shares_memory(np.asarray(result), result)


def plain(value):
    return type(value) is np.ndarray or isinstance(value, np.generic)


COMPUTED = {
    "a row": lambda r: r[3],
    "a value": lambda r: r[3, 1],
    "the last output": lambda r: r[:, -1],
    "a selection": lambda r: r[r > 0],
    "rows by number": lambda r: r[[0, 0, 6]],
    "everything": lambda r: r[...],
    "iteration": lambda r: list(r)[2],
    "arithmetic": lambda r: 2 * r**2 - r / 3 + (-r),
    "comparison": lambda r: (r > 0.5) | (r != 1),
    "reflected": lambda r: np.ones((7, 2), np.float32) - r,
    "a matrix product": lambda r: r @ np.ones((2, 3), np.float32),
    "a function": lambda r: np.exp(r),
    "a sum": lambda r: r.sum(),
    "a sum by column": lambda r: r.sum(axis=0),
    "a mean": lambda r: r.mean(axis=1, keepdims=True),
    "the largest": lambda r: r.max(axis=1),
    "a function of NumPy": lambda r: np.quantile(r, 0.5, axis=0),
    "joined": lambda r: np.concatenate([r, r]),
    "joined with others": lambda r: np.vstack([np.zeros(2), r]),
    "chosen": lambda r: np.where(r > 0, r, 0),
    "as list": lambda r: np.array(r.tolist()),
}


@pytest.mark.parametrize("compute", COMPUTED.values(), ids=COMPUTED)
def test_what_is_computed_from_a_result_is_plain(model, result, compute):
    got, expected = compute(result), compute(model.predict(X))
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype
    assert plain(got)


def test_a_result_can_do_what_an_array_can(model, result):
    expected = model.predict(X)
    assert isinstance(result, np.ndarray)
    assert (result.shape, result.ndim, result.size, result.dtype) == ((7, 2), 2, 14, np.float32)
    assert len(result) == 7
    for change in (
        lambda r: r.T,
        lambda r: r.argmax(axis=1),
        lambda r: r.ravel(),
        lambda r: r.reshape(2, 7),
        lambda r: r.astype(np.float64),
        lambda r: r.copy(),
    ):
        np.testing.assert_array_equal(change(result), change(expected))
    result += 1
    result[0] = 7
    expected += 1
    expected[0] = 7
    np.testing.assert_array_equal(result, expected)
    assert isinstance(result, im.ParallelPredictOutput)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_a_copy_of_a_result_is_one(result, duplicate):
    other = duplicate(result)
    assert type(other) is im.ParallelPredictOutput
    assert (other.num_samples, other.slice_size) == (7, 2)
    np.testing.assert_array_equal(other, result)
    assert not np.shares_memory(other, result)
    assert other.get_result(3).tolist() == result[3].tolist()


def test_results_do_not_share_memory_with_each_other(model):
    first = model.predict_parallel(X)
    before = np.array(first)
    second = model.predict_parallel(X + 1)
    np.testing.assert_array_equal(np.asarray(first), before)
    assert not np.shares_memory(np.asarray(first), np.asarray(second))


def test_repr_shows_the_values(model, result):
    assert str(result) == str(model.predict(X))
    assert repr(result).startswith("ParallelPredictOutput([[")
    assert "dtype=float32" in repr(result)


# ------------------------------------------------------------------------------------------- chunks


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 1000, 4097])
@pytest.mark.parametrize("chunk", [1, 16, 48, 1000, 5000])
@pytest.mark.parametrize("threads", [1, 3])
def test_every_row_is_done_once_whatever_the_chunks(rows, threads, chunk):
    from instmodel._job import SharedRows

    model = build(network([5, 3], [None]))
    x = samples(rows, 5, rows)
    results = np.full((rows, 3), np.float32(np.nan))
    shared = SharedRows(model, x, results, model.output_index_start, threads, chunk)
    shared.work()
    np.testing.assert_array_equal(results, model.predict(x))
    results[:] = 7
    shared.work()  # all chunks are claimed: nothing is done twice
    assert (results == 7).all()


def test_nobody_claims_cancelled_rows():
    from instmodel._job import SharedRows

    model = build(network([5, 3], [None]))
    results = np.full((100, 3), np.float32(7))
    shared = SharedRows(model, samples(100, 5, 0), results, model.output_index_start, 2, 10)
    shared.cancel()
    shared.work()
    assert (results == 7).all()


def test_a_mistake_in_a_thread_reaches_the_caller(monkeypatch):
    helping = threading.Event()

    class Broken:
        """Stands for rows whose helpers fail."""

        def __init__(self, *arguments):
            pass

        def work(self, watch_signals=False):
            if watch_signals:
                assert helping.wait(30)
            else:
                helping.set()
                raise MemoryError("in a helper")

        def cancel(self):
            pass

    model = build(network([64, 96, 8], ["RELU", None]))
    monkeypatch.setattr(parallel, "SharedRows", Broken)
    with pytest.raises(MemoryError, match="in a helper"):
        model.predict_parallel(np.zeros((20_000, 64), np.float32), im.PredictConfig(threads=3))


# --------------------------------------------------------------------------------------------- out


@pytest.mark.parametrize("part", [None, (3, 9)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_written_where_out_says(model, part, dtype):
    config = im.PredictConfig(buffer_slice=part)
    expected = np.asarray(model.predict_parallel(X, config))
    out = np.full(expected.shape, np.nan, np.float32)
    result = model.predict_parallel(X.astype(dtype), config, out=out)
    np.testing.assert_array_equal(out, expected)
    assert np.shares_memory(np.asarray(result), out)


def test_out_may_overlap_the_rows(model):
    expected = np.asarray(model.predict_parallel(X))
    memory = np.zeros(X.size + 2, np.float32)
    memory[: X.size] = X.ravel()
    rows, out = memory[: X.size].reshape(X.shape), memory[2 : 2 + expected.size]
    model.predict_parallel(rows, out=out.reshape(expected.shape))
    np.testing.assert_array_equal(out, expected.ravel())


@pytest.mark.parametrize(
    ("out", "code"),
    [
        (np.empty((7, 3), np.float32), "destination_size_mismatch"),
        (np.empty((8, 2), np.float32), "destination_size_mismatch"),
        (np.empty((7, 2), np.float64), "invalid_type"),
        (np.empty((2, 7), np.float32).T, "invalid_type"),
        ([[0.0] * 2] * 7, "invalid_type"),
    ],
)
def test_results_that_do_not_fit_out(model, out, code):
    error = error_of(model.predict_parallel, X, out=out)
    assert (error.code, error.field) == (code, "out")
