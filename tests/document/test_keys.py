"""Which input values are looked up as they come, and which keys of maps nothing finds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from support.documents import build, one
from support.strategies import documents

import instmodel as im
from instmodel import reference
from instmodel.base import map_keys
from instmodel.document.keys import key_inputs


def lookup(buffer, place, output, at=0, size=1):
    return im.MapTransform(
        input=buffer,
        output=output,
        internal_input_index=place,
        internal_output_index=at,
        map=0,
        size=size,
        default=[0.0] * size,
    )


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ([im.Copy(input=0, output=2, internal_index=0)], ()),
        ([lookup(0, 2, 3)], (2,)),
        # The second input buffer follows the first.
        ([lookup(1, 1, 3), lookup(0, 0, 3, at=1)], (0, 4)),
        ([im.Copy(input=1, output=2, internal_index=1), lookup(2, 2, 3)], (4,)),
        ([im.Copy(input=1, output=2, internal_index=1), lookup(2, 0, 3)], ()),
        ([im.CopyMasked(input=0, output=2, indexes=[2, 2, 0]), lookup(2, 1, 3)], (2,)),
        # Two copies of the same place: the later one counts.
        (
            [
                im.Copy(input=0, output=2, internal_index=0),
                im.Copy(input=1, output=2, internal_index=2),
                lookup(2, 1, 3),
                lookup(2, 2, 3, at=1),
            ],
            (1, 3),
        ),
        # A chain, and a copy onto itself.
        (
            [
                im.CopyMasked(input=1, output=2, indexes=[1]),
                im.Copy(input=2, output=2, internal_index=0),
                im.CopyMasked(input=2, output=0, indexes=[3, 0]),
                lookup(0, 1, 3),
            ],
            (4,),
        ),
        # What is computed is no key that anybody wrote; what was looked up before was one.
        ([im.Activate(input=0, activation="RELU"), lookup(0, 2, 3)], ()),
        ([lookup(0, 2, 3), im.Activate(input=0, activation="RELU"), lookup(0, 1, 3, at=1)], (2,)),
        ([lookup(0, 0, 0), lookup(0, 0, 3)], (0,)),
        ([lookup(0, 1, 0), lookup(0, 0, 3)], (1,)),
        ([im.AddElementwiseBuffers(input=[2, 2], output=2), lookup(2, 0, 3)], ()),
    ],
)
def test_raw_keys(instructions, expected):
    assert key_inputs(instructions, [3, 2, 4, 2], 5) == expected


def origins(document, model):
    """For each value of the unified buffer the input that it is, followed forwards; or None."""
    sizes, offsets = model.buffer_sizes, model.buffer_offsets
    found = [i if i < model.feature_size else None for i in range(model.required_memory)]
    keys = set()
    for item in document["instructions"]:
        start = offsets[item["input"]] if isinstance(item["input"], int) else None
        if item["type"] == "MAP_TRANSFORM":
            keys.add(found[start + item["internal_input_index"]])
            at = offsets[item["output"]] + item["internal_output_index"]
            found[at : at + item["size"]] = [None] * item["size"]
        elif item["type"] == "COPY":
            at, size = offsets[item["output"]] + item["internal_index"], sizes[item["input"]]
            found[at : at + size] = found[start : start + size]
        elif item["type"] == "COPY_MASKED":
            at, indexes = offsets[item["output"]], item["indexes"]
            found[at : at + len(indexes)] = [found[start + index] for index in indexes]
        else:
            buffer = item.get("output", item["input"])
            found[offsets[buffer] : offsets[buffer] + sizes[buffer]] = [None] * sizes[buffer]
    return tuple(sorted(keys - {None}))


@settings(max_examples=200)
@given(documents(names=["COPY", "COPY_MASKED", "MAP_TRANSFORM", "ACTIVATION"], max_instructions=12))
def test_raw_keys_are_those_that_follow_from_the_copies(document):
    model = build(document)
    assert model.key_inputs == origins(document, model)


# ------------------------------------------------------------------------------- what float32 holds


def near(*numbers):
    return sorted({number + step for number in numbers for step in range(-300, 301)})


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.longdouble, object])
def test_a_number_is_inexact_where_float32_looks_up_another_key(dtype):
    rng = np.random.default_rng(0)
    numbers = near(0, 2**24, -(2**24), 2**25, 2**31, -(2**31), 2**32, -(2**33), 2**53, -(2**53))
    numbers += rng.integers(-(2**31), 2**31, 5000).tolist()
    found = map_keys.inexact(np.array(numbers, dtype))
    key = reference._map_key  # of any number, however wide
    expected = [key(float(np.float32(number))) != key(number) for number in numbers]
    assert found.tolist() == expected
    assert sum(expected) > 3000
    assert [map_keys.is_inexact(float(number)) for number in numbers] == expected


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_unsigned_numbers(dtype):
    numbers = [0, 2**24, 2**24 + 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1]
    expected = [False, False, True, True, False, False, False]
    assert map_keys.inexact(np.array(numbers, dtype)).tolist() == expected


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int16, np.float16, np.float32])
def test_what_float32_holds_is_exact(dtype):
    assert map_keys.inexact(np.array([0, 1], dtype)) is None


def test_what_is_no_whole_number_is_no_key():
    numbers = [np.nan, np.inf, -np.inf, 34.7, 16777216.5, 20000001.3, 1e300, -1e300, 1e-300, 0.1]
    assert map_keys.inexact(np.array(numbers)) is None
    assert not any(map(map_keys.is_inexact, numbers))


# ------------------------------------------------------------------------- keys that nothing finds


def table(*keys):
    return {str(key): [1.0, 2.0] for key in keys}


def told(*maps):
    """The warning that a model of some maps gives."""
    step = {
        "type": "MAP_TRANSFORM",
        "input": 0,
        "output": 1,
        "internal_input_index": 0,
        "internal_output_index": 0,
        "size": 2,
        "default": [0.0, 0.0],
    }
    document = one({**step, "map": 0}, [1, 2], maps=list(maps))
    document["instructions"] = [{**step, "map": index} for index in range(len(maps))]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build(document)
    return [str(warning.message) for warning in caught]


def test_keys_that_float32_holds_are_told_by_nobody():
    assert told(table(0, 2**24, -(2**24), 2**24 + 2, 2147483520, -(2**31))) == []
    assert told({}) == []


def test_a_key_that_float32_cannot_hold_is_told_when_the_model_is_built():
    (message,) = told(table(1), table(3, 2147483647, 2**24 + 1, 20, -(2**24) - 3))
    assert message.startswith(
        "maps[1]: float32 cannot hold 3 of the 5 keys, the first of them -167"
    )
    assert "more maps" not in message
    (message,) = told(table(16777217), table(1), table(2**30 + 1, 5), table(2**31 - 1))
    assert message.startswith("maps[0]: float32 cannot hold 1 of the 1 keys, the first of them 167")
    assert message.endswith("; so it is in 2 more maps")


def test_the_warning_shows_who_built_the_model(tmp_path):
    info = im.InstructionModelInfo(
        feature_size=1,
        buffer_sizes=[1, 1],
        instructions=[lookup(0, 0, 1)],
        maps=[{16777217: [1.0], 16777216: [2.0]}],
    )
    info.save(tmp_path / "m.json")
    info.save(tmp_path / "m.instmodel")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = im.InstructionModel(info)
        im.load(tmp_path / "m.json")
        im.load(tmp_path / "m.instmodel", mmap=True)
    assert [warning.filename for warning in caught] == [__file__] * 3
    # The document is as it was, and so is what the engine does with it.
    assert model.info.maps[0].keys() == {16777216, 16777217}
    assert model.predict(np.float32([16777216])).tolist() == [2.0]
