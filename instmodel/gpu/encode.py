"""A checked document as the words of a GPU model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.compiled.panels import layer_size
from instmodel.document.structure import Structure
from instmodel.document.validate import CheckedModel
from instmodel.errors import StructureError
from instmodel.gpu.instructions import ROWS
from instmodel.gpu.layout import (
    ABSENT,
    HEADER_WORDS,
    INSTRUCTION_WORDS,
    MAGIC,
    MAX_COMPUTE_BUFFER,
    MAX_WORDS,
    SECTION_COUNT,
    GpuState,
    Header,
    lowest_version,
)

Words = NDArray[np.uint32]


def encode(checked: CheckedModel, dense: Sequence[NDArray[np.float32]]) -> Words:
    """Return the words of a model.

    Parameters
    ----------
    checked : CheckedModel
    dense : sequence of float32 arrays
        The weights (rows, cols) and the bias (rows,) of one dense layer after the other.

    Raises
    ------
    StructureError
        ``buffer_limit_exceeded``: the compute buffer is larger than 65,536 floats, or the model
        larger than 2³² words.
    """
    _require_size(checked.required_memory, MAX_COMPUTE_BUFFER, "floats in the compute buffer")
    structure = checked.structure
    packer = _Packer(checked)
    ops = [ROWS[item.TYPE].encode(item, packer) for item in structure.instructions]
    version = lowest_version(ops, is_recurrent=structure.is_recurrent)

    sections = [
        np.array(ops, np.uint32).reshape(-1),
        _floats(dense),
        _floats(structure.parameters),
        np.array(packer.integer_list, np.uint32),
        packer.maps_section(),
        np.array(_state_rows(structure, packer), np.uint32).reshape(-1),
    ]
    known = sections[: SECTION_COUNT[version]]
    ends = list(accumulate(map(len, known), initial=HEADER_WORDS[version]))
    _require_size(ends[-1], MAX_WORDS, "words")

    starts = ends + [0] * (len(sections) - len(known))
    header = Header(
        magic=MAGIC,
        version=version,
        feature_size=checked.feature_size,
        output_size=structure.buffer_sizes[-1],
        compute_buffer_size=checked.required_memory,
        instruction_count=len(sections[0]) // INSTRUCTION_WORDS,
        instructions_start=starts[0],
        weights_start=starts[1],
        weights_count=len(sections[1]),
        parameters_start=starts[2],
        parameters_count=len(sections[2]),
        output_start=checked.offsets[-1],
        full_size=ends[-1],
        integers_start=starts[3],
        integers_count=len(sections[3]),
        maps_start=starts[4],
        maps_count=len(sections[4]),
        states_start=starts[5],
        states_count=len(sections[5]),
        state_size=checked.state_size,
    )
    return np.concatenate([np.array(header[: HEADER_WORDS[version]], np.uint32), *known])


def _state_rows(structure: Structure, packer: _Packer) -> list[GpuState]:
    """Return the state buffers in the order of the compute buffer."""
    sizes = [packer.size(item.buffer) for item in structure.state]
    places = accumulate(sizes, initial=0)
    return sorted(
        GpuState(packer.offset(item.buffer), size, packer.parameters(item.initial), place)
        for item, size, place in zip(structure.state, sizes, places, strict=False)
    )


def _require_size(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise StructureError(
            "buffer_limit_exceeded",
            f"too many {what} for a GPU model",
            field="buffer_sizes",
            expected=f"at most {limit:,}",
            actual=f"{size:,}",
        )


def _floats(parts: Sequence[NDArray[np.float32]]) -> Words:
    """Return float32 arrays one after the other, as words."""
    flat = [np.ascontiguousarray(part, np.float32).reshape(-1).view(np.uint32) for part in parts]
    return np.concatenate([np.empty(0, np.uint32), *flat])


class _Packer:
    """Hands out places in the sections; see `instmodel.gpu.instructions.Packer`."""

    def __init__(self, checked: CheckedModel) -> None:
        structure = checked.structure
        self.integer_list: list[int] = []
        self._maps = structure.maps
        self._sizes = structure.buffer_sizes
        self._offsets = checked.offsets
        self._weight_starts = _starts([layer_size(*shape) for shape in structure.weight_shapes])
        self._parameter_starts = _starts([len(item) for item in structure.parameters])
        self._map_pieces = [_table(item) for item in structure.maps]
        self._map_starts = _starts([len(item) for item in self._map_pieces])
        self.maps_length = sum(map(len, self._map_pieces))

    def offset(self, buffer: int) -> int:
        return self._offsets[buffer]

    def size(self, buffer: int) -> int:
        return self._sizes[buffer]

    def weights(self, index: int) -> int:
        return self._weight_starts[index]

    def parameters(self, index: int | None) -> int:
        return ABSENT if index is None else self._parameter_starts[index]

    def integers(self, items: Sequence[int]) -> int:
        start = len(self.integer_list)
        self.integer_list.extend(items)
        return start

    def map(self, index: int) -> int:
        return self._map_starts[index]

    def map_length(self, index: int) -> int:
        return len(self._maps[index])

    def default(self, values: Any) -> int:
        start = self.maps_length
        self._map_pieces.append(_floats([np.asarray(values, np.float32)]))
        self.maps_length += len(self._map_pieces[-1])
        return start

    def maps_section(self) -> Words:
        """Return the maps, and after them the defaults."""
        return np.concatenate([np.empty(0, np.uint32), *self._map_pieces])


def _starts(sizes: Sequence[int]) -> list[int]:
    return list(accumulate(sizes, initial=0))


def _table(table: dict[int, NDArray[np.float32]]) -> Words:
    """Return the keys of a map in ascending order, then their values in the same order."""
    keys = np.array(sorted(table), np.int32)
    return np.concatenate([keys.view(np.uint32), _floats([table[int(key)] for key in keys])])
