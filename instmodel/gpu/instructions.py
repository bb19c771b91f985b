"""The GPU's table of instructions: opcode, words, and what each word may hold.

Design
------
A. A row says how an instruction is written (`encode`), and by which rules its words are read again
   (`check`); `names` says what its p0, p1 and p2 are, "" for a word that must be 0.
B. `check` asks a `Claims` for every range that the shader would touch. What it grants exists, so a
   checked model cannot make a shader read or write beyond its own words or the compute buffer.
C. The WGSL of an instruction is the file of its name in ``wgsl/instructions``.

`ROWS` maps the ``type`` of a document to its row; a test demands one for every instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from instmodel.base.activations import Activation
from instmodel.document.instruction_base import require
from instmodel.errors import StructureError
from instmodel.gpu.layout import ABSENT, GpuOp

ACTIVATION_NAMES = {item.gpu_id: item.name for item in Activation}


class Packer(Protocol):
    """Where the parts of a checked document lie; `instmodel.gpu.encode` provides it."""

    def offset(self, buffer: int) -> int:
        """Return where a buffer starts in the compute buffer."""

    def size(self, buffer: int) -> int:
        """Return a buffer's size."""

    def weights(self, index: int) -> int:
        """Return where a matrix, with its bias after it, starts in the weights."""

    def parameters(self, index: int | None) -> int:
        """Return where a parameter vector starts in the parameters; `ABSENT` for None."""

    def integers(self, items: Sequence[int]) -> int:
        """Store a list among the integers, and return where it starts."""

    def map(self, index: int) -> int:
        """Return where a map starts in the maps: its keys, then their values."""

    def map_length(self, index: int) -> int:
        """Return how many keys a map has."""

    def default(self, values: Any) -> int:
        """Store a vector after the maps, and return where it starts in their section."""


class Claims(Protocol):
    """The ranges that a model has; `instmodel.gpu.check` provides it. Each raises if there is none.

    All ranges are (start, count); `field` names the word for the message.
    """

    def reads(self, field: str, start: int, count: int) -> None:
        """Claim a range of the compute buffer to read."""

    def reads_each(self, field: str, starts: Iterable[int], count: int) -> None:
        """Claim ranges of one size to read."""

    def writes(self, field: str, start: int, count: int, *, least: int = 1) -> None:
        """Claim a range of the compute buffer to write, after all reads."""

    def weights(self, field: str, start: int, rows: int, cols: int) -> None:
        """Claim a matrix and its bias."""

    def parameters(self, field: str, start: int, count: int) -> None:
        """Claim a parameter vector."""

    def integers(self, field: str, start: int, count: int) -> list[int]:
        """Claim a list of integers, and return it."""

    def map(self, field: str, start: int, keys: int, size: int) -> None:
        """Claim a map of ascending keys with `size` values each."""

    def default(self, field: str, start: int, count: int) -> None:
        """Claim a vector of values in the section of the maps."""


@dataclass(frozen=True)
class Row:
    """One instruction on the GPU; see the top of this file."""

    opcode: int
    names: tuple[str, str, str]
    encode: Callable[[Any, Packer], GpuOp]
    check: Callable[[GpuOp, Claims], None]

    @cached_property
    def unused(self) -> tuple[str, ...]:
        """The words that must be 0."""
        named = zip(("p0", "p1", "p2", "reserved"), (*self.names, ""), strict=True)
        return tuple(word for word, name in named if not name)


def activation_name(gpu_id: int) -> str | None:
    """Return the name of an activation, None for 0.

    Raises
    ------
    StructureError
        ``unknown_activation``.
    """
    if gpu_id == 0:
        return None
    if gpu_id not in ACTIVATION_NAMES:
        raise StructureError(
            "unknown_activation",
            "no such activation",
            field="p2",
            expected=f"0 … {max(ACTIVATION_NAMES)}",
            actual=gpu_id,
        )
    return ACTIVATION_NAMES[gpu_id]


def _require_apart(op: GpuOp, start: int, count: int, name: str) -> None:
    apart = start + count <= op.output or op.output + op.size <= start
    require(apart, "same_input_output", "the output overlaps an input", name, actual=start)


def _require_same_or_apart(op: GpuOp, start: int, name: str) -> None:
    if start != op.output:
        _require_apart(op, start, op.size, name)


# ------------------------------------------------------------------------------------------- dense


def _encode_dot(item: Any, to: Packer) -> GpuOp:
    return GpuOp(
        ROWS[item.TYPE].opcode,
        input=to.offset(item.input),
        output=to.offset(item.output),
        size=to.size(item.output),
        p0=to.weights(item.weights),
        p1=to.size(item.input),
        p2=item.activation.gpu_id if item.activation else 0,
    )


