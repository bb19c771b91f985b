"""The kernels alone, here and for 64-bit Arm under qemu: the same bits, no step out of an array.

Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user. Without them these tests are
skipped, visibly; `.ci/run` installs them where it can.
"""

from __future__ import annotations

import platform
import shutil
import signal
import subprocess

import pytest
from support.paths import CSRC, TESTS

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
PROGRAMS = ("kernel_digests", "kernel_bounds", "activation_digests")


def programs(compiler, sets, folder, run=(), flags=FLAGS):
    """Compile the kernels and the programs of tests/csrc; return {program: command}."""
    macros = [f"-DIM_HAVE_{isa.upper()}=1" for isa in sets]
    objects = []
    for isa, own in sets.items():
        objects.append(folder / f"{isa}.o")
        source = CSRC / f"kernels_{isa}.c"
        subprocess.run([compiler, "-c", source, *flags, *own, "-o", objects[-1]], check=True)
    for name in PROGRAMS:
        sources = [CSRC / "dispatch.c", TESTS / "csrc" / f"{name}.c"]
        command = [compiler, *sources, *objects, f"-I{CSRC}", *macros, *flags]
        subprocess.run([*command, "-static", "-o", folder / name, "-lm"], check=True)
    return {name: [*run, folder / name] for name in PROGRAMS}


def digests(command):
    """Run a program that prints digests; return {isa: lines}."""
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
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
    return programs(compiler, sets, tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    if CROSS is None or QEMU is None:
        pytest.skip("no aarch64-linux-gnu-gcc or no qemu-aarch64")
    return programs(CROSS, NATIVE["aarch64"], tmp_path_factory.mktemp("arm"), run=[QEMU])


def test_the_kernels_compile_without_warnings_and_agree(here):
    found = digests(here["kernel_digests"])
    # Two, six and two of dense, dense_rows and lanes, which have no tile of one sample; seven of
    # dense_few.
    assert len(found["generic"]) == 2 * 28 + 2 + 6 + 2 + 7
    for isa, lines in found.items():
        assert lines == found["generic"], isa


def test_arm_gives_the_same_bits(here, arm):
    expected, found = digests(here["kernel_digests"]), digests(arm["kernel_digests"])
    assert set(found) == {"generic", "neon"}
    for isa, lines in found.items():
        assert lines == expected["generic"], isa


def test_activations_give_the_same_bits_on_a_sample(here, arm):
    expected = digests([*here["activation_digests"], "65537"])
    found = expected | digests([*arm["activation_digests"], "65537"])
    assert len(found["generic"]) == 12
    assert set(found) == {"generic", "neon", *expected}
    for isa, lines in found.items():
        assert lines == expected["generic"], isa


@pytest.mark.exhaustive
@pytest.mark.timeout(7200)
def test_activations_give_the_same_bits(here, arm):
    """Vectors here on all numbers; plain C on every 101st, Arm under qemu on every 1009th."""
    vectors = [isa for isa in NATIVE[platform.machine()] if isa != "generic"]
    for machine, step, sets in ((here, 1, vectors), (here, 101, []), (arm, 1009, [])):
        found = digests([*machine["activation_digests"], str(step), *sets])
        expected = digests([*here["activation_digests"], str(step), vectors[-1]])[vectors[-1]]
        assert found
        for isa, lines in found.items():
            assert lines == expected, (isa, step)


@pytest.fixture(scope="module")
def margins(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("margins") / "quotient_margins"
    source = TESTS / "csrc" / "quotient_margins.c"
    subprocess.run([compiler, source, *FLAGS, f"-I{CSRC}", "-o", program, "-lm"], check=True)
    return program


def close_and_wrong(*command):
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split() for line in text.splitlines())


def test_the_closest_quotient_of_tanh_is_right_whatever_stands_beside_it(margins):
    """A million numbers around the only one whose quotient a vector could take across a middle."""
    found = close_and_wrong(margins, "0x3bc00000", "0x3bd00000")
    assert found == {"close": "1", "wrong": "0"}


@pytest.mark.exhaustive
@pytest.mark.timeout(7200)
def test_every_quotient_of_tanh_is_right_whatever_stands_beside_it(margins):
    assert close_and_wrong(margins) == {"close": "1", "wrong": "0"}


def test_denormals_in_rows_count_as_zero_where_no_mode_says_so(here, tmp_path):
    unknown = ["-U__SSE2__", "-U__aarch64__"]  # for fpmode.h, another architecture
    command = programs(shutil.which("cc"), {"generic": []}, tmp_path, flags=[*FLAGS, *unknown])
    found = digests(command["kernel_digests"])["generic"]
    expected = digests(here["kernel_digests"])["generic"]
    lines = [line for line in expected if "of denormals" in line]
    assert len(lines) == 2
    assert set(lines) <= set(found)


@pytest.mark.parametrize("machine", ["here", "arm"])
def test_no_kernel_leaves_its_arrays(request, machine):
    command = request.getfixturevalue(machine)["kernel_bounds"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == set(
        digests(request.getfixturevalue(machine)["kernel_digests"])
    )


@pytest.mark.parametrize("machine", ["here", "arm"])
def test_a_read_beyond_an_array_is_seen(request, machine, tmp_path):
    command = request.getfixturevalue(machine)["kernel_bounds"]
    done = subprocess.run([*command, "beyond"], cwd=tmp_path, capture_output=True)
    assert done.returncode in (-signal.SIGSEGV, 128 + signal.SIGSEGV)
