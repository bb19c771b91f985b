"""What may be wrong with a table: each kind has a message that says where and what to do."""

from __future__ import annotations

import datetime
import decimal
import pickle

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im


def arrow(**columns):
    return pytest.importorskip("pyarrow").table(columns)


def typed(kind, values, **others):
    pa = pytest.importorskip("pyarrow")
    return pa.table({"age": pa.array(values, kind(pa)), "income": values, **others})


def lists(kind, cells):
    pa = pytest.importorskip("pyarrow")
    emb = pa.array(cells, kind(pa))
    return pa.table({"age": [1.0] * len(cells), "income": [1.0] * len(cells), "emb": emb})


def pandas(**columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def polars(**columns):
    return pytest.importorskip("polars").DataFrame(columns)


def duckdb(sql):
    pytest.importorskip("pyarrow")
    connection = pytest.importorskip("duckdb").connect()
    CONNECTIONS.append(connection)  # a query needs its connection
    return connection.sql(sql)


CONNECTIONS = []


GOOD = {"age": [1.0, 2.0], "income": [3.0, 4.0]}
PLAIN = ["age", "income"]
WITH_ARRAY = ["age", "income", "emb[3]"]

# name, features, table, nulls, code, column, row, what the message says
CASES = [
    (
        *("missing", PLAIN, lambda: arrow(age=[1.0], incom=[2.0]), "error"),
        *("missing_column", "income", None, "missing; did you mean 'incom'?"),
    ),
    (
        *("missing in another case", PLAIN, lambda: pandas(Age=[1.0], income=[2.0]), "error"),
        *("missing_column", "age", None, "missing; did you mean 'Age'?"),
    ),
    (
        *("nothing like it", PLAIN, lambda: polars(age=[1.0], x=[2.0]), "error"),
        *("missing_column", "income", None, "missing; the other columns are 'x'"),
    ),
    (
        *("two missing", PLAIN, lambda: {"x": [1.0]}, "error"),
        *("missing_column", "age", None, "columns 'age', 'income': missing; the columns are 'x'"),
    ),
    (
        *("an array feature is missing", WITH_ARRAY, lambda: GOOD, "error"),
        *("missing_column", "emb", None, "missing; there are no other columns; an array is"),
    ),
    (
        *("a part of an array is missing", WITH_ARRAY),
        *(lambda: GOOD | {"emb[0]": [1, 1], "emb[2]": [1, 1]}, "error"),
        *("missing_column", "emb[1]", None, "missing; there are no other columns"),
    ),
    (
        *("a row without a key", PLAIN, lambda: [{"age": 1, "income": 2}, {"age": 1}], "error"),
        *("missing_column", "income", 1, "missing in this row"),
    ),
    (
        *("no columns at all", PLAIN, lambda: [{}], "error"),
        *("missing_column", "age", None, "missing"),
    ),
    (
        *("repeated", PLAIN, lambda: pandas_repeated(), "error"),
        *("repeated_column", "age", None, "there 2 times"),
    ),
    (
        *("text", PLAIN, lambda: typed(lambda pa: pa.string(), [None, "12"]), 0),
        *("invalid_cell", "age", 1, "expected numbers, got string: '12'"),
    ),
    (
        *("text in Polars", PLAIN, lambda: polars(age=["1"], income=[2.0]), "error"),
        *("invalid_cell", "age", 0, "expected numbers, got string_view: '1'"),
    ),
    (
        *("text in pandas", PLAIN, lambda: pandas(age=[1.0], income=["x"]), "error"),
        *("invalid_cell", "income", 0, "the cell is not a number (expected a number, got 'x')"),
    ),
    (
        *("text among numbers", PLAIN, lambda: pandas(age=[1, "2"], income=[1, 2]), "error"),
        *("invalid_cell", "age", 1, "the cell is not a number (expected a number, got '2')"),
    ),
    (
        *("text in NumPy", PLAIN),
        *(lambda: {"age": np.array(["1"]), "income": np.ones(1)}, "error"),
        *("invalid_cell", "age", 0, "got '1'"),
    ),
    (
        *("text in a dict", PLAIN, lambda: [{"age": 1, "income": "high"}], "error"),
        *("invalid_cell", "income", 0, "got 'high'"),
    ),
    (
        *("categories of text", PLAIN, lambda: pandas_categories(), "error"),
        *("invalid_cell", "age", 0, "got 'low'"),
    ),
    (
        *("dictionary of text", PLAIN, lambda: arrow(age=dictionary(), income=[1.0]), "error"),
        *("invalid_cell", "age", 0, "dictionary<values=string"),
    ),
    (
        *("dates", PLAIN, lambda: arrow(age=[datetime.date(2026, 1, 1)], income=[1.0]), "error"),
        *("invalid_cell", "age", 0, "got date32[day]: datetime.date(2026, 1, 1)"),
    ),
    (
        *("dates in pandas", PLAIN, lambda: pandas_dates(), "error"),
        *("invalid_cell", "age", 0, "expected numbers, got datetime64"),
    ),
    (
        *("structs", PLAIN, lambda: arrow(age=[{"years": 3}], income=[1.0]), "error"),
        *("invalid_cell", "age", 0, "got struct<years: int64>"),
    ),
    (
        *("lists for a number", PLAIN, lambda: arrow(age=[[1.0]], income=[1.0]), "error"),
        *("invalid_cell", "age", 0, "expected numbers, got list<"),
    ),
    (
        *("complex numbers", PLAIN, lambda: {"age": np.ones(1, complex), "income": [1]}, "error"),
        *("invalid_cell", "age", 0, "got complex128"),
    ),
    (
        *("null", PLAIN, lambda: arrow(age=[1, 2, None, None], income=[1.0] * 4), "error"),
        *("null_value", "age", 2, "the value is null"),
    ),
    (
        *("the first null of two columns", PLAIN),
        *(lambda: polars(age=[1, 1, None], income=[1.0, None, 1.0]), {"age": "error"}),
        *("null_value", "income", 1, "the value is null"),
    ),
    (
        *("null where another is allowed", PLAIN),
        *(lambda: arrow(age=[None, 1], income=[1.0, None]), {"age": "nan"}),
        *("null_value", "income", 1, "the value is null"),
    ),
    (
        *("NaN in pandas", PLAIN, lambda: pandas(age=[1.0, np.nan], income=[1, 2]), "error"),
        *("null_value", "age", 1, "the value is null"),
    ),
    (
        *("NA in pandas", PLAIN, lambda: pandas_nullable(), "error"),
        *("null_value", "age", 1, "the value is null"),
    ),
    (
        *("masked", PLAIN, lambda: {"age": np.ma.array([1, 2], mask=[0, 1]), "income": [1, 2]}),
        *("error", "null_value", "age", 1, "the value is null"),
    ),
    (
        *("null in a dict of Series", PLAIN),
        *(lambda: {"income": [1, 2], "age": pandas(age=[1, None])["age"]}, "error"),
        *("null_value", "age", 1, "the value is null"),
    ),
    (
        *("null in a dict of Polars' Series", PLAIN),
        *(lambda: {"income": [1, 2], "age": polars(age=[1, None])["age"]}, "error"),
        *("null_value", "age", 1, "the value is null"),
    ),
    (
        *("null in a dict of Arrow arrays", PLAIN),
        *(lambda: {"income": [1, 2], "age": arrow(age=[1, None])["age"]}, "error"),
        *("null_value", "age", 1, "the value is null"),
    ),
    (
        *("None in a list", PLAIN, lambda: {"age": [1, None], "income": [1, 2]}, "error"),
        *("null_value", "age", 1, "the value is null"),
    ),
    (
        *("too large", PLAIN, lambda: arrow(age=[1.0, 1e39], income=[1.0, 1e40]), "error"),
        *("invalid_cell", "age", 1, "too large for float32 (expected at most 3.4028235e38"),
    ),
    (
        *("an int too large", PLAIN, lambda: {"age": [1, 10**400], "income": [1, 2]}, "error"),
        *("invalid_cell", "age", 1, "too large for float32"),
    ),
    (
        *("a decimal too large", PLAIN),
        *(lambda: {"age": [decimal.Decimal("1e60")], "income": [1]}, "error"),
        *("invalid_cell", "age", 0, "too large for float32"),
    ),
    (
        *("a short list", WITH_ARRAY),
        *(lambda: lists(lambda pa: pa.list_(pa.float32()), [[1, 2, 3], [1, 2]]), "error"),
        *("list_length_mismatch", "emb", 1, "(expected 3 numbers, got 2)"),
    ),
    (
        *("a fixed list of another size", WITH_ARRAY),
        *(lambda: lists(lambda pa: pa.list_(pa.float32(), 4), [[1, 2, 3, 4]]), "error"),
        *("list_length_mismatch", "emb", 0, "(expected 3 numbers, got 4)"),
    ),
    (
        *("a list of text", WITH_ARRAY),
        *(lambda: lists(lambda pa: pa.list_(pa.string()), [["a", "b", "c"]]), "error"),
        *("invalid_cell", "emb", None, "expected numbers, got string"),
    ),
    (
        *("a null in a list", WITH_ARRAY),
        *(lambda: lists(lambda pa: pa.list_(pa.int8()), [[1, 2, 3], [1, None, 3]]), "error"),
        *("null_value", "emb", 1, "the value is null"),
    ),
    (
        *("a null instead of a list", WITH_ARRAY),
        *(lambda: lists(lambda pa: pa.list_(pa.int8()), [[1, 2, 3], None]), "error"),
        *("null_value", "emb", 1, "the value is null"),
    ),
    (
        *("a number instead of a list", WITH_ARRAY, lambda: arrow(**GOOD, emb=[1, 2]), "error"),
        *("invalid_cell", "emb", 0, "expected lists of 3 numbers, got int64: 1"),
    ),
    (
        *("a matrix of another width", WITH_ARRAY, lambda: GOOD | {"emb": np.ones((2, 4))}),
        *("error", "list_length_mismatch", "emb", 0, "(expected 3 numbers, got 4)"),
    ),
    (
        *("text instead of a list", WITH_ARRAY, lambda: GOOD | {"emb": ["abc", "def"]}, "error"),
        *("invalid_cell", "emb", 0, "not a list of numbers (expected a list of 3 numbers"),
    ),
    (
        *("columns of unequal lengths", PLAIN, lambda: {"age": [1, 2], "income": [1]}, "error"),
        *("invalid_table", "income", None, "unequal lengths (expected 2 rows"),
    ),
    (
        *("a single row", PLAIN, lambda: {"age": 1, "income": 2}, "error"),
        *("invalid_table", "age", None, "predict_one takes a single row"),
    ),
    (
        *("a row of pandas", PLAIN, lambda: pandas(age=[1.0], income=[2.0]).iloc[0], "error"),
        *("invalid_table", None, None, "predict_one takes a single row"),
    ),
    (
        *("a frame without names", PLAIN, lambda: pandas_unnamed(), "error"),
        *("missing_column", "age", None, "; there are numbers where the column names should be"),
    ),
    (
        *("a matrix", PLAIN, lambda: np.ones((2, 2)), "error"),
        *("invalid_table", None, None, "predict takes matrices"),
    ),
    (
        *("a file name", PLAIN, lambda: "table.parquet", "error"),
        *("invalid_table", None, None, "got str"),
    ),
    (
        *("a query", PLAIN, lambda: polars(**GOOD).lazy(), "error"),
        *("invalid_table", None, None, "collect() it first"),
    ),
    (
        *("a single Arrow array", PLAIN, lambda: pytest.importorskip("pyarrow").array([1.0])),
        *("error", "invalid_table", None, None, "not a table that Arrow can read"),
    ),
    (
        *("a query that fails", PLAIN, lambda: duckdb("select 'x' as age, 1.0 as income")),
        *("error", "invalid_cell", "age", 0, "got string: 'x'"),
    ),
    (
        *("names repeated in the model", ["a", "a"], lambda: {"a": [1]}, "error"),
        *("repeated_feature", None, None, "more than once"),
    ),
    (
        *("too few for a model without names", 3, lambda: GOOD, "error"),
        *("column_count_mismatch", None, None, "expected 3 columns, got 2"),
    ),
    (
        *("nulls of an unknown column", PLAIN, lambda: GOOD, {"agee": 0}),
        *("invalid_nulls", None, None, "did you mean 'age'?"),
    ),
    (
        *("an unknown rule for nulls", PLAIN, lambda: GOOD, "drop"),
        *("invalid_nulls", None, None, "expected 'error', 'nan', or a finite number"),
    ),
    (
        *("infinity for nulls", PLAIN, lambda: GOOD, {"age": 1e39}),
        *("invalid_nulls", None, None, "nulls['age']"),
    ),
]


def pandas_unnamed():
    return pytest.importorskip("pandas").DataFrame([[1.0, 2.0]])


def pandas_repeated():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(np.ones((1, 3)), columns=["age", "income", "age"])


def pandas_categories():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"age": pd.Categorical(["low", "high"]), "income": [1, 2]})


