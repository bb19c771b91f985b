"""Jobs on events: one run or many days, the same bits; the states with the output or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from support.documents import build, network, recurrent

import instmodel as im
from instmodel import jobs
from instmodel.cli import main
from instmodel.errors import InputError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MODEL = build(recurrent())
DAYS, ROWS = 4, 400


def events(rows=ROWS, seed=0, start=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "card": rng.integers(0, 40, rows),
            "a": rng.normal(size=rows).astype(np.float32),
            "time": start + np.arange(rows),
            "b": rng.normal(size=rows),
        }
    )


@pytest.fixture
def days(tmp_path):
    """A table, and a folder of the same in a file for each day."""
    table = events()
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(DAYS):
        part = table.slice(day * ROWS // DAYS, ROWS // DAYS)
        pq.write_table(part, folder / f"2026-01-0{day + 1}.parquet")
    return table, folder


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.json"
    MODEL.info.save(path)
    return path


def score(source, output, by=("card",), model=MODEL, **options):
    names = ("order", "states_in", "states_out", "last", "sort")
    given = {name: options.pop(name) for name in names if name in options}
    given = jobs.EventOptions(by, **given)
    return jobs.run(jobs.Job(model, source, output, events=given, **options))


def column(path, name="score"):
    return pq.read_table(path).column(name).to_numpy()


def same_states(first, second):
    a, b = (im.StateStore.load(path, MODEL) for path in (first, second))
    assert len(a) == len(b)
    for card in range(40):
        np.testing.assert_array_equal(a.get(card), b.get(card))


# ------------------------------------------------------------------------------ the same bits


def test_days_chained_through_files_of_states_are_one_job(days, tmp_path):
    table, folder = days
    whole, chained = tmp_path / "whole.parquet", []
    result = score(folder, whole, order="time", states_out=tmp_path / "whole-states.parquet")
    assert (result.rows, result.sequences) == (ROWS, 40)
    expected = MODEL.predict_events(table, "card")[:, 0]
    np.testing.assert_array_equal(column(whole), expected)
    before = None
    for day, path in enumerate(sorted(folder.iterdir())):
        out, states = tmp_path / f"{day}.parquet", tmp_path / f"{day}.states.arrow"
        score(path, out, order="time", states_in=before, states_out=states, keep=["time"])
        chained.append(column(out))
        before = states
    np.testing.assert_array_equal(np.concatenate(chained), expected)
    same_states(before, tmp_path / "whole-states.parquet")


def test_a_folder_becomes_a_folder(days, tmp_path):
    table, folder = days
    score(folder, tmp_path / "out", order="time", states_out=tmp_path / "states.parquet")
    parts = sorted((tmp_path / "out").glob("*.parquet"))
    found = np.concatenate([column(part) for part in parts])
    np.testing.assert_array_equal(found, MODEL.predict_events(table, "card")[:, 0])
    assert len(im.StateStore.load(tmp_path / "states.parquet", MODEL)) == 40


@pytest.mark.parametrize("kind", ["csv", "jsonl", "arrow", "csv.gz"])
@pytest.mark.parametrize("batch_rows", [None, 7])
def test_every_format(kind, batch_rows, tmp_path):
    import gzip

    import pyarrow.csv as pc

    table = events(100)
    path = tmp_path / f"events.{kind}"
    if kind.startswith("csv"):
        with (gzip.open if kind.endswith("gz") else open)(path, "wb") as file:
            pc.write_csv(table, file)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    for sort in (False, True):
        out = tmp_path / f"{sort}.parquet"
        score(path, out, order="time", sort=sort, batch_rows=batch_rows, keep=["time"])
        expected = MODEL.predict_events(table, "card")[:, 0]
        np.testing.assert_allclose(column(out), expected, rtol=1e-5)


def test_the_last_output_of_each_sequence(days, tmp_path):
    table, folder = days
    score(folder, tmp_path / "last.parquet", last=True)
    found = pq.read_table(tmp_path / "last.parquet")
    assert found.schema.names == ["card", "score"]
    assert found.schema.field("card").type == pa.int64()
    every = MODEL.predict_events(table, "card")[:, 0]
    expected = dict(zip(table.column("card").to_pylist(), every.tolist(), strict=True))
    assert dict(zip(*(c.to_pylist() for c in found.columns), strict=True)) == expected


def test_the_last_output_of_encoded_keys(tmp_path):
    table = pa.table(
        {"card": pa.array([7, 8, 7]).dictionary_encode(), "a": [1.0] * 3, "b": [2.0] * 3}
    )
    source = tmp_path / "events.arrow"  # a Parquet file of such keys has plain numbers
    with pa.ipc.new_file(source, table.schema) as writer:
        writer.write_table(table)
    score(source, tmp_path / "last.parquet", last=True)
    assert column(tmp_path / "last.parquet", "card").tolist() == [7, 8]


def test_the_last_output_of_keys_of_several_widths(tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    for day, (card, kind) in enumerate([(2**40, pa.int64()), (7, pa.int32()), (8, pa.int8())]):
        table = pa.table({"card": pa.array([card], kind), "a": [1.0], "b": [2.0]})
        pq.write_table(table, folder / f"{day}.parquet")
    score(folder, tmp_path / "last.parquet", last=True)
    assert column(tmp_path / "last.parquet", "card").tolist() == [2**40, 7, 8]


def test_the_last_output_of_those_that_had_an_event(days, tmp_path):
    table, folder = days
    score(folder, tmp_path / "all.parquet", states_out=tmp_path / "s.parquet")
    few = table.slice(0, 3)
    pq.write_table(few, tmp_path / "few.parquet")
    score(tmp_path / "few.parquet", tmp_path / "l.csv", states_in=tmp_path / "s.parquet", last=True)
    assert len((tmp_path / "l.csv").read_text().splitlines()) == 1 + len(
        set(few.column("card").to_pylist())
    )
    none = table.slice(0, 0)
    pq.write_table(none, tmp_path / "none.parquet")
    score(tmp_path / "none.parquet", tmp_path / "n.parquet", last=True)
    assert pq.read_table(tmp_path / "n.parquet").num_rows == 0


# ------------------------------------------------------------------------------ order


def shuffled(table, seed=1):
    return table.take(np.random.default_rng(seed).permutation(table.num_rows))


def test_sorted_first(tmp_path):
    table = events()
    pq.write_table(shuffled(table), tmp_path / "in.parquet")
    with pytest.raises(InputError) as caught:
        score(tmp_path / "in.parquet", tmp_path / "out.parquet", order="time")
    assert caught.value.code == "unordered_events"
    assert caught.value.row is not None
    assert not (tmp_path / "out.parquet").exists()
    score(tmp_path / "in.parquet", tmp_path / "out.parquet", order="time", sort=True, keep=["*"])
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.schema.names).equals(table)
    np.testing.assert_array_equal(
        found.column("score").to_numpy(), MODEL.predict_events(table, "card")[:, 0]
    )


@pytest.mark.parametrize("kind", [pa.duration("ns"), pa.float16()], ids=str)
def test_sorted_by_what_duckdb_does_not_hold(kind, tmp_path):
    times = np.array([3, 1, 2])
    values = times.astype(np.float16) if kind == pa.float16() else times
    columns = {"card": [1, 1, 1], "a": [1.0, 2.0, 3.0], "b": [1.0] * 3}
    table = pa.table({**columns, "time": pa.array(values, kind)})
    source = tmp_path / "events.arrow"
    with pa.ipc.new_file(source, table.schema) as writer:
        writer.write_table(table)
    score(source, tmp_path / "out.parquet", order="time", sort=True, keep=["time"])
    expected = MODEL.predict_events(table.take([1, 2, 0]), "card", "time")[:, 0]
    np.testing.assert_array_equal(np.sort(column(tmp_path / "out.parquet")), np.sort(expected))


KEPT = {
    "dictionary of numbers": pa.array([5, None, 7]).dictionary_encode(),
    "dictionary of text": pa.array(["x", "y", "x"])
    .dictionary_encode()
    .cast(pa.dictionary(pa.int32(), pa.string())),
    "nanoseconds": pa.array([1, 2, None], pa.timestamp("ns", "UTC")),
    "seconds of no zone": pa.array([1, 2, None], pa.timestamp("s")),
    "time of day": pa.array([1, 2, 3], pa.time64("ns")),
    "milliseconds of a day": pa.array([1, 2, 3], pa.time32("ms")),
    "date": pa.array([1, 2, 3], pa.date32()),
    "date in milliseconds": pa.array([0, 86_400_000, None], pa.date64()),
    "duration": pa.array([1, 2, 3], pa.duration("ns")),
    "half": pa.array(np.float16([1, 2, np.nan])),
    "decimal": pa.array([1, 2, 3], pa.decimal128(30, 4)),
    "unsigned": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "large text": pa.array(["a", None, ""], pa.large_string()),
    "bytes": pa.array([b"\0", b"", None]),
    "lists": pa.array([[1.5], [], None], pa.list_(pa.float32(), -1)),
    "structs": pa.array([{"a": 1}, None, {"a": None}]),
    "nothing": pa.nulls(3),
}


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
def test_kept_columns_come_back_from_sorting_as_they_were(kept, tmp_path):
    columns = {"card": [1, 1, 1], "time": [3, 1, 2], "a": [1.0] * 3, "b": [1.0] * 3}
    table = pa.table({**columns, "kept": kept})
    with pa.ipc.new_file(tmp_path / "in.arrow", table.schema) as writer:
        writer.write_table(table)
    out = tmp_path / "out.arrow"
    score(tmp_path / "in.arrow", out, order="time", sort=True, keep=["kept"])
    with pa.ipc.open_file(out) as reader:
        found = reader.read_all().column("kept").combine_chunks()
    assert found.type == kept.type
    # As text, NaN equals NaN.
    plain = str if pa.types.is_temporal(kept.type) else (lambda array: repr(array.to_pylist()))
    assert plain(found) == plain(kept.take(pa.array([1, 2, 0])))


@pytest.mark.parametrize(
    "kept", [pa.nulls(3, pa.month_day_nano_interval()), pa.nulls(3, pa.decimal256(50))], ids=str
)
def test_columns_that_sorting_would_change_are_refused(kept, tmp_path):
    columns = {"card": [1, 1, 1], "time": [3, 1, 2], "a": [1.0] * 3, "b": [1.0] * 3}
    table = pa.table({**columns, "kept": kept})
    with pa.ipc.new_file(tmp_path / "in.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputError) as caught:
        score(tmp_path / "in.arrow", tmp_path / "o.arrow", order="time", sort=True, keep=["kept"])
    assert (caught.value.code, caught.value.column) == ("invalid_cell", "kept")


def test_equal_times_stay_in_the_order_of_the_file(tmp_path):
    table = events(300)
    times = np.random.default_rng(0).integers(0, 5, 300)
    table = table.set_column(2, "time", pa.array(times)).append_column("n", pa.array(range(300)))
    pq.write_table(table, tmp_path / "in.parquet")
    score(tmp_path / "in.parquet", tmp_path / "o.parquet", order="time", sort=True, keep=["n"])
    expected = np.argsort(times, kind="stable")
    np.testing.assert_array_equal(column(tmp_path / "o.parquet", "n"), expected)


def test_text_sorts_as_the_numbers_that_it_is(tmp_path):
    rows = ["card,a,time,b", "1,0.5,10,0", "1,1.5,9,0", "2,1,100,0"]
    (tmp_path / "in.csv").write_text("\n".join(rows) + "\n")
    score(tmp_path / "in.csv", tmp_path / "o.csv", order="time", sort=True, keep=["time"])
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert [line.split(",")[0].strip('"') for line in lines] == ["time", "9", "10", "100"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("card,a,b,time\n1,1,1,1\n1,1\n", "row 2 .line 3.: the row has the wrong length"),
        ("card,a,b,time\n1,1,1,1\n1,1,1,soon\n", "column 'time': the column is of the wrong type"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_while_it_is_sorted(text, message, tmp_path):
    (tmp_path / "events.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        score(tmp_path / "events.csv", tmp_path / "out.csv", order="time", sort=True, keep=["a"])


def test_bad_rows_of_a_sorted_file_have_their_numbers_in_the_file(tmp_path):
    table = shuffled(events(50))
    a = table.column("a").to_pylist()
    a[7] = None
    table = table.set_column(1, "a", pa.array(a, pa.float32()))
    pq.write_table(table, tmp_path / "in.parquet")
    options = {"order": "time", "sort": True, "keep": ["time"]}
    with pytest.raises(InputError) as caught:
        score(tmp_path / "in.parquet", tmp_path / "o.parquet", **options)
    assert (caught.value.row, caught.value.column) == (8, "a")
    score(
        *(tmp_path / "in.parquet", tmp_path / "o.parquet"),
        on_bad_row="skip",
        bad_rows=tmp_path / "bad.csv",
        **options,
    )
    assert (tmp_path / "bad.csv").read_text().splitlines()[1].startswith("in.parquet,8,a,")


# ------------------------------------------------------------------------------ all or nothing


def test_a_job_that_fails_leaves_no_states(days, tmp_path):
    table, _ = days
    b = table.column("b").to_pylist()
    b[-1] = None
    pq.write_table(table.set_column(3, "b", pa.array(b)), tmp_path / "in.parquet")
    states = tmp_path / "states.parquet"
    with pytest.raises(InputError):
        score(tmp_path / "in.parquet", tmp_path / "o.parquet", states_out=states)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["days", "in.parquet"]


def test_states_of_another_model_are_refused(days, tmp_path):
    _, folder = days
    score(folder, tmp_path / "o.parquet", states_out=tmp_path / "s.parquet")
    other = build({**recurrent(), "bias": [[0.1, -0.2, 0.3], [0.06]]})
    with pytest.raises(InputError) as caught:
        score(folder, tmp_path / "p.parquet", states_in=tmp_path / "s.parquet", model=other)
    assert caught.value.code == "state_model_mismatch"


# What a job does in a process that is killed at some moment.
SCRIPT = """
import os, signal, sys, threading
import instmodel as im
from instmodel import jobs
folder, out, states_in, states_out, moment = sys.argv[1:]
threading.Timer(float(moment), os.kill, (os.getpid(), signal.SIGKILL)).start()
for _ in range(1000):
    events = jobs.EventOptions(["card"], "time", states_in, states_out)
    jobs.run(jobs.Job(im.load(sys.argv[1] + "/../model.json"), folder, out, events=events))
