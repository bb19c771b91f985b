"""What is watched of a single instruction, to tell what no row reached; see `coverage`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from instmodel.base.activations import Activation
from instmodel.document.instruction_base import Instruction
from instmodel.document.schema import InstructionModelInfo

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

# How near to its end a SIGMOID or TANH is flat.
_NEAR_END = 0.01
_ENDS = {Activation.SIGMOID: (0.0, 1.0), Activation.TANH: (-1.0, 1.0)}
# 0 for what is negative, and NaN in some: the other branch of their formulas.
_WITH_ZERO = (Activation.RELU, Activation.SQRT, Activation.LOG, Activation.LOG10)
_INT32 = (-(2.0**31), 2.0**31 - 1)
# What no key is, in int64.
NO_KEY = np.int64(1) << 40


@dataclass(frozen=True, slots=True)
class Unseen:
    """States of one kind that were not reached.

    Attributes
    ----------
    kind : str
        See `coverage.Gap`.
    states : int
        How many there are.
    places : (n,) int
        Those that no row reached.
    inputs : (states,) int, optional
        The input that each comes from, or -1.
    name : callable
        Returns what a person calls the state at a place; empty where there is nothing to say.
    default_rows : int, optional
        Of a lookup: rows whose key was in no map.
    """

    kind: str
    states: int
    places: Places
    inputs: Places | None = None
    name: Callable[[int], str] = str
    default_rows: int | None = None


class Watch(ABC):
    """Sees the buffers (N, size), before an instruction runs or after.

    Attributes
    ----------
    before : bool
    """

    before: ClassVar[bool] = False

    @abstractmethod
    def look(self, buffers: Sequence[Floats]) -> None:
        """Look at the buffers."""

    @abstractmethod
    def unseen(self) -> list[Unseen]:
        """Return all states, and which of them no row reached."""


class _Range(Watch):
    """Keeps the least and greatest of each value that an instruction writes, and if it was 0.

    Parameters
    ----------
    buffer : int
    inputs : (size,) int
        The input that each value comes from, or -1.
    """

    def __init__(self, buffer: int, inputs: Places) -> None:
        self._buffer, self._inputs = buffer, inputs
        self.least = np.full(len(inputs), np.inf)
        self.greatest = np.full(len(inputs), -np.inf)
        self.zero = np.zeros(len(inputs), bool)

    def look(self, buffers: Sequence[Floats]) -> None:
        """Note what was written; NaN is neither."""
        values = buffers[self._buffer]
        np.fmin(self.least, np.fmin.reduce(values, axis=0), out=self.least)
        np.fmax(self.greatest, np.fmax.reduce(values, axis=0), out=self.greatest)
        self.zero |= (values == 0).any(axis=0)

    def _of(self, kind: str, missing: NDArray[np.bool_]) -> Unseen:
        return Unseen(kind, len(missing), np.flatnonzero(missing), self._inputs)


class _ZeroWatch(_Range):
    """An activation that gives 0 for what is not positive."""

    def unseen(self) -> list[Unseen]:
        return [self._of("active", ~(self.greatest > 0)), self._of("inactive", ~self.zero)]


class _EndsWatch(_Range):
    """An activation between two ends, near which it is flat."""

    def __init__(self, buffer: int, inputs: Places, ends: tuple[float, float]) -> None:
        super().__init__(buffer, inputs)
        self._low, self._high = ends[0] + _NEAR_END, ends[1] - _NEAR_END

    def unseen(self) -> list[Unseen]:
        low, high = self.least < self._low, self.greatest > self._high
        bent = (self.greatest < self._low) | (self.least > self._high)
        return [self._of("bent", bent), self._of("flat", ~(low | high))]


class _SignWatch(_Range):
    """SIGN: each of its values may be -1, 0 and 1."""

    def unseen(self) -> list[Unseen]:
        missing = np.stack([self.least >= 0, ~self.zero, self.greatest <= 0], axis=1)
        return [
            Unseen(
                "sign",
                missing.size,
                np.flatnonzero(missing),
                np.repeat(self._inputs, 3),
                lambda place: f"{place % 3 - 1:+d} of value {place // 3}".replace("+0", "0"),
            )
        ]


class _LimitWatch(Watch):
    """A clip: each of its limits may cut a value, and each value may lie inside.

    Parameters
    ----------
    buffer : int
    low, high : (size,) float
        Infinite where there is no limit.
    inputs : (size,) int
    """

    before = True

    def __init__(self, buffer: int, low: Floats, high: Floats, inputs: Places) -> None:
        self._buffer, self._inputs = buffer, inputs
        self._limits = np.stack([low, high])
        self._cut = np.zeros((2, len(low)), bool)
        self._inside = np.zeros(len(low), bool)

    def look(self, buffers: Sequence[Floats]) -> None:
        """Note which values lie beyond a limit."""
        values = buffers[self._buffer]
        below, above = values < self._limits[0], values > self._limits[1]
        self._cut |= np.stack([below.any(axis=0), above.any(axis=0)])
        self._inside |= (~(below | above | np.isnan(values))).any(axis=0)

    def unseen(self) -> list[Unseen]:
        """Return limits that never cut, and values that were always cut."""
        present = np.isfinite(self._limits)
        size = len(self._inside)
        sides = ("lower", "upper")
        return [
            Unseen(
                "limit",
                int(present.sum()),
                np.flatnonzero(present & ~self._cut),
                np.tile(self._inputs, 2),
                lambda place: f"{sides[place // size]} of value {place % size}",
            ),
            Unseen("inside", size, np.flatnonzero(~self._inside), self._inputs),
        ]


class KeyWatch(Watch):
    """A lookup: each key of its map, and the default.

    Attributes
    ----------
    every_row : bool
        Whether `add_keys` gets the keys of every row, and not of those alone that are traced.
    """

    before = True

    def __init__(self, place: tuple[int, int], keys: Sequence[int], origin: int) -> None:
        self.every_row = False
        self._place = place
        self._keys = np.sort(np.asarray(keys, np.int64))
        self._seen = np.zeros(len(self._keys), bool)
        self._default_rows = 0
        self._origin = origin

    def look(self, buffers: Sequence[Floats]) -> None:
        """Note the keys of the rows that are traced."""
        if not self.every_row:
            self.add_keys(rounded_keys(buffers[self._place[0]][:, self._place[1]]))

    def add_keys(self, keys: NDArray[np.int64]) -> None:
        """Note keys (N,), `NO_KEY` among them."""
        found, rows = np.unique(keys, return_counts=True)
        places = np.searchsorted(self._keys, found)
        known = np.isin(found, self._keys)
        self._seen[places[known]] = True
        self._default_rows += int(rows[~known].sum())

    def unseen(self) -> list[Unseen]:
        """Return the keys that were not looked up, and the default if no row took it."""
        keys = np.flatnonzero(~self._seen)
        inputs = np.full(len(self._keys), self._origin)
        default = np.flatnonzero([not self._default_rows])
        return [
            Unseen(
                "key",
                len(self._keys),
                keys,
                inputs,
                lambda place: str(self._keys[place]),
                self._default_rows,
            ),
            Unseen("default", 1, default, np.array([self._origin]), lambda _: ""),
        ]


def rounded_keys(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return what a lookup makes of numbers: halves go away from 0, and some are no key."""
    numbers = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):
        whole = np.trunc(numbers)
        whole += np.where(np.abs(numbers - whole) >= 0.5, np.sign(numbers), 0.0)
        inside = (whole >= _INT32[0]) & (whole <= _INT32[1])
    return np.where(inside, np.where(inside, whole, 0.0).astype(np.int64), NO_KEY)


