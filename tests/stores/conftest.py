import pytest

from instmodel.stores import location


@pytest.fixture(params=["local", "memory"])
def place(request, tmp_path):
    """An empty folder in each kind of store."""
    if request.param == "local":
        yield location(tmp_path)
        return
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    yield location("memory://bucket/tests")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
