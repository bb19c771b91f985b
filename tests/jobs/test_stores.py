"""Jobs whose model, input and outputs lie in an S3 store."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from support.table_models import identity, network

import instmodel as im
from instmodel import jobs
from instmodel.cli import main
from instmodel.stores import location

pa = pytest.importorskip("pyarrow")
arrow_csv = pytest.importorskip("pyarrow.csv")
parquet = pytest.importorskip("pyarrow.parquet")
s3fs = pytest.importorskip("s3fs")

ENDINGS = [".parquet", ".csv", ".arrow", ".jsonl", ".csv.gz", ".npy"]


def put(place, data):
    with location(place).replacing() as file:
        file.write(data)
    return place


def numbers(rows=1000):
    return np.random.default_rng(rows).normal(size=(rows, 2)).astype(np.float32)


def save(values, path):
    """Write the columns a and b in the format of a name."""
    rows = [dict(zip("ab", map(float, row), strict=True)) for row in values]
    table = pa.Table.from_pylist(rows, pa.schema([("a", pa.float32()), ("b", pa.float32())]))
    with location(path).replacing() as file:
        if path.endswith(".parquet"):
            parquet.write_table(table, file)
        elif path.endswith(".csv"):
            arrow_csv.write_csv(table, file)
        elif path.endswith(".csv.gz"):
            with gzip.GzipFile(fileobj=file, mode="wb") as packed:
                arrow_csv.write_csv(table, packed)
        elif path.endswith(".arrow"):
            with pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table, max_chunksize=300)
        elif path.endswith(".npy"):
            np.save(file, values)
        else:
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
    return path


def scores(path):
    """The two columns of a Parquet file."""
    with location(path).open() as file:
        table = parquet.read_table(file)
    return np.stack([np.asarray(column) for column in table.columns[-2:]], 1)


@pytest.mark.parametrize(
    ("ending", "output"),
    # No job reads NPY.
    [pair for pair in product(ENDINGS, [".parquet", ".csv"]) if pair != (".npy", ".parquet")],
)
def test_every_format_is_read_and_written_by_url(bucket, capsys, ending, output):
    values = numbers()
    model, data = f"{bucket}/model.instmodel", save(values, f"{bucket}/in{ending}")
    identity(2 if ending == ".npy" else ["a", "b"]).info.save(model)
    target = f"{bucket}/out{output}"
    assert main(["score", model, data, "-o", target]) == 0
    assert capsys.readouterr().out == f"1000 rows scored: {target}\n"
    if output == ".csv":
        with location(target).open() as file:
            found = np.loadtxt(file, delimiter=",", skiprows=1, dtype=np.float32)
    else:
        found = scores(target)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("name", ["model.json", "model.instmodel"])
def test_a_model_is_loaded_and_saved_by_url(bucket, name):
    info = network(3).info
    info.save(f"{bucket}/{name}")
    model = im.load(f"{bucket}/{name}", mmap=True)
    assert model.digest == info.digest()
    assert im.InstructionModelInfo.load(f"{bucket}/{name}").digest() == info.digest()


def test_a_broken_model_is_named_by_its_url(bucket):
    put(f"{bucket}/model.json", b"{")
    with pytest.raises(im.DocumentError, match=f"^{bucket}/model.json, line 1"):
        im.load(f"{bucket}/model.json")


def test_bad_rows_and_metrics_go_to_urls(bucket):
    identity(["a", "b"]).info.save("model.json")
    put(f"{bucket}/in.csv", b"a,b\n1,2\nx,3\n")
    for _ in range(2):
        job = jobs.Job(
            im.load("model.json"),
            f"{bucket}/in.csv",
            f"{bucket}/out.parquet",
            on_bad_row="skip",
            bad_rows=f"{bucket}/bad.csv",
            metrics=f"{bucket}/night.prom",
        )
        assert jobs.run(job).bad_rows == 1
    assert scores(f"{bucket}/out.parquet").tolist() == [[1.0, 2.0]]
    assert (
        location(f"{bucket}/bad.csv").read_bytes().startswith(b"file,row,column,reason\nin.csv,2")
    )
    told = location(f"{bucket}/night.prom").read_bytes().decode()
    assert 'instmodel_rows_total{job_name="night"} 4\n' in told


def test_a_folder_with_partitions_becomes_a_folder(bucket):
    values = numbers(30)
    for day in range(3):
        save(values[10 * day : 10 * day + 10], f"{bucket}/in/day={day}/part.parquet")
    put(f"{bucket}/in/_SUCCESS", b"")
    s3fs.S3FileSystem().pipe_file(f"{bucket}/in/day=0/", b"")  # what consoles make for a folder
    model = identity(["a", "b"])
    job = jobs.Job(model, f"{bucket}/in", f"{bucket}/out", keep=["day"])
    assert jobs.run(job).rows == 30
    names = [file.relative_to(location(bucket)) for file in location(f"{bucket}/out").files()]
    assert names == [f"out/day={day}/part.parquet" for day in range(3)]
    for day in range(3):
        part = scores(f"{bucket}/out/day={day}/part.parquet")
        np.testing.assert_array_equal(part, values[10 * day : 10 * day + 10])
    job = jobs.Job(model, f"{bucket}/in", f"{bucket}/one.parquet", keep=["day"])
    assert jobs.run(job).rows == 30
    np.testing.assert_array_equal(scores(f"{bucket}/one.parquet"), values)


def test_files_of_this_process_are_read_and_written():
    values = numbers()
    save(values, "memory://in/a.parquet")
    model = identity(["a", "b"])
    for output in ("memory://new/out.parquet", "memory://out.parquet"):
        jobs.run(jobs.Job(model, "memory://in", output))
        np.testing.assert_array_equal(scores(output), values)
    assert jobs.run(jobs.Job(model, "memory://in", "memory://there/out")).parts == 1
    for name in ("in", "new", "out.parquet", "there"):
        location(f"memory://{name}").remove_tree()


def test_only_the_columns_that_are_needed_travel(bucket, proxy):
    rng = np.random.default_rng(0)
    table = pa.table({f"f{i}": rng.normal(size=40_000).astype(np.float32) for i in range(50)})
    with location(f"{bucket}/in.parquet").replacing() as file:
        parquet.write_table(table, file, row_group_size=10_000)
    size = location(f"{bucket}/in.parquet").stamp()["size"]
    proxy.received = 0
    proxy.requests.clear()
    model = identity(["f7", "f8"])
    jobs.run(jobs.Job(model, f"{bucket}/in.parquet", "out.parquet"))
    assert size > 8_000_000
    assert proxy.received < size / 20  # two columns of fifty are a twenty-fifth
    assert len([path for method, path in proxy.requests if method == "GET"]) < 20
    expected = np.stack([table["f7"], table["f8"]], 1)
    np.testing.assert_array_equal(scores("out.parquet"), expected)


def test_only_the_columns_of_arrow_files_that_are_needed_travel(bucket, proxy):
    rng = np.random.default_rng(0)
    table = pa.table({f"f{i}": rng.normal(size=40_000).astype(np.float32) for i in range(50)})
    with (
        location(f"{bucket}/in.arrow").replacing() as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)
    size = location(f"{bucket}/in.arrow").stamp()["size"]
    proxy.received = 0
    jobs.run(jobs.Job(identity(["f7", "f8"]), f"{bucket}/in.arrow", "out.parquet"))
    assert proxy.received < size / 20


def test_row_groups_are_read_one_after_the_other(bucket, monkeypatch):
    from instmodel.tables import readers

    monkeypatch.setattr(readers, "_AHEAD", 1)
    values = numbers()
    table = pa.table({"a": values[:, 0], "b": values[:, 1]})
    with location(f"{bucket}/in.parquet").replacing() as file:
        parquet.write_table(table, file, row_group_size=300)
    jobs.run(jobs.Job(identity(["a", "b"]), f"{bucket}/in.parquet", "out.parquet"))
    np.testing.assert_array_equal(scores("out.parquet"), values)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl", ".arrow"])
def test_an_input_that_is_replaced_meanwhile_is_an_error(bucket, proxy, ending):
    model = identity(["a", "b"])
    data = save(numbers(3000), f"{bucket}/in{ending}")
    save(numbers(3001), f"{bucket}/other{ending}")
    other = location(f"{bucket}/other{ending}").read_bytes()
    put(f"{bucket}/out.parquet", b"before")
    asked = []

    def before(method, path):
        if method == "GET" and f"/in{ending}" in path:
            asked.append(path)
            if len(asked) == 1:
                proxy.before = lambda method, path: None
                put(data, other)

    proxy.before = before
    with pytest.raises((OSError, im.InstModelError), match=r"replaced while it was read"):
        jobs.run(jobs.Job(model, data, f"{bucket}/out.parquet"))
    assert location(f"{bucket}/out.parquet").read_bytes() == b"before"


def test_an_output_may_not_be_the_input_or_lie_in_it(bucket):
    model = identity(["a", "b"])
    data = save(numbers(), f"{bucket}/in/a.parquet")
    for output in (data, data.replace("s3://", "s3a://"), f"{bucket}/in/b.parquet"):
        with pytest.raises(im.InputError, match="the output") as caught:
            jobs.run(jobs.Job(model, f"{bucket}/in" if output != data else data, output))
        assert caught.value.code == "invalid_table"
        assert caught.value.file == output


def test_what_is_wrong_with_an_output_is_told_before_anything_is_read(bucket, proxy):
    identity(["a", "b"]).info.save("model.json")
    data = save(numbers(), f"{bucket}/in.parquet")
    proxy.requests.clear()
    with pytest.raises(FileNotFoundError) as caught:
        jobs.run(jobs.Job(im.load("model.json"), data, "s3://no-bucket-here/out.parquet"))
    assert caught.value.filename == "s3://no-bucket-here/out.parquet"
    assert not [path for method, path in proxy.requests if "in.parquet" in path]


def test_urls_are_told_as_they_were_given(bucket, capsys):
    identity(["a", "b"]).info.save("model.json")
    assert main(["score", "model.json", f"{bucket}/none.parquet", "-o", "out.parquet"]) == 2
    assert f"{bucket}/none.parquet: No such file or directory" in capsys.readouterr().err
    put(f"{bucket}/in.csv", b"a,c\n1,2\n")
    assert main(["score", "model.json", f"{bucket}/in.csv", "-o", "out.parquet"]) == 2
    assert f"{bucket}/in.csv, column 'b'" in capsys.readouterr().err


def test_a_path_that_lost_a_slash_is_told(bucket):
    from pathlib import Path

    with pytest.raises(im.InstModelError, match="a Path has no room for a URL"):
        jobs.run(jobs.Job(identity(["a", "b"]), Path(f"{bucket}/in.csv"), "out.parquet"))


def test_no_package_of_stores_is_imported_before_a_url_is_used():
    code = (
        "import sys; from instmodel.cli import main; import instmodel.jobs; "
        "main(['score', 'model.json', 'in.parquet', '-o', 'out.parquet']); "
        "print([name for name in ('fsspec', 's3fs', 'urllib.request') if name in sys.modules])"
    )
    identity(["a", "b"]).info.save("model.json")
    save(numbers(), "in.parquet")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1000 rows scored: out.parquet\n[]\n"
