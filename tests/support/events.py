"""Events of many sequences, what they should give, and stores that hold some."""

from __future__ import annotations

import numpy as np
import pytest

from instmodel.events.columns import Order, as_arrow
from instmodel.events.held import held_for
from support.documents import build, recurrent

pa = pytest.importorskip("pyarrow")

MODEL = build(recurrent())
SIZE = MODEL.state_size


def features(rows, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=rows).astype(np.float32) for name in ("a", "b")}


def expected(keys, columns, states=None, model=MODEL):
    """Return what a dict of rows gives: each sequence alone, from its state in `states`, if any."""
    x = np.stack([np.asarray(columns["a"]), np.asarray(columns["b"])], 1).astype(np.float32)
    outputs = np.empty((len(keys), model.output_size), np.float32)
    rows: dict[object, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    for key, places in rows.items():
        state = model.initial_state(1)
        if states is not None and key in states:
            state[0] = states[key]
        outputs[places] = model.predict_sequences([x[places]], state=state)[0]
        if states is not None:
            states[key] = state[0]
    return outputs


def fill(store, *columns, states=None, times=None, order="time"):
    """Give a store what scoring would: keys of Arrow columns, and some state for each."""
    arrays = [as_arrow(column, "key") for column in columns]
    with store._changing():
        held = store._held
        if held is None:
            names = [f"key{place}" for place in range(len(arrays))]
            held = store._held = held_for(names, arrays, SIZE)
        slots = held.slots(held.keys.read(arrays), np.zeros(SIZE, np.float32))
        held.states[slots] = np.arange(len(slots))[:, None] + 1 if states is None else states
        if times is not None:
            held.put_in_order(Order(order))
            array = held.order.read(pa.array(times))
            held.last[slots, 0] = held.order.numbers(array)
    return store


def contents(store):
    """Return what a store holds by key."""
    held = store._held
    if held is None:
        return {}
    keys = zip(*[column.to_pylist() for column in held.keys.arrays(0, len(held))], strict=True)
    count = len(held)
    values = zip(held.states[:count], held.last[:count].tolist(), strict=True)
    return {key: (state.tobytes(), time) for key, (state, time) in zip(keys, values, strict=True)}
