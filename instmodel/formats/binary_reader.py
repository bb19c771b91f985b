"""Reading binary model files: every size is checked before anything of it is allocated.

The order of the checks is a list of its own in docs/format.md. Everything that becomes an index is
copied out of the data before it is checked, so that a mapped file that changes later cannot move a
read or a write.
"""

from __future__ import annotations

import mmap as memory_map
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import msgpack
import numpy as np
from numpy.typing import NDArray

from instmodel import _kernels
from instmodel.base import layout, values
from instmodel.base.limits import Limits
from instmodel.base.parts import map_parts
from instmodel.compiled.panels import PackedWeights, layer_size
from instmodel.document import json_text
from instmodel.document.schema import InstructionModelInfo, Unknown
from instmodel.document.structure import Structure
from instmodel.errors import DocumentError
from instmodel.formats.binary import (
    CHUNK,
    F4,
    I4,
    MAGIC,
    PREFIX,
    VERSION,
    VERSION_OF_STATE,
    Bytes,
    check_shape,
    chunk_digests,
    describe,
    encode_header,
    head_digest,
    stored_digest,
    version_of,
)

_KEYS = (
    "features",
    "feature_size",
    "categories",
    "signature",
    "buffer_sizes",
    "instructions",
    "state",
    "dense",
    "parameters",
    "maps",
    "validation_data",
    "metadata",
    "allow_non_finite",
)

# What stands in the header as in JSON.
_AS_IN_JSON = _KEYS[:7]

# What a thread reads and hashes is a multiple of this: few chunks side by side leave a core idle.
_UNIT = CHUNK * min(_kernels.SHA256_STREAMS, 4)


@dataclass(frozen=True, slots=True)
class BinaryModel:
    """What a binary file holds.

    Attributes
    ----------
    structure : Structure
    packed : PackedWeights
        The dense layers; views of the mapped file when it is mapped.
    digest : str
        SHA-256 of the content, hexadecimal.
    """

    structure: Structure
    packed: PackedWeights
    digest: str


def read(file: BinaryIO, *, mmap: bool, unknown: Unknown, limits: Limits) -> BinaryModel:
    """Read a binary file from its start.

    Parameters
    ----------
    file : BinaryIO
        A regular file, opened for reading.
    mmap : bool
        Leave the dense layers in the mapped file.
    unknown : {"error", "ignore"}
    limits : Limits

    Raises
    ------
    DocumentError
        What is wrong, and where.
    """
    size = os.fstat(file.fileno()).st_size
    head, start = _read_head(file.read, size, limits)
    if mmap:
        # The arrays keep the mapping alive, and end it.
        mapped = memory_map.mmap(file.fileno(), 0, access=memory_map.ACCESS_READ)
        return _decode(head, np.frombuffer(mapped, np.uint8)[start:], size - start, unknown, limits)

    def fill(offset: int, part: Bytes) -> None:
        done = 0
        while done < len(part):  # a network file system may give less than it was asked for
            got = os.preadv(file.fileno(), [part[done:].data], start + offset + done)
            if not got:
                raise _broken("the file changed while it was read", f"byte {start + offset + done}")
            done += got

    return _decode(head, fill, size - start, unknown, limits)


def read_bytes(data: bytes, *, unknown: Unknown, limits: Limits) -> BinaryModel:
    """Read the bytes of a binary file. See `read`."""
    view = memoryview(data)
    position = 0

    def take(count: int) -> bytes:
        nonlocal position
        position += count
        return bytes(view[position - count : position])

    head, start = _read_head(take, len(data), limits)
    source = np.frombuffer(data, np.uint8)[start:]

    def fill(offset: int, part: Bytes) -> None:
        part[...] = source[offset : offset + len(part)]

    return _decode(head, fill, len(source), unknown, limits)


