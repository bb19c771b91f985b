"""Sequences through a recurrent model, on several threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel._engine import Engine
from instmodel._scan import SharedSequences
from instmodel.base import arrays, values
from instmodel.base.cpus import default_thread_count
from instmodel.base.pool import MAX_THREADS, run_together
from instmodel.compiled.parallel import WORK_WORTH_A_THREAD, checked_threads
from instmodel.compiled.ragged import Result, Sequences, check_state
from instmodel.errors import InputError

# Rows converted to float32 at a time when the input has another type.
_ROWS_CONVERTED = 1 << 18

# A sequence this part as long as what a lane has to run in all may run last.
_SHORT = 16


def predict_sequences(
    engine: Engine,
    given: Sequences,
    state: NDArray[np.float32] | None,
    last: bool,
    threads: int | None,
    out: Any,
) -> Result:
    """Run sequences; see `InstructionModel.predict_sequences`."""
    wanted = checked_threads(threads)
    if state is not None:
        check_state(state, (len(given), engine.state_size))
    shape = given.shape(engine.output_size, last)
    rows, results = arrays.with_results(given.rows, out, shape)
    table = results.reshape(-1, engine.output_size)
    # Changed as a whole or not at all: Ctrl-C leaves it as it was.
    states = None if state is None else state.copy()
    whole = slice(0, len(given))
    is_ready = rows.dtype == np.float32 and rows.dtype.isnative and rows.flags.c_contiguous
    for part in [whole] if is_ready and rows.flags.aligned else given.parts(_ROWS_CONVERTED):
        starts, lengths = given.starts[part], given.lengths[part]
        first, end = (0, len(rows)) if part == whole else _row_range(given, part)
        kept = table[part] if last else table[first:end]
        _share_out(
            engine,
            arrays.as_float32(rows[first:end]),
            starts - first,
            lengths,
            kept,
            last,
            None if states is None else states[part],
            wanted,
        )
    if state is not None:
        state[...] = states
    return given.results(results, last)


def _row_range(given: Sequences, part: slice) -> tuple[int, int]:
    last = part.stop - 1
    room = given.lengths[last] if given.padded is None else given.padded
    return int(given.starts[part.start]), int(given.starts[last] + room)


def _share_out(
    engine: Engine,
    rows: NDArray[np.float32],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    results: NDArray[np.float32],
    last: bool,
    state: NDArray[np.float32] | None,
    wanted: int | None,
) -> None:
    steps = int(lengths.sum())
    if not steps:
        return
    threads = thread_count(engine, steps, len(starts), wanted)
    slots = None
    order = _claim_order(engine, lengths, threads)
    if order is not None:
        starts, lengths, slots = starts[order], lengths[order], order
    shared = SharedSequences(
        engine, rows, starts, lengths, results, last, None, state, slots, threads
    )
    run_together(shared.work, threads - 1, shared.cancel)


def run_events(
    engine: Engine,
    rows: NDArray[np.float32],
    row_order: NDArray[np.int64],
    starts: NDArray[np.int64],
    state: NDArray[np.float32],
    slots: NDArray[np.int64],
    results: NDArray[np.float32],
    wanted: int | None,
) -> None:
    """Run sequences whose rows lie scattered in a table.

    Parameters
    ----------
    engine : Engine
    rows : float32 (R, F), C-ordered
    row_order : int64 (R,)
        The rows, sequence by sequence, each in the order of its steps.
    starts : int64 (N + 1,)
        Where each sequence begins in `row_order`.
    state : float32 (K, S), C-ordered
        INOUT.
    slots : int64 (N,)
        Which row of `state` belongs to each sequence; none twice.
    results : float32 (R, O), C-ordered
        OUT: the output of each row, at the row's own place.
    wanted : int, optional
        How many threads, None for every CPU.
    """
    if not len(row_order):
        return
    threads = thread_count(engine, len(row_order), len(slots), wanted)
    firsts, lengths = starts[:-1], np.diff(starts)
    order = _claim_order(engine, lengths, threads)
    if order is not None:
        firsts, lengths, slots = firsts[order], lengths[order], slots[order]
    shared = SharedSequences(
        engine, rows, firsts, lengths, results, False, row_order, state, slots, threads
    )
    run_together(shared.work, threads - 1, shared.cancel)


def _claim_order(
    engine: Engine, lengths: NDArray[np.int64], threads: int
) -> NDArray[np.int64] | None:
    """Return in which order threads should take sequences; None: as they are.

    A long one that is taken last runs on alone. So the longest come first, and all others, which
    are short beside what each lane runs in all, as they are.
    """
    if lengths.min() == lengths.max():
        return None
    fair = int(lengths.sum()) // (threads * engine.tile_samples)
    is_long = lengths > fair // _SHORT
    longest = np.flatnonzero(is_long)
    longest = longest[np.argsort(-lengths[longest], kind="stable")]
    return np.concatenate([longest, np.flatnonzero(~is_long)])


def thread_count(engine: Engine, steps: int, sequences: int, wanted: int | None) -> int:
    """Return how many threads are worth their waking; `wanted` None is every CPU."""
    threads = max(1, min(MAX_THREADS, sequences, steps * engine.work // WORK_WORTH_A_THREAD))
    if threads == 1:  # to find out what this process may use takes longer than a small run
        return 1
    return min(threads, default_thread_count().threads if wanted is None else wanted)


def initial_states(initial: NDArray[np.float32], n: Any) -> NDArray[np.float32]:
    """Return what n sequences hold before their first step, (n, S).

    Raises
    ------
    InputError
        ``invalid_type`` unless n is a whole number ≥ 0.
    """
    count = values.integer_argument(n, "n")
    if count < 0:
        raise InputError(
            "invalid_type", "not a number of sequences", field="n", expected="≥ 0", actual=count
        )
    return np.tile(initial, (count, 1))
