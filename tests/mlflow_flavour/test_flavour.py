"""Saving a model as a folder of MLflow, and loading it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity, labelled, network

import instmodel as im
from instmodel import mlflow as flavour

mlflow = pytest.importorskip("mlflow")
yaml = pytest.importorskip("yaml")

# What MLflow warns of is not ours.
pytestmark = pytest.mark.filterwarnings("ignore")


def described(folder="folder"):
    return yaml.safe_load(Path(folder, "MLmodel").read_text())


@pytest.mark.parametrize("kind", ["binary", "json"])
def test_a_folder_holds_an_ordinary_file_of_the_model(kind):
    model = network()
    flavour.save_model(model, "folder", serialization_format=kind)
    conf = described()["flavors"]["instmodel"]
    assert conf["digest"] == model.digest
    assert conf["instmodel_version"] == im.__version__
    assert im.InstructionModelInfo.load(Path("folder", conf["data"])).digest() == model.digest
    assert (Path("folder", conf["data"]).read_bytes()[:1] == b"{") == (kind == "json")

    rows = np.random.default_rng(0).normal(size=(5, 30))
    for loaded in (im.load("folder"), flavour.load_model("folder")):
        assert np.array_equal(loaded.predict(rows), model.predict(rows))
        assert (loaded.origin.uri, loaded.origin.digest) == (None, model.digest)
        assert loaded.origin.version is None


def test_a_document_is_checked_before_it_is_saved():
    info = network().info
    info.validation_data = im.ValidationData([[0.0] * 30], [[7.0]])
    with pytest.raises(im.InstModelError) as caught:
        flavour.save_model(info, "folder")
    assert caught.value.code == "validation_mismatch"
    assert not Path("folder").exists()


def test_an_environment_is_this_version_of_the_package():
    flavour.save_model(network(), "folder")
    wanted = f"instmodel-inference[mlflow]=={im.__version__}"
    assert wanted in Path("folder/requirements.txt").read_text().splitlines()
    assert flavour.get_default_pip_requirements() == [wanted]
    (pip,) = [item for item in flavour.get_default_conda_env()["dependencies"] if "pip" in item][1:]
    assert pip == {"pip": [wanted]}
    flavour.save_model(network(), "other", pip_requirements=["instmodel-inference", "pandas"])
    assert wanted not in Path("other/requirements.txt").read_text()


@pytest.mark.parametrize("kind", ["binary", "json"])
def test_a_model_that_is_not_the_one_that_was_saved_is_refused(kind):
    flavour.save_model(network(), "folder", serialization_format=kind)
    network(seed=1).info.save(Path("folder", described()["flavors"]["instmodel"]["data"]))
    for load in (im.load, im.InstructionModelInfo.load, flavour.load_model):
        with pytest.raises(im.InstModelError) as caught:
            load("folder")
        assert caught.value.code == "digest_mismatch"
        assert caught.value.file == "folder"
    with pytest.raises(im.InstModelError, match="digest_mismatch"):
        mlflow.pyfunc.load_model("folder")


def test_a_model_of_another_flavour_is_refused():
    class Constant(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input):
            return [1] * len(model_input)

    mlflow.pyfunc.save_model("folder", python_model=Constant(), pip_requirements=[])
    with pytest.raises(
        im.DocumentError, match=r"expected instmodel, got python_function"
    ) as caught:
        im.load("folder")
    assert caught.value.code == "invalid_document"


# Small here, and of ten thousand million items where somebody writes it out.
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(10)
)
BOMB += "flavors: {instmodel: {data: *a10}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got none"),
        ("[1]", "got none"),
        ("flavors: [instmodel]", "got none"),
        ("flavors: {instmodel: 3}", "got instmodel"),
        ("{", "MLmodel is no YAML"),
        ("!!python/object/apply:os.getcwd []", "MLmodel is no YAML"),
        ("[" * 100_000, "MLmodel is no YAML"),
        ("run_id: !!bool perhaps", "MLmodel is no YAML"),
        ("run_id: !!timestamp soon", "MLmodel is no YAML"),
        ("run_id: 2026-99-99", "MLmodel is no YAML"),
        (BOMB, "inside of the folder, got None"),
    ],
)
def test_a_broken_description_is_an_error(text, said):
    flavour.save_model(network(), "folder")
    Path("folder/MLmodel").write_text(text)
    with pytest.raises(im.DocumentError, match=said) as caught:
        im.load("folder")
    assert (caught.value.code, caught.value.file) == ("invalid_document", "folder")


@pytest.mark.parametrize("data", ["../model.json", "/etc/passwd"])
def test_a_folder_cannot_lead_out_of_itself(data):
    network().info.save("model.json")
    flavour.save_model(network(), "folder")
    conf = described()
    conf["flavors"]["instmodel"]["data"] = data
    Path("folder/MLmodel").write_text(yaml.safe_dump(conf))
    with pytest.raises(im.DocumentError, match="inside of the folder"):
        im.load("folder")


def test_a_folder_that_mlflow_did_not_write_is_no_model():
    Path("folder").mkdir()
    with pytest.raises(IsADirectoryError):
        im.load("folder")


def test_mlflow_knows_the_flavour():
    flavour.save_model(labelled(), "folder", metadata={"team": "risk"})
    info = mlflow.models.get_model_info("folder")
    assert set(info.flavors) == {"instmodel", "python_function"}
    assert info.metadata == {"team": "risk"}
    assert info.signature.inputs.input_names() == ["colour", "age"]


def test_arguments_are_checked():
    with pytest.raises(im.InstModelError, match="'binary' or 'json'"):
        flavour.save_model(network(), "folder", serialization_format="onnx")
    with pytest.raises(im.InstModelError, match="InstructionModelInfo"):
        flavour.save_model("model.json", "folder")


def test_a_model_without_signature_takes_every_table():
    model = identity(["a", "b"])
    flavour.save_model(model, "folder", signature=False)
    loaded = mlflow.pyfunc.load_model("folder")
    assert loaded.metadata.signature is None
    columns = {"b": np.array([2, 4]), "a": np.array([True, False])}
    assert loaded.predict(columns).tolist() == [[1, 2], [0, 4]]
    assert loaded.predict([{"a": 1, "b": 2}]).tolist() == [[1, 2]]
