import itertools
import os

import pytest
from hypothesis import HealthCheck, settings

_BUCKETS = itertools.count()

# `ci`, the default, tries the same examples on every run; `HYPOTHESIS_PROFILE=dev` explores.
settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("dev", parent=settings.get_profile("ci"), derandomize=False)
settings.register_profile("long", parent=settings.get_profile("dev"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(config, items):
    """Skip what takes minutes unless it is asked for, visibly."""
    if "exhaustive" not in (config.option.markexpr or ""):
        for item in items:
            if item.get_closest_marker("exhaustive"):
                item.add_marker(pytest.mark.skip(reason="minutes; run with -m exhaustive"))


@pytest.fixture(scope="session")
def s3_server():
    """The URL of an S3 server on this machine."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    from support.s3 import serving

    with serving() as url:
        yield url


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """The URL of an empty S3 bucket, which this process and those that it starts find."""
    import s3fs
    from support.s3 import environment

    for name, value in environment(s3_server).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"bucket-{next(_BUCKETS)}"
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def proxy(bucket, s3_server, monkeypatch):
    """A proxy before the server of the bucket, through which everything goes from now on."""
    import s3fs
    from support.s3 import Proxy

    proxy = Proxy(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    s3fs.S3FileSystem.clear_instance_cache()
    yield proxy
    proxy.close()
