"""What a row gets depends on the model and the row alone, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.documents import build, engine_cases, everything, network
from support.strategies import samples

import instmodel as im

ROWS = 257
SOFTMAX_NET = network([33, 50, 17, 5], ["GELU", "TANH", "SOFTMAX"])
MODELS = {
    "everything": everything(),
    "network": SOFTMAX_NET,
    "one output": network([9, 1], ["SIGMOID"]),
    "one output of long rows": network([75, 1, 3], ["RELU", "TANH"]),
    "one output of squares": network([32, 1], [None]),
    "one feature": network([1, 3, 2], ["RELU", None]),
    "narrow first layer": network([37, 16, 5], ["RELU", "SIGMOID"]),
    "narrow first layer of three panels": network([150, 48], ["TANH"]),
    "narrow first layer of a panel and a half": network([150, 24], ["TANH"]),
    "more inputs than a block": network([600, 9, 530, 1], ["RELU", None, "SIGMOID"]),
    "wide": network([250, 300, 200], ["RELU", "SIGMOID"]),
    "golden": engine_cases()[0]["model"],
}


def bits(array):
    return np.asarray(array).view(np.uint32)


def same_bits(got, expected):
    np.testing.assert_array_equal(bits(got), bits(expected), strict=True)


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A model, hostile rows, and what each row gets when it is alone."""
    model = build(MODELS[request.param])
    share = min(0.1, 1 / model.feature_size)  # about half of the rows stay free of it
    x = samples(ROWS, model.feature_size, 7, hostile=True, share=share)
    return model, x, np.stack([model.predict(row) for row in x])


def test_the_rows_are_not_all_the_same_and_not_all_nan(case):
    _, _, alone = case
    assert len(np.unique(alone[np.isfinite(alone)])) > 20


def test_batches_of_1_to_257(case):
    model, x, alone = case
    for size in range(1, ROWS + 1):
        same_bits(model.predict(x[:size]), alone[:size])
        same_bits(model.predict(x[ROWS - size :]), alone[ROWS - size :])


def test_one_row_at_every_place_of_a_batch(case):
    model, x, alone = case
    for shift in range(0, ROWS, 5):
        same_bits(model.predict(np.roll(x, shift, axis=0)), np.roll(alone, shift, axis=0))


@pytest.mark.parametrize("threads", range(1, 9))
def test_threads(case, threads):
    model, x, alone = case
    # Enough work for all threads, whatever they think is worth starting one.
    times = 1 + 8_000_000 // (model.work * ROWS)
    result = model.predict_parallel(np.tile(x, (times, 1)), im.PredictConfig(threads=threads))
    same_bits(np.asarray(result), np.tile(alone, (times, 1)))