def watch_of(
    item: Instruction, info: InstructionModelInfo, origins: Sequence[Places]
) -> Watch | None:
    """Return what watches an instruction, or None where it has but one state.

    Parameters
    ----------
    item : Instruction
    info : InstructionModelInfo
    origins : sequence of (size,) int
        The input that each value of each buffer comes from before the instruction, or -1.
    """
    written = item.write(info.buffer_sizes).buffer
    place = item.looked_up()
    if place is not None:
        (table,) = item.uses("maps")
        return KeyWatch(place, list(info.maps[table]), int(origins[place[0]][place[1]]))
    # What an instruction computes of several values comes from no single input.
    several = np.full(info.buffer_sizes[written], -1)
    inputs = origins[written].copy() if item.IN_PLACE else several
    limits = {name: getattr(item, name, None) for name in ("parameters_min", "parameters_max")}
    if any(index is not None for index in limits.values()):
        ends = [
            np.full(len(inputs), absent) if index is None else np.asarray(info.parameters[index])
            for index, absent in zip(limits.values(), (-np.inf, np.inf), strict=True)
        ]
        return _LimitWatch(written, ends[0].astype(float), ends[1].astype(float), inputs)
    activation = getattr(item, "activation", None)
    if activation in _WITH_ZERO:
        return _ZeroWatch(written, inputs)
    if activation in _ENDS:
        return _EndsWatch(written, inputs, _ENDS[activation])
    if activation == Activation.SIGN:
        return _SignWatch(written, inputs)
    return None
