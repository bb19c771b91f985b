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
from instmodel.gpu.header import Words, read_header, read_states, require_equal
from instmodel.gpu.instructions import ROWS, TYPES
from instmodel.gpu.layout import (
    ABSENT,
    INSTRUCTION_WORDS,
    GpuOp,
    GpuState,
    Header,
    lowest_version,
)

_EXPONENT = np.uint32(0x7F800000)


@dataclass(frozen=True, slots=True)
class CheckedWords:
    """What the check found out about a model.

    Attributes
    ----------
    header : Header
    ops : list of GpuOp
    states : list of GpuState
    gaps : list of (start, stop)
        Ranges of the compute buffer that are read before anything has written them.
    """

    header: Header
    ops: list[GpuOp]
    states: list[GpuState]
    gaps: list[tuple[int, int]]


def check(words: Words, limits: Limits, *, allow_non_finite: bool) -> CheckedWords:
    """Check a model, which must fill `words` exactly.

    Raises
    ------
    InstModelError
        The first rule that is broken, and where.
    """
    header = read_header(words)
    limits.check_buffer_sizes([header.compute_buffer_size])
    limits.check_weight_count(header.weights_count)
    ops: list[GpuOp] = []
    claims = _Claims(words, header, allow_non_finite)
    states = read_states(words, header)
    claims.states(states)
    start = header.instructions_start
    # One by one: what follows a wrong instruction takes no memory.
    for index, row in enumerate(words[start : header.weights_start].reshape(-1, INSTRUCTION_WORDS)):
        op = GpuOp._make(row.tolist())
        ops.append(op)
        name = TYPES.get(op.opcode)
        try:
            _check_op(op, name, claims)
        except InstModelError as error:
            raise error.at(index, name) from None
    needed = lowest_version(ops, is_recurrent=bool(states))
    require(
        needed == header.version,
        "unsupported_version",
        "a model has the lowest version that will do",
        "version",
        needed,
        header.version,
    )
    claims.reads("output_start", header.output_start, header.output_size)
    claims.finish()
    return CheckedWords(header, ops, states, claims.gaps())


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
        self._state_buffers = list[GpuState]()
        self._read = list[tuple[int, int]]()
        self._written = list[tuple[int, int]]()
        self._next_integer = 0
        # Claimed ranges, (start, stop), with the columns of a matrix or the number of a map's keys.
        self._dense = set[tuple[int, int, int]]()
        self._vectors = set[tuple[int, int]]()
        self._tables = set[tuple[int, int, int]]()

    def states(self, states: list[GpuState]) -> None:
        """Claim the state buffers, before any instruction: what they hold counts as written."""
        features = free = self._header.feature_size
        for index, state in enumerate(states):
            field = f"states[{index}]"
            self._in_buffer(f"{field}.start", state.start, state.size, least=1)
            for least, code, message in (
                (features, "state_in_input", "the input fills it anew"),
                (free, "repeated_state", "states overlap, or do not ascend"),
            ):
                known = (f"{field}.start", f"at least {least}", state.start)
                require(state.start >= least, code, message, *known)
            if state.initial != ABSENT:
                self.parameters(f"{field}.initial", state.initial, state.size)
            free = state.start + state.size
            self._touch(state.start, free)
        next_place = 0
        for place, size in sorted((state.place, state.size) for state in states):
            require_equal(place, next_place, "states", "the places do not follow each other")
            next_place += size
        self._state_buffers = states

    def reads(self, field: str, start: int, count: int) -> None:
        self._in_buffer(field, start, count, least=1)
        self._read_range(start, start + count)

    def reads_each(self, field: str, starts: Iterable[int], count: int) -> None:
        ordered = sorted(set(starts))
        self._in_buffer(field, ordered[-1], count, least=1)
        first = last = ordered[0]
        for start in ordered:
            if start > last + count:
                self._read_range(first, last + count)
                first = start
            last = start
        self._read_range(first, last + count)

    def writes(self, field: str, start: int, count: int, *, least: int = 1) -> None:
        self._in_buffer(field, start, count, least=least)
        self._touch(start, start + count)
        self._written.append((start, start + max(count, 1)))  # nothing, but into this buffer

    def weights(self, field: str, start: int, rows: int, cols: int) -> None:
        count = rows * cols + rows
        _require_inside("weights", field, start, count, self._header.weights_count)
        self._dense.add((start, start + count, cols))

    def parameters(self, field: str, start: int, count: int) -> None:
        _require_inside("parameters", field, start, count, self._header.parameters_count)
        self._vectors.add((start, start + count))

    def integers(self, field: str, start: int, count: int) -> list[int]:
        _require_inside("integers", field, start, count, self._header.integers_count)
        require_equal(start, self._next_integer, field, "lists follow each other")
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
        require_equal(self._next_integer, header.integers_count, "integers_count", "unused words")

        self._check_states("unwritten_state", "no instruction writes it", self._written)
        self._check_states("unused_state", "nothing reads it", self._read)
        self._require_finite("weights", header.weights_start, header.weights_count)
        self._require_finite("parameters", header.parameters_start, header.parameters_count)
        self._check_maps(header.maps_start, header.maps_count)

    def _check_states(self, code: str, message: str, ranges: list[tuple[int, int]]) -> None:
        """Require that some of the ranges touch each state buffer."""
        edges = np.zeros(self._header.compute_buffer_size + 2, np.int64)
        starts, stops = np.array(ranges, np.int64).reshape(-1, 2).T
        np.add.at(edges, starts, 1)
        np.add.at(edges, stops, -1)
        touched = np.concatenate([[0], np.cumsum(np.cumsum(edges) > 0)])
        for index, state in enumerate(self._state_buffers):
            count = touched[state.start + state.size] - touched[state.start]
            require(count > 0, code, message, f"states[{index}]")

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

    def _read_range(self, start: int, stop: int) -> None:
        self._gaps += self._touch(start, stop)
        self._read.append((start, stop))

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
