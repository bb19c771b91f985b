"""DuckDB and Polars: functions of SQL and expressions that score rows by name."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import build, recurrent
from support.table_models import identity, labelled, network

import instmodel as im

pa = pytest.importorskip("pyarrow")


def columns(rows=10_000, size=30):
    rng = np.random.default_rng(5)
    return {"id": np.arange(rows)} | {f"f{i}": rng.normal(size=rows) for i in range(size)}


# ------------------------------------------------------------------------------------------ DuckDB


@pytest.fixture
def connection():
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        yield connection


def register(connection, model, **options):
    from instmodel.engines import duckdb as engine

    engine.register(connection, model, **options)


def test_a_scalar_is_no_row(connection):
    register(connection, identity(["a"]), name="risk")
    with pytest.raises(Exception, match="risk takes a row"):
        connection.sql("select risk(a) from (values (1.0)) t(a)").fetchall()


def test_sql_scores_are_those_of_predict_table(connection):
    model, table = network(), pa.table(columns())
    register(connection, model)
    connection.register("t", table)
    found = connection.sql("select id, score(t) as p from t order by id").to_arrow_table()
    assert np.array_equal(found["p"].to_numpy(), model.predict_table(table)[:, 0])
    assert found["p"].type == pa.float32()


def test_sql_says_where_values_come_from(connection):
    register(connection, identity(["a", "emb[2]"]), name="f")
    sql = "select f({'emb': [y, 1], 'z': 'text', 'a': x + 1}) as o from (select 2 as x, 3.5 as y)"
    assert connection.sql(sql).fetchall() == [({"output_0": 3, "output_1": 3.5, "output_2": 1},)]


def test_sql_names_have_no_case(connection):
    register(connection, identity(["Age", "emb[2]"]), name="f")
    sql = 'select f(t) from (select 40 as AGE, 1.0 as "EMB[0]", 2.0 as "Emb[1]", \'x\' as note) t'
    assert connection.sql(sql).fetchall() == [({"output_0": 40, "output_1": 1, "output_2": 2},)]
    register(connection, identity(["a", "A"]), name="g")
    with pytest.raises(Exception, match="missing_column"):
        connection.sql("select g(t) from (select 1 as a) t").fetchall()


def test_sql_nulls(connection):
    register(connection, identity(["a"]), name="strict")
    register(connection, identity(["a"]), name="lenient", on_bad_row="null")
    register(connection, identity(["a"]), name="filled", nulls=7)
    rows = "(values (1), (null), (3)) t(a)"
    assert connection.sql(f"select lenient(t), filled(t) from {rows}").fetchall() == [
        (1, 1),
        (None, 7),
        (3, 3),
    ]
    with pytest.raises(Exception, match="row 1: the value is null"):
        connection.sql(f"select strict(t) from {rows}").fetchall()
    with pytest.raises(Exception, match="missing_column"):
        connection.sql("select strict({'b': 1})").fetchall()


@pytest.mark.parametrize("kind", ["VARCHAR", "ENUM('x', 'green', 'red')"])
def test_sql_text_of_categories(connection, kind):
    register(connection, labelled())
    register(connection, labelled(), name="lenient", on_bad_row="null", nulls="nan")
    rows = f"(select c::{kind} as colour, 1 as age from (values ('green'), ('red'), ('x')) v(c))"
    good = f"{rows} t where colour != 'x'"
    found = connection.sql(f"select score(t).output_0 from {good} order by age").fetchall()
    assert sorted(found) == [(0,), (1,)]
    struct = "score({'colour': 'green', 'age': 3})"
    assert connection.sql(f"select {struct}").fetchall() == [({"output_0": 1, "output_1": 3},)]
    found = connection.sql(f"select lenient(t).output_0 from {rows} t").fetchall()
    assert found == [(1,), (0,), (None,)]
    with pytest.raises(Exception, match="unknown_category"):
        connection.sql(f"select score(t) from {rows} t").fetchall()


def test_what_is_no_connection_or_model_is_refused(connection):
    for arguments, says in [
        ((identity(["a"]), connection), "not a connection"),
        ((connection, "model.json"), "load the model first"),
    ]:
        with pytest.raises(im.InstModelError, match=says):
            register(*arguments)


# ------------------------------------------------------------------------------------------ Polars


@pytest.fixture
def pl():
    return pytest.importorskip("polars")


def expression(*arguments, **options):
    from instmodel.engines import polars as engine

    return engine.score(*arguments, **options)


def test_an_expression_scores_eager_lazy_and_streaming(pl):
    model, frame = network(), pl.DataFrame(columns())
    expected = model.predict_table(frame)[:, 0]
    for query in (frame, frame.lazy(), frame.lazy().filter(pl.col("id") >= 0)):
        found = query.with_columns(expression(model))
        if isinstance(found, pl.LazyFrame):
            assert found.collect_schema()["score"] == pl.Float32
            assert np.array_equal(
                found.collect(engine="streaming").sort("id")["score"].to_numpy(), expected
            )
            found = found.collect()
        assert np.array_equal(found["score"].to_numpy(), expected)
        assert found["score"].dtype == pl.Float32


def test_several_outputs_are_a_struct(pl):
    frame = pl.DataFrame({"b": [1, 2], "a": [3, None], "emb": [[5.0, 6.0], [7.0, 8.0]]})
    model = identity(["a", "b", "emb[2]"])
    names = ["w", "x", "y", "z"]
    found = frame.select(expression(model, outputs=names, nulls={"a": 0})).unnest("scores")
    assert found.rows() == [(3, 1, 5, 6), (0, 2, 7, 8)]
    found = frame.select(expression(model, on_bad_row="null"))
    assert found.unnest("scores").rows()[1] == (None,) * 4
    with pytest.raises(Exception, match="row 1: the value is null"):
        frame.select(expression(model))
    assert frame.clear().select(expression(model)).unnest("scores").shape == (0, 4)


@pytest.mark.parametrize("kind", ["String", "Categorical"])
def test_an_expression_takes_text_of_categories(pl, kind):
    texts = pl.Series(["green", None, "red"]).cast(getattr(pl, kind))
    frame = pl.DataFrame({"colour": texts, "age": 1})
    found = frame.select(expression(labelled(), nulls={"colour": 7})).unnest("scores")
    assert found["output_0"].to_list() == [1, 7, 0]


def test_rows_of_other_expressions_stay_in_place(pl):
    frame = pl.DataFrame({"a": range(1000), "g": [0, 1] * 500})
    found = frame.select((expression(identity(["a"])) * 2).sum().over("g").unique())
    assert sorted(found["score"].to_list()) == [2 * 249_500, 2 * 250_000]


# ------------------------------------------------------------------------------------------- both


def test_a_model_without_names_is_refused(connection, pl):
    with pytest.raises(im.InstModelError, match="missing_features"):
        register(connection, identity(2))
    with pytest.raises(im.InstModelError, match="missing_features"):
        expression(identity(2))


# -------------------------------------------------------------------------------------------- both


@pytest.mark.parametrize("how", ["skip", "drop"])
def test_every_row_of_a_query_needs_a_score(connection, how):
    pytest.importorskip("polars")
    from instmodel.engines import polars as engine

    for call in (
        lambda: register(connection, network(), on_bad_row=how),
        lambda: engine.score(network(), on_bad_row=how),
    ):
        with pytest.raises(im.InstModelError) as caught:
            call()
        assert (caught.value.code, caught.value.field) == ("invalid_type", "on_bad_row")


def test_polars_takes_a_model(pl):
    with pytest.raises(im.InstModelError, match="load the model first"):
        expression(pl.DataFrame({"a": [1]}))


def test_a_recurrent_model_has_no_rows_to_score(connection):
    model = build(recurrent())
    with pytest.raises(im.InputError) as caught:
        register(connection, model)
    assert caught.value.code == "needs_sequences"
    pytest.importorskip("polars")
    from instmodel.engines import polars as engine

    with pytest.raises(im.InputError) as caught:
        engine.score(model)
    assert caught.value.code == "needs_sequences"
