"""Tables of every kind give what `predict` gives for the same numbers."""

from __future__ import annotations

import decimal
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.table_models import identity, network

import instmodel as im

N = 5_000


def columns(size=30):
    rng = np.random.default_rng(3)
    return {f"f{i}": rng.normal(size=N).astype(np.float32) for i in range(size)}


def shuffled():
    """The columns of a network in another order, with one too many in between."""
    found = list(columns().items())
    return dict([*found[:7:-1], ("note", np.array(["x"] * N)), *found[:8]])


def recarray():
    whole = columns()
    table = np.empty(N, [(name, "f8") for name in whole])
    for name, values in whole.items():
        table[name] = values
    return table


class Batch:
    """Hands out one Arrow batch, and nothing else."""

    def __init__(self, batch):
        self._batch = batch

    def __arrow_c_array__(self, requested_schema=None):
        return self._batch.__arrow_c_array__(requested_schema)


def arrow(table):
    return pytest.importorskip("pyarrow").table(table)


TABLES = {
    "dict": shuffled,
    "dict of lists": lambda: {k: v.tolist() for k, v in shuffled().items()},
    "record array": recarray,
    "list of dicts": lambda: [
        dict(zip(shuffled(), row, strict=True)) for row in zip(*shuffled().values(), strict=True)
    ],
    "pyarrow": lambda: arrow(shuffled()),
    "pyarrow in pieces": lambda: pytest.importorskip("pyarrow").concat_tables(
        [arrow(shuffled()).slice(0, 11), arrow(shuffled()).slice(11, 0), arrow(shuffled())[11:]]
    ),
    "a batch": lambda: arrow(shuffled()).to_batches()[0],
    "only __arrow_c_array__": lambda: Batch(arrow(shuffled()).to_batches()[0]),
    "a reader": lambda: arrow(shuffled()).to_reader(max_chunksize=999),
    "a struct array": lambda: arrow(shuffled()).to_struct_array(),
    "pandas": lambda: pytest.importorskip("pandas").DataFrame(shuffled()),
    "pandas with other labels": lambda: (
        pytest.importorskip("pandas").DataFrame(shuffled()).set_index(np.arange(N)[::-1])
    ),
    "pandas on Arrow": lambda: arrow(shuffled()).to_pandas(
        types_mapper=pytest.importorskip("pandas").ArrowDtype
    ),
    "nullable pandas": lambda: pytest.importorskip("pandas").DataFrame(shuffled()).convert_dtypes(),
    "Polars": lambda: pytest.importorskip("polars").DataFrame(shuffled()),
    "DuckDB": lambda: pytest.importorskip("duckdb").from_arrow(arrow(shuffled())),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_scores_as_its_matrix(kind):
    pytest.importorskip("pyarrow" if kind in ("Polars", "DuckDB") else "numpy")
    model = network()
    expected = model.predict(np.column_stack(list(columns().values())))
    got = model.predict_table(TABLES[kind]())
    assert got.dtype == np.float32
    assert np.array_equal(got, expected)


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "<i2", "u4", "i8", "u8", "f2", "f4", "f8", ">f8"]
)
@pytest.mark.parametrize("kind", ["dict", "arrow", "pandas", "polars"])
def test_every_width_of_number(kind, dtype):
    values = np.array([0, 1, 1, 0, 1]).astype(dtype)
    table = {"b": np.ones(5), "a": values}
    if kind != "dict" and dtype == ">f8":
        pytest.skip("Arrow has the machine's byte order")
    if kind == "arrow":
        table = arrow(table)
    elif kind != "dict":
        table = pytest.importorskip(kind).DataFrame(table)
        pytest.importorskip("pyarrow")
    assert identity(["a", "b"]).predict_table(table).tolist() == [[v, 1] for v in [0, 1, 1, 0, 1]]


def test_arrow_types_that_hold_numbers_in_another_way():
    pa = pytest.importorskip("pyarrow")
    numbers = [1.5, -2.25, None, 1.5]
    arrays = {
        "decimal": pa.array([decimal.Decimal("1.5"), decimal.Decimal("-2.25"), None, "1.5"][:3])
        .cast(pa.decimal128(10, 2))
        .take(pa.array([0, 1, 2, 0])),
        "wide decimal": pa.array(numbers).cast(pa.decimal256(40, 2)),
        "dictionary": pa.array(numbers).dictionary_encode(),
        "runs": pa.RunEndEncodedArray.from_arrays([1, 2, 3, 4], pa.array(numbers)),
        "half": pa.array(np.float16([1.5, -2.25, 0, 1.5]), mask=np.array([0, 0, 1, 0], bool)),
        "extension": pa.ExtensionArray.from_storage(
            pa.opaque(pa.float64(), "a", "b"), pa.array(numbers)
        ),
    }
    for name, array in arrays.items():
        got = identity(["a"]).predict_table(pa.table({"a": array}), nulls=7)
        assert got[:, 0].tolist() == [1.5, -2.25, 7, 1.5], name
        got = identity(["a"]).predict_table(pa.table({"a": array}).slice(1, 2), nulls="nan")
        assert np.array_equal(got[:, 0], [-2.25, np.nan], equal_nan=True), name


