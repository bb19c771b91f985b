"""Delta tables as outputs: one commit, whatever happens."""

from __future__ import annotations

import datetime
import io
import os
import re
import shlex
import signal
import subprocess
import threading
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from support.commands import command
from support.paths import ROOT
from support.table_models import identity

from instmodel import jobs
from instmodel.cli import main
from instmodel.errors import InputError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
deltalake = pytest.importorskip("deltalake")


@pytest.fixture(autouse=True)
def _files():
    identity(["a"]).info.save("model.json")


def save(path="in.parquet", **columns):
    parquet.write_table(pa.table(columns), path)
    return path


def days(*numbers, a=None):
    return save(a=a or [float(n) for n in numbers], day=[f"d{n}" for n in numbers])


def score(*arguments):
    return main(
        ["score", "model.json", "in.parquet", "-o", "table", "--format", "delta", *arguments]
    )


def rows(version=None, place="table"):
    table = deltalake.DeltaTable(place, version=version)
    found = pa.table(deltalake.QueryBuilder().register("t", table).execute("SELECT * FROM t"))
    return sorted(found.to_pylist(), key=str)


def scores(version=None):
    return sorted(row["score"] for row in rows(version))


def version():
    return deltalake.DeltaTable("table").version()


KEEP = ("--keep", "day", "--partition-by", "day")


def test_a_new_table_in_one_commit(capsys):
    days(1, 1, 2)
    assert score(*KEEP) == 0
    assert "3 rows scored: table (version 0)" in capsys.readouterr().out
    assert version() == 0
    assert rows() == [{"day": f"d{n}", "score": float(n)} for n in (1, 1, 2)]
    table = deltalake.DeltaTable("table")
    assert table.metadata().partition_columns == ["day"]
    [commit] = table.history()
    assert commit["instmodel.rows"] == "3"
    assert len(commit["instmodel.model"]) == 64


def test_a_table_that_is_there_stays_as_it_was_without_a_mode(capsys):
    days(1)
    assert score() == 0
    assert score() == 2
    assert "table: the table is already there" in capsys.readouterr().err
    assert version() == 0


def test_append_and_overwrite():
    days(1, 2)
    assert score(*KEEP, "--mode", "append") == 0
    days(2, 3)
    assert score("--keep", "day", "--mode", "append") == 0
    assert scores() == [1.0, 2.0, 2.0, 3.0]
    assert score("--keep", "day", "--mode", "overwrite") == 0
    assert scores() == [2.0, 3.0]
    assert scores(version=1) == [1.0, 2.0, 2.0, 3.0]


def test_only_the_partitions_that_the_run_has_are_replaced():
    days(1, 1, 2, 3)
    assert score(*KEEP, "--mode", "partitions") == 0
    days(2, 4, a=[20.0, 40.0])
    assert score(*KEEP, "--mode", "partitions") == 0
    assert scores() == [1.0, 1.0, 3.0, 20.0, 40.0]
    assert version() == 1
    save(a=pa.array([], pa.float64()), day=pa.array([], pa.string()))
    assert score(*KEEP, "--mode", "partitions") == 0
    assert scores() == [1.0, 1.0, 3.0, 20.0, 40.0]


UTC = datetime.UTC


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("p", ["it's", 'a "b"', "%/=ü"]),
        ("p", [None, "b", "c"]),
        ("p", [None, None, "b"]),
        ("p", [datetime.date(2025, 1, 1), None, datetime.date(1969, 12, 31)]),
        ("p", [1, -5, 1 << 60]),
        ("p", [True, False, None]),
        ("p", [0.1, -1e30, None]),
        ("p", [datetime.datetime(2025, 1, 1, 1, 2, 3, 4), None, datetime.datetime(1, 1, 1)]),
        ("p", [datetime.datetime(2025, 1, 1, tzinfo=UTC), None, None]),
        ("p", [Decimal("1.50"), Decimal("2.25"), None]),
        ('odd "name', ["x", "y", "z"]),
        ("MixedCase", ["x", "y", "z"]),
    ],
)
def test_partitions_of_any_type_are_replaced(column, cells):
    output = jobs.DeltaOutput("partitions", [column])
    model = identity(["a"])

    def run(a, some):
        values = pa.array(some, pa.array(cells).type)
        jobs.run(jobs.Job(model, save(**{"a": a, column: values}), "table", [column], delta=output))

    run([1.0, 2.0, 3.0], cells)
    run([10.0], cells[:1])
    gone = [n for n, cell in zip([1.0, 2.0, 3.0], cells, strict=True) if cell == cells[0]]
    assert scores() == sorted({1.0, 2.0, 3.0, 10.0} - set(gone))
    assert version() == 1


