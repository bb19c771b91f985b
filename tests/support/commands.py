"""Runs the command line in the current folder, which is a temporary one (see conftest.py)."""

import json
import sys
from pathlib import Path

import numpy as np

from instmodel.cli import main

LINUX = sys.platform == "linux"
GOOD = "a,b,c\n1,2,3\n4,5,6\n"


def identity(features=None, size=None):
    """A model whose scores are its inputs, so that a mixed-up column shows."""
    document = {
        "buffer_sizes": [size, size],
        "instructions": [{"type": "DOT", "input": 0, "output": 1, "weights": 0}],
        "weights": [np.eye(size).tolist()],
        "bias": [[0.0] * size],
    }
    return {"features": features} | document if features else {"feature_size": size} | document


def with_validation(document, inputs, outputs):
    data = {"inputs": inputs, "expected_outputs": outputs}
    return write("v.json", json.dumps(document | {"validation_data": data}))


def write(name, text):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def read(name):
    return np.loadtxt(name, delimiter=",", skiprows=1, ndmin=2, dtype=np.float32)


def leftovers():
    return [path.name for path in Path().iterdir() if path.name.endswith(".tmp")]


def fails(capsys, *arguments, code=2):
    """Run, and return the one line that tells why it failed."""
    assert main([str(a) for a in arguments]) == code
    said = capsys.readouterr().err
    assert said.startswith("instmodel: error: ")
    assert said.count("\n") == 1
    assert said.endswith("\n")
    assert "Traceback" not in said
    assert leftovers() == []
    return said


def command(*arguments, **options):
    """The arguments of `subprocess` for the command line as its own process."""
    code = "import sys; from instmodel.cli import main; sys.exit(main())"
    return {"args": [sys.executable, "-c", code, *map(str, arguments)], **options}
