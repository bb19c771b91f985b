"""The binary format: exact bytes, both ways, and every way a file can be broken."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import struct
import threading

import msgpack
import numpy as np
import pytest
from support.documents import DATA, HEADER, build, dense, everything, network

import instmodel as im
from instmodel.base import parts
from instmodel.formats import binary_reader
from instmodel.importers.files import import_file

PREFIX = struct.Struct("<8sIIQQ32s")


def info_of(document):
    return im.InstructionModelInfo.from_dict(document)


def assemble(header, data=b"", **changes):
    """Write a file as docs/format.md says, independently of the package's own writer."""
    text = header if isinstance(header, bytes) else msgpack.packb(header)
    padding = bytes(-(64 + len(text)) % 64) if data else b""
    fields = {
        "magic": b"\x93INSTMDL",
        "version": 1,
        "text": len(text),
        "size": 64 + len(text) + len(padding) + len(data),
        "reserved": 0,
    } | changes
    head = struct.pack("<8sIIQQ", *fields.values())
    chunks = [data[i : i + 2**20] for i in range(0, len(data), 2**20)]
    digest = hashlib.sha256(head + text + padding)
    for chunk in chunks:
        digest.update(hashlib.sha256(chunk).digest())
    return head + digest.digest() + text + padding + data


def floats(*values):
    return np.array(values, "<f4").tobytes()


def refused(data, **options):
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_bytes(data, **options)
    return caught.value


# ------------------------------------------------------------------------------------- both ways


def test_the_bytes_of_a_small_model():
    info = info_of(
        {
            "feature_size": 2,
            "buffer_sizes": [2, 1],
            "instructions": [{"type": "DOT", "input": 0, "output": 1, "weights": 0}],
            "weights": [[[1.0, -2.0]]],
            "bias": [[0.5]],
        }
    )
    assert info.to_bytes() == assemble(HEADER, DATA)


def test_the_bytes_of_a_model_with_categories():
    info = info_of(
        {
            "features": ["size", "colour"],
            "categories": {
                "size": {"unknown": -1, "values": ["S", "é"]},
                "colour": {"values": ["red", ""], "unknown": "error"},
            },
            "buffer_sizes": [2, 1],
            "instructions": [{"type": "DOT", "input": 0, "output": 1, "weights": 0}],
            "weights": [[[1.0, -2.0]]],
            "bias": [[0.5]],
        }
    )
    header = {
        "features": ["size", "colour"],
        "categories": {
            "colour": ["red", ""],
            "size": {"values": ["S", "é"], "unknown": -1.0},
        },
        **{key: value for key, value in HEADER.items() if key != "feature_size"},
    }
    assert info.to_bytes() == assemble(header, DATA, version=2)
    again = im.InstructionModelInfo.from_bytes(info.to_bytes())
    assert again.to_dict() == info.to_dict()
    # A reader of version 1 that skips unknown keys would lose them.
    for unknown in ("error", "ignore"):
        with pytest.raises(im.InstModelError) as caught:
            im.InstructionModelInfo.from_bytes(assemble(header, DATA), unknown=unknown)
        assert caught.value.code == "unsupported_version"


def test_the_bytes_of_a_model_with_state():
    copy = {"type": "COPY", "input": 0, "output": 1, "internal_index": 0}
    info = info_of(
        {
            "feature_size": 1,
            "buffer_sizes": [1, 2, 2],
            "instructions": [
                {"type": "COPY", "input": 1, "output": 2, "internal_index": 0},
                {**copy, "internal_index": 1},
            ],
            "state": [{"initial": 0, "buffer": 1}, {"buffer": 2}],
            "weights": [],
            "bias": [],
            "parameters": [[3.0, -4.0]],
            "validation_data": {
                "inputs": [[[5.0], [6.0]], [], [[7.0]]],
                "expected_outputs": [[[3.0, -4.0], [3.0, 5.0]], [], [[3.0, -4.0]]],
            },
        }
    )
    header = {
        "feature_size": 1,
        "buffer_sizes": [1, 2, 2],
        "instructions": [
            {"type": "COPY", "input": 1, "output": 2, "internal_index": 0},
            {**copy, "internal_index": 1},
        ],
        "state": [{"buffer": 1, "initial": 0}, {"buffer": 2}],
        "dense": [],
        "parameters": [["<f4", 2]],
        "maps": [],
        "validation_data": {
            "lengths": ["<i4", 3],
            "inputs": ["<f4", 3, 1],
            "expected_outputs": ["<f4", 3, 2],
        },
    }
    data = (floats(3, -4), np.array([2, 0, 1], "<i4").tobytes(), floats(5, 6, 7))
    data = b"".join(part + bytes(-len(part) % 64) for part in data)
    data += floats(3, -4, 3, 5, 3, -4)
    assert info.to_bytes() == assemble(header, data, version=4)
    again = im.InstructionModelInfo.from_bytes(info.to_bytes())
    assert again.to_dict() == info.to_dict()
    im.InstructionModel(again)
    # A reader of version 3 that skips unknown keys would lose it.
    for version in (1, 2, 3):
        assert refused(assemble(header, data, version=version)).code == "unsupported_version"


