"""`GpuSession`: the CPU's numbers for any batch, and errors that say what is wrong."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import device, strategies
from support.documents import build, dense, everything, identity, network, one

import instmodel as im
from instmodel.gpu import GpuSession, chunk, plan

KEY = 40  # of the attention below; large enough for the tiled kernel


def attention():
    rng = np.random.default_rng(0)
    return one(
        {"type": "ATTENTION", "input": 0, "key": 1, "output": 2, "weights": 0},
        [70, KEY, 70],
        feature_size=70 + KEY,
        weights=[rng.normal(0, 0.3, (70, KEY)).tolist()],
        bias=[rng.normal(0, 0.3, 70).tolist()],
    )


def gap():
    """Buffer 1 has a part that nothing writes, and that is changed in place."""
    return one(
        {"type": "COPY", "input": 0, "output": 1, "internal_index": 3},
        [3, 9],
    ) | {
        "instructions": [
            {"type": "COPY", "input": 0, "output": 1, "internal_index": 3},
            {"type": "ACTIVATION", "input": 1, "activation": "INVERSE"},
        ]
    }


DOCUMENTS = {
    "everything": everything(),
    "small": dense(),
    "wide": network([70, 130, 65, 33], ["GELU", "SOFTMAX", None]),
    "activations": network([16] + [32] * len(im.Activation), list(map(str, im.Activation))),
    "attention": attention(),
    "gap": gap(),
    "identity": identity(5),
}


@pytest.fixture(scope="module")
def sessions():
    """A session for each document, made when it is first asked for."""
    made = {}

    def get(name):
        if name not in made:
            model = im.InstructionModel(im.InstructionModelInfo.from_dict(DOCUMENTS[name]))
            made[name] = GpuSession(model, adapter=device.adapter())
        return made[name]

    return get


def small_chunks(monkeypatch, samples):
    monkeypatch.setattr(chunk, "_MOST_SAMPLES", samples)


def kernels(document):
    model = im.GpuModel.from_info(im.InstructionModelInfo.from_dict(document))
    return [(step.kernel.removeprefix("instmodel_"), *step[1:3]) for step in plan.make_plan(model)]


# ------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 1000])
def test_every_kind_of_step(sessions, name, rows):
    x = strategies.samples(rows, sessions(name).feature_size, rows)
    device.assert_close(sessions(name).predict(x), build(DOCUMENTS[name]).predict(x))


@pytest.mark.parametrize("name", ["everything", "wide"])
def test_100_000_rows_in_several_chunks(monkeypatch, name):
    small_chunks(monkeypatch, 2**14)
    made = GpuSession(im.InstructionModelInfo.from_dict(DOCUMENTS[name]), adapter=device.adapter())
    x = strategies.samples(100_000, made.feature_size, 1)
    want = np.asarray(build(DOCUMENTS[name]).predict_parallel(x)).reshape(len(x), -1)
    got = made.predict(x)
    device.assert_close(got, want)
    np.testing.assert_array_equal(made.predict(x), got)  # the buffers are not fresh any more


def test_gaps_read_as_zero_in_every_chunk(monkeypatch):
    small_chunks(monkeypatch, 64)
    made = GpuSession(im.InstructionModelInfo.from_dict(gap()), adapter=device.adapter())
    x = strategies.samples(400, 3, 1)
    for _ in range(2):
        np.testing.assert_array_equal(made.predict(x)[:, :3], np.ones((400, 3)))


def test_missing_values_and_other_odd_inputs(sessions):
    for name in ("wide", "everything", "small"):
        made = sessions(name)
        x = strategies.samples(500, made.feature_size, 8, hostile=True, share=0.02)
        x[np.abs(x) > 1e30] = np.nan  # sums of such values may overflow in another order
        want = build(DOCUMENTS[name]).predict(x)
        assert np.isnan(want).any()
        device.assert_close(made.predict(x), want)


def test_denormal_weights_count_as_zero():
    document = network([40, 40], [None])
    document["weights"][0] = np.full((40, 40), 1e-40).tolist()
    made = GpuSession(im.InstructionModelInfo.from_dict(document), adapter=device.adapter())
    x = np.full((1, 40), 3e38, np.float32)
    np.testing.assert_array_equal(made.predict(x), build(document).predict(x))


def test_denormal_parameters_count_as_zero():
    step = {"type": "MUL_ELEMENTWISE", "input": 0, "parameters": 0}
    document = one(step, [4], parameters=[[1e-40, -1e-40, 1e-39, 1.0]])
    made = GpuSession(im.InstructionModelInfo.from_dict(document), adapter=device.adapter())
    x = np.full((1, 4), 3e38, np.float32)
    np.testing.assert_array_equal(made.predict(x), build(document).predict(x))


def test_a_large_sum_keeps_its_small_parts():
    """Sums that cancel: float32 alone, added one after the other, would lose all digits."""
    size = 4000
    rng = np.random.default_rng(0)
    large = rng.normal(0, 1e6, size // 2)
    x = np.concatenate([large + rng.normal(0, 1, size // 2), -large]).astype(np.float32)
    x = np.stack([x, np.roll(x, 77), np.full(size, 0.1, np.float32)])
    document = one({"type": "REDUCE_SUM", "input": 0, "output": 1}, [size, 1])
    want = build(document).predict(x)
    made = GpuSession(im.InstructionModelInfo.from_dict(document), adapter=device.adapter())
    np.testing.assert_allclose(made.predict(x), want, rtol=1e-6)
    plain = np.add.accumulate(x, axis=1, dtype=np.float32)[:, -1:]
    assert np.abs(plain / want - 1).max() > 1e-3  # what the test would find


@pytest.mark.parametrize("outputs", [4, 40])
def test_a_wide_dense_layer_is_stable(outputs):
    document = network([3000, outputs], [None])
    x = np.abs(strategies.samples(4, 3000, 1))
    document["weights"][0] = np.abs(document["weights"][0]).tolist()
    exact = np.array(document["weights"][0]) @ x.T.astype(np.float64)
    made = GpuSession(im.InstructionModelInfo.from_dict(document), adapter=device.adapter())
    np.testing.assert_allclose(made.predict(x), exact.T + document["bias"][0], rtol=2e-6)


# --------------------------------------------------------------------------------------------- plan


def test_large_dense_layers_get_the_tiled_kernel():
    assert kernels(DOCUMENTS["wide"]) == [
        ("load", 0, 70),
        ("dense_rows", 0, 1),
        ("dense_rows", 1, 1),
        ("finish_dot", 1, 1),
        ("dense_rows", 2, 1),
        ("store", 265, 33),
    ]
    assert [step[0] for step in kernels(attention())] == [
        *("load", "dense_rows", "finish_attention", "store")
    ]


def test_what_is_between_them_runs_in_one_kernel():
    assert kernels(everything()) == [("load", 0, 6), ("run_rows", 0, 16), ("store", 34, 2)]


def test_no_dispatch_has_loops_without_end():
    document = identity(5000)
    document["instructions"] *= 9
    assert [step[1:] for step in kernels(document)[1:-1]] == [(0, 3), (3, 3), (6, 3)]
    assert kernels(network([20_000, 4], [None]))[1][0] == "dense_rows"


# ------------------------------------------------------------------------------------ input, output


def test_any_array_of_real_numbers(sessions):
    made, model = sessions("small"), build(dense())
    x = strategies.samples(50, 2, 3)
    for given_x in (
        x.astype(np.float64),
        np.asfortranarray(x),
        np.repeat(x, 3, axis=0)[::3],
        x[::-1][::-1],
        x.tolist(),
        np.ma.masked_array(x, mask=False),
    ):
        np.testing.assert_array_equal(made.predict(given_x), made.predict(x))
    whole = np.round(x).astype(np.int64)
    device.assert_close(made.predict(whole), model.predict(whole))
    read_only = x.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(made.predict(read_only), made.predict(x))


def test_one_row_and_none(sessions):
    made = sessions("small")
    assert made.predict([0.5, 1.0]).shape == (1,)
    np.testing.assert_array_equal(made.predict([0.5, 1.0]), made.predict([[0.5, 1.0]])[0])
    assert made.predict(np.empty((0, 2))).shape == (0, 1)


def test_out(sessions):
    made = sessions("small")
    x = strategies.samples(50, 2, 3)
    out = np.zeros((50, 1), np.float32)
    assert made.predict(x, out) is out
    np.testing.assert_array_equal(out, made.predict(x))
    for wrong in (np.zeros((50, 2), np.float32), np.zeros((50, 1)), [0.0]):
        with pytest.raises(im.InstModelError):
            made.predict(x, wrong)


@pytest.mark.parametrize("distance", [0, 1, 200])
def test_out_may_overlap_the_rows(monkeypatch, distance):
    small_chunks(monkeypatch, 64)
    made = GpuSession(im.InstructionModelInfo.from_dict(identity(5)), adapter=device.adapter())
    memory = strategies.samples(1000 + distance, 5, 3)
    x, out = memory[:1000], memory[distance:]
    want = x.copy()
    assert made.predict(x, out) is out
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (np.zeros((3, 3)), "input_size_mismatch"),
        (np.zeros(3), "input_size_mismatch"),
        (np.zeros((2, 2, 3)), "input_size_mismatch"),
        (np.zeros(()), "input_size_mismatch"),
        ([[1.0, 2.0], [3.0]], "input_size_mismatch"),
        (np.zeros((3, 2), complex), "invalid_type"),
        ([["a", "b"]], "invalid_type"),
        (None, "invalid_type"),
    ],
)
def test_wrong_input(sessions, x, code):
    with pytest.raises(im.InstModelError) as caught:
        sessions("small").predict(x)
    assert caught.value.code == code


def test_inputs_of_more_dimensions(sessions):
    made = sessions("small")
    x = strategies.samples(6, 2, 0)
    got = made.predict(x.reshape(3, 1, 2, 2))
    np.testing.assert_array_equal(got, made.predict(x).reshape(3, 1, 2, -1))


def test_a_frame_with_other_columns_is_refused(sessions):
    class Frame:
        columns = ("b", "a")

        def __array__(self, dtype=None, copy=None):
            return np.zeros((1, 2))

    with pytest.raises(im.InstModelError) as caught:
        sessions("small").predict(Frame())
    assert caught.value.code == "column_mismatch"


def test_keys_of_maps_that_float32_cannot_hold(sessions):
    whole = np.full((3, 6), 1)
    whole[2, 4] = 16777217
    session = sessions("everything")
    for x, row in ((whole, 2), (whole.astype(float), 2), (whole[2], None)):
        with pytest.raises(im.InstModelError) as caught:
            session.predict(x)
        error = caught.value
        assert (error.code, error.column, error.row) == ("inexact_key", "key", row)
    whole[2, 4] = 16777218
    assert np.array_equal(session.predict(whole), session.predict(whole.astype(np.float32)))


def test_any_form_of_the_model():
    info = im.InstructionModelInfo.from_dict(dense())
    x = strategies.samples(9, 2, 3)
    results = [
        GpuSession(form, adapter=device.adapter()).predict(x)
        for form in (info, im.InstructionModel(info), im.GpuModel.from_info(info))
    ]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_threads_wait_for_each_other(sessions):
    made = sessions("wide")
    xs = [strategies.samples(3000, 70, seed) for seed in range(8)]
    want = [made.predict(x) for x in xs]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(made.predict, xs))
    for one_got, one_want in zip(got, want, strict=True):
        np.testing.assert_array_equal(one_got, one_want)


def test_a_session_works_on_after_it_was_interrupted(sessions, monkeypatch):
    made = sessions("small")
    x = strategies.samples(300, 2, 3)
    want = made.predict(x)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(chunk._Lane, "collect", interrupt)
        with pytest.raises(KeyboardInterrupt):
            made.predict(x)
    np.testing.assert_array_equal(made.predict(x), want)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_nothing_waits_for_ever_after_a_fork(sessions):
    made = sessions("small")
    child = os.fork()
    if not child:
        signal.alarm(30)  # without the errors, it would wait for ever
        try:
            made.close()  # leaves the parent's alone
            for use in (lambda: made.predict([1.0, 2.0]), open_session):
                with pytest.raises(im.InstModelError, match="fork") as caught:
                    use()
                assert caught.value.code == "gpu_failed"
            os._exit(7)
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert made.predict([1.0, 2.0]).shape == (1,)


def test_a_session_is_not_pickled(sessions):
    with pytest.raises(TypeError, match="pickle its model"):
        pickle.dumps(sessions("small"))
    assert "GpuModel(version=1, features=2" in repr(sessions("small"))
    assert sessions("small").device_name in repr(sessions("small"))


# -------------------------------------------------------------------------------------------- close


def open_session():
    return GpuSession(im.InstructionModelInfo.from_dict(dense()), adapter=device.adapter())


def test_a_closed_session_says_so():
    with open_session() as made:
        assert made.predict([0.5, 1.0]).shape == (1,)
    for x in ([0.5, 1.0], np.empty((0, 2))):
        with pytest.raises(im.InstModelError) as caught:
            made.predict(x)
        assert caught.value.code == "session_closed"
    made.close()
    assert made.output_size == 1
    assert "GpuModel" in repr(made)


def test_closing_frees_the_device():
    made = open_session()
    made.predict(strategies.samples(100, 2, 3))
    kernels = made._kernels
    held = [weakref.ref(thing) for thing in (kernels.device, kernels.words, made._chunk.computed)]
    del kernels
    threads = threading.active_count()
    made.close()
    assert [ref() for ref in held] == [None] * 3
    assert threading.active_count() < threads  # the one that waits for the device


def test_close_waits_for_a_running_call(monkeypatch):
    small_chunks(monkeypatch, 64)
    made = open_session()
    x = strategies.samples(5000, 2, 3)
    want = made.predict(x)
    submitted, submit = threading.Event(), chunk.Chunk.compute

    def submit_and_tell(*arguments):
        submit(*arguments)
        submitted.set()

    monkeypatch.setattr(chunk.Chunk, "compute", submit_and_tell)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(made.predict, x)
        assert submitted.wait(60)
        made.close()
        np.testing.assert_array_equal(running.result(), want)


# ------------------------------------------------------------------------------------------- errors


def failure(*arguments, **options):
    with pytest.raises(im.InstModelError) as caught:
        GpuSession(*arguments, **options)
    return caught.value


def test_what_is_no_model_or_adapter():
    info = im.InstructionModelInfo.from_dict(dense())
    assert failure(dense()).code == "invalid_type"
    assert failure(info, adapter="llvmpipe").code == "invalid_type"


def test_without_wgpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "wgpu", None)
    error = failure(im.InstructionModelInfo.from_dict(dense()))
    assert error.code == "missing_package"
    assert "pip install 'instmodel-inference[gpu]'" in str(error)


def test_without_an_adapter(monkeypatch):
    def none(**options):
        raise RuntimeError("Request adapter failed")

    monkeypatch.setattr(device.wgpu.gpu, "request_adapter_sync", none, raising=False)
    error = failure(im.InstructionModelInfo.from_dict(dense()))
    assert error.code == "gpu_unavailable"
    assert "no GPU" in str(error)


def test_a_model_that_is_too_large_for_the_device():
    model = im.GpuModel.from_info(im.InstructionModelInfo.from_dict(identity(65_536)))
    assert chunk.most_room(model, 2**27) == chunk.Room(128, 128, 1)  # 32 MiB of rows
    with pytest.raises(im.InstModelError) as caught:
        chunk.most_room(model, 2**22)
    assert caught.value.code == "buffer_limit_exceeded"


def test_an_error_of_the_gpu_is_one_of_ours(sessions, monkeypatch):
    made = sessions("small")

    def fail(*arguments):
        raise device.wgpu.GPUError("device lost")

    with monkeypatch.context() as patch:
        patch.setattr(chunk.Chunk, "compute", fail)
        with pytest.raises(im.InstModelError) as caught:
            made.predict([1.0, 2.0])
    assert caught.value.code == "gpu_failed"
    assert made.predict([1.0, 2.0]).shape == (1,)
