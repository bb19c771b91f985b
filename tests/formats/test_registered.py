"""Models of MLflow where it is not installed; tests/mlflow_flavour has the rest."""

from __future__ import annotations

import sys

import pytest

import instmodel as im


def test_without_mlflow_a_model_of_its_registry_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(im.InstModelError, match=r"pip install 'instmodel-inference\[mlflow\]'"):
        im.load("models:/risk@champion")


def test_a_file_may_be_called_nearly_like_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    builder = im.ModelBuilder()
    info = builder.build(output=builder.dense(builder.input(1), [[2.0]]))
    info.save("models.json")
    info.save("models@champion")
    for name in ("models.json", "models@champion"):
        assert im.load(name).predict([3]) == 6
