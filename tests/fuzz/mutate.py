"""Hostile model files: valid ones, broken in ways that get past as many checks as possible.

Design
------
A. `mutant(kind, seed, number)` depends on its arguments alone: a number is all one needs to see a
   file again, also when loading it ended the process.
B. Damage is done at every layer. To the document (indexes, sizes, types, whole instructions), then
   to the text: tokens and bytes of JSON, msgpack and tensors of a binary file.
C. A binary mutant is *repaired* after most damage: the data section gets the size that the header
   now asks for, and the digest is computed anew. Otherwise SHA-256 would hide the rest of the
   reader from us.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import struct
from functools import cache
from math import prod

import msgpack
import numpy as np
from support.documents import (
    dense,
    engine_cases,
    everything,
    identity,
    network,
    one,
    recurrent,
    trainer_exports,
)

import instmodel as im

KINDS = ("json", "binary")
PREFIX = struct.Struct("<8sIIQQ32s")
CHUNK = 1 << 20
# Seeds beyond this many characters of JSON would only make the fuzzer slow.
LONGEST = 6000

INTEGERS = [
    *(0, 1, 2, 3, 4, 7, 15, 16, 17, 31, 32, 33, 64, 1000, 1999, 2000, 2001, -1, -2, -17, 10**6),
    *(2**e + d for e in (15, 16, 31, 32, 53, 62, 63, 64) for d in (-1, 0, 1)),
    *(-(2**31), -(2**31) - 1, -(2**63), -(2**63) - 1, 10**19, 10**30, -(10**30)),
]
FLOATS = [
    *(0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.5, 88.0, -104.0, 1e-3, 1e30, -1e30),
    *(1e-40, -1e-45, 3.4028234e38, 3.4028235677973366e38, 3.5e38, -3.5e38, 1e39, 1e308, 5e-324),
    *(2147483520.0, 2147483648.0, -2147483648.0, 16777216.0, 8388607.5),
]
WORDS = [
    *("DOT", "ATTENTION", "COPY", "COPY_MASKED", "MAP_TRANSFORM", "ACTIVATION", "REDUCE_SUM"),
    *("CLIP_ELEMENTWISE", "ADD_BUFFER_HEADS", "ADD_ELEMENTWISE_BUFFERS", "dot", "RELU", "SOFTMAX"),
    *("EXP", "LOG", "GELU", "relu", "type", "input", "output", "weights", "bias", "key", "size"),
    *("categories", "values", "unknown", "error", "nan", "a", "b", "signature", "features", "kind"),
    *("state", "buffer", "initial"),
    *("number", "code", "text", "min", "max", "codes", "nulls", "never", "edges", "shares"),
    *("", "0", "-0", "1", "01", "+1", " 1", "1 ", "1.0", "1e3", "٣", "2147483648", "-2147483648"),
    *("f[2]", "f[0]", "f[]", "f[999999999]", "f[9999999999]", "é", "\0", "a\nb", "x" * 300),
]
JUNK = [None, True, False, [], {}, [[]], [0], [[0.0]], {"1": [1.0]}, "", 0, 1, -1, 1.0]
ACTIVATIONS = [item.name for item in im.Activation]
TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|-?[0-9][-+.eE0-9]*|true|false|null|[\[\]{},:]')
TOKENS = [
    *(
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "null",
        "true",
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        '"',
        "'",
    ),
    *("1.0", "-0", "1e400", "-1e400", "1e-400", "1E5", "01", "1.", ".5", "0x10", "1_0", "9" * 25),
    *('"\\ud800"', '"\\u0000"', '"\\x"', '"\x00"', '"é"', "\ufeff", "[" * 40, "[" * 3000),
    *('"type"', '"weights"', '"input":0,', '"1":[1.0],', '{"a":1,"a":2}', "//x", "9" * 5000),
]


# ------------------------------------------------------------------------------------------- seeds


@cache
def documents() -> list[dict]:
    """Valid documents with every instruction and every way of naming features."""
    sparse = one(
        {
            "type": "MAP_TRANSFORM",
            "input": 0,
            "output": 1,
            "internal_input_index": 1,
            "internal_output_index": 1,
            "map": 0,
            "size": 2,
            "default": [0.5, -0.5],
        },
        [2, 4],
        maps=[{str(k): [1.0, k / 7] for k in (-(2**31), -70000, 3, 5, 2**31 - 1)}],
    )
    wide = network([17, 33, 16, 1], ["SOFTMAX", "GELU", None], seed=3)
    named = {**dense(), "metadata": {"made by": "é", "n": [1, 2.5, None]}}
    checked = {**identity(2, 3), "validation_data": {"inputs": [], "expected_outputs": []}}
    checked["instructions"].append({"type": "COPY", "input": 0, "output": 1, "internal_index": 1})
    texts = {"a": ["red", "green", ""], "b": {"values": ["é"], "unknown": -1.0}}
    labelled = {**dense(), "categories": texts}
    number = {"kind": "number", "min": -1.5, "edges": [0.0], "shares": [0.25, 0.5]}
    code = {"kind": "code", "codes": [-3, 7], "shares": [0.25, 0.5], "null_share": 0.25}
    told = {**dense(), "signature": {"rows": 80, "features": {"a": number, "b": code}}}
    found = [dense(), everything(), identity(), sparse, wide, named, checked, labelled, told]
    found += [recurrent(), remembering()]
    golden = [case["model"] for case in (*engine_cases(), *trainer_exports())]
    return found + [document for document in golden if len(json.dumps(document)) < LONGEST]


def remembering() -> dict:
    """Two states, of which one is the output, and validation data of sequences."""
    document = {
        "feature_size": 2,
        "buffer_sizes": [2, 2, 2],
        "instructions": [
            {"type": "COPY", "input": 1, "output": 2, "internal_index": 0},
            {"type": "ADD_ELEMENTWISE_BUFFERS", "input": [0, 1], "output": 1},
            {"type": "MUL_ELEMENTWISE", "input": 1, "parameters": 0},
        ],
        "state": [{"buffer": 2}, {"buffer": 1, "initial": 1}],
        "weights": [],
        "bias": [],
        "parameters": [[0.5, 0.25], [-1.0, 2.0]],
    }
    cases = [[[1.0, -1.0], [0.5, 3.0], [0.0, 0.0]], [], [[2.0, 0.5]]]
    outputs = [[[-1.0, 2.0], [0.0, 0.25], [0.25, 0.8125]], [], [[-1.0, 2.0]]]
    return {**document, "validation_data": {"inputs": cases, "expected_outputs": outputs}}


@cache
def binaries() -> list[tuple[dict, bytes]]:
    """The seeds as binary files: header and data section."""
    found = []
    for document in documents():
        data = im.InstructionModelInfo.from_dict(document).to_bytes()
        size = PREFIX.unpack_from(data)[2]
        start = 64 + size
        found.append((msgpack.unpackb(data[64:start]), data[start + -start % 64 :]))
    return found


def mutant(kind: str, seed: int, number: int) -> bytes:
    """Return the bytes of a file, always the same for the same arguments."""
    rng = random.Random((seed << 32 | number) * 2 + KINDS.index(kind))
    return _json_mutant(rng) if kind == "json" else _binary_mutant(rng)


# ---------------------------------------------------------------------------------- the document


def _edit(rng: random.Random, value, depth=0):
    """Return a copy of nested lists and dicts with one place changed."""
    stop = 0.12 if depth else 0.0
    if isinstance(value, dict) and value and rng.random() > stop:
        return _edit_dict(rng, value, depth)
    if isinstance(value, list) and value and rng.random() > stop:
        return _edit_list(rng, value, depth)
    return _other(rng, value)


def _edit_dict(rng, value, depth):
    copy = dict(value)
    key = rng.choice(list(copy))
    how = rng.random()
    if how < 0.9:
        copy[key] = _edit(rng, copy[key], depth + 1)
    elif how < 0.94:
        del copy[key]
    elif how < 0.97:
        copy[rng.choice(WORDS)] = copy.pop(key)
    else:
        copy[rng.choice(WORDS)] = rng.choice(JUNK)
    return copy


def _edit_list(rng, value, depth):
    copy = list(value)
    at = rng.randrange(len(copy))
    how = rng.random()
    if how < 0.8:
        copy[at] = _edit(rng, copy[at], depth + 1)
    elif how < 0.85:
        del copy[at]
    elif how < 0.9:
        copy.insert(at, copy[rng.randrange(len(copy))])
    elif how < 0.94:
        other = rng.randrange(len(copy))
        copy[at], copy[other] = copy[other], copy[at]
    elif how < 0.97:
        copy.append(_other(rng, copy[at]))
    else:
        copy = copy[:at]
    return copy


def _other(rng, value):
    """Return another value, more often than not of the same type."""
    if rng.random() < 0.12:
        return rng.choice(JUNK)
    if isinstance(value, bool) or value is None:
        return rng.choice(JUNK)
    if isinstance(value, int):
        how = rng.random()
        if how < 0.45:
            return value + rng.choice((-1, 1))
        return rng.randrange(10) if how < 0.7 else rng.choice(INTEGERS)
    if isinstance(value, float):
        return rng.choice(FLOATS)
    if isinstance(value, str):
        if value in ACTIVATIONS and rng.random() < 0.8:
            return rng.choice(ACTIVATIONS)
        return rng.choice(WORDS)
    return rng.choice(JUNK)


def _edit_structure(rng, document, tensors):
    """Change instructions and buffers so that the result may well be valid.

    `tensors` is the key of the dense layers: "weights" in JSON, "dense" in a binary header.
    """
    copy = {**document, "instructions": list(document["instructions"])}
    steps = copy["instructions"]
    sizes = len(copy["buffer_sizes"])
    how = rng.randrange(8)
    at = rng.randrange(len(steps))
    if how == 0:
        steps.insert(at, {"type": "ACTIVATION", "input": rng.randrange(sizes)})
        steps[at]["activation"] = rng.choice(ACTIVATIONS)
    elif how == 1:
        steps.insert(at, {"type": "COPY", "input": rng.randrange(sizes)})
        steps[at] |= {"output": rng.randrange(sizes), "internal_index": rng.randrange(3)}
    elif how == 2:
        kind = rng.choice(("ADD_BUFFER_HEADS", "MULTIPLY_BUFFER_HEADS", "ADD_ELEMENTWISE_BUFFERS"))
        inputs = [rng.randrange(sizes) for _ in range(2)]
        steps.insert(at, {"type": kind, "input": inputs, "output": rng.choice(inputs)})
    elif how == 3:
        steps[at] = {**steps[at], "output": rng.randrange(sizes)}
    elif how == 4:
        del steps[at]
    elif how == 5:
        grown = list(copy["buffer_sizes"])
        grown.append(rng.choice((1, 2, 5, 16, 17)))
        copy["buffer_sizes"] = grown
        steps.append({"type": "COPY_MASKED", "input": rng.randrange(sizes), "output": sizes})
        steps[-1]["indexes"] = [rng.randrange(3) for _ in range(rng.randrange(1 + grown[-1]))]
    elif how == 6:
        state = copy["state"] if isinstance(copy.get("state"), list) else []
        copy["state"] = [*state, {"buffer": rng.randrange(sizes)}]
    elif copy.get(tensors):
        # The same layer once more: sizes that fit where sizes of this layer fit.
        steps.append(dict(rng.choice(steps)))
    return copy


def _damaged(rng, document, tensors):
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.3 and _is_plain(document):
            document = _edit_structure(rng, document, tensors)
        else:
            document = _edit(rng, document)
        if not isinstance(document, dict):
            break
    return document


def _is_plain(document):
    steps, sizes = document.get("instructions"), document.get("buffer_sizes")
    return (
        isinstance(steps, list)
        and bool(steps)
        and all(isinstance(step, dict) for step in steps)
        and isinstance(sizes, list)
        and bool(sizes)
        and ("weights" in document or "dense" in document)
    )


# -------------------------------------------------------------------------------------------- JSON


def _json_mutant(rng):
    document = rng.choice(documents())
    how = rng.random()
    if how < 0.7:
        document = _damaged(rng, document, "weights")
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5)
    if how > 0.65:
        text = _edit_tokens(rng, text)
    data = text.encode("utf-8", "surrogatepass")
    return _edit_bytes(rng, data) if how > 0.88 else data


def _edit_tokens(rng, text):
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not tokens:
            break
        at = rng.randrange(len(tokens))
        how = rng.randrange(6)
        if how == 0:
            del tokens[at]
        elif how == 1:
            tokens.insert(at, tokens[rng.randrange(len(tokens))])
        elif how == 2:
            tokens[at] = tokens[rng.randrange(len(tokens))]
        elif how == 3:
            tokens.insert(at, rng.choice(TOKENS))
        elif how == 4:
            stop = at + rng.randrange(12)
            tokens[at:at] = tokens[at:stop]  # an object's member twice, a row twice
        else:
            tokens[at] = rng.choice(TOKENS)
    return "".join(tokens)


def _edit_bytes(rng, data):
    copy = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not copy:
            break
        at = rng.randrange(len(copy))
        how = rng.randrange(6)
        if how == 0:
            copy[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            copy[at] = rng.randrange(256)
        elif how == 2:
            del copy[at : at + rng.randrange(1, 9)]
        elif how == 3:
            copy[at:at] = rng.randbytes(rng.randrange(1, 5))
        elif how == 4:
            copy[at:at] = copy[at : at + rng.randrange(1, 40)]
        else:
            del copy[at:]
    return bytes(copy)


# ------------------------------------------------------------------------------------------ binary


def assemble(text: bytes, data: bytes, rng: random.Random | None = None) -> bytes:
    """Write a binary file around a header and a data section; with `rng`, damage the prefix."""
    padding = bytes(-(64 + len(text)) % 64) if data else b""
    # Of the first key that only readers of this version know.
    versions = {b"\xa5state": 4, b"signature": 3, b"categories": 2, b"": 1}
    version = next(version for key, version in versions.items() if key in text)
    fields = [b"\x93INSTMDL", version, len(text), 64 + len(text) + len(padding) + len(data), 0]
    if rng:
        at = rng.randrange(1, 5)
        bits = 32 if at < 3 else 64
        new = rng.choice((fields[at] + 1, fields[at] - 1, fields[at] ^ 1 << rng.randrange(bits), 0))
        fields[at] = new % 2**bits
        if rng.random() < 0.3:
            padding += b"\1" if rng.random() < 0.5 else bytes(64)
            fields[3] = 64 + len(text) + len(padding) + len(data)
    head = struct.pack("<8sIIQQ", *fields)
    digest = hashlib.sha256(head + text + padding)
    for start in range(0, len(data), CHUNK):
        digest.update(hashlib.sha256(data[start : start + CHUNK]).digest())
    return head + digest.digest() + text + padding + data


def _binary_mutant(rng):
    header, data = rng.choice(binaries())
    how = rng.random()
    if how < 0.45:
        header = _damaged(rng, header, "dense")
        if rng.random() < 0.8:
            data = _fitted(rng, header, data)
    elif how < 0.6:
        header = _reshaped(rng, header)
        data = _fitted(rng, header, data)
    elif how < 0.75:
        data = _edit_data(rng, data)
    if rng.random() < 0.2 and isinstance(header, dict):
        header = {**header, "allow_non_finite": rng.choice((True, True, True, False, 1, None))}
    try:
        text = msgpack.packb(header)
    except (OverflowError, ValueError, TypeError):  # an int beyond 64 bits, half a surrogate pair
        text = msgpack.packb(str(header)[:50].encode("ascii", "replace"))
    if 0.7 < how < 0.88:
        text = _edit_msgpack(rng, text) if rng.random() < 0.7 else _edit_bytes(rng, text)
    whole = assemble(text, data, rng if how > 0.95 else None)
    if 0.9 < how < 0.95:
        return _edit_bytes(rng, whole)  # not signed again: the digest has its own check
    return whole


def _reshaped(rng, header):
    """Change dtypes and shapes of tensors alone."""
    copy = dict(header)
    key = rng.choice(("dense", "parameters", "maps", "validation_data"))
    if copy.get(key):
        copy[key] = _edit(rng, copy[key], 1)
    elif key == "validation_data":
        n = rng.choice((0, 1, 3))
        sizes = copy.get("buffer_sizes")
        outputs = sizes[-1] if isinstance(sizes, list) and sizes else 1
        width = copy.get("feature_size") or len(copy.get("features") or "x")
        copy[key] = {"inputs": ["<f4", n, width], "expected_outputs": ["<f4", n, outputs]}
    return copy


def _fitted(rng, header, data):
    """Cut or fill the data section to the size that the header's tensors ask for."""
    try:
        size = 0
        for count in _counts(header):
            if count:
                size += -size % 64 + 4 * count
    except (TypeError, KeyError, IndexError, ValueError, AttributeError):
        return data
    if not isinstance(size, int) or not 0 <= size <= 100_000:
        return data
    missing = size - len(data)
    if missing <= 0:
        return data[:size]
    return data + (bytes(missing) if rng.random() < 0.6 else _floats(rng, missing))


