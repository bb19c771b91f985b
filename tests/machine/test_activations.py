"""The activation kernels: accuracy in ULP, special values, and the same bits everywhere.

The default run takes a sample of the float32 numbers. The sweep over all of them is opt-in, takes
minutes for each function, and logs the largest error and where it was::

    pytest tests/machine/test_activations.py -m exhaustive --log-cli-level=INFO
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from support.paths import CSRC

import instmodel as im
from instmodel import _kernels, reference

log = logging.getLogger(__name__)

NAMES = [a.name for a in im.Activation if a.name != "SOFTMAX"]  # the element-wise ones
SETS = im.runtime_info()["available_isas"]
LEAST = 2.0**-126  # the smallest normal number; denormals are flushed

PROMISED_ULP = 2  # docs/numerics.md
SOFTMAX_ULP = 3  # one less than the contract allows
VMATH = CSRC / "vmath.h"
#: The bound of each function in ULP, from the header that computes it.
MAX_ULP = {
    name: float(bound)
    for name, bound in re.findall(r"^#define IM_ULP_(\w+) ([\d.]+)$", VMATH.read_text(), re.M)
}

INF, NAN = np.inf, np.nan
QUIET_NAN = 0x7FC00000


def activate(name, x):
    y = np.array(x, np.float32)
    _kernels.activate(im.Activation[name].gpu_id, y)
    return y


def bits(x):
    """Return the bits of float32 values, of any NaN those of one NaN."""
    return np.where(np.isnan(x), np.uint32(QUIET_NAN), np.asarray(x, np.float32).view(np.uint32))


def flushed(x):
    return np.where(np.abs(x) < LEAST, np.copysign(0.0, x), x)


def ulp_distance(got, exact):
    """How far float32 results are from exact ones, in ULP of the exact ones.

    Infinite where one is NaN or infinite and the other is not the same. An exact result below
    2^-126 may be flushed to 0 or rounded up to 2^-126.
    """
    size = np.abs(exact)
    spacing = np.ldexp(1.0, np.frexp(size)[1] - 24)
    distance = np.abs(got - exact) / spacing
    flush = np.where((got == 0) | (np.abs(got) == LEAST), 0.0, INF)
    distance = np.where(size < LEAST, flush, distance)
    same = (got == exact) | (np.isnan(got) & np.isnan(exact))
    odd = ~(np.isfinite(got) & np.isfinite(exact))
    return np.where(same, 0.0, np.where(odd, INF, distance))


def errors(name, x):
    """Return the error of an activation for each x, in ULP."""
    with np.errstate(all="ignore"):
        exact = reference.ACTIVATIONS[name](flushed(x.astype(np.float64)))
        return ulp_distance(activate(name, x).astype(np.float64), exact)


# Where some function changes its formula, saturates, or starts to be flushed.
BOUNDARIES = (
    *(0.0, LEAST, 1.0, 3.4028235e38),
    *(2**0.5 - 1, 2**0.5, 2**-0.5),
    *(0.34657359, 1.0397208, 87.33655, 88.0, 88.72284, 103.97),
    *(8.317766, 9.010913, 10.0, 13.2, 14.0, 16.6355, 20.0),
)


def sample():
    """Every exponent and sign with chosen and random fractions, boundaries, and a dense middle."""
    rng = np.random.default_rng(7)
    high = np.arange(512, dtype=np.uint32) << 23
    fractions = np.array([0, 1, 2, 0x3504F3, 0x3504F4, 0x400000, 0x7FFFFE, 0x7FFFFF], np.uint32)
    fractions = np.concatenate([fractions, rng.integers(0, 1 << 23, 56).astype(np.uint32)])
    everywhere = (high[:, None] | fractions[None, :]).ravel()
    at = np.array([*BOUNDARIES, *(-b for b in BOUNDARIES)], np.float32).view(np.uint32)
    around = (at.astype(np.int64)[:, None] + np.arange(-8, 9)).ravel() % 2**32
    middle = rng.uniform(-20, 20, 20_000).astype(np.float32).view(np.uint32)
    return np.concatenate([everywhere, around.astype(np.uint32), middle]).view(np.float32)


SAMPLE = sample()


def test_every_function_states_a_bound_within_the_contract():
    assert sorted(MAX_ULP) == sorted(NAMES)
    assert max(MAX_ULP.values()) <= PROMISED_ULP


@pytest.mark.parametrize("name", NAMES)
def test_error_is_within_the_stated_bound(name):
    error = errors(name, SAMPLE)
    worst = int(np.argmax(error))
    assert error[worst] <= MAX_ULP[name], f"{name}({SAMPLE[worst]!r}): {error[worst]:.4f} ULP"


def test_the_distance_sees_one_ulp_nan_and_overflow():
    exact = np.array([1.0, 1.0, 1.0, NAN, INF, 1e-40, 1e-40, 0.0])
    got = np.array([1.0, 1 + 2**-23, NAN, 1.0, 3e38, 0.0, 1e-38, 1e-38])
    with np.errstate(all="ignore"):
        distance = ulp_distance(got, exact)
    assert distance.tolist() == [0, 1, INF, INF, INF, 0, INF, INF]


# (x, f(x)), to the bit: the sign of a zero counts.
SPECIAL = {
    "RELU": [(INF, INF), (-INF, 0.0), (NAN, NAN), (-1.0, 0.0), (2.5, 2.5), (-0.0, -0.0)],
    "SIGMOID": [(INF, 1.0), (-INF, 0.0), (NAN, NAN), (0.0, 0.5), (-0.0, 0.5), (-90.0, 0.0)],
    "TANH": [(INF, 1.0), (-INF, -1.0), (NAN, NAN), (0.0, 0.0), (-0.0, -0.0), (-9.5, -1.0)],
    "SQRT": [(INF, INF), (-INF, 0.0), (NAN, 0.0), (-0.0, 0.0), (-4.0, 0.0), (6.25, 2.5)],
    "LOG": [(INF, INF), (-INF, 0.0), (NAN, 0.0), (0.0, 0.0), (-0.0, 0.0), (-0.5, 0.0)],
    "LOG10": [(INF, INF), (-INF, 0.0), (NAN, 0.0), (-0.0, 0.0), (9.0, 1.0), (999.0, 3.0)],
    "INVERSE": [(INF, -INF), (-INF, INF), (NAN, NAN), (0.0, 1.0), (-0.0, 1.0), (1.0, 0.0)],
    "GELU": [(INF, INF), (-INF, NAN), (NAN, NAN), (-0.0, -0.0), (30.0, 30.0), (-30.0, -0.0)],
    "SOFTPLUS": [(INF, INF), (-INF, 0.0), (NAN, NAN), (-90.0, 0.0), (100.0, 100.0)],
    "EXP": [(INF, np.exp(88.0)), (-INF, 0.0), (NAN, NAN), (-0.0, 1.0), (88.5, np.exp(88.0))],
    "SIGN": [(INF, 1.0), (-INF, -1.0), (NAN, NAN), (0.0, 0.0), (-0.0, 0.0), (-1e-30, -1.0)],
    "RECIPROCAL": [(INF, 0.0), (-INF, -0.0), (NAN, NAN), (0.0, INF), (-0.0, -INF), (-8.0, -0.125)],
}


@pytest.mark.parametrize("name", NAMES)
def test_special_values(name):
    x, y = np.array(SPECIAL[name], np.float32).T
    np.testing.assert_array_equal(bits(activate(name, x)), bits(y), str(x))


@pytest.mark.parametrize("name", NAMES)
def test_every_nan_counts_as_nan_whatever_its_payload_and_sign(name):
    x = np.array([0x7F800001, 0x7FBFFFFF, 0x7FC00000, 0x7FFFFFFF], np.uint32)
    x = np.concatenate([x, x | 0x80000000]).view(np.float32)
    want = 0.0 if name in ("SQRT", "LOG", "LOG10") else NAN
    np.testing.assert_array_equal(activate(name, x), np.full(8, want, np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_denormals_count_as_zero_and_never_come_out(name):
    positive = np.array([1, 2, 0x1234, 0x400000, 0x7FFFFF], np.uint32)
    for sign in (np.uint32(0), np.uint32(0x80000000)):
        x, zero = (positive | sign).view(np.float32), (positive * 0 | sign).view(np.float32)
        np.testing.assert_array_equal(bits(activate(name, x)), bits(activate(name, zero)))
    y = np.abs(activate(name, SAMPLE))
    assert not np.any((y > 0) & (y < np.float32(LEAST)))


@pytest.mark.parametrize("name", NAMES)
def test_a_result_depends_on_its_own_input_only(name):
    x = SAMPLE[np.random.default_rng(1).permutation(len(SAMPLE))[:64]]
    want = bits(activate(name, x))
    alone = np.concatenate([activate(name, x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_array_equal(bits(alone), want)
    for length in range(40):  # tails of every length, at every alignment of a float
        for offset in range(17):
            room = np.full(64, 3.0, np.float32)
            part = room[offset : offset + length]
            part[:] = x[:length]
            _kernels.activate(im.Activation[name].gpu_id, part)
            np.testing.assert_array_equal(bits(part), want[:length])
            outside = np.delete(room, np.s_[offset : offset + length])
            assert (outside == 3.0).all(), "wrote past the end"


CHILD = """
import sys, numpy as np, instmodel as im
from instmodel import _kernels
x = np.frombuffer(sys.stdin.buffer.read(), np.float32)
for name in sys.argv[1:]:
    y = x.copy()
    _kernels.activate(im.Activation[name].gpu_id, y)
    sys.stdout.buffer.write(y.tobytes())
