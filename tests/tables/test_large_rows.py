"""Rows of megabytes come few at a time, so that memory stays bounded."""

import gzip
import json
from contextlib import closing
from pathlib import Path

import pytest

from instmodel.tables.inputs import find
from instmodel.tables.readers import open_reader

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["csv.gz", "jsonl.gz", "parquet", "arrow"])
def test_rows_that_are_large_come_few_at_a_time(kind):
    """40 rows of 4 MB each: however few bytes they take on the disk."""
    text = "x" * (4 << 20)
    name = f"rows.{kind}"
    if kind == "csv.gz":
        Path(name).write_bytes(gzip.compress(b"a,s\n" + (b"1,%s\n" % text.encode()) * 40, 1))
    elif kind == "jsonl.gz":
        line = json.dumps({"a": 1, "s": text}).encode() + b"\n"
        Path(name).write_bytes(gzip.compress(line * 40, 1))
    else:
        table = pa.table({"a": [1.0] * 40, "s": [f"{row}{text}" for row in range(40)]})
        if kind == "parquet":
            parquet.write_table(table, name, use_dictionary=False, compression="zstd")
        else:
            with pa.ipc.new_file(name, table.schema) as writer:
                for batch in table.to_batches(max_chunksize=1):
                    writer.write_batch(batch)
    [source] = find(name)
    with closing(open_reader(source)) as reader:
        counts = [rows.count for rows in reader.batches(["a", "s"], None)]
    assert sum(counts) == 40
    assert max(counts) <= 16
