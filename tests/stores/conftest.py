import pytest

from instmodel.stores import location


@pytest.fixture(params=["local", "memory", "s3"])
def place(request, tmp_path):
    """An empty folder in each kind of store."""
    if request.param == "local":
        yield location(tmp_path)
    elif request.param == "s3":
        yield location(request.getfixturevalue("bucket")) / "tests"
    else:
        fsspec = pytest.importorskip("fsspec")
        memory = fsspec.filesystem("memory")
        yield location("memory://bucket/tests")
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]
