"""Reading the words of a GPU model: every size, pointer and value is checked before it is used.

A checked model obeys all rules that its words can show. The sizes of single buffers are not among
them: the words know ranges of the compute buffer only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from instmodel import _kernels
from instmodel.base.limits import Limits
from instmodel.document.instruction_base import require
from instmodel.errors import DocumentError, InstModelError, StructureError
from instmodel.gpu.instructions import LAST_OF_VERSION_1, ROWS, TYPES
from instmodel.gpu.layout import (
    HEADER_WORDS,
    INSTRUCTION_WORDS,
    MAGIC,
    MAX_COMPUTE_BUFFER,
    GpuOp,
    Header,
)

Words = NDArray[np.uint32]

_EXPONENT = np.uint32(0x7F800000)


@dataclass(frozen=True, slots=True)
class CheckedWords:
    """What the check found out about a model.

    Attributes
    ----------
    header : Header
    ops : list of GpuOp
    gaps : list of (start, stop)
        Ranges of the compute buffer that are read before anything has written them.
    """

    header: Header
    ops: list[GpuOp]
    gaps: list[tuple[int, int]]


def check(words: Words, limits: Limits, *, allow_non_finite: bool) -> CheckedWords:
    """Check a model, which must fill `words` exactly.

    Raises
    ------
    InstModelError
        The first rule that is broken, and where.
    """
    header = _read_header(words)
    _check_sections(header, len(words))
    _check_buffers(header)
    limits.check_buffer_sizes([header.compute_buffer_size])
    limits.check_weight_count(header.weights_count)
    start = header.instructions_start
    ops: list[GpuOp] = []
    claims = _Claims(words, header, allow_non_finite)
    # One by one: what follows a wrong instruction takes no memory.
    for index, row in enumerate(words[start : header.weights_start].reshape(-1, INSTRUCTION_WORDS)):
        op = GpuOp._make(row.tolist())
        ops.append(op)
        name = TYPES.get(op.opcode)
        try:
            _check_op(op, name, claims)
        except InstModelError as error:
            raise error.at(index, name) from None
    needed = 1 if all(op.opcode <= LAST_OF_VERSION_1 for op in ops) else 2
    require(
        needed == header.version,
        "unsupported_version",
        "a model has the lowest version that knows its instructions",
        "version",
        needed,
        header.version,
    )
    claims.reads("output_start", header.output_start, header.output_size)
    claims.finish()
    return CheckedWords(header, ops, claims.gaps())


def _read_header(words: Words) -> Header:
    def stop(code: str, message: str, field: str, expected: object, actual: object) -> None:
        raise DocumentError(code, message, field=field, expected=expected, actual=actual)

    least = HEADER_WORDS[1]
    if len(words) < least:
        stop("invalid_document", "cut off", "words", f"at least {least}", len(words))
    magic, version = words[:2].tolist()
    if magic != MAGIC:
        stop("invalid_document", "no GPU model", "magic", f"0x{MAGIC:08X}", f"0x{magic:08X}")
    if version not in HEADER_WORDS:
        stop("unsupported_version", "unknown version", "version", "1 or 2", version)
    size = HEADER_WORDS[version]
    if len(words) < size:
        stop("invalid_document", "cut off", "words", f"at least {size}", len(words))
    return Header(*words[:size].tolist())


def _check_sections(header: Header, size: int) -> None:
    """Check that the sections follow each other, and fill a model of `size` words."""
    places = {
        "instructions_start": header.instructions_start,
        "weights_start": header.weights_start,
        "parameters_start": header.parameters_start,
    }
    counts = [
        INSTRUCTION_WORDS * header.instruction_count,
        header.weights_count,
        header.parameters_count,
    ]
    if header.version == 2:
        places |= {"integers_start": header.integers_start, "maps_start": header.maps_start}
        counts += [header.integers_count, header.maps_count]
    position = HEADER_WORDS[header.version]
    for (name, start), count in zip(places.items(), counts, strict=True):
        _require_equal(start, position, name, "a section is in the wrong place")
        position += count
    _require_equal(header.full_size, position, "full_size", "the sections do not fill the model")
    _require_equal(size, header.full_size, "words", "the model has another size than it says")
    require(header.instruction_count > 0, "no_instructions", "a model needs instructions", "words")


def _check_buffers(header: Header) -> None:
    """Check the sizes of the compute buffer, of the input and of the output."""
    total = header.compute_buffer_size
    require(
        1 <= total <= MAX_COMPUTE_BUFFER,
        "buffer_limit_exceeded",
        "the compute buffer has a wrong size",
        "compute_buffer_size",
        f"1 … {MAX_COMPUTE_BUFFER}",
        total,
    )
    require(
        1 <= header.output_size <= total,
        "invalid_buffer_size",
        "the output does not fit the compute buffer",
        "output_size",
        f"1 … {total}",
        header.output_size,
    )
    require(
        header.output_start == total - header.output_size,
        "invalid_buffer_size",
        "the output ends the compute buffer",
        "output_start",
        total - header.output_size,
        header.output_start,
    )
    features = header.feature_size
    require(
        1 <= features <= header.output_start or features == total,
        "feature_size_mismatch",
        "the input must fill the first buffers exactly",
        "feature_size",
        f"1 … {header.output_start}, or {total}",
        features,
    )


def _require_equal(actual: int, expected: int, field: str, message: str) -> None:
    if actual != expected:
        raise DocumentError(
            "invalid_document", message, field=field, expected=expected, actual=actual
        )


def _check_op(op: GpuOp, name: str | None, claims: _Claims) -> None:
    if name is None:
        raise StructureError(
            "unknown_instruction", "no such opcode", field="opcode", actual=op.opcode
        )
    row = ROWS[name]
    for field in row.unused:
        require(getattr(op, field) == 0, "unknown_field", "an unused word must be 0", field)
    row.check(op, claims)


class _Claims:
    """What instructions claim of a model; see `instmodel.gpu.instructions.Claims`."""

    def __init__(self, words: Words, header: Header, allow_non_finite: bool) -> None:
        self._words = words
        self._header = header
        self._allow_non_finite = allow_non_finite
        # A byte for each value of the compute buffer: 1 once something has read or written it. Each
        # changes once, so that the time hardly grows with the sizes that instructions name.
        self._touched = bytearray(header.compute_buffer_size)
        self._touch(0, header.feature_size)
        self._gaps = list[tuple[int, int]]()
        self._next_integer = 0
        # Claimed ranges, (start, stop), with the columns of a matrix or the number of a map's keys.
        self._dense = set[tuple[int, int, int]]()
        self._vectors = set[tuple[int, int]]()
        self._tables = set[tuple[int, int, int]]()

    def reads(self, field: str, start: int, count: int) -> None:
        self._in_buffer(field, start, count, least=1)
        self._gaps += self._touch(start, start + count)

    def reads_each(self, field: str, starts: Iterable[int], count: int) -> None:
        ordered = sorted(set(starts))
        self._in_buffer(field, ordered[-1], count, least=1)
        first = last = ordered[0]
        for start in ordered:
            if start > last + count:
                self._gaps += self._touch(first, last + count)
                first = start
            last = start
        self._gaps += self._touch(first, last + count)

    def writes(self, field: str, start: int, count: int, *, least: int = 1) -> None:
        self._in_buffer(field, start, count, least=least)
        self._touch(start, start + count)

    def weights(self, field: str, start: int, rows: int, cols: int) -> None:
        count = rows * cols + rows
        _require_inside("weights", field, start, count, self._header.weights_count)
        self._dense.add((start, start + count, cols))

    def parameters(self, field: str, start: int, count: int) -> None:
        _require_inside("parameters", field, start, count, self._header.parameters_count)
        self._vectors.add((start, start + count))

    def integers(self, field: str, start: int, count: int) -> list[int]:
        _require_inside("integers", field, start, count, self._header.integers_count)
        _require_equal(start, self._next_integer, field, "lists follow each other")
        self._next_integer += count
        first = self._header.integers_start + start
        items: list[int] = self._words[first : first + count].tolist()
        return items

    def map(self, field: str, start: int, keys: int, size: int) -> None:
        count = keys * (1 + size)
        _require_inside("map", field, start, count, self._header.maps_count)
        self._tables.add((start, start + count, keys))

    def default(self, field: str, start: int, count: int) -> None:
        _require_inside("map", field, start, count, self._header.maps_count)
        self._tables.add((start, start + count, 0))

    def finish(self) -> None:
        """Require that instructions use each section whole and agree about it, and good values.

        Only now, when no part can be claimed twice, so that the time is in proportion to the words.
        """
        header = self._header
        _require_tiled("weights", [item[:2] for item in self._dense], header.weights_count)
        _require_tiled("parameters", list(self._vectors), header.parameters_count)
        _require_tiled("map", [item[:2] for item in self._tables], header.maps_count)
        _require_equal(self._next_integer, header.integers_count, "integers_count", "unused words")

        self._require_finite("weights", header.weights_start, header.weights_count)
        self._require_finite("parameters", header.parameters_start, header.parameters_count)
        self._check_maps(header.maps_start, header.maps_count)

    def _check_maps(self, start: int, count: int) -> None:
        """Require ascending keys and good values, all tables at a time: there may be many."""
        section = self._words[start : start + count]
        tables = np.array([item for item in self._tables if item[2]], np.int64).reshape(-1, 3)
        starts, keys = tables[:, 0], tables[:, 2]
        edges = np.zeros(len(section) + 1, np.int8)
        edges[starts] += 1
        edges[starts + keys] -= 1
        is_key = np.cumsum(edges[:-1], dtype=np.int8).astype(bool)
        follows = is_key.copy()  # a key of the same map
        follows[starts] = False
        numbers = section.view(np.int32)
        ascending = not (follows[1:] & (numbers[:-1] >= numbers[1:])).any()
        require(ascending, "invalid_map_key", "the keys of a map must ascend", "map")
        self._require_finite("map", start, count, but=is_key)

    def gaps(self) -> list[tuple[int, int]]:
        """Return the ranges of the compute buffer that are read before they are written."""
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(self._gaps):
            if merged and merged[-1][1] == start:
                start = merged.pop()[0]
            merged.append((start, stop))
        return merged

    def _touch(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return what was untouched of a range, which it no longer is."""
        touched, runs = self._touched, []
        first = touched.find(0, start, stop)
        while first >= 0:
            end = touched.find(1, first, stop)
            end = stop if end < 0 else end
            touched[first:end] = b"\1" * (end - first)
            runs.append((first, end))
            first = touched.find(0, end, stop)
        return runs

    def _in_buffer(self, field: str, start: int, count: int, *, least: int) -> None:
        total = self._header.compute_buffer_size
        if count < least or start + count > total:
            raise StructureError(
                "buffer_index_out_of_bounds",
                "outside of the compute buffer",
                field=field,
                expected=f"a range of at least {least} inside 0 … {total}",
                actual=f"{start} … {start + count}",
            )

    def _require_finite(
        self, section: str, start: int, count: int, but: NDArray[np.bool_] | None = None
    ) -> None:
        """Require words of the model to be finite floats, but for those that are none."""
        if self._allow_non_finite:
            return
        words = self._words[start : start + count]
        if but is not None:
            words = np.where(but, np.uint32(0), words)
        if not _kernels.all_finite(words.view(np.float32)):
            odd = np.flatnonzero((words & _EXPONENT) == _EXPONENT)
            raise DocumentError(
                "non_finite_value",
                "not a finite float32",
                field=section,
                actual=f"word {start + int(odd[0])}",
            )


def _require_inside(section: str, field: str, start: int, count: int, total: int) -> None:
    if start + count > total:
        raise StructureError(
            "invalid_document" if section == "integers" else f"{section}_index_out_of_bounds",
            "outside of its section",
            field=field,
            expected=f"inside 0 … {total}",
            actual=f"{start} … {start + count}",
        )


def _require_tiled(section: str, ranges: list[tuple[int, int]], total: int) -> None:
    """Require ranges (start, stop) to cover 0 … total once, without those that are empty."""
    ordered = sorted(item for item in ranges if item[0] < item[1])
    for (_, stop), (start, _) in pairwise([(0, 0), *ordered, (total, total)]):
        if start < stop:
            raise DocumentError(
                "invalid_document",
                "two instructions overlap in a section",
                field=section,
                actual=f"{start} … {stop}",
            )
        require(start == stop, f"unused_{section}", "no instruction uses it", section, actual=stop)
