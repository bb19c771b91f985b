"""The GPU's numbers are the CPU's, as far as docs/gpu.md promises; see `agreement`.

`HYPOTHESIS_PROFILE=long` tries thousands of other models.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from support import agreement, device, strategies
from support.documents import network

import instmodel as im
from instmodel.document.instructions import INSTRUCTIONS
from instmodel.gpu import GpuSession

SIZE = 160  # floats in the compute buffer of most shaders here
EXAMPLES = max(250, settings.default.max_examples)


def check(document, x):
    model = im.GpuModel.from_info(im.InstructionModelInfo.from_dict(document))
    return agreement.check(document, x, device.run_embedded([model], [x], SIZE)[0])


def check_rows(document, seed):
    """Check usual rows; and odd ones, of which some leave float32 in ways of their own."""
    features = strategies.feature_size(document)
    check(document, strategies.samples(100, features, seed, hostile=True))
    return check(document, strategies.samples(100, features, seed))


@pytest.mark.parametrize("name", im.Activation)
def test_an_activation_of_a_dense_layer(name):
    document = network([20, 30], [str(name)])
    check(document, strategies.samples(200, 20, 1, hostile=True))
    # One over a sum that is almost 0 magnifies its rounding error.
    least = 0.9 if name == im.Activation.RECIPROCAL else 0.99
    assert check(document, strategies.samples(200, 20, 1)).steady > least


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_an_instruction_alone(name):
    shares = []

    @settings(max_examples=max(25, EXAMPLES // 10))
    @given(strategies.documents(names=[name], max_instructions=4))
    def run(document):
        shares.append(check_rows(document, 2))

    run()
    assert np.mean([share.steady for share in shares]) > 0.85


def test_models_of_small_constants_are_steady():
    shares = []

    @settings(max_examples=EXAMPLES)
    @given(strategies.documents(scales=[0.25]))
    def run(document):
        shares.append(check_rows(document, 4))

    run()
    assert np.mean([share.steady for share in shares]) > 0.99


def test_models_that_magnify_rounding_errors():
    shares = []

    @settings(max_examples=EXAMPLES)
    @given(strategies.documents(max_instructions=60, scales=[4.0]))
    def run(document):
        shares.append(check_rows(document, 5))

    run()
    steady, known = np.mean(shares, axis=0)
    assert steady < 0.95  # or the models are none that magnify
    assert known > 0.8


@settings(max_examples=max(20, EXAMPLES // 10))
@given(strategies.recurrent_documents(scales=[0.25]))
def test_steps_in_a_kernel(document):
    model = im.GpuModel.from_info(im.InstructionModelInfo.from_dict(document))
    for hostile in (False, True):
        x = strategies.samples(50 * 5, model.feature_size, 7, hostile=hostile)
        x = x.reshape(50, 5, model.feature_size)
        got, _ = device.run_steps(model, x, SIZE)
        agreement.check_sequences(document, x, got[..., model.output_start :])


@settings(max_examples=max(20, EXAMPLES // 10))
@given(strategies.documents(max_size=120))
def test_whole_batches(document):
    """The other way on the GPU: by instructions over all rows, dense layers in tiles."""
    info = im.InstructionModelInfo.from_dict(document)
    with GpuSession(info, adapter=device.adapter()) as session:
        for hostile in (False, True):
            x = strategies.samples(200, session.feature_size, 6, hostile=hostile)
            agreement.check(document, x, session.predict(x))