"""


@pytest.mark.parametrize("moment", [0.05, 0.2, 0.35])
def test_killed_at_any_moment(moment, days, model_file, tmp_path):
    _, folder = days
    before = tmp_path / "before.parquet"
    score(folder, tmp_path / "o.parquet", order="time", states_out=before)
    later = tmp_path / "later"
    later.mkdir()
    pq.write_table(events(start=ROWS, seed=5), later / "events.parquet")
    expected, states = tmp_path / "expected.parquet", tmp_path / "expected-states.parquet"
    score(later, expected, order="time", states_in=before, states_out=states)

    out, after = tmp_path / "killed.parquet", tmp_path / "after.parquet"
    arguments = [sys.executable, "-c", SCRIPT, *map(str, (later, out, before, after, moment))]
    killed = subprocess.run(arguments, check=False)
    assert killed.returncode == -signal.SIGKILL
    # The states never come before the output.
    assert out.exists() or not after.exists()
    if after.exists():
        same_states(after, states)
    score(later, out, order="time", states_in=before, states_out=after)
    np.testing.assert_array_equal(column(out), column(expected))
    same_states(after, states)


def test_states_that_have_an_order_want_it_again(days, tmp_path):
    states = tmp_path / "s.parquet"
    score(days[1], tmp_path / "o.parquet", order="time", states_out=states)
    with pytest.raises(InputError) as caught:
        score(days[1], tmp_path / "p.parquet", states_in=states)
    assert (caught.value.code, caught.value.field) == ("column_mismatch", "order")


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("options", "code", "field"),
    [
        ({"by": []}, "invalid_type", "by"),
        ({"order": 3}, "invalid_type", "order"),
        ({"sort": True}, "invalid_type", "sort"),
        ({"sort": True, "order": "time"}, "invalid_type", "sort"),
        ({"states_out": "states.csv"}, "invalid_table", None),
        ({"last": True, "keep": ["a"]}, "invalid_type", "keep"),
        ({"resume": True}, "invalid_type", "resume"),
        ({"incremental": True}, "invalid_type", "incremental"),
        ({"by": ["nobody"]}, "missing_column", None),
        ({"order": "nobody"}, "missing_column", None),
    ],
)
def test_what_makes_no_sense(options, code, field, days, tmp_path):
    with pytest.raises(InputError) as caught:
        score(days[1], tmp_path / "o.parquet", **options)
    assert caught.value.code == code
    assert field is None or caught.value.field == field


def test_states_in_and_out_are_two_files(days, tmp_path):
    states = tmp_path / "s.parquet"
    score(days[1], tmp_path / "o.parquet", states_out=states)
    with pytest.raises(InputError, match="is also"):
        score(days[1], tmp_path / "o.parquet", states_in=states, states_out=states)


def test_by_and_recurrent_models_need_each_other(days, tmp_path):
    with pytest.raises(InputError) as caught:
        jobs.run(jobs.Job(MODEL, days[1], tmp_path / "o.parquet"))
    assert (caught.value.code, caught.value.field) == ("needs_sequences", "by")
    rows = build({**network([2, 1], [None]), "features": ["a", "b"]})
    with pytest.raises(InputError) as caught:
        score(days[1], tmp_path / "o.parquet", model=rows)
    assert caught.value.code == "state_size_mismatch"


# ------------------------------------------------------------------------------ command line


def test_the_command(days, model_file, tmp_path, capsys):
    table, folder = days
    out, states = tmp_path / "o.parquet", tmp_path / "s.parquet"
    command = ["score", str(model_file), str(folder), "-o", str(out), "--by", "card"]
    command += ["--order", "time", "--states-out", str(states), "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["sequences"]) == (ROWS, 40)
    assert told["outputs"]["states"] == str(states)
    np.testing.assert_array_equal(column(out), MODEL.predict_events(table, "card")[:, 0])
    assert main([*command[:4], str(tmp_path / "l.csv"), "--by", "card", "--last"]) == 0
    assert len((tmp_path / "l.csv").read_text().splitlines()) == 41
    capsys.readouterr()
    for wrong in (["--order", "time"], ["--last"]):
        assert main([*command[:4], str(tmp_path / "w.parquet"), *wrong]) == 2
        assert "--by" in capsys.readouterr().err
    csv = tmp_path / "in.csv"
    csv.write_text("a,b\n1,2\n")
    assert main(["score", str(model_file), str(csv), "-o", str(tmp_path / "x.csv")]) == 2
    assert "needs_sequences" in capsys.readouterr().err


def test_nothing_of_the_process_is_left(days, tmp_path):
    score(days[1], tmp_path / "o.parquet", order="time", sort=True, keep=["time"])
    left = [name for name in os.listdir("/tmp") if name.startswith("instmodel-sort-")]
    assert left == []
