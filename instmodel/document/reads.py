"""Which input values can change an output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from instmodel.document.instruction_base import Instruction

# For each buffer, which of its values are meant, (size,) bool.
Marks = list[NDArray[np.bool_]]

# Steps that are followed value by value: of values that wander longer, all of the state is marked,
# which may be too much, and never too little.
_STEPS_FOLLOWED = 16


def read_inputs(
    instructions: Sequence[Instruction],
    sizes: Sequence[int],
    feature_size: int,
    state_buffers: Sequence[int] = (),
) -> tuple[int, ...]:
    """Return the positions of the input values that may change an output, ascending.

    What moves values is followed value by value; what computes is taken to need all of what it
    reads, also where a weight is 0: 0 · NaN is NaN. So a value that is not among them has no say.

    Parameters
    ----------
    instructions : sequence of Instruction
        Checked.
    sizes : sequence of int
        Size of each buffer; the last one is the output.
    feature_size : int
        Number of input values F, which fill the first buffers.
    state_buffers : sequence of int
    """
    needed = [np.zeros(size, bool) for size in sizes]
    needed[-1][:] = True
    needed = before_all_steps(
        lambda after: _needed_before(after, instructions, sizes), needed, state_buffers
    )
    return tuple(np.flatnonzero(np.concatenate(needed)[:feature_size]).tolist())


def before_all_steps(
    before: Callable[[Marks], Marks], after: Marks, state_buffers: Sequence[int]
) -> Marks:
    """Return what is marked before a step, of all steps of a sequence together.

    What is marked in a state buffer before a step is marked after the step that came before it.

    Parameters
    ----------
    before : callable
        Returns what is marked before the instructions of a step, of what is marked after them; it
        may change what it is given.
    after : Marks
        What is marked after the last step.
    state_buffers : sequence of int
    """
    for step in count():
        found = before([item.copy() for item in after])
        if not any((found[buffer] & ~after[buffer]).any() for buffer in state_buffers):
            return found
        for buffer in state_buffers:
            after[buffer] |= found[buffer] | (step >= _STEPS_FOLLOWED)
    raise AssertionError  # count() has no end


def _needed_before(
    needed: Marks, instructions: Sequence[Instruction], sizes: Sequence[int]
) -> Marks:
    """Go backwards from the values that are needed after the instructions."""
    for item in reversed(instructions):
        target, start, stop, _ = item.write(sizes)
        places = start + np.flatnonzero(needed[target][start:stop])
        if not places.size:
            continue
        if not item.IN_PLACE:
            needed[target][places] = False
        sources, key = item.sources(places), item.looked_up()
        if sources is not None:
            needed[item.reads()[0]][sources] = True
        elif key is not None:
            buffer, place = key
            needed[buffer][place] = True
        else:
            for buffer in item.reads():
                needed[buffer][:] = True
    return needed
