"""`verify` and `compare` treat nulls among the inputs by the same rules as `score`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.commands import fails
from support.table_models import identity

import instmodel as im
from instmodel.cli import main

AB = identity(["a", "b"])
CSV = "a,b,x,y\n1,,1,0\n,4,9,4\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(CSV)


def parquet(columns, name="t.parquet"):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table(columns), name)
    return name


FILLED = {
    "nan": [[1, np.nan], [np.nan, 4]],
    "number": [[1, 0], [0, 4]],
    "columns": [[1, 5], [np.nan, 4]],
}
RULES = {"nan": "nan", "number": 0, "columns": {"b": 5, "a": "nan"}}
every_rule = pytest.mark.parametrize("rule", RULES)


def seen(data, **options):
    """Return the inputs that a function instead of the model is given."""
    batches = []

    def watch(rows):
        batches.append(rows)
        return rows

    im.verify(AB, data, against=watch, **options)
    return np.concatenate(batches)


@every_rule
def test_nulls_become_what_the_rule_says_in_every_kind_of_table(rule):
    pytest.importorskip("pyarrow")
    columns = {"a": [1.0, None], "b": [None, 4.0]}
    rows = [{"a": 1.0, "b": None}, {"a": None, "b": 4.0}]
    for data in ("t.csv", parquet(columns), rows):
        np.testing.assert_array_equal(seen(data, nulls=RULES[rule]), FILLED[rule])


@every_rule
def test_they_are_those_of_predict_table(rule):
    rows = [{"a": 1.0, "b": None}, {"a": None, "b": 4.0}]
    scores = AB.predict_table(rows, nulls=RULES[rule])
    np.testing.assert_array_equal(seen(rows, nulls=RULES[rule]), scores)


def test_a_null_without_a_rule_is_an_error_in_files_and_nan_in_memory():
    rows = [{"a": 1.0, "b": None}]
    np.testing.assert_array_equal(seen(rows), [[1, np.nan]])
    with pytest.raises(im.InstModelError, match="null_value"):
        im.verify(AB, parquet({"a": [1.0], "b": [None]}))
    with pytest.raises(im.InstModelError, match="null_value"):
        im.verify(AB, rows, nulls="error")


@pytest.mark.parametrize("rule", [0, {"a": 0, "b": 0}])
def test_no_rule_fills_labels_or_recorded_outputs(rule):
    pytest.importorskip("sklearn")
    table = {"a": [1.0, None], "b": [2.0, 4.0], "x": [1.0, None], "y": [2.0, 4.0]}
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    file = parquet(table)
    for attempt, code in (
        (lambda: im.verify(AB, file, expected=["x", "y"], nulls=rule), "null_value"),
        (lambda: im.compare(AB, AB, file, labels="x", nulls=rule), "non_finite_value"),
        (lambda: im.compare(AB, AB, rows, labels="x", nulls=rule), "non_finite_value"),
    ):
        with pytest.raises(im.InstModelError) as caught:
            attempt()
        assert (caught.value.code, caught.value.column) == (code, "x")


@pytest.mark.parametrize("data", ["t.npy", np.zeros((1, 2))])
def test_what_has_no_nulls_takes_no_rule(data):
    np.save("t.npy", np.zeros((1, 2)))
    with pytest.raises(im.InstModelError) as caught:
        im.verify(AB, data, nulls="nan")
    assert (caught.value.code, caught.value.field) == ("invalid_nulls", "nulls")


@pytest.mark.parametrize("nulls", ["zero", {"c": 0}, {"x": 0}, {"a": "zero"}, float("inf")])
def test_a_rule_that_makes_no_sense_is_refused(nulls):
    pytest.importorskip("pyarrow")
    pytest.importorskip("sklearn")
    for data in ("t.csv", [{"a": 1.0, "b": 2.0, "x": 1.0}]):
        with pytest.raises(im.InstModelError) as caught:
            im.compare(AB, AB, data, labels="x", nulls=nulls)
        assert caught.value.code == "invalid_nulls"


def test_the_commands_take_the_rules_of_score(capsys):
    pytest.importorskip("pyarrow")
    pytest.importorskip("sklearn")
    AB.info.save("ab.json")
    rules = ["--nulls", "a=nan", "--nulls", "b=0"]
    assert main(["verify", "ab.json", "--data", "t.csv", *rules]) == 0
    assert main(["verify", "ab.json", "--data", "t.csv", "--nulls", "0"]) == 0
    assert main(["compare", "ab.json", "ab.json", "--data", "t.csv", "--nulls", "0"]) == 0
    assert main(["score", "ab.json", "t.csv", "-o", "s.csv", "--nulls", "0"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("command", ["score", "verify", "compare"])
def test_two_rules_for_a_column_are_an_error(capsys, command):
    AB.info.save("ab.json")
    rest = {
        "score": ["ab.json", "t.csv", "-o", "s.csv"],
        "verify": ["ab.json", "--data", "t.csv"],
        "compare": ["ab.json", "ab.json", "--data", "t.csv"],
    }[command]
    said = fails(capsys, command, *rest, "--nulls", "a=nan", "--nulls", "a=0")
    assert "column 'a': two rules for one column [invalid_nulls]" in said


def coloured(unknown="nan"):
    info = identity(["colour", "age"]).info
    info.categories = {"colour": im.Categories(["red", "green"], unknown)}
    return im.InstructionModel(info)


def test_a_null_where_text_is_wanted_is_told_so_and_the_way_out_is_named():
    with pytest.raises(im.InputError, match=r"`nulls` \(`--nulls`\)") as caught:
        coloured().predict_table({"colour": ["red", None], "age": [1, 2]})
    assert (caught.value.code, caught.value.expected) == ("null_value", "text or a number")
    for text, expected in (("red,1\n,2\n", "text or a number"), ("red,\n", "a number")):
        Path("t.csv").write_text("colour,age\n" + text)
        with pytest.raises(im.InputError, match=r"empty; `nulls` \(`--nulls`\)") as caught:
            im.verify(coloured(), "t.csv")
        assert (caught.value.code, caught.value.expected) == ("invalid_cell", expected)


@pytest.mark.parametrize("rule", [None, "nan"])
def test_text_in_another_encoding_is_not_taken_for_unknown(rule):
    if rule:
        pytest.importorskip("pyarrow")
    Path("t.csv").write_bytes(b"colour,age\nred,1\nros\xe9,2\n")
    with pytest.raises(im.InputError, match="the text is not UTF-8") as caught:
        im.verify(coloured(), "t.csv", nulls=rule)
    assert (caught.value.code, caught.value.line) == ("invalid_table", 3)
