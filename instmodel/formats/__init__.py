"""File formats of a model document, told apart by content."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from instmodel.base import values
from instmodel.base.limits import Limits, checked_limits
from instmodel.compiled.panels import PackedWeights
from instmodel.document.schema import InstructionModelInfo, Unknown
from instmodel.document.structure import Structure
from instmodel.document.validate import check_bias
from instmodel.errors import DocumentError, InstModelError
from instmodel.formats import binary, binary_reader, registered
from instmodel.formats.binary_reader import BinaryModel
from instmodel.formats.registered import Origin
from instmodel.stores import location

# The ending by which `InstructionModelInfo.save` knows that a binary file is wanted.
BINARY_SUFFIX = ".instmodel"


def load(path: Any, *, unknown: Unknown, limits: Limits) -> InstructionModelInfo:
    """Read a document from a file; see `InstructionModelInfo.load`."""
    found, _ = open_model(path, mmap=False, unknown=unknown, limits=limits)
    return _document(found)


def from_bytes(data: bytes, *, unknown: Unknown, limits: Limits) -> InstructionModelInfo:
    """Read a document from the bytes of a file; see `InstructionModelInfo.from_bytes`."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise values.wrong_type(data, "data", "bytes")
    checked_limits(limits)
    return _document(_open_bytes(bytes(data), unknown, limits))


def open_model(
    path: Any, *, mmap: bool, unknown: Unknown, limits: Limits
) -> tuple[InstructionModelInfo | BinaryModel, Origin | None]:
    """Read a model as its file is: a document, or a binary model with its weights still packed.

    Beside it comes what MLflow says about it, if `path` leads there.
    """
    checked_limits(limits)
    mmap = values.boolean(mmap, "mmap")
    with _opened(path) as (file, origin):
        try:
            found = _read(file, mmap, unknown, limits)
            if origin is not None and origin.digest is not None:
                _check_digest(found, origin.digest)
        except InstModelError as error:
            raise error.in_file(path) from None
    return found, origin


@contextlib.contextmanager
def _opened(path: Any) -> Iterator[tuple[BinaryIO, Origin | None]]:
    """Open the file of a model, wherever it is."""
    name = values.path(path, "path")
    if registered.is_registered(name):
        with registered.open_registered(name) as (file, origin):
            yield file, origin
        return
    place = location(path)
    if place.local is None:
        yield io.BytesIO(place.read_bytes()), None
        return
    with place.open() as file:
        yield file, None


def _read(
    file: BinaryIO, mmap: bool, unknown: Unknown, limits: Limits
) -> InstructionModelInfo | BinaryModel:
    if file.seekable() and not isinstance(file, io.BytesIO):
        start = file.read(len(binary.MAGIC))
        file.seek(0)
        if start == binary.MAGIC:
            return binary_reader.read(file, mmap=mmap, unknown=unknown, limits=limits)
    return _open_bytes(file.read(), unknown, limits)  # JSON, or a pipe, which has no size


def _check_digest(found: InstructionModelInfo | BinaryModel, expected: str) -> None:
    actual = found.digest if isinstance(found, BinaryModel) else digest(found)
    if actual != expected:
        raise DocumentError(
            "digest_mismatch",
            "the model is not the one that was logged: SHA-256 differs",
            field="digest",
            expected=expected,
            actual=actual,
        )


def _open_bytes(
    data: bytes, unknown: Unknown, limits: Limits
) -> InstructionModelInfo | BinaryModel:
    if data.startswith(binary.MAGIC):
        return binary_reader.read_bytes(data, unknown=unknown, limits=limits)
    return InstructionModelInfo.from_json(data, unknown=unknown, limits=limits)


def save(info: InstructionModelInfo, path: str | os.PathLike[str]) -> None:
    """Write a file; see `InstructionModelInfo.save`."""
    if values.path(path, "path").lower().endswith(BINARY_SUFFIX):
        with location(path).replacing() as file:
            binary.write(*_halves(info), file)
    else:
        text = info.to_json().encode()
        with location(path).replacing() as file:
            file.write(text)


def to_bytes(info: InstructionModelInfo) -> bytes:
    """Return the bytes of a binary file; see `InstructionModelInfo.to_bytes`."""
    return binary.to_bytes(*_halves(info))


def digest(info: InstructionModelInfo) -> str:
    """Return the digest of a document; see `InstructionModelInfo.digest`."""
    return binary.digest(*_halves(info))


def _halves(info: InstructionModelInfo) -> tuple[Structure, PackedWeights]:
    # A copy, checked once more: whoever holds the document may have changed it.
    own = dataclasses.replace(info)
    check_bias(own.structure)
    return own.structure, PackedWeights.pack(own.weights, own.bias)


def _document(found: InstructionModelInfo | BinaryModel) -> InstructionModelInfo:
    if isinstance(found, InstructionModelInfo):
        return found
    return found.packed.fill(found.structure)
