import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from instmodel._engine import Engine

@disjoint_base
class Lanes:
    def __new__(cls, engine: Engine) -> Lanes: ...

@disjoint_base
class SharedSequences:
    def __new__(
        cls,
        engine: Engine,
        x: NDArray[np.float32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        y: NDArray[np.float32],
        last: bool,
        rows: NDArray[np.int64] | None,
        state: NDArray[np.float32] | None,
        slots: NDArray[np.int64] | None,
        threads: int,
    ) -> SharedSequences: ...
    def work(self, watch_signals: bool = False) -> None: ...
    def cancel(self) -> None: ...
