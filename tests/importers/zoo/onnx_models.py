"""ONNX models of the zoo."""

from importers.zoo import onnx_backend, onnx_exports, onnx_graphs

CASES = [*onnx_graphs.CASES, *onnx_exports.CASES, *onnx_backend.CASES]