@pytest.mark.parametrize("threads", [1, 3])
def test_slices_of_the_unified_buffer(case, threads):
    model, x, alone = case
    total, start = model.required_memory, model.output_index_start
    config = im.PredictConfig(threads=threads, buffer_slice=(0, total))
    whole = np.asarray(model.predict_parallel(x, config))
    same_bits(whole[:, start:], alone)
    for edges in [(0, 1), (total - 1, total), (start, total), (start // 2, start + 1)]:
        config = im.PredictConfig(threads=threads, buffer_slice=edges)
        result = model.predict_parallel(x, config)
        assert result.slice_size == edges[1] - edges[0]
        same_bits(np.asarray(result), whole[:, slice(*edges)])


def unaligned(x):
    raw = bytearray(x.nbytes + 1)
    raw[1:] = x.tobytes()
    return np.frombuffer(raw, np.float32, offset=1).reshape(x.shape)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def every_third_column(x):
    wide = np.full((len(x), 3 * x.shape[1]), np.float32(np.nan))
    wide[:, 1::3] = x
    return wide[:, 1::3]


def inside_a_wider_array(x):
    wide = np.full((len(x), x.shape[1] + 5), np.float32(np.nan))
    wide[:, 2:-3] = x
    return wide[:, 2:-3]


class Subclass(np.ndarray):
    pass


LAYOUTS = {
    "as it is": lambda x: x,
    "Fortran-ordered": np.asfortranarray,
    "read-only": read_only,
    "unaligned": unaligned,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "byte-swapped and Fortran-ordered": lambda x: np.asfortranarray(x.astype(">f4")),
    "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "rows backwards": lambda x: x[::-1].copy()[::-1],
    "columns backwards": lambda x: x[:, ::-1].copy()[:, ::-1],
    "every third column": every_third_column,
    "part of a wider array": inside_a_wider_array,
    "part of a wider array, unaligned": lambda x: unaligned(np.c_[x, x])[:, : x.shape[1]],
    "a subclass": lambda x: x.view(Subclass),
    "an object with __array__": lambda x: type("A", (), {"__array__": lambda s, *a, **k: x})(),
    "a memoryview": lambda x: memoryview(np.ascontiguousarray(x)),
    "nested lists": lambda x: x.tolist(),
    "a list of rows": list,
    "float64": lambda x: x.astype(np.float64),
    "float64, every third column": lambda x: every_third_column(x.astype(np.float64)),
    "longdouble": lambda x: x.astype(np.longdouble),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_the_input(case, layout):
    model, x, alone = case
    for rows in (1, 2, 40, ROWS):
        given = LAYOUTS[layout](x[:rows])
        same_bits(model.predict(given), alone[:rows])
        same_bits(np.asarray(model.predict_parallel(given)), alone[:rows])
    given = LAYOUTS[layout](x[:3])
    if isinstance(given, (np.ndarray, list)):
        for row, expected in zip(given, alone[:3], strict=True):
            same_bits(model.predict(row), expected)


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i4", ">f8"]
)
def test_types_of_the_input(case, dtype):
    model, x, _ = case
    with np.errstate(all="ignore"):
        given = np.nan_to_num(x * 3, posinf=100, neginf=0).clip(0, 100).astype(dtype)
    expected = model.predict(given.astype(np.float32))
    same_bits(model.predict(given), expected)
    same_bits(model.predict(given.tolist()), expected)
    same_bits(model.predict(np.asfortranarray(given)), expected)
    same_bits(np.asarray(model.predict_parallel(given)), expected)
    same_bits(np.asarray(model.predict_parallel(given.ravel())), expected)


@settings(max_examples=150)
@given(st.data())
def test_random_views_of_an_array(data):
    model = build(MODELS["network"])
    dtype = data.draw(st.sampled_from([np.float32, np.float32, np.float64, ">f4", np.int16]))
    base = samples(60, 4 * 33 + 3, 5).astype(dtype)
    if data.draw(st.booleans()):
        base = np.asfortranarray(base)
    rows, start, step = (data.draw(st.integers(*edges)) for edges in [(0, 20), (0, 3), (1, 4)])
    every = data.draw(st.integers(1, 3))
    view = base[start : start + every * rows : every, start : start + 33 * step : step][:, :33]
    if data.draw(st.booleans()):
        view = view[::-1]
    if data.draw(st.booleans()):
        view = view[:, ::-1]
    expected = model.predict(np.ascontiguousarray(view, np.float32))
    same_bits(model.predict(view), expected)
    threads = data.draw(st.integers(1, 3))
    same_bits(np.asarray(model.predict_parallel(view, im.PredictConfig(threads=threads))), expected)
    out = np.empty((len(view), 5), np.float32)
    same_bits(model.predict(view, out=out), expected)


def test_float64_is_rounded_once_and_what_overflows_is_infinite():
    document = everything()
    model = build(document)
    x = np.array([[1e300, -1e300, 1 + 2**-24, 1e-60, 1.0, 2.0]])
    with np.errstate(over="ignore"):
        expected = model.predict(x.astype(np.float32))
    same_bits(model.predict(x), expected)


def test_large_inputs_of_another_type_are_converted_in_parts_that_fit_together():
    model = build(network([3, 2], ["TANH"]))
    x = np.random.default_rng(0).normal(size=(300_001, 3))
    expected = model.predict(x.astype(np.float32))
    same_bits(model.predict(x), expected)
    same_bits(np.asarray(model.predict_parallel(x, im.PredictConfig(threads=2))), expected)
    same_bits(model.predict(x[:70_000]), expected[:70_000])


def test_a_flat_input_is_the_same_input(case):
    model, x, alone = case
    for threads in (1, 2):
        config = im.PredictConfig(threads=threads)
        same_bits(np.asarray(model.predict_parallel(x.ravel(), config)), alone)
        same_bits(np.asarray(model.predict_parallel(x.ravel().tolist(), config)), alone)


def test_a_row_that_is_repeated_without_memory(case):
    model, x, alone = case
    for row in (0, 100):
        many = np.broadcast_to(x[row], (1000, x.shape[1]))
        assert many.strides[0] == 0
        expected = np.broadcast_to(alone[row], (1000, alone.shape[1]))
        same_bits(model.predict(many), expected)
        same_bits(np.asarray(model.predict_parallel(many)), expected)


@pytest.mark.parametrize("stride", [0, 2**62, -(2**62), 2**61 + 4])
def test_the_stride_of_a_single_row_means_nothing(case, stride):
    model, x, alone = case
    row = np.lib.stride_tricks.as_strided(x[5:], (1, x.shape[1]), (stride, 4))
    out = np.empty_like(alone[5:6])
    same_bits(model.predict(row, out=out), alone[5:6])
    same_bits(np.asarray(model.predict_parallel(row)), alone[5:6])
    same_bits(model.predict(row[:0], out=out[:0]), alone[:0])


def test_running_again_gives_the_same_again(case):
    model, x, alone = case
    for _ in range(3):
        same_bits(model.predict(x), alone)


def test_the_input_is_never_changed(case):
    model, x, _ = case
    before = x.copy()
    model.predict(x)
    model.predict(x[0])
    model.predict_single(x[0])
    model.predict_parallel(x, im.PredictConfig(threads=4))
    same_bits(x, before)


def test_nan_has_one_pattern_of_bits(case):
    # Which NaN an operation returns depends on the instruction set and the order of operands.
    model, x, _ = case
    x = x.copy()
    x[::3, 0] = np.uint32([0x7FC12345]).view(np.float32)[0]
    x[1::3, 0] = np.uint32([0xFFC00000]).view(np.float32)[0]
    config = im.PredictConfig(buffer_slice=(0, model.required_memory))
    whole = np.asarray(model.predict_parallel(x, config))
    computed = whole[:, model.feature_size :]
    assert set(bits(computed[np.isnan(computed)])) <= {0x7FC00000}


def test_the_callers_floating_point_mode_is_put_back(case):
    from instmodel import _kernels

    model, x, _ = case
    before = _kernels.floating_point_mode()
    model.predict(x)
    model.predict(x[0])
    model.predict_single(x[0])
    model.predict_parallel(x, im.PredictConfig(threads=3))
    model.predict_with_buffer(np.zeros(model.required_memory, np.float32))
    assert _kernels.floating_point_mode() == before
    small = np.float32([1e-40])
    assert (small * np.float32(1))[0] > 0, "subnormal numbers still work outside"


def test_the_callers_rounding_mode_does_not_matter_and_is_kept():
    pytest.importorskip("ctypes")
    import ctypes

    try:
        libm = ctypes.CDLL("libm.so.6")
    except OSError:
        pytest.skip("no glibc")
    model = build(SOFTMAX_NET)
    x = samples(40, model.feature_size, 3)
    expected = model.predict(x)
    upward = {"x86_64": 0x800, "aarch64": 0x400000}.get(im.runtime_info()["machine"])
    if upward is None:
        pytest.skip("unknown rounding modes")
    assert libm.fesetround(upward) == 0
    try:
        got, alone = model.predict(x), model.predict(x[0])
        assert libm.fegetround() == upward
    finally:
        libm.fesetround(0)
    same_bits(got, expected)
    same_bits(alone, expected[0])
