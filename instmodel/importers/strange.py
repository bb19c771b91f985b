"""Rows that try what breaks imports, what the source makes of them, and how closely it must be met.

Design
------
A. A usual row with one strange number tells more than a row of strange ones, because nothing else
   hides what that number does.
B. What the source refuses with an error is NaN in the model.
C. Graphs compute in float32, and functions that saturate lose all digits there. How much the errors
   of the source scatter near a row, against the model's reference in float64, says how far it may
   be off; the error of a wrong import hardly changes from a row to its neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import reference
from instmodel.document.schema import InstructionModelInfo
from instmodel.importers.expressions import MOVES, Value, bare, ordered
from instmodel.importers.patterns import looked_up
from instmodel.model import InstructionModel

Floats = NDArray[np.float64]

# How many rows have something strange in them.
STRANGE_ROWS = 128
# Larger numbers are not expected of strange rows: EXP ends at e^88 = 1.65e38.
HELD = 1e38
_FLOAT32 = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))
_INT32 = (-(2.0**31), 2.0**31 - 128)  # as float32 has them
# How many learned numbers of a column are tried.
_MOST_LEARNED = 16
# Beyond, a factor hides numbers rather than that it scales them.
_MOST_SLOPE = 1e6
# How many neighbours of a row say how its errors scatter, how near they are, and by how many times
# the range of their errors the source may be off.
_NEIGHBOURS, _NEAR, _RANGES = 8, 0.01, 2.0


def strange_rows(
    rows: NDArray[np.float32], values: Sequence[Sequence[float]], whole: Iterable[int] = ()
) -> NDArray[np.float32]:
    """Return rows that try what breaks imports: each has one strange number, and the last only NaN.

    Parameters
    ----------
    rows : (N, F) float32
        Usual rows, which give the other numbers.
    values : sequence of sequence of float
        Numbers to try in each column. Each column also gets NaN, numbers far beyond the usual ones,
        tiny ones, fractions and negative ones.
    whole : iterable of int
        Columns of integers: in these, NaN is not tried, and the rest without its fraction.
    """
    middle = np.median(rows, axis=0)
    reach = np.maximum(np.ptp(rows, axis=0), np.abs(middle) * 1e-3 + 1e-3)
    general = [
        [*given, m + r, m - 3 * r, m + 300 * r, m - 300 * r, np.floor(m) + 0.5, -1 - m, 0.0, 1e-30]
        for given, m, r in zip(values, middle.tolist(), reach.tolist(), strict=True)
    ]
    integers = set(whole)
    gaps = [(column, np.nan) for column in range(len(general)) if column not in integers]
    tries: list[tuple[int, float]] = []
    for nth in itertools.zip_longest(*general):
        tries += [(column, value) for column, value in enumerate(nth) if value is not None]
    gaps = _some(gaps, STRANGE_ROWS // 2)
    tries = [*gaps, *_some(tries, STRANGE_ROWS - len(gaps))]
    odd = rows[np.arange(len(tries)) % len(rows)]
    for row, (column, value) in zip(odd, tries, strict=True):
        limits = _INT32 if column in integers else _FLOAT32
        row[column] = np.clip(np.trunc(value) if column in integers else value, *limits)
    last = rows[:1].copy()
    last[:, [column for column in range(len(general)) if column not in integers]] = np.nan
    return np.concatenate([odd, last])


def _some(items: list[Any], count: int) -> list[Any]:
    """Return at most `count` of them, evenly spread."""
    if len(items) <= count:
        return items
    return [items[place] for place in np.linspace(0, len(items) - 1, count).astype(int)]


def around(keys: NDArray[np.float64]) -> list[float]:
    """Return numbers between and around the keys of a table, and some of these."""
    if not len(keys):
        return []
    least, middle, most = np.sort(keys)[[0, len(keys) // 2, -1]].tolist()
    near = [middle + 0.3, middle - 0.5, most + 0.5, least - 0.5, most + 1, least - 1]
    return [*near, -middle, 2.0**31, -(2.0**31), least, middle, most]


def learned_values(output: Value, leaves: Sequence[Value]) -> list[list[float]]:
    """Return numbers for each column that try the constants that the graph meets it with.

    Keys of tables, and what lies between and around them; limits; what the constants add up to 0,
    where a comparison turns; three times as far as what they make 1 of, both ways.
    """
    starts = np.cumsum([0, *(leaf.size for leaf in leaves)])
    found: list[dict[float, None]] = [{} for _ in range(starts[-1])]
    spread: list[dict[float, None]] = [{} for _ in range(starts[-1])]
    lines: dict[int, tuple[NDArray[np.intp], Floats, Floats]] = {}
    for leaf, start in zip(leaves, starts, strict=False):
        for place, keys in looked_up(output, leaf).items():
            found[start + place] |= dict.fromkeys(around(keys))
        columns = np.arange(start, start + leaf.size)
        lines[id(leaf)] = (columns, np.ones(leaf.size), np.zeros(leaf.size))
    for node in ordered(bare(output)):
        parts = [lines.get(id(bare(part))) for part in node.inputs]
        if not parts or any(part is None for part in parts):
            continue
        columns, slopes, shifts = (np.concatenate(each) for each in zip(*parts, strict=True))
        match node.kind:
            case "clip":
                limits = [
                    np.broadcast_to(np.nan if x is None else x, slopes.shape) for x in node.data
                ]
            case "add_constant":
                shifts, limits = shifts + node.data, []
            case "multiply_constant":
                slopes, shifts, limits = slopes * node.data, shifts * node.data, []
            case _ if node.kind in MOVES:
                moved = node.data if node.kind == "rearrange" else slice(None)
                lines[id(node)] = (columns[moved], slopes[moved], shifts[moved])
                continue
            case _:
                continue
        for at, column in enumerate(columns.tolist()):
            slope, shift = float(slopes[at]), float(shifts[at])
            if not 1 / _MOST_SLOPE < abs(slope) < _MOST_SLOPE:
                continue
            for limit in limits:
                if np.isfinite(limit[at]):
                    found[column][(float(limit[at]) - shift) / slope] = None
            if abs(slope) == 1:
                found[column][-shift / slope] = None
            spread[column] |= {(far - shift) / slope: None for far in (3.0, -3.0)}
        if not limits:
            lines[id(node)] = (columns, slopes, shifts)
    return [
        [*_some(list(known), _MOST_LEARNED), *far] for known, far in zip(found, spread, strict=True)
    ]


def outputs_or_nan(
    run: Callable[[NDArray[np.float32]], Any],
    rows: NDArray[np.float32],
    outputs: int,
    errors: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what a source computes (N, O), and which rows (N,) it refuses: they get NaN."""
    try:
        computed = np.asarray(run(rows), np.float64).reshape(len(rows), -1)
        return computed, np.zeros(len(rows), bool)
    except errors:
        if len(rows) == 1:
            return np.full((1, outputs), np.nan), np.ones(1, bool)
    halves = [outputs_or_nan(run, half, outputs, errors) for half in np.array_split(rows, 2)]
    computed, refused = (np.concatenate(both) for both in zip(*halves, strict=True))
    return computed, refused


