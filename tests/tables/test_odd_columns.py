"""Columns that nobody asked for, of types and names that libraries stumble over."""

from __future__ import annotations

import numpy as np
import pytest
from support.table_models import identity, labelled

import instmodel as im
from instmodel import jobs

pa = pytest.importorskip("pyarrow")


@pytest.fixture
def pl():
    return pytest.importorskip("polars")


def test_columns_that_arrow_cannot_hold_do_not_matter(pl):
    frame = pl.DataFrame(
        [
            pl.Series("x", [1.5, 2.5]),
            pl.Series("wide", [1, 2], dtype=pl.Int128),
            pl.Series("anything", [object(), object()], dtype=pl.Object),
        ]
    )
    model = identity(["x"])
    assert model.predict_table(frame).tolist() == [[1.5], [2.5]]
    assert [batch.to_pydict() for batch in model.score_batches(frame)] == [{"score": [1.5, 2.5]}]
    found = im.verify(model, {"x": frame["x"]}, against=model)
    assert im.verify(model, frame, against=model).rows == found.rows == 2


def test_wide_integers_of_polars_are_numbers(pl):
    frame = pl.DataFrame({"x": pl.Series([3, None, -(2**70)], dtype=pl.Int128)})
    assert identity(["x"]).predict_table(frame, nulls=7)[:, 0].tolist() == [3, 7, -(2.0**70)]


def test_wide_integers_in_lists_and_series_of_polars(pl):
    lists = pl.Series([[1, 2], [2**90, 3]], dtype=pl.List(pl.Int128))
    model = identity(["e[2]"])
    expected = [[1, 2], [2.0**90, 3]]
    for column in (lists, lists.cast(pl.Array(pl.Int128, 2))):
        assert model.predict_table(pl.DataFrame({"e": column})).tolist() == expected
        assert model.predict_table({"e": column}).tolist() == expected
    found = identity(["x"]).predict_table({"x": pl.Series([5, None], dtype=pl.Int128)}, nulls=1)
    assert found.tolist() == [[5], [1]]


def not_utf8():
    ends, text = np.array([0, 3, 4], np.int32), b"red\xff"
    return pa.Array.from_buffers(pa.string(), 2, [None, *map(pa.py_buffer, (ends, text))])


def test_text_that_is_not_utf8_is_a_bad_cell():
    table = pa.table({"colour": not_utf8(), "age": [1, 2]})
    with pytest.raises(im.InstModelError, match=r"'colour', row 1: the text is not UTF-8"):
        labelled().predict_table(table, nulls=0)
    (batch,) = labelled().score_batches(table, on_bad_row="skip")
    assert batch.to_pydict() == {"output_0": [0], "output_1": [1]}
    with pytest.raises(
        im.InstModelError, match=r"'colour', row 0: the column is of the wrong type"
    ):
        identity(["colour"]).predict_table(table[1:])


def test_objects_of_polars_are_refused(pl):
    frame = pl.DataFrame({"x": pl.Series([object()], dtype=pl.Object)})
    with pytest.raises(im.InstModelError, match=r"column 'x'.*wrong type.*Object"):
        identity(["x"]).predict_table(frame)


def test_duckdb_hands_over_only_what_is_needed():
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        relation = connection.sql("""select 1 as "a.b", 2 as "x""y", error('read') as other""")
        assert identity(['x"y', "a.b"]).predict_table(relation).tolist() == [[2, 1]]
        both = connection.sql("select 1 as a, 2 as A")
        assert identity(["A"]).predict_table(both).tolist() == [[2]]


def test_a_column_named_as_what_is_in_a_struct(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"user": [{"age": 1}], "user.age": [2.0]})
    parquet.write_table(table, tmp_path / "in.parquet")
    for keep in ([], ["user"]):
        job = jobs.Job(
            identity(["user.age"]), tmp_path / "in.parquet", tmp_path / "out.parquet", keep
        )
        jobs.run(job)
        found = parquet.read_table(tmp_path / "out.parquet")
        assert found.column_names == [*keep, "score"]
        assert found["score"].to_pylist() == [2]
        (tmp_path / "out.parquet").unlink()


def test_a_column_of_a_table_in_memory_named_as_what_is_in_a_struct(pl):
    columns = {"user": [{"age": 1}], "user.age": [2]}
    for table in (pa.table(columns), pl.DataFrame(columns)):
        assert np.array_equal(identity(["user.age"]).predict_table(table), [[2]])