def _check_dot(op: GpuOp, claims: Claims) -> None:
    activation_name(op.p2)
    claims.reads("input", op.input, op.p1)
    claims.weights("p0", op.p0, op.size, op.p1)
    claims.writes("output", op.output, op.size)
    _require_apart(op, op.input, op.p1, "input")


def _encode_attention(item: Any, to: Packer) -> GpuOp:
    return GpuOp(
        ROWS[item.TYPE].opcode,
        input=to.offset(item.key),
        output=to.offset(item.output),
        size=to.size(item.output),
        p0=to.weights(item.weights),
        p1=to.size(item.key),
        p2=to.offset(item.input),
    )


def _check_attention(op: GpuOp, claims: Claims) -> None:
    claims.reads("input", op.input, op.p1)
    claims.reads("p2", op.p2, op.size)
    claims.weights("p0", op.p0, op.size, op.p1)
    claims.writes("output", op.output, op.size)
    _require_apart(op, op.input, op.p1, "input")
    _require_apart(op, op.p2, op.size, "p2")


# --------------------------------------------------------------------------------- copies, lookup


def _encode_copy(item: Any, to: Packer) -> GpuOp:
    return GpuOp(
        ROWS[item.TYPE].opcode,
        input=to.offset(item.input),
        output=to.offset(item.output) + item.internal_index,
        size=to.size(item.input),
    )


def _check_copy(op: GpuOp, claims: Claims) -> None:
    claims.reads("input", op.input, op.size)
    claims.writes("output", op.output, op.size)
    _require_same_or_apart(op, op.input, "input")


def _encode_copy_masked(item: Any, to: Packer) -> GpuOp:
    return GpuOp(
        ROWS[item.TYPE].opcode,
        input=to.offset(item.input),
        output=to.offset(item.output),
        size=len(item.indexes),
        p0=to.integers(item.indexes),
        p1=to.size(item.input),
    )


def _check_copy_masked(op: GpuOp, claims: Claims) -> None:
    claims.reads("input", op.input, op.p1)
    for index in claims.integers("p0", op.p0, op.size):
        require(
            index < op.p1,
            "mask_index_out_of_bounds",
            "no such value of the input",
            "p0",
            f"less than {op.p1}",
            index,
        )
    claims.writes("output", op.output, op.size, least=0)
    _require_apart(op, op.input, op.p1, "input")


def _encode_map(item: Any, to: Packer) -> GpuOp:
    return GpuOp(
        ROWS[item.TYPE].opcode,
        input=to.offset(item.input) + item.internal_input_index,
        output=to.offset(item.output) + item.internal_output_index,
        size=item.size,
        p0=to.map(item.map),
        p1=to.map_length(item.map),
        p2=to.default(item.default),
    )


def _check_map(op: GpuOp, claims: Claims) -> None:
    claims.reads("input", op.input, 1)
    claims.map("p0", op.p0, op.p1, op.size)
    claims.default("p2", op.p2, op.size)
    claims.writes("output", op.output, op.size)


# ---------------------------------------------------------------------------------------- in place


def _in_place(item: Any, to: Packer, p0: int = 0, p1: int = 0, p2: int = 0) -> GpuOp:
    start, size = to.offset(item.input), to.size(item.input)
    return GpuOp(ROWS[item.TYPE].opcode, start, start, size, p0, p1, p2)


def _check_in_place(op: GpuOp, claims: Claims) -> None:
    require(
        op.input == op.output,
        "input_buffer_size_mismatch",
        "works in place: the output pointer is the input pointer",
        "output",
        op.input,
        op.output,
    )
    claims.reads("input", op.input, op.size)
    claims.writes("output", op.output, op.size)


def _encode_activation(item: Any, to: Packer) -> GpuOp:
    return _in_place(item, to, p2=item.activation.gpu_id)


def _check_activation(op: GpuOp, claims: Claims) -> None:
    _check_in_place(op, claims)
    require(activation_name(op.p2) is not None, "missing_field", "needs an activation", "p2")


def _encode_elementwise(item: Any, to: Packer) -> GpuOp:
    return _in_place(item, to, p0=to.parameters(item.parameters))


def _check_elementwise(op: GpuOp, claims: Claims) -> None:
    _check_in_place(op, claims)
    claims.parameters("p0", op.p0, op.size)


def _encode_clip(item: Any, to: Packer) -> GpuOp:
    lowest, highest = to.parameters(item.parameters_min), to.parameters(item.parameters_max)
    return _in_place(item, to, p0=lowest, p1=highest)


def _check_clip(op: GpuOp, claims: Claims) -> None:
    _check_in_place(op, claims)
    bounds = {name: at for name, at in (("p0", op.p0), ("p1", op.p1)) if at != ABSENT}
    require(bool(bounds), "missing_field", "a clip needs at least one bound", "p0")
    for name, start in bounds.items():
        claims.parameters(name, start, op.size)


