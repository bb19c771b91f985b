"""JSON lines: what is kept of them, and what comes late in them."""

import json
import subprocess
import threading
from pathlib import Path

import pytest
from support.table_files import fails, read, save, score

pa = pytest.importorskip("pyarrow")


def test_json_stays_json(model):
    nested = [{"x": float("nan"), "y": [1.5, float("inf")]}, None]
    save(pa.table({"a": [1.0, 2.0], "b": [1.0, 2.0], "nested": nested}), "in.parquet")
    assert score(model, "in.parquet", "-o", "out.jsonl", "--keep", "nested") == 0

    def refuse(name):
        raise AssertionError(name)

    lines = Path("out.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [row["nested"] for row in rows] == [{"x": None, "y": [1.5, None]}, None]


@pytest.mark.parametrize("cell", [str(2**70), '"\\ud800"', '1, "id": 1e999'])
def test_json_that_arrow_cannot_hold_is_scored_but_not_kept(model, capsys, cell):
    first = '{"a": 1, "b": 2, "id": ' + cell + "}\n"
    Path("in.jsonl").write_text(first + '{"a": 1, "b": 2, "id": "x"}\n')
    assert "one type for a kept column" in fails(
        capsys, model, "in.jsonl", "-o", "out.csv", "--keep", "id"
    )
    assert score(model, "in.jsonl", "-o", "out.csv") == 0


LATE = [
    (19, 19.99, [19.0, 19.99]),
    ([2], [2.75], [[2.0], [2.75]]),
    ({"x": 1}, {"x": 1, "y": 2}, [{"x": 1, "y": None}, {"x": 1, "y": 2}]),
    (None, "text", [None, "text"]),
    ([{"x": None}], [{"x": [0.5]}], [[{"x": None}], [{"x": [0.5]}]]),
]


@pytest.mark.parametrize(("early", "late", "kept"), LATE, ids=str)
def test_kept_columns_of_json_widen_to_what_comes_late(model, early, late, kept):
    rows = [{"a": 1, "b": 2, "c": early}] * 5000 + [{"a": 1, "b": 2, "c": late}]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score(model, "in.jsonl", "-o", "out.parquet", "--keep", "c") == 0
    found = read("out.parquet")["c"].to_pylist()
    assert [found[0], found[-1]] == kept
    assert len(found) == len(rows)


@pytest.mark.parametrize(
    ("early", "late"), [(1, "x"), (True, 1), ([1], {"x": 1}), (0.5, 2**53 + 1)], ids=str
)
def test_what_no_type_holds_without_loss_is_an_error_with_its_line(model, capsys, early, late):
    rows = [{"a": 1, "b": 2, "c": early}] * 5000 + [{"a": 1, "b": 2, "c": late}]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = fails(capsys, model, "in.jsonl", "-o", "out.parquet", "--keep", "c")
    assert "line 5001, column 'c': Arrow has no one type for a kept column" in said


def test_kept_columns_from_a_pipe_are_never_cut(model, capsys):
    lines = ['{"a": 1, "b": 2, "c": 19}\n'] * 5000 + ['{"a": 1, "b": 2, "c": 19.99}\n']
    subprocess.run(["mkfifo", "in.jsonl"], check=True)
    with subprocess.Popen(
        ["tee", "in.jsonl"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as writer:
        feed = threading.Thread(target=writer.communicate, args=("".join(lines),))
        feed.start()
        said = fails(capsys, model, "in.jsonl", "-o", "out.parquet", "--keep", "c")
        feed.join()
    assert "line 5001, column 'c': Arrow has no one type" in said
    assert not Path("out.parquet").exists()


def test_a_feature_may_appear_late_in_json(model):
    rows = [{"a": 1}] * 5000 + [{"a": 1, "b": 2}]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score(model, "in.jsonl", "-o", "out.parquet", "--nulls", "0") == 0
    assert read("out.parquet").num_rows == len(rows)
