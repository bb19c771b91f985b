"""One row by name."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import decimal
import fractions
import sqlite3

import numpy as np
import pytest
from support.table_models import identity, network

import instmodel as im


def test_one_row_scores_as_in_a_table():
    rng = np.random.default_rng(0)
    row = {f"f{i}": float(value) for i, value in enumerate(rng.normal(size=30))}
    model = network()
    expected = model.predict(list(row.values()))
    turned = {"more": "text"} | dict(reversed(row.items()))
    assert np.array_equal(model.predict_one(turned), expected)
    assert model.predict_one(turned).shape == (1,)


@pytest.mark.parametrize(
    "number",
    [3, 3.0, np.float64(3), np.int8(3), decimal.Decimal(3), fractions.Fraction(3), np.array(3)],
)
def test_every_kind_of_number(number):
    assert identity(["a", "b"]).predict_one({"b": number, "a": True}).tolist() == [1, 3]
    assert identity(["b"]).predict_one({"b": number}).tolist() == [3]


def test_lists_and_parts_for_an_array_feature():
    model = identity(["a", "emb[2]"])
    assert model.predict_one({"emb": [1, 2], "a": 0}).tolist() == [0, 1, 2]
    assert model.predict_one({"emb": np.array([1, 2]), "a": 0}).tolist() == [0, 1, 2]
    assert model.predict_one({"emb[1]": 2, "emb[0]": 1, "a": 0}).tolist() == [0, 1, 2]


def test_nulls():
    model = identity(["a", "b"])
    assert model.predict_one({"a": None, "b": 2}, nulls=5).tolist() == [5, 2]
    assert np.isnan(model.predict_one({"a": None, "b": 2}, nulls={"a": "nan"})[0])
    assert np.isnan(model.predict_one({"a": float("nan"), "b": 2})[0])


@pytest.mark.parametrize(
    "nulls",
    [
        "typo",
        True,
        None,
        float("inf"),
        [1],
        np.ones(2),
        {"a": "typo"},
        {"a": 1, "c": 0},
        {"a": [1]},
    ],
)
def test_a_wrong_rule_is_refused_where_no_null_is(nulls):
    model = identity(["a", "b"])
    assert model.predict_one({"a": 1, "b": 2}, nulls=1).tolist() == [1, 2]  # 1 is no True
    with pytest.raises(im.InstModelError) as caught:
        model.predict_one({"a": 1, "b": 2}, nulls=nulls)
    assert caught.value.code == "invalid_nulls"


def test_a_model_without_names():
    with pytest.warns(UserWarning, match="by their position"):
        assert identity(2).predict_one({"x": 1, "a": 2}).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("row", "code", "column"),
    [
        ({"a": 1, "bb": 2}, "missing_column", "b"),
        ({"a": None, "b": 2}, "null_value", "a"),
        ({"a": "1", "b": 2}, "invalid_cell", "a"),
        ({"a": 1e39, "b": 2}, "invalid_cell", "a"),
        ({"a": 10**400, "b": 2}, "invalid_cell", "a"),
        ({"a": [1], "b": 2}, "invalid_cell", "a"),
        ({"a": 1j, "b": 2}, "invalid_cell", "a"),
        ({"a": np.ones(1), "b": 2}, "invalid_cell", "a"),
        ({"a": np.complex64(1 + 2j), "b": 2}, "invalid_cell", "a"),
        ({"a": np.array("1"), "b": 2}, "invalid_cell", "a"),
        ({"a": np.timedelta64(1, "s"), "b": 2}, "invalid_cell", "a"),
        ({"a": np.ma.masked, "b": 2}, "null_value", "a"),
        ({"a": decimal.Decimal("1e400"), "b": 2}, "invalid_cell", "a"),
        ({"a": decimal.Decimal("sNaN"), "b": 2}, "invalid_cell", "a"),
        ({}, "missing_column", "a"),
        ([1, 2], "invalid_table", None),
        (None, "invalid_table", None),
    ],
)
def test_bad_rows(row, code, column):
    with pytest.raises(im.InstModelError) as caught:
        identity(["a", "b"]).predict_one(row)
    assert (caught.value.code, caught.value.column, caught.value.row) == (code, column, None)


# --------------------------------------------------------------------------- a row of a data frame


def series(*cells, index="ab", **options):
    pandas = pytest.importorskip("pandas")
    return pandas.Series(cells, index=list(index), **options)


def test_a_series_is_a_row():
    model = identity(["a", "b"])
    row = series(2, "text", 1, index="bca")
    assert model.predict_one(row).tolist() == [1, 2]
    assert model.predict_one(row, nulls=0).tolist() == [1, 2]
    arrays = identity(["a", "emb[2]"])
    assert arrays.predict_one(series([1, 2], 0, index=["emb", "a"])).tolist() == [0, 1, 2]


def test_nan_and_none_are_nulls_in_a_series():
    model = identity(["a", "b"])
    for row in (
        series(np.nan, 2.0),
        series(np.nan, 2, dtype=object),
        series(None, 2, dtype=object),
        series(None, 2, dtype="Int64"),
    ):
        with pytest.raises(im.InstModelError) as caught:
            model.predict_one(row)
        assert (caught.value.code, caught.value.column) == ("null_value", "a")
        assert model.predict_one(row, nulls=5).tolist() == [5, 2]
        assert np.isnan(model.predict_one(row, nulls={"a": "nan"})[0])


def test_nan_is_a_number_in_a_series_that_arrow_holds():
    pandas, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    row = pandas.Series(pandas.arrays.ArrowExtensionArray(pa.array([np.nan, 2.0])), list("ab"))
    assert np.isnan(identity(["a", "b"]).predict_one(row, nulls=5)[0])


@pytest.mark.parametrize(
    ("cells", "index", "code", "column"),
    [
        ([1, 2], "ac", "missing_column", "b"),
        ([1, 2, 3], "aab", "repeated_column", "a"),
        (["1", 2], "ab", "invalid_cell", "a"),
        ([1e39, 2], "ab", "invalid_cell", "a"),
    ],
)
def test_bad_rows_of_a_frame(cells, index, code, column):
    with pytest.raises(im.InstModelError) as caught:
        identity(["a", "b"]).predict_one(series(*cells, index=index))
    assert (caught.value.code, caught.value.column, caught.value.row) == (code, column, None)


@dataclasses.dataclass
class Applicant:
    age: float
    income: float
    name: str = "x"


Pair = collections.namedtuple("Pair", ["income", "age"])


def sqlite_row():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("select 2.5 as income, 'x' as name, null as age").fetchone()


ROWS = {
    "a dataclass": lambda: Applicant(None, 2.5),
    "a named tuple": lambda: Pair(2.5, None),
    "a row of itertuples": lambda: next(
        pytest.importorskip("pandas")
        .DataFrame({"age": [None], "income": [2.5]}, dtype=object)
        .itertuples()
    ),
    "an Arrow struct": lambda: pytest.importorskip("pyarrow").scalar({"age": None, "income": 2.5}),
    "a row of SQLite": sqlite_row,
    "a row of a record array": lambda: np.array(
        [(2.5, None)], [("income", object), ("age", object)]
    )[0],
    "a row of Polars": lambda: (
        pytest.importorskip("polars").DataFrame({"age": [None], "income": [2.5]}).row(0, named=True)
    ),
    "a Series": lambda: pytest.importorskip("pandas").Series({"age": None, "income": 2.5}),
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_other_libraries(kind):
    model = identity(["age", "income"])
    assert model.predict_one(ROWS[kind](), nulls=7).tolist() == [7, 2.5]
    with pytest.raises(im.InstModelError, match="column 'age': the value is null"):
        model.predict_one(ROWS[kind]())


@pytest.mark.parametrize("kind", ["frame", "series"])
def test_what_of_polars_is_no_row(kind):
    pl = pytest.importorskip("polars")
    row = pl.DataFrame({"age": [1.0]})
    with pytest.raises(im.InstModelError) as caught:
        identity(["age"]).predict_one(row if kind == "frame" else row["age"])
    assert ("predict_table" in str(caught.value)) == (kind == "frame")


def test_tuples_without_names_are_no_rows():
    with pytest.raises(im.InstModelError, match="named tuple"):
        identity(["age"]).predict_one((1.0,))
    with pytest.raises(im.InstModelError, match="not a row"):
        identity(["age"]).predict_one(Applicant)
