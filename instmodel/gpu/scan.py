"""Sequences of any lengths through a chunk on a GPU: one step of all of them after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arrays
from instmodel.compiled.ragged import Sequences
from instmodel.gpu.chunk import Chunk, Floats, Room

Numbers = NDArray[np.int64]


def run_sequences(
    chunk: Chunk, given: Sequences, initial: Floats, states: Floats | None, last: bool, out: Floats
) -> None:
    """Run sequences, as many at a time as the chunk has room for.

    The longest come first. So those that still have steps are always the first samples of the
    chunk, and those in a chunk are of nearly the same length.

    Parameters
    ----------
    chunk : Chunk
    given : Sequences
    initial : float32 (S,)
        Where sequences start, if `states` is None.
    states : float32 (N, S), optional
        IN/OUT: where each sequence starts, and where it ended.
    last : bool
        Whether only the output of each sequence's last step is wanted.
    out : float32 (R, O), or (N, O) with `last`
        OUT: the output of each row that is a step, or of each sequence that has one.
    """
    order = np.argsort(-given.lengths, kind="stable")[: np.count_nonzero(given.lengths)]
    for start in range(0, len(order), chunk.room.samples):
        part = order[start : start + chunk.room.samples]
        chunk.set_state(np.tile(initial, (len(part), 1)) if states is None else states[part])
        for first, active in _blocks(given.lengths[part], chunk.room):
            rows = [given.starts[part[:n]] + first + i for i, n in enumerate(active)]
            places = np.concatenate(rows)
            steps = arrays.as_float32(given.rows[places])
            chunk.compute(steps, active.tolist(), None if last else places, out)
        if last:
            chunk.outputs(len(part), part, out)
        if states is not None:
            after = np.empty((len(part), states.shape[1]), np.float32)
            chunk.get_state(after)
            states[part] = after
    chunk.finish(out)


def _blocks(lengths: Numbers, room: Room) -> Iterator[tuple[int, Numbers]]:
    """Yield blocks that fit: the first step, and how many sequences have it and each after it.

    `lengths` descend, and none is 0; there is room for a step of all of them.
    """
    active = np.searchsorted(-lengths, -np.arange(lengths[0]), "left")
    ends = np.cumsum(active)
    first = 0
    while first < len(active):
        before = ends[first] - active[first]
        stop = int(np.searchsorted(ends, before + room.rows, "right"))
        stop = min(stop, first + room.moments)
        yield first, active[first:stop]
        first = stop
