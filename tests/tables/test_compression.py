"""Compressed text: what goes in comes out, and the same text gives the same bytes."""

import bz2
import gzip
import io
import json
import resource
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.tables.compression import COMPRESSIONS, compressing, decompressed
from instmodel.tables.csv_file import CsvReader

pa = pytest.importorskip("pyarrow")

TEXT = b"".join(b'{"a": %d, "b": %d}\n' % (row, row * row) for row in range(20_000))
AB = identity(["a", "b"])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def packed(text, compression):
    file = io.BytesIO()
    with compressing(file, compression) as packing:
        for start in range(0, len(text), 7_000):
            packing.write(text[start : start + 7_000])
    return file.getvalue()  # which is still open


def unpacked(data, compression):
    with decompressed(io.BytesIO(data), compression) as text:
        return text.read()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_goes_in_comes_out(compression):
    data = packed(TEXT, compression)
    assert len(data) < len(TEXT) / 2
    assert packed(TEXT, compression) == data
    assert unpacked(data, compression) == TEXT
    assert unpacked(data + data, compression) == TEXT + TEXT
    assert unpacked(packed(b"", compression), compression) == b""


def test_other_programs_read_it():
    assert gzip.decompress(packed(TEXT, "gz")) == TEXT
    assert bz2.decompress(packed(TEXT, "bz2")) == TEXT
    assert pa.decompress(packed(TEXT, "zst"), len(TEXT), "zstd").to_pybytes() == TEXT
    assert packed(TEXT, "gz")[4:8] == bytes(4)  # no time


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("keep", [5, 1_000, -1])
def test_a_file_that_is_cut_is_an_error(compression, keep):
    data = packed(TEXT, compression)[:keep]
    Path(f"t.jsonl.{compression}").write_bytes(data)
    with pytest.raises(im.InputError, match="damaged or not complete") as caught:
        jobs.run(jobs.Job(AB, f"t.jsonl.{compression}", "out.parquet"))
    assert (caught.value.code, caught.value.file) == ("invalid_table", f"t.jsonl.{compression}")
    assert not Path("out.parquet").exists()
    Path(f"t.csv.{compression}").write_bytes(packed(b"a,b\n" + b"1,2\n" * 20_000, compression)[:-5])
    with (
        pytest.raises(im.InputError, match="damaged or not complete") as caught,
        closing(CsvReader(f"t.csv.{compression}", ["a"], 1)) as reader,
    ):
        list(reader.batches())
    assert caught.value.file == f"t.csv.{compression}"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_damage_behind_a_whole_member_is_an_error(compression):
    member = packed(TEXT, compression)
    for more in (b"no member", b"?" + member[1:], member[:20]):
        with pytest.raises(im.InputError, match="damaged or not complete"):
            unpacked(member + more, compression)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_file_that_is_not_compressed_is_an_error(compression):
    Path(f"t.jsonl.{compression}").write_bytes(TEXT)
    with pytest.raises(im.InputError, match="damaged or not complete"):
        jobs.run(jobs.Job(AB, f"t.jsonl.{compression}", "out.parquet"))


def test_a_folder_may_hold_compressed_files():
    Path("in").mkdir()
    for name, compression in (("1", "gz"), ("2", "zst"), ("3", "bz2")):
        Path(f"in/{name}.jsonl.{compression}").write_bytes(packed(TEXT, compression))
        Path(f"in/{name}0.jsonl.{compression}").write_bytes(packed(b"", compression))
    Path("in/4.jsonl").write_bytes(TEXT)
    result = jobs.run(jobs.Job(AB, "in", "out.jsonl", keep=["a"]))
    assert result.rows == 80_000
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["a"] for row in rows] == [*range(20_000)] * 4


def test_types_come_from_the_whole_of_a_compressed_file():
    text = b'{"a": 1, "b": 1}\n' * 5_000 + b'{"a": 1.5, "b": 1}\n'
    for compression in COMPRESSIONS:
        Path(f"t.jsonl.{compression}").write_bytes(packed(text, compression))
        jobs.run(jobs.Job(AB, f"t.jsonl.{compression}", "out.jsonl", keep=["a"]))
        assert (
            Path("out.jsonl").read_text().endswith('{"a": 1.5, "output_0": 1.5, "output_1": 1.0}\n')
        )


def test_other_formats_have_no_compressed_files():
    Path("t.parquet.gz").write_bytes(b"")
    with pytest.raises(im.InputError, match="does not tell a format"):
        jobs.run(jobs.Job(AB, "t.parquet.gz", "out.parquet"))


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_file_that_grows_without_end_is_refused_in_bounded_memory(kind):
    with open(f"t.{kind}.gz", "wb") as file, compressing(file, "gz") as bomb:
        for _ in range(250):
            bomb.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(im.InputError, match="too long"):
        jobs.run(jobs.Job(AB, f"t.{kind}.gz", "out.parquet"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000
