"""Keys get numbers in the order in which they come, as in a dict of Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instmodel._keys import Grouper, KeyTable


def packed(keys, width, offsets=np.int64):
    """Return keys as a table takes them."""
    data = np.frombuffer(b"".join(keys), np.uint8)
    if width:
        return data, None
    return data, np.cumsum([0, *map(len, keys)]).astype(offsets)


def find(table, keys, offsets=np.int64, add=False):
    slots = np.full(len(keys), -7, np.int64)
    look_up = table.find_or_add if add else table.find
    look_up(*packed(keys, table.width, offsets), slots)
    return slots.tolist()


def keys_in(table):
    data, offsets = table.keys(0, len(table))
    if offsets is None:
        return [data[i : i + table.width].tobytes() for i in range(0, len(data), table.width)]
    return [data[a:b].tobytes() for a, b in itertools.pairwise(offsets)]


@st.composite
def batches_of_keys(draw):
    width = draw(st.sampled_from([0, 1, 4, 8, 16]))
    size = {"min_size": width, "max_size": width or 20}
    known = draw(st.lists(st.binary(**size), min_size=1, max_size=300))
    return width, draw(st.lists(st.lists(st.sampled_from(known), max_size=80), max_size=6))


@given(batches_of_keys(), st.sampled_from([np.int32, np.int64]))
def test_a_table_of_keys_numbers_them_as_a_dict_does(drawn, offsets):
    width, batches = drawn
    table, expected = KeyTable(width), {}
    for keys in batches:
        assert find(table, keys, offsets) == [expected.get(key, -1) for key in keys]
        slots = [expected.setdefault(key, len(expected)) for key in keys]
        assert find(table, keys, offsets, add=True) == slots
        assert len(table) == len(expected)
    assert keys_in(table) == list(expected)


@given(batches_of_keys(), st.data())
def test_a_table_that_forgets_keys_is_as_if_they_had_never_come(drawn, data):
    width, batches = drawn
    table, expected = KeyTable(width), {}
    for keys in batches:
        find(table, keys, add=True)
        for key in keys:
            expected.setdefault(key, len(expected))
        count = data.draw(st.integers(0, len(expected)))
        table.truncate(count)
        expected = dict(list(expected.items())[:count])
        assert find(table, keys) == [expected.get(key, -1) for key in keys]
    assert keys_in(table) == list(expected)


def test_a_large_table_finds_every_key_again():
    rng = np.random.default_rng(0)
    keys = rng.permutation(300_000).astype(np.int64) * 4096
    table, slots = KeyTable(8), np.empty(len(keys), np.int64)
    table.find_or_add(keys.view(np.uint8), None, slots)
    assert (slots == np.arange(len(keys))).all()
    order = rng.permutation(len(keys))
    table.find(keys[order].view(np.uint8), None, slots)
    assert (slots == order).all()
    assert (table.keys(7, 1000)[0].view(np.int64) == keys[7:1000]).all()


@pytest.mark.parametrize("offsets", [[0, 2, 1], [-1, 0, 1], [0, 1, 9], [0, 2**62, 1]])
@pytest.mark.parametrize("add", [False, True])
def test_offsets_that_are_none_of_the_data_are_refused(offsets, add):
    table = KeyTable(0)
    look_up = table.find_or_add if add else table.find
    with pytest.raises(ValueError, match="offsets"):
        look_up(np.zeros(4, np.uint8), np.array(offsets), np.zeros(2, np.int64))


@pytest.mark.parametrize(
    ("width", "data", "offsets"),
    [
        (8, 15, None),
        (8, 16, [0, 8, 16]),
        (0, 16, None),
        (0, 16, [0, 16]),
        (0, 16, [[0, 8, 16]]),
        (0, 16, [0.0, 8.0, 16.0]),
    ],
)
def test_arrays_that_do_not_fit_the_table_are_refused(width, data, offsets):
    given_offsets = None if offsets is None else np.array(offsets)
    with pytest.raises(ValueError, match=r"slots|int32"):
        KeyTable(width).find(np.zeros(data, np.uint8), given_offsets, np.zeros(2, np.int64))


def test_there_are_no_other_slots():
    table = KeyTable(1)
    find(table, [b"a", b"b"], add=True)
    for call in (lambda: table.truncate(3), lambda: table.truncate(-1), lambda: table.keys(1, 3)):
        with pytest.raises(IndexError):
            call()
    with pytest.raises(ValueError, match="width"):
        KeyTable(-1)


# ----------------------------------------------------------------------------------------- groups


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 3)), max_size=60), st.booleans())
def test_rows_are_grouped_in_their_order(rows, timed):
    slots = np.array([slot for slot, _ in rows], np.int64)
    times = np.array([time for _, time in rows], np.int64)
    last = np.full(10, -1)
    groups: dict[int, list[int]] = {}
    latest: dict[int, int] = {}
    back = -1
    for row, (slot, time) in enumerate(rows):
        groups.setdefault(slot, []).append(row)
        if back < 0 and timed and time < latest.get(slot, -1):
            back = row
        latest[slot] = max(latest.get(slot, -1), time)
    grouper = Grouper()
    for _ in range(2):  # it leaves nothing behind
        found = grouper.group(slots, 10, *([times, last] if timed else []))
        order, starts, members, latest_found, row = found
        assert row == back
        assert members.tolist() == list(groups)
        parts = [order[a:b].tolist() for a, b in itertools.pairwise(starts)]
        assert parts == list(groups.values())
        if not timed:
            assert latest_found is None
        elif back < 0:
            assert latest_found.tolist() == list(latest.values())


def test_slots_that_are_not_there_are_refused():
    grouper = Grouper()
    for slots in ([0, 5], [0, -1]):
        with pytest.raises(ValueError, match="no such slot"):
            grouper.group(np.array(slots), 5)
        # The ones before it are forgotten.
        assert grouper.group(np.array([4, 0]), 5)[2].tolist() == [4, 0]
    with pytest.raises(ValueError, match="fit"):
        grouper.group(np.array([0]), 5, np.array([0, 1]), np.zeros(5, np.int64))
    with pytest.raises(ValueError, match="fit"):
        grouper.group(np.array([0]), 5, np.array([0]), np.zeros(4, np.int64))
