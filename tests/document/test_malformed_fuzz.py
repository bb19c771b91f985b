"""Random damage to documents: refused with an InstModelError, or a model that works."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.documents import dense, edited, everything, recurrent, refused

import instmodel as im

E, R = everything(), recurrent()
TEXT = json.dumps(dense())

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([2**31, -(2**31), 2**63, 2**64, 10**30]),
    st.floats(width=32),
    st.sampled_from([1e39, 0.0, -0.0, 1.0]),
    st.text(max_size=3),
    st.sampled_from(["DOT", "COPY", "MAP_TRANSFORM", "RELU", "SOFTMAX", "f[2]"]),
    st.lists(st.integers(-2, 5), max_size=4),
    st.lists(st.lists(st.floats(-2, 2, width=32), max_size=3), max_size=3),
    st.dictionaries(st.sampled_from(["1", "x", "type"]), st.integers(0, 3), max_size=2),
)


def paths(value, path=()):
    """Yield the path of every value in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield from paths(item, (*path, key))


def damages(document):
    places = st.sampled_from(list(paths(document))[1:])
    return st.lists(st.tuples(places, JUNK | st.just(...)), min_size=1, max_size=3)


def damaged(document, damage):
    for path, value in damage:
        try:
            document = edited(document, *path, to=value)
        except (KeyError, IndexError, TypeError):  # an earlier edit took the place away
            continue
    return document


@given(damages(E))
def test_a_document_with_random_damage_is_refused_or_works(damage):
    document = damaged(E, damage)
    try:
        model = im.InstructionModel(im.InstructionModelInfo.from_dict(document))
    except im.InstModelError:
        return
    x = np.ones((3, model.feature_size), np.float32)
    assert model.predict(x).shape == (3, model.output_size)


@given(damages(R))
def test_a_recurrent_document_with_random_damage_is_refused_or_works(damage):
    document = damaged(R, damage)
    try:
        model = im.InstructionModel(im.InstructionModelInfo.from_dict(document))
    except im.InstModelError:
        return
    x = np.ones((3, model.feature_size), np.float32)
    outputs = model.predict_sequences([x])[0] if model.is_recurrent else model.predict(x)
    assert outputs.shape == (3, model.output_size)


@given(st.data())
def test_a_text_with_random_damage_is_refused_or_works(data):
    text = bytearray(TEXT, "utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        model = im.InstructionModel(im.InstructionModelInfo.from_json(bytes(text)))
    except im.InstModelError:
        return
    assert model.predict(np.ones((3, model.feature_size), np.float32)).shape[0] == 3


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_random_texts_are_refused(text):
    refused(text)