def test_partitions_of_several_columns():
    output = jobs.DeltaOutput("partitions", ["p", "q"])
    model = identity(["a"])

    def run(a, p, q):
        save(a=a, p=pa.array(p, pa.string()), q=pa.array(q, pa.int32()))
        jobs.run(jobs.Job(model, "in.parquet", "table", ["p", "q"], delta=output))

    run([1.0, 2.0, 3.0, 4.0, 5.0], ["x", "x", "y", None, None], [1, 2, 1, 1, None])
    run([10.0, 40.0], ["x", None], [1, 1])
    assert scores() == [2.0, 3.0, 5.0, 10.0, 40.0]
    many = list(range(3000))
    run([float(n) for n in many], [f"s{n % 50}" for n in many], many)
    run([0.5 for n in many], [f"s{n % 50}" for n in many], many)
    assert scores() == [0.5] * 3000 + [2.0, 3.0, 5.0, 10.0, 40.0]


def test_a_run_that_is_repeated_adds_nothing(capsys):
    days(1, 2)
    for _ in range(2):
        assert score("--mode", "append", "--run-id", "2026-11-21") == 0
    assert "the table has the rows of the run 2026-11-21 already" in capsys.readouterr().out
    assert (version(), scores()) == (0, [1.0, 2.0])
    assert score("--mode", "append", "--run-id", "2026-11-22") == 0
    assert (version(), scores()) == (1, [1.0, 1.0, 2.0, 2.0])
    result = jobs.run(
        jobs.Job(
            identity(["a"]),
            "in.parquet",
            "table",
            delta=jobs.DeltaOutput("append", run_id="2026-11-21"),
        )
    )
    assert (result.repeated, result.rows, result.output_version) == (True, 0, None)
    # The name is also one of a run that was to make the table.
    assert score("--run-id", "2026-11-22") == 0


AGAIN = ("--mode", "append", "--run-id", "night")


@pytest.mark.parametrize(
    ("then", "operation"),
    [
        (lambda: score("--keep", "day", "--mode", "overwrite"), "WRITE"),
        (lambda: score("--keep", "day", "--mode", "partitions"), "WRITE"),
        (lambda: deltalake.DeltaTable("table").delete("day = 'd1'"), "DELETE"),
        (lambda: deltalake.DeltaTable("table").update({"score": "1"}), "UPDATE"),
        (lambda: deltalake.DeltaTable("table").restore(0), "RESTORE"),
    ],
)
def test_a_run_whose_rows_may_be_gone_is_not_taken_for_repeated(then, operation, capsys):
    days(1)
    assert score(*KEEP) == 0
    assert score("--keep", "day", *AGAIN) == 0
    then()
    capsys.readouterr()
    before = version()
    assert score("--keep", "day", *AGAIN) == 2
    said = capsys.readouterr().err
    assert "table: " in said
    assert "the run night was committed in version 1, but rows were removed or rewritten" in said
    assert f"(version 2: {operation})" in said
    assert "another run id" in said
    assert version() == before


def test_what_leaves_the_rows_of_a_run_there_leaves_it_repeated(capsys):
    days(1)
    assert score(*AGAIN) == 0
    assert score("--mode", "append") == 0
    table = deltalake.DeltaTable("table")
    table.optimize.compact()
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    table.create_checkpoint()
    assert score(*AGAIN) == 0
    assert "the rows of the run night already" in capsys.readouterr().out
    assert scores() == [1.0, 1.0]


def test_a_run_of_something_else_is_not_taken_for_repeated(capsys):
    days(1)
    assert score(*AGAIN) == 0
    days(1, 2)
    assert score(*AGAIN) == 2
    said = capsys.readouterr().err
    assert "the run night was committed in version 0, but not with the same input" in said
    assert "same model" not in said
    assert score(*AGAIN, "--on-bad-row", "null") == 2
    assert "not with the same options" in capsys.readouterr().err
    identity(["a", "day"]).info.save("model.json")
    save(a=[1.0], day=[1.0])
    assert score(*AGAIN) == 2
    assert "not with the same model" in capsys.readouterr().err
    with open("a.csv", "wb") as file:
        file.write(b"a\n1\n")
    assert version() == 0


