"""Record batches in, record batches out."""

from __future__ import annotations

import numpy as np
import pytest
from support.table_models import identity, network

import instmodel as im

pa = pytest.importorskip("pyarrow")

TABLE = pa.table(
    {
        "id": ["a", "b", "c", "d"],
        "y": [1.0, None, 1e300, 4.0],
        "x": [5, 6, 7, None],
    }
)


def score(model, table=TABLE, size=3, **options):
    batches = list(model.score_batches(table.to_batches(size), **options))
    assert len({batch.schema for batch in batches}) == 1
    return pa.Table.from_batches(batches)


def test_scores_are_those_of_predict_table_in_as_many_batches():
    rng = np.random.default_rng(0)
    table = pa.table({f"f{i}": rng.normal(size=10_000) for i in range(30)})
    model = network()
    batches = list(model.score_batches(table.to_batches(999), keep=["f3"]))
    assert [batch.num_rows for batch in batches] == [999] * 10 + [10]
    result = pa.Table.from_batches(batches)
    assert result.column_names == ["f3", "score"]
    assert result["f3"].equals(table["f3"])
    assert np.array_equal(result["score"].to_numpy(), model.predict_table(table)[:, 0])


def test_bad_rows_become_null():
    result = score(identity(["x", "y"]), keep=["id"], outputs=["p", "q"], on_bad_row="null")
    assert result.to_pydict() == {
        "id": ["a", "b", "c", "d"],
        "p": [5.0, None, None, None],
        "q": [1.0, None, None, None],
    }


def test_bad_rows_are_left_out():
    result = score(identity(["x", "y"]), keep=["id", "y"], nulls={"x": 0}, on_bad_row="skip")
    assert result.to_pydict() == {
        "id": ["a", "d"],
        "y": [1.0, 4.0],
        "output_0": [5.0, 0.0],
        "output_1": [1.0, 4.0],
    }


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_first_bad_row_is_an_error(size):
    with pytest.raises(im.InstModelError) as caught:
        score(identity(["x", "y"]), size=size, nulls={"y": 0})
    assert (caught.value.row, caught.value.column) == (2, "y")


def test_a_bad_row_in_every_block_is_found():
    rows = 20_000
    y = np.ones(rows)
    y[::7] = 1e39
    result = score(identity(["y"]), pa.table({"y": y}), 11_111, on_bad_row="null")
    expected = [None if row % 7 == 0 else 1.0 for row in range(rows)]
    assert result["score"].to_pylist() == expected


def test_lists_of_the_wrong_length_are_bad_rows():
    table = pa.table({"e": [[1, 2], [1], None, [3, None], [5, 6]]})
    result = score(identity(["e[2]"]), table, 5, on_bad_row="skip")
    assert result.to_pydict() == {"output_0": [1, 5], "output_1": [2, 6]}


def test_what_is_wrong_with_the_columns_is_always_an_error():
    with pytest.raises(im.InstModelError, match="missing_column"):
        score(identity(["z"]), on_bad_row="skip")
    with pytest.raises(im.InstModelError, match="wrong type"):
        score(identity(["id"]), on_bad_row="skip")
    with pytest.raises(im.InstModelError, match="column 'zip': missing"):
        score(identity(["x"]), keep=["zip"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"outputs": ["a"]}, "expected 2 names"),
        ({"outputs": ["a", "a"]}, "would be called 'a'"),
        ({"outputs": ["a", "id"], "keep": ["id"]}, "would be called 'id'"),
        ({"outputs": ["a", 3]}, "expected 2 names"),
        ({"on_bad_row": "drop"}, "'error' or 'null' or 'skip'"),
        ({"nulls": "zero"}, "'error', 'nan', or a finite number"),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(im.InstModelError, match=says):
        score(identity(["x", "y"]), **options)


def test_batches_must_be_alike():
    other = TABLE.select(["x", "y"])
    with pytest.raises(im.InstModelError, match="different columns"):
        list(identity(["x"]).score_batches([*TABLE.to_batches(3)[:1], *other.to_batches()]))
    with pytest.raises(im.InstModelError, match="pyarrow record batches"):
        list(identity(["x"]).score_batches([{"x": [1]}]))


def test_any_stream_is_taken_and_nothing_gives_nothing():
    table = pa.table({"x": [1.0, 2.0]})
    for stream in (table, table.to_reader(), iter(table.to_batches())):
        (batch,) = identity(["x"]).score_batches(stream)
        assert batch.to_pydict() == {"score": [1, 2]}
    assert list(identity(["x"]).score_batches([])) == []
    empty = list(identity(["x"]).score_batches(table.to_batches()[0:1]))
    assert empty[0].schema.names == ["score"]


def test_batches_are_scored_when_they_are_asked_for():
    def endless():
        while True:
            yield pa.record_batch({"x": [1.0]})

    results = identity(["x"]).score_batches(endless())
    assert next(results).num_rows == next(results).num_rows == 1


@pytest.mark.parametrize("batches", [None, 3, [3], "text"])
def test_what_holds_no_batches(batches):
    with pytest.raises(im.InstModelError, match="expected pyarrow record batches"):
        list(identity(["a"]).score_batches(batches))


def test_a_table_is_no_batch():
    with pytest.raises(im.InstModelError, match="expected pyarrow record batches"):
        list(identity(["a"]).score_batches([pa.table({"a": [1.0]})]))
