"""With the process pools and servers that others use."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import urllib.request

import numpy as np
import pytest
from support.processes import threads_here
from support.table_models import network

import instmodel as im

ROWS = np.random.default_rng(0).normal(size=(3_000, 30)).astype(np.float32)


def test_cloudpickle_takes_models_and_what_holds_them():
    cloudpickle = pytest.importorskip("cloudpickle")
    model = network()
    copy = pickle.loads(cloudpickle.dumps(model))
    assert np.array_equal(copy.predict(ROWS), model.predict(ROWS))
    bound = pickle.loads(cloudpickle.dumps(lambda rows: model.predict(rows) + 1))
    assert np.array_equal(bound(ROWS), model.predict(ROWS) + 1)
    model.predict_one({f"f{i}": 0.0 for i in range(30)})  # what it keeps does not travel
    assert pickle.loads(cloudpickle.dumps(model.predict_one))({f"f{i}": 0 for i in range(30)})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # joblib's, of forks
def test_joblib_with_loky(monkeypatch):
    joblib = pytest.importorskip("joblib")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    for name in ("INSTMODEL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    model = network()
    expected = model.predict(ROWS)
    config = im.PredictConfig(threads=2)
    with (
        joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1),
        joblib.Parallel() as run,
    ):
        parts = run(joblib.delayed(model.predict)(ROWS[i::5]) for i in range(5))
        wide = run(joblib.delayed(model.predict_parallel)(ROWS[i::5], config) for i in range(5))
        told = run(joblib.delayed(threads_here)() for _ in range(8))
    for i in range(5):
        assert np.array_equal(parts[i], expected[i::5])
        assert np.array_equal(np.asarray(wide[i]), expected[i::5])
    # Loky tells its workers how many threads each may have, and they listen.
    assert {(threads, why) for threads, why, _ in told} == {(1, "OMP_NUM_THREADS")}
    assert os.getpid() not in {process for *_, process in told}


APP = """
    import json, os
    import numpy as np, instmodel as im
    from support.table_models import network

    # Preloaded: the parent has used its threads before it forks.
    model = network()
    rows = np.random.default_rng(0).normal(size=(3_000, 30)).astype(np.float32)
    config = im.PredictConfig(threads=3)
    first = np.asarray(model.predict_parallel(rows, config))
    parent = os.getpid()

    def app(environ, start_response):
        again = np.asarray(model.predict_parallel(rows, config))
        row = {name: 0.5 for name in model.columns}
        answer = {
            "same": bool(np.array_equal(first, again)),
            "forked": os.getpid() != parent,
            "pid": os.getpid(),
            "one": float(model.predict_one(row)[0]),
        }
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn forks")
def test_a_server_that_loads_the_model_before_it_forks(tmp_path):
    pytest.importorskip("gunicorn")
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    path = os.pathsep.join([str(tmp_path), *sys.path])
    arguments = ["--preload", "--workers", "2", "--bind", "127.0.0.1:0", "--timeout", "60"]
    with subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *arguments, "app:app"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            address = None
            for line in server.stderr:
                found = re.search(r"Listening at: (http://\S+)", line)
                if found:
                    address = found[1]
                    break
            assert address, "the server did not start"
            answers = []
            for _ in range(20):
                with urllib.request.urlopen(address, timeout=60) as answer:
                    answers.append(json.load(answer))
        finally:
            server.send_signal(signal.SIGTERM)
            server.stderr.read()
    expected = float(network().predict(np.full(30, 0.5))[0])
    assert all(answer["same"] and answer["forked"] for answer in answers)
    assert {answer["one"] for answer in answers} == {expected}
