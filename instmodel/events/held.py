"""What a store holds: keys, the state of each one's sequence, and when its last event was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instmodel.events.columns import NO_TIME, Order, Times, key_type, wrong_type
from instmodel.events.keys import Keys, Slots

Floats = NDArray[np.float32]

# Keys that are looked at together where a copy is made.
SOME_KEYS = 1 << 17


class Held:
    """Sequences by their keys.

    Parameters
    ----------
    keys : Keys
    order : Order or None
    state_size : int
        S.

    Attributes
    ----------
    states : ndarray of float32 (room, S)
        Those of the slots there are come first.
    last : ndarray of int64 (room, 1), without an order (room, 0)
        The time of each sequence's last event, `NO_TIME` where none is known.
    """

    def __init__(self, keys: Keys, order: Order | None, state_size: int) -> None:
        self.keys = keys
        self.order = order
        self.states: Floats = np.empty((0, state_size), np.float32)
        self.last: Times = np.empty((0, 0 if order is None else 1), np.int64)

    def __len__(self) -> int:
        return len(self.keys)

    def slots(self, columns: Sequence[Any], initial: Floats) -> Slots:
        """Return the slots of keys; new ones get the state that sequences begin with."""
        before = len(self.keys)
        slots = self.keys.add(columns)
        now = len(self.keys)
        if now > len(self.states):
            room = now + now // 2
            grown = _grown(self.states, before, room), _grown(self.last, before, room)
            self.states, self.last = grown  # both or, without memory, none
        self.states[before:now] = initial
        self.last[before:now] = NO_TIME
        return slots

    def put_in_order(self, order: Order) -> None:
        """Remember times from here on."""
        self.order = order
        self.last = np.full((len(self.states), 1), NO_TIME, np.int64)

    def chosen(self, marks: NDArray[np.bool_]) -> Held:
        """Return another one, of some of the keys."""
        count = len(self)
        keys = Keys(self.keys.names, self.keys.types)
        for start in range(0, count, SOME_KEYS):
            stop = min(start + SOME_KEYS, count)
            rows = np.flatnonzero(marks[start:stop])
            keys.add([column.take(rows) for column in self.keys.arrays(start, stop)])
        other = Held(keys, self.order, self.states.shape[1])
        other.states = self.states[:count][marks]
        other.last = self.last[:count][marks]
        return other


def held_for(names: Sequence[str], arrays: Sequence[Any], size: int) -> Held:
    """Return what has no keys yet, for those of some columns.

    Raises
    ------
    InputError
        ``invalid_cell``: a column holds no keys.
    """
    types = []
    for name, array in zip(names, arrays, strict=True):
        kind = key_type(array.type)
        if kind is None:
            wanted = "whole numbers, text, bytes, booleans, dates, times or decimals"
            raise wrong_type(name, wanted, array.type)
        types.append(kind)
    return Held(Keys(names, types), None, size)


def _grown(array: NDArray[Any], used: int, room: int) -> NDArray[Any]:
    larger = np.empty((room, *array.shape[1:]), array.dtype)
    larger[:used] = array[:used]
    return larger


class _Before(NamedTuple):
    """Sequences as they were."""

    slots: Slots
    states: Floats
    last: Times


class Undo:
    """What a call has changed, so that it can be taken back: what it found, where it wrote.

    Parameters
    ----------
    held : Held or None
        What there was before the call.
    """

    def __init__(self, held: Held | None) -> None:
        self._held = held
        self._count = 0 if held is None else len(held)
        # A copy: the order learns its type from the first rows.
        order = None if held is None else held.order
        self._order = None if order is None else Order(order.name, order.kind)
        self._kept: list[_Before] = []
        self._is_kept = np.zeros(self._count, bool)

    def keep(self, held: Held, members: Slots) -> None:
        """Remember sequences before they change for the first time."""
        old = members[members < self._count]
        new = old[~self._is_kept[old]]
        if len(new):
            self._kept.append(_Before(new, held.states[new], held.last[new]))
            self._is_kept[new] = True

    def take_back(self) -> Held | None:
        """Make everything as it was, and return it. What was interrupted may be done again."""
        held = self._held
        if held is not None:
            for slots, states, last in self._kept:
                held.states[slots] = states
                if self._order is not None:
                    held.last[slots] = last
            held.keys.truncate(self._count)
            if self._order is None:
                held.last = np.empty((len(held.states), 0), np.int64)
            held.order = self._order
        return held