def pandas_dates():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"age": pd.to_datetime(["2026-01-01"]), "income": [1]})


def pandas_nullable():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"age": pd.array([1, None], "Int64"), "income": [1, 2]})


def dictionary():
    return pytest.importorskip("pyarrow").array(["a"]).dictionary_encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_a_bad_table_is_an_error_that_says_where(case):
    _, features, make, nulls, code, column, row, says = case
    table = make()
    with pytest.raises(im.InstModelError) as caught:
        identity(features).predict_table(table, nulls)
    error = caught.value
    assert (error.code, error.column, error.row) == (code, column, row), str(error)
    message = str(error)
    assert says in message
    assert column is None or f"column '{column}'" in message or f"columns '{column}'" in message
    assert row is None or f"row {row}" in message
    assert "\n" not in message
    assert pickle.loads(pickle.dumps(error)).row == row


def test_there_are_at_least_thirty_kinds():
    assert len({case[0] for case in CASES}) >= 30


@pytest.mark.parametrize("rows_before", [0, 1, 5000, 70_000])
def test_rows_count_through_blocks_and_batches(rows_before):
    pa = pytest.importorskip("pyarrow")
    first = pa.table({"a": pa.array(np.ones(rows_before)), "b": np.ones(rows_before)})
    second = pa.table({"a": pa.array([1.0, 1.0]), "b": pa.array([1.0, None])})
    table = pa.concat_tables([first, second])
    with pytest.raises(im.InstModelError) as caught:
        identity(["a", "b"]).predict_table(table)
    assert caught.value.row == rows_before + 1
    columns = {"a": np.ones(rows_before + 2), "b": np.append(np.ones(rows_before + 1), 1e300)}
    with pytest.raises(im.InstModelError) as caught:
        identity(["a", "b"]).predict_table(columns)
    assert caught.value.row == rows_before + 1


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch):
    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            raise AssertionError

    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(im.InstModelError) as caught:
        identity(["a"]).predict_table(Stream())
    assert caught.value.code == "missing_package"
    assert "pip install 'instmodel-inference[arrow]'" in str(caught.value)


