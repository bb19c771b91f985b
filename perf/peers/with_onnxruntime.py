"""ONNX Runtime, on the CPU provider."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from perf.networks import Array, Network
from perf.peers.base import Peer


class OnnxRuntimePeer(Peer):
    """A session with its buffers bound to where the data is, and `run` for one row."""

    NAME, MODULE, NEEDS = "ONNX Runtime", "onnxruntime", ("onnx",)

    def __init__(self, network: Network, threads: int, mode: str) -> None:
        import onnxruntime

        from perf.peers.onnx_graph import onnx_bytes

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._open = partial(
            onnxruntime.InferenceSession, sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._model = onnx_bytes(network)
        self._session = self._open(self._model)
        self._binding = self._session.io_binding()

    def predict(self, x: Array, out: Array) -> Array:
        """Compute all rows at once."""
        self._binding.bind_input("x", "cpu", 0, np.float32, x.shape, x.ctypes.data)
        self._binding.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
        self._session.run_with_iobinding(self._binding)
        return out

    def single(self, row: Array) -> Callable[[], object]:
        """Return the call that computes one row."""
        return partial(self._session.run, ["y"], {"x": row[np.newaxis]})

    def loaders(self, folder: Path) -> dict[str, Callable[[], object]]:
        """Write an ONNX file."""
        path = folder / "model.onnx"
        path.write_bytes(self._model)
        return {"ONNX": partial(self._open, path)}
