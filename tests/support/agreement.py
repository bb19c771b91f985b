"""What docs/gpu.md promises about the distance between GPU and CPU, for every single value.

A value is *steady* where the errors that the CPU engine itself may make by the promise of
docs/numerics.md (`bounds`: the roundings before it, magnified by what follows) stay within 10⁻⁵ of
the largest value that any buffer of the row held. There the GPU is within 10⁻⁵ of that largest
value, without exception. Elsewhere it is within four times that bound.

Where the bound says that nothing is known (a SIGN at 0, a sum that may overflow), so does this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import instmodel as im
from support import bounds

STEADY = 1e-5  # of the largest value
MAGNIFIED = 4  # times what the CPU may be off


class Share(NamedTuple):
    """Shares of all values."""

    steady: float
    known: float


def check(document, x, got):
    """Compare the buffers (N, total) of a GPU, or the output (N, O), with the CPU's.

    Returns
    -------
    Share
        Of the values, how many the strict promise covers, and how many either.
    """
    info = im.InstructionModelInfo.from_dict(document)
    model = im.InstructionModel(info)
    tracked = bounds.track(info, x)
    start = 0
    if got.shape[1] != model.required_memory:
        tracked, start = tracked.output(info), model.output_index_start
    config = im.PredictConfig(threads=1, buffer_slice=(start, model.required_memory))
    want = np.asarray(model.predict_parallel(x, config)).reshape(got.shape)
    return _compare(tracked, want, got)


def check_sequences(document, x, got):
    """Compare the outputs (N, T, O) of a GPU for sequences (N, T, F) with the CPU's.

    A step inherits what the CPU may be off in the state that it finds; and the largest value is
    that of the sequence so far.
    """
    info = im.InstructionModelInfo.from_dict(document)
    wanted = im.InstructionModel(info).predict_sequences(x)
    state, largest, shares = None, 0.0, []
    for step in range(x.shape[1]):
        tracked = bounds.track(info, x[:, step], state)
        state = tracked.state(info)
        tracked.largest = largest = np.maximum(largest, tracked.largest)
        shares.append(_compare(tracked.output(info), wanted[:, step], got[:, step]))
    return Share(*np.mean(shares, axis=0))


def _compare(tracked, want, got):
    want = want.astype(np.float64)
    limit = STEADY * tracked.largest
    steady = tracked.error <= limit
    known = np.isfinite(tracked.error)
    allowed = np.where(steady, limit, MAGNIFIED * tracked.error)
    with np.errstate(all="ignore"):
        near = np.abs(got - want) <= allowed
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    near = np.where(np.isfinite(want), near, same)
    wrong = np.argwhere(known & ~near)
    if len(wrong):
        row, column = wrong[0]
        raise AssertionError(
            f"{len(wrong)} values off, the first at {row, column}: GPU {got[row, column]!r}, CPU "
            f"{want[row, column]!r} ± {tracked.error[row, column]:.3g}, steady: "
            f"{steady[row, column]}, largest {tracked.largest[row, 0]:.3g}"
        )
    return Share(float(steady.mean()), float(known.mean()))