def names_of(count):
    return [f"emb[{index}]" for index in range(count)]


@pytest.mark.parametrize(
    ("features", "columns", "says"),
    [
        # What other features take is no suggestion.
        (
            ["emb[16]"],
            [n for n in names_of(16) if n != "emb[3]"],
            "'emb[3]': missing; there are no",
        ),
        (["f3", "f13"], ["f13", "x"], "'f3': missing; the other columns are 'x' "),
        (["emb[3]"], ["emb0", "emb1"], "of 3 numbers, or the columns 'emb[0]' … 'emb[2]'"),
        (["emb[3]"], ["Emb"], "did you mean 'Emb'?"),
        (["age", "b"], ["Age", "c"], "columns 'age', 'b': missing; did you mean 'Age' for 'age'?"),
        (["0", "age"], ["0", "1"], "column 'age': missing; the other columns are '1'"),
        (["age"], ["0", "1"], "there are numbers where the column names should be"),
    ],
)
def test_what_a_missing_column_may_be(features, columns, says):
    with pytest.raises(im.InstModelError) as caught:
        identity(features).predict_table({name: [1.0] for name in columns})
    assert says in str(caught.value)


def test_all_missing_columns_are_listed():
    names = [f"f{index}" for index in range(30)]
    with pytest.raises(im.InstModelError) as caught:
        identity(names).predict_table({"x": [1]})
    assert caught.value.columns == names
    assert caught.value.column == "f0"
    assert "'f18', 'f19' and 10 more: missing" in str(caught.value)


def test_names_that_are_no_text_are_named_as_such():
    with pytest.raises(im.InstModelError, match="as text"):
        identity(["0"]).predict_table({0: [1.0], 1: [2.0]}, as_table=True, keep=[1])
    assert identity(["0"]).predict_table({0: [1.0], 1: [2.0]}, as_table=True, keep=["1"]) == {
        1: [2.0],
        "score": [1.0],
    }