sys.stderr.write(im.runtime_info()["isa"])
"""


@pytest.fixture(scope="module")
def results_by_set():
    """Results of every function on SAMPLE, computed by a process for each instruction set."""
    results = {}
    for isa in SETS:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, *NAMES],
            input=SAMPLE.tobytes(),
            env=os.environ | {"INSTMODEL_ISA": isa},
            capture_output=True,
            check=True,
        )
        assert child.stderr.decode().strip() == isa
        y = np.frombuffer(child.stdout, np.float32).reshape(len(NAMES), len(SAMPLE))
        results[isa] = dict(zip(NAMES, y, strict=True))
    return results


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("isa", [isa for isa in SETS if isa != "generic"])
def test_instruction_sets_give_the_same_bits(results_by_set, isa, name):
    got, want = bits(results_by_set[isa][name]), bits(results_by_set["generic"][name])
    different = np.flatnonzero(got != want)
    assert different.size == 0, (
        f"{name}: {different.size} differ from generic, the first at x = "
        f"{SAMPLE[different[0]]!r}: {got[different[0]]:#010x}, {want[different[0]]:#010x}"
    )


@pytest.mark.parametrize("size", [2, 3, 16, 33, 1000])
def test_softmax_error(size):
    """Also where x - max, rounded, would be off by tens of ULP."""
    info = im.InstructionModelInfo(
        feature_size=size,
        buffer_sizes=[size],
        instructions=[im.Activate(0, im.Activation.SOFTMAX)],
    )
    model = im.InstructionModel(info)
    rng = np.random.default_rng(size)
    for scale in (0.1, 1, 5, 20, 60):
        for offset in (0, 3, 50, 1e3, 1e5):
            x = (rng.standard_normal((20_000 // size, size)) * scale + offset).astype(np.float32)
            exact = reference.ACTIVATIONS["SOFTMAX"](x.astype(np.float64))
            error = ulp_distance(model.predict(x).astype(np.float64), exact)
            assert error.max() <= SOFTMAX_ULP


@pytest.mark.exhaustive
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", NAMES)
def test_error_on_all_inputs(name, record_property):
    step, worst, where = 1 << 21, -1.0, np.float32(0)
    for first in range(0, 1 << 32, step):
        x = np.arange(first, first + step, dtype=np.uint32).view(np.float32)
        error = errors(name, x)
        i = int(np.argmax(error))
        if error[i] > worst:
            worst, where = float(error[i]), x[i]
    log.info("%s: %.6f ULP at %r (%#010x)", name, worst, where, where.view(np.uint32))
    record_property("max_ulp", worst)
    assert worst <= MAX_ULP[name]
