"""Limits are whole numbers, and nothing else is a limit."""

from __future__ import annotations

import numpy as np
import pytest
from support.documents import dense

import instmodel as im


@pytest.mark.parametrize("wrong", ["x", None, 1.5, 1e9, True, -1, [1], float("inf")])
@pytest.mark.parametrize("name", ["max_buffer_size", "max_weight_count", "max_validation_work"])
def test_what_is_no_limit(name, wrong):
    with pytest.raises(im.InstModelError) as caught:
        im.Limits(**{name: wrong})
    assert isinstance(caught.value, ValueError)
    assert (caught.value.code, caught.value.field) == ("invalid_type", name)


def test_integers_of_numpy_are_limits():
    limits = im.Limits(max_buffer_size=np.int64(7), max_weight_count=0)
    assert limits == im.Limits(max_buffer_size=7, max_weight_count=0)
    assert type(limits.max_buffer_size) is int


INFO = im.InstructionModelInfo.from_dict(dense())
TAKE_LIMITS = {
    "from_dict": lambda limits: im.InstructionModelInfo.from_dict(dense(), limits=limits),
    "from_json": lambda limits: im.InstructionModelInfo.from_json(INFO.to_json(), limits=limits),
    "from_bytes": lambda limits: im.InstructionModelInfo.from_bytes(INFO.to_bytes(), limits=limits),
    "InstructionModel": lambda limits: im.InstructionModel(INFO, limits=limits),
    "GpuModel.from_info": lambda limits: im.GpuModel.from_info(INFO, limits=limits),
    "GpuModel.from_bytes": lambda limits: im.GpuModel.from_bytes(
        im.GpuModel.from_info(INFO).as_bytes(), limits=limits
    ),
}


@pytest.mark.parametrize("call", TAKE_LIMITS.values(), ids=TAKE_LIMITS)
@pytest.mark.parametrize("wrong", [None, {}, 1_000_000])
def test_what_are_no_limits(call, wrong):
    with pytest.raises(im.InstModelError) as caught:
        call(wrong)
    assert (caught.value.code, caught.value.field) == ("invalid_type", "limits")


@pytest.mark.parametrize("load", [im.load, im.InstructionModelInfo.load])
@pytest.mark.parametrize("name", ["m.json", "m.instmodel"])
def test_a_file_is_not_to_blame_for_wrong_limits(load, name, tmp_path):
    INFO.save(tmp_path / name)
    with pytest.raises(im.InstModelError) as caught:
        load(tmp_path / name, limits=None)
    assert (caught.value.code, caught.value.file) == ("invalid_type", None)
