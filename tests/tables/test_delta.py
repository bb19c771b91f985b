"""Delta tables as inputs: exactly the rows that deltalake returns, at any version."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from support import delta_tables as made
from support.table_models import identity, labelled

from instmodel import jobs
from instmodel.cli import main
from instmodel.errors import InputError
from instmodel.tables.inputs import find
from instmodel.tables.readers import open_reader
from instmodel.tables.versions import LATEST, Moment

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
deltalake = pytest.importorskip("deltalake")

DAY = datetime.date(2025, 1, 1)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows_read(path, names=None, moment=LATEST, batch_rows=None):
    """All rows, by the readers of the files."""
    rows = []
    for source in find(path, moment):
        reader = open_reader(source)
        wanted = [n for n in reader.schema.names if names is None or n in names]
        for found in reader.batches(wanted, batch_rows):
            assert found.batch.schema.names == wanted
            rows += found.batch.to_pylist()
        reader.close()
    return rows


def rows_of_deltalake(path, names=None, **version):
    table = deltalake.DeltaTable(path, **version)
    if hasattr(table, "scan"):
        return pa.table(table.scan(columns=names)).to_pylist()
    # Right only where files are of one batch: it applies masks to batches in the order they come.
    sql = deltalake.QueryBuilder().register("t", table)
    columns = "*" if names is None else ", ".join(f'"{name}"' for name in names)
    return pa.table(sql.execute(f"SELECT {columns} FROM t")).to_pylist()


def multiset(rows):
    return Counter(json.dumps(row, default=str, sort_keys=True) for row in rows)


def same(path, names=None):
    ours = rows_read(path, names)
    assert multiset(ours) == multiset(rows_of_deltalake(path, names))
    assert multiset(rows_read(path, names, batch_rows=1)) == multiset(ours)
    return ours


def history():
    """A table that was appended to, widened by a column, partly deleted and overwritten."""
    days = pa.array([DAY, DAY, None, DAY + datetime.timedelta(1)])
    table = pa.table({"day": days, "c": ["a b", "ü/x", "z", None], "a": [1.0, 2.0, 3.0, 4.0]})
    deltalake.write_deltalake("table", table, partition_by=["day", "c"])
    wider = table.append_column("new", pa.array([1, 2, None, 4]))
    deltalake.write_deltalake("table", wider, mode="append", schema_mode="merge")
    deltalake.DeltaTable("table").delete("a = 2.0")
    replaced = wider.slice(0, 1).set_column(2, "a", pa.array([9.0]))
    deltalake.write_deltalake("table", replaced, mode="overwrite", predicate="c = 'a b'")
    return "table"


def test_rows_that_were_overwritten_or_deleted_are_gone():
    rows = same(history())
    assert sorted(row["a"] for row in rows) == [3.0, 3.0, 4.0, 4.0, 9.0]


def test_only_columns_that_files_lack_and_only_those_of_the_partition():
    history()
    same("table", ["new"])
    same("table", ["day"])
    same("table", ["day", "c"])


@pytest.mark.parametrize("version", range(4))
def test_every_version(version):
    history()
    ours = rows_read("table", moment=Moment(version))
    assert multiset(ours) == multiset(rows_of_deltalake("table", version=version))


def test_times():
    history()
    commits = deltalake.DeltaTable("table").history()
    first = datetime.datetime.fromtimestamp(commits[-1]["timestamp"] / 1000, datetime.UTC)
    later = datetime.datetime.now(datetime.UTC)
    assert len(rows_read("table", moment=Moment(None, first))) == 4
    assert multiset(rows_read("table", moment=Moment(None, later))) == multiset(rows_read("table"))
    with pytest.raises(InputError, match="the log has no version of 1999") as caught:
        find("table", Moment.of(None, "1999-12-31"))
    assert caught.value.code == "invalid_table"
    assert caught.value.file == "table"


@pytest.mark.parametrize("mode", ["name", "id"])
def test_renamed_columns_and_deleted_rows(mode):
    inner = made.struct_of(made.column("x", "long", "c5", 5), made.column("y", "double", "c6", 6))
    columns = [
        made.column("a", "double", "c1", 1),
        made.column("id", "long", "c2", 2),
        made.column("day", "date", "c3", 3),
        made.column("s", inner, "c4", 4),
        made.column("c1", "double", "c7", 7),  # a new one with an old name
    ]

    def field(name, kind, number):
        return pa.field(name, kind, metadata={"PARQUET:field_id": str(number)})

    struct = pa.struct([field("c5", pa.int32(), 5)])
    fields = [field("c1", pa.float64(), 1), field("c2", pa.int64(), 2), field("c4", struct, 4)]
    one = pa.table([[1.0, 2.0, 3.0, None], [1, 2, 3, 4]], schema=pa.schema(fields[:2]))
    two = pa.table([[5.0, 6.0], [5, 6], [{"c5": 1}, None]], schema=pa.schema(fields))
    made.commit(
        "table",
        0,
        made.protocol("columnMapping", "deletionVectors"),
        made.metadata(columns, ["day"], delta__columnMapping__mode=mode),
        made.add("table", "xY/one.parquet", one, {"c3": "2025-01-01"}, made.inside([1, 2])),
        made.add("table", "xZ/two.parquet", two, {"c3": None}),
        made.add("table", "xZ/three.parquet", two, {"c3": "2025-01-03"}, made.beside("table", [0])),
    )
    rows = same("table")
    assert len(rows) == 5
    assert {"x": 1, "y": None} in [row["s"] for row in rows]
    same("table", ["day"])
    # Random folders are no names of columns: what is kept of them is kept in the files.
    identity(["id"]).info.save("model.json")
    assert main(["score", "model.json", "table", "-o", "out", "--keep", "day"]) == 0
    days = parquet.ParquetFile("out/xY/one.parquet").read()["day"].to_pylist()
    assert days == [DAY, DAY]


def test_deleted_rows_across_batches():
    table = pa.table({"a": [float(i) for i in range(100_000)]})
    gone = [0, 3, 65_535, 65_536, 99_999]
    made.commit(
        "table",
        0,
        made.protocol("deletionVectors"),
        made.metadata([made.column("a", "double")]),
        made.add("table", "q=a%2520b/x%20y.parquet", table, None, made.inside(gone)),
    )
    Path("table/q=a%20b").mkdir()
    Path("table/q=a%2520b/x%20y.parquet").rename("table/q=a%20b/x y.parquet")
    left = sorted(set(range(100_000)) - set(gone))
    rows = rows_read("table", batch_rows=1000)
    # No bare comparison: pytest would explain for minutes how lists as long as these differ.
    assert np.array_equal([row["a"] for row in rows], left)
    identity(["a"]).info.save("model.json")
    assert main(["score", "model.json", "table", "-o", "out.parquet"]) == 0
    assert len(parquet.read_table("out.parquet")) == len(left)


def test_a_table_without_rows():
    schema = pa.schema([("a", pa.float64()), ("day", pa.date32())])
    deltalake.DeltaTable.create("table", schema, partition_by=["day"])
    identity(["a"]).info.save("model.json")
    assert main(["score", "model.json", "table", "-o", "out.parquet", "--keep", "day"]) == 0
    assert parquet.read_schema("out.parquet").names == ["day", "score"]
    assert main(["score", "model.json", "table", "-o", "out"]) == 0
    assert len(parquet.read_table("out")) == 0


def test_parts_stay_partitions_and_the_result_names_the_version():
    history()
    model = identity(["a"])
    result = jobs.run(jobs.Job(model, "table", "out", keep=["day", "a"], table_version=1))
    assert result.table == {"format": "delta", "version": 1}
    assert result.rows == 8
    assert json.loads(Path(".out.instmodel.json").read_text())["table"] == result.table
    table = parquet.read_table("out")
    assert sorted(table["score"].to_pylist()) == sorted(table["a"].to_pylist())
    assert set(table["day"].to_pylist()) == {"2025-01-01", "2025-01-02", None}


def test_a_later_version_is_scored_by_its_new_files_alone():
    history()
    model = identity(["a"])
    jobs.run(jobs.Job(model, "table", "out", keep=["a"], table_version=2))
    result = jobs.run(jobs.Job(model, "table", "out", keep=["a"], incremental=True))
    assert (result.parts, result.reused_parts) == (5, 4)
    assert sorted(parquet.read_table("out")["score"].to_pylist()) == [3.0, 3.0, 4.0, 4.0, 9.0]


def test_a_column_of_categories_takes_the_type_from_the_log():
    deltalake.write_deltalake(
        "table", pa.table({"colour": [1, 0], "age": [3.0, 4.0]}), partition_by=["colour"]
    )
    result = jobs.run(jobs.Job(labelled(), "table", "out.jsonl"))
    assert result.rows == 2
    scores = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert sorted(row["output_0"] for row in scores) == [0.0, 1.0]


def test_a_data_file_alone_may_hold_rows_that_are_gone(capsys):
    history()
    [*_, file] = sorted(Path("table").rglob("*.parquet"))
    assert len(file.parts) == 4  # in partitions
    identity(["a"]).info.save("model.json")
    assert main(["score", "model.json", str(file), "-o", "out.parquet"]) == 2
    said = capsys.readouterr().err
    assert "a table that has a log can only be read as a whole" in said
    assert str(file) in said


def test_a_text_file_in_a_table_and_a_folder_with_the_name_of_the_one_above(capsys):
    small()
    Path("table/table").mkdir()
    Path("table/table/rows.csv").write_text("a\n1\n")
    identity(["a"]).info.save("model.json")
    assert main(["score", "model.json", "table/table/rows.csv", "-o", "-"]) == 2
    assert "as a whole" in capsys.readouterr().err
    Path("rows.csv").write_text("a\n1\n")
    assert main(["score", "model.json", "rows.csv", "-o", "-"]) == 0


# ------------------------------------------------------------------------------ tables that are bad


def small(path="x.parquet", features=(), table=None, deleted=None, **configuration):
    if table is None:
        table = pa.table({"a": [1.0, 2.0]})
    action = made.add("table", "x.parquet", table, None, deleted)
    action["add"]["path"] = path
    protocol = made.protocol(*features) if features else made.PLAIN
    columns = [made.column("a", "double")]
    made.commit("table", 0, protocol, made.metadata(columns, **configuration), action)


def mapped(mode):
    """A table of which deltalake does not ask for ids or names, for the protocol has none."""
    small(delta__columnMapping__mode=mode)


def log(version=0):
    return Path(f"table/_delta_log/{version:020}.json")


def broken_checkpoint():
    history()
    deltalake.DeltaTable("table").create_checkpoint()
    [checkpoint] = Path("table/_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])


def gap():
    history()
    log(1).unlink()


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda: Path("table/_delta_log").mkdir(parents=True), "table: "),
        (lambda: (small(), log().write_text("{broken")), "table: "),
        (lambda: (small(), log().write_bytes(b"\0\xff")), "table: "),
        (lambda: (small(), log().write_text("")), "table: "),
        (broken_checkpoint, "Invalid Parquet file"),
        (gap, "gap"),
        (lambda: small("../x.parquet"), "outside of the table"),
        (lambda: small("%2e%2e/x.parquet"), "outside of the table"),
        (lambda: small("/etc/x.parquet"), "outside of the table"),
        (lambda: small("file:///etc/x.parquet"), "outside of the table"),
        (lambda: small("s3://bucket/x.parquet"), "outside of the table"),
        (lambda: small("gone.parquet"), "gone.parquet"),
        (lambda: small(features=["fooBar"]), "fooBar"),
        (lambda: small(features=["typeWidening"]), "typeWidening"),
        (lambda: mapped("id"), "the log does not tell the id that the column has in the files"),
        (lambda: mapped("name"), "the log does not tell the name that the column has"),
        (lambda: mapped("zz"), "expected one of none, name, id, got 'zz'"),
        (lambda: small(deleted=made.inside([1])), "the reader feature deletionVectors"),
        (lambda: small(table=pa.table({"a": ["text"]})), "x.parquet"),
        (lambda: (small(), Path("table/x.parquet").write_bytes(b"PAR1")), "x.parquet"),
        (
            lambda: small(
                features=["deletionVectors"], deleted={**made.inside([1]), "pathOrInlineDv": "zzzz"}
            ),
            "table: ",
        ),
    ],
)
def test_broken_and_hostile_tables_are_errors(prepare, says, capsys):
    prepare()
    identity(["a"]).info.save("model.json")
    assert main(["score", "model.json", "table", "-o", "out.parquet"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("instmodel: error: ")
    assert says in said
    assert "table" in said.partition(": error: ")[2].partition(": ")[0]  # where it is
    assert said.count("\n") == 1
    assert not Path("out.parquet").exists()


def test_a_wait_for_deleted_rows_that_has_no_end_is_ended(monkeypatch):
    # As deltalake waits where more than 512 files have a deletion vector.
    small(features=["deletionVectors"], deleted=made.inside([1]))
    here = threading.Event()
    monkeypatch.setattr(deltalake.DeltaTable, "deletion_vectors", lambda table: here.wait())
    monkeypatch.setattr("instmodel.tables.delta._PATIENCE", 0.01)
    with pytest.raises(InputError, match="did not find the deleted rows") as caught:
        find("table")
    here.set()
    assert caught.value.code == "invalid_table"
    assert caught.value.file == "table"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--table-version", "7"], "table: the table has no such version (expected one of 0 to 3"),
        (["--table-version", f"{2**63 - 1}"], "one of 0 to 3, got 9223372036854775807"),
        (["--table-version", "9" * 20], "one of 0 to 3, got 9"),
        (["--table-version", "-1"], "table_version"),
        (["--table-time", "yesterday"], "such as 2026"),
    ],
)
def test_moments_that_are_none(arguments, says, capsys):
    history()
    identity(["a"]).info.save("model.json")
    assert main(["score", "model.json", "table", "-o", "out.parquet", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_version_that_the_log_has_no_more_is_named(capsys):
    history()
    deltalake.DeltaTable("table").create_checkpoint()
    for number in range(3):
        log(number).unlink()
    identity(["a"]).info.save("model.json")
    arguments = ["score", "model.json", "table", "-o", "out.parquet", "--table-version"]
    assert main([*arguments, "1"]) == 2
    assert "the table has no such version (expected 3, got 1)" in capsys.readouterr().err
    assert main([*arguments, "3"]) == 0


def test_compare_reads_the_log_too(capsys):
    pytest.importorskip("sklearn")
    deltalake.write_deltalake("table", pa.table({"a": [1.0, 2.0], "label": [1.0, 2.0]}))
    deltalake.write_deltalake("table", pa.table({"a": [3.0], "label": [3.0]}), mode="overwrite")
    identity(["a"]).info.save("model.json")
    arguments = ["compare", "model.json", "model.json", "--data", "table", "--json"]
    assert main([*arguments]) in (0, 1)
    assert '"rows": 1' in capsys.readouterr().out


@pytest.mark.parametrize("seed", range(30))
def test_logs_that_were_mangled_give_rows_or_an_error(seed):
    history()
    deltalake.DeltaTable("table").create_checkpoint()
    random = Random(seed)
    file = random.choice(sorted(Path("table/_delta_log").iterdir()))
    data = bytearray(file.read_bytes())
    for _ in range(random.choice([1, 3, 30])):
        place = random.randrange(len(data) or 1)
        kind = random.randrange(3)
        if kind == 0 and data:
            data[place] = random.randrange(256)
        elif kind == 1:
            del data[place : place + random.randrange(1, 50)]
        else:
            data[place:place] = random.randbytes(random.randrange(1, 9))
    file.write_bytes(data)
    with contextlib.suppress(InputError, OSError):
        jobs.run(jobs.Job(identity(["a"]), "table", "out.parquet", keep=["*"]))
