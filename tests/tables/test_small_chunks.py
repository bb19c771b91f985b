"""Tables in many small chunks: they are scored together, and rows are counted as ever."""

from __future__ import annotations

import numpy as np
import pytest
from support.table_models import identity, labelled

import instmodel as im
from instmodel.tables import scoring, streams

pa = pytest.importorskip("pyarrow")

ROWS = 20_000


def in_chunks(table, rows):
    return pa.Table.from_batches(table.to_batches(max_chunksize=rows))


def polars(table):
    pl = pytest.importorskip("polars")
    return pl.concat([pl.from_arrow(piece) for piece in table.to_batches()], rechunk=False)


KINDS = {
    "a table": lambda table: table,
    "a reader": lambda table: table.to_reader(),
    "Polars": polars,
}


@pytest.fixture
def scored(monkeypatch):
    """How many rows were scored at a time."""
    rows = []
    whole = scoring.score_chunk

    def counted(model, chunk, *args, **options):
        rows.append(chunk.rows)
        return whole(model, chunk, *args, **options)

    monkeypatch.setattr(scoring, "score_chunk", counted)
    return rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_small_chunks_are_scored_together(kind, rows, scored):
    y = [None if i % 5 == 3 else i for i in range(ROWS)]
    table = in_chunks(pa.table({"x": np.arange(ROWS) / 3, "y": y}), rows)
    got = identity(["y", "x"]).predict_table(KINDS[kind](table), nulls=-1)
    assert sum(scored) == ROWS
    assert len(scored) <= 4
    expected = np.column_stack([[-1 if v is None else v for v in y], np.arange(ROWS) / 3])
    assert np.array_equal(got, expected.astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_the_row_of_an_error_counts_through_all_chunks(kind):
    values = [1.0] * 12_345 + [None] + [1.0] * 10
    table = KINDS[kind](in_chunks(pa.table({"x": values}), 3))
    with pytest.raises(im.InstModelError) as caught:
        identity(["x"]).predict_table(table)
    assert (caught.value.row, caught.value.column) == (12_345, "x")


def test_large_chunks_stay_where_they_are():
    large, small = pa.table({"x": np.arange(10_000)}), pa.table({"x": np.arange(3)})
    table = pa.concat_tables([small, small, large, small, large])
    for source in (table, table.to_reader()):
        batches = list(streams.open_stream(source).read([0]).items)
        assert [batch.num_rows for batch in batches] == [6, 10_000, 3, 10_000]
    first = next(streams.open_stream(large).read([0]).items).column(0)
    assert first.buffers()[1].address == large["x"].chunk(0).buffers()[1].address


def column(kind):
    pieces = [["red"], ["green"], [None], ["red"]]
    if kind == "texts of other dictionaries":
        return [pa.array(piece, pa.string()).dictionary_encode() for piece in pieces]
    return [pa.array(piece, kind) for piece in pieces]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), "texts of other dictionaries"],
    ids=str,
)
def test_text_in_small_chunks(kind):
    colours = pa.chunked_array(column(kind))
    table = pa.table({"colour": colours, "age": pa.chunked_array([[1], [2], [3], [4]])})
    got = labelled().predict_table(table, {"colour": 9})
    assert got.tolist() == [[0, 1], [1, 2], [9, 3], [0, 4]]


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.bool_(), pa.uint64(), pa.float16(), pa.decimal128(9, 2), pa.decimal256(40, 1)),
        *(pa.dictionary(pa.int8(), pa.float32()), pa.run_end_encoded(pa.int32(), pa.float32())),
    ],
    ids=str,
)
def test_numbers_of_all_kinds_in_small_chunks(kind):
    chunks = []
    for values in ([1, 0], [], [None], [1]):
        plain = pa.array(values, pa.float32())
        if pa.types.is_dictionary(kind):
            chunks.append(plain.dictionary_encode().cast(kind))
        elif pa.types.is_run_end_encoded(kind):
            chunks.append(pa.compute.run_end_encode(plain))
        else:
            chunks.append(plain.cast(kind))
    table = pa.table({"x": pa.chunked_array(chunks)})
    got = identity(["x"]).predict_table(table, nulls=7)
    assert got[:, 0].tolist() == [1, 0, 7, 1]


def test_lists_in_small_chunks():
    table = in_chunks(pa.table({"e": [[1, 2], None, [3, None], [5, 6]]}), 1)
    got = identity(["e[2]"]).predict_table(table, nulls=0)
    assert got.tolist() == [[1, 2], [0, 0], [3, 0], [5, 6]]


def test_what_arrow_cannot_join_is_scored_piece_by_piece(monkeypatch):
    def refuse(column):
        raise pa.ArrowNotImplementedError("cannot")

    monkeypatch.setattr(streams, "_whole", refuse)
    table = in_chunks(pa.table({"x": np.arange(50)}), 1)
    assert np.array_equal(identity(["x"]).predict_table(table)[:, 0], np.arange(50))


def test_score_batches_waits_for_no_second_batch():
    def slow():
        yield pa.record_batch({"x": [1]})
        raise AssertionError("read ahead")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), slow())
    assert next(identity(["x"]).score_batches(reader)).to_pydict() == {"score": [1]}
