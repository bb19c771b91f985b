"""`convert` changes the file, never the model."""

from pathlib import Path

import numpy as np
import pytest
from support.commands import identity, with_validation
from support.paths import SHIPPED

import instmodel as im
from instmodel.cli import main


def test_convert_is_lossless_both_ways(capsys):
    source = SHIPPED / "breast_cancer_network.json"
    assert main(["convert", str(source), "m.instmodel"]) == 0
    assert main(["convert", "m.instmodel", "back.json"]) == 0
    digests = {line.split()[-1] for line in capsys.readouterr().out.splitlines()}
    info = im.InstructionModelInfo.load(source)
    assert digests == {info.digest()}
    assert im.InstructionModelInfo.load("back.json").to_dict() == info.to_dict()
    for model in (source, "m.instmodel", "back.json"):
        assert main(["inspect", str(model)]) == 0
        assert info.digest() in capsys.readouterr().out


def test_binary_models_are_as_good_as_json(capsys):
    info = im.InstructionModelInfo.load(SHIPPED / "digits_softmax.json")
    info.save("m.instmodel")
    for model, out in ((SHIPPED / "digits_softmax.json", "a.csv"), ("m.instmodel", "b.csv")):
        assert main(["score", str(model), str(SHIPPED / "digits.csv"), "-o", out]) == 0
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    assert main(["verify", "m.instmodel"]) == 0
    assert main(["inspect", "m.instmodel", "--json"]) == 0


@pytest.mark.parametrize("target", ["m.pt", "m", "m.json.gz"])
def test_convert_wants_a_format_it_knows(target, capsys):
    assert main(["convert", str(SHIPPED / "breast_cancer_network.json"), target]) == 2
    assert "must end in .json, .instmodel or .onnx" in capsys.readouterr().err
    assert not Path(target).exists()


def test_the_endings_of_names_count_in_any_case():
    source = SHIPPED / "breast_cancer_network.json"
    info = im.InstructionModelInfo.load(source)
    assert main(["convert", str(source), "M.INSTMODEL"]) == 0
    assert Path("M.INSTMODEL").read_bytes() == info.to_bytes()
    assert main(["convert", "M.INSTMODEL", "M.JSON"]) == 0
    assert Path("M.JSON").read_text() == info.to_json()
    Path("rows.CSV").write_bytes((SHIPPED / "breast_cancer.csv").read_bytes())
    assert main(["score", "M.JSON", "rows.CSV", "-o", "scores.NPY"]) == 0
    assert np.load("scores.NPY").shape == (569, 1)


def test_an_onnx_file_may_end_in_capital_letters():
    pytest.importorskip("onnx")
    assert main(["convert", str(SHIPPED / "breast_cancer_network.json"), "M.ONNX"]) == 0
    assert main(["convert", "M.ONNX", "back.json"]) == 0


def test_convert_does_not_pass_on_a_broken_model(capsys):
    broken = with_validation(identity(size=2), [[1, 2]], [[1, 3]])
    assert main(["convert", broken, "m.instmodel"]) == 2
    assert "validation_mismatch" in capsys.readouterr().err
    assert not Path("m.instmodel").exists()
