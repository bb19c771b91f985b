"""OpenVINO, on the CPU plugin, in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from perf.networks import Array, Network
from perf.peers.base import Peer, chunks


class OpenVinoPeer(Peer):
    """Asynchronous requests, as many as the plugin recommends for its performance hint.

    Without the precision hint the plugin computes in bfloat16 where the CPU can.
    """

    NAME, MODULE, NEEDS = "OpenVINO", "openvino", ("onnx",)
    MODES = ("LATENCY", "THROUGHPUT")

    def __init__(self, network: Network, threads: int, mode: str) -> None:
        import openvino

        from perf.peers.onnx_graph import onnx_bytes

        self._tensor = partial(openvino.Tensor, shared_memory=True)
        self._core = openvino.Core()
        self._settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": mode,
            "INFERENCE_NUM_THREADS": threads,
        }
        self._model = onnx_bytes(network)
        compiled = self._core.compile_model(
            self._core.read_model(self._model, b""), "CPU", self._settings
        )
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [compiled.create_infer_request() for _ in range(count)]
        self._single_request = compiled.create_infer_request()

    def predict(self, x: Array, out: Array) -> Array:
        """Compute all rows at once."""
        return self.run(x, out, len(x))

    def run(self, x: Array, out: Array, chunk: int | None) -> Array:
        """Compute all rows, `chunk` in each request."""
        for number, rows in enumerate(chunks(len(x), chunk or len(x))):
            request = self._requests[number % len(self._requests)]
            request.wait()
            request.set_input_tensor(self._tensor(x[rows]))
            request.set_output_tensor(self._tensor(out[rows]))
            request.start_async()
        for request in self._requests:
            request.wait()
        return out

    def single(self, row: Array) -> Callable[[], object]:
        """Return the call that computes one row."""
        return partial(self._single, row[np.newaxis])

    def _single(self, x: Array) -> Array:
        self._single_request.set_input_tensor(self._tensor(x))
        self._single_request.infer()
        return self._single_request.get_output_tensor().data

    def loaders(self, folder: Path) -> dict[str, Callable[[], object]]:
        """Write an ONNX file."""
        path = folder / "model.onnx"
        path.write_bytes(self._model)
        return {"ONNX": partial(self._core.compile_model, path, "CPU", self._settings)}
