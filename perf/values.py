"""Inputs that make some engines slow: saturated, denormal, NaN, infinite."""

from __future__ import annotations

from functools import partial

import numpy as np

import instmodel as im
from perf.networks import Array
from perf.timing import fastest_of

#: The kinds of inputs, and the kind that they are compared with.
KINDS = ("saturated", "denormal", "NaN", "infinite")
NORMAL = "normal"
#: Networks whose inputs are replaced: ReLU and sigmoid, a small one, softmax.
HOSTILE_NETWORKS = ("250-300-200", "30-16-8-1", "attention")
_ROWS = 4096
_WIDTH = 16


def hostile_inputs(x: Array) -> dict[str, Array]:
    """Return inputs of the shape of x by their kind: normal ones, and `KINDS`."""
    signs = np.sign(x)
    saturated, denormal = x * np.float32(1e4), signs * np.float32(1e-40)
    hostile = (saturated, denormal, np.full_like(x, np.nan), signs * np.float32(np.inf))
    return {NORMAL: x, **dict(zip(KINDS, hostile, strict=True))}


def activation_costs(seconds: float) -> dict[str, dict[str, float]]:
    """Return the seconds of a batch by our activation and the kind of its input.

    Parameters
    ----------
    seconds : float
        How long to measure each activation.
    """
    x = np.random.default_rng(0).standard_normal((_ROWS, _WIDTH), np.float32)
    out = np.empty_like(x)
    costs: dict[str, dict[str, float]] = {}
    for activation in im.Activation:
        builder = im.ModelBuilder()
        output = builder.activation(builder.input(_WIDTH), activation)
        model = im.InstructionModel(builder.build(output=output))
        inputs = hostile_inputs(x).items()
        calls = {kind: partial(model.predict, rows, out=out) for kind, rows in inputs}
        costs[activation.name] = fastest_of(calls, seconds)
    return costs
