"""What data never reached in a model: keys, branches, limits, and inputs that never varied.

Design
------
A. A *state* is something that a model can do with a row and that data either showed or did not: a
   RELU that cuts off and one that does not are two. What was never reached was never compared.
B. What all inputs show is watched in every row: it costs little. What happens inside is watched in
   a uniform sample, which the reference runs: the engine shows no values that it overwrote.
C. Memory is bounded by the model, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel import reference
from instmodel.compiled.parallel import PredictConfig
from instmodel.model import InstructionModel
from instmodel.tables.sample import Sample
from instmodel.verification.origins import input_names, input_origins
from instmodel.verification.watching import KeyWatch, Unseen, Watch, rounded_keys, watch_of

# Rows that the reference runs, and how many numbers it may touch for them.
_TRACED_ROWS, _LEAST_TRACED = 10_000, 200
_TRACED_VALUES = 1e8
# What a product and a lookup cost it, beside a number that it touches.
_PRODUCT, _LOOKUP = 0.1, 500
# Numbers of the sample, and of unified buffers at a time.
_SAMPLE_VALUES, _CHUNK_VALUES = 1 << 23, 1 << 18
# Rows that are looked at side by side.
_FOLDED = 16
# Inputs that are tried with NaN.
_MOST_TRIED = 4096
# Values, keys or inputs that a gap names.
_NAMED = 8


@dataclass(frozen=True, slots=True)
class Gap:
    """States of one kind, in one place, that no row reached.

    Attributes
    ----------
    kind : str
        ``key``: keys of a map that were never looked up; ``default``: a map that always had the
        key; ``active``, ``inactive``: values of RELU, SQRT, LOG or LOG10 that were always 0, or
        never; ``bent``, ``flat``: values of SIGMOID or TANH that were always within 0.01 of one
        end, or never of any; ``sign``: signs; ``limit``, ``inside``: values that a limit never
        cut, or always; ``missing``: inputs that were never NaN although that gives a score;
        ``constant``: inputs that never varied.
    instruction : int or None
        None: it is about inputs.
    type : str
        Of the instruction, with its activation.
    buffer : int or None
        What it writes.
    states, unseen : int
        How many there are of the kind in this place, and how many of them were not reached.
    names : list of str
        The first 8 of these: keys, inputs, or values by their place in the buffer.
    inputs : list of str
        The inputs that they come from, as far as each comes from one; at most 8.
    default_rows : int or None
        Of keys: rows whose key is not in the map.
    """

    kind: str
    instruction: int | None
    type: str
    buffer: int | None
    states: int
    unseen: int
    names: list[str]
    inputs: list[str]
    default_rows: int | None

    def __str__(self) -> str:
        more = ", …" if self.unseen > len(self.names) else ""
        text = _SENTENCES[self.kind]
        if self.inputs and self.instruction is not None:
            text += f" (input{'s' if len(self.inputs) > 1 else ''} {', '.join(self.inputs)})"
        if self.names:
            text += f": {', '.join(self.names)}{more}"
        if self.default_rows is not None:
            rows = f"{self.default_rows} row{'s' if self.default_rows != 1 else ''}"
            text += f"; {rows} took the default"
        return text if self.kind == "default" else f"{self.unseen} of {self.states} {text}"


# In the order of how much they matter.
_SENTENCES = {
    "key": "keys never looked up",
    "default": "default never taken",
    "active": "values always 0",
    "constant": "inputs that never varied",
    "bent": "values always at the same end",
    "inside": "values always cut by a limit",
    "sign": "signs never seen",
    "missing": "inputs never NaN, which the model gives a score",
    "limit": "limits never reached",
    "inactive": "values never 0",
    "flat": "values never near an end",
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What data reached in a model.

    Attributes
    ----------
    rows : int
        Rows in which inputs were watched, and keys as they come in.
    traced_rows : int
        Rows in which everything else was watched: a uniform sample if there are fewer.
    states, reached : int
        What the model can do with a row, and how much of that some row showed.
    gaps : list of Gap
        The rest, by kind; those that tell most come first.
    """

    rows: int
    traced_rows: int
    states: int
    reached: int
    gaps: list[Gap]


