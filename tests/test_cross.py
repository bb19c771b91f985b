"""The same bits on another architecture: the kernels for 64-bit Arm, run under qemu.

Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user. Without them these tests are
skipped, visibly; `.ci/run` installs them where it can.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CSRC = ROOT / "instmodel" / "csrc"
FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Werror"]
NATIVE = {
    "x86_64": {
        "generic": [],
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"],
    },
    "aarch64": {"generic": [], "neon": []},
}
CROSS, QEMU = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")


def digests(compiler, sets, folder, run=()):
    """Compile the kernels and tests/csrc/kernel_digests.c; return {isa: lines}."""
    macros = [f"-DIM_HAVE_{isa.upper()}=1" for isa in sets]
    objects = []
    for isa, flags in sets.items():
        objects.append(folder / f"{isa}.o")
        source = CSRC / f"kernels_{isa}.c"
        subprocess.run([compiler, "-c", source, *FLAGS, *flags, "-o", objects[-1]], check=True)
    program = folder / "digests"
    sources = [CSRC / "dispatch.c", ROOT / "tests" / "csrc" / "kernel_digests.c"]
    command = [compiler, *sources, *objects, f"-I{CSRC}", *macros, *FLAGS]
    subprocess.run([*command, "-static", "-o", program, "-lm"], check=True)
    text = subprocess.run([*run, program], check=True, capture_output=True, text=True).stdout
    found, current = {}, None
    for line in text.splitlines():
        if line.startswith("# "):
            current = found.setdefault(line[2:], [])
        else:
            current.append(line)
    return found


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    compiler, sets = shutil.which("cc"), NATIVE.get(platform.machine())
    if compiler is None or sets is None:
        pytest.skip("no C compiler, or an architecture without vector kernels")
    return digests(compiler, sets, tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    if CROSS is None or QEMU is None:
        pytest.skip("no aarch64-linux-gnu-gcc or no qemu-aarch64")
    return digests(CROSS, NATIVE["aarch64"], tmp_path_factory.mktemp("arm"), run=[QEMU])


def test_the_kernels_compile_without_warnings_and_agree(here):
    assert len(here["generic"]) == 2 * 26 + 2  # row_dot has no tile of one sample
    for isa, lines in here.items():
        assert lines == here["generic"], isa


def test_arm_gives_the_same_bits(here, arm):
    assert set(arm) == {"generic", "neon"}
    for isa, lines in arm.items():
        assert lines == here["generic"], isa
