"""What an ONNX graph computes from constants alone, and the shapes that it declares."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.operands import checked_size

# Operators whose output is not larger than their inputs, broadcast.
_ELEMENTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast
    Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid
    HardSwish Identity IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log Max Mean Min
    Mish Mod Mul Neg Not Or Pow PRelu Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus
    Softsign Sqrt Sub Sum Swish Tan Tanh Where Xor
"""
# Operators whose outputs are about as large as an input; of GatherND, see `folded`.
_OTHERS = """
    ArgMax ArgMin CastLike CumSum GatherND LogSoftmax NonZero ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    ScatterElements ScatterND Size Softmax TopK Trilu Unique
"""
_STRING = 8  # TensorProto.STRING


def is_folded(operator: str) -> bool:
    """Whether `folded` computes an operator of the main domain."""
    return operator in (_ELEMENTWISE + _OTHERS).split()


def folded(node: Any, inputs: Sequence[NDArray[Any] | None], opset: int) -> list[NDArray[Any]]:
    """Return what a node of the main domain computes from constants.

    Parameters
    ----------
    node : NodeProto
    inputs : sequence of array or None
        None for an optional input that is absent.
    opset : int
    """
    import onnx
    import onnx.reference

    given = {name: x for name, x in zip(node.input, inputs, strict=True) if x is not None}
    shapes = [x.shape for x in given.values()]
    if node.op_type in _ELEMENTWISE.split():
        checked_size(np.broadcast_shapes(*shapes))
    elif node.op_type == "GatherND" and len(shapes) == 2 and shapes[1]:
        *places, depth = shapes[1]
        checked_size((*places, *shapes[0][depth:]))
    elif node.op_type == "TopK" and len(inputs) == 2 and inputs[1] is not None:
        checked_size(inputs[1].ravel().tolist())  # made before the operator looks at what there is
    if any(item.name == "to" and item.i == _STRING for item in node.attribute):
        raise Unsupported("numbers as text")
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    described = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape
        )
        for name, x in given.items()
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = onnx.helper.make_graph([copy], "constants", described, outputs)
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    try:
        with np.errstate(all="ignore"):
            results = onnx.reference.ReferenceEvaluator(model).run(None, given)
    except Exception as error:  # its classes are many
        raise Unsupported(f"not what the operator takes: {error}") from None
    return [np.asarray(result) for result in results]


class Shapes:
    """The shapes that a graph declares, or that follow, for what stands in for refused nodes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._known: dict[str, Any] | None = None

    def stand_in(self, name: str) -> Value | None:
        """Return what stands in for a tensor whose shape is known, so that all else is looked at.

        Only the first axis, the batch, may have any size.
        """
        if self._known is None:
            self._known = self._inferred()
        tensor = self._known.get(name)
        if tensor is None or not tensor.HasField("shape") or not tensor.shape.dim:
            return None
        sizes = [int(dim.dim_value) for dim in tensor.shape.dim[1:]]
        if any(size < 1 for size in sizes):
            return None
        return ex.unknown(sizes, np.dtype(_dtype(tensor.elem_type)).kind in "iu")

    def _inferred(self) -> dict[str, Any]:
        import onnx.shape_inference

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        del model.graph.node[:], model.functions[:]
        model.graph.node.extend(node for node in self._model.graph.node if not _has_einsum(node))
        graph = model.graph
        with contextlib.suppress(Exception):  # of a model that is not valid
            graph = onnx.shape_inference.infer_shapes(model).graph
        listed = [*graph.value_info, *graph.output]
        return {item.name: item.type.tensor_type for item in listed}


def _has_einsum(node: Any) -> bool:
    """Whether a node is, or has in a graph of its own, one that ONNX may never be done with.

    Some equations that are wrong, such as ``i>>a``, keep its inference of shapes busy for ever.
    """
    graphs = [graph for item in node.attribute for graph in (item.g, *item.graphs)]
    return node.op_type == "Einsum" or any(_has_einsum(n) for graph in graphs for n in graph.node)


def _dtype(kind: int) -> Any:
    import onnx.helper

    try:
        return onnx.helper.tensor_dtype_to_np_dtype(kind)
    except KeyError:
        return np.float32
