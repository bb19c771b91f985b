"""What tables need of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from instmodel.base.features import Feature


class RowScorer(Protocol):
    """Scores rows of F values whose names may be known: an `InstructionModel` is one."""

    @property
    def feature_size(self) -> int:
        """F."""

    @property
    def output_size(self) -> int:
        """Outputs of a row, O."""

    @property
    def named_features(self) -> list[Feature]:
        """The inputs by name; empty where they have none."""

    @property
    def features(self) -> list[str]:
        """The names as the document writes them."""

    @property
    def columns(self) -> list[str]:
        """The name of each of the F values."""

    @property
    def key_inputs(self) -> Sequence[int]:
        """Which of the F values are looked up in maps as they come, ascending."""

    @property
    def read_inputs(self) -> Sequence[int]:
        """Which of the F values may change an output, ascending."""

    def predict(self, x: Any, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the outputs (N, O) of rows (N, F)."""
