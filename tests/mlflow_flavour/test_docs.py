"""What docs/mlflow.md shows runs as it stands."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.paths import ROOT

mlflow = pytest.importorskip("mlflow")

pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = ROOT / "docs" / "mlflow.md"


@pytest.fixture
def own_store(tmp_path):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield
    mlflow.set_tracking_uri(before)


def test_the_programs_of_the_page_run(own_store):
    page = PAGE.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    names = {}
    for text in blocks:
        exec(compile(text, str(PAGE), "exec"), names)
    model = names["model"]
    assert model.origin.uri == "models:/risk/1"
    expected = model.predict_one({"age": 41, "income": 2.5, "colour": "green"})
    found = names["served"].predict(names["rows"], params={"nulls": "nan"})["score"]
    assert found[0] == expected[0]
    assert np.isnan(found[1])
    shown = re.search(r'"score": ([0-9.]+)}', page)[1]  # by a server
    assert float(shown) == pytest.approx(expected[0], rel=1e-6)
    logged = mlflow.last_logged_model()
    schema = mlflow.models.get_model_info(f"models:/{logged.model_id}").signature.inputs
    assert [spec.type.name for spec in schema] == ["long", "double", "string"]
