"""Build the extensions: the C kernels, once per instruction set, and what runs them.

Each ``instmodel/csrc/kernels_<isa>.c`` includes the same template behind another set of vector
primitives, and is compiled with the flags of its instruction set only; so is ``sha256_<isa>.c``.
The module itself is compiled for the baseline CPU and picks function pointers when it is imported.
So a wheel built here runs on every CPU of the architecture.
"""

import os
import platform
import re
import sys
import sysconfig
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CSRC = Path("instmodel", "csrc")

# A slower module that checks every index of an array, for tests/fuzz/run.sh.
CHECKED = os.environ.get("INSTMODEL_CHECKED") == "1"

# No contraction and no fast-math anywhere: the bit promise (docs/numerics.md) rests on it.
COMMON_FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"]
ISA_FLAGS = {
    "kernels_generic": [],
    "kernels_avx2": ["-mavx2", "-mfma"],
    "kernels_avx512": AVX512,
    "kernels_neon": [],
    "sha256_shani": ["-msha", "-msse4.1"],
    "sha256_avx512": AVX512,
}


def targets() -> set[str]:
    """Return the architectures to build for: several at once for a universal binary of macOS."""
    if "INSTMODEL_BUILD_MACHINE" in os.environ:
        return {os.environ["INSTMODEL_BUILD_MACHINE"].lower()}
    flags = os.environ.get("ARCHFLAGS") or sysconfig.get_config_var("CFLAGS") or ""
    named = re.findall(r"-arch\s+(\S+)", flags) if sys.platform == "darwin" else []
    return set(named) or {platform.machine().lower()}


def isa_sources(compiler_type: str) -> list[str]:
    """Return what to build: generic everywhere, instruction sets where GNU extensions exist.

    A universal binary compiles each file for every architecture: it gets plain C alone.
    ``ARCHFLAGS='-arch arm64'`` builds for one.
    """
    target, *others = targets()
    if compiler_type != "unix" or others:
        return ["kernels_generic"]
    if target in ("x86_64", "amd64"):
        return [name for name in ISA_FLAGS if name != "kernels_neon"]
    if target in ("aarch64", "arm64"):
        return ["kernels_generic", "kernels_neon"]
    return ["kernels_generic"]


class BuildKernels(build_ext):
    """Compile every instruction set's kernels with its own flags and link them in."""

    def build_extension(self, ext: Extension) -> None:
        names = isa_sources(self.compiler.compiler_type)
        gnu = self.compiler.compiler_type == "unix"
        isas = {name.split("_")[1] for name in names}
        macros = [(f"IM_HAVE_{isa.upper()}", "1") for isa in sorted(isas)]
        for name in names if ext.name == kernels.name else []:
            ext.extra_objects += self.compiler.compile(
                [str(CSRC / f"{name}.c")],
                output_dir=self.build_temp,
                include_dirs=[str(CSRC)],
                depends=[str(header) for header in sorted(CSRC.glob("*.h"))],
                extra_postargs=COMMON_FLAGS + ISA_FLAGS[name] if gnu else ["/O2", "/fp:precise"],
            )
        ext.define_macros += macros
        if gnu:
            ext.extra_compile_args += ["-O2", "-std=c11", "-ffp-contract=off"]
        super().build_extension(ext)
        if not self.inplace:
            # Python started in the root of the repository imports the source folder, also after
            # `pip install .`: the module must be there, too.
            self.copy_file(self.get_ext_fullpath(ext.name), "instmodel")


def extension(name: str, *sources: str, **options: list[str]) -> Extension:
    """Return the extension of `instmodel/<name>.pyx`, with C sources."""
    return Extension(
        f"instmodel.{name}",
        sources=[f"instmodel/{name}.pyx", *sources],
        include_dirs=[str(CSRC), np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        depends=[str(path) for path in sorted(CSRC.glob("*.[ch]"))],
        **options,
    )


# The only one that links the kernels; the others work through its table of function pointers.
kernels = extension(
    "_kernels",
    *(str(CSRC / name) for name in ("dispatch.c", "sha256.c")),
    libraries=[] if sys.platform == "win32" else ["m"],
)

setup(
    ext_modules=cythonize(
        [kernels, *map(extension, ["_engine", "_job", "_keys", "_profiler", "_scan"])],
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": CHECKED,
            "wraparound": CHECKED,
            "initializedcheck": CHECKED,
            "cdivision": True,
            "embedsignature": True,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
