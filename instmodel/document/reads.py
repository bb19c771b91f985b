"""Which input values can change an output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from instmodel.document.instruction_base import Instruction


def read_inputs(
    instructions: Sequence[Instruction], sizes: Sequence[int], feature_size: int
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
    """
    # Backwards: the values, as they are now, that an instruction already seen needs.
    needed = [np.zeros(size, bool) for size in sizes]
    needed[-1][:] = True
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
    return tuple(np.flatnonzero(np.concatenate(needed)[:feature_size]).tolist())
