"""Iceberg tables as inputs: exactly the rows that pyiceberg returns, at any snapshot."""

from __future__ import annotations

import contextlib
import datetime
import json
import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from support.table_models import identity

from instmodel import jobs
from instmodel.cli import main
from instmodel.errors import InputError
from instmodel.tables.inputs import find
from instmodel.tables.readers import open_reader
from instmodel.tables.versions import LATEST, Moment

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
Config = pytest.importorskip("pyiceberg.utils.config").Config
pytest.importorskip("sqlalchemy")

TABLE = "warehouse/ns/sales"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("warehouse").mkdir()
    place = Path("warehouse").absolute().as_uri()
    monkeypatch.setenv("PYICEBERG_CATALOG__SHOP__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__SHOP__WAREHOUSE", place)
    # pyiceberg reads this when it is imported.
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())


@pytest.fixture
def table():
    """A table without rows, partitioned by day."""
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog("shop")
    catalog.create_namespace("ns")
    schema = pa.schema([("a", pa.float64()), ("id", pa.int32()), ("day", pa.date32())])
    table = catalog.create_table("ns.sales", schema=schema)
    with table.update_spec() as spec:
        spec.add_identity("day")
    return table


def rows(a, ids, days, **more):
    days = [day and datetime.date(2025, 1, day) for day in days]
    return pa.table({"a": a, "id": pa.array(ids, pa.int32()), "day": days, **more})


@pytest.fixture
def changed(table):
    """The table after appends, a renamed, a widened and a new column, and a delete."""
    from pyiceberg.types import LongType

    table.append(rows([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4], [1, 1, 2, None]))
    table.delete("id == 2")
    with table.update_schema() as schema:
        schema.rename_column("a", "b")
        schema.update_column("id", LongType())
        schema.add_column("new", LongType())
    table.append(
        pa.table({"b": [5.0, 6.0], "id": [5, 6], "day": [None, None], "new": [1, 2]}).cast(
            table.schema().as_arrow()
        )
    )
    return table


def rows_read(path, names=None, moment=LATEST, batch_rows=None):
    found = []
    for source in find(path, moment):
        reader = open_reader(source)
        wanted = [n for n in reader.schema.names if names is None or n in names]
        for part in reader.batches(wanted, batch_rows):
            found += part.batch.to_pylist()
        reader.close()
    return found


def multiset(rows):
    return Counter(json.dumps(row, default=str, sort_keys=True) for row in rows)


def test_the_rows_are_those_of_pyiceberg(changed):
    theirs = multiset(changed.scan().to_arrow().to_pylist())
    assert len(list(theirs)) == 5
    assert multiset(rows_read(TABLE)) == theirs
    assert multiset(rows_read(TABLE, batch_rows=1)) == theirs
    assert multiset(rows_read("iceberg:shop.ns.sales")) == theirs
    few = changed.scan(selected_fields=("new", "day")).to_arrow().to_pylist()
    assert multiset(rows_read(TABLE, ["day", "new"])) == multiset(few)


def test_columns_are_those_of_the_table_now_also_if_no_rows_came_since(changed):
    from pyiceberg.types import DoubleType

    before = multiset(rows_read(TABLE))
    with changed.update_schema() as schema:
        schema.rename_column("b", "c")
        schema.add_column("later", DoubleType())
    theirs = multiset(changed.scan().to_arrow().to_pylist())
    assert multiset(rows_read(TABLE)) == theirs != before
    assert (
        multiset(rows_read(TABLE, moment=Moment(changed.current_snapshot().snapshot_id))) == before
    )
    assert jobs.run(jobs.Job(identity(["c"]), TABLE, "out.parquet")).rows == 5


def test_files_of_one_name_and_files_that_are_listed_twice_keep_all_rows(table):
    names = [f"{TABLE}/data/{folder}/part-0.parquet" for folder in "abc"]
    urls = [Path(name).absolute().as_uri() for name in names]
    for number, name in enumerate(names):
        Path(name).parent.mkdir(parents=True)
        parquet.write_table(rows([float(number)], [number], [1]), name)
    table.add_files(urls[1:])
    for _ in range(3):
        table.add_files(urls[:1], check_duplicate_files=False)
    theirs = table.scan().to_arrow().to_pylist()
    assert sorted(row["a"] for row in theirs) == [0.0, 0.0, 0.0, 1.0, 2.0]
    assert multiset(rows_read(TABLE)) == multiset(theirs)
    assert len({source.name for source in find(TABLE)}) == 5


