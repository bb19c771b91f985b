"""Writing binary model files: docs/format.md, field by field.

Design
------
A. There is one way to write a document. Tensors follow each other without a choice of place, keys
   and maps are sorted; so the digest of the file is the digest of the document.
B. Dense layers lie as the kernels read them (`instmodel.compiled.panels`), so a mapped file runs in
   place.
C. Every size in a file can be compared with the file's own size, so that a reader
   (`instmodel.formats.binary_reader`) allocates no more than the file weighs.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import msgpack
import numpy as np
from numpy.typing import NDArray

from instmodel import _kernels
from instmodel.base import layout, values
from instmodel.compiled.panels import PackedWeights
from instmodel.document import json_text
from instmodel.document.structure import Structure, ValidationData
from instmodel.errors import DocumentError

MAGIC = b"\x93INSTMDL"
# Readers of version 1 know no categories, those of version 2 no signatures, those of version 3 no
# state, and must not lose them.
VERSION, VERSION_OF_CATEGORIES, VERSION_OF_SIGNATURES, VERSION_OF_STATE = 1, 2, 3, 4
# The data is hashed in chunks, each on its own, so that several threads can share the work, and a
# core can do several at once.
CHUNK = 1 << 20

PREFIX = struct.Struct("<8sIIQQ32s")  # magic, version, header bytes, file bytes, 0, digest
_DIGEST_AT = 32
F4, I4 = "<f4", "<i4"

Bytes = NDArray[np.uint8]


def write(structure: Structure, packed: PackedWeights, file: BinaryIO) -> None:
    """Write a document as a binary file."""
    head, pieces = _encode(structure, packed)
    file.write(head[:_DIGEST_AT] + head_digest(head, _hashes(pieces)) + head[PREFIX.size :])
    for piece in pieces:
        file.write(piece.data)


def to_bytes(structure: Structure, packed: PackedWeights) -> bytes:
    """Return the bytes of a document's binary file."""
    file = io.BytesIO()
    write(structure, packed, file)
    return file.getvalue()


def digest(structure: Structure, packed: PackedWeights) -> str:
    """Return the digest that the document's binary file carries, hexadecimal."""
    head, pieces = _encode(structure, packed)
    return head_digest(head, _hashes(pieces)).hex()


def _encode(structure: Structure, packed: PackedWeights) -> tuple[bytes, list[Bytes]]:
    """Return all bytes up to the data, with no digest yet, and the pieces of the data."""
    section = _Section(packed)
    text = encode_header(structure, section.add)
    padding = -(PREFIX.size + len(text)) % layout.ALIGNMENT if section.size else 0
    total = PREFIX.size + len(text) + padding + section.size
    prefix = PREFIX.pack(MAGIC, version_of(structure), len(text), total, 0, bytes(32))
    return prefix + text + bytes(padding), section.pieces


def version_of(structure: Structure) -> int:
    """Return the version of the format that a document needs: the first one that can hold it."""
    if structure.is_recurrent:
        return VERSION_OF_STATE
    if structure.signature is not None:
        return VERSION_OF_SIGNATURES
    return VERSION_OF_CATEGORIES if structure.categories else VERSION


