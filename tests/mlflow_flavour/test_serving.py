"""Servers and Spark, as MLflow starts them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from support import sparks
from support.table_models import labelled, lookups, network

import instmodel as im
from instmodel import mlflow as flavour

mlflow = pytest.importorskip("mlflow")

pytestmark = pytest.mark.filterwarnings("ignore")

DEADLINE = 120


@contextlib.contextmanager
def running(*command, alive):
    """Start a server of MLflow on a free port, wait until it answers, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = f"http://127.0.0.1:{port}"
    # It starts others by their names.
    scripts = os.path.dirname(sys.executable)
    found = os.pathsep.join([scripts, os.environ["PATH"]])
    environment = os.environ | {"PATH": found, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = Path("server.log")
    with said.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + DEADLINE
            while not answers(root + alive):
                assert server.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.1)
            yield root
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended, as an assertion says
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def ask(root, body):
    """Return the status and the answer of a server of a model."""
    request = urllib.request.Request(
        f"{root}/invocations",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_served_model_answers_with_scores_or_says_what_is_wrong():
    model = labelled()
    flavour.save_model(model, "folder")
    with running("models", "serve", "-m", "folder", "--env-manager", "local", alive="/ping") as url:
        rows = {"columns": ["age", "colour"], "data": [[41, "green"], [7.5, "red"]]}
        scores = [{"output_0": 1.0, "output_1": 41.0}, {"output_0": 0.0, "output_1": 7.5}]
        assert ask(url, {"dataframe_split": rows}) == (200, {"predictions": scores})
        records = [{"colour": "red", "age": 1}]
        status, found = ask(url, {"dataframe_records": records})
        assert (status, found["predictions"]) == (200, [{"output_0": 0.0, "output_1": 1.0}])

        records = [{"colour": "red", "age": None}]
        status, said = ask(url, {"dataframe_records": records})
        assert status == 400
        assert "column 'age', row 0: the value is null" in said["message"]
        status, found = ask(url, {"dataframe_records": records, "params": {"nulls": "0"}})
        assert (status, found["predictions"][0]["output_1"]) == (200, 0.0)
        status, said = ask(url, {"dataframe_records": [{"colour": "gren", "age": 1}]})
        assert (status, "did you mean 'green'" in said["message"]) == (400, True)
        status, said = ask(url, {"dataframe_records": [{"colour": "red"}]})
        assert (status, "missing inputs ['age']" in said["message"]) == (400, True)


def test_a_tracking_server_hands_out_models_and_artifacts(store):
    model = network(4)
    options = ["--backend-store-uri", os.environ["MLFLOW_TRACKING_URI"]]
    options += ["--artifacts-destination", str(Path("served").absolute()), "--workers", "1"]
    before = mlflow.get_tracking_uri()
    with running("server", *options, alive="/health") as url:
        mlflow.set_tracking_uri(url)
        try:
            experiment = mlflow.create_experiment("served")
            with mlflow.start_run(experiment_id=experiment):
                info = flavour.log_model(model, "served", registered_model_name="served")
            loaded = im.load("models:/served/1")
            assert (loaded.digest, loaded.origin.version) == (model.digest, "1")
            place = mlflow.get_logged_model(info.model_id).artifact_location
            assert place.startswith("mlflow-artifacts:")
            assert im.load(place).origin.uri == place
            assert im.load(f"{place}/data/model.instmodel").digest == model.digest
        finally:
            mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    session = sparks.builder("local[2]", tmp_path_factory.mktemp("spark")).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def test_a_function_of_spark_scores_a_registered_model(spark, store):
    model = network(4)
    flavour.log_model(model, "sparked", registered_model_name="sparked")
    rows = np.random.default_rng(0).normal(size=(2000, 4))
    frame = spark.createDataFrame(rows.tolist(), model.features)
    score = mlflow.pyfunc.spark_udf(
        spark, "models:/sparked/1", env_manager="local", params={"threads": 1}
    )
    found = [row[0] for row in frame.select(score()).collect()]
    assert np.array_equal(np.float32(found), model.predict(rows)[:, 0])


def test_a_function_of_spark_takes_text_lists_and_params(spark):
    flavour.save_model(labelled(), "text", model_config={"nulls": -1})
    score = mlflow.pyfunc.spark_udf(spark, str(Path("text").absolute()), env_manager="local")
    frame = spark.createDataFrame([("green", 1.5), ("red", None)], "colour string, age double")
    (first, second) = (row[0] for row in frame.select(score()).orderBy("age").collect())
    assert (first.asDict(), second.asDict()) == (
        {"output_0": 0.0, "output_1": -1.0},
        {"output_0": 1.0, "output_1": 1.5},
    )

    flavour.save_model(lookups(), "lists")
    score = mlflow.pyfunc.spark_udf(spark, str(Path("lists").absolute()), env_manager="local")
    frame = spark.sql("select 1d as amount, 16777218L as shop, array(0, 5, 0) as history")
    assert [row[0].asDict() for row in frame.select(score()).collect()] == [
        {"output_0": 2.0, "output_1": 0.0}
    ]