def test_a_stream_does_not_tell_whether_it_is_the_same():
    def run():
        delta = jobs.DeltaOutput("append", run_id="night")
        return jobs.run(jobs.Job(identity(["a"]), io.BytesIO(b"a\n1\n"), "table", delta=delta))

    assert run().rows == 1
    with pytest.raises(InputError, match="version 0, but the input does not tell") as caught:
        run()
    assert caught.value.code == "output_exists"
    assert scores() == [1.0]


def test_a_run_whose_commit_the_log_no_longer_has_cannot_be_checked(capsys):
    days(1)
    assert score(*AGAIN) == 0
    assert score("--mode", "append") == 0
    deltalake.DeltaTable("table").create_checkpoint()
    Path(f"table/_delta_log/{0:020}.json").unlink()
    assert score(*AGAIN) == 2
    assert "the log no longer has that commit" in capsys.readouterr().err
    assert version() == 1


def racing(monkeypatch, commits):
    """Let another commit come between the start of a write and its end."""
    from instmodel.tables.delta_writer import DeltaWriter

    spooled = DeltaWriter._spooled

    def slow(writer):
        yield from spooled(writer)
        other = threading.Thread(target=commits)
        other.start()
        other.join()

    monkeypatch.setattr(DeltaWriter, "_spooled", slow)


def test_two_runs_of_one_name_at_once_add_their_rows_once(monkeypatch, capsys):
    days(1)
    assert score("--mode", "append") == 0
    transaction = deltalake.Transaction("instmodel:twice", 1)
    told = deltalake.DeltaTable("table").history(1)[0]

    def commits():
        deltalake.write_deltalake(
            "table",
            pa.table({"score": pa.array([1.0], pa.float32())}),
            mode="append",
            commit_properties=deltalake.CommitProperties(
                {name: text for name, text in told.items() if name.startswith("instmodel.")},
                app_transactions=[transaction],
            ),
        )

    racing(monkeypatch, commits)
    assert score("--mode", "append", "--run-id", "twice") == 0
    assert "the rows of the run twice already" in capsys.readouterr().out
    assert scores() == [1.0, 1.0]


def test_a_run_that_committed_while_another_of_its_name_scored_counts_once(monkeypatch, capsys):
    from instmodel.jobs import delta_output

    days(1)
    score_files = delta_output.score_files

    def slow(*arguments):
        monkeypatch.setattr(delta_output, "score_files", score_files)
        assert score("--mode", "append", "--run-id", "twice") == 0
        score_files(*arguments)

    monkeypatch.setattr(delta_output, "score_files", slow)
    assert score("--mode", "append", "--run-id", "twice") == 0
    assert "the rows of the run twice already" in capsys.readouterr().out
    assert scores() == [1.0]


@pytest.mark.parametrize("mode", ["new", "append"])
def test_of_two_runs_at_once_one_makes_the_table(monkeypatch, capsys, mode):
    days(1)
    codes = []
    racing(monkeypatch, lambda: codes.append(score("--mode", mode)))
    assert score("--mode", mode) == 0
    assert codes == [2]
    assert "another run is working on this" in capsys.readouterr().err
    assert scores() == [1.0]
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_a_table_may_refuse_rows_by_its_own_rules(capsys):
    days(1)
    assert score(*KEEP) == 0
    table = deltalake.DeltaTable("table")
    table.alter.add_constraint({"small": "score < 2"})
    table.alter.set_table_properties({"delta.appendOnly": "true"})
    assert score(*KEEP, "--mode", "append") == 0
    assert score(*KEEP, "--mode", "overwrite") == 2
    assert "append-only" in capsys.readouterr().err
    days(3)
    assert score(*KEEP, "--mode", "append") == 2
    said = capsys.readouterr().err
    assert "table: " in said
    assert "between" not in said
    assert scores() == [1.0, 1.0]


