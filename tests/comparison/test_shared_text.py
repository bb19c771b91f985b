"""Two models that know other text: each gets its own numbers for it."""

from __future__ import annotations

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im
from instmodel.comparison.pair import Pair
from instmodel.tables.rows import read_rows

pytest.importorskip("sklearn")


def model(texts, unknown="error", features=("colour", "age")):
    info = identity(list(features)).info
    if texts is not None:
        info.categories = {"colour": im.Categories(texts, unknown)}
    return im.InstructionModel(info)


def colours(old, new, texts):
    """Return the numbers that each model gets for some text."""
    pair = Pair(old, new, None)
    (batch,) = read_rows({"colour": texts, "age": [1.0] * len(texts)}, pair.reader)
    mine, theirs = pair.scores(batch.inputs)
    place = pair.new.columns.index("colour")
    return mine[:, 0].tolist(), theirs[:, place].tolist()


def test_a_text_keeps_its_meaning_when_its_number_changes():
    old, new = model(["red", "green"]), model(["blue", "green", "red"])
    assert colours(old, new, ["red", "green"]) == ([0, 1], [2, 1])
    assert colours(new, model(["red", "green", "blue"]), ["red", "blue"]) == ([2, 0], [0, 2])


def test_features_may_be_in_another_order():
    new = model(["green", "red"], features=("age", "colour"))
    assert colours(model(["red", "green"]), new, ["red", "green"]) == ([0, 1], [1, 0])


def test_each_model_treats_unknown_text_as_its_document_says():
    old, new = model(["red", "green"], -1), model(["red", "blue"], "nan")
    mine, theirs = colours(old, new, ["red", "green", "blue", "teal"])
    assert mine == [0, 1, -1, -1]
    assert np.array_equal(theirs, [0, np.nan, 1, np.nan], equal_nan=True)


def test_text_that_the_old_model_refuses():
    with pytest.raises(im.InputError) as caught:
        colours(model(["red"]), model(["red", "blue"]), ["red", "blue"])
    assert (caught.value.code, caught.value.column) == ("unknown_category", "colour")
    assert (caught.value.row, caught.value.actual) == (1, "'blue'")


@pytest.mark.parametrize("unknown", ["error", -1])
def test_text_that_the_new_model_refuses(unknown):
    with pytest.raises(im.InputError, match="in the second model") as caught:
        colours(model(["red", "blue"], unknown), model(["red"]), ["red", "blue"])
    assert (caught.value.code, caught.value.actual) == ("unknown_category", "'blue'")


def test_numbers_mean_what_they_mean_to_the_old_model():
    old, new = model(["red", "green"], -1), model(["green", "red"], -2)
    given = [0.0, 1.0, 0.5, 7.0, np.nan]
    mine, theirs = colours(old, new, given)
    assert np.array_equal(mine, given, equal_nan=True)
    assert np.array_equal(theirs, [1, 0, 0.5, 7, np.nan], equal_nan=True)


def test_one_model_with_categories_reads_for_both():
    for old, new in (
        (model(["red", "green"]), model(None)),
        (model(None), model(["red", "green"])),
    ):
        assert colours(old, new, ["green", "red"]) == ([1, 0], [1, 0])


def test_a_comparison():
    old, new = model(["red", "green"]), model(["green", "red", "blue"])
    found = im.compare(old, new, {"colour": ["red", "green", "red"], "age": [1, 2, 3]}, output=0)
    assert (found.rows, found.largest_move) == (3, 1)


def linear(weights, texts):
    b = im.ModelBuilder()
    info = b.build(output=b.dense(b.input(["colour", "age"]), np.array([weights]), None))
    info.categories = {"colour": im.Categories(texts)}
    return im.InstructionModel(info)


def test_text_is_told_as_text():
    pytest.importorskip("sklearn")
    from instmodel.comparison.summary import comparison_summary

    texts = ["red", "green", ""]
    old, new = (linear(weights, texts) for weights in ([1, 0.1], [-1, 0.2]))
    rng = np.random.default_rng(0)
    data, before = (
        {"colour": rng.choice(texts, 300, p=shares), "age": rng.normal(size=300)}
        for shares in ([0.2, 0.4, 0.4], [0.6, 0.2, 0.2])
    )
    found = im.compare(old, new, data, reference=before, dependence=2)
    for mover in found.movers:
        assert mover.texts == {"colour": str(data["colour"][mover.row])}
    shift = next(item for item in found.input_psi if item.name == "colour")
    assert [part.text for part in shift.bins] == texts
    assert shift.bins[0].new_share == np.mean(data["colour"] == "red")
    curves = {curve.name: curve for curve in found.dependence}
    assert curves["colour"].texts == texts
    assert set(curves["age"].texts) == {None}
    tables = {table.id: table for table in comparison_summary(found, "old", "new", 3).tables}
    assert [row[0] for row in tables["input-bins"].rows] == ["red", "green", '""']
    first = found.movers[0].texts["colour"] or '""'
    assert tables["movers"].rows[0][-1].startswith(f"colour={first}, age=")