@pytest.mark.parametrize(
    "categories",
    [
        {"b": ["x"], "a": ["x"]},
        {"a": {"unknown": "nan", "values": ["x"]}},
        {"a": {"values": ["x"], "unknown": -1}},
        {"a": {"values": ["x"], "unknown": "error"}},
        {"a": {"values": ["x"]}},
    ],
    ids=str,
)
def test_categories_are_written_in_one_way(categories):
    header = {"features": ["a", "b"], "categories": categories, **HEADER}
    del header["feature_size"]
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_bytes(assemble(header, DATA, version=2))
    assert caught.value.code == "invalid_document"
    assert "one way" in caught.value.message


NAMED = {key: value for key, value in HEADER.items() if key != "feature_size"}


def test_the_bytes_of_a_model_with_a_signature():
    age = {"shares": [0.5, 0.25], "edges": [1], "nulls": "never", "max": 9, "kind": "number"}
    info = info_of(
        {
            "features": ["shop", "age"],
            "signature": {
                "features": {"shop": {"codes": [1, 300], "kind": "code"}, "age": age},
                "rows": 4,
            },
            "buffer_sizes": [2, 1],
            "instructions": [{"type": "DOT", "input": 0, "output": 1, "weights": 0}],
            "weights": [[[1.0, -2.0]]],
            "bias": [[0.5]],
        }
    )
    age = {"kind": "number", "max": 9.0, "nulls": "never", "edges": [1.0], "shares": [0.5, 0.25]}
    shop = {"kind": "code", "codes": [1, 300]}
    header = {
        "features": ["shop", "age"],
        "signature": {"rows": 4, "features": {"age": age, "shop": shop}},
        **NAMED,
    }
    assert info.to_bytes() == assemble(header, DATA, version=3)
    again = im.InstructionModelInfo.from_bytes(info.to_bytes())
    assert again.to_dict() == info.to_dict()
    # A reader of version 2 that skips unknown keys would lose it.
    for version in (1, 2):
        with pytest.raises(im.InstModelError) as caught:
            im.InstructionModelInfo.from_bytes(
                assemble(header, DATA, version=version), unknown="ignore"
            )
        assert caught.value.code == "unsupported_version"


@pytest.mark.parametrize(
    "features",
    [
        {"b": {"kind": "number"}, "a": {"kind": "number"}},
        {"a": {"nulls": "never", "kind": "number"}},
        {"a": {"kind": "number", "nulls": "allowed"}},
        {"a": {"kind": "number", "min": 1}},
        {"a": {"kind": "number", "edges": []}},
        {"a": {"kind": "number", "shares": None}},
    ],
    ids=str,
)
def test_signatures_are_written_in_one_way(features):
    header = {"features": ["a", "b"], "signature": {"features": features}, **NAMED}
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_bytes(assemble(header, DATA, version=3))
    assert caught.value.code == "invalid_document"
    assert "one way" in caught.value.message


def test_a_file_written_from_the_page_alone_loads():
    info = im.InstructionModelInfo.from_bytes(assemble(HEADER, DATA))
    assert info.weights[0].tolist() == [[1.0, -2.0]]
    assert info.bias[0].tolist() == [0.5]
    assert im.InstructionModel(info).predict([3.0, 4.0])[0] == 0.5 + 3.0 - 8.0