def test_snapshots_and_times(changed):
    for snapshot in changed.snapshots():
        theirs = multiset(changed.scan(snapshot_id=snapshot.snapshot_id).to_arrow().to_pylist())
        time = datetime.datetime.fromtimestamp(snapshot.timestamp_ms / 1000, datetime.UTC)
        assert multiset(rows_read(TABLE, moment=Moment(snapshot.snapshot_id))) == theirs
        assert multiset(rows_read(TABLE, moment=Moment(None, time))) == theirs


def test_an_older_metadata_file_is_an_older_table(changed):
    first = sorted(Path(TABLE, "metadata").glob("00002-*.metadata.json"))[0]
    assert len(rows_read(str(first))) == 4


def test_parts_hold_every_kept_column(changed):
    result = jobs.run(jobs.Job(identity(["b"]), TABLE, "out", keep=["day", "new"]))
    number = changed.current_snapshot().snapshot_id
    assert result.table == {"format": "iceberg", "version": number}
    table = parquet.read_table("out")
    assert table.schema.names == ["day", "new", "score"]
    assert sorted(table["score"].to_pylist()) == [1.0, 3.0, 4.0, 5.0, 6.0]


def test_a_table_without_rows(table):
    identity(["a"]).info.save("model.json")
    assert main(["score", "model.json", TABLE, "-o", "out.parquet", "--keep", "day"]) == 0
    assert parquet.read_schema("out.parquet").names == ["day", "score"]


def test_tables_that_are_broken_or_elsewhere(changed, capsys):
    identity(["b"]).info.save("model.json")

    def says(what, path, *arguments):
        assert main(["score", "model.json", path, "-o", "out.parquet", *arguments]) == 2
        said = capsys.readouterr().err
        assert said.startswith("instmodel: error: ")
        assert said.count("\n") == 1
        assert what in said

    shutil.copytree(TABLE, "copy")
    says("outside of the table's folder", "copy")
    newest = max(Path(TABLE, "metadata").glob("*.metadata.json")).name
    Path("copy/metadata/version-hint.text").write_text(f"../../{TABLE}/metadata/{newest}")
    says("outside of the table's folder", "copy")
    says("as a whole", f"{TABLE}/data")
    says("as a whole", str(next(Path(TABLE, "data").rglob("*.parquet"))))
    says("no such snapshot", TABLE, "--table-version", "5")
    says("no such snapshot", TABLE, "--table-time", "1999-12-31")
    says("nothing", "iceberg:nothing.ns.sales")
    says("ns.other", "iceberg:shop.ns.other")
    says("no name of a table", "iceberg:shop")
    [source, *_] = find(TABLE)
    data = source.location.local
    whole = data.read_bytes()
    data.write_bytes(whole[:50])
    says("Parquet magic bytes not found", TABLE)
    data.unlink()
    says("sales/data/", TABLE)
    data.write_bytes(whole)
    for file in Path(TABLE, "metadata").glob("snap-*.avro"):
        file.write_bytes(b"Obj\1" + file.read_bytes()[20:])
    says("sales", TABLE)
    for file in Path(TABLE, "metadata").glob("*.metadata.json"):
        file.write_text("{}")
    says("sales", TABLE)
    for file in Path(TABLE, "metadata").glob("*.metadata.json"):
        file.write_text("{broken")
    says("sales", TABLE)


