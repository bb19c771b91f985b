"""The recurrent networks, and the sequences that they run: all of them from fixed seeds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

import instmodel as im

Array = NDArray[np.float32]

#: Gates of a cell, whose rows stand one below the other in its weights.
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Case:
    """A layer of PyTorch and a dense sigmoid output behind it, over some sequences.

    Attributes
    ----------
    kind : {"rnn", "gru", "lstm"}
    features, hidden : int
        F and H; there is one output.
    sequences : int
        N.
    longest : int
        Steps of the longest sequence.
    zipf : bool
        Whether lengths are drawn from 1 to `longest` by Zipf's law; else all are `longest`.
    """

    kind: str
    features: int
    hidden: int
    sequences: int
    longest: int
    zipf: bool = False

    @property
    def name(self) -> str:
        """For people, and the command line."""
        lengths = f"1 to {self.longest}" if self.zipf else f"{self.longest}"
        return (
            f"{self.kind.upper()} {self.features}-{self.hidden}-1, "
            f"{self.sequences} sequences of {lengths}"
        )

    @property
    def flops(self) -> int:
        """Multiplications and additions of the matrices in a step."""
        per_gate = (self.features + self.hidden) * self.hidden
        return 2 * (GATES[self.kind] * per_gate + self.hidden)

    @cached_property
    def weights(self) -> dict[str, Array]:
        """weight_ih, weight_hh, bias_ih, bias_hh as in PyTorch; weight (1, H) and bias (1,)."""
        rng = np.random.default_rng(1)
        rows = GATES[self.kind] * self.hidden
        shapes = {
            "weight_ih": (rows, self.features),
            "weight_hh": (rows, self.hidden),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
            "weight": (1, self.hidden),
            "bias": (1,),
        }
        edge = self.hidden**-0.5
        return {
            name: rng.uniform(-edge, edge, shape).astype(np.float32)
            for name, shape in shapes.items()
        }

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each sequence, (N,)."""
        if not self.zipf:
            return np.full(self.sequences, self.longest, np.int64)
        steps = np.arange(1, self.longest + 1)
        shares = 1 / steps / np.sum(1 / steps)
        return np.random.default_rng(2).choice(steps, self.sequences, p=shares)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each sequence begins, (N + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def steps(self) -> int:
        """Of all sequences."""
        return int(self.lengths.sum())

    @cached_property
    def rows(self) -> Array:
        """All rows, (ΣT, F)."""
        shape = (self.steps, self.features)
        return np.random.default_rng(3).standard_normal(shape, np.float32)

    def model(self) -> im.InstructionModel:
        """Return it as ours."""
        w = self.weights
        b = im.ModelBuilder()
        layer = getattr(b, self.kind)
        h = layer(
            b.input(self.features), w["weight_ih"], w["weight_hh"], w["bias_ih"], w["bias_hh"]
        )
        y = b.dense(h, w["weight"], w["bias"], "SIGMOID")
        return im.InstructionModel(b.build(output=y))


CASES = [
    Case("rnn", 29, 10, 28_549, 10),
    Case("gru", 29, 64, 28_549, 10),
    Case("lstm", 29, 64, 28_549, 10),
    Case("lstm", 64, 256, 4_096, 50),
    Case("rnn", 29, 10, 28_549, 1_000, zipf=True),
    Case("gru", 29, 64, 4_000, 1_000, zipf=True),
]
"""Transactions of cards, events of users, signals of machines."""