def _read_head(take: Callable[[int], bytes], size: int, limits: Limits) -> tuple[bytes, int]:
    """Return everything before the data, and where the data starts."""
    prefix = take(min(size, PREFIX.size))
    if len(prefix) < PREFIX.size or not prefix.startswith(MAGIC):
        raise _broken("not a binary model file", "byte 0")
    _, version, header_size, file_size, reserved, _ = PREFIX.unpack(prefix)
    if not VERSION <= version <= VERSION_OF_STATE:
        raise DocumentError(
            "unsupported_version",
            "another version of the format",
            field="version",
            expected=f"{VERSION} to {VERSION_OF_STATE}",
            actual=version,
        )
    if file_size != size:
        raise DocumentError(
            "invalid_document",
            "the file is truncated or longer than it says",
            field="file size",
            expected=file_size,
            actual=size,
        )
    if header_size > limits.max_header_size:
        raise DocumentError(
            "invalid_document",
            "the header is too large",
            field="header size",
            expected=f"at most {limits.max_header_size} bytes (Limits.max_header_size)",
            actual=header_size,
        )
    end = PREFIX.size + header_size
    if reserved or end > size:
        raise _broken("broken prefix", "byte 12" if end > size else "byte 24")
    # Without data there is no padding: the file ends with the header.
    start = end if end == size else end + -end % layout.ALIGNMENT
    if start > size:
        raise _broken("the file ends inside the padding", f"byte {end}")
    rest = take(start - PREFIX.size)
    if len(rest) != start - PREFIX.size or rest[header_size:].strip(b"\0"):
        raise _broken("padding must be zero", f"byte {end}")
    return prefix + rest, start


def _decode(
    head: bytes,
    source: Bytes | Callable[[int, Bytes], None],
    size: int,
    unknown: Unknown,
    limits: Limits,
) -> BinaryModel:
    """Read the header, then the data: mapped already, or what `source` fills in piece by piece."""
    header_size = PREFIX.unpack_from(head)[2]
    header = _unpack(head[PREFIX.size : PREFIX.size + header_size])
    given = values.known_only(header, _KEYS, "", unknown)
    for key in ("buffer_sizes", "instructions", "dense", "parameters", "maps"):
        if key not in given:
            raise DocumentError("missing_field", "a required key is missing", field=key)
    reader = _Tensors(given["dense"], size, limits)
    tensors = {
        "parameters": [
            reader.place(item, f"parameters[{i}]", 1, F4)
            for i, item in enumerate(values.sequence(given["parameters"], "parameters", "tensors"))
        ],
        "maps": [
            _place_map(item, f"maps[{i}]", reader)
            for i, item in enumerate(values.sequence(given["maps"], "maps", "maps"))
        ],
    }
    cases = given.get("validation_data")
    if cases is not None:
        tensors["validation_data"] = _place_cases(cases, bool(given.get("state")), reader)
    reader.finish()
    # Every size was compared with the file's: only now is memory allocated.
    data = layout.aligned_empty(size) if callable(source) else source

    def read_part(start: int, stop: int) -> tuple[bytes, bool]:
        part = data[start:stop]
        if callable(source):
            source(start, part)
        # Both look at every byte: together, while some of the part is in the cache.
        dense = part[: max(0, reader.dense_size - start)].view(np.float32)
        return chunk_digests(part), _kernels.all_finite(dense)

    parts = map_parts(read_part, size, _UNIT)
    found = head_digest(head, (digests for digests, _ in parts))
    if found != stored_digest(head):
        raise DocumentError(
            "digest_mismatch",
            "the content is not what was written: SHA-256 differs",
            field="digest",
            expected=stored_digest(head).hex(),
            actual=found.hex(),
        )
    reader.data = data
    reader.check_padding()
    structure = _structure(given, tensors, reader, unknown, limits)
    version = PREFIX.unpack_from(head)[1]
    if version != version_of(structure):
        raise DocumentError(
            "unsupported_version",
            "the first version that can hold the document is the one to write it in",
            field="version",
            expected=version_of(structure),
            actual=version,
        )
    if not structure.allow_non_finite and not all(finite for _, finite in parts):
        raise reader.not_finite()
    text = head[PREFIX.size : PREFIX.size + header_size]
    if unknown == "error" and encode_header(structure, describe) != text:
        # Else one document would have many digests.
        raise _broken("the header is not written in its one way: order, sizes of numbers", "header")
    return BinaryModel(structure, reader.packed, found.hex())