@pytest.mark.parametrize("document", [dense(), everything(), network([40, 33, 17], [None, "TANH"])])
def test_both_formats_hold_the_same_document(document, tmp_path):
    info = info_of(document)
    info.metadata = {"z": [1, 2.5, None, "é"], "a": 10**30}
    info.save(tmp_path / "m.instmodel")
    info.save(tmp_path / "m.json")
    loaded = [im.InstructionModelInfo.load(tmp_path / name) for name in ("m.instmodel", "m.json")]
    assert loaded[0].to_dict() == loaded[1].to_dict() == info.to_dict()
    assert loaded[0].digest() == loaded[1].digest() == info.digest()
    assert (tmp_path / "m.instmodel").read_bytes()[32:64].hex() == info.digest()


def test_the_name_of_a_file_means_nothing_to_a_reader(tmp_path):
    info = info_of(dense())
    (tmp_path / "binary.json").write_bytes(info.to_bytes())
    (tmp_path / "text.instmodel").write_text(info.to_json())
    for name in ("binary.json", "text.instmodel"):
        assert im.load(tmp_path / name).info.to_dict() == info.to_dict()


@pytest.mark.parametrize("name", ["M.INSTMODEL", "m.Instmodel", ".instmodel"])
def test_the_ending_of_a_name_counts_in_any_case(name, tmp_path):
    info = info_of(dense())
    info.save(tmp_path / name)
    assert (tmp_path / name).read_bytes() == info.to_bytes()


NO_BOOLEANS = ["no", "", 0, 1, None, [], np.ones(1, bool)]


@pytest.mark.parametrize("value", NO_BOOLEANS, ids=repr)
def test_only_a_boolean_is_true_or_false(value, tmp_path):
    info = info_of(dense())
    info.save(tmp_path / "m.instmodel")
    for name, call in (
        ("mmap", lambda: im.load(tmp_path / "m.instmodel", mmap=value)),
        ("allow_non_finite", lambda: dataclasses.replace(info, allow_non_finite=value)),
        (
            "allow_non_finite",
            lambda: im.InstructionModelInfo.from_dict(dense(), allow_non_finite=value),
        ),
        ("allow_non_finite", lambda: im.GpuModel.from_bytes(b"", allow_non_finite=value)),
        ("trust_pickle", lambda: import_file(tmp_path / "m.pkl", trust_pickle=value)),
    ):
        with pytest.raises(im.InstModelError) as caught:
            call()
        assert (caught.value.code, caught.value.field) == ("invalid_type", name)


def test_booleans_of_numpy_are_booleans(tmp_path):
    info = dataclasses.replace(info_of(dense()), allow_non_finite=np.True_)
    assert info.allow_non_finite is True
    info.save(tmp_path / "m.instmodel")
    assert im.load(tmp_path / "m.instmodel", mmap=np.True_).info.to_dict() == info.to_dict()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", ["m.json", "m.instmodel"])
def test_a_model_may_come_through_a_pipe(name, mmap, tmp_path):
    info = info_of(everything())
    info.save(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    content = (tmp_path / name).read_bytes()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[content])
    writer.start()
    loaded = im.load(tmp_path / "pipe", mmap=mmap)
    writer.join()
    assert loaded.info.digest() == info.digest()


@pytest.mark.parametrize("mmap", [False, True])
def test_a_loaded_model_gives_the_same_bits(mmap, tmp_path):
    info = info_of(everything())
    info.save(tmp_path / "m.instmodel")
    model = im.load(tmp_path / "m.instmodel", mmap=mmap)
    x = np.random.default_rng(0).normal(size=(100, model.feature_size)).astype(np.float32)
    np.testing.assert_array_equal(
        model.predict(x).view(np.uint32), im.InstructionModel(info).predict(x).view(np.uint32)
    )
    assert model.info.to_dict() == info.to_dict()