@pytest.mark.parametrize("mode", ["partitions", "append"])
def test_a_commit_that_contradicts_is_an_error(monkeypatch, capsys, mode):
    days(1, 2)
    assert score(*KEEP) == 0
    racing(
        monkeypatch,
        lambda: deltalake.write_deltalake(
            "table",
            pa.table({"day": ["d1"], "score": pa.array([7.0], pa.float32())}),
            mode="overwrite",
        ),
    )
    assert score(*KEEP, "--mode", mode) == 2
    said = capsys.readouterr().err
    assert "table: another commit came between: " in said
    assert said.count("\n") == 1
    assert scores() == [7.0]


@pytest.mark.parametrize(
    ("columns", "arguments", "says"),
    [
        ({"a": [1.0]}, [], "day is missing"),
        ({"a": [1.0], "day": ["x"], "b": [1]}, ["--keep", "day,b"], "b is new"),
        ({"a": [1.0], "day": [5]}, ["--keep", "day"], "day is int64, not string"),
        ({"a": [1.0], "day": ["x"]}, ["--keep", "day", "--outputs", "p"], "score is missing, p is"),
        ({"a": [1.0], "day": ["x"]}, ["--keep", "day", "--partition-by", "score"], "partitions"),
    ],
)
def test_other_columns_are_named(columns, arguments, says, capsys):
    days(1)
    assert score(*KEEP) == 0
    save(**columns)
    assert score(*arguments, "--mode", "append") == 2
    assert says in capsys.readouterr().err
    assert version() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--partition-by", "day"], "partitioned by columns of the output"),
        (["--mode", "partitions"], "no partitions"),
        (["--overwrite"], "'overwrite': not for a Delta table"),
        (["--resume"], "'resume': not for a Delta table"),
        (["--run-id", ""], "'run_id': no name"),
        (["--keep", "time"], "column 'time': Delta has no type for time64[us]"),
        (["--keep", "huge"], "column 'huge': "),
        (["--keep", "ns"], "column 'ns': "),
    ],
)
def test_what_does_not_work(arguments, says, capsys):
    time, ns = pa.array([datetime.time(1)]), pa.array([1], pa.timestamp("ns"))
    save(a=[1.0], time=time, ns=ns, huge=pa.array([1 << 63], pa.uint64()))
    assert score(*arguments) == 2
    assert says in capsys.readouterr().err
    assert not Path("table").exists()


def test_partitions_that_would_break_the_table_are_refused(capsys):
    save(a=[1.0, 2.0], p=[Decimal("2.25"), Decimal("-2.25")])
    assert score("--keep", "p", "--partition-by", "p") == 2
    assert "column 'p': a partition cannot be a negative decimal" in capsys.readouterr().err
    assert score("--keep", "p") == 0


def test_other_options_are_not_for_other_outputs(capsys):
    days(1)
    assert main(["score", "model.json", "in.parquet", "-o", "o.csv", "--mode", "append"]) == 2
    assert "'mode': is for a Delta table" in capsys.readouterr().err


def test_a_folder_of_other_files_is_left_alone(capsys):
    days(1)
    Path("table").mkdir()
    assert score() == 0  # empty
    Path("table/_delta_log").rename("elsewhere")
    assert score("--mode", "append") == 2
    assert "something that is no Delta table is there" in capsys.readouterr().err
    with pytest.raises(InputError, match="is also the input"):
        jobs.run(jobs.Job(identity(["a"]), "table", "table", delta=jobs.DeltaOutput("append")))


def test_types_are_kept_or_widened():
    columns = {
        "u8": pa.array([200], pa.uint8()),
        "u64": pa.array([5], pa.uint64()),
        "text": pa.array(["x"]).dictionary_encode(),
        "large": pa.array(["x"], pa.large_string()),
        "time": pa.array([1_000], pa.timestamp("ns", "Europe/Berlin")),
        "list": pa.array([[1, 2]], pa.list_(pa.int32(), 2)),
        "struct": pa.array([{"x": 1}]),
        "bytes": pa.array([b"\x00\xff"]),
    }
    save(a=[1.0], **columns)
    assert score("--keep", "*", "--with", "model_digest,scored_at") == 0
    assert score("--keep", "*", "--with", "model_digest,scored_at", "--mode", "append") == 0
    first, second = rows()
    assert first["u8"] == second["u8"] == 200
    assert first["time"] == datetime.datetime(1970, 1, 1, 0, 0, 0, 1, UTC)
    assert first["list"] == [1, 2]
    assert first["bytes"] == b"\x00\xff"


