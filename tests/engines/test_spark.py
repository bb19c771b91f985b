"""Spark on a cluster of two executors, each a process of its own."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
from support import sparks
from support.processes import KillOne
from support.table_models import identity, labelled, network

import instmodel as im

pa = pytest.importorskip("pyarrow")
pyspark = pytest.importorskip("pyspark")
pytest.importorskip("pandas")  # pyspark converts results through it
if shutil.which("java") is None:
    pytest.skip("Java is not installed", allow_module_level=True)

from instmodel.engines import spark as engine  # noqa: E402

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
    pytest.mark.filterwarnings("ignore"),  # what pyspark does with pandas is not ours
]


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    session = (
        sparks.builder("local-cluster[2,1,1024]", tmp_path_factory.mktemp("spark"))
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "5000")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A Parquet folder and its table: many partitions, and a column too many."""
    import pyarrow.parquet as parquet

    rng = np.random.default_rng(7)
    table = pa.table(
        {"id": np.arange(120_000), "note": ["x"] * 120_000}
        | {f"f{i}": rng.normal(size=120_000).astype(np.float32) for i in range(29, -1, -1)}
    )
    folder = tmp_path_factory.mktemp("rows")
    for part in range(12):
        parquet.write_table(table.slice(10_000 * part, 10_000), folder / f"{part}.parquet")
    return str(folder), table


def local(model, table):
    return dict(zip(table["id"].to_pylist(), model.predict_table(table)[:, 0], strict=True))


def check(found, expected):
    """Every row exactly once, with the same bits."""
    ids = found["id"].to_pylist()
    assert sorted(ids) == sorted(expected)
    scores = np.array(found["score"].to_pylist(), np.float32)
    assert np.array_equal(scores, np.array([expected[i] for i in ids], np.float32))


def test_the_cluster_gives_what_predict_table_gives(spark, rows):
    folder, table = rows
    model = network()
    scored = engine.score(spark.read.parquet(folder), model, keep=["id"])
    assert scored.columns == ["id", "score"]
    assert [field.dataType.typeName() for field in scored.schema] == ["long", "float"]
    check(pa.table(scored.toPandas()), local(model, table))


def test_a_killed_executor_loses_no_row(spark, rows):
    folder, table = rows
    model = network()
    repeated = spark.read.parquet(folder).repartition(40)
    slow = engine.score(repeated, model, keep=["id"]).mapInArrow(slowly, "id long, score float")
    tracker = spark.sparkContext.statusTracker()

    def some_are_done():
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return any(stage and 4 <= stage.numCompletedTasks < 36 for stage in stages)

    with KillOne("CoarseGrainedExecutorBackend", some_are_done) as killer:
        found = pa.table(slow.toPandas())
    assert killer.killed
    check(found, local(model, table))


def slowly(batches):
    import time

    for batch in batches:
        time.sleep(0.05)
        yield batch


def test_lists_decimals_nulls_and_names_that_look_like_paths(spark):
    df = spark.sql(
        "select 1 as `a.b`, array(2, 3) as emb, cast(4.5 as decimal(9, 2)) as d, 1 as `t[0]` "
        "union all select null, array(5, 6), 7, 0"
    )
    model = identity(["d", "emb[2]", "a.b", "t[1]"])
    outputs = ["o1", "o2", "o3", "o4", "o5"]
    found = engine.score(df, model, ["a.b"], outputs, nulls={"a.b": -1}).orderBy("o1")
    assert [tuple(row) for row in found.collect()] == [
        (1, 4.5, 2, 3, 1, 1),
        (None, 7, 5, 6, -1, 0),
    ]
    found = engine.score(df, model, on_bad_row="skip")
    assert found.count() == 1


def test_names_have_no_case_unless_spark_is_told_so(spark):
    model = identity(["Age", "emb[2]"])
    df = spark.createDataFrame([(1, 40.0, [1.0, 2.0])], "Id int, AGE double, EMB array<double>")
    found = engine.score(df, model, keep="ID", nulls={"Age": 0})
    assert found.columns == ["Id", "output_0", "output_1", "output_2"]
    assert [tuple(row) for row in found.collect()] == [(1, 40.0, 1.0, 2.0)]
    with pytest.raises(im.InputError, match="'Id', but for the case"):
        engine.score(df, model, keep="id", outputs=["ID", "x", "y"])
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        with pytest.raises(im.InputError, match="did you mean 'AGE'"):
            engine.score(df, model)
    finally:
        spark.conf.unset("spark.sql.caseSensitive")


def test_errors_come_early_or_name_the_row(spark):
    df = spark.createDataFrame([(1.0, "x"), (None, "y")], "a double, s string")
    with pytest.raises(im.InstModelError, match="did you mean 'a'"):
        engine.score(df, identity(["aa"]))
    with pytest.raises(im.InstModelError, match="column 'no': missing"):
        engine.score(df, identity(["a"]), keep=["no"])
    with pytest.raises(Exception, match=r"column 'a', row \d: the value is null"):
        engine.score(df, identity(["a"])).collect()


def test_text_of_categories(spark):
    frame = spark.createDataFrame([("green", 1), ("red", 2), (None, 3)], ["colour", "age"])
    scored = engine.score(frame, labelled(), keep=["age"], on_bad_row="null")
    found = sorted((row["age"], row["output_0"]) for row in scored.collect())
    assert found == [(1, 1.0), (2, 0.0), (3, None)]


def test_what_spark_holds_is_checked_before_anything_runs(spark):
    df = spark.createDataFrame([(1, "x")], ["a", "text"])
    engine.score(df, identity(["a"]), ["text"])
    with pytest.raises(im.InstModelError, match=r"column 'text'.*expected numbers, got string"):
        engine.score(df, identity(["a", "text"]))
    with pytest.raises(im.InstModelError, match=r"not a Spark data frame; session.createDataFrame"):
        engine.score(pa.table({"a": [1]}).to_pandas(), identity(["a"]))
    with pytest.raises(im.InstModelError, match="load the model first"):
        engine.score(df, "model.json")