# --------------------------------------------------------------------------------- several buffers


def _encode_buffers(item: Any, to: Packer) -> GpuOp:
    starts = [to.offset(buffer) for buffer in item.input]
    return GpuOp(
        ROWS[item.TYPE].opcode,
        input=starts[0],
        output=to.offset(item.output),
        size=to.size(item.output),
        p0=to.integers(starts),
        p1=len(starts),
    )


def _check_buffers(op: GpuOp, claims: Claims) -> None:
    require(op.p1 >= 2, "insufficient_input_buffers", "needs two input buffers", "p1", 2, op.p1)
    starts = claims.integers("p0", op.p0, op.p1)
    claims.reads_each("p0", starts, op.size)
    for start in set(starts):
        _require_same_or_apart(op, start, "p0")
    require(
        starts[0] == op.input,
        "buffer_index_out_of_bounds",
        "the input pointer is the first of the list",
        "input",
        starts[0],
        op.input,
    )
    claims.writes("output", op.output, op.size)


def _encode_heads(item: Any, to: Packer) -> GpuOp:
    data, heads = item.input
    return GpuOp(
        ROWS[item.TYPE].opcode,
        input=to.offset(data),
        output=to.offset(item.output),
        size=to.size(item.output),
        p0=to.offset(heads),
        p1=to.size(heads),
    )


def _check_heads(op: GpuOp, claims: Claims) -> None:
    claims.reads("input", op.input, op.size)
    claims.reads("p0", op.p0, op.p1)
    require(
        op.size % op.p1 == 0,
        "invalid_heads_size",
        "the number of heads must divide the size of the data",
        "p1",
        op.size,
        op.p1,
    )
    claims.writes("output", op.output, op.size)
    _require_same_or_apart(op, op.input, "input")
    _require_apart(op, op.p0, op.p1, "p0")


def _encode_reduce_sum(item: Any, to: Packer) -> GpuOp:
    return GpuOp(
        ROWS[item.TYPE].opcode,
        input=to.offset(item.input),
        output=to.offset(item.output),
        size=1,
        p1=to.size(item.input),
    )


def _check_reduce_sum(op: GpuOp, claims: Claims) -> None:
    require(op.size == 1, "invalid_buffer_size", "a sum is one value", "size", 1, op.size)
    claims.reads("input", op.input, op.p1)
    claims.writes("output", op.output, 1)
    _require_apart(op, op.input, op.p1, "input")


_BUFFERS = (("pointers", "pointer_count", ""), _encode_buffers, _check_buffers)
_HEADS = (("heads", "heads_size", ""), _encode_heads, _check_heads)
_ELEMENTWISE = (("parameters", "", ""), _encode_elementwise, _check_elementwise)

ROWS: dict[str, Row] = {
    "DOT": Row(1, ("weights", "input_size", "activation"), _encode_dot, _check_dot),
    "ACTIVATION": Row(2, ("", "", "activation"), _encode_activation, _check_activation),
    "ADD_ELEMENTWISE": Row(3, *_ELEMENTWISE),
    "MUL_ELEMENTWISE": Row(4, *_ELEMENTWISE),
    "COPY": Row(5, ("", "", ""), _encode_copy, _check_copy),
    # From here on, version 2.
    "ATTENTION": Row(6, ("weights", "key_size", "gated"), _encode_attention, _check_attention),
    "COPY_MASKED": Row(7, ("indexes", "input_size", ""), _encode_copy_masked, _check_copy_masked),
    "MAP_TRANSFORM": Row(8, ("map", "keys", "default"), _encode_map, _check_map),
    "CLIP_ELEMENTWISE": Row(9, ("parameters_min", "parameters_max", ""), _encode_clip, _check_clip),
    "ADD_ELEMENTWISE_BUFFERS": Row(10, *_BUFFERS),
    "MULTIPLY_ELEMENTWISE_BUFFERS": Row(11, *_BUFFERS),
    "ADD_BUFFER_HEADS": Row(12, *_HEADS),
    "MULTIPLY_BUFFER_HEADS": Row(13, *_HEADS),
    "REDUCE_SUM": Row(14, ("", "input_size", ""), _encode_reduce_sum, _check_reduce_sum),
}
TYPES: dict[int, str] = {row.opcode: name for name, row in ROWS.items()}


def word_of(op: GpuOp, meaning: str) -> int | None:
    """Return the word of an instruction that its row calls `meaning`, None if it has none."""
    names = ROWS[TYPES[op.opcode]].names
    return op[GpuOp._fields.index("p0") + names.index(meaning)] if meaning in names else None
