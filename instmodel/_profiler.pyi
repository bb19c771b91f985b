import numpy as np
from numpy.typing import NDArray

from instmodel._engine import Engine
from instmodel._scan import SharedSequences

def profile_rows(
    engine: Engine,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    nanoseconds: NDArray[np.int64],
) -> None: ...
def profile_sequences(
    engine: Engine, shared: SharedSequences, nanoseconds: NDArray[np.int64]
) -> None: ...
def peak_rate(engine: Engine, steps: int) -> float: ...
