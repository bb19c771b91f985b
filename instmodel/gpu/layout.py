"""The words of a GPU model: its header, its sections, and one instruction. See docs/gpu.md.

Design
------
A. A model is one array of little-endian 32-bit words: header, instructions, weights, parameters,
   and in version 2 integers and maps. Sections follow each other without gaps, in this order.
B. An instruction points into the compute buffer (all buffers side by side, in floats) and, relative
   to their starts, into the sections.
C. What only needs the first version's instructions has only one form: version 1.
"""

from __future__ import annotations

from typing import NamedTuple

MAGIC = 0x494D5047
WORD = 4
INSTRUCTION_WORDS = 8
MAX_COMPUTE_BUFFER = 65_536
MAX_WORDS = 2**32 - 1

# In a clip, the place of the parameters of a bound that is not there.
ABSENT = 0xFFFFFFFF


class Header(NamedTuple):
    """The first words of a model, in order; version 1 ends with `full_size`.

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


HEADER_WORDS = {1: 13, 2: len(Header._fields)}


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
