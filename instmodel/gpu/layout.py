"""The words of a GPU model: its header, its sections, and one instruction. See docs/gpu.md.

Design
------
A. A model is one array of little-endian 32-bit words: header, instructions, weights, parameters,
   from version 2 on integers and maps, and in version 3 states. Sections follow each other without
   gaps, in this order.
B. An instruction points into the compute buffer (all buffers side by side, in floats) and, relative
   to their starts, into the sections.
C. There is one form for each model: the lowest version that will do. Version 1 knows five
   instructions, version 2 all, and version 3 is for recurrent models.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MAGIC = 0x494D5047
WORD = 4
INSTRUCTION_WORDS = 8
MAX_COMPUTE_BUFFER = 65_536
MAX_WORDS = 2**32 - 1

# The place of parameters that are not there: of a bound of a clip, of a state that starts at 0.
ABSENT = 0xFFFFFFFF


class Header(NamedTuple):
    """The first words of a model, in order; a lower version ends before what it does not know.

    `…_start` is the first word of a section, counted from the start of the model.
    """

    magic: int
    version: int
    feature_size: int
    output_size: int
    compute_buffer_size: int
    instruction_count: int
    instructions_start: int
    weights_start: int
    weights_count: int
    parameters_start: int
    parameters_count: int
    output_start: int
    full_size: int
    integers_start: int = 0
    integers_count: int = 0
    maps_start: int = 0
    maps_count: int = 0
    states_start: int = 0
    states_count: int = 0
    state_size: int = 0


HEADER_WORDS = {1: 13, 2: 17, 3: len(Header._fields)}
# Instructions, weights, parameters; integers, maps; states.
SECTION_COUNT = {1: 3, 2: 5, 3: 6}
STATE_WORDS = 4
# The first version knows the opcodes up to here.
_LAST_OF_VERSION_1 = 5


class GpuState(NamedTuple):
    """The words of one state buffer.

    `start` and `size` are its range of the compute buffer. `initial` is where the parameters are
    that it holds before the first step, or `ABSENT`. `place` is that of its first value among the
    values of the state, which come in the order of the document.
    """

    start: int
    size: int
    initial: int
    place: int


class GpuOp(NamedTuple):
    """The words of one instruction; what p0, p1 and p2 mean is its row's business.

    `input` and `output` are offsets into the compute buffer, `size` counts values.
    """

    opcode: int
    input: int
    output: int
    size: int
    p0: int = 0
    p1: int = 0
    p2: int = 0
    reserved: int = 0


def lowest_version(ops: Iterable[GpuOp], *, is_recurrent: bool) -> int:
    """Return the version that a model is: the first that knows all that it needs."""
    if is_recurrent:
        return 3
    return 1 if all(op.opcode <= _LAST_OF_VERSION_1 for op in ops) else 2
