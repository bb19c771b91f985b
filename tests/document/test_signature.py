"""What a model expects of its inputs, in its document: what may stand there, and that it stays."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import WAYS, build, dense, refused

import instmodel as im
from instmodel.document.constants import first_instructions

NUMBER = {
    "kind": "number",
    "min": -1.5,
    "max": 3.0,
    "nulls": "never",
    "edges": [0.0, 1.0],
    "shares": [0.25, 0.5, 0.25],
}
CODE = {"kind": "code", "codes": [-3, 0, 7], "shares": [0.25, 0.5, 0.125], "null_share": 0.125}
TOLD = {"rows": 80, "features": {"a": NUMBER, "b": CODE}}


def told(signature=TOLD, **parts):
    return im.InstructionModelInfo.from_dict({**dense(), **parts, "signature": signature})


def of_a(**parts):
    return {"features": {"a": {"kind": "number", **parts}}}


# ------------------------------------------------------------------------------- what may be there

A = "signature.features['a']"


@pytest.mark.parametrize(
    ("signature", "code", "field"),
    [
        ([], "invalid_type", "signature"),
        ({}, "missing_field", "signature.features"),
        ({"features": []}, "invalid_type", "signature.features"),
        ({"features": {}, "rows": 1.0}, "invalid_type", "signature.rows"),
        ({"features": {}, "rows": -1}, "invalid_signature", "signature.rows"),
        ({"features": {}, "row": 1}, "unknown_field", "signature.row"),
        ({"features": {"a": []}}, "invalid_type", A),
        ({"features": {"a": {}}}, "missing_field", f"{A}.kind"),
        ({"features": {"c": {"kind": "number"}}}, "unknown_feature", "signature.features['c']"),
        ({"features": {"a[1]": {"kind": "number"}}}, "unknown_feature", None),
        (of_a(least=1), "unknown_field", f"{A}.least"),
        (of_a(kind="float"), "invalid_type", f"{A}.kind"),
        (of_a(kind=["number"]), "invalid_type", f"{A}.kind"),
        (of_a(nulls=True), "invalid_type", f"{A}.nulls"),
        (of_a(min="1"), "invalid_type", f"{A}.min"),
        (of_a(max=True), "invalid_type", f"{A}.max"),
        (of_a(max=1e39), "non_finite_value", f"{A}.max"),
        (of_a(min=float("nan")), "non_finite_value", f"{A}.min"),
        (of_a(min=2, max=1), "invalid_signature", f"{A}.min"),
        (of_a(edges=[1, float("inf")]), "non_finite_value", f"{A}.edges[1]"),
        (of_a(edges=[1, 1]), "invalid_signature", f"{A}.edges[1]"),
        # Different in float64, the same in float32.
        (of_a(edges=[1.0, 1.00000001]), "invalid_signature", f"{A}.edges[1]"),
        (of_a(edges=[2, 1]), "invalid_signature", f"{A}.edges[1]"),
        (of_a(edges=list(range(10_001))), "invalid_signature", f"{A}.edges"),
        (of_a(edges=[1], shares=[1]), "invalid_signature", f"{A}.shares"),
        (of_a(shares=[0.5, 0.5]), "invalid_signature", f"{A}.shares"),
        (of_a(shares=[1.5]), "invalid_signature", f"{A}.shares[0]"),
        (of_a(shares=[-0.5]), "invalid_signature", f"{A}.shares[0]"),
        (of_a(shares=[float("nan")]), "invalid_signature", f"{A}.shares[0]"),
        (of_a(shares=[10**400]), "invalid_signature", f"{A}.shares[0]"),
        (of_a(shares=[True]), "invalid_type", f"{A}.shares[0]"),
        (of_a(shares=0.5), "invalid_type", f"{A}.shares"),
        (of_a(shares=[0.9], null_share=0.2), "invalid_signature", f"{A}.shares"),
        (of_a(null_share=1.5), "invalid_signature", f"{A}.null_share"),
        (of_a(null_share="0"), "invalid_type", f"{A}.null_share"),
        (of_a(codes=[1]), "invalid_signature", f"{A}.codes"),
        (of_a(kind="code"), "missing_field", f"{A}.codes"),
        (of_a(kind="code", codes=[1.0]), "invalid_type", f"{A}.codes[0]"),
        (of_a(kind="code", codes=[1, 1]), "invalid_signature", f"{A}.codes[1]"),
        (of_a(kind="code", codes=[2**24 + 1]), "invalid_signature", f"{A}.codes[0]"),
        (of_a(kind="code", codes=[1], min=0), "invalid_signature", f"{A}.min"),
        (of_a(kind="code", codes=[1], edges=[0]), "invalid_signature", f"{A}.edges"),
        (of_a(kind="code", codes=[1], shares=[0.5, 0.5]), "invalid_signature", f"{A}.shares"),
        (of_a(kind="text"), "invalid_signature", f"{A}.kind"),
    ],
    ids=str,
)
def test_what_is_no_signature(signature, code, field):
    error = refused({**dense(), "signature": signature})
    assert error.code == code
    assert field is None or error.field == field


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"kind": "number"}, f"{A}.kind"),
        ({"kind": "text", "shares": [1.0]}, f"{A}.shares"),
        ({"kind": "text", "min": 0}, f"{A}.min"),
        ({"kind": "text", "codes": [0, 1]}, f"{A}.codes"),
    ],
    ids=str,
)
def test_text_is_of_the_categories_of_the_feature(item, field):
    texts = {"a": ["red", "green"]}
    error = refused({**dense(), "categories": texts, "signature": {"features": {"a": item}}})
    assert (error.code, error.field) == ("invalid_signature", field)
    told({"features": {"a": {"kind": "text", "shares": [0.5, 0.25]}}}, categories=texts)


def test_a_model_without_names_has_no_signature():
    document = {**dense(), "features": [], "feature_size": 2, "signature": TOLD}
    assert refused(document).code == "unknown_feature"


def test_unknown_keys_are_ignored_where_the_caller_says_so():
    signature = {"features": {"a": {"kind": "number", "unit": "EUR"}}, "by": "me"}
    document = {**dense(), "signature": signature}
    info = im.InstructionModelInfo.from_dict(document, unknown="ignore")
    assert info.to_dict()["signature"] == {"features": {"a": {"kind": "number"}}}


def test_what_is_the_default_is_not_written():
    item = {"kind": "number", "min": None, "nulls": "allowed", "edges": [], "null_share": 0.0}
    assert told({"rows": None, "features": {"a": item}}).to_dict()["signature"] == {
        "features": {"a": {"kind": "number"}}
    }


def test_numbers_are_those_of_float32():
    item = im.FeatureSignature(min=np.float64(0.1), edges=np.array([0.1, 0.2]))
    assert item.min == item.edges[0] == float(np.float32(0.1))
    assert {type(number) for number in (item.min, *item.edges)} == {float}


def test_a_signature_in_memory_is_checked_as_one_in_a_file():
    with pytest.raises(im.StructureError) as caught:
        im.FeatureSignature(min=2, max=1)
    assert caught.value.code == "invalid_signature"
    with pytest.raises(im.DocumentError) as caught:
        im.Signature({"a": {"kind": "number"}})
    assert (caught.value.code, caught.value.field) == ("invalid_type", "features['a']")


# ------------------------------------------------------------------------------- nothing loses it


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nothing_loses_it(way):
    info = told()
    found = way(info)
    assert found.to_dict()["signature"] == TOLD
    assert found.signature == info.signature
    assert found.digest() == info.digest()


def test_the_order_of_features_does_not_change_the_digest():
    turned = {"features": dict(reversed(TOLD["features"].items())), "rows": 80}
    assert told(turned).digest() == told().digest()


def test_the_digest_is_of_the_signature_too():
    others = [{**TOLD, "rows": 81}, {"features": {"a": NUMBER}}, {"features": {}}]
    found = {told(signature).digest() for signature in [TOLD, *others]}
    assert len({*found, im.InstructionModelInfo.from_dict(dense()).digest()}) == 5


def test_a_document_without_it_is_what_it_was():
    info = im.InstructionModelInfo.from_dict({**dense(), "signature": None})
    assert "signature" not in info.to_dict()
    assert info.to_bytes()[8:12] == b"\1\0\0\0"
    assert info.to_bytes() == im.InstructionModelInfo.from_dict(dense()).to_bytes()


def test_it_changes_no_prediction():
    rows = np.array([[0, -1], [2, 0.5]], np.float32)
    assert np.array_equal(build(told().to_dict()).predict(rows), build(dense()).predict(rows))


def test_the_first_instructions_alone_have_none():
    info = told()
    assert first_instructions(info, 1, 2).signature is None


def test_the_builder_takes_it():
    builder = im.ModelBuilder()
    x = builder.input(["age"])
    signature = im.Signature({"age": im.FeatureSignature(min=18)})
    info = builder.build(output=x, signature=signature)
    assert info.signature == signature
