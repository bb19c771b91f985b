"""Features that no score depends on need no column, and what stands in theirs does not matter."""

from __future__ import annotations

import numpy as np
import pytest

import instmodel as im
from instmodel import jobs

NAMES = ["a", "b", "name", "emb[3]", "gone[2]"]


@pytest.fixture
def model():
    """Gives b, and the middle of emb."""
    builder = im.ModelBuilder()
    x = builder.input(NAMES)
    return im.InstructionModel(builder.build(output=builder.copy_masked(x, [1, 4])))


def table(**more):
    return {"b": [1.0, 2.0], "emb": [[0, 3, 0], [0, 4, 0]], **more}


EXPECTED = [[1, 3], [2, 4]]


def test_only_what_is_read_must_be_there(model):
    assert model.read_inputs == (1, 4)
    assert model.predict_table(table()).tolist() == EXPECTED
    parts = {"b": [1.0, 2.0], "emb[1]": [3, 4]}
    assert model.predict_table(parts).tolist() == EXPECTED
    with pytest.raises(im.InstModelError) as caught:
        model.predict_table({"a": [1.0], "name": [2.0]})
    assert caught.value.columns == ["b", "emb"]


@pytest.mark.parametrize("kind", ["dict", "pandas", "polars", "pyarrow"])
def test_what_is_not_read_may_be_anything(model, kind):
    columns = table(a=[None, 1e300], name=["x", "y"])
    if kind != "dict":
        library = pytest.importorskip(kind)
        pytest.importorskip("pyarrow")
        columns = library.table(columns) if kind == "pyarrow" else library.DataFrame(columns)
    assert model.predict_table(columns).tolist() == EXPECTED


def test_rules_for_nulls_may_name_it(model):
    assert model.predict_table(table(), {"a": 7, "b": 0}).tolist() == EXPECTED
    assert model.predict_one({"b": None, "emb": [0, 3, 0]}, {"a": 7, "b": 5}).tolist() == [5, 3]


def test_one_row():
    builder = im.ModelBuilder()
    x = builder.input(["a", "b", "c"], {"c": ["red", "green"]})
    model = im.InstructionModel(builder.build(output=builder.copy_masked(x, [2, 1])))
    for row in ({"b": 2.0, "c": "green"}, {"a": "text", "b": 2, "c": 1}, {"b": np.int8(2), "c": 1}):
        assert model.predict_one(row).tolist() == [1, 2]
    with pytest.raises(im.InstModelError, match="column 'b': missing"):
        model.predict_one({"a": 1, "c": 1})


def test_arrays_hold_all_features(model):
    assert model.predict([[0, 1, 0, 0, 3, 0, 0, 0]]).tolist() == [[1, 3]]
    with pytest.raises(im.InstModelError, match="input_size_mismatch"):
        model.predict([[1, 0, 3, 0]])


def test_a_model_that_reads_nothing_tells_the_rows_by_its_features():
    builder = im.ModelBuilder()
    builder.input(["a"])
    model = im.InstructionModel(builder.build(output=builder.constant([5.0])))
    assert model.predict_table({"a": [1, 2]}).tolist() == [[5], [5]]


def test_models_without_names_take_all_columns():
    builder = im.ModelBuilder()
    model = im.InstructionModel(builder.build(output=builder.copy_masked(builder.input(3), [1])))
    with pytest.warns(UserWarning, match="does not name"):
        found = model.predict_table({"x": ["text"], "y": [2], "z": [None]})
    assert found.tolist() == [[2]]
    with pytest.raises(im.InstModelError, match="column_count_mismatch"):
        model.predict_table({"y": [2]})


def test_batches_jobs_and_expressions(model, tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = pa.table(table())
    (batch,) = model.score_batches(columns)
    assert [list(row.values()) for row in batch.to_pylist()] == EXPECTED
    parquet.write_table(columns, tmp_path / "in.parquet")
    jobs.run(jobs.Job(model, tmp_path / "in.parquet", tmp_path / "out.parquet"))
    found = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [list(row.values()) for row in found] == EXPECTED
    pl = pytest.importorskip("polars")
    from instmodel.engines import polars as engine

    found = pl.DataFrame(table()).select(engine.score(model)).unnest("scores")
    assert found.rows() == [(1, 3), (2, 4)]
