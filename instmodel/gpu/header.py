"""Reading the header of a GPU model, and with it where everything lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instmodel.document.instruction_base import require
from instmodel.errors import DocumentError
from instmodel.gpu.layout import (
    HEADER_WORDS,
    INSTRUCTION_WORDS,
    MAGIC,
    MAX_COMPUTE_BUFFER,
    SECTION_COUNT,
    STATE_WORDS,
    GpuState,
    Header,
)

Words = NDArray[np.uint32]


def read_header(words: Words) -> Header:
    """Return the header of a model that fills `words` exactly.

    Raises
    ------
    InstModelError
        The first rule about sections or sizes that is broken.
    """
    header = _read_header(words)
    _check_sections(header, len(words))
    _check_buffers(header)
    return header


def read_states(words: Words, header: Header) -> list[GpuState]:
    """Return the state buffers; where they may be is not checked yet."""
    count = header.states_count
    require_equal(count % STATE_WORDS, 0, "states_count", "a state has four words")
    section = words[header.states_start : header.states_start + count]
    states = [GpuState._make(row.tolist()) for row in section.reshape(-1, STATE_WORDS)]
    total = sum(state.size for state in states)
    require_equal(header.state_size, total, "state_size", "the states have another size together")
    return states


def require_equal(actual: int, expected: int, field: str, message: str) -> None:
    """Require a word to be what the others make it."""
    if actual != expected:
        raise DocumentError(
            "invalid_document", message, field=field, expected=expected, actual=actual
        )


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
        stop("unsupported_version", "unknown version", "version", "1 to 3", version)
    size = HEADER_WORDS[version]
    if len(words) < size:
        stop("invalid_document", "cut off", "words", f"at least {size}", len(words))
    return Header(*words[:size].tolist())


def _check_sections(header: Header, size: int) -> None:
    """Check that the sections follow each other, and fill a model of `size` words."""
    sections = [
        ("instructions_start", INSTRUCTION_WORDS * header.instruction_count),
        ("weights_start", header.weights_count),
        ("parameters_start", header.parameters_count),
        ("integers_start", header.integers_count),
        ("maps_start", header.maps_count),
        ("states_start", header.states_count),
    ]
    position = HEADER_WORDS[header.version]
    for name, count in sections[: SECTION_COUNT[header.version]]:
        start = getattr(header, name)
        require_equal(start, position, name, "a section is in the wrong place")
        position += count
    require_equal(header.full_size, position, "full_size", "the sections do not fill the model")
    require_equal(size, header.full_size, "words", "the model has another size than it says")
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
