"""Delta and Iceberg tables in a store, here an S3 server in a process of its own."""

from __future__ import annotations

import pytest
from support.s3 import Proxy, environment, serving_apart
from support.table_models import identity

from instmodel import jobs
from instmodel.errors import InputError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")


@pytest.fixture(scope="module")
def server():
    with serving_apart() as url:
        yield url


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    """The URL of a bucket."""
    monkeypatch.chdir(tmp_path)
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    if not store.exists("tables"):
        store.mkdir("tables")
    yield "s3://tables"
    store.rm("tables", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def test_delta_tables(bucket):
    deltalake = pytest.importorskip("deltalake")
    options = {"aws_allow_http": "true"}
    rows = pa.table({"a": [1.0, 2.0, 3.0], "day": ["x", "x", "y z"]})
    for mode in ("error", "append"):
        deltalake.write_deltalake(
            f"{bucket}/in", rows, partition_by=["day"], mode=mode, storage_options=options
        )
    model = identity(["a"])
    result = jobs.run(jobs.Job(model, f"{bucket}/in", "out", ["day"], table_version=0))
    assert (result.rows, result.parts) == (3, 2)
    assert sorted(parquet.read_table("out")["score"].to_pylist()) == [1.0, 2.0, 3.0]

    def run(mode, run_id=None, source="in"):
        delta = jobs.DeltaOutput(mode, ["day"], run_id)
        job = jobs.Job(model, f"{bucket}/{source}", f"{bucket}/out", ["day"], delta=delta)
        return jobs.run(job)

    assert run("append", "once").output_version == 0
    assert run("append", "once").repeated
    assert run("append").output_version == 1
    assert run("partitions").output_version == 2
    found = deltalake.DeltaTable(f"{bucket}/out", storage_options=options)
    assert (found.version(), found.count()) == (2, 6)
    with pytest.raises(InputError, match="already there"):
        run("new")
    with pytest.raises(InputError, match=r"s3://tables/in.*one of 0 to 1.*got 7"):
        jobs.run(jobs.Job(model, f"{bucket}/in", "out2", table_version=7))
    [file, *_] = found.file_uris()
    with pytest.raises(InputError, match="as a whole"):
        jobs.run(jobs.Job(model, file, "out3.parquet"))
    with pytest.raises(OSError, match="nowhere"):
        run("append", source="nowhere")


def test_a_store_that_refuses_is_not_a_broken_log(bucket, server, monkeypatch):
    pytest.importorskip("deltalake")
    parquet.write_table(pa.table({"a": [1.0]}), "in.parquet")
    proxy = Proxy(server)
    proxy.before = lambda method, path: 403
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    s3fs.S3FileSystem.clear_instance_cache()
    job = jobs.Job(identity(["a"]), "in.parquet", f"{bucket}/out", delta=jobs.DeltaOutput())
    try:
        with pytest.raises(PermissionError, match=r"credentials.*s3fs") as caught:
            jobs.run(job)
    finally:
        proxy.close()
        monkeypatch.setenv("AWS_ENDPOINT_URL", server)
        s3fs.S3FileSystem.clear_instance_cache()
    assert caught.value.filename.startswith(f"{bucket}/out")


def test_iceberg_tables(bucket, server):
    pytest.importorskip("pyiceberg")
    pytest.importorskip("sqlalchemy")
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog(
        "local",
        uri="sqlite:///catalog.db",
        warehouse=f"{bucket}/warehouse",
        **{"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO"},
    )
    catalog.create_namespace("ns")
    table = catalog.create_table("ns.t", schema=pa.schema([("a", pa.float64())]))
    for number in (1.0, 2.0):
        table.append(pa.table({"a": [number]}))
    model = identity(["a"])
    assert jobs.run(jobs.Job(model, f"{bucket}/warehouse/ns/t", "out.parquet")).rows == 2
    assert jobs.run(jobs.Job(model, table.metadata_location, "out.parquet")).rows == 2
