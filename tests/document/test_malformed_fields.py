"""Every field of every instruction, every name and every key, with values that do not belong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.documents import dense, edited, everything, identity, refused, with_lost_keys

import instmodel as im
from instmodel.base.values import hint
from instmodel.document.instructions import INSTRUCTIONS

D, E = dense(), everything()


FEATURES = [
    "f[]",
    "f[0]",
    "[3]",
    "f[2]x",
    "f[5",
    "f5]",
    "f[[5]]",
    "f[-1]",
    "f[1.5]",
    "f[+1]",
    "f[1][1]",
    "f]1[",
    "[",
    "]",
    "f[٣]",
    "f[0x1]",
    "f[1_0]",
    "f[00]",
]
KEYS = [
    "+1",
    "1.0",
    "1e3",
    "0x1",
    "--1",
    "-",
    "one",
    "1_0",
    "٣",
    "²",
    "NaN",
    "null",
    "2147483648",
    "-2147483649",
    "99999999999999999999",
]


@pytest.mark.parametrize("feature", [*FEATURES, "", "f[1]\n", "f[ 1]", "f[1 ]", f"f[{'9' * 99}]"])
def test_malformed_feature_name(feature):
    error = refused(edited(D, "features", 1, to=feature))
    assert (error.code, error.field) == ("invalid_feature_format", "features[1]")


@pytest.mark.parametrize(
    "key",
    [*KEYS, "", " 1", "1 ", "1\n", "\x001", "9" * 99, "01", "-0", "00", "-01", "+0", "0000000001"],
)
def test_malformed_map_key(key):
    error = refused(edited(E, "maps", 0, key, to=[1.0, 2.0]))
    assert error.code == "invalid_map_key"
    assert error.field.startswith("maps[0]")


@with_lost_keys
@pytest.mark.parametrize("key", ["2147483647", "-2147483648", "0", "-1", "7"])
def test_every_int32_is_a_map_key(key):
    im.InstructionModel(im.InstructionModelInfo.from_dict(edited(E, "maps", 0, key, to=[1.0, 2.0])))


# ---------------------------------------------------------------- every field, every instruction

OUTSIDE = {
    "input": "buffer_index_out_of_bounds",
    "key": "buffer_index_out_of_bounds",
    "output": "buffer_index_out_of_bounds",
    "weights": "weights_index_out_of_bounds",
    "parameters": "parameters_index_out_of_bounds",
    "parameters_min": "parameters_index_out_of_bounds",
    "parameters_max": "parameters_index_out_of_bounds",
    "map": "map_index_out_of_bounds",
    "internal_index": "internal_index_out_of_bounds",
    "internal_input_index": "internal_input_index_out_of_bounds",
    "internal_output_index": "internal_output_index_out_of_bounds",
}
FIELDS = [
    (index, key)
    for index, instruction in enumerate(E["instructions"])
    for key, value in instruction.items()
    if type(value) is int
]
REQUIRED = [
    (index, item.name)
    for index, instruction in enumerate(E["instructions"])
    for item in dataclasses.fields(INSTRUCTIONS[instruction["type"]])
    if item.default is dataclasses.MISSING
]


@pytest.mark.parametrize(("index", "key"), FIELDS)
def test_an_index_that_is_no_integer(index, key):
    optional = key in ("parameters_min", "parameters_max")
    for value in (True, False, 0.0, 1.5, "0", [0], {}, *([] if optional else [None])):
        error = refused(edited(E, "instructions", index, key, to=value))
        assert (error.code, error.instruction, error.field) == ("invalid_type", index, key)


@pytest.mark.parametrize(("index", "key"), [f for f in FIELDS if f[1] != "size"])
def test_an_index_outside(index, key):
    for value in (-1, 1000, 2**31, 2**32, 2**63, 2**64, -(2**63)):
        error = refused(edited(E, "instructions", index, key, to=value))
        assert (error.code, error.instruction, error.field) == (OUTSIDE[key], index, key)


@pytest.mark.parametrize(("index", "key"), REQUIRED)
def test_a_required_field_that_is_missing(index, key):
    error = refused(edited(E, "instructions", index, key, to=...))
    assert (error.code, error.instruction, error.field) == ("missing_field", index, key)


@pytest.mark.parametrize("index", range(len(E["instructions"])))
def test_an_unknown_key_in_every_instruction(index):
    error = refused(edited(E, "instructions", index, "inputt", to=0))
    assert (error.code, error.instruction, error.field) == ("unknown_field", index, "inputt")
    assert "'input'" in str(error), "the message names the closest known key"
    im.InstructionModel(
        im.InstructionModelInfo.from_dict(
            edited(E, "instructions", index, "inputt", to=0), unknown="ignore"
        )
    )


@pytest.mark.parametrize(
    ("key", "closest"),
    [
        ("feature", "features"),
        ("featuresize", "feature_size"),
        ("buffer_size", "buffer_sizes"),
        ("Instructions", "instructions"),
        ("weight", "weights"),
        ("biases", "bias"),
        ("params", "parameters"),
        ("map", "maps"),
        ("validation-data", "validation_data"),
        ("meta", "metadata"),
    ],
)
def test_an_unknown_key_names_the_closest_one(key, closest):
    error = refused({**D, key: None})
    assert error.code == "unknown_field"
    assert f"'{key}'" in str(error)
    assert f"'{closest}'" in str(error)


def test_a_key_like_no_other_gets_no_suggestion():
    assert "did you mean" not in str(refused({**D, "zzzzqq": 1}))
    assert hint("nope", ["age", "income"]) == ""
    assert hint("DENSE", INSTRUCTIONS) == ""


def test_ignoring_unknown_keys_ignores_them_everywhere():
    document = {**D, "color": "red"}
    document = edited(document, "instructions", 0, "note", to={"any": ["thing"]})
    document["validation_data"] = {"inputs": [], "expected_outputs": [], "comment": 1}
    info = im.InstructionModelInfo.from_dict(document, unknown="ignore")
    x = np.array([[0.25, -1.0]], np.float32)
    plain = im.InstructionModel(im.InstructionModelInfo.from_dict(D))
    np.testing.assert_array_equal(im.InstructionModel(info).predict(x), plain.predict(x))
    assert "color" not in info.to_dict()


def test_ignoring_unknown_keys_is_no_excuse_for_other_mistakes():
    for document, code in [
        (edited(D, "instructions", 0, "type", to="DOTT"), "unknown_instruction"),
        (edited(D, "instructions", 0, "activation", to="RELUU"), "unknown_activation"),
        (edited(D, "instructions", 0, "input", to=...), "missing_field"),
    ]:
        with pytest.raises(im.InstModelError) as caught:
            im.InstructionModelInfo.from_dict(document, unknown="ignore")
        assert caught.value.code == code


def test_the_policy_for_unknown_keys_is_checked():
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_dict(D, unknown="ignroe")
    assert caught.value.field == "unknown"


# ------------------------------------------------------------------------------------------ objects


@pytest.mark.parametrize(
    "document", [None, [], (), "x", 1, [("features", [])], object(), D.items()], ids=repr
)
def test_a_document_that_is_no_mapping(document):
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModelInfo.from_dict(document)
    assert caught.value.code == "invalid_type"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("weights", [np.ones((3, 2), complex), np.ones((1, 3))], "invalid_type"),
        ("weights", [np.array([["a", "b"]] * 3), np.ones((1, 3))], "invalid_type"),
        ("weights", [np.array([[None, None]] * 3), np.ones((1, 3))], "invalid_type"),
        ("weights", [np.ones((3, 2, 1)), np.ones((1, 3))], "invalid_type"),
        ("weights", [np.ones(3), np.ones((1, 3))], "invalid_type"),
        ("weights", [np.full((3, 2), np.nan), np.ones((1, 3))], "non_finite_value"),
        ("weights", [np.full((3, 2), 1e39), np.ones((1, 3))], "non_finite_value"),
        ("bias", [np.ones((3, 1)), np.ones(1)], "invalid_type"),
        ("bias", [np.ones(3, bool), np.ones(1)], "invalid_type"),
        ("bias", [np.array(1.0), np.ones(1)], "invalid_type"),
        ("parameters", [np.ones(3, "M8[s]")], "invalid_type"),
        ("buffer_sizes", np.array([2.0, 3.0, 1.0]), "invalid_type"),
        ("buffer_sizes", "231", "invalid_type"),
        ("features", "ab", "invalid_type"),
        ("feature_size", np.float32(2), "invalid_type"),
        ("feature_size", 2 + 0j, "invalid_type"),
        ("instructions", [im.Dot], "invalid_type"),
        ("instructions", [D["instructions"][0]], "invalid_type"),
        ("instructions", im.Dot(input=0, output=1, weights=0), "invalid_type"),
        ("validation_data", {"inputs": [], "expected_outputs": []}, "invalid_type"),
    ],
)
def test_python_values_of_the_wrong_kind(field, value, code):
    parts = {
        "features": ["a", "b"],
        "buffer_sizes": [2, 3, 1],
        "instructions": im.InstructionModelInfo.from_dict(D).instructions,
        "weights": D["weights"],
        "bias": D["bias"],
        "parameters": D["parameters"],
    }
    if field == "feature_size":
        del parts["features"]
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModel(im.InstructionModelInfo(**parts | {field: value}))
    assert caught.value.code == code
    assert caught.value.field.startswith(field)


def test_an_integer_too_long_to_print_is_refused_like_any_other():
    document = edited(identity(), "feature_size", to=10**5000)
    assert refused(document).code == "feature_size_mismatch"


@pytest.mark.parametrize(
    "field", ["weights", "bias", "parameters", "maps", "instructions", "buffer_sizes", "features"]
)
@pytest.mark.parametrize("value", [None, 5, "x", [None], [object()]])
def test_an_info_that_was_spoiled_is_refused(field, value):
    if field in ("features",) and value is None:
        value = 7
    info = im.InstructionModelInfo.from_dict(E)
    setattr(info, field, value)
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModel(info)
    assert caught.value.code == "invalid_type"
    assert caught.value.field.startswith(field)


def test_a_model_is_checked_again_after_its_info_was_changed():
    info = im.InstructionModelInfo.from_dict(D)
    info.buffer_sizes[1] = 2
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModel(info)
    assert caught.value.code == "weights_row_size_mismatch"
    info.buffer_sizes[1] = 3.0
    with pytest.raises(im.InstModelError) as caught:
        im.InstructionModel(info)
    assert caught.value.code == "invalid_type"
