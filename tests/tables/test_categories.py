"""Text of features with categories, in every kind of table, and what is no category."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im

TEXTS = ["green", "", "red", "green"]
CODES = [1, 2, 0, 1]


def model(unknown="error", features=("colour", "age")):
    """A model whose outputs are its inputs, the first of which has three categories."""
    info = identity(list(features)).info
    name = features[0].partition("[")[0]
    info.categories = {name: im.Categories(["red", "green", ""], unknown)}
    return im.InstructionModel(info)


def scored(table, unknown="error", **options):
    return model(unknown).predict_table(table, **options)[:, 0].tolist()


def refused(call, *arguments, **options):
    with pytest.raises(im.InputError) as caught:
        call(*arguments, **options)
    return caught.value


# ---------------------------------------------------------------------------------- kinds of tables


def table(texts, age=1):
    return {"colour": texts, "age": [age] * len(texts)}


def of_pandas(dtype):
    def make(texts):
        pandas = pytest.importorskip("pandas")
        if dtype == "str" and pandas.__version__ < "3":
            pytest.skip("before pandas 3, it makes text of what is missing")
        kind = pandas.StringDtype("python") if dtype == "python" else dtype
        column = pandas.Series(texts, dtype=object).astype(kind)
        return pandas.DataFrame({"colour": column, "age": 1})

    return make


def of_arrow(dtype):
    def make(texts):
        pa = pytest.importorskip("pyarrow")
        column = pa.array(texts)
        if dtype == "dictionary":
            column = column.dictionary_encode()
        elif dtype == "large dictionary":  # of more texts than the table has rows
            others = [f"x{i}" for i in range(100)]
            names = pa.array([*others, *dict.fromkeys(text for text in texts if text is not None)])
            places = [None if text is None else names.to_pylist().index(text) for text in texts]
            column = pa.DictionaryArray.from_arrays(pa.array(places, pa.int8()), names)
        elif dtype == "run ends":
            ends = pa.array(range(1, len(texts) + 1), pa.int32())
            column = pa.RunEndEncodedArray.from_arrays(ends, column)
        else:
            column = column.cast(getattr(pa, dtype)())
        return pa.table({"colour": column, "age": [1] * len(texts)})

    return make


def of_polars(*dtypes):
    def make(texts):
        pl = pytest.importorskip("polars")
        pytest.importorskip("pyarrow")
        kind = getattr(pl, dtypes[0])
        if dtypes[0] == "Enum":
            kind = kind(["other", *dict.fromkeys(text for text in texts if text is not None)])
        return pl.DataFrame({"colour": texts, "age": 1}, schema_overrides={"colour": kind})

    return make


KINDS = {
    "lists": table,
    "objects": lambda texts: table(np.array(texts, object)),
    "rows": lambda texts: [{"colour": text, "age": 1} for text in texts],
    "pandas object": of_pandas(object),
    "pandas string": of_pandas("string"),
    "pandas string of Python": of_pandas("python"),
    "pandas category": of_pandas("category"),
    "pandas str": of_pandas("str"),
    "Arrow string": of_arrow("string"),
    "Arrow large_string": of_arrow("large_string"),
    "Arrow string_view": of_arrow("string_view"),
    "Arrow dictionary": of_arrow("dictionary"),
    "Arrow large dictionary": of_arrow("large dictionary"),
    "Arrow run ends": of_arrow("run ends"),
    "Polars String": of_polars("String"),
    "Polars Categorical": of_polars("Categorical"),
    "Polars Enum": of_polars("Enum"),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def make(request):
    return request.param


def test_text_is_the_number_of_its_category(make):
    assert scored(make(TEXTS)) == CODES


def test_many_blocks_of_rows(make):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 150_000)
    assert np.array_equal(scored(make(np.array(TEXTS[1:], object)[(codes + 1) % 3])), codes)


def test_a_null_is_no_category_and_does_what_nulls_says(make):
    nulls = make(["red", None, "green"])
    error = refused(scored, nulls, unknown=7)
    assert (error.code, error.column, error.row) == ("null_value", "colour", 1)
    assert np.array_equal(scored(nulls, nulls="nan"), [0, np.nan, 1], equal_nan=True)
    assert scored(nulls, nulls={"colour": 2}) == [0, 2, 1]


def test_unknown_text_is_an_error_with_place_text_and_the_closest_category(make):
    error = refused(scored, make(["red", "Greem", "green"]))
    assert (error.code, error.column, error.row) == ("unknown_category", "colour", 1)
    assert error.actual == "'Greem'"
    assert "did you mean 'green'?" in error.message
    assert error.expected == "one of 'red', 'green', ''"


@pytest.mark.parametrize(("unknown", "number"), [("nan", np.nan), (-1, -1), (0.5, 0.5)])
def test_unknown_text_is_what_the_document_says(make, unknown, number):
    found = scored(make(["red", "blue", "green"]), unknown)
    assert np.array_equal(found, [0, number, 1], equal_nan=True)
    # NaN that stands for a text is no null.
    found = scored(make(["red", "blue", None]), unknown, nulls=9)
    assert np.array_equal(found, [0, number, 9], equal_nan=True)


def test_arrays_of_numpy_text():
    assert scored(table(np.array(TEXTS))) == CODES
    assert scored(table(np.ma.array(TEXTS, mask=[0, 1, 0, 0])), nulls=5) == [1, 5, 0, 1]
    if hasattr(np.dtypes, "StringDType"):
        assert scored(table(np.array(TEXTS, np.dtypes.StringDType()))) == CODES


def test_numbers_are_those_of_the_categories_as_before():
    found = [2.0, 0.0, 7.5]
    assert scored(table([2, 0, 7.5])) == found
    assert scored(table(np.array(found))) == found
    assert scored(table(["", 0, 7.5])) == found
    assert model().predict([[2, 1]]).tolist() == [[2, 1]]


def test_categories_of_pandas_that_no_row_has_may_be_unknown():
    pandas = pytest.importorskip("pandas")
    column = pandas.Categorical(["red", "green"], ["blue", "green", "red"])
    assert scored(pandas.DataFrame({"colour": column, "age": 1})) == [0, 1]


def test_numbers_that_are_categories_of_pandas_stay_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"colour": pandas.Categorical([2, 0]), "age": 1})
    assert scored(frame) == [2, 0]


def test_a_table_in_several_parts():
    pa = pytest.importorskip("pyarrow")
    parts = [pa.array(TEXTS[:2]), pa.array(TEXTS[2:])]
    for chunks in (parts, [part.dictionary_encode() for part in parts]):
        made = pa.table({"colour": pa.chunked_array(chunks), "age": [1] * 4})
        assert scored(made) == CODES
        assert scored(made.slice(1, 2)) == CODES[1:3]


def test_text_without_categories_is_the_error_that_it_was(make):
    turned = identity(["colour", "age"])
    error = refused(turned.predict_table, make(["red", "green"]))
    assert error.code == "invalid_cell"


# ------------------------------------------------------------------------------------------ arrays


def test_values_of_an_array_feature_share_their_categories():
    lists = [["red", "green"], ["", "red"]]
    tags = model(features=("tags[2]", "age"))
    expected = [[0, 1, 1], [2, 0, 1]]
    given = [
        {"tags": lists, "age": [1, 1]},
        {"tags": np.array(lists), "age": [1, 1]},
        {"tags[0]": ["red", ""], "tags[1]": ["green", "red"], "age": [1, 1]},
        [{"tags": row, "age": 1} for row in lists],
    ]
    for one in given:
        assert tags.predict_table(one).tolist() == expected
    assert tags.predict_one({"tags": ["", "green"], "age": 3}).tolist() == [2, 1, 3]


@pytest.mark.parametrize("encoded", [False, True])
def test_lists_of_text_in_arrow(encoded):
    pa = pytest.importorskip("pyarrow")
    tags = model(features=("tags[2]", "age"))
    text = pa.array(["red", "green", "", None, "x", "red"])
    values = text.dictionary_encode() if encoded else text
    made = pa.table({"tags": pa.FixedSizeListArray.from_arrays(values, 2), "age": [1, 1, 1]})
    error = refused(tags.predict_table, made, nulls="nan")
    assert (error.code, error.row, error.actual) == ("unknown_category", 2, "'x'")
    found = tags.predict_table(made.slice(0, 2), nulls=9)
    assert found.tolist() == [[0, 1, 1], [2, 9, 1]]


# ----------------------------------------------------------------------------------------- one row


def test_one_row():
    one = model().predict_one
    assert one({"colour": "green", "age": 3}).tolist() == [1, 3]
    assert one({"colour": np.str_(""), "age": 3}).tolist() == [2, 3]
    assert one({"colour": 1, "age": 3}).tolist() == [1, 3]
    assert one({"colour": None, "age": 3}, nulls=2).tolist() == [2, 3]
    error = refused(one, {"colour": "gren", "age": 3})
    assert (error.code, error.column, error.row) == ("unknown_category", "colour", None)
    assert "did you mean 'green'?" in error.message
    assert refused(one, {"colour": "red", "age": "red"}).code == "invalid_cell"
    assert refused(one, {"colour": b"red", "age": 1}).code == "invalid_cell"


def test_one_row_of_unknown_text():
    row = {"colour": "blue", "age": 3}
    assert model(-1).predict_one(row).tolist() == [-1, 3]
    assert np.isnan(model("nan").predict_one(row)[0])


def test_one_row_as_a_series():
    pandas = pytest.importorskip("pandas")
    assert model().predict_one(pandas.Series({"colour": "green", "age": 3})).tolist() == [1, 3]


def test_a_matrix_of_text_is_told_to_be_a_table():
    pandas = pytest.importorskip("pandas")
    error = refused(model().predict, pandas.DataFrame(table(["red"])))
    assert error.code == "invalid_type"
    assert "`predict_table` takes text of categories" in error.expected


def test_a_model_that_travelled_reads_the_same_text():
    again = pickle.loads(pickle.dumps(model(-1)))
    assert again.predict_table(table(["", "blue"]))[:, 0].tolist() == [2, -1]


# ----------------------------------------------------------------------------------------- batches


def test_bad_rows_of_batches():
    pa = pytest.importorskip("pyarrow")
    batch = pa.record_batch({"colour": ["red", "blue", "green"], "age": [1, 1, 1]})
    error = refused(lambda: list(model().score_batches([batch])))
    assert (error.code, error.row) == ("unknown_category", 1)
    (found,) = model().score_batches([batch], on_bad_row="skip")
    assert found["output_0"].to_pylist() == [0, 1]
    (found,) = model().score_batches([batch], on_bad_row="null")
    assert found["output_0"].to_pylist() == [0, None, 1]
