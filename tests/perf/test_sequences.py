"""The comparison of recurrent networks: small cases, by whichever libraries are there."""

from __future__ import annotations

import numpy as np
import pytest

from perf.recurrent import cases, session
from perf.recurrent.cases import Case
from perf.recurrent.peers import PEERS
from perf.recurrent.session import SequenceSession

SMALL = [
    Case("rnn", 3, 4, 70, 5),
    Case("gru", 3, 4, 70, 12, zipf=True),
    Case("lstm", 3, 4, 70, 12, zipf=True),
]
MODULES = {"PyTorch": "torch", "ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}


@pytest.mark.parametrize("number", range(len(SMALL)))
@pytest.mark.parametrize("peer", PEERS)
def test_every_library_computes_the_same(peer, number, monkeypatch):
    if peer in MODULES:
        pytest.importorskip(MODULES[peer])
        pytest.importorskip("onnx")
    monkeypatch.setattr(session, "CASES", SMALL)
    run = SequenceSession(peer, 1)
    way, outputs = run.prepare(number, 0.0)
    case = SMALL[number]
    expected = case.model().predict_sequences(case.rows, offsets=case.offsets)[:, 0]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    assert way
    assert run.throughput(0.0) > 0
    assert run.step(0.0) > 0


def test_cases_are_what_they_are_called():
    case = cases.CASES[0]
    assert case.name == "RNN 29-10-1, 28549 sequences of 10"
    assert case.flops == 2 * ((29 + 10) * 10 + 10)
    assert max(SMALL[1].lengths) <= 12
    assert min(SMALL[1].lengths) >= 1
