"""Text categories in a document: what may stand there, and that nothing loses them."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import WAYS, build, dense, refused

import instmodel as im

TEXTS = {"a": ["red", "green", ""], "b": {"values": ["é"], "unknown": -1.0}}


def labelled(categories=TEXTS):
    return im.InstructionModelInfo.from_dict({**dense(), "categories": categories})


# ------------------------------------------------------------------------------- what may be there


@pytest.mark.parametrize(
    ("categories", "code", "field"),
    [
        (["red"], "invalid_type", "categories"),
        ({"a": "red"}, "invalid_type", "categories['a']"),
        ({"a": None}, "invalid_type", "categories['a']"),
        ({"a": ["red", 1]}, "invalid_type", "categories['a'].values[1]"),
        ({"a": ["red", None]}, "invalid_type", "categories['a'].values[1]"),
        ({"a": [["red"]]}, "invalid_type", "categories['a'].values[0]"),
        ({"a": {}}, "missing_field", "categories['a'].values"),
        ({"a": {"value": []}}, "unknown_field", "categories['a'].value"),
        ({"a": {"values": "red"}}, "invalid_type", "categories['a'].values"),
        ({"a": {"values": [], "unknown": "null"}}, "invalid_type", "categories['a'].unknown"),
        ({"a": {"values": [], "unknown": True}}, "invalid_type", "categories['a'].unknown"),
        ({"a": {"values": [], "unknown": 1e39}}, "non_finite_value", "categories['a'].unknown"),
        ({"a": ["", "x", ""]}, "duplicate_category", "categories['a'].values[2]"),
        ({"c": ["x"]}, "unknown_feature", "categories"),
        ({"a[1]": ["x"]}, "unknown_feature", "categories"),
    ],
    ids=str,
)
def test_what_are_no_categories(categories, code, field):
    error = refused({**dense(), "categories": categories})
    assert (error.code, error.field) == (code, field)


def test_half_a_surrogate_pair_is_no_category():
    with pytest.raises(im.DocumentError) as caught:
        im.Categories(["a", "\ud83d", "\ude00"])
    assert caught.value.code == "invalid_document"


def test_a_model_without_names_has_no_categories():
    document = {**dense(), "features": [], "feature_size": 2, "categories": {"a": ["x"]}}
    assert refused(document).code == "unknown_feature"


def test_more_categories_than_float32_can_number():
    with pytest.raises(im.StructureError) as caught:
        im.Categories(("",) * (2**24 + 1))
    assert caught.value.code == "category_limit_exceeded"


@pytest.mark.parametrize(
    ("name", "most", "passes"), [("count", 3, 4), ("characters", 8, 9)], ids=["count", "characters"]
)
def test_the_limits_count_all_features_together(name, most, passes):
    document = {**dense(), "categories": {"a": ["red", "green", ""], "b": {"values": ["é"]}}}
    name = f"max_category_{name}"
    im.InstructionModelInfo.from_dict(document, limits=im.Limits(**{name: passes}))
    with pytest.raises(im.StructureError) as caught:
        im.InstructionModelInfo.from_dict(document, limits=im.Limits(**{name: most}))
    assert (caught.value.code, caught.value.actual) == ("category_limit_exceeded", passes)
    info = labelled()
    for read in (
        lambda limits: im.InstructionModel(info, limits=limits),
        lambda limits: im.InstructionModelInfo.from_bytes(info.to_bytes(), limits=limits),
        lambda limits: im.InstructionModelInfo.from_json(info.to_json(), limits=limits),
    ):
        with pytest.raises(im.StructureError) as caught:
            read(im.Limits(**{name: most}))
        assert caught.value.code == "category_limit_exceeded"


def test_unknown_keys_are_ignored_where_the_caller_says_so():
    document = {**dense(), "categories": {"a": {"values": ["x"], "note": 1}}}
    info = im.InstructionModelInfo.from_dict(document, unknown="ignore")
    assert info.to_dict()["categories"] == {"a": ["x"]}


def test_an_array_feature_has_one_dictionary():
    document = {**dense(), "features": ["tags[2]"], "categories": {"tags": ["x", "y"]}}
    (feature,) = build(document).named_features
    assert (feature.size, feature.categories.values) == (2, ("x", "y"))


def test_numpy_texts_are_plain_texts():
    found = im.Categories(np.array(["x", "y"]))
    assert found.values == ("x", "y")
    assert {type(text) for text in found.values} == {str}


# ------------------------------------------------------------------------------ nothing loses them


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nothing_loses_them(way):
    info = labelled()
    found = way(info)
    assert found.to_dict()["categories"] == TEXTS
    assert found.digest() == info.digest()


def test_the_order_of_features_does_not_change_the_digest():
    turned = labelled(dict(reversed(TEXTS.items())))
    assert turned.digest() == labelled().digest()


@pytest.mark.parametrize(
    "other",
    [
        {**TEXTS, "a": ["green", "red", ""]},
        {**TEXTS, "a": ["red", "green"]},
        {**TEXTS, "b": ["é"]},
        {**TEXTS, "b": {"values": ["é"], "unknown": "nan"}},
        {},
    ],
    ids=str,
)
def test_the_digest_is_of_the_categories_too(other):
    assert labelled(other).digest() != labelled().digest()


def test_a_document_without_them_is_what_it_was():
    info = im.InstructionModelInfo.from_dict(dense())
    assert labelled({}).to_bytes() == info.to_bytes()
    assert "categories" not in info.to_dict()
    assert info.to_bytes()[8:12] == b"\1\0\0\0"


def test_they_change_no_prediction():
    rows = np.array([[0, -1], [2, 0.5]], np.float32)
    assert np.array_equal(build(labelled().to_dict()).predict(rows), build(dense()).predict(rows))


# ------------------------------------------------------------------------------------- the builder


def test_the_builder_takes_them_with_the_features():
    builder = im.ModelBuilder()
    x = builder.input(["age"])
    y = builder.input(["colour", "tags[2]"], {"colour": ["red"], "tags": im.Categories(["new"])})
    sums = [builder.reduce_sum(x), builder.reduce_sum(y)]
    info = builder.build(output=builder.add_buffers(*sums))
    assert info.to_dict()["categories"] == {"colour": ["red"], "tags": ["new"]}
