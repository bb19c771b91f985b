"""Constants that are kept, shared and numbered anew: the model stays what it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.documents import build, everything, recurrent
from support.strategies import samples

import instmodel as im
from instmodel.compiled.parallel import PredictConfig
from instmodel.document.constants import (
    ROLES,
    first_instructions,
    keep_constants,
    share_constants,
)


def buffers(model, x):
    whole = PredictConfig(buffer_slice=(0, model.required_memory))
    return np.asarray(model.predict_parallel(x, whole))


@pytest.fixture
def info():
    return im.InstructionModelInfo.from_dict(everything() | {"metadata": {"made": "by hand"}})


def test_every_field_that_points_at_a_constant_is_renumbered(info):
    counts = {role: len(getattr(info, role)) for role in ROLES}
    kept = {role: list(range(count))[::-1] for role, count in counts.items()}
    places = {
        role: {old: count - 1 - old for old in range(count)} for role, count in counts.items()
    }
    turned = keep_constants(info, kept, places)
    for before, after in zip(info.instructions, turned.instructions, strict=True):
        for role, count in counts.items():
            assert after.uses(role) == [count - 1 - old for old in before.uses(role)]
    x = samples(30, 6, 1)
    assert np.array_equal(buffers(im.InstructionModel(turned), x), buffers(build(everything()), x))


def test_the_initial_values_of_states_keep_their_place():
    document = recurrent()
    document["parameters"] = [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, -0.25, 1.0]]
    document["state"] = [{"buffer": 1, "initial": 2}]
    document["instructions"] += [
        {"type": "ADD_ELEMENTWISE", "input": 1, "parameters": 1},
        {"type": "MUL_ELEMENTWISE", "input": 1, "parameters": 0},
    ]
    info = im.InstructionModelInfo.from_dict(document)
    x = samples(5, 2, 3)
    expected = im.InstructionModel(info).predict_sequences([x])[0]
    shared = share_constants(info)
    assert (len(shared.parameters), shared.state) == (2, [im.StateBuffer(1, initial=1)])
    np.testing.assert_array_equal(im.InstructionModel(shared).predict_sequences([x])[0], expected)
    part = first_instructions(info, 4, 2)
    assert (len(part.parameters), part.state) == (1, [im.StateBuffer(1, initial=0)])
    assert im.InstructionModel(part).initial_state(1).tolist() == [[0.5, -0.25, 1.0]]


def test_the_first_instructions_compute_what_they_compute_in_the_model(info):
    x = samples(9, 6, 2)
    sizes = info.buffer_sizes
    for count in range(1, len(info.instructions) + 1):
        part = first_instructions(info, count, 6)
        assert [item.TYPE for item in part.instructions] == [
            item.TYPE for item in info.instructions[:count]
        ]
        im.InstructionModel(part)  # every constant that is left is used
    assert part.buffer_sizes == sizes
    assert np.array_equal(
        im.InstructionModel(part).predict(x), im.InstructionModel(info).predict(x)
    )


def test_nothing_of_a_document_is_lost_on_the_way(info):
    """A key of the document that these functions do not know goes along."""
    changed = {"instructions", "features", "feature_size", "validation_data"}
    for part in (first_instructions(info, 16, 6), share_constants(info)):
        for field in dataclasses.fields(info):
            if field.name not in changed:
                np.testing.assert_equal(getattr(part, field.name), getattr(info, field.name))


def test_equal_constants_are_kept_once(info):
    info.parameters = [*info.parameters, info.parameters[1].copy()]
    info.instructions.insert(3, im.MulElementwise(input=1, parameters=4))
    shared = share_constants(info)
    assert len(shared.parameters) == 4
    assert shared.instructions[3].parameters == 1
    x = samples(9, 6, 3)
    assert np.array_equal(
        im.InstructionModel(shared).predict(x), im.InstructionModel(info).predict(x)
    )
