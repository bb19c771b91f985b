"""Helper threads: what happens when they cannot start, are interrupted, or are not wanted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from support.documents import build, network

import instmodel as im
from instmodel.base import pool

X = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
FOUR = im.PredictConfig(threads=4)

PROGRAM = """
import threading, time
import numpy as np, instmodel as im
b = im.ModelBuilder()
x = b.input(64)
y = b.dense(b.dense(x, np.ones((96, 64))), np.ones((8, 96)))
model = im.InstructionModel(b.build(output=y))
X, FOUR = np.ones((20_000, 64), np.float32), im.PredictConfig(threads=4)
"""


@pytest.fixture
def model():
    return build(network([64, 96, 8], ["RELU", None]))


@pytest.fixture(autouse=True)
def fresh_pool(monkeypatch):
    monkeypatch.setattr(pool, "_pool", pool._Pool())


def right(model):
    result = np.asarray(model.predict_parallel(X, FOUR))
    return np.array_equal(result, model.predict(X))


def run(program):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + program], capture_output=True, text=True, timeout=60
    )


def test_the_caller_does_all_the_work_when_no_thread_can_start(model, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert right(model)
    assert right(model)
    assert pool._pool._count > 0, "later runs try again"


def test_an_interrupt_while_a_thread_starts_leaves_nothing_that_hangs():
    result = run(
        """
start = threading.Thread.start
def interrupted(self):
    threading.Thread.start = start
    start(self)
    raise KeyboardInterrupt
threading.Thread.start = interrupted
try:
    model.predict_parallel(X, FOUR)
except KeyboardInterrupt:
    print("interrupted")
model.predict_parallel(X, FOUR)
"""
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "interrupted\n"


def test_predicting_while_the_interpreter_shuts_down():
    result = run(
        """
import atexit
atexit.register(lambda: print(model.predict_parallel(X, FOUR).num_samples))
def late():
    time.sleep(0.3)
    print(model.predict_parallel(X, FOUR).num_samples)
threading.Thread(target=late).start()
"""
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["20000", "20000"]
    assert not result.stderr


def test_a_signal_handler_may_predict_while_the_main_thread_does(model):
    result = run(
        """
import signal
signal.signal(signal.SIGALRM, lambda *_: model.predict_parallel(X, FOUR))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.003)
for _ in range(100):
    model.predict_parallel(X, FOUR)
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
"""
    )
    assert result.stdout == "done\n", result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_during_the_first_prediction_of_another_thread():
    result = run(
        """
import os
thread = threading.Thread(target=model.predict_parallel, args=(X.astype(float), FOUR))
thread.start()
child = os.fork()
if child == 0:
    model.predict_parallel(X.astype(float), FOUR)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
thread.join()
print("done")
"""
    )
    assert result.stdout == "done\n", result.stderr


def test_a_cancelled_helper_does_not_answer_for_one_that_runs():
    """A run must not end while a helper works, however many others came too late."""
    started, release, finished = threading.Event(), threading.Event(), []

    def work(watch_signals=False):
        if watch_signals:
            assert started.wait(30)
        elif not started.is_set():
            started.set()
            assert release.wait(30)
            finished.append(True)

    def cancel():
        # Whoever comes now finds its ticket taken back; the first helper still works.
        threading.Timer(0.2, release.set).start()

    for _ in range(20):
        started.clear()
        release.clear()
        finished.clear()
        pool.run_together(work, 8, cancel)
        assert finished
