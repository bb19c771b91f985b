"""`predict_table(as_table=True)` gives a table of the kind that came, aligned with it."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from support.table_models import identity, network

import instmodel as im
from instmodel.tables import scoring

# The second row is bad (a null), the score of the fourth is NaN.
IDS, AGES = ["a", "b", "c", "d"], [1.0, None, 3.0, float("nan")]


@pytest.fixture
def model():
    return identity(["age"])


def scored(model, table, **options):
    return model.predict_table(table, as_table=True, keep=["id"], outputs=["p"], **options)


def plain(scores):
    """Numbers, None for null and "nan" for NaN."""
    return [None if s is None else "nan" if s != s else s for s in scores]


EXPECTED = {
    "error": (["a", "c", "d"], [1, 3, "nan"]),
    "null": (IDS, [1, None, 3, "nan"]),
    "skip": (["a", "c", "d"], [1, 3, "nan"]),
}


# ------------------------------------------------------------------------------------------ pandas


def nullable(pd, index=(7, 5, 5, 1)):
    """A frame in which NaN and null differ."""
    ages = pd.arrays.FloatingArray(np.array([1, 0, 3, 4.0]), np.array([False, True, False, False]))
    return pd.DataFrame({"id": IDS, "other": "x", "age": ages}, index=list(index))


def test_pandas_keeps_index_and_types():
    pd = pytest.importorskip("pandas")
    frame = nullable(pd).drop(index=5)
    frame["id"] = frame["id"].astype("category")
    found = scored(identity(["age"]), frame)
    assert found.index.tolist() == [7, 1]
    assert list(found.columns) == ["id", "p"]
    assert found["id"].dtype == frame["id"].dtype
    assert found["p"].dtype == np.float32
    assert found["p"].tolist() == [1, 4]


def test_bad_rows_in_pandas(model):
    pd = pytest.importorskip("pandas")
    frame = nullable(pd)
    with pytest.raises(im.InstModelError, match="row 1: the value is null"):
        scored(model, frame)
    found = scored(model, frame, on_bad_row="skip")
    assert found.index.tolist() == [7, 5, 1]
    assert found.to_dict("list") == {"id": ["a", "c", "d"], "p": [1, 3, 4]}
    found = scored(model, frame, on_bad_row="null")
    assert found.index.tolist() == [7, 5, 5, 1]
    assert found["p"].dtype == "Float32"
    assert found["p"].isna().tolist() == [False, True, False, False]
    assert found["p"].dropna().tolist() == [1, 3, 4]


def test_a_nan_score_of_pandas_is_no_null():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"age": [1.0, np.nan], "x": [1e39, 2.0]})
    model = identity(["age", "x"])
    found = model.predict_table(
        frame, {"age": "nan"}, as_table=True, outputs=["p", "q"], on_bad_row="null"
    )
    assert found["p"].to_numpy(object)[0] is pd.NA
    assert np.isnan(found["p"].array._data[1])
    assert found["p"].array._mask.tolist() == found["q"].array._mask.tolist() == [True, False]


def test_pandas_with_columns_and_rows_of_several_levels():
    pd = pytest.importorskip("pandas")
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    index = pd.MultiIndex.from_tuples([(1, "r"), (1, "s")], names=["n", "m"])
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], index, columns)
    found = identity(["('a', 'y')"]).predict_table(frame, as_table=True, keep="*")
    assert found.index.equals(index)
    assert found["score"].tolist() == [2, 4]
    assert found[("a", "x")].tolist() == [1, 3]
    alone = identity(["('a', 'y')"]).predict_table(frame, as_table=True)
    assert alone.shape == (2, 1)


# ------------------------------------------------------------------------------------------ others


@pytest.mark.parametrize("kind", ["Table", "RecordBatch"])
def test_tables_of_arrow_without_rows(model, kind):
    pa = pytest.importorskip("pyarrow")
    schema = pa.schema([("id", pa.string()), ("age", pa.float64())])
    found = scored(model, getattr(pa, kind).from_pylist([], schema))
    assert type(found) is getattr(pa, kind)
    assert found.num_rows == 0
    assert found.schema.names == ["id", "p"]


@pytest.mark.parametrize("fate", EXPECTED)
@pytest.mark.parametrize("kind", ["Polars", "Table", "RecordBatch", "reader", "DuckDB"])
def test_tables_that_know_nulls(kind, fate, model):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"age": pa.array(AGES, from_pandas=False), "other": ["x"] * 4, "id": IDS})
    if fate == "error":
        table = table.filter(pa.array([True, False, True, True]))
    if kind == "Polars":
        source = pytest.importorskip("polars").DataFrame(table)
    elif kind == "RecordBatch":
        (source,) = table.combine_chunks().to_batches()
    elif kind == "reader":
        source = table.to_reader(max_chunksize=1)
    else:
        source = table if kind == "Table" else pytest.importorskip("duckdb").from_arrow(table)
    found = scored(model, source, on_bad_row=fate)
    if kind == "Polars":
        assert type(found) is type(source)
        assert found.schema["p"] == pytest.importorskip("polars").Float32
    else:
        assert isinstance(found, pa.RecordBatch if kind == "RecordBatch" else pa.Table)
        assert found.schema.field("p").type == pa.float32()
    assert (found["id"].to_pylist() if kind != "Polars" else found["id"].to_list()) == EXPECTED[
        fate
    ][0]
    column = found["p"].to_list() if kind == "Polars" else found["p"].to_pylist()
    assert plain(column) == EXPECTED[fate][1]


@pytest.mark.parametrize("fate", EXPECTED)
def test_what_goes_along_in_polars_may_be_of_any_type(fate, model):
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    things = [object() for _ in IDS]
    frame = pl.DataFrame(
        [
            pl.Series("age", AGES if fate != "error" else [1.0, 2.0, 3.0, 4.0]),
            pl.Series("thing", things, dtype=pl.Object),
            pl.Series("wide", [1, 2, 3, 2**100], dtype=pl.Int128),
        ]
    )
    found = model.predict_table(frame, as_table=True, keep="*", on_bad_row=fate)
    assert found.columns == ["age", "thing", "wide", "score"]
    rows = [0, 2, 3] if fate == "skip" else [0, 1, 2, 3]
    assert found["wide"].to_list() == [[1, 2, 3, 2**100][row] for row in rows]
    assert all(a is things[b] for a, b in zip(found["thing"], rows, strict=True))


@pytest.mark.parametrize("fate", EXPECTED)
def test_dicts_of_arrays(fate, model):
    pa = pytest.importorskip("pyarrow")
    rows = [0, 2, 3] if fate == "error" else [0, 1, 2, 3]
    table = {
        "age": [AGES[row] for row in rows],
        "id": [IDS[row] for row in rows],
        "matrix": np.arange(8).reshape(4, 2)[rows],
        "arrow": pa.array(IDS).take(pa.array(rows)),
    }
    found = model.predict_table(
        table, as_table=True, keep=["id", "matrix", "arrow"], outputs="p", on_bad_row=fate
    )
    ids, scores = EXPECTED[fate]
    assert (found["id"], found["arrow"].to_pylist()) == (ids, ids)
    assert found["matrix"][-1].tolist() == [6, 7]
    assert isinstance(found["p"], np.ma.MaskedArray) is (fate == "null")
    assert plain(found["p"].tolist()) == scores


def test_dicts_whose_kept_columns_are_too_short(model):
    with pytest.raises(im.InstModelError, match=r"column 'id'.*unequal lengths"):
        scored(model, {"age": [1, 2], "id": ["a"]})


@pytest.mark.parametrize("fate", EXPECTED)
def test_lists_of_dicts(fate, model):
    rows = [{"id": i, "age": a, 5: "x"} for i, a in zip(IDS, AGES, strict=True)]
    if fate == "error":
        del rows[1]
    found = scored(model, rows, on_bad_row=fate)
    assert ([row["id"] for row in found], plain(row["p"] for row in found)) == EXPECTED[fate]
    assert scored(model, []) == []


def test_record_arrays():
    table = np.array([(1, 2.5, b"x"), (1e39, 3.5, b"y")], [("a", "f8"), ("b", "f4"), ("c", "S1")])
    model = identity(["a"])
    found = model.predict_table(table[:1], as_table=True, keep=["c", "b"])
    assert found.dtype == [("c", "S1"), ("b", "f4"), ("score", "f4")]
    assert found.tolist() == [(b"x", 2.5, 1)]
    found = model.predict_table(table, as_table=True, on_bad_row="skip")
    assert found.tolist() == [(1,)]
    found = model.predict_table(table, as_table=True, keep=["c"], on_bad_row="null")
    assert found.tolist() == [(b"x", 1), (b"y", None)]


def test_tables_without_rows(model):
    pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    table = pa.table({"age": pa.array([], pa.float64()), "id": pa.array([], pa.string())})
    found = scored(model, table)
    assert found.schema == pa.schema({"id": pa.string(), "p": pa.float32()})
    assert scored(model, table.to_reader()).schema == found.schema
    assert scored(model, pl.DataFrame(table)).schema == {"id": pl.String, "p": pl.Float32}
    frame = scored(model, pd.DataFrame({"age": [], "id": []}))
    assert (list(frame.columns), len(frame)) == (["id", "p"], 0)


# ------------------------------------------------------------------------------- names and options


def test_names_of_the_outputs():
    table = {"a": [1], "b": [2]}
    found = identity(["a", "b"]).predict_table(table, as_table=True)
    assert list(found) == ["output_0", "output_1"]
    with pytest.raises(im.InstModelError, match="would be called 'a'"):
        identity(["a"]).predict_table(table, as_table=True, keep=["a"], outputs=["a"])
    with pytest.raises(im.InstModelError, match="column 'c': missing"):
        identity(["a"]).predict_table(table, as_table=True, keep=["c"])
    with pytest.raises(im.InstModelError, match="'error' or 'null' or 'skip'"):
        identity(["a"]).predict_table(table, as_table=True, on_bad_row="drop")


@pytest.mark.parametrize("option", [{"keep": ["id"]}, {"outputs": ["p"]}, {"on_bad_row": "null"}])
def test_an_array_takes_no_options_of_tables(model, option):
    with pytest.raises(im.InstModelError, match="needs as_table=True") as caught:
        model.predict_table({"age": [1], "id": ["a"]}, **option)
    assert caught.value.field == next(iter(option))


def test_a_model_without_names_says_so_to_its_caller():
    model = identity(1)
    with pytest.warns(UserWarning, match="does not name its features") as caught:
        model.predict_table({"x": [1.0]}, as_table=True)
    assert caught[0].filename == __file__


# ----------------------------------------------------------------------------------------- threads


@pytest.fixture
def names_of_threads(monkeypatch):
    """Which threads filled blocks."""
    names = set()
    barrier = threading.Barrier(2, timeout=10)
    whole = scoring.fill

    def watched(*args, **options):
        if threading.current_thread().name not in names:
            names.add(threading.current_thread().name)
            barrier.wait()
        return whole(*args, **options)

    monkeypatch.setattr(scoring, "fill", watched)
    return names


def test_threads_give_the_same_bits(names_of_threads):
    rng = np.random.default_rng(0)
    table = {f"f{i}": rng.normal(size=50_000) for i in range(30)}
    model = network()
    expected = model.predict(np.column_stack(list(table.values())))
    assert np.array_equal(model.predict_table(table, threads=2), expected)
    assert len(names_of_threads) == 2


def test_threads_find_the_first_bad_row():
    values = np.ones(400_000)
    values[[250_000, 150_001, 399_999]] = 1e39
    with pytest.raises(im.InstModelError) as caught:
        identity(["x"]).predict_table({"x": values}, threads=4)
    assert caught.value.row == 150_001
    found = identity(["x"]).predict_table(
        {"x": values}, as_table=True, on_bad_row="null", threads=4
    )
    assert np.flatnonzero(found["score"].mask).tolist() == [150_001, 250_000, 399_999]


def test_how_many_threads_is_asked_for_as_everywhere(monkeypatch):
    model = identity(["x"])
    for count in (0, -1):
        with pytest.raises(im.InstModelError, match="invalid_thread_count"):
            model.predict_table({"x": [1]}, threads=count)
    monkeypatch.setitem(os.environ, "INSTMODEL_NUM_THREADS", "none")
    with pytest.raises(im.InstModelError, match="INSTMODEL_NUM_THREADS"):
        model.predict_table({"x": [1]})
