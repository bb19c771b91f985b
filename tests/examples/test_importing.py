"""The examples that import models run, and what they write is right."""

import importlib.util
import runpy
from pathlib import Path

import numpy as np
import pytest
from support.paths import EXAMPLES

import instmodel as im


@pytest.mark.parametrize(
    ("script", "needs", "data"),
    [
        ("from_sklearn.py", ("sklearn", "onnxruntime", "jinja2"), "breast_cancer"),
        ("from_torch.py", ("torch", "onnxruntime", "sklearn", "jinja2"), "digits"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of networks that stop early, and of torch.export
def test_an_example_trains_imports_verifies_and_compares(
    tmp_path, monkeypatch, script, needs, data
):
    for package in needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [script, "out"])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")

    table = np.loadtxt(f"{im.__path__[0]}/examples/{data}.csv", delimiter=",", skiprows=1)
    held_out = np.arange(len(table)) % 4 == 3
    for name in ("champion", "challenger"):
        model = im.load(f"out/{name}.instmodel")
        scores = model.predict(table[held_out, :-1])
        chosen = scores[:, 0] > 0.5 if scores.shape[1] == 1 else scores.argmax(axis=1)
        assert np.mean(chosen == table[held_out, -1]) > 0.9
        assert len(model.columns) == table.shape[1] - 1
        assert model.info.validation_data is not None
    for page in ("verification.html", "comparison.html"):
        assert "</html>" in Path("out", page).read_text()
