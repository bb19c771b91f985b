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
    ("columns", "field"),
    [
        (["emb[0]", "age", "emb[1]"], "column 0"),
        (["age", "emb[0]"], "column 2"),
        (["age", "emb[0]", "emb[1]", "zip"], "column 3"),
    ],
)
def test_a_frame_with_other_columns_is_refused(model, predict, columns, field):
    frame = Frame(columns, np.ones((2, len(columns))))
    with pytest.raises(im.InstModelError) as caught:
        getattr(model, predict)(frame)
    assert caught.value.code == "column_mismatch"
    assert caught.value.field == field


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
    assert (caught.value.code, caught.value.field) == ("column_mismatch", "column 0")


def test_labels_of_rows_are_no_names():
    b = im.ModelBuilder()
    x = b.input(["age"])
    model = im.InstructionModel(b.build(output=b.dense(x, [[2.0]])))
    result = model.predict_parallel(Series(["row 1", "row 2"], [1.0, 2.0]))
    np.testing.assert_array_equal(np.asarray(result), [[2.0], [4.0]])
