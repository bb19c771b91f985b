"""`verify --against gpu` runs the model on the GPU, and finds a GPU that computes another one."""

import json

import numpy as np
import pytest
from support import device, strategies
from support.documents import everything, network

import instmodel as im
from instmodel.cli import main
from instmodel.gpu import session

ROWS = 3000


@pytest.fixture(autouse=True)
def _with_an_adapter():
    device.adapter()


@pytest.mark.parametrize(
    "document", [everything(), network([70, 130, 65, 3], ["GELU", None, None])]
)
def test_a_model_is_the_same_on_the_gpu(document, monkeypatch):
    made, sessions = [], set()

    class Recorded(session.GpuSession):
        def predict(self, x, out=None):
            made.append((self.device_name, len(x)))
            sessions.add(self)
            return super().predict(x, out)

    monkeypatch.setattr(session, "GpuSession", Recorded)
    info = im.InstructionModelInfo.from_dict(document)
    x = strategies.samples(ROWS, im.InstructionModel(info).feature_size, 0)
    found = im.verify(info, x, against="gpu", batch_rows=1000)
    assert (found.same, found.rows, found.rows_different) == (True, ROWS, 0)
    assert made == [(found.against, 1000)] * 3
    assert found.seconds_against > 0
    (used,) = sessions
    with pytest.raises(im.InstModelError) as caught:
        used.predict(x)
    assert caught.value.code == "session_closed"


def test_a_gpu_that_computes_another_model_is_found(tmp_path, monkeypatch, capsys):
    document = network([8, 16, 2], ["TANH", "SIGMOID"])
    info = im.InstructionModelInfo.from_dict(document)
    info.save(tmp_path / "model.json")
    x = strategies.samples(ROWS, 8, 1)
    np.save(tmp_path / "rows.npy", x)
    command = ["verify", str(tmp_path / "model.json"), "--data", str(tmp_path / "rows.npy")]
    assert main([*command, "--against", "gpu"]) == 0
    assert "same" in capsys.readouterr().out

    def wrong(model):
        changed = model.info
        changed.weights[1][1, 5] += 0.05
        return real(changed)

    real = session.GpuSession
    monkeypatch.setattr(session, "GpuSession", wrong)
    assert main([*command, "--against", "gpu", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    first, second = found["outputs"]
    assert (first["different"], second["different"] > 0) == (0, True)
    assert found["divergence"] is None
    assert "the other side" in found["note"]
