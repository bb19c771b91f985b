"""SHA-256 of chunks, our own and hashlib's: the same digests, and a choice that fits the CPU."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import instmodel as im
from instmodel import _kernels
from instmodel.formats import binary

CPUINFO = Path("/proc/cpuinfo")
AVAILABLE = im.runtime_info()["available_isas"]

needs_instructions = pytest.mark.skipif(
    _kernels.SHA256_STREAMS == 1, reason="this CPU or this build has no instructions for SHA-256"
)

# https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
NIST = {
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
    b"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu": (
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
    b"a" * 10**6: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}


def some_bytes(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, count, np.uint8)


def expected(data, chunk):
    parts = (data[start : start + chunk] for start in range(0, len(data), chunk))
    return b"".join(hashlib.sha256(part).digest() for part in parts)


@needs_instructions
@pytest.mark.parametrize("streams", [1, 2, 3, 4, 5, 16, 23])
@pytest.mark.parametrize("message", NIST, ids=len)
def test_the_examples_of_the_standard(message, streams):
    data = np.frombuffer(message * streams, np.uint8)
    assert _kernels.sha256_chunks(data, len(message)).hex() == NIST[message] * streams


@needs_instructions
@pytest.mark.parametrize("streams", [1, 2, 3, 4, 16])
def test_every_length_of_chunks(streams):
    for length in range(1, 301):
        data = some_bytes(streams * length, seed=length)
        assert _kernels.sha256_chunks(data, length) == expected(data, length), length


@needs_instructions
def test_every_length_of_data():
    for size in range(301):
        data = some_bytes(size, seed=size)
        assert _kernels.sha256_chunks(data, 64) == expected(data, 64), size


@needs_instructions
@pytest.mark.parametrize("last", [1, 55, 56, 64, 1000, 1023, 1024])
def test_many_chunks_the_last_one_shorter(last):
    for count in range(1, 41):
        data = some_bytes(1024 * (count - 1) + last, seed=count)
        assert _kernels.sha256_chunks(data, 1024) == expected(data, 1024), count


@needs_instructions
@pytest.mark.parametrize("place", range(1, 16))
def test_data_may_start_anywhere(place):
    data = some_bytes(5000)[place:]
    assert _kernels.sha256_chunks(data, 1111) == expected(data, 1111)


@needs_instructions
@pytest.mark.parametrize("chunk", [11, 2**40, sys.maxsize])
def test_a_chunk_may_be_larger_than_the_data(chunk):
    data = some_bytes(10)
    assert _kernels.sha256_chunks(data, chunk) == expected(data, chunk)


@needs_instructions
def test_chunks_of_nothing_are_refused():
    with pytest.raises(ValueError, match="chunks"):
        _kernels.sha256_chunks(some_bytes(10), 0)


@pytest.mark.parametrize("more", [-65, -64, -1, 0, 1, 63, 64])
@pytest.mark.parametrize("chunks", [1, 5, 20])
def test_chunks_of_a_file_have_hashlibs_digests(chunks, more, monkeypatch):
    data = some_bytes(chunks * binary.CHUNK + more)
    wanted = expected(data, binary.CHUNK)
    assert binary.chunk_digests(data) == wanted
    monkeypatch.setattr(_kernels, "SHA256_STREAMS", 1)
    assert binary.chunk_digests(data) == wanted


@pytest.mark.skipif(not CPUINFO.exists(), reason="only Linux tells")
@pytest.mark.skipif(_kernels.isa() == "generic", reason="generic is without them")
def test_a_cpu_that_has_the_instructions_uses_them():
    assert (_kernels.SHA256_STREAMS > 1) == ("sha_ni" in CPUINFO.read_text().split())


@pytest.mark.parametrize("isa", AVAILABLE)
def test_every_instruction_set_reads_the_same_file(isa, tmp_path):
    rows, cols = 1 << 18, 19
    weights = np.random.default_rng(0).random((rows, cols), np.float32)
    b = im.ModelBuilder()
    info = b.build(output=b.dense(b.input(cols), weights, np.zeros(rows)))  # 20 chunks
    info.save(tmp_path / "m.instmodel")
    text = """if True:
        import sys
        import instmodel as im
        from instmodel import _kernels
        streams = {"avx512": (16, 1), "generic": (1,)}.get(_kernels.isa(), (4, 1))
        assert _kernels.SHA256_STREAMS in streams
        print(im.InstructionModelInfo.load(sys.argv[1]).digest())
        if _kernels.SHA256_STREAMS == 1:
            try:
                _kernels.sha256_chunks(b"abc", 3)
            except ValueError:
                pass
            else:
                raise AssertionError("without instructions, it must be refused")
        """
    done = subprocess.run(
        [sys.executable, "-c", text, tmp_path / "m.instmodel"],
        env={**os.environ, "INSTMODEL_ISA": isa},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == info.digest()
