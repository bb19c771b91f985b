import json

import pytest
from support.commands import identity, write


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def named():
    """`a`, `b` and the array `emb` of three."""
    return write("named.json", json.dumps(identity(["a", "b", "emb[3]"], 5)))


@pytest.fixture
def unnamed():
    return write("unnamed.json", json.dumps(identity(size=3)))
