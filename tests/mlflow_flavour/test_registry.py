"""Models that MLflow keeps, wherever a model is asked for."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity, network

import instmodel as im
from instmodel import mlflow as flavour
from instmodel.cli import main

mlflow = pytest.importorskip("mlflow")

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = np.random.default_rng(0).normal(size=(6, 4))


@pytest.fixture(scope="module")
def registered(store):
    """Two versions of a model; the first one is the champion."""
    for seed in (0, 1):
        with mlflow.start_run():
            info = flavour.log_model(network(4, seed), "risk", registered_model_name="risk")
    store.set_registered_model_alias("risk", "champion", "1")
    return info


def test_a_model_is_found_by_alias_version_run_and_id(registered, store):
    version = store.get_model_version("risk", "1")
    for uri, seed, resolved in [
        ("models:/risk@champion", 0, "models:/risk/1"),
        ("models:/risk/1", 0, "models:/risk/1"),
        ("models:/risk/latest", 1, "models:/risk/2"),
        (f"runs:/{registered.run_id}/risk", 1, f"runs:/{registered.run_id}/risk"),
        (registered.model_uri, 1, registered.model_uri),
    ]:
        model = im.load(uri)
        expected = network(4, seed)
        assert np.array_equal(model.predict(ROWS), expected.predict(ROWS)), uri
        assert model.origin.uri == resolved
        assert model.origin.digest == model.digest == expected.digest
        assert im.InstructionModelInfo.load(uri).digest() == expected.digest
    champion = im.load("models:/risk@champion").origin
    assert (champion.name, champion.version) == ("risk", "1")
    assert champion.run_id == version.run_id
    assert im.load(registered.model_uri).origin.name is None


def test_a_model_takes_its_origin_along_and_a_file_has_none(registered):
    model = im.load("models:/risk@champion", mmap=True)
    assert pickle.loads(pickle.dumps(model)).origin == model.origin
    model.info.save("model.json")
    assert im.load("model.json").origin is None
    assert im.InstructionModel(model.info).origin is None


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/nothing/1", "nothing"),
        ("models:/risk/77", "77"),
        ("models:/risk@nobody", "alias nobody"),
        ("models:/", "Not a proper models:/ URI"),
        ("runs:/nothing/risk", "nothing"),
        ("runs:/{run}/nothing", "nothing"),
    ],
)
def test_what_is_not_there_is_an_error_that_names_it(registered, uri, said, capsys):
    uri = uri.format(run=registered.run_id)
    with pytest.raises(OSError, match=said) as caught:
        im.load(uri)
    assert caught.value.filename == uri
    assert main(["inspect", uri]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"instmodel: error: {uri}: ")
    assert told.count("\n") == 1


def test_every_command_takes_it(registered):
    names = ",".join(network(4).features)
    np.savetxt("rows.csv", ROWS, delimiter=",", header=names, comments="")
    uri = "models:/risk@champion"

    assert main(["score", uri, "rows.csv", "-o", "scores.csv"]) == 0
    found = np.loadtxt("scores.csv", skiprows=1, dtype=np.float32)
    assert np.array_equal(found, network(4).predict(ROWS)[:, 0])
    assert main(["score", uri, "rows.csv", "-o", "kept.csv", "--keep", "f0"]) == 0
    assert main(["inspect", uri, "--json"]) == 0
    assert main(["convert", uri, "model.json"]) == 0
    assert im.load("model.json").digest == network(4).digest
    assert main(["bench", uri, "--seconds", "0.01"]) == 0
    assert main(["profile", uri, "--seconds", "0.01"]) == 0
    assert main(["verify", uri, "--data", "rows.csv", "--against", "model.json"]) == 0
    assert main(["verify", "model.json", "--data", "rows.csv", "--against", "models:/risk/2"]) == 1
    assert main(["compare", uri, "models:/risk/2", "--data", "rows.csv"]) == 0


def test_a_job_says_which_version_scored(registered):
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = dict(zip(network(4).features, ROWS.T, strict=True))
    parquet.write_table(pytest.importorskip("pyarrow").table(columns), "rows.parquet")
    options = ["-o", "scores.parquet", "--with", "model_version", "--metrics", "job.prom"]
    assert main(["score", "models:/risk@champion", "rows.parquet", *options]) == 0
    assert set(parquet.read_table("scores.parquet")["model_version"].to_pylist()) == {
        "models:/risk/1"
    }
    lines = Path("job.prom").read_text().splitlines()
    assert ['version="models:/risk/1"' in line for line in lines if "model_info{" in line] == [True]


def test_loading_runs_no_code_that_lies_beside_a_model(store):
    with open("beside.py", "w", encoding="utf-8") as file:
        file.write("raise AssertionError('this ran')\n")
    info = flavour.log_model(identity(["a"]), "beside", code_paths=["beside.py"])
    assert im.load(info.model_uri).features == ["a"]


def test_a_record_holds_a_model_of_the_registry_and_tells_when_its_alias_moves(store, capsys):
    with mlflow.start_run():
        for seed in (0, 1):
            flavour.log_model(network(4, seed), "signed", registered_model_name="signed")
    store.set_registered_model_alias("signed", "champion", "1")
    names = ",".join(network(4).features)
    np.savetxt("rows.csv", ROWS, delimiter=",", header=names, comments="")
    uri = "models:/signed@champion"
    assert main(["verify", uri, "--data", "rows.csv", "--record", "record.json"]) == 0
    assert main(["record", "check", "record.json"]) == 0
    store.set_registered_model_alias("signed", "champion", "2")
    capsys.readouterr()
    assert main(["record", "check", "record.json"]) == 1
    assert f"model: {uri} has changed" in capsys.readouterr().out
