"""Write a model as an ONNX graph, for every instruction and activation of the format.

Design
------
A. ONNX tensors never change, buffers do. A buffer is therefore a list of *pieces*, tensors side by
   side; a piece without a tensor is what nothing has written, and reads as zeros. A partial write
   replaces some pieces; a read joins them.
B. A recurrent model becomes one of its steps: its states come in side by side, and go out the same
   way. Who runs the graph gives it back what it got; a property says what to begin with.
C. The guards of the formulas stand in the graph: √x is ``Where(x > 0, Sqrt(x), 0)``. Where float32
   underflows or overflows, or a value is NaN, ONNX Runtime may still differ: ONNX promises less.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from instmodel.base.activations import Activation
from instmodel.base.categories import CATEGORIES_KEY
from instmodel.base.extras import require as require_package
from instmodel.base.features import FEATURES_KEY
from instmodel.base.limits import DEFAULT_LIMITS, Limits
from instmodel.document.instructions import (
    Activate,
    AddBufferHeads,
    AddElementwise,
    AddElementwiseBuffers,
    Attention,
    ClipElementwise,
    Copy,
    CopyMasked,
    Dot,
    MapTransform,
    MulElementwise,
    MultiplyBufferHeads,
    MultiplyElementwiseBuffers,
    ReduceSum,
)
from instmodel.document.schema import InstructionModelInfo
from instmodel.document.signature import SIGNATURE_KEY
from instmodel.document.state import STATE_KEY
from instmodel.document.validate import check
from instmodel.stores import location

INPUT, OUTPUT = "input", "output"
STATE_IN, STATE_OUT = "state_in", "state_out"
# The first opset with Gelu, and what ONNX Runtime 1.17 and OpenVINO 2024 read.
OPSET, ML_OPSET, IR_VERSION = 20, 3, 9


def to_onnx(info: InstructionModelInfo, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return a model as an ONNX ``ModelProto``: "input" (N, F) to "output" (N, O), both float32.

    Of a recurrent model it is one step: with its states before it as a second input, "state_in"
    (N, S), and after it as a second output, "state_out" (N, S).

    Raises
    ------
    InstModelError
        The document breaks a rule; ``missing_package``.
    """
    onnx = require_package("onnx", "onnx")
    checked = check(info.structure, limits)
    graph = _Graph(info, checked.feature_size)
    for instruction in info.instructions:
        graph.add(instruction)
    graph.node("Identity", graph.read(len(info.buffer_sizes) - 1), result=OUTPUT)
    inputs = [(INPUT, checked.feature_size)]
    outputs = [(OUTPUT, info.buffer_sizes[-1])]
    if info.state:
        states = [graph.read(item.buffer) for item in info.state]
        graph.node("Concat", *states, result=STATE_OUT, axis=1)
        inputs.append((STATE_IN, checked.state_size))
        outputs.append((STATE_OUT, checked.state_size))
    helper = onnx.helper
    described = [
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", size])
            for name, size in tensors
        ]
        for tensors in (inputs, outputs)
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "instmodel", *described, graph.constants),
        opset_imports=[
            helper.make_opsetid("", OPSET),
            helper.make_opsetid("ai.onnx.ml", ML_OPSET),
        ],
        ir_version=IR_VERSION,
        producer_name="instmodel",
    )
    helper.set_model_props(model, _properties(info))
    onnx.checker.check_model(model)
    return model


def _properties(info: InstructionModelInfo) -> dict[str, str]:
    """Return what the file keeps of a document that no node needs."""
    kept: dict[str, Any] = {FEATURES_KEY: info.features or []}
    if info.categories:
        kept[CATEGORIES_KEY] = {name: item.to_json() for name, item in info.categories.items()}
    if info.signature is not None:
        kept[SIGNATURE_KEY] = info.signature.to_json()
    if info.state:
        kept[STATE_KEY] = {
            "input": STATE_IN,
            "output": STATE_OUT,
            "sizes": [info.buffer_sizes[item.buffer] for item in info.state],
            "initial": [
                None if item.initial is None else info.parameters[item.initial].tolist()
                for item in info.state
            ],
        }
    return {name: json.dumps(item) for name, item in kept.items()}


