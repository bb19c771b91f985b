"""Commands that run a model run its validation data first, and take the same options for it."""

from pathlib import Path

import pytest
from support.commands import fails, identity, with_validation, write

from instmodel.cli import main

COMMANDS = {
    "score": ["t.csv", "-o", "out.csv"],
    "score as a job": ["t.csv", "-o", "out.csv", "--on-bad-row", "skip"],
    "compare": ["v.json", "--data", "t.csv"],
    "convert": ["out.json"],
    "bench": ["--seconds", "0.01"],
    "profile": ["--seconds", "0.01"],
}
NEEDS = {"score as a job": "pyarrow", "compare": "sklearn"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_model_that_fails_its_validation_does_not_run(capsys, name):
    pytest.importorskip(NEEDS.get(name, "numpy"))
    model = with_validation(identity(["a", "b"], 2), [[1, 2]], [[1, 2.5]])
    write("t.csv", "a,b\n1,2\n3,4\n")
    line = [name.split()[0], model, *COMMANDS[name]]
    said = fails(capsys, *line)
    assert said.startswith("instmodel: error: v.json, field 'validation_data.expected_outputs[0]")
    assert "[validation_mismatch]" in said
    assert not any(Path().glob("out.*"))
    assert "[validation_mismatch]" in fails(capsys, *line, "--atol", "0.4")
    for options in (["--no-validation"], ["--atol", "0.5"], ["--rtol", "0.2"], ["--atol", "inf"]):
        assert main([*line, *options]) == 0


@pytest.mark.parametrize("options", [["--atol", "-1"], ["--atol", "nan"], ["--rtol", "inf"]])
@pytest.mark.parametrize("name", ["score", "verify"])
def test_what_is_no_tolerance_is_refused(capsys, name, options):
    assert f"{options[1]!r} is not a " in fails(capsys, name, "v.json", *options)
