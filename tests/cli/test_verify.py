"""`verify` without a table runs the validation data."""

import pytest
from support.commands import fails, identity, with_validation

from instmodel.cli import main


def test_verify_says_same(capsys):
    model = with_validation(identity(size=2), [[1, 2], [3, 4]], [[1, 2], [3, 4.000001]])
    assert main(["verify", model]) == 0
    said = capsys.readouterr().out
    assert "2 cases, largest error 9.54e-07, tolerance 1e-05: same" in said


@pytest.mark.parametrize("features", [{"feature_size": 2}, {"features": []}])
def test_verify_says_how_different(capsys, features):
    document = {k: v for k, v in identity(size=2).items() if k != "feature_size"} | features
    model = with_validation(document, [[1, 2], [3, 4]], [[1, 2.25], [3, 4.5]])
    assert main(["verify", model]) == 1
    assert "2 cases, largest error 0.5, tolerance 1e-05: DIFFERENT" in capsys.readouterr().out


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
