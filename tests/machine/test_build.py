"""What setup.py compiles for which machine."""

from __future__ import annotations

import runpy

import pytest
from support.paths import ROOT


@pytest.fixture
def isa_sources(monkeypatch):
    """The function of setup.py, for a compiler with GNU extensions; nothing is built."""
    build = pytest.importorskip("Cython.Build", reason="only those who build have Cython")
    setuptools = pytest.importorskip("setuptools", reason="only those who build have it")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(build, "cythonize", lambda *modules, **options: [])
    monkeypatch.setattr(setuptools, "setup", lambda **options: None)
    found = runpy.run_path("setup.py")
    monkeypatch.setattr(found["platform"], "machine", lambda: "x86_64")
    return lambda: found["isa_sources"]("unix")


def test_the_kernels_of_the_machine_are_built(isa_sources):
    assert "kernels_avx512" in isa_sources()
    assert "kernels_neon" not in isa_sources()


@pytest.mark.parametrize(
    ("flags", "neon", "avx2"),
    [("-arch arm64", True, False), ("-arch x86_64", False, True), ("", False, True)],
)
def test_macos_builds_for_the_architecture_that_the_flags_name(
    isa_sources, monkeypatch, flags, neon, avx2
):
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("ARCHFLAGS", flags)
    sources = isa_sources()
    assert ("kernels_neon" in sources, "kernels_avx2" in sources) == (neon, avx2)


def test_a_universal_binary_holds_no_code_for_one_architecture_alone(isa_sources, monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("ARCHFLAGS", "-arch x86_64 -arch arm64")
    assert isa_sources() == ["kernels_generic"]
