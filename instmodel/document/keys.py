"""Which input values are keys of maps, and which keys of maps no value can be.

A key is *raw* if it reaches its lookup as it came in: from the input buffers, or through copies of
them. What any other instruction computes is float32 by then, and no key that the caller wrote.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from instmodel.base import map_keys
from instmodel.document.instruction_base import Instruction
from instmodel.document.reads import Marks, before_all_steps


def key_inputs(
    instructions: Sequence[Instruction],
    sizes: Sequence[int],
    feature_size: int,
    state_buffers: Sequence[int] = (),
) -> tuple[int, ...]:
    """Return the positions of the input values that are raw keys, ascending.

    Takes about as long as running the instructions for a sample does.

    Parameters
    ----------
    instructions : sequence of Instruction
        Checked.
    sizes : sequence of int
        Size of each buffer.
    feature_size : int
        Number of input values F, which fill the first buffers.
    state_buffers : sequence of int
        A key may wait there until a later step.
    """
    if not any(item.looked_up() for item in instructions):
        return ()
    wanted = before_all_steps(
        lambda after: _wanted_before(after, instructions, sizes),
        [np.zeros(size, bool) for size in sizes],
        state_buffers,
    )
    return tuple(np.flatnonzero(np.concatenate(wanted)[:feature_size]).tolist())


def _wanted_before(
    wanted: Marks, instructions: Sequence[Instruction], sizes: Sequence[int]
) -> Marks:
    """Go backwards, and mark the values that instructions look up as they came in."""
    for item in reversed(instructions):
        target, start, stop, _ = item.write(sizes)
        places = start + np.flatnonzero(wanted[target][start:stop])
        if places.size:
            wanted[target][places] = False
            sources = item.sources(places)
            if sources is not None:
                wanted[item.reads()[0]][sources] = True
        key = item.looked_up()
        if key is not None:
            buffer, place = key
            wanted[buffer][place] = True
    return wanted


def warn_of_lost_keys(maps: Sequence[NDArray[np.int32]], stacklevel: int) -> None:
    """Warn, once for all maps, of keys that are no float32 numbers, so that nothing finds them.

    Parameters
    ----------
    maps : sequence of int32 (n,)
        The keys of each map, ascending.
    stacklevel : int
        As of `warnings.warn`, seen from the caller.
    """
    lost = []
    for index, keys in enumerate(maps):
        found = map_keys.inexact(keys)
        if found is not None:
            lost.append((index, keys[found], len(keys)))
    if lost:
        index, keys, count = lost[0]
        others = f"; so it is in {len(lost) - 1} more maps" if len(lost) > 1 else ""
        warnings.warn(
            f"maps[{index}]: float32 cannot hold {len(keys)} of the {count} keys, the first of "
            f"them {keys[0]}; values are float32, so nothing ever finds these keys{others}",
            UserWarning,
            stacklevel=stacklevel + 1,
        )
