"""Embedding tables large and sparse enough for every way of looking them up."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import build, one, with_lost_keys

import instmodel as im
from instmodel import reference
from instmodel.base import values

INT32 = (-(2**31), 2**31 - 1)
RNG = np.random.default_rng(0)


def exact(keys):
    """The keys among these that are int32 and float32 numbers, each once."""
    keys = np.unique(np.clip(np.asarray(keys, dtype=np.int64), *INT32))
    return [int(key) for key in keys if int(np.float32(key)) == key]


TABLES = {
    "nothing": [],
    "one key": [7],
    "zero": [0],
    "the smallest": [INT32[0]],
    "the largest that float32 has": [2147483520],
    "both ends": [INT32[0], 2147483520],
    "consecutive": range(1000),
    "consecutive and negative": range(-500, 500),
    "every third": range(-1000, 1000, 3),
    "consecutive, far from zero": range(16_000_000, 16_000_500),
    "sparse": exact(RNG.integers(*INT32, 3000) // 4096 * 4096),
    "powers of two": exact([s * 2**k for k in range(31) for s in (1, -1)]),
    "multiples of 2^20": exact(np.arange(-2048, 2048) * 2**20),
    "multiples of 2^16": exact(np.arange(-5000, 5000) * 2**16),
    "a cluster and outliers": exact([*range(200), *(10**k for k in range(3, 10))]),
    "many": exact(RNG.integers(-(2**23), 2**23, 10_000)),
}


@pytest.mark.parametrize(
    "name", [*TABLES, pytest.param("both ends of int32", marks=with_lost_keys)]
)
@pytest.mark.parametrize("size", [1, 3, 17])
def test_lookup(name, size):
    keys = list(TABLES.get(name, INT32))  # the greatest int32 is none of float32: nothing finds it
    rows = np.arange(len(keys) * size, dtype=np.float32).reshape(-1, size)
    document = one(
        {
            "type": "MAP_TRANSFORM",
            "input": 0,
            "output": 1,
            "internal_input_index": 1,
            "internal_output_index": 2,
            "map": 0,
            "size": size,
            "default": [-1.0 - i for i in range(size)],
        },
        [2, size + 3],
        maps=[{str(key): row.tolist() for key, row in zip(keys, rows, strict=True)}],
    )
    model = build(document)
    asked = np.array([*keys[:2000], *RNG.integers(*INT32, 300), *range(-20, 20)], np.float32)
    near = np.array(keys[:200], np.float32)
    asked = np.concatenate(
        [asked, near + np.float32(0.4), near - np.float32(0.5), near + 1, near - 1]
    )
    asked = np.concatenate([asked, np.float32([np.nan, np.inf, -np.inf, 3e9, -3e9, 2.0**31])])
    x = np.stack([np.zeros_like(asked), asked], axis=1)
    expected = reference.predict(model.info, x)
    np.testing.assert_array_equal(model.predict(x), expected)
    np.testing.assert_array_equal(
        np.asarray(model.predict_parallel(x, im.PredictConfig(threads=2))), expected
    )
    for row, want in zip(x[::37], expected[::37], strict=True):
        np.testing.assert_array_equal(model.predict(row), want)


@with_lost_keys
def test_keys_chosen_to_collide_are_found_like_others():
    # Multiplicative hashing spreads by the high bits of key · 2^32/golden ratio: these keys fall
    # on one place of such a table.
    inverse = pow(2654435769, -1, 2**32)
    keys = [(p * inverse + 2**31) % 2**32 - 2**31 for p in range(1, 20_001)]
    step = {
        "type": "MAP_TRANSFORM",
        "input": 0,
        "output": 1,
        "internal_input_index": 0,
        "internal_output_index": 0,
        "map": 0,
        "size": 1,
        "default": [-1.0],
    }
    rows = np.arange(len(keys), dtype=np.float32)[:, None]
    info = im.InstructionModelInfo(
        feature_size=1,
        buffer_sizes=[1, 1],
        instructions=[im.MapTransform(**{k: v for k, v in step.items() if k != "type"})],
        maps=[dict(zip(keys, rows, strict=True))],
    )
    model = im.InstructionModel(info)
    asked = [i for i, key in enumerate(keys) if int(np.float32(key)) == key]
    assert len(asked) > 50
    got = model.predict(np.array(keys, np.float32)[asked, None])
    np.testing.assert_array_equal(got, rows[asked])


def test_two_instructions_share_a_table():
    step = {
        "type": "MAP_TRANSFORM",
        "input": 0,
        "output": 1,
        "internal_input_index": 0,
        "internal_output_index": 0,
        "map": 0,
        "size": 1,
        "default": [5.0],
    }
    document = one(step, [2, 2], maps=[{"1": [10.0], "2": [20.0]}])
    document["instructions"].append(
        {**step, "internal_input_index": 1, "internal_output_index": 1, "default": [6.0]}
    )
    got = build(document).predict([[1.0, 2.0], [2.0, 3.0], [0.0, 1.0]])
    assert got.tolist() == [[10.0, 20.0], [20.0, 6.0], [5.0, 10.0]]


def test_a_key_and_its_row_in_one_buffer():
    step = {
        "type": "MAP_TRANSFORM",
        "input": 0,
        "output": 0,
        "internal_input_index": 1,
        "internal_output_index": 0,
        "map": 0,
        "size": 3,
        "default": [7.0, 8.0, 9.0],
    }
    document = one(step, [3], maps=[{"4": [1.0, 2.0, 3.0]}])
    got = build(document).predict([[0.0, 4.0, 0.0], [0.0, 5.0, 0.0]])
    assert got.tolist() == [[1.0, 2.0, 3.0], [7.0, 8.0, 9.0]]


@pytest.mark.parametrize(
    ("key", "row", "code"),
    [
        (2**31, np.float32([1, 2]), "invalid_map_key"),
        (9.5, np.float32([1, 2]), "invalid_map_key"),
        (9, np.float32([1, np.nan]), "non_finite_value"),
        (9, np.float32([[1, 2]]), "invalid_type"),
        (9, "1, 2", "invalid_type"),
    ],
)
def test_one_bad_row_among_arrays_is_named(key, row, code):
    table = {number: np.float32([number, 0]) for number in range(5)} | {key: row}
    with pytest.raises(im.InstModelError, match=str(key)) as caught:
        values.embedding(table, "maps[0]")
    assert caught.value.code == code


def test_a_number_and_its_text_are_one_key():
    with pytest.raises(im.InstModelError) as caught:
        values.embedding({7: [1.0], "7": [2.0]}, "maps[0]")
    assert (caught.value.code, caught.value.field) == ("duplicate_key", "maps[0]['7']")


def test_a_table_of_arrays_is_copied_and_is_that_of_lists():
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    table = {key: rows[place] for place, key in enumerate([7, -3, 2**31 - 1, -(2**31)])}
    made = values.embedding(table, "maps[0]")
    from_lists = values.embedding({str(k): row.tolist() for k, row in table.items()}, "maps[0]")
    rows[:] = -1
    assert list(made) == list(from_lists)
    for row, expected in zip(made.values(), from_lists.values(), strict=True):
        np.testing.assert_array_equal(row, expected, strict=True)
