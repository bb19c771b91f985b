"""What a person is told of a comparison."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("sklearn")

from instmodel.comparison.summary import comparison_summary

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(400, 3)).astype(np.float32)


def classifier(outputs, seed):
    weights = np.random.default_rng(seed).normal(size=(outputs, 3))
    b = im.ModelBuilder()
    return b.build(output=b.dense(b.input(3), weights, None, "SOFTMAX"))


def summary(found):
    return comparison_summary(found, "old", "new", values=2)


def tables(found):
    return {table.id: table for table in summary(found).tables}


def test_of_many_classes_it_is_told_what_is_confused_most():
    truth = RNG.integers(0, 16, 400)
    found = im.compare(
        classifier(16, 1), classifier(16, 2), np.column_stack([ROWS, truth]), labels=3
    )
    shown = tables(found)["confusion-new"]
    matrix = np.array(found.new_metrics["confusion_matrix"])
    np.fill_diagonal(matrix, 0)
    assert shown.title == "What is confused most, new"
    counts = [count for _, _, count in shown.rows]
    assert counts == sorted(matrix.ravel().tolist(), reverse=True)[:15]
    assert all(matrix[int(true), int(decided)] == count for true, decided, count in shown.rows)


def test_only_rows_that_all_stay_do_not_move():
    old, new = classifier(2, 1), classifier(2, 2)
    assert summary(im.compare(old, old, ROWS)).finding == "No row moves."
    moved = summary(im.compare(old, new, ROWS, movers=0))
    assert moved.finding == ""
    assert "movers" not in {table.id for table in moved.tables}


def test_a_sample_is_told():
    found = im.compare(classifier(2, 1), classifier(2, 2), ROWS, most_rows=100)
    assert summary(found).notes[1].endswith("are of a random 100 of the rows.")


def test_a_row_is_cut_short_visibly():
    found = im.compare(classifier(2, 1), classifier(2, 2), ROWS, movers=1)
    (mover,) = tables(found)["movers"].rows
    assert (
        mover[-1]
        == ", ".join(f"input {i}={x:.7g}" for i, x in enumerate(found.movers[0].inputs[:2])) + " …"
    )