def test_only_dense_layers_stay_in_a_mapped_file(tmp_path):
    info_of(everything()).save(tmp_path / "m.instmodel")
    model = im.load(tmp_path / "m.instmodel", mmap=True)
    assert not model._packed.arena.flags.writeable
    assert not model._packed.arena.flags.owndata
    document = model.structure
    for array in (*document.parameters, *(v for m in document.maps for v in m.values())):
        assert not np.shares_memory(array, model._packed.arena)


def test_the_digest_follows_the_content_and_not_the_order_of_keys():
    first, second = info_of(dense()), info_of(dense())
    first.metadata, second.metadata = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert first.digest() == second.digest()
    second.weights[0][0, 0] = np.nextafter(second.weights[0][0, 0], np.float32(9))
    assert first.digest() != second.digest()


def test_chunks_are_hashed_alike_on_one_thread_and_on_many(monkeypatch):
    header = HEADER | {"feature_size": 10**6 - 1, "buffer_sizes": [10**6 - 1, 1]}
    header["dense"] = [[1, 10**6 - 1]]
    data = np.arange(10**6, dtype="<f4").tobytes()  # several chunks, the last one short
    for limit in (0, 1 << 60):
        monkeypatch.setattr(parts, "_BYTES_WORTH_THREADS", limit)
        monkeypatch.setenv("INSTMODEL_NUM_THREADS", "3")
        info = im.InstructionModelInfo.from_bytes(assemble(header, data))
        assert info.weights[0][0, -1] == 10**6 - 1


def test_non_finite_weights_need_the_files_word():
    data = floats(np.inf, np.nan, 1.0)
    error = refused(assemble(HEADER, data))
    assert error.code == "non_finite_value"
    info = im.InstructionModelInfo.from_bytes(assemble(HEADER | {"allow_non_finite": True}, data))
    assert np.isnan(info.weights[0][0, 0])
    assert info.to_bytes() == assemble(HEADER | {"allow_non_finite": True}, data)
    assert np.isnan(im.InstructionModel(info).predict([1.0, 1.0])[0])
    with pytest.raises(im.InstModelError):
        info.to_json()


def test_a_model_without_tensors_is_a_header():
    header = HEADER | {
        "buffer_sizes": [2, 1],
        "instructions": [{"type": "REDUCE_SUM", "input": 0, "output": 1}],
        "dense": [],
    }
    data = assemble(header)
    assert len(data) == 64 + len(msgpack.packb(header))
    assert im.InstructionModelInfo.from_bytes(data).to_bytes() == data


