"""A store of MLflow in a temporary folder."""

from __future__ import annotations

import os

import pytest

# Read when MLflow is imported, and by what the tests start: nothing is sent, nothing else runs.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """The tracking store and registry that all tests share: making one takes seconds."""
    import mlflow

    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.create_experiment("tests", (folder / "artifacts").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    # For what the tests start.
    os.environ["MLFLOW_TRACKING_URI"] = uri
    yield mlflow.MlflowClient()
    del os.environ["MLFLOW_TRACKING_URI"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
