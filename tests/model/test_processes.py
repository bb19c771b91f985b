"""Pickling, fork, spawn, threads that start on first use only, and Ctrl-C."""

from __future__ import annotations

import concurrent.futures
import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import numpy as np
import pytest
from support.documents import build, dense, everything, network, trainer_exports
from support.paths import TESTS
from support.strategies import samples

import instmodel as im
from instmodel._engine import Engine

NETWORK = network([64, 96, 8], ["RELU", "SOFTMAX"])
THREADS = im.PredictConfig(threads=4)
# More work than any number of threads here shares out in a lifetime; nothing waits for its end.
ENDLESS = 200_000_000
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def many_samples(model):
    """Samples that are worth four threads."""
    return samples(4 + 4_000_000 // model.work, model.feature_size, 5)


def bits(array):
    return np.asarray(array).view(np.uint32)


def script(text, *, expect=0, **environment):
    """Run a Python script in a process of its own; return what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == expect, result.stderr
    return result.stdout.strip()


# ----------------------------------------------------------------------------------------- pickling


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("make", [dense, everything, lambda: trainer_exports()[0]["model"]])
def test_a_model_pickles(make, protocol):
    model = build(make())
    x = samples(30, model.feature_size, 1)
    twin = pickle.loads(pickle.dumps(model, protocol))
    assert type(twin) is im.InstructionModel
    np.testing.assert_array_equal(bits(twin.predict(x)), bits(model.predict(x)))
    assert twin.info.to_json() == model.info.to_json()
    assert twin.required_memory == model.required_memory


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_model_copies(duplicate):
    model = build(everything())
    x = samples(30, model.feature_size, 1)
    np.testing.assert_array_equal(bits(duplicate(model).predict(x)), bits(model.predict(x)))


class Named(im.InstructionModel):
    """A subclass with other arguments, an attribute and a slot."""

    __slots__ = ("kept",)

    def __new__(cls, name, document, **options):
        return super().__new__(cls)

    def __init__(self, name, document, *, threshold):
        super().__init__(im.InstructionModelInfo.from_dict(document))
        self.name, self.threshold = name, threshold
        self.kept = ["slot"]

    def decide(self, x):
        return self.predict_single(x) > self.threshold


class Forgetful(Named):
    """One that says what travels."""

    def __getstate__(self):
        added, slots = super().__getstate__()
        return ({"name": added["name"]}, slots)


DUPLICATES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda model, protocol=protocol: pickle.loads(
            pickle.dumps(model, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_attributes_travel_with_a_model(duplicate):
    model = build(dense())
    model.note = {"trained": [2026]}
    model.itself = model
    digest = model.digest  # kept once it was computed
    model.predict_one({"a": 1.0, "b": 2.0})  # so is what finds names; it does not travel
    twin = duplicate(model)
    assert twin is not model
    assert twin.note == model.note
    assert (twin.note is model.note) == (duplicate is copy.copy)
    assert twin.itself is (model if duplicate is copy.copy else twin)
    assert twin.digest == digest
    assert twin.predict_one({"a": 1.0, "b": 2.0}) == model.predict_one({"a": 1.0, "b": 2.0})
    twin.note["trained"].append(2027)
    assert len(model.note["trained"]) == (2 if duplicate is copy.copy else 1)
    assert len(build(dense()).__getstate__() or {}) == 0


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_a_subclass_with_arguments_of_its_own_travels(duplicate):
    model = Named("churn", dense(), threshold=0.25)
    twin = duplicate(model)
    assert type(twin) is Named
    assert (twin.name, twin.threshold, twin.kept) == ("churn", 0.25, ["slot"])
    assert twin.decide([0.5, -1.0]) == model.decide([0.5, -1.0])
    assert twin.predict([0.5, -1.0]) == model.predict([0.5, -1.0])
    with pytest.raises(RuntimeError):
        twin.__init__("again", dense(), threshold=0)


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_a_subclass_says_what_travels(duplicate):
    twin = duplicate(Forgetful("churn", dense(), threshold=0.25))
    assert (twin.name, twin.kept) == ("churn", ["slot"])
    assert not hasattr(twin, "threshold")


def test_a_subclass_loads_a_model_of_its_own(tmp_path):
    build(dense()).info.save(tmp_path / "model.instmodel")
    for kind in (im.InstructionModel, Named):
        for mmap in (False, True):
            model = kind.load(tmp_path / "model.instmodel", mmap=mmap)
            assert type(model) is kind
            assert model.predict([0.5, -1.0]) == build(dense()).predict([0.5, -1.0])
    assert pickle.loads(pickle.dumps(im.load)) == im.load


def test_what_is_odd_about_a_model_is_told_once():
    document = network([2, 2, 1], [None, None])
    document["feature_size"] = 4
    with pytest.warns(UserWarning, match="overwrites input values"):
        model = build(document)
    for duplicate in DUPLICATES.values():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            duplicate(model)


def test_an_engine_alone_does_not_pickle():
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(Engine())


def test_a_model_pickles_as_its_document_not_as_its_program():
    model = build(network([100, 100, 100], [None, None]))
    model.predict_parallel(many_samples(model), THREADS)
    floats = 2 * (100 * 100 + 100)
    assert len(pickle.dumps(model)) < 4 * floats + 5000


def test_a_model_that_needs_larger_limits_pickles_with_them():
    limits = im.Limits(max_buffer_size=1_200_000)
    document = {
        "feature_size": 2,
        "buffer_sizes": [2, 1_100_000],
        "instructions": [{"type": "COPY", "input": 0, "output": 1, "internal_index": 5}],
        "weights": [],
        "bias": [],
    }
    info = im.InstructionModelInfo.from_dict(document, limits=limits)
    model = pickle.loads(pickle.dumps(im.InstructionModel(info, limits=limits)))
    assert model.predict([1.0, 2.0])[5:7].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("make", [dense, everything])
def test_an_info_pickles(make):
    info = im.InstructionModelInfo.from_dict(make())
    for twin in (pickle.loads(pickle.dumps(info)), copy.deepcopy(info)):
        assert twin.to_json() == info.to_json()


def test_results_pickle():
    model = build(NETWORK)
    x = samples(7, 64, 0)
    result = pickle.loads(pickle.dumps(model.predict_parallel(x)))
    np.testing.assert_array_equal(bits(result), bits(model.predict(x)))


# --------------------------------------------------------------------------------------- processes


@pytest.mark.parametrize("make", [everything, lambda: NETWORK])
def test_spawned_processes_compute_the_same(make):
    model = build(make())
    x = many_samples(model)[:500]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        jobs = [
            pool.submit(model.predict, x),
            pool.submit(model.predict_parallel, x, THREADS),
            pool.submit(model.predict_single, x[0]),
        ]
        results = [job.result(timeout=120) for job in jobs]
    expected = model.predict(x)
    np.testing.assert_array_equal(bits(results[0]), bits(expected))
    np.testing.assert_array_equal(bits(results[1]), bits(expected))
    assert results[2] == expected[0, -1]


def in_a_fork(work):
    """Run `work` in a forked child, whose exit status is returned; a child that hangs is killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork with threads running
        child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


@needs_fork
def test_a_fork_after_a_parallel_run_computes_in_parallel():
    model = build(NETWORK)
    x = many_samples(model)
    expected = bits(model.predict_parallel(x, THREADS))

    def work():
        return np.array_equal(bits(model.predict_parallel(x, THREADS)), expected)

    assert work()
    for _ in range(3):
        assert in_a_fork(work) == 0
    assert in_a_fork(lambda: in_a_fork(work) == 0) == 0, "a grandchild"
    assert work(), "and the parent goes on"


@needs_fork
def test_a_fork_while_other_threads_run_computes_in_parallel():
    model = build(NETWORK)
    x = many_samples(model)
    expected = bits(model.predict_parallel(x, THREADS))
    stop = threading.Event()

    def keep_busy():
        while not stop.is_set():
            model.predict_parallel(x, THREADS)

    threads = [threading.Thread(target=keep_busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        statuses = [
            in_a_fork(lambda: np.array_equal(bits(model.predict_parallel(x, THREADS)), expected))
            for _ in range(5)
        ]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert statuses == [0] * 5


@needs_fork
def test_a_forked_process_also_ends_the_normal_way():
    # Not by os._exit: the interpreter's own end joins threads, and those of the parent are gone.
    output = script(
        """
        import os, sys, warnings
        import numpy as np, instmodel as im
        from support.documents import build, network
        warnings.simplefilter("ignore", DeprecationWarning)
        model = build(network([64, 96, 8], ["RELU", "SOFTMAX"]))
        x = np.ones((2000, 64), np.float32)
        expected = np.asarray(model.predict_parallel(x, im.PredictConfig(threads=4)))
        child = os.fork()
        got = np.asarray(model.predict_parallel(x, im.PredictConfig(threads=4)))
        assert np.array_equal(got, expected)
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            print("fine")
        """
    )
    assert output == "fine"


@needs_fork
def test_multiprocessing_with_fork():
    output = script(
        """
        import multiprocessing, warnings
        import numpy as np, instmodel as im
        from support.documents import build, network
        warnings.simplefilter("ignore", DeprecationWarning)
        model = build(network([64, 96, 8], ["RELU", "SOFTMAX"]))
        x = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
        def work(part):
            return np.asarray(model.predict_parallel(x[part::4], im.PredictConfig(threads=2)))
        expected = [work(part) for part in range(4)]
        with multiprocessing.get_context("fork").Pool(2) as pool:
            got = pool.map_async(work, range(4)).get(timeout=60)
        print(all(np.array_equal(a, b) for a, b in zip(got, expected)))
        """
    )
    assert output == "True"


# ------------------------------------------------------------------------------------------ threads


def test_threads_start_on_first_parallel_use_and_not_before():
    output = script(
        """
        import threading
        import numpy as np, instmodel as im
        from support.documents import build, network
        counts = [threading.active_count()]
        model = build(network([64, 96, 8], ["RELU", "SOFTMAX"]))
        x = np.ones((20000, 64), np.float32)
        model.predict(x)
        model.predict(x[0])
        counts.append(threading.active_count())
        model.predict_parallel(x, im.PredictConfig(threads=1))
        counts.append(threading.active_count())
        model.predict_parallel(x[:5], im.PredictConfig(threads=8))  # too little work to share
        counts.append(threading.active_count())
        model.predict_parallel(x, im.PredictConfig(threads=4))
        counts.append(threading.active_count())
        print(*counts)
        """
    )
    counts = [int(count) for count in output.split()]
    assert counts[:4] == [1, 1, 1, 1]
    assert 2 <= counts[4] <= 4  # the caller is one of the four


@pytest.mark.parametrize(("wanted", "expected"), [("1", 1), ("3", 3), (" 2 ", 2), ("999", 999)])
def test_instmodel_num_threads(wanted, expected):
    code = """
        import instmodel as im
        info = im.runtime_info()
        print(info["threads"], info["threads_decided_by"])
        """
    assert script(code, INSTMODEL_NUM_THREADS=wanted) == f"{expected} INSTMODEL_NUM_THREADS"


def test_instmodel_num_threads_is_obeyed_and_an_argument_is_stronger():
    code = """
        import threading
        import numpy as np, instmodel as im
        from support.documents import build, network
        model = build(network([64, 96, 8], ["RELU", "SOFTMAX"]))
        x = np.ones((20000, 64), np.float32)
        first = np.asarray(model.predict_parallel(x))
        one = threading.active_count()
        second = np.asarray(model.predict_parallel(x, im.PredictConfig(threads=3)))
        print(one, threading.active_count() > 1, np.array_equal(first, second))
        """
    assert script(code, INSTMODEL_NUM_THREADS="1") == "1 True True"


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5", "1e3", "٣", "9999999999"])
def test_a_wrong_instmodel_num_threads_is_an_error_and_not_a_crash(wanted, monkeypatch):
    monkeypatch.setenv("INSTMODEL_NUM_THREADS", wanted)
    model = build(dense())
    with pytest.raises(im.InstModelError) as caught:
        model.predict_parallel(np.zeros((2, 2), np.float32))
    assert caught.value.code == "invalid_thread_count"
    assert caught.value.field == "INSTMODEL_NUM_THREADS"
    model.predict_parallel(np.zeros((2, 2), np.float32), THREADS)


def test_many_python_threads_share_one_model():
    model = build(NETWORK)
    xs = [samples(rows, 64, rows, hostile=True) for rows in (1, 2, 15, 33, 100, 257, 1000, 3000)]
    expected = [np.stack([model.predict(row) for row in x]) for x in xs]
    start = threading.Barrier(len(xs))

    def work(number):
        start.wait()
        for turn in range(20):
            x, want = xs[(number + turn) % len(xs)], expected[(number + turn) % len(xs)]
            config = im.PredictConfig(threads=1 + turn % 4)
            assert np.array_equal(bits(model.predict(x)), bits(want))
            assert np.array_equal(bits(model.predict_parallel(x, config)), bits(want))
            assert np.array_equal(bits(model.predict(x[0])), bits(want[0]))
            buffer = np.zeros(model.required_memory, np.float32)
            buffer[:64] = x[0]
            model.predict_with_buffer(buffer)
            assert np.array_equal(bits(buffer[model.output_index_start :]), bits(want[0]))
        return True

    with concurrent.futures.ThreadPoolExecutor(len(xs)) as pool:
        assert all(pool.map(work, range(len(xs))))


def test_models_come_and_go_while_others_run():
    x = samples(500, 64, 0)
    expected = bits(build(NETWORK).predict(x))

    def work(_):
        return np.array_equal(bits(build(NETWORK).predict_parallel(x, THREADS)), expected)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(40)))


def test_a_result_outlives_its_model():
    model = build(NETWORK)
    x = samples(500, 64, 0)
    expected = model.predict(x).copy()
    result = model.predict_parallel(x, THREADS)
    view = result.get_result(499)
    del model, result
    np.testing.assert_array_equal(view, expected[499])


# ------------------------------------------------------------------------------------------- Ctrl-C

CTRL_C = """
    import signal, sys, threading
    import numpy as np, instmodel as im
    from support.documents import build, network
    signal.signal(signal.SIGINT, signal.default_int_handler)
    model = build(network([250, 300, 300, 1], ["RELU", "TANH", "SIGMOID"]))
    row = np.linspace(-1, 1, 250, dtype=np.float32)
    x = np.broadcast_to(row, (ROWS, 250))
    print("ready", flush=True)
    try:
        CALL
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    config = im.PredictConfig(threads=4)
    again = np.asarray(model.predict_parallel(x[:2000], config))
    assert np.array_equal(again, np.broadcast_to(model.predict(row), (2000, 1)))
    print("works", flush=True)
    """
CALLS = {
    "predict_parallel": "model.predict_parallel(x, im.PredictConfig(threads=4))",
    "predict_parallel on one thread": "model.predict_parallel(x, im.PredictConfig(threads=1))",
    "predict_parallel of another type": (
        "model.predict_parallel(np.broadcast_to(row.astype(np.float64), x.shape))"
    ),
    "predict": "model.predict(x)",
    "predict of another type": "model.predict(np.broadcast_to(row.astype(np.float64), x.shape))",
}


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent the POSIX way")
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_a_long_run_and_the_next_one_works(call):
    code = textwrap.dedent(CTRL_C).replace("ROWS", str(ENDLESS)).replace("CALL", CALLS[call])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)  # into the run; a signal that comes too early interrupts as well
        assert process.poll() is None, "the run was meant to be endless"
        process.send_signal(signal.SIGINT)
        # Without a reaction to the signal the run would take a quarter of an hour and more.
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, errors
    assert output.split() == ["interrupted", "works"]
