"""How long the loops of a plan are: a software GPU ends long ones, and results are then wrong."""

from __future__ import annotations

import numpy as np
import pytest
from support import device, strategies
from support.documents import build, identity, network, one

import instmodel as im
from instmodel.gpu import GpuSession

BUFFERS = {"type": "ADD_ELEMENTWISE_BUFFERS", "input": [0, 0], "output": 1}


def softmax(size):
    return one({"type": "ACTIVATION", "input": 0, "activation": "SOFTMAX"}, [size])


def attention_by_one(size):
    step = {"type": "ATTENTION", "input": 0, "key": 1, "output": 2, "weights": 0}
    weights = np.linspace(-1, 1, size)
    return one(
        step,
        [size, 1, size],
        feature_size=size + 1,
        weights=[weights[:, np.newaxis].tolist()],
        bias=[weights.tolist()],
    )


@pytest.mark.parametrize(
    ("make", "runs", "refused"),
    [
        (softmax, 16_370, 17_000),
        (identity, 65_500, 65_536),
        (lambda n: network([1, n], ["SOFTMAX"]), 7_270, 8_190),
        (attention_by_one, 6_550, 7_200),
        (lambda n: network([16, n], ["SOFTMAX"]), 20_000, 22_000),
        (lambda n: one({"type": "REDUCE_SUM", "input": 0, "output": 1}, [n, 1]), 32_740, 32_800),
        (lambda n: one(BUFFERS, [n, n]), 21_800, 22_000),
    ],
)
def test_what_a_software_gpu_would_compute_wrongly_is_refused(make, runs, refused):
    if device.adapter().info["adapter_type"] != "CPU":
        pytest.skip("a real GPU has no such limit")
    document = make(runs)
    made = GpuSession(im.InstructionModelInfo.from_dict(document), device.adapter())
    x = strategies.samples(2, made.feature_size, 1)
    device.assert_close(made.predict(x), build(document).predict(x))
    with pytest.raises(im.InstModelError) as caught:
        GpuSession(im.InstructionModelInfo.from_dict(make(refused)), device.adapter())
    assert caught.value.code == "buffer_limit_exceeded"
