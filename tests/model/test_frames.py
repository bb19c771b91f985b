"""Data frames given to `predict`: by position, but never against their names."""

from __future__ import annotations

import numpy as np
import pytest

import instmodel as im


class Frame:
    """As much of a data frame as NumPy and the package look at."""

    def __init__(self, columns, values):
        self.columns = columns
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values


@pytest.fixture
def model():
    b = im.ModelBuilder()
    x = b.input(["age", "emb[2]"])
    return im.InstructionModel(b.build(output=b.dense(x, [[1.0, 10.0, 100.0]])))


@pytest.mark.parametrize("predict", ["predict", "predict_parallel"])
def test_a_frame_with_the_models_columns_is_taken(model, predict):
    frame = Frame(["age", "emb[0]", "emb[1]"], [[1.0, 2.0, 3.0]])
    assert np.asarray(getattr(model, predict)(frame))[0, 0] == 321.0


@pytest.mark.parametrize("predict", ["predict", "predict_parallel"])
@pytest.mark.parametrize(
    ("columns", "column", "expected", "actual"),
    [
        (["emb[0]", "age", "emb[1]"], "emb[0]", "'age'", "'emb[0]'"),
        (["age", "emb[0]"], "emb[1]", "'emb[1]'", "nothing"),
        (["age", "emb[0]", "emb[1]", "zip"], "zip", "no more columns", "'zip'"),
    ],
)
def test_a_frame_with_other_columns_is_refused(model, predict, columns, column, expected, actual):
    frame = Frame(columns, np.ones((2, len(columns))))
    with pytest.raises(im.InstModelError) as caught:
        getattr(model, predict)(frame)
    assert caught.value.code == "column_mismatch"
    error = caught.value
    assert (error.column, error.expected, error.actual) == (column, expected, actual)


def test_a_frame_without_names_counts_by_position(model):
    assert model.predict(Frame([0, 1, 2], [[1.0, 2.0, 3.0]]))[0, 0] == 321.0


def test_columns_name_every_value(model):
    assert model.columns == ["age", "emb[0]", "emb[1]"]


def test_a_model_without_names_takes_any_frame():
    b = im.ModelBuilder()
    model = im.InstructionModel(b.build(output=b.reduce_sum(b.input(2))))
    assert model.predict(Frame(["b", "a"], [[1.0, 2.0]]))[0, 0] == 3.0


class Series:
    """As much of a pandas series as NumPy and the package look at."""

    def __init__(self, index, values):
        self.index = index
        self.values = np.asarray(values)

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return self.values


def test_a_row_of_a_frame_counts_by_position_but_not_against_its_names(model):
    assert model.predict(Series(["age", "emb[0]", "emb[1]"], [1.0, 2.0, 3.0]))[0] == 321.0
    assert model.predict(Series([7, 8, 9], [1.0, 2.0, 3.0]))[0] == 321.0
    with pytest.raises(im.InstModelError) as caught:
        model.predict(Series(["emb[0]", "age", "emb[1]"], [1.0, 2.0, 3.0]))
    assert (caught.value.code, caught.value.column) == ("column_mismatch", "emb[0]")
    assert caught.value.field is None


def test_labels_of_rows_are_no_names():
    b = im.ModelBuilder()
    x = b.input(["age"])
    model = im.InstructionModel(b.build(output=b.dense(x, [[2.0]])))
    result = model.predict_parallel(Series(["row 1", "row 2"], [1.0, 2.0]))
    np.testing.assert_array_equal(np.asarray(result), [[2.0], [4.0]])


MIXED = {
    "one name is a number": ["age", 1, "emb[1]"],
    "several levels": [("a", "age"), ("a", "emb[0]"), ("b", "emb[1]")],
    "dates": [np.datetime64("2026-01-01", "D")] * 3,
    "None": [None, None, None],
}


@pytest.mark.parametrize("predict", ["predict", "predict_parallel"])
@pytest.mark.parametrize("columns", MIXED.values(), ids=MIXED)
def test_names_that_are_no_strings_are_names(model, predict, columns):
    frame = Frame(columns, [[1.0, 2.0, 3.0]])
    for given in (frame, Series(columns, [1.0, 2.0, 3.0]), [Series(columns, [1.0, 2.0, 3.0])] * 2):
        with pytest.raises(im.InstModelError) as caught:
            getattr(model, predict)(given)
        assert caught.value.code == "column_mismatch"


@pytest.mark.parametrize("predict", ["predict", "predict_parallel"])
def test_every_row_in_a_list_counts_by_position_but_not_against_its_names(model, predict):
    right = Series(["age", "emb[0]", "emb[1]"], [1.0, 2.0, 3.0])
    wrong = Series(["age", "emb[1]", "emb[0]"], [1.0, 3.0, 2.0])
    numbered = Series(range(3), [1.0, 2.0, 3.0])
    rows = [right, [1.0, 2.0, 3.0], numbered, right]
    assert np.asarray(getattr(model, predict)(rows)).ravel().tolist() == [321.0] * 4
    for bad in ([*rows, wrong], (wrong, *rows), [wrong]):
        with pytest.raises(im.InstModelError) as caught:
            getattr(model, predict)(bad)
        assert (caught.value.code, caught.value.column) == ("column_mismatch", "emb[1]")


def test_a_row_in_a_list_has_names_even_if_it_has_one_value():
    b = im.ModelBuilder()
    model = im.InstructionModel(b.build(output=b.dense(b.input(["age"]), [[2.0]])))
    assert model.predict([Series(["age"], [3.0])]).tolist() == [[6.0]]
    with pytest.raises(im.InstModelError, match="expected 'age', got 'zip'"):
        model.predict([Series(["zip"], [3.0])])


def test_real_frames_and_their_rows(model):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([[1.0, 2.0, 3.0]] * 2, columns=model.columns)
    swapped = frame[["emb[0]", "age", "emb[1]"]]
    levels = frame.set_axis(pd.MultiIndex.from_product([["a"], model.columns]), axis=1)
    numbered = frame.set_axis(range(3), axis=1)
    for right in (frame, numbered):
        for given in (right, [row for _, row in right.iterrows()]):
            assert model.predict(given).tolist() == [[321.0], [321.0]]
        assert model.predict(right.iloc[0]).tolist() == [321.0]
    for wrong in (swapped, levels):
        for given in (wrong, [row for _, row in wrong.iterrows()], wrong.iloc[0]):
            with pytest.raises(im.InstModelError, match="column_mismatch"):
                model.predict(given)
    assert model.predict(swapped.to_numpy()).tolist() == [[312.0], [312.0]]
