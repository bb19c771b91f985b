"""The same bits from every instruction set, compared between processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from support.digest import digest
from support.documents import engine_cases, everything, network, trainer_exports
from support.paths import TESTS
from support.strategies import ACTIVATIONS, documents

import instmodel as im

KNOWN = ["avx512", "avx2", "neon", "generic"]
AVAILABLE = im.runtime_info()["available_isas"]


def models():
    """Return the documents to compare: all kinds of layers in all kinds of sizes."""
    found = [case["model"] for case in engine_cases() + trainer_exports()] + [everything()]
    # Rows and columns below, at and above every register block and panel.
    found += [
        network([cols, rows, rows], ["GELU", "SOFTMAX"], seed=rows + cols)
        for rows in (1, 2, 15, 16, 17, 31, 33, 48, 50, 97)
        for cols in (1, 3, 16, 129)
    ]
    for seed, name in enumerate(ACTIVATIONS):
        found.append(network([19, 37, 5], [name, name], seed=seed))
    found.append(network([250, 300, 200], ["RELU", "SIGMOID"]))
    found.append(network([150, 48, 5], ["RELU", "SIGMOID"]))  # narrow for AVX-512
    found.append(network([150, 24, 5], ["RELU", "SIGMOID"]))  # for AVX2: a panel and a half
    found.append(network([600, 9, 530, 1], ["RELU", None, "SIGMOID"]))  # more inputs than a block

    @settings(max_examples=150)
    @given(documents(wild=True, max_size=40))
    def collect(document):
        found.append(document)

    collect()
    return found


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The file of documents, and their digest in this process."""
    path = tmp_path_factory.mktemp("isa") / "documents.json"
    documents = models()
    path.write_text(json.dumps(documents))
    return path, digest(documents)


def run(isa, *arguments, **variables):
    environment = {**os.environ, "INSTMODEL_ISA": isa, "PYTHONPATH": str(TESTS), **variables}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=250, check=False
    )


@pytest.mark.parametrize("isa", KNOWN)
def test_every_instruction_set_gives_the_same_bits(isa, compared):
    if isa not in AVAILABLE:
        pytest.skip(f"neither this CPU nor this build has {isa}")
    path, expected = compared
    result = run(isa, "-m", "support.digest", path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [isa, expected]


def test_generic_without_hardware_fma_gives_the_same_bits(compared):
    # glibc chooses its fmaf by the CPU; told that there is no FMA, it computes it in software.
    path, expected = compared
    tunables = "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2"
    result = run("generic", "-m", "support.digest", path, GLIBC_TUNABLES=tunables)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["generic", expected]


def test_generic_is_always_there():
    assert AVAILABLE[-1] == "generic"
    assert set(AVAILABLE) <= set(KNOWN)


@pytest.mark.parametrize("isa", ["sse9", "avx", "none"])
def test_an_instruction_set_that_is_not_there_is_an_error(isa):
    model = Path(im.__file__).parent / "examples" / "breast_cancer_network.json"
    says = (
        "field 'INSTMODEL_ISA': this CPU or this build does not have the instruction set "
        f"(expected one of {', '.join(AVAILABLE)}, got '{isa}') [unsupported_isa]\n"
    )
    for code in (f"im.load({str(model)!r})", "im.runtime_info()"):
        result = run(isa, "-c", f"import instmodel as im; {code}")
        assert result.returncode == 1
        assert result.stderr.rpartition("InstModelError: ")[2] == says, code
    for command in ("inspect", "profile"):
        result = run(isa, "-m", "instmodel", command, model)
        assert (result.returncode, result.stderr) == (2, f"instmodel: error: {says}")
    assert run(isa, "-m", "instmodel", "--version").returncode == 0


@pytest.mark.parametrize("value", ["", " ", "GENERIC", " generic "])
def test_how_an_instruction_set_is_spelled(value):
    result = run(value, "-c", "import instmodel as im; print(im.runtime_info()['isa'])")
    assert result.stdout.strip() == (value.strip().lower() or AVAILABLE[0])


def test_the_digest_notices_one_bit():
    document = network([3, 2], [None])
    changed = json.loads(json.dumps(document))
    changed["bias"][0][0] = float(changed["bias"][0][0]) * (1 + 2**-23)
    assert digest([document]) != digest([changed])
    assert digest([document]) == digest([json.loads(json.dumps(document))])
