import pytest
from support.table_models import identity


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model():
    """The path of a model whose outputs are its inputs a and b."""
    identity(["a", "b"]).info.save("model.json")
    return "model.json"