def save(
    info: InstructionModelInfo, path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS
) -> None:
    """Write a model as an ONNX file, completely or not at all; see `to_onnx`."""
    data = to_onnx(info, limits).SerializeToString()
    with location(path).replacing() as file:
        file.write(data)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Values ``start … stop`` of a buffer: a tensor (N, stop - start), or None for zeros."""

    start: int
    stop: int
    tensor: str | None


class _Graph:
    """The nodes so far, and the tensors that the buffers hold."""

    def __init__(self, info: InstructionModelInfo, feature_size: int) -> None:
        import onnx

        self._onnx = onnx
        self._info = info
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._buffers: list[list[_Piece]] = []
        start = 0
        for size in info.buffer_sizes:
            tensor = None
            if start < feature_size:
                whole = size == feature_size
                tensor = INPUT if whole else self._part(INPUT, start, start + size)
            self._buffers.append([_Piece(0, size, tensor)])
            start += size
        start = 0
        for item in info.state:
            size = info.buffer_sizes[item.buffer]
            tensor = self._part(STATE_IN, start, start + size)
            self._buffers[item.buffer] = [_Piece(0, size, tensor)]
            start += size

    # ------------------------------------------------------------------------- nodes and buffers

    def node(
        self, kind: str, *inputs: str, result: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Add a node, and return the name of its output."""
        result = result or f"{kind}_{len(self.nodes)}"
        made = self._onnx.helper.make_node(kind, inputs, [result], domain=domain, **attributes)
        self.nodes.append(made)
        return result

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        """Add a constant, and return its name."""
        name = f"constant_{len(self.constants)}"
        data = np.array(array, dtype, order="C")
        self.constants.append(self._onnx.numpy_helper.from_array(data, name))
        return name

    def _scalar(self, number: float) -> str:
        return self.constant(number)

    def _part(self, tensor: str, start: int, stop: int) -> str:
        edges = [self.constant([edge], np.int64) for edge in (start, stop, 1)]
        return self.node("Slice", tensor, *edges)

    def read(self, buffer: int) -> str:
        """Return a buffer as one tensor (N, size)."""
        pieces = self._buffers[buffer]
        tensors = [piece.tensor or self._zeros(piece.stop - piece.start) for piece in pieces]
        whole = tensors[0] if len(tensors) == 1 else self.node("Concat", *tensors, axis=1)
        self._buffers[buffer] = [_Piece(0, self._info.buffer_sizes[buffer], whole)]
        return whole

    def _zeros(self, width: int) -> str:
        rows = self.node("Shape", INPUT, start=0, end=1)
        shape = self.node("Concat", rows, self.constant([width], np.int64), axis=0)
        return self.node("Expand", self.constant(np.zeros((1, width))), shape)

    def write(self, buffer: int, start: int, stop: int, tensor: str) -> None:
        """Replace the values ``start … stop`` of a buffer."""
        kept = []
        for piece in self._buffers[buffer]:
            for low, high in (
                (piece.start, min(piece.stop, start)),
                (max(piece.start, stop), piece.stop),
            ):
                if low < high:
                    part = piece.tensor
                    if part is not None and high - low < piece.stop - piece.start:
                        part = self._part(part, low - piece.start, high - piece.start)
                    kept.append(_Piece(low, high, part))
        kept.append(_Piece(start, stop, tensor))
        self._buffers[buffer] = sorted(kept, key=lambda piece: piece.start)

    def _replace(self, buffer: int, tensor: str) -> None:
        self.write(buffer, 0, self._info.buffer_sizes[buffer], tensor)

    # ------------------------------------------------------------------------------- instructions

    def add(self, instruction: Any) -> None:
        """Add the nodes of an instruction."""
        INSTRUCTIONS[instruction.TYPE](self, instruction)

    def _affine(self, buffer: int, weights: int) -> str:
        matrix = self.constant(self._info.weights[weights])
        bias = self.constant(self._info.bias[weights])
        return self.node("Gemm", self.read(buffer), matrix, bias, transB=1)

    def dot(self, i: Dot) -> None:
        result = self._affine(i.input, i.weights)
        self._replace(i.output, self._activated(result, i.activation) if i.activation else result)

    def attention(self, i: Attention) -> None:
        gate = self.node("Softmax", self._affine(i.key, i.weights), axis=-1)
        self._replace(i.output, self.node("Mul", gate, self.read(i.input)))

    def copy(self, i: Copy) -> None:
        stop = i.internal_index + self._info.buffer_sizes[i.input]
        self.write(i.output, i.internal_index, stop, self.read(i.input))

    def copy_masked(self, i: CopyMasked) -> None:
        if i.indexes:
            chosen = self.constant(i.indexes, np.int64)
            picked = self.node("Gather", self.read(i.input), chosen, axis=1)
            self.write(i.output, 0, len(i.indexes), picked)

    def activate(self, i: Activate) -> None:
        self._replace(i.input, self._activated(self.read(i.input), i.activation))

    def add_elementwise(self, i: AddElementwise) -> None:
        self._with_parameters("Add", i.input, i.parameters)

    def mul_elementwise(self, i: MulElementwise) -> None:
        self._with_parameters("Mul", i.input, i.parameters)

    def clip_elementwise(self, i: ClipElementwise) -> None:
        if i.parameters_min is not None:
            self._with_parameters("Max", i.input, i.parameters_min)
        if i.parameters_max is not None:
            self._with_parameters("Min", i.input, i.parameters_max)

    def _with_parameters(self, kind: str, buffer: int, index: int) -> None:
        parameters = self.constant(self._info.parameters[index])
        self._replace(buffer, self.node(kind, self.read(buffer), parameters))

    def add_buffers(self, i: AddElementwiseBuffers) -> None:
        self._folded("Add", i.input, i.output)

    def multiply_buffers(self, i: MultiplyElementwiseBuffers) -> None:
        self._folded("Mul", i.input, i.output)

    def _folded(self, kind: str, buffers: Sequence[int], output: int) -> None:
        total = self.read(buffers[0])
        for buffer in buffers[1:]:
            total = self.node(kind, total, self.read(buffer))
        self._replace(output, total)

    def add_heads(self, i: AddBufferHeads) -> None:
        self._heads("Add", i.input, i.output)

    def multiply_heads(self, i: MultiplyBufferHeads) -> None:
        self._heads("Mul", i.input, i.output)

    def _heads(self, kind: str, inputs: Sequence[int], output: int) -> None:
        size, count = (self._info.buffer_sizes[buffer] for buffer in inputs)
        blocks = self._shaped(self.read(inputs[0]), count, size // count)
        heads = self._shaped(self.read(inputs[1]), count, 1)
        self._replace(output, self._shaped(self.node(kind, blocks, heads), size))

    def _shaped(self, tensor: str, *sizes: int) -> str:
        return self.node("Reshape", tensor, self.constant([0, *sizes], np.int64))

    def reduce_sum(self, i: ReduceSum) -> None:
        axes = self.constant([1], np.int64)
        self._replace(i.output, self.node("ReduceSum", self.read(i.input), axes, keepdims=1))

    def map_transform(self, i: MapTransform) -> None:
        """Round in float64 half away from zero; what is no int32 becomes a key that is nowhere."""
        table = self._info.maps[i.map]
        to = self._onnx.TensorProto
        place = self.constant(i.internal_input_index, np.int64)
        number = self.node("Gather", self.read(i.input), place, axis=1)  # (N,)
        number = self.node("Cast", number, to=to.DOUBLE)
        half = self.constant(0.5, np.float64)
        whole = self.node("Floor", self.node("Add", self.node("Abs", number), half))
        key = self.node("Mul", self.node("Sign", number), whole)
        low = self.constant(-(2.0**31) - 1, np.float64)
        high = self.constant(2.0**31, np.float64)
        inside = self.node("And", self.node("Greater", key, low), self.node("Less", key, high))
        nowhere = self.constant(2.0**40, np.float64)
        key = self.node("Cast", self.node("Where", inside, key, nowhere), to=to.INT64)
        last = len(table)
        row = self.node(
            "LabelEncoder",
            key,
            domain="ai.onnx.ml",
            keys_int64s=[*table, 2**40],
            values_int64s=[*range(last), last],
            default_int64=last,
        )
        rows = self.constant(np.stack([*table.values(), np.asarray(i.default, np.float32)]))
        found = self.node("Gather", rows, row, axis=0)  # (N, size)
        start = i.internal_output_index
        self.write(i.output, start, start + i.size, found)

    # -------------------------------------------------------------------------------- activations

    def _activated(self, x: str, activation: Activation) -> str:
        return ACTIVATIONS[activation](self, x)

    def softmax(self, x: str) -> str:
        return self.node("Softmax", x, axis=-1)

    def sqrt(self, x: str) -> str:
        return self._where_positive(x, self.node("Sqrt", x))

    def log10(self, x: str) -> str:
        return self.node("Mul", self.log(x), self._scalar(1 / np.log(10.0)))

    def inverse(self, x: str) -> str:
        return self.node("Sub", self._scalar(1.0), x)

    def exp(self, x: str) -> str:
        limited = self.node("Clip", x, self._scalar(-88.0), self._scalar(88.0))
        return self.node("Exp", limited)

    def log(self, x: str) -> str:
        logarithm = self.node("Log", self.node("Add", x, self._scalar(1.0)))
        return self._where_positive(x, logarithm)

    def _where_positive(self, x: str, result: str) -> str:
        zero = self._scalar(0.0)
        return self.node("Where", self.node("Greater", x, zero), result, zero)


def _operator(kind: str) -> Callable[[_Graph, str], str]:
    return lambda graph, x: graph.node(kind, x)


# The nodes of each activation, by its name; a test demands one for every activation.
ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "RELU": _operator("Relu"),
    "SIGMOID": _operator("Sigmoid"),
    "SOFTMAX": _Graph.softmax,
    "TANH": _operator("Tanh"),
    "SQRT": _Graph.sqrt,
    "LOG": _Graph.log,
    "LOG10": _Graph.log10,
    "INVERSE": _Graph.inverse,
    "GELU": _operator("Gelu"),
    "SOFTPLUS": _operator("Softplus"),
    "EXP": _Graph.exp,
    "SIGN": _operator("Sign"),
    "RECIPROCAL": _operator("Reciprocal"),
}

# The nodes of each instruction, by its ``type``; a test demands one for every instruction.
INSTRUCTIONS: dict[str, Callable[[_Graph, Any], None]] = {
    "DOT": _Graph.dot,
    "ATTENTION": _Graph.attention,
    "COPY": _Graph.copy,
    "COPY_MASKED": _Graph.copy_masked,
    "MAP_TRANSFORM": _Graph.map_transform,
    "ACTIVATION": _Graph.activate,
    "ADD_ELEMENTWISE": _Graph.add_elementwise,
    "MUL_ELEMENTWISE": _Graph.mul_elementwise,
    "CLIP_ELEMENTWISE": _Graph.clip_elementwise,
    "ADD_ELEMENTWISE_BUFFERS": _Graph.add_buffers,
    "MULTIPLY_ELEMENTWISE_BUFFERS": _Graph.multiply_buffers,
    "ADD_BUFFER_HEADS": _Graph.add_heads,
    "MULTIPLY_BUFFER_HEADS": _Graph.multiply_heads,
    "REDUCE_SUM": _Graph.reduce_sum,
}
