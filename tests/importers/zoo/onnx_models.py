"""ONNX models of the zoo."""

from importers.zoo import onnx_graphs

CASES = [*onnx_graphs.CASES]