def test_a_column_of_nothing_but_nulls_has_no_type():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": pa.nulls(2), "emb": pa.nulls(2)})
    got = identity(["a", "emb[2]"]).predict_table(table, {"a": 1, "emb": 2})
    assert got.tolist() == [[1, 2, 2], [1, 2, 2]]


# ------------------------------------------------------------------------------------------- nulls


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars", "dict", "rows"])
def test_what_a_null_becomes(kind):
    cells = {"a": [1.0, None, 3.0], "b": [None, 5.0, 6.0]}
    if kind == "arrow":
        table = arrow(cells)
    elif kind == "rows":
        table = [{"a": a, "b": b} for a, b in zip(*cells.values(), strict=True)]
    elif kind == "dict":
        table = cells
    else:
        table = pytest.importorskip(kind).DataFrame(cells)
        pytest.importorskip("pyarrow")
    model = identity(["b", "a"])
    nan = np.nan
    for nulls, expected in [
        ("nan", [[nan, 1], [5, nan], [6, 3]]),
        (-1, [[-1, 1], [5, -1], [6, 3]]),
        (np.float32(0.5), [[0.5, 1], [5, 0.5], [6, 3]]),
        ({"a": 9, "b": "nan"}, [[nan, 1], [5, 9], [6, 3]]),
        (nan, [[nan, 1], [5, nan], [6, 3]]),
    ]:
        assert np.array_equal(model.predict_table(table, nulls), expected, equal_nan=True)


def test_nan_is_a_number_but_in_pandas():
    table = {"a": np.array([np.nan, 1.0])}
    assert np.isnan(identity(["a"]).predict_table(table)[0, 0])
    assert np.isnan(identity(["a"]).predict_table(arrow(table))[0, 0])
    frame = pytest.importorskip("pandas").DataFrame(table)
    assert identity(["a"]).predict_table(frame, 4).tolist() == [[4], [1]]


def test_infinity_is_a_number():
    assert identity(["a"]).predict_table({"a": np.array([np.inf])}).tolist() == [[np.inf]]


def test_what_lies_under_a_null_does_not_matter():
    pa = pytest.importorskip("pyarrow")
    hidden = pa.array(np.array([1e300, np.nan, 2.0]), mask=np.array([True, True, False]))
    got = identity(["a"]).predict_table(pa.table({"a": hidden}), 0)
    assert got.tolist() == [[0], [0], [2]]


@given(st.lists(st.none() | st.integers(-9, 9), max_size=40), st.integers(0, 9), st.integers(1, 40))
def test_nulls_of_a_slice(cells, start, length):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": pa.array(cells, pa.int32())}).slice(start, length)
    got = identity(["a"]).predict_table(table, 99)
    assert got[:, 0].tolist() == [99 if c is None else c for c in cells[start : start + length]]


# ---------------------------------------------------------------------------------- array features

LIST_TYPES = {
    "list": lambda pa: pa.list_(pa.float64()),
    "large list": lambda pa: pa.large_list(pa.int16()),
    "fixed": lambda pa: pa.list_(pa.float32(), 2),
    "view": lambda pa: pa.list_view(pa.float32()),
    "decimals": lambda pa: pa.list_(pa.decimal128(5, 1)),
}


@pytest.mark.parametrize("kind", LIST_TYPES)
def test_lists_of_every_kind(kind):
    pa = pytest.importorskip("pyarrow")
    cells = [[1, 0], [0, 1], None, [1, None], [1, 1]]
    emb = pa.array(cells, LIST_TYPES[kind](pa))
    model = identity(["emb[2]", "a"])
    table = pa.table({"a": [5.0] * 5, "emb": emb})
    whole = [[1, 0, 5], [0, 1, 5], [8, 8, 5], [1, 8, 5], [1, 1, 5]]
    assert model.predict_table(table, {"emb": 8}).tolist() == whole
    assert model.predict_table(table.slice(1, 3), {"emb": 8}).tolist() == whole[1:4]
    assert model.predict_table(table.slice(4)).tolist() == whole[4:]
    assert model.predict_table(table.slice(5)).shape == (0, 3)


