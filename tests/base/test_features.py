"""Feature names."""

from __future__ import annotations

import pytest

import instmodel as im


@pytest.mark.parametrize(
    ("name", "parsed", "size"),
    [
        ("age", "age", 1),
        ("emb[16]", "emb", 16),
        ("emb[1]", "emb", 1),
        ("emb[007]", "emb", 7),
        (" a b ", " a b ", 1),
        ("ü[2]", "ü", 2),
        ("x[123456789]", "x", 123456789),
        ("3", "3", 1),
        ("a.b/c", "a.b/c", 1),
    ],
)
def test_valid_names(name, parsed, size):
    (feature,) = im.parse_feature_names([name])
    assert (feature.name, feature.size, feature.is_array) == (parsed, size, "[" in name)


def test_order_and_repeats_stay():
    features = im.parse_feature_names(["b", "a[2]", "b"])
    assert [(f.name, f.size) for f in features] == [("b", 1), ("a", 2), ("b", 1)]


def test_an_error_says_which():
    with pytest.raises(im.InstModelError) as caught:
        im.parse_feature_names(["a", "b", "c[]"])
    assert (caught.value.code, caught.value.field) == ("invalid_feature_format", "features[2]")
    assert "c[]" in str(caught.value)


def test_a_long_name_does_not_fill_the_message():
    with pytest.raises(im.InstModelError) as caught:
        im.parse_feature_names(["x" * 10_000 + "["])
    assert len(str(caught.value)) < 300
