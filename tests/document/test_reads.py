"""Which inputs can change an output: followed by hand, and held against random models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.documents import build
from support.strategies import documents, feature_size, samples

import instmodel as im
from instmodel.document.reads import read_inputs


def map_of(place, output, output_place=0):
    return im.MapTransform(
        input=0,
        output=output,
        internal_input_index=place,
        internal_output_index=output_place,
        map=0,
        size=1,
        default=[0.0],
    )


def dot(source, target):
    return im.Dot(input=source, output=target, weights=0)


@pytest.mark.parametrize(
    ("instructions", "sizes", "expected"),
    [
        ([dot(0, 1)], [4, 1], (0, 1, 2, 3)),
        ([im.CopyMasked(input=0, output=1, indexes=[2, 0])], [4, 2], (0, 2)),
        # What is copied and scaled in place, with what stands beside it.
        (
            [
                im.CopyMasked(input=0, output=1, indexes=[1, 3]),
                im.AddElementwise(input=1, parameters=0),
                im.CopyMasked(input=1, output=2, indexes=[0]),
            ],
            [4, 2, 1],
            (1, 3),
        ),
        # A copy over a copy: the first one is lost.
        (
            [
                im.CopyMasked(input=0, output=1, indexes=[0, 1]),
                im.CopyMasked(input=0, output=1, indexes=[2]),
            ],
            [4, 2],
            (1, 2),
        ),
        ([map_of(2, 1)], [4, 1], (2,)),
        # What was computed for nothing needs nothing.
        ([dot(0, 1), im.CopyMasked(input=0, output=2, indexes=[3])], [4, 1, 1], (3,)),
        # The second of two input buffers.
        ([im.Copy(input=1, output=2, internal_index=0)], [2, 2, 2], (2, 3)),
        ([im.Attention(input=0, key=1, output=2, weights=0)], [2, 3, 2], (0, 1, 2, 3, 4)),
    ],
)
def test_what_is_read(instructions, sizes, expected):
    features = sum(sizes[:2]) if len(expected) == 5 or expected == (2, 3) else sizes[0]
    assert read_inputs(instructions, sizes, features) == expected


@settings(max_examples=200)
@given(documents(), st.integers(0, 2**32 - 1))
def test_what_is_not_read_changes_no_bit(document, seed):
    model = build(document)
    x = samples(7, feature_size(document), seed)
    others = np.setdiff1d(np.arange(model.feature_size), model.read_inputs)
    changed = x.copy()
    changed[:, others] = np.random.default_rng(seed).choice(
        np.float32([np.nan, np.inf, 0, -1e30]), (7, len(others))
    )
    if not model.key_inputs:  # which NaN may not be
        expected, got = model.predict(x), model.predict(changed)
        assert np.array_equal(expected.view(np.uint32), got.view(np.uint32))
