"""What events need of a model."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from instmodel.tables.scorer import RowScorer


class RecurrentModel(RowScorer, Protocol):
    """Scores rows one after the other, each with the state that the last one left."""

    @property
    def digest(self) -> str:
        """What tells it from every other model."""

    @property
    def state_size(self) -> int:
        """Floats of the state of a sequence, S."""

    def require_state(self) -> None:
        """Raise an `InputError` if the model has none."""

    def initial_state(self, n: int) -> NDArray[np.float32]:
        """Return the states (n, S) that sequences begin with."""
