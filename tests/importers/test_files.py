"""`instmodel convert` imports files of other libraries; pickles only when they are trusted."""

import pickle

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main


class Harmful:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("ending", [".pkl", ".pickle", ".joblib"])
def test_a_pickle_is_not_loaded_without_trust(tmp_path, capsys, ending):
    mark, source = tmp_path / "mark", tmp_path / f"model{ending}"
    source.write_bytes(pickle.dumps(Harmful(mark)))
    assert main(["convert", str(source), str(tmp_path / "out.json")]) == 2
    assert "untrusted_pickle" in capsys.readouterr().err
    assert not mark.exists()
    assert not (tmp_path / "out.json").exists()


def test_a_trusted_pickle_is_imported(tmp_path):
    joblib = pytest.importorskip("joblib")
    pytest.importorskip("sklearn")
    from sklearn.linear_model import Ridge

    x = np.random.default_rng(0).normal(size=(50, 3))
    estimator = Ridge().fit(x, x @ [1.0, 2.0, 3.0])
    target = tmp_path / "model.instmodel"
    joblib.dump(estimator, tmp_path / "model.joblib")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(estimator))
    for name in ("model.joblib", "model.pkl"):
        assert main(["convert", str(tmp_path / name), str(target), "--trust-pickle"]) == 0
        scores = im.load(target).predict(x)[:, 0]
        np.testing.assert_allclose(scores, estimator.predict(x), atol=1e-5)


def test_onnx_goes_both_ways(tmp_path):
    pytest.importorskip("onnxruntime")
    source = "instmodel/examples/digits_softmax.json"
    middle, target = tmp_path / "model.onnx", tmp_path / "model.json"
    assert main(["convert", source, str(middle)]) == 0
    assert main(["convert", str(middle), str(target)]) == 0
    rows = np.random.default_rng(0).uniform(0, 16, (100, 64))
    np.testing.assert_allclose(
        im.load(target).predict(rows), im.load(source).predict(rows), atol=1e-6
    )


def test_a_broken_file_is_named(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    assert main(["convert", str(tmp_path / "bad.onnx"), str(tmp_path / "out.json")]) == 2
    assert "bad.onnx: not an ONNX model" in capsys.readouterr().err


@pytest.mark.parametrize(("ending", "library"), [(".pkl", "sklearn"), (".joblib", "joblib")])
def test_a_trusted_file_that_does_not_load_is_named(tmp_path, capsys, ending, library):
    pytest.importorskip(library)
    source, target = tmp_path / f"junk{ending}", tmp_path / "out.json"
    source.write_bytes(b"junk")
    assert main(["convert", str(source), str(target), "--trust-pickle"]) == 2
    assert f"junk{ending}: does not load" in capsys.readouterr().err
    assert not target.exists()
