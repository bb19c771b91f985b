"""The engine of this project."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import instmodel as im
from instmodel.formats import BINARY_SUFFIX
from perf.networks import Array, Network
from perf.peers.base import Peer


class InstModelPeer(Peer):
    """`predict` on one thread, `predict_parallel` on more; both into an array."""

    NAME, MODULE, CHUNKED = "instmodel", "instmodel", False

    def __init__(self, network: Network, threads: int, mode: str) -> None:
        self._model = im.InstructionModel(network.info)
        self._config = im.PredictConfig(threads=threads) if threads > 1 else None

    def predict(self, x: Array, out: Array) -> Array:
        """Compute all rows at once."""
        if self._config is None:
            return self._model.predict(x, out=out)
        return np.asarray(self._model.predict_parallel(x, self._config, out=out))

    def single(self, row: Array) -> Callable[[], object]:
        """Return the call that computes one row."""
        return partial(self._model.predict, row)

    def loaders(self, folder: Path) -> dict[str, Callable[[], object]]:
        """Write both formats; loading them includes every check."""
        paths = {"binary": folder / f"model{BINARY_SUFFIX}", "JSON": folder / "model.json"}
        for path in paths.values():
            self._model.info.save(path)
        return {name: partial(im.load, path) for name, path in paths.items()}
