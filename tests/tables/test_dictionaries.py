"""Kept dictionary columns stay dictionaries in files, whatever dictionaries their batches have."""

from __future__ import annotations

import datetime
import decimal

import pytest
from support.table_models import identity

from instmodel import jobs

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

VALUES = {
    "text": (pa.string(), ["a", "b", "c", "d"]),
    "large text": (pa.large_string(), ["a", "b", "c", "d"]),
    "views of text": (pa.string_view(), ["a", "b", "c", "d"]),
    "integers": (pa.int64(), [1, 2, 3, 2**60]),
    "floats": (pa.float64(), [0.5, float("inf"), 3.0, 4.0]),
    "dates": (pa.date32(), [datetime.date(2026, 1, day) for day in (1, 2, 3, 4)]),
    "decimals": (pa.decimal128(5, 2), [decimal.Decimal(text) for text in ("1", "2", "3", "4.5")]),
}


def rows(kind, values, ordered=False):
    """Batches whose dictionaries differ: in their values, their order, and not at all."""
    a, b, c, d = values
    for distinct, places in (
        ([a, b], [0, 1, None]),
        ([b, c], [0, 1]),
        ([c, b], [1, 1]),
        ([c, b], [0, None]),
        ([a, d, None], [1, 0, 2]),
    ):
        cells = pa.DictionaryArray.from_arrays(
            pa.array(places, pa.int8()), pa.array(distinct, kind), ordered=ordered
        )
        numbers = pa.array([1.0] * len(places))
        yield pa.record_batch({"kept": cells, "x": numbers})


def expected(values):
    a, b, c, d = values
    return [a, b, None, b, c, b, b, c, None, d, a, None]


def save(batches, path):
    """Write an Arrow stream, in which dictionaries may be replaced."""
    with pa.ipc.new_stream(path, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def run(tmp_path, batches, name, batch_rows=None):
    save(batches, tmp_path / "in.arrow")
    output = tmp_path / name
    job = jobs.Job(identity(["x"]), tmp_path / "in.arrow", output, ["kept"], batch_rows=batch_rows)
    jobs.run(job)
    return output


@pytest.mark.parametrize("batch_rows", [None, 1, 2])
@pytest.mark.parametrize("kind", VALUES)
def test_an_arrow_file_has_one_dictionary(tmp_path, kind, batch_rows):
    held, values = VALUES[kind]
    path = run(tmp_path, list(rows(held, values)), "out.arrow", batch_rows)
    with pa.ipc.open_file(path) as reader:
        found = reader.read_all()
    stored = pa.large_string() if pa.types.is_string_view(held) else held
    assert found.schema.field("kept").type == pa.dictionary(pa.int32(), stored)
    assert found["kept"].to_pylist() == expected(values)
    assert found["score"].to_pylist() == [1.0] * 12


def test_polars_reads_the_categories(tmp_path):
    pl = pytest.importorskip("polars")
    kind, values = VALUES["text"]
    path = run(tmp_path, list(rows(kind, values)), "out.arrow", 2)
    found = pl.read_ipc(path)["kept"]
    assert found.dtype in (pl.Categorical, pl.Enum)
    assert found.to_list() == expected(values)


def test_categories_of_several_files_are_joined(tmp_path):
    (tmp_path / "in").mkdir()
    for index, batch in enumerate(list(rows(*VALUES["text"]))[:4]):
        parquet.write_table(pa.Table.from_batches([batch]), tmp_path / "in" / f"{index}.parquet")
    job = jobs.Job(identity(["x"]), tmp_path / "in", tmp_path / "out.arrow", ["kept"])
    jobs.run(job)
    with pa.ipc.open_file(tmp_path / "out.arrow") as reader:
        found = reader.read_all()["kept"]
    assert pa.types.is_dictionary(found.type)
    assert found.to_pylist() == expected(VALUES["text"][1])[:9]


@pytest.mark.parametrize("same", [True, False])
def test_an_order_of_categories_stays_if_it_is_one(tmp_path, same):
    batches = list(rows(*VALUES["text"], ordered=True))
    path = run(tmp_path, [batches[0]] * 3 if same else batches, "out.arrow", 1)
    with pa.ipc.open_file(path) as reader:
        assert reader.schema.field("kept").type.ordered is same


def test_dictionaries_that_cannot_be_joined_are_written_plain(tmp_path):
    structs = pa.array([{"a": 1}, {"a": 2}])
    cells = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), structs)
    path = run(tmp_path, [pa.record_batch({"kept": cells, "x": [1.0, 2.0, 3.0]})], "out.arrow")
    with pa.ipc.open_file(path) as reader:
        assert reader.read_all()["kept"].to_pylist() == [{"a": 2}, {"a": 1}, {"a": 2}]


def test_parquet_gives_back_the_dictionary(tmp_path):
    kind, values = VALUES["text"]
    path = run(tmp_path, list(rows(kind, values)), "out.parquet")
    found = parquet.read_table(path)
    assert pa.types.is_dictionary(found.schema.field("kept").type)
    assert found["kept"].to_pylist() == expected(values)


def test_parquet_gives_back_more_values_than_each_dictionary_can_number(tmp_path):
    values = [f"value {number}" for number in range(200)]
    batches = [
        pa.record_batch({"kept": pa.array(some).dictionary_encode(), "x": [1.0] * 100})
        for some in (values[:100], values[100:])
    ]
    small = pa.schema([("kept", pa.dictionary(pa.int8(), pa.string())), ("x", pa.float64())])
    path = run(tmp_path, [batch.cast(small) for batch in batches], "out.parquet")
    assert parquet.read_table(path)["kept"].to_pylist() == values


def test_batches_in_memory_keep_their_dictionaries():
    batches = list(rows(*VALUES["text"]))
    found = identity(["x"]).score_batches(iter(batches), keep=["kept"])
    assert [batch.column("kept") for batch in found] == [batch.column("kept") for batch in batches]
