"""Which input each value of a buffer comes from, so that people are told its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from instmodel.base.activations import Activation
from instmodel.document.instruction_base import Instruction

# Positions of inputs (size,) for each value of a buffer; -1 for what comes from several, or none.
Origins = list[NDArray[np.intp]]


def input_origins(
    instructions: Sequence[Instruction],
    sizes: Sequence[int],
    feature_size: int,
    *,
    unchanged: bool = False,
) -> Iterator[Origins]:
    """Yield the inputs that the values of all buffers come from, before each instruction.

    It is always the same list: take what you need of it before you go on.

    Parameters
    ----------
    instructions : sequence of Instruction
    sizes : sequence of int
        Size of each buffer.
    feature_size : int
        Number of input values, which fill the first buffers.
    unchanged : bool
        Only follow values that are moved. Else a value still comes from an input when it was
        scaled, limited or looked up.
    """
    positions = np.full(sum(sizes), -1, np.intp)
    positions[:feature_size] = np.arange(feature_size)
    buffers = np.split(positions, np.cumsum(sizes)[:-1])
    for item in instructions:
        yield buffers
        target, start, stop, _ = item.write(sizes)
        buffers[target][start:stop] = written_origins(item, sizes, buffers, unchanged=unchanged)


def written_origins(
    item: Instruction, sizes: Sequence[int], buffers: Origins, *, unchanged: bool = False
) -> NDArray[np.intp]:
    """Return the inputs that the values that an instruction writes come from.

    Parameters
    ----------
    item : Instruction
    sizes : sequence of int
        Size of each buffer.
    buffers : list of (size,) int
        The inputs that all values come from before it.
    unchanged : bool
        As of `input_origins`.
    """
    target, start, stop, _ = item.write(sizes)
    sources = item.sources(np.arange(start, stop))
    key = item.looked_up()
    if sources is not None:
        return buffers[item.reads()[0]][sources]
    if key is not None and not unchanged:
        return np.full(stop - start, buffers[key[0]][key[1]])
    if item.IN_PLACE and not unchanged and _one_by_one(item):
        return buffers[target][start:stop]
    return np.full(stop - start, -1)


def _one_by_one(item: Instruction) -> bool:
    """Whether an instruction in place makes each value of the one in its place alone."""
    return getattr(item, "activation", None) != Activation.SOFTMAX


def input_names(columns: Sequence[str], feature_size: int) -> list[str]:
    """Return what a person calls each input value: its column, or its number."""
    return list(columns) or [f"input {position}" for position in range(feature_size)]
