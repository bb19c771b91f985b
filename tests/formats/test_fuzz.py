"""Hostile files: mutants, prefixes, flipped bits, a corpus, and what is larger than it weighs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import msgpack
import numpy as np
import pytest
from fuzz import mutate, run
from support.documents import DATA, HEADER, dense, everything, identity, network

import instmodel as im
from instmodel.formats import binary_reader

RUN = Path(run.__file__)
CORPUS = sorted(path for path in run.CORPUS.iterdir() if not path.name.startswith("."))
MUTANTS = 10_000  # of each kind


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory the Linux way")
@pytest.mark.parametrize("kind", mutate.KINDS)
def test_mutants_are_refused_or_work(kind, tmp_path):
    done = subprocess.run(
        [sys.executable, RUN, str(MUTANTS), "--kind", kind, "--corpus", tmp_path],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A fuzzer that reaches nothing proves nothing.
    first, second, third = done.stdout.splitlines()[1:]
    assert first.startswith(f"{kind}: {MUTANTS} mutants")
    accepted = int(second.removeprefix("  accepted ").split(",")[0])
    codes = json.loads(third)
    assert accepted + sum(codes.values()) == MUTANTS
    assert accepted > MUTANTS // 20
    assert len(codes) > 30


def test_a_mutant_is_named_by_its_number():
    for kind in mutate.KINDS:
        files = [mutate.mutant(kind, 5, number) for number in range(50)]
        assert files == [mutate.mutant(kind, 5, number) for number in range(50)]
        assert len(set(files)) > 45
        assert files != [mutate.mutant(kind, 6, number) for number in range(50)]


def test_the_seeds_of_the_mutants_work():
    for document, (header, data) in zip(mutate.documents(), mutate.binaries(), strict=True):
        assert run.exercise(json.dumps(document).encode()) == "accepted"
        whole = mutate.assemble(msgpack.packb(header), data)
        assert whole == im.InstructionModelInfo.from_dict(document).to_bytes()
        assert run.exercise(whole) == "accepted"


@pytest.mark.parametrize("path", CORPUS, ids=[path.name for path in CORPUS])
def test_the_corpus_is_refused_or_works(path):
    data = path.read_bytes()
    for number in (0, 4, 8):  # a mapped file, bytes, a file
        result = run.exercise(data, number)
        # The names say what came out when the file was kept: `<code or accepted>-<what it is>`.
        assert result == path.name.split("-")[0]


# ------------------------------------------------------------------------------ prefixes and bits


def seed_files():
    """Ten small files: five documents in both formats."""
    array = {**identity(4, 2), "features": ["emb[3]", "é"], "metadata": {"a": "b\n"}}
    array["instructions"].append(
        {"type": "COPY_MASKED", "input": 0, "output": 1, "indexes": [3, 0]}
    )
    checked = network([2, 17, 1], ["RELU", "SIGMOID"])
    model = im.InstructionModel(im.InstructionModelInfo.from_dict(checked))
    outputs = model.predict([[1.0, 2.0], [-1.0, 0.5]]).tolist()
    checked["validation_data"] = {"inputs": [[1, 2], [-1, 0.5]], "expected_outputs": outputs}
    found = {"dense": dense(), "everything": everything(), "array": array, "checked": checked}
    found["golden"] = mutate.documents()[-1]
    for name, document in found.items():
        info = im.InstructionModelInfo.from_dict(document)
        yield f"{name}.json", info.to_json().encode()
        yield f"{name}.instmodel", info.to_bytes()


SEEDS = dict(seed_files())
# Cases for each file in CI; tests/fuzz/run.sh tries them all.
SAMPLE = 10**9 if os.environ.get("FUZZ_ALL") else 1000


def some(cases, name):
    """Return all cases, or where they are many, the same part of them on every run."""
    return cases if len(cases) <= SAMPLE else random.Random(name).sample(cases, SAMPLE)


@pytest.mark.parametrize("name", SEEDS)
def test_prefixes_are_refused(name):
    data = SEEDS[name]
    for length in some(range(len(data)), name):
        assert run.exercise(data[:length], 4) != "accepted", length


@pytest.mark.parametrize("name", SEEDS)
def test_flipped_bits_are_refused_or_harmless(name):
    data = SEEDS[name]
    results = {run.exercise(flipped(data, bit), bit) for bit in some(range(8 * len(data)), name)}
    if name.endswith(".instmodel"):
        assert "accepted" not in results


@pytest.mark.parametrize("name", [name for name in SEEDS if name.endswith(".instmodel")])
def test_flipped_bits_that_were_signed_are_refused_or_harmless(name):
    # As if someone had written the file like this: behind the digest stands the whole reader.
    data = SEEDS[name]
    size = mutate.PREFIX.unpack_from(data)[2]
    header, section = data[64 : 64 + size], data[64 + size + -size % 64 :]
    for bit in some(range(8 * len(header)), name):
        run.exercise(mutate.assemble(flipped(header, bit), section), bit)
    for bit in some(range(8 * len(section)), name):
        run.exercise(mutate.assemble(header, flipped(section, bit)), bit)


def flipped(data, bit):
    copy = bytearray(data)
    copy[bit // 8] ^= 1 << bit % 8
    return bytes(copy)


# ------------------------------------------------------------------- larger than the file they are


@pytest.mark.parametrize("n", [5, 2**20, 2**40, 2**62, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize(
    "change",
    [
        lambda n: {"validation_data": {"inputs": ["<f4", n, 0], "expected_outputs": ["<f4", n, 0]}},
        lambda n: {"validation_data": {"inputs": ["<f4", 0, n], "expected_outputs": ["<f4", 0, 0]}},
        lambda n: {"maps": [{"keys": ["<i4", 0], "values": ["<f4", 0, n]}]},
        lambda n: {"maps": [{"keys": ["<i4", n], "values": ["<f4", n, 0]}]},
        lambda n: {"dense": [[0, n], [1, 2]]},
        lambda n: {"dense": [[1, 2], [n, 0]]},
        lambda n: {"parameters": [["<f4", n]]},
        lambda n: {"buffer_sizes": [2, n, 1]},
        lambda n: {"feature_size": n},
        lambda n: {"features": [f"f[{n}]"]},
    ],
)
def test_sizes_that_weigh_nothing_are_refused(change, n):
    # Found by reading, before the fuzzer ran: n rows of 0 values pass every comparison with the
    # file's size, and then somebody counts to n.
    data = mutate.assemble(msgpack.packb(HEADER | change(n)), DATA)
    with pytest.raises(im.InstModelError):
        im.InstructionModel(im.InstructionModelInfo.from_bytes(data))


@pytest.mark.parametrize("part", ["inputs", "maps", "weights"])
def test_a_document_with_rows_of_nothing_has_no_binary_file(part):
    info = im.InstructionModelInfo.from_dict(dense())
    if part == "inputs":
        info.validation_data = im.ValidationData([[], []], [[1.0], [2.0]])
    elif part == "maps":
        info.maps = [{1: np.empty(0, np.float32)}]
    else:
        info.weights[1] = np.empty((0, 5), np.float32)
        info.bias[1] = np.empty(0, np.float32)
    with pytest.raises(im.InstModelError) as caught:
        info.to_bytes()
    assert caught.value.code == "invalid_document"


HEAVY = {
    "a long string": 'b\'{"metadata":"\' + b"a" * 2_000_000 + b\'"}\'',
    "escapes": 'b\'{"metadata":"\' + b"\\\\n" * 1_000_000 + b\'"}\'',
    "a long number": 'b\'{"metadata":0.\' + b"1" * 2_000_000 + b"}"',
    "a long integer": 'b\'{"metadata":\' + b"1" * 2_000_000 + b"}"',
    "brackets": 'b"[" * 1_000_000',
    "pairs": 'b"[" * 30 + b"[]," * 100_000 + b"[]" + b"]" * 30',
    "a long key": "b'{\"' + b\"k\" * 2_000_000 + b'\":1}'",
    "nested arrays": 'assemble(b"\\xdd\\x00\\x00\\xff\\x00" * 500 + bytes(65000), b"")',
    "an array without end": 'assemble(b"\\xdd\\xff\\xff\\xff\\xff" + bytes(65000), b"")',
    "a map without end": 'assemble(b"\\xdf\\xff\\xff\\xff\\xff" + bytes(65000), b"")',
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory the Linux way")
@pytest.mark.parametrize("what", HEAVY)
def test_what_looks_heavy_takes_little_memory(what):
    # Peak of the process, in MB, above what it was before: VmHWM can be set back.
    code = f"""
        import sys
        sys.path[:0] = {[str(RUN.parent), str(RUN.parent.parent)]!r}
        from mutate import assemble
        import instmodel as im
        def peak():
            lines = open("/proc/self/status").read().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        data = {HEAVY[what]}
        open("/proc/self/clear_refs", "w").write("5")
        before = peak()
        try:
            im.InstructionModelInfo.from_bytes(data)
        except im.InstModelError:
            print((peak() - before) // 1024)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64


# ------------------------------------------- checks that fuzz/remove_checks.py found nobody to miss


def refusal(data):
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_bytes(data)
    return caught.value


def with_fields(data, **changes):
    """Change fields of the prefix, and sign the file again."""
    names = ("magic", "version", "header", "size", "reserved")
    fields = dict(zip(names, mutate.PREFIX.unpack_from(data)[:5], strict=True)) | changes
    head = struct.pack("<8sIIQQ", *fields.values())
    section = -(-(64 + fields["header"]) // 64) * 64
    digest = hashlib.sha256(head + data[64:section])
    if data[section:]:
        digest.update(hashlib.sha256(data[section:]).digest())
    return head + digest.digest() + data[64:]


GOOD = mutate.assemble(msgpack.packb(HEADER), DATA)
HEADER_END = 64 + len(msgpack.packb(HEADER))


def test_the_padding_after_the_header_must_be_zero():
    assert with_fields(GOOD) == GOOD
    bad = bytearray(GOOD)
    bad[HEADER_END] = 1
    error = refusal(with_fields(bytes(bad)))
    assert (error.code, error.field) == ("invalid_document", f"byte {HEADER_END}")


def test_a_file_that_ends_inside_the_padding_is_refused():
    size = HEADER_END + 1
    error = refusal(with_fields(GOOD[:size], size=size))
    assert error.message == "the file ends inside the padding"


def test_a_header_that_leaves_the_file_is_refused():
    error = refusal(with_fields(GOOD, header=len(GOOD)))
    assert (error.message, error.field) == ("broken prefix", "byte 12")


def test_every_reader_looks_at_the_magic_itself():
    # The file may have changed since somebody looked at its start to tell the formats apart.
    with pytest.raises(im.InstModelError) as caught:
        binary_reader.read_bytes(
            with_fields(GOOD, magic=b"instmodl"), unknown="error", limits=im.Limits()
        )
    assert caught.value.field == "byte 0"


def test_a_file_that_shrinks_inside_its_header_is_refused():
    with pytest.raises(im.InstModelError) as caught:
        binary_reader._read_head(io.BytesIO(GOOD[:100]).read, len(GOOD), im.Limits())
    assert caught.value.code == "invalid_document"


def test_a_map_needs_as_many_values_as_keys():
    maps = [{"keys": ["<i4", 2], "values": ["<f4", 1, 1]}]
    data = DATA + bytes(52) + struct.pack("<2i", 1, 2) + bytes(56) + bytes(4)
    error = refusal(mutate.assemble(msgpack.packb(HEADER | {"maps": maps}), data))
    assert (error.code, error.field) == ("invalid_document", "maps[0]")


def test_metadata_must_be_a_text():
    error = refusal(mutate.assemble(msgpack.packb(HEADER | {"metadata": 1}), DATA))
    assert (error.code, error.field) == ("invalid_type", "metadata")


def test_the_tensor_that_leaves_the_file_is_named():
    error = refusal(mutate.assemble(msgpack.packb(HEADER | {"parameters": [["<f4", 100]]}), DATA))
    assert (error.code, error.field) == ("invalid_document", "parameters[0]")


def test_an_extension_is_named():
    header = HEADER | {"feature_size": msgpack.ExtType(5, b"x")}
    assert refusal(mutate.assemble(msgpack.packb(header), DATA)).message == "msgpack extension 5"
