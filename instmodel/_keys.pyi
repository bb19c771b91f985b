import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class KeyTable:
    @property
    def width(self) -> int: ...
    def __new__(cls, width: int) -> KeyTable: ...
    def __len__(self) -> int: ...
    def find(
        self, data: NDArray[np.uint8], offsets: NDArray[np.integer] | None, slots: NDArray[np.int64]
    ) -> None: ...
    def find_or_add(
        self, data: NDArray[np.uint8], offsets: NDArray[np.integer] | None, slots: NDArray[np.int64]
    ) -> None: ...
    def truncate(self, count: int) -> None: ...
    def keys(self, start: int, stop: int) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]: ...

@disjoint_base
class Grouper:
    def __new__(cls) -> Grouper: ...
    def group(
        self,
        slots: NDArray[np.int64],
        slot_count: int,
        times: NDArray[np.int64] | None = None,
        last: NDArray[np.int64] | None = None,
    ) -> tuple[
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.int64] | None,
        int,
    ]: ...