def encode_header(structure: Structure, add: Callable[[NDArray[Any]], list[Any]]) -> bytes:
    """Return the header of a document, the one way to write it.

    Parameters
    ----------
    structure : Structure
    add : callable
        Gets each tensor but the dense ones in the order of the file, and returns how the header
        describes it: `describe`, for one.
    """
    header = structure.outline()
    for shape in structure.weight_shapes:
        check_shape(shape, "weights")
    header["dense"] = [list(shape) for shape in structure.weight_shapes]
    header["parameters"] = [add(item) for item in structure.parameters]
    header["maps"] = [_encode_map(item, add) for item in structure.maps]
    data = structure.validation_data
    if data is not None:
        header["validation_data"] = {
            name: add(tensor) for name, tensor in _cases(data, structure.is_recurrent).items()
        }
    if structure.metadata is not None:
        header["metadata"] = json_text.format_document(structure.metadata, sort_keys=True)
    if structure.allow_non_finite:
        header["allow_non_finite"] = True
    try:
        text: bytes = msgpack.packb(header, use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise DocumentError(
            "invalid_type", f"a binary file cannot hold this document: {error}"
        ) from None
    return text


def describe(tensor: NDArray[Any]) -> list[Any]:
    """Return how a header describes a tensor: its dtype and shape."""
    return [I4 if tensor.dtype.kind == "i" else F4, *tensor.shape]


class _Section:
    """The data section: tensors one after the other, each at a multiple of 64 bytes."""

    def __init__(self, packed: PackedWeights) -> None:
        self.pieces: list[Bytes] = []
        self.size = 0
        if packed.arena.size:
            self._append(packed.arena)

    def add(self, tensor: NDArray[Any]) -> list[Any]:
        """Append a tensor, and return how the header describes it."""
        description = describe(tensor)
        if tensor.size:
            self._append(np.ascontiguousarray(tensor, description[0]))
        return description

    def _append(self, tensor: NDArray[Any]) -> None:
        padding = -self.size % layout.ALIGNMENT
        if padding:
            self.pieces.append(np.zeros(padding, np.uint8))
        self.pieces.append(tensor.reshape(-1).view(np.uint8))
        self.size += padding + tensor.nbytes


def _encode_map(
    table: dict[int, values.Vector], add: Callable[[NDArray[Any]], list[Any]]
) -> dict[str, Any]:
    keys = np.array(sorted(table), np.int32)
    rows = _rectangle([table[int(key)] for key in keys], "maps")
    return {"keys": add(keys), "values": add(rows)}


def _cases(data: ValidationData, are_sequences: bool) -> dict[str, NDArray[Any]]:
    """Return validation data as tensors: the rows of all sequences one after the other."""
    tables = {"inputs": data.inputs, "expected_outputs": data.expected_outputs}
    if not are_sequences:
        return {name: _rectangle(rows, name) for name, rows in tables.items()}
    rows = {
        name: _rectangle([row for case in cases for row in case], name)
        for name, cases in tables.items()
    }
    return {"lengths": np.array([len(case) for case in data.inputs], np.int32), **rows}


def _rectangle(rows: list[values.Vector], name: str) -> NDArray[np.float32]:
    if len({len(row) for row in rows}) > 1:
        raise DocumentError("invalid_type", "a binary file needs rows of one length", field=name)
    table = np.stack(rows) if rows else np.empty((0, 0), np.float32)
    check_shape(table.shape, name)
    return table


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Refuse rows without values: any number of them would weigh nothing in the file."""
    if 0 in shape and any(shape):
        raise DocumentError(
            "invalid_document",
            "a tensor has either values or only sizes of 0",
            field=name,
            actual=list(shape),
        )


def head_digest(head: bytes, chunks: Iterator[bytes]) -> bytes:
    """Hash the head without its digest field, then the digests of the chunks of the data."""
    whole = hashlib.sha256(head[:_DIGEST_AT] + head[PREFIX.size :])
    for chunk in chunks:
        whole.update(chunk)
    return whole.digest()


def stored_digest(head: bytes) -> bytes:
    """Return the digest that the head of a file carries."""
    return head[_DIGEST_AT : PREFIX.size]


def chunk_digests(data: Bytes) -> bytes:
    """Return the digests of the chunks of `data`, one after the other; it starts with a chunk."""
    if _kernels.SHA256_STREAMS > 1:
        return _kernels.sha256_chunks(data, CHUNK)
    chunks = (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))
    return b"".join(hashlib.sha256(chunk.data).digest() for chunk in chunks)


def _hashes(pieces: list[Bytes]) -> Iterator[bytes]:
    """Yield the digest of each chunk of the data, whose pieces have other borders."""
    current, room = hashlib.sha256(), CHUNK
    for piece in pieces:
        start = 0
        while start < len(piece):
            part = piece[start : start + room]
            current.update(part.data)
            start += len(part)
            room -= len(part)
            if not room:
                yield current.digest()
                current, room = hashlib.sha256(), CHUNK
    if room < CHUNK:
        yield current.digest()
