"""`verify` without a table runs the validation data."""

import json

import pytest
from support.commands import fails, identity, with_validation, write
from support.documents import build, one, recurrent

import instmodel as im
from instmodel.cli import main


def test_verify_says_same(capsys):
    model = with_validation(identity(size=2), [[1, 2], [3, 4]], [[1, 2], [3, 4.000001]])
    assert main(["verify", model]) == 0
    said = capsys.readouterr().out
    assert "2 cases, largest error 9.54e-07, tolerance 1e-05 + 1e-05·|expected|: same" in said


@pytest.mark.parametrize("features", [{"feature_size": 2}, {"features": []}])
def test_verify_says_how_different(capsys, features):
    document = {k: v for k, v in identity(size=2).items() if k != "feature_size"} | features
    model = with_validation(document, [[1, 2], [3, 4]], [[1, 2.25], [3, 4.5]])
    assert main(["verify", model]) == 1
    assert (
        "2 cases, largest error 0.5, tolerance 1e-05 + 1e-05·|expected|: DIFFERENT"
        in capsys.readouterr().out
    )


def test_verify_needs_validation_data(capsys, unnamed):
    assert "no validation data" in fails(capsys, "verify", unnamed)
    assert "no validation data" in fails(
        capsys, "verify", with_validation(identity(size=1), [], [])
    )


def test_validation_data_of_the_wrong_size_is_an_error_not_a_difference(capsys):
    for inputs, outputs, code in [
        ([[1]], [[1, 2]], "validation_input_size_mismatch"),
        ([[1, 2]], [[1]], "validation_output_size_mismatch"),
        ([[1, 2]], [[1, 2], [3, 4]], "validation_count_mismatch"),
    ]:
        model = with_validation(identity(size=2), inputs, outputs)
        assert f"[{code}]" in fails(capsys, "verify", model)


def test_verify_holds_large_outputs_to_their_last_digits(capsys):
    model = with_validation(identity(size=1), [[1000]], [[1000.005]])
    assert main(["verify", model]) == 0
    assert "largest error 0.005, tolerance 1e-05 + 1e-05·|expected|: same" in (
        capsys.readouterr().out
    )


def test_a_warning_about_a_model_is_printed_once(capsys):
    # To find where two computations part, verify builds models of the first instructions.
    lookup = {
        "type": "MAP_TRANSFORM",
        "input": 0,
        "output": 1,
        "internal_input_index": 0,
        "internal_output_index": 0,
        "map": 0,
        "size": 1,
        "default": [-1],
    }
    document = one(lookup, [1, 1], maps=[{"1": [1], "16777217": [2]}]) | {"features": ["shop"]}
    model = write("lookup.json", json.dumps(document))
    write("t.csv", "shop,score\n1,0\n16777216,0\n")
    assert main(["verify", model, "--data", "t.csv", "--expected", "score"]) == 1
    said = capsys.readouterr()
    assert "DIFFERENT in 2 of 2 rows" in said.out
    assert said.err.count("\n") == 1
    assert said.err.startswith("instmodel: warning: maps[0]: float32 cannot hold 1 of the 2 keys, ")


def test_validation_data_of_sequences(capsys):
    model = build(recurrent())
    steps = [[[0.5, 1.0], [1.0, -1.0]], [], [[0.0, 0.25]]]
    outputs = [y.tolist() for y in model.predict_sequences(steps)]
    document = {**recurrent(), "validation_data": {"inputs": steps, "expected_outputs": outputs}}
    im.InstructionModelInfo.from_dict(document).save("recurrent.json")
    assert main(["verify", "recurrent.json"]) == 0
    assert "3 cases, largest error 0" in capsys.readouterr().out