def test_a_run_that_fails_leaves_nothing(capsys):
    days(1)
    assert score(*KEEP) == 0
    before = sorted(Path("table").rglob("*"))
    save(a=[1.0] * 100_000 + [None], day=["d1"] * 100_001)
    assert score(*KEEP, "--mode", "append", "--batch-rows", "1000") == 2
    assert "row 100001" in capsys.readouterr().err
    assert sorted(Path("table").rglob("*")) == before


def test_bad_rows_are_listed_before_the_commit(monkeypatch):
    from instmodel.tables.delta_writer import DeltaWriter

    commit = DeltaWriter.commit

    def listed(writer, told):
        assert len(Path("bad.csv").read_text().splitlines()) == 2
        return commit(writer, told)

    monkeypatch.setattr(DeltaWriter, "commit", listed)
    save(a=[1.0, None])
    assert score("--on-bad-row", "skip", "--bad-rows", "bad.csv") == 0
    assert scores() == [1.0]
    assert len(Path("bad.csv").read_text().splitlines()) == 2
    assert deltalake.DeltaTable("table").history()[0]["instmodel.bad_rows"] == "1"


# What the writer does when the first rows are about to be written into the table.
STOPPED = """
import os, signal, sys, time
from instmodel.tables.delta_writer import DeltaWriter
spooled = DeltaWriter._spooled
def stopped(writer):
    for batch in spooled(writer):
        os.kill(os.getpid(), {signal})
        while not writer._stopped:
            time.sleep(0.01)
        yield batch
DeltaWriter._spooled = stopped
from instmodel.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="kills")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_the_table_as_it_was(number):
    days(1)
    assert score(*KEEP) == 0
    arguments = ["score", "model.json", "in.parquet", "-o", "table", "--format", "delta"]
    process = command(*arguments, *KEEP, "--mode", "append")
    process["args"][2] = STOPPED.format(signal=int(number))
    code = subprocess.run(**process, capture_output=True).returncode
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    assert (version(), scores()) == (0, [1.0])
    assert score(*KEEP, "--mode", "append") == 0
    assert scores() == [1.0, 1.0]


def test_a_delta_table_becomes_another(tmp_path):
    a = np.arange(1000.0)
    source = pa.table({"a": a, "day": [f"d{int(x) % 7}" for x in a]})
    deltalake.write_deltalake("source", source, partition_by=["day"])
    job = jobs.Job(
        identity(["a"]),
        "source",
        "table",
        keep=["day", "a"],
        delta=jobs.DeltaOutput("append", ["day"], run_id="x"),
    )
    result = jobs.run(job)
    assert (result.rows, result.output_version, result.table["version"]) == (1000, 0, 0)
    assert all(row["a"] == row["score"] for row in rows())


def test_what_the_page_shows_runs_as_it_stands():
    page = (ROOT / "docs" / "logs.md").read_text("utf-8")
    _, _, writing = page.partition("## Write")
    lines = re.findall(r"^instmodel (score MODEL .*)$", writing, re.MULTILINE)
    [program] = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    save("day.parquet", a=[1.0, 2.0], id=[1, 2], day=["x", "y"])
    first, second, last = [shlex.split(line.replace("MODEL", "model.json")) for line in lines]
    assert main(first) == main(second) == 0
    names = {"model": identity(["a"])}
    exec(compile(program, "docs/logs.md", "exec"), names)
    assert names["result"].repeated
    assert main(last) == 0
    assert sorted(row["id"] for row in rows(place="scores")) == [1, 2]


def test_the_outcome_names_the_versions():
    deltalake.write_deltalake("source", pa.table({"a": [1.0]}))
    result = jobs.Result()
    job = jobs.Job(identity(["a"]), "source", "table", delta=jobs.DeltaOutput())
    jobs.run(job, result=result)
    outcome = jobs.outcome(result, job)
    assert outcome["table"] == {"format": "delta", "version": 0}
    assert (outcome["output_version"], outcome["repeated"]) == (0, False)
    assert (outcome["parts"], outcome["scored_parts"]) == (1, 1)


def test_a_store_that_deltalake_does_not_know_is_an_error(capsys):
    pytest.importorskip("fsspec")
    days(1)
    assert (
        main(["score", "model.json", "in.parquet", "-o", "memory://x/t", "--format", "delta"]) == 2
    )
    said = capsys.readouterr().err
    assert "memory://x/t" in said
    assert said.count("\n") == 1
