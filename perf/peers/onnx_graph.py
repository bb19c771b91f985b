"""The networks as ONNX graphs, for ONNX Runtime and OpenVINO."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from perf.networks import Attention, Dense, Embed, Layer, Network, Normalize

INPUT, OUTPUT = "x", "y"
_OPSET = 17
_IR_VERSION = 8
_ACTIVATIONS = {"RELU": "Relu", "SIGMOID": "Sigmoid"}


def onnx_bytes(network: Network) -> bytes:
    """Return the network as a serialized ONNX model: "x" (n, features) to "y" (n, outputs)."""
    graph = _Graph()
    value = INPUT
    for layer in network.layers:
        value = graph.add_layer(layer, value, network.features)
    graph.nodes[-1].output[0] = OUTPUT
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            network.name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", network.features])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", network.outputs])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add_layer(self, layer: Layer, value: str, features: int) -> str:
        match layer:
            case Dense(weights, bias, activation):
                result = self._product(value, weights, bias)
                return self._node(_ACTIVATIONS[activation], result) if activation else result
            case Attention(weights, bias):
                gate = self._node("Softmax", self._product(INPUT, weights, bias), axis=-1)
                return self._node("Mul", gate, value)
            case Normalize(factors, terms):
                # In ONNX Runtime twice as fast as Mul and Add.
                mean, variance = np.zeros_like(factors), np.ones_like(factors)
                constants = map(self._constant, (factors, terms, mean, variance))
                return self._node("BatchNormalization", value, *constants, epsilon=0.0)
            case Embed():
                return self._embed(layer, value, features)

    def _product(self, value: str, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        return self._node("Gemm", value, self._constant(weights), self._constant(bias), transB=1)

    def _embed(self, layer: Embed, value: str, features: int) -> str:
        """All lookups are one Gather from the joined tables: faster than one per table."""
        count, width = len(layer.tables), layer.tables[0].shape[1]
        ids = self._node("Cast", self._columns(value, 0, count), to=TensorProto.INT64)
        rows = self._node("Add", ids, self._constant(layer.starts))
        looked_up = self._node("Gather", self._constant(layer.joined), rows, axis=0)
        shape = self._constant(np.array([-1, count * width], np.int64))
        flat = self._node("Reshape", looked_up, shape)
        return self._node("Concat", self._columns(value, count, features), flat, axis=1)

    def _columns(self, value: str, start: int, stop: int) -> str:
        edges = [self._constant(np.array([edge], np.int64)) for edge in (start, stop, 1)]
        return self._node("Slice", value, *edges)

    def _node(self, kind: str, *inputs: str, **attributes: float) -> str:
        result = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [result], **attributes))
        return result

    def _constant(self, values: NDArray[np.generic]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