def delete_rows(table, task, places, deletes="data", manifests="metadata"):
    """Write a file of deleted rows, which pyiceberg only reads, and a new snapshot.

    `deletes` and `manifests` are the folders of the two new files.
    """
    from pyiceberg.manifest import (
        DataFile,
        DataFileContent,
        FileFormat,
        ManifestContent,
        ManifestEntry,
        ManifestEntryStatus,
        ManifestWriterV2,
        write_manifest_list,
    )
    from pyiceberg.serializers import ToOutputFile
    from pyiceberg.table.snapshots import Operation, Snapshot, Summary
    from pyiceberg.table.update import (
        AddSnapshotUpdate,
        SetSnapshotRefUpdate,
        update_table_metadata,
    )

    before = table.current_snapshot()
    number, sequence = 77, before.sequence_number + 1
    data = f"{table.location()}/{deletes}/deletes.parquet"
    fields = [
        pa.field("file_path", pa.string(), metadata={"PARQUET:field_id": "2147483546"}),
        pa.field("pos", pa.int64(), metadata={"PARQUET:field_id": "2147483545"}),
    ]
    gone = pa.table([[task.file.file_path] * len(places), places], schema=pa.schema(fields))
    parquet.write_table(gone, data.removeprefix("file://"))
    file = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=data,
        file_format=FileFormat.PARQUET,
        partition=task.file.partition,
        record_count=len(places),
        file_size_in_bytes=Path(data.removeprefix("file://")).stat().st_size,
    )
    file.spec_id = table.spec().spec_id

    class Deletes(ManifestWriterV2):
        def content(self):
            return ManifestContent.DELETES

        @property
        def _meta(self):
            return {**super()._meta, "content": "deletes"}

    place = f"{table.location()}/{manifests}/deletes.avro"
    output = table.io.new_output(place)
    with Deletes(table.spec(), table.schema(), output, number, "deflate") as writer:
        entry = ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED, snapshot_id=number, data_file=file
        )
        writer.add_entry(entry)
    listed_too = [*before.manifests(table.io), writer.to_manifest_file()]
    listed = table.io.new_output(f"{table.location()}/metadata/snap-{number}.avro")
    with write_manifest_list(
        2, listed, number, before.snapshot_id, sequence, "deflate"
    ) as manifest_list:
        manifest_list.add_manifests(listed_too)
    snapshot = Snapshot(
        snapshot_id=number,
        parent_snapshot_id=before.snapshot_id,
        sequence_number=sequence,
        timestamp_ms=before.timestamp_ms + 1,
        manifest_list=listed.location,
        summary=Summary(operation=Operation.DELETE),
        schema_id=table.schema().schema_id,
    )
    reference = SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=number)
    metadata = update_table_metadata(
        table.metadata, (AddSnapshotUpdate(snapshot=snapshot), reference)
    )
    newest = f"{table.location()}/metadata/99999-deletes.metadata.json"
    ToOutputFile.table_metadata(metadata, table.io.new_output(newest), overwrite=True)
    return newest


def test_rows_that_a_delete_file_names_are_left_out(table):
    from pyiceberg.table import StaticTable

    table.append(rows([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4], [1, 1, 1, 1]))
    [task] = table.scan().plan_files()
    newest = delete_rows(table, task, [0, 2])
    theirs = StaticTable.from_metadata(newest).scan().to_arrow().to_pylist()
    assert sorted(row["a"] for row in theirs) == [2.0, 4.0]
    assert multiset(rows_read(TABLE)) == multiset(theirs)
    before, after = find(TABLE, Moment(table.current_snapshot().snapshot_id)), find(TABLE)
    assert before[0].name == after[0].name
    assert before[0].stamp() != after[0].stamp()


@pytest.mark.parametrize("elsewhere", ["deletes", "manifests"])
def test_nothing_outside_of_the_folder_is_opened(table, elsewhere):
    table.append(rows([1.0, 2.0], [1, 2], [1, 1]))
    [task] = table.scan().plan_files()
    Path("warehouse/ns/other").mkdir()
    delete_rows(table, task, [0], **{elsewhere: "../other"})
    with pytest.raises(InputError, match="outside of the table's folder"):
        find(TABLE)


def test_a_newest_snapshot_that_is_not_there_is_no_empty_table(table):
    table.append(rows([1.0], [1], [1]))
    file = max(Path(TABLE, "metadata").glob("*.metadata.json"))
    metadata = json.loads(file.read_text())
    file.write_text(json.dumps({**metadata, "snapshots": [], "refs": {}}))
    with pytest.raises(InputError, match="no such snapshot"):
        find(TABLE)


@pytest.mark.parametrize("seed", range(20))
def test_metadata_that_was_mangled_gives_rows_or_an_error(table, seed):
    table.append(rows([1.0, 2.0], [1, 2], [1, 2]))
    random = Random(seed)
    # No manifests: with some broken ones, pyiceberg's reader of Avro in C takes the process along.
    file = sorted(Path(TABLE, "metadata").glob("*.metadata.json"))[-1]
    data = bytearray(file.read_bytes())
    for _ in range(random.choice([1, 3, 30])):
        place = random.randrange(len(data))
        if random.randrange(2):
            data[place] = random.randrange(256)
        else:
            del data[place : place + random.randrange(1, 9)]
    file.write_bytes(data)
    with contextlib.suppress(InputError, OSError):
        jobs.run(jobs.Job(identity(["a"]), TABLE, "out.parquet", keep=["*"]))