def test_many_threads_load_one_file(tmp_path):
    build(network([64, 512, 64], [None, None])).info.save(tmp_path / "m.instmodel")
    seen = []
    threads = [
        threading.Thread(
            target=lambda: seen.append(im.load(tmp_path / "m.instmodel").info.digest())
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


# ------------------------------------------------------------------------------------ broken files


def test_every_prefix_is_refused():
    data = info_of(everything()).to_bytes()
    for length in range(len(data)):
        assert refused(data[:length]).code in {"invalid_document", "digest_mismatch"}


def test_every_flipped_bit_is_refused():
    data = bytearray(info_of(everything()).to_bytes())
    for byte in range(len(data)):
        for bit in range(8):
            data[byte] ^= 1 << bit
            refused(bytes(data))
            data[byte] ^= 1 << bit


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (assemble(HEADER, DATA) + b"\0", "invalid_document"),
        (assemble(HEADER, DATA, magic=b"\x93INSTMDX"), "invalid_document"),
        (assemble(HEADER, DATA, version=2), "unsupported_version"),
        (assemble(HEADER, DATA, version=3), "unsupported_version"),
        (assemble(HEADER, DATA, version=4), "unsupported_version"),
        (assemble(HEADER, DATA, size=1), "invalid_document"),
        (assemble(HEADER, DATA, size=2**64 - 1), "invalid_document"),
        (assemble(HEADER, DATA, reserved=1), "invalid_document"),
        (assemble(HEADER, DATA, text=2**32 - 1), "invalid_document"),
        (assemble(HEADER, DATA, text=1), "invalid_document"),
        (assemble(HEADER, DATA[:8]), "invalid_document"),
        (assemble(HEADER, DATA + bytes(4)), "invalid_document"),
        (assemble(HEADER, b""), "invalid_document"),
        (assemble(b"", DATA), "invalid_document"),
        (assemble(b"\xc1", DATA), "invalid_document"),
        (assemble(b"\x91" * 900, DATA), "invalid_document"),
        (assemble(b"\x91" * 100_000, DATA), "invalid_document"),
        (assemble(b"\xdd\xff\xff\xff\xff", DATA), "invalid_document"),
        (assemble(b"\xdf\xff\xff\xff\xff", DATA), "invalid_document"),
        (assemble(b"\xdb\xff\xff\xff\xff", DATA), "invalid_document"),
        (assemble(msgpack.packb(HEADER) + b"\0", DATA), "invalid_document"),
        (assemble(msgpack.packb([1]), DATA), "invalid_type"),
        (assemble(b"\x82\xa1a\x01\xa1a\x02", DATA), "duplicate_key"),
        (assemble(b"\x81\x01\x02", DATA), "invalid_document"),
        (assemble(b"\x81\xa1\xff\x02", DATA), "invalid_document"),
        (assemble({**HEADER, "metadata": b"{}"}, DATA), "invalid_document"),
        (assemble({**HEADER, "metadata": msgpack.ExtType(5, b"x")}, DATA), "invalid_document"),
        (assemble({**HEADER, "metadata": msgpack.Timestamp(0)}, DATA), "invalid_document"),
        (assemble({**HEADER, "metadata": 1}, DATA), "invalid_type"),
        (assemble({**HEADER, "metadata": "{"}, DATA), "invalid_document"),
        (assemble({**HEADER, "metadata": '{"a":1,"a":2}'}, DATA), "duplicate_key"),
        (assemble({**HEADER, "metadata": "NaN"}, DATA), "non_finite_value"),
        (assemble({**HEADER, "metadata": "[" * 40 + "]" * 40}, DATA), "invalid_document"),
        (assemble({**HEADER, "weights": []}, DATA), "unknown_field"),
        (assemble({**HEADER, "allow_non_finite": 1}, DATA), "invalid_type"),
        (assemble({k: v for k, v in HEADER.items() if k != "dense"}, DATA), "missing_field"),
        (assemble({**HEADER, "dense": 1}, DATA), "invalid_type"),
        (assemble({**HEADER, "dense": [[1, 2, 3]]}, DATA), "invalid_type"),
        (assemble({**HEADER, "dense": [[1, -2]]}, DATA), "invalid_type"),
        (assemble({**HEADER, "dense": [[1, 2.0]]}, DATA), "invalid_type"),
        (assemble({**HEADER, "dense": [[1, True]]}, DATA), "invalid_type"),
        (assemble({**HEADER, "dense": [[2**62, 2**62]]}, DATA), "weight_limit_exceeded"),
        (assemble({**HEADER, "dense": [[1000, 1000]]}, DATA), "invalid_document"),
        (assemble({**HEADER, "parameters": [["<f4", 2**62]]}, DATA), "invalid_document"),
        (assemble({**HEADER, "parameters": [["<f8", 1]]}, DATA + bytes(64)), "invalid_type"),
        (assemble({**HEADER, "parameters": [[]]}, DATA + bytes(64)), "invalid_type"),
        (assemble({**HEADER, "parameters": [["<f4", 1, 1]]}, DATA + bytes(56)), "invalid_type"),
        (assemble({**HEADER, "maps": [{"keys": ["<i4", 0]}]}, DATA), "missing_field"),
        (assemble({**HEADER, "maps": [3]}, DATA), "invalid_type"),
        (
            assemble({**HEADER, "maps": [{"keys": ["<i4", 0], "values": ["<f4", 1, 0]}]}, DATA),
            "invalid_document",
        ),
        (assemble({**HEADER, "validation_data": {"inputs": ["<f4", 0, 0]}}, DATA), "missing_field"),
    ],
)
def test_a_broken_file_is_refused(data, code):
    assert refused(data).code == code


def test_objects_come_as_lists_or_generators_of_pairs():
    # Before 1.2.4, msgpack without its C extension gives generators, whatever their keys are.
    def read(*pairs):
        return binary_reader._object(pair for pair in pairs)

    assert read(("a", 1), ("b", 2)) == {"a": 1, "b": 2}
    for pairs, code in (
        ([("a", 1), ("a", 2)], "duplicate_key"),
        ([(1, 1)], "invalid_document"),
        ([([], 1)], "invalid_document"),
    ):
        with pytest.raises(im.InstModelError) as caught:
            read(*pairs)
        assert caught.value.code == code