class Float32Source:
    """A source that computes in float32, and has rules of its own for NaN and infinities.

    Parameters
    ----------
    run : callable
        Returns what it computes for rows (N, F).
    output : Value
    leaves : sequence of Value
        The inputs of the source.
    whole : iterable of int
        Columns of integers.
    refused : (M,) bool
        Which of the strange rows it refuses. The model need not say NaN for an output of these that
        does not depend on what is refused.
    """

    def __init__(
        self,
        run: Callable[[NDArray[np.float32]], Any],
        output: Value,
        leaves: Sequence[Value],
        whole: Iterable[int],
        refused: NDArray[np.bool_],
    ) -> None:
        self._run = run
        self._refused = refused
        self._fixed = set(whole)
        start = 0
        for leaf in leaves:
            self._fixed |= {start + place for place in looked_up(output, leaf)}
            start += leaf.size

    def excuses(
        self,
        model: InstructionModel,
        places: NDArray[np.intp],
        rows: NDArray[np.float32],
        wanted: Floats,
        allowed: Floats,
    ) -> NDArray[np.bool_]:
        """Return which outputs (N, O) need not be what the source computes.

        Those for which the model says NaN, and so no wrong number: where NaN is compared with
        something, say. Infinite ones or NaN of the source, where numbers became too large on the
        way. Those that are as far off as float32 is.

        Parameters
        ----------
        model : InstructionModel
        places, rows : (N,), (N, F) float32
            Some of the strange rows, and which they are.
        wanted : (N, O)
            The outputs of the source.
        allowed : (N, O)
            How far off the outputs may be anyway.
        """
        silent = np.isnan(model.predict(rows))
        silent[self._refused[places] & silent.any(axis=1)] = True
        exact, largest = _reference(model.info, rows)
        overflown = ~np.isfinite(wanted) & (largest > HELD)[:, None]
        rng = np.random.default_rng(0)
        near = np.repeat(rows, _NEIGHBOURS, axis=0)
        shifts = rng.uniform(-_NEAR, _NEAR, near.shape)
        shifts[:, sorted(self._fixed)] = 0.0
        near = (near * (1.0 + shifts)).astype(np.float32)
        computed, _ = outputs_or_nan(self._run, near, wanted.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            errors = (computed - _reference(model.info, near)[0]).reshape(
                len(rows), _NEIGHBOURS, -1
            )
            scattered = allowed + _RANGES * np.ptp(errors, axis=1)
            rounded = np.abs(wanted - exact) <= scattered
        return np.asarray(silent | overflown | rounded)


def _reference(info: InstructionModelInfo, rows: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return the outputs (N, O) in float64, and the largest magnitude in any buffer (N,)."""
    unified = np.zeros((len(rows), sum(info.buffer_sizes)))
    unified[:, : rows.shape[1]] = rows
    buffers = reference.split(info, unified)
    largest = np.zeros(len(rows))
    for instruction in info.instructions:
        reference.run_instruction(info, instruction, buffers)
        largest = np.fmax(largest, np.nan_to_num(np.abs(unified), nan=0.0).max(axis=1))
    return buffers[-1], largest