def _counts(header):
    """Return the values of each tensor, in the order of the data section."""
    shapes = [[rows, 1 + cols] for rows, cols in header["dense"]]
    shapes += [item[1:2] for item in header["parameters"]]
    for item in header["maps"]:
        shapes += [item["keys"][1:2], item["values"][1:3]]
    if header.get("validation_data"):
        shapes += [item[1:3] for item in header["validation_data"].values()]
    if not all(isinstance(size, int) for shape in shapes for size in shape):
        raise TypeError("damage hit a size")
    return [prod(shape) for shape in shapes]


def _floats(rng, size):
    values = np.array([rng.choice(FLOATS) for _ in range(size // 4 + 1)], np.float64)
    with np.errstate(over="ignore"):
        return values.astype("<f4").tobytes()[:size]


def _edit_data(rng, data):
    copy = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        if len(copy) < 4:
            break
        at = rng.randrange(len(copy) // 4) * 4
        how = rng.randrange(5)
        if how == 0:
            copy[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            copy[at : at + 4] = struct.pack("<I", rng.choice((0x7F800000, 0xFFC00001, 1, 2**31)))
        elif how == 2:
            copy[at : at + 4] = struct.pack("<i", rng.choice((0, -1, 2**31 - 1, -(2**31), 7)))
        elif how == 3:
            copy[at : at + 4] = _floats(rng, 4)
        else:
            copy += bytes(rng.choice((1, 4, 60, 64)))
    return bytes(copy)


TAGS = [0x80, 0x81, 0x8F, 0x90, 0x91, 0x9F, 0xA0, 0xA1, 0xBF, *range(0xC0, 0xE0), 0x00, 0x7F, 0xFF]


def _edit_msgpack(rng, text):
    """Change types and lengths where msgpack has them."""
    copy = bytearray(text)
    if not copy:
        return text
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(copy))
        how = rng.randrange(5)
        if how == 0:
            copy[at] = rng.choice(TAGS)
        elif how == 1:  # an array, map, string or binary of 2^32 - 1
            copy[at : at + 1] = bytes([rng.choice((0xDD, 0xDF, 0xDB, 0xC6, 0xC9))]) + b"\xff" * 4
        elif how == 2:
            copy[at:at] = bytes([rng.choice((0x91, 0x81, 0xDC))]) * rng.choice((1, 33, 600))
        elif how == 3:
            copy[at] = copy[at] + rng.choice((-1, 1)) & 0xFF
        else:
            ends = (2**31, 2**63, 2**64 - 1, 2**32 - 1)
            copy[at : at + 1] = b"\xcf" + struct.pack(">Q", rng.choice(ends))
    return bytes(copy)
