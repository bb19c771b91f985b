import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from instmodel._engine import Engine

@disjoint_base
class SharedRows:
    def __new__(
        cls,
        engine: Engine,
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        start: int,
        threads: int,
        chunk: int,
    ) -> SharedRows: ...
    def work(self, watch_signals: bool = False) -> None: ...
    def cancel(self) -> None: ...
