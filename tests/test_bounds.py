"""The error bounds that the other tests rely on: wide enough to be right, tight enough to find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from support.bounds import ERRORS, track
from support.documents import dense, engine_cases, everything, one
from support.strategies import documents, feature_size, samples

import instmodel as im
from instmodel import reference


def test_every_instruction_has_a_bound():
    assert set(ERRORS) == set(reference.INSTRUCTIONS)


@pytest.mark.parametrize(("make", "mistake"), [(dense, 1e-6), (everything, 1e-3)])
def test_a_small_relative_error_is_found(make, mistake):
    info = im.InstructionModelInfo.from_dict(make())
    x = samples(8, feature_size(make()), 0)
    tracked = track(info, x).output(info)
    assert tracked.known == 1.0
    tracked.check(tracked.value)
    wrong = tracked.wrong(tracked.value * (1 + mistake))
    assert len(wrong) == tracked.value.size


def test_nan_and_infinity_must_be_where_the_reference_has_them():
    document = one({"type": "ACTIVATION", "input": 0, "activation": "INVERSE"}, [3])
    tracked = track(im.InstructionModelInfo.from_dict(document), [[np.nan, np.inf, 1.0]])
    assert tracked.known == 1.0
    assert len(tracked.wrong([[np.nan, -np.inf, 0.0]])) == 0
    for wrong in ([0.0, -np.inf, 0.0], [np.nan, np.inf, 0.0], [np.nan, -3e38, 0.0]):
        assert len(tracked.wrong([wrong])) == 1
    assert len(tracked.wrong([[np.nan, np.nan, np.inf]])) == 2


def test_a_sign_at_its_jump_is_free_and_elsewhere_is_not():
    document = one({"type": "DOT", "input": 0, "output": 1, "weights": 0}, [2, 1])
    document |= {"weights": [[[0.1, -0.1]]], "bias": [[0.0]]}
    document["instructions"][0]["activation"] = "SIGN"
    info = im.InstructionModelInfo.from_dict(document)
    tracked = track(info, [[3.0, 3.0], [3.0, 2.0]]).output(info)
    assert len(tracked.wrong([[1.0], [1.0]])) == 0
    assert len(tracked.wrong([[-1.0], [1.0]])) == 0
    assert len(tracked.wrong([[1.0], [-1.0]])) == 1


@given(documents())
def test_the_bounds_of_normal_samples_are_never_empty_promises(document):
    info = im.InstructionModelInfo.from_dict(document)
    x = samples(5, feature_size(document), 1)
    tracked = track(info, x)
    np.testing.assert_array_equal(tracked.value, reference.unified_buffers(info, x))
    # EXP after EXP may overflow float32, and then nothing is known; that is rare.
    assert tracked.known > 0.5


def test_the_bounds_are_tight_on_the_conformance_cases():
    relative = []
    for case in engine_cases():
        info = im.InstructionModelInfo.from_dict(case["model"])
        x = np.array([[float(v) for v in row] for row in case["inputs"][:4]], np.float32)
        tracked = track(info, x)
        relative.append(tracked.error.max() / np.abs(tracked.value).max())
    assert np.median(relative) < 1e-6