class CoverageWatch:
    """Watches what rows reach in a model.

    Parameters
    ----------
    model : InstructionModel
    most_rows : int
        The largest sample to trace.
    """

    def __init__(self, model: InstructionModel, most_rows: int = _TRACED_ROWS) -> None:
        self._model = model
        info, size = model.info, model.feature_size
        self._info = info
        self._names = input_names(model.columns, size)
        self._least = np.full(size, np.inf, np.float32)
        self._greatest = np.full(size, -np.inf, np.float32)
        self._nan = np.zeros(size, bool)
        cost = float(len(info.instructions) * sum(info.buffer_sizes))
        cost += sum(_PRODUCT * item.products(info.buffer_sizes) for item in info.instructions)
        cost += sum(_LOOKUP for item in info.instructions if item.looked_up())
        most = int(min(_TRACED_ROWS, most_rows, max(_LEAST_TRACED, _TRACED_VALUES // cost)))
        self._sample = Sample(max(1, min(most, _SAMPLE_VALUES // size)), size)
        self._watches, self._raw = self._make_watches()

    def _make_watches(self) -> tuple[list[Watch | None], list[tuple[int, KeyWatch]]]:
        """Return what watches each instruction, and what watches an input as it comes in."""
        info, size = self._info, self._model.feature_size
        sizes = info.buffer_sizes
        steps = (info.instructions, sizes, size)
        watches: list[Watch | None] = []
        raw: list[tuple[int, KeyWatch]] = []
        for item, origins, moved in zip(
            info.instructions,
            input_origins(*steps),
            input_origins(*steps, unchanged=True),
            strict=True,
        ):
            watch = watch_of(item, info, origins)
            if isinstance(watch, KeyWatch) and (place := item.looked_up()) is not None:
                column = int(moved[place[0]][place[1]])
                if column >= 0:
                    watch.every_row = True
                    raw.append((column, watch))
            watches.append(watch)
        return watches, raw

    def add(self, inputs: NDArray[np.float32]) -> None:
        """Watch rows (N, F)."""
        if not len(inputs):
            return
        least, greatest = _extremes(inputs)  # NaN where any row has NaN
        missing = np.isnan(least)
        if missing.any():
            least, greatest = np.fmin.reduce(inputs, axis=0), np.fmax.reduce(inputs, axis=0)
            self._nan |= missing
        np.fmin(self._least, least, out=self._least)
        np.fmax(self._greatest, greatest, out=self._greatest)
        for column, watch in self._raw:
            watch.add_keys(rounded_keys(inputs[:, column]))
        self._sample.add(inputs)

    def result(self) -> Coverage:
        """Return what the rows so far reached; runs the sample."""
        self._trace(self._sample.rows.astype(np.float32))
        unseen: list[tuple[int | None, Unseen]] = [(None, one) for one in self._of_inputs()]
        for index, watch in enumerate(self._watches):
            if watch is not None:
                unseen += [(index, one) for one in watch.unseen()]
        gaps = [self._gap(index, one) for index, one in unseen if one.places.size]
        order = list(_SENTENCES)
        return Coverage(
            rows=self._sample.seen,
            traced_rows=len(self._sample.rows),
            states=sum(one.states for _, one in unseen),
            reached=sum(one.states - one.places.size for _, one in unseen),
            gaps=sorted(gaps, key=lambda gap: order.index(gap.kind)),
        )

    def _trace(self, rows: NDArray[np.float32]) -> None:
        info = self._info
        if not any(self._watches):
            return
        step = max(1, _CHUNK_VALUES // sum(info.buffer_sizes))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            unified = np.zeros((len(part), sum(info.buffer_sizes)))
            unified[:, : part.shape[1]] = part
            buffers = reference.split(info, unified)
            for item, watch in zip(info.instructions, self._watches, strict=True):
                if watch is not None and watch.before:
                    watch.look(buffers)
                reference.run_instruction(info, item, buffers)
                if watch is not None and not watch.before:
                    watch.look(buffers)

    def _of_inputs(self) -> list[Unseen]:
        """Return which inputs never varied, and which were never NaN although that is scored."""
        every = np.arange(len(self._least))
        varied = (self._least < self._greatest) | (self._nan & (self._least < np.inf))
        found = [Unseen("constant", len(every), np.flatnonzero(~varied), every)]
        scored = self._scored_without()
        never = scored[~self._nan[scored]]
        return [*found, Unseen("missing", len(scored), never, every)]

    def _scored_without(self) -> NDArray[np.intp]:
        """Return the inputs that may be missing: with NaN there, some row still gets a score."""
        rows = self._sample.rows
        usual = rows[~np.isnan(rows).any(axis=1)][:1].astype(np.float32)
        size = min(self._model.feature_size, _MOST_TRIED)
        if not len(usual):
            return np.empty(0, np.intp)
        tried = np.repeat(usual, size, axis=0)
        np.fill_diagonal(tried, np.nan)
        outputs = self._model.predict_parallel(tried, PredictConfig(threads=1))
        scores = np.asarray(outputs).reshape(size, -1)
        return np.flatnonzero(~np.isnan(scores).any(axis=1))

    def _gap(self, index: int | None, one: Unseen) -> Gap:
        named = one.places[:_NAMED]
        item = None if index is None else self._info.instructions[index]
        activation = getattr(item, "activation", None)
        if index is None:
            names = inputs = [self._names[place] for place in named]
        else:
            known = one.inputs[named] if one.inputs is not None else np.empty(0, np.intp)
            names = [name for place in named.tolist() if (name := one.name(place))]
            inputs = list(dict.fromkeys(self._names[place] for place in known if place >= 0))
        return Gap(
            kind=one.kind,
            instruction=index,
            type="" if item is None else item.TYPE + (f" {activation}" if activation else ""),
            buffer=None if item is None else item.write(self._info.buffer_sizes).buffer,
            states=one.states,
            unseen=int(one.places.size),
            names=names,
            inputs=inputs,
            default_rows=one.default_rows,
        )


def _extremes(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the least and the greatest of each column of rows (N, F)."""
    # NumPy takes half the time for rows that are 16 times as long.
    whole = len(rows) // _FOLDED * _FOLDED
    folded = np.ascontiguousarray(rows[:whole]).reshape(-1, _FOLDED * rows.shape[1])
    found = []
    for reduce in (np.minimum.reduce, np.maximum.reduce):
        ends = [rows[whole:]]
        if whole:
            ends.append(reduce(folded, axis=0).reshape(_FOLDED, -1))
        found.append(reduce(np.concatenate(ends), axis=0))
    return found[0], found[1]


def gap_rows(gaps: Sequence[Gap]) -> list[list[Any]]:
    """Return a row of a table for each gap: where, and what."""
    return [
        ["input" if gap.instruction is None else f"{gap.instruction} {gap.type}", str(gap)]
        for gap in gaps
    ]