def _structure(
    given: dict[str, Any],
    tensors: dict[str, Any],
    reader: _Tensors,
    unknown: Unknown,
    limits: Limits,
) -> Structure:
    """Make all of the document but its dense layers, of which the reader has the shapes."""
    allow_non_finite = values.boolean(given.get("allow_non_finite", False), "allow_non_finite")
    document: dict[str, Any] = {key: given[key] for key in _AS_IN_JSON if key in given}
    document["weights"] = document["bias"] = []
    document["parameters"] = [reader.tensor(place) for place in tensors["parameters"]]
    document["maps"] = [reader.table(*places) for places in tensors["maps"]]
    if "validation_data" in tensors:
        document["validation_data"] = reader.cases(tensors["validation_data"])
    if "metadata" in given:
        if not isinstance(given["metadata"], str):
            raise values.wrong_type(given["metadata"], "metadata", "a JSON text")
        document["metadata"] = json_text.parse(given["metadata"])
    info = InstructionModelInfo.from_dict(
        document, unknown=unknown, limits=limits, allow_non_finite=allow_non_finite
    )
    shapes = reader.packed.shapes
    return Structure.of(info, shapes, [rows for rows, _ in shapes])


# ----------------------------------------------------------------------------------------- header


def _unpack(text: bytes) -> dict[str, Any]:
    try:
        header = msgpack.unpackb(
            text,
            raw=False,
            strict_map_key=False,  # it does nothing beside a hook in some forms of msgpack
            object_pairs_hook=_object,
            ext_hook=_no_extensions,
        )
    except DocumentError:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        reason = str(error) or type(error).__name__
        raise _broken(f"the header is not valid msgpack: {reason[:200]}", "header") from None
    if not isinstance(header, dict):
        raise values.wrong_type(header, "header", "an object")
    _check_plain(header)
    return header