def test_a_document_has_one_way_to_be_written():
    turned = dict(reversed(HEADER.items()))
    assert refused(assemble(turned, DATA)).code == "invalid_document"
    long_number = msgpack.packb(HEADER).replace(b"feature_size\x02", b"feature_size\xcc\x02")
    assert refused(assemble(long_number, DATA)).code == "invalid_document"
    loose = {**HEADER, "metadata": '{"b": 1, "a": 2}'}
    assert refused(assemble(loose, DATA)).code == "invalid_document"


def test_padding_between_tensors_must_be_zero():
    header = HEADER | {"parameters": [["<f4", 2]]}
    header["instructions"] = [
        {"type": "ADD_ELEMENTWISE", "input": 0, "parameters": 0},
        *HEADER["instructions"],
    ]
    good = DATA + bytes(52) + floats(1.0, 2.0)
    assert im.InstructionModelInfo.from_bytes(assemble(header, good)).parameters[0][1] == 2.0
    bad = DATA + bytes(51) + b"\1" + floats(1.0, 2.0)
    assert refused(assemble(header, bad)).code == "invalid_document"


@pytest.mark.parametrize("keys", [[1, 1], [2, 1]])
def test_the_keys_of_a_map_must_ascend(keys):
    header = HEADER | {"maps": [{"keys": ["<i4", 2], "values": ["<f4", 2, 1]}]}
    data = DATA + bytes(52) + np.array(keys, "<i4").tobytes() + bytes(56) + floats(1.0, 2.0)
    assert refused(assemble(header, data)).code == "duplicate_key"


def test_limits_of_a_file():
    data = assemble(HEADER, DATA)
    assert refused(data, limits=im.Limits(max_header_size=50)).code == "invalid_document"
    assert refused(data, limits=im.Limits(max_weight_count=2)).code == "weight_limit_exceeded"


def test_an_unknown_key_can_be_ignored():
    data = assemble({**HEADER, "extra": 1}, DATA)
    assert refused(data).code == "unknown_field"
    assert im.InstructionModelInfo.from_bytes(data, unknown="ignore").digest()


def test_what_the_format_cannot_hold_is_refused_before_a_file_is_touched(tmp_path):
    path = tmp_path / "m.instmodel"
    info_of(dense()).save(path)
    before = path.read_bytes()
    info = info_of(dense())
    info.metadata = object()
    with pytest.raises(im.InstModelError):
        info.save(path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["m.instmodel"]


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.instmodel"
    info_of(everything()).save(path)
    original = binary_reader._read_head

    def shrink(take, size, limits):
        result = original(take, size, limits)
        with path.open("r+b") as file:
            file.truncate(size - 4)
        return result

    monkeypatch.setattr(binary_reader, "_read_head", shrink)
    with pytest.raises(im.InstModelError) as caught:
        im.load(path)
    assert caught.value.code == "invalid_document"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda info: info.bias.pop(), "bias_weights_mismatch"),
        (lambda info: info.bias.__setitem__(0, [1.0]), "bias_weights_size_mismatch"),
        (lambda info: info.weights.append("no matrix"), "invalid_type"),
        (lambda info: info.weights[0].__setitem__((0, 0), np.nan), "non_finite_value"),
    ],
)
def test_a_document_that_was_changed_is_checked_before_it_is_written(tmp_path, change, code):
    info = info_of(dense())
    change(info)
    path = tmp_path / "m.instmodel"
    for write in (info.digest, info.to_bytes, lambda: info.save(path)):
        with pytest.raises(im.InstModelError) as caught:
            write()
        assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_arrays_of_other_types_are_converted_before_they_are_written():
    info, changed = info_of(dense()), info_of(dense())
    changed.weights[0] = np.asfortranarray(changed.weights[0].astype(">f8"))
    changed.bias[0] = changed.bias[0].tolist()
    assert changed.digest() == info.digest()
    assert "weights=9" in repr(changed)