def test_arrays_from_other_tables():
    model = identity(["a", "emb[3]"])
    emb = np.arange(6.0).reshape(2, 3)
    expected = [[1, 0, 1, 2], [2, 3, 4, 5]]
    a = [1, 2]
    assert model.predict_table({"a": a, "emb": emb}).tolist() == expected
    assert model.predict_table({"a": a, "emb": emb.tolist()}).tolist() == expected
    apart = {f"emb[{i}]": emb[:, i] for i in range(3)}
    assert model.predict_table({"a": a} | apart).tolist() == expected
    rows = [{"emb": e, "a": i} for e, i in zip(emb.tolist(), a, strict=True)]
    assert model.predict_table(rows).tolist() == expected
    frame = pytest.importorskip("pandas").DataFrame({"a": a, "emb": list(emb)})
    assert model.predict_table(frame).tolist() == expected
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    frame = pl.DataFrame({"a": a, "emb": emb.tolist()})
    assert model.predict_table(frame).tolist() == expected
    frame = frame.with_columns(pl.col("emb").cast(pl.Array(pl.Float32, 3)))
    assert model.predict_table(frame).tolist() == expected


def test_a_missing_list_in_pandas_is_a_null():
    frame = pytest.importorskip("pandas").DataFrame({"emb": [[1, 2], None, np.nan]})
    got = identity(["emb[2]"]).predict_table(frame, 0)
    assert got.tolist() == [[1, 2], [0, 0], [0, 0]]


# -------------------------------------------------------------------------------------- the rest


def test_no_rows_give_no_scores():
    model = identity(["a", "b"])
    empty = {"a": np.empty(0), "b": np.empty(0)}
    for table in (empty, [], arrow(empty)):
        assert model.predict_table(table).shape == (0, 2)


def test_a_model_without_names_says_once_that_it_counts_columns():
    model = identity(2)
    table = {"y": [1.0], "x": [2.0]}
    with pytest.warns(UserWarning, match="'y', 'x' count by their position"):
        assert model.predict_table(table).tolist() == [[1, 2]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict_table(table)
        model.predict_one({"y": 1, "x": 2})


def test_no_copy_of_the_table_is_made():
    table = {f"f{i}": np.ones(200_000) for i in range(30)}
    model = network()
    model.predict_table({name: values[:10] for name, values in table.items()})
    tracemalloc.start()
    try:
        model.predict_table(table)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    scores, block = 200_000 * 4, 1 << 19
    assert peak < 1.5 * (scores + block), "a float32 matrix would be 24,000,000 bytes"


def test_the_same_bits_as_a_matrix_whatever_the_rows_around():
    table = columns()
    model = network()
    whole = model.predict_table(table)
    for start in (0, 1, 17, 4_990):
        part = {name: values[start : start + 9] for name, values in table.items()}
        assert np.array_equal(model.predict_table(part), whole[start : start + 9])
    assert isinstance(model, im.InstructionModel)


def test_columns_with_empty_slices():
    pa = pytest.importorskip("pyarrow")
    values = pa.array([1.0, 2.0, 3.0])
    column = pa.chunked_array([values[:1], values[1:1], values[1:]])
    assert identity(["a"]).predict_table({"a": column}).ravel().tolist() == [1, 2, 3]


def test_names_that_are_no_text():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for model in (identity(["0", "1"]), identity(2)):
            assert model.predict_table([{0: 1, 1: 2}, {1: 4, 0: 3}]).tolist() == [[1, 2], [3, 4]]
            assert model.predict_table({0: [1], 1: [2]}).tolist() == [[1, 2]]


def test_text_in_pandas_on_arrow_names_its_first_row():
    pandas, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    cells = pandas.array([None, None, "x"], pandas.ArrowDtype(pa.string()))
    with pytest.raises(im.InstModelError, match="column 'a', row 2: the column is of the wrong"):
        identity(["a"]).predict_table(pandas.DataFrame({"a": cells}))


def test_a_scalar_where_a_list_belongs():
    with pytest.raises(im.InstModelError, match="column 'emb', row 0: not a list of numbers"):
        identity(["emb[2]"]).predict_table([{"emb": np.array(5)}])


def test_a_null_cannot_become_what_no_float_holds():
    with pytest.raises(im.InstModelError) as caught:
        identity(["a"]).predict_table({"a": [1]}, nulls=10**400)
    assert caught.value.code == "invalid_nulls"


def test_structs_that_are_null_are_no_rows():
    pa = pytest.importorskip("pyarrow")
    rows = pa.chunked_array([pa.array([{"a": 1.0}, None])])
    with pytest.raises(im.InstModelError) as caught:
        identity(["a"]).predict_table(rows)
    assert caught.value.code == "invalid_table"