def _object(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; msgpack without its extension gave a generator until 1.2.4."""
    pairs = list(pairs)
    if not {type(key) for key, _ in pairs} <= {str, bytes}:
        raise _broken("a key that is no text", "header")
    return json_text.unique_keys(pairs)


def _no_extensions(code: int, data: bytes) -> None:
    raise _broken(f"msgpack extension {code}", "header")


def _check_plain(header: Any) -> None:
    """Refuse deep nesting and what JSON could not hold either."""
    plain = {dict, list, str, int, float, bool, type(None)}
    level = [header]
    for _ in range(json_text.MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            children = list(item.values()) if isinstance(item, dict) else item
            kinds = set(map(type, children))
            if not kinds <= plain:
                raise _broken("the header holds what is no JSON value", "header")
            if dict in kinds or list in kinds:
                below += [child for child in children if isinstance(child, (dict, list))]
        if not below:
            return
        level = below
    raise _broken("nested too deep", "header")


def _broken(message: str, place: str) -> DocumentError:
    return DocumentError("invalid_document", message, field=place)


# ---------------------------------------------------------------------------------------- tensors


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int  # in the data section, bytes
    kind: str
    shape: tuple[int, ...]


class _Tensors:
    """The tensors of a data section, placed one after the other as the header names them."""

    def __init__(self, dense: Any, size: int, limits: Limits) -> None:
        shapes = []
        count = 0
        for index, item in enumerate(values.sequence(dense, "dense", "shapes")):
            rows, cols = _sizes(item, f"dense[{index}]", 2)
            count += layer_size(rows, cols)
            limits.check_weight_count(count)
            shapes.append((rows, cols))
        starts, total = layout.aligned_starts([layer_size(*shape) for shape in shapes])
        self.data: Bytes = np.empty(0, np.uint8)  # given when the places are known to be right
        self._size = size
        self._end = 0
        self._padding: list[tuple[int, int]] = []
        edges = [
            (start * 4, (start + layer_size(*shape)) * 4)
            for start, shape in zip(starts, shapes, strict=True)
        ]
        for start, stop in edges:
            self._advance(start, stop, "dense")
        self._shapes, self._starts, self._dense_floats = shapes, starts, total

    @property
    def dense_size(self) -> int:
        """Bytes of the dense layers, at the start of the data."""
        return self._dense_floats * 4

    @property
    def packed(self) -> PackedWeights:
        """The dense layers, in place."""
        arena = self.data[: self.dense_size].view(np.float32)
        return PackedWeights(arena, self._starts, self._shapes)

    def place(self, item: Any, name: str, dimensions: int, kind: str) -> _Place:
        """Give the next tensor its place, before anything of its size exists."""
        parts = values.sequence(item, name, "a dtype and sizes")
        if not parts or parts[0] != kind:
            raise DocumentError(
                "invalid_type",
                "wrong dtype of a tensor",
                field=name,
                expected=kind,
                actual=values.describe(parts[0] if parts else None),
            )
        shape = _sizes(parts[1:], name, dimensions)
        size = 4 * prod(shape)
        start = self._end + (-self._end % layout.ALIGNMENT if size else 0)
        self._advance(start, start + size, name)
        return _Place(start, kind, shape)

    def finish(self) -> None:
        """Check that nothing follows the last tensor."""
        if self._end != self._size:
            raise _broken("bytes after the last tensor", f"data byte {self._end}")

    def check_padding(self) -> None:
        for start, stop in self._padding:
            if self.data[start:stop].any():
                raise _broken("padding must be zero", f"data byte {start}")

    def not_finite(self) -> DocumentError:
        """Return the error that names the first weight that is not finite."""
        arena = self.packed.arena
        place = int(np.argmin(np.isfinite(arena)))
        return DocumentError(
            "non_finite_value",
            "a weight is not finite, and the file does not allow that",
            field=f"dense, value {place}",
            actual=float(arena[place]),
        )

    def tensor(self, place: _Place) -> NDArray[Any]:
        """Return a private copy."""
        stop = place.offset + 4 * prod(place.shape)
        return self.data[place.offset : stop].view(place.kind).reshape(place.shape).copy()

    def cases(self, places: dict[str, _Place]) -> dict[str, Any]:
        """Return validation data: rows, or sequences of rows where there are lengths."""
        tables = {name: self.tensor(place) for name, place in places.items()}
        lengths = tables.pop("lengths", None)
        if lengths is None:
            return tables
        ends = np.cumsum(lengths, dtype=np.int64)
        if (lengths < 0).any() or any(len(rows) != ends[-1:].sum() for rows in tables.values()):
            raise _broken("the lengths of sequences do not fit their rows", "validation_data")
        return {
            name: np.split(rows, ends[:-1]) if len(ends) else [] for name, rows in tables.items()
        }

    def table(self, keys: _Place, rows: _Place) -> dict[int, values.Vector]:
        """Return a map, whose keys must ascend."""
        numbers = self.tensor(keys)
        if (np.diff(numbers.astype(np.int64)) <= 0).any():
            raise DocumentError(
                "duplicate_key", "the keys of a map must ascend", field=f"data byte {keys.offset}"
            )
        return dict(zip(numbers.tolist(), self.tensor(rows), strict=True))

    def _advance(self, start: int, stop: int, name: str) -> None:
        if stop > self._size:
            raise DocumentError(
                "invalid_document",
                "a tensor leaves the file",
                field=name,
                expected=f"at most {self._size} bytes of data",
                actual=stop,
            )
        if start > self._end:
            self._padding.append((self._end, start))
        self._end = stop


def _sizes(item: Any, name: str, dimensions: int) -> tuple[int, ...]:
    sizes = values.integers(item, name)
    if len(sizes) != dimensions or any(size < 0 for size in sizes):
        raise DocumentError(
            "invalid_type",
            "wrong shape of a tensor",
            field=name,
            expected=f"{dimensions} sizes ≥ 0",
            actual=list(sizes[:4]),
        )
    check_shape(sizes, name)
    return sizes


def _place_map(item: Any, name: str, reader: _Tensors) -> tuple[_Place, _Place]:
    parts = _parts(item, name, ("keys", "values"))
    keys = reader.place(parts["keys"], f"{name}.keys", 1, I4)
    rows = reader.place(parts["values"], f"{name}.values", 2, F4)
    if keys.shape[0] != rows.shape[0]:
        raise DocumentError(
            "invalid_document",
            "a map needs a value for each key",
            field=name,
            expected=keys.shape[0],
            actual=rows.shape[0],
        )
    return keys, rows


def _place_cases(item: Any, are_sequences: bool, reader: _Tensors) -> dict[str, _Place]:
    kinds = {"lengths": (1, I4)} if are_sequences else {}
    kinds |= {"inputs": (2, F4), "expected_outputs": (2, F4)}
    parts = _parts(item, "validation_data", tuple(kinds))
    return {
        key: reader.place(parts[key], f"validation_data.{key}", *kind)
        for key, kind in kinds.items()
    }


def _parts(item: Any, name: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise values.wrong_type(item, name, "an object")
    parts = values.known_only(item, keys, name, "error")
    for key in keys:
        if key not in parts:
            raise DocumentError("missing_field", "a required key is missing", field=f"{name}.{key}")
    return parts
