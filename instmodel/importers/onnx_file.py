"""Read an ONNX file that nobody vouches for, and run it.

Sizes are checked before anything of that size is made; data outside of the file is refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require as require_package
from instmodel.base.limits import DEFAULT_LIMITS
from instmodel.errors import DocumentError, InputError, StructureError
from instmodel.importers.common import side_by_side

# Weights take 4 bytes, or 8; names and attributes take the rest.
LARGEST_FILE = 8 * DEFAULT_LIMITS.max_weight_count + (16 << 20)
MOST_NODES = 20_000
_EXTERNAL = 1  # TensorProto.EXTERNAL


def load_model(source: Any) -> Any:
    """Return the ``ModelProto`` of a path, of bytes, or of a model that is one already.

    Raises
    ------
    InstModelError
        ``invalid_document``: no ONNX model; ``weight_limit_exceeded``: too large;
        ``missing_package``.
    OSError
        The file cannot be read.
    """
    onnx = require_package("onnx", "onnx")
    if isinstance(source, onnx.ModelProto):
        return source
    if isinstance(source, bytes | bytearray):
        data = bytes(source)
    else:
        if not isinstance(source, str | os.PathLike):
            raise InputError(
                "invalid_type",
                "no ONNX model",
                expected="a path, bytes or a ModelProto",
                actual=type(source).__name__,
            )
        _check_file_size(os.stat(source).st_size)
        data = Path(source).read_bytes()
    _check_file_size(len(data))
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's implementations each have their own
        raise DocumentError("invalid_document", f"not an ONNX model: {error}") from None
    if not model.graph.node or not model.opset_import:
        raise DocumentError("invalid_document", "not an ONNX model: no graph, or no opset")
    if len(model.graph.node) > MOST_NODES:
        raise StructureError(
            "buffer_limit_exceeded",
            "too many nodes",
            expected=f"at most {MOST_NODES}",
            actual=len(model.graph.node),
        )
    return model


def _check_file_size(size: int) -> None:
    if size > LARGEST_FILE:
        raise StructureError(
            "weight_limit_exceeded",
            "the file is too large",
            expected=f"at most {LARGEST_FILE} bytes",
            actual=size,
        )


def tensor_array(tensor: Any) -> NDArray[Any]:
    """Return a tensor of the file as an array.

    Raises
    ------
    InstModelError
        ``external_data``: its numbers are in another file; ``weight_limit_exceeded``;
        ``invalid_document``: its size is not that of its numbers.
    """
    import onnx.numpy_helper

    if tensor.data_location == _EXTERNAL or tensor.external_data:
        raise DocumentError(
            "external_data",
            "the numbers of a tensor are in another file, which is not opened",
            field=tensor.name,
        )
    if math.prod(tensor.dims) > DEFAULT_LIMITS.max_weight_count:
        raise StructureError(
            "weight_limit_exceeded",
            "a tensor is too large",
            field=tensor.name,
            expected=f"at most {DEFAULT_LIMITS.max_weight_count} numbers",
            actual=list(tensor.dims),
        )
    try:
        array: NDArray[Any] = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise DocumentError(
            "invalid_document", f"not a tensor: {error}", field=tensor.name
        ) from None
    if array.dtype.kind not in "fiub":
        array = array.astype(np.float64) if array.dtype.kind == "V" else array
    return array


def needed_nodes(graph: Any, *outputs: str) -> list[Any]:
    """Return the nodes that tensors need, in the order of the graph."""
    needed = set(outputs)
    nodes = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(node.input)
    return nodes[::-1]


class Runtime:
    """ONNX Runtime on the part of a model that some tensors need.

    ONNX's own reference where ONNX Runtime lacks an attribute: the layout of recurrent nodes.

    Parameters
    ----------
    model : ModelProto
    *outputs : str
        The tensors to compute.
    """

    def __init__(self, model: Any, *outputs: str) -> None:
        onnx = require_package("onnx", "onnx")
        runtime = require_package("onnxruntime", "onnx")
        part = onnx.ModelProto()
        part.CopyFrom(model)
        nodes = needed_nodes(model.graph, *outputs)
        del part.graph.node[:], part.graph.output[:], part.functions[:]
        part.graph.node.extend(nodes)
        described = [onnx.helper.make_empty_tensor_value_info(name) for name in outputs]
        part.graph.output.extend(described)
        self._outputs = list(outputs)
        try:
            if any(item.name == "layout" and item.i for node in nodes for item in node.attribute):
                from onnx.reference import ReferenceEvaluator

                self._session = ReferenceEvaluator(part)
                self._present = set(self._session.input_names)
                return
            options = runtime.SessionOptions()
            options.log_severity_level = 4
            self._session = runtime.InferenceSession(
                part.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # it would print, and try the same again
            )
        except Exception as error:  # its classes differ between releases
            raise DocumentError(
                "invalid_document", f"ONNX Runtime does not load the model: {error}"
            ) from None
        self._present = {item.name for item in self._session.get_inputs()}

    def has(self, name: str) -> bool:
        """Whether the tensors need an input of this name."""
        return name in self._present

    def compute(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the tensors for inputs by name, of which it takes what it needs."""
        given = {name: item for name, item in feeds.items() if self.has(name)}
        try:
            results = self._session.run(self._outputs, given)
        except Exception as error:
            raise DocumentError(
                "invalid_document", f"ONNX Runtime does not run the model: {error}"
            ) from None
        return [np.asarray(result, np.float32) for result in results]


class Session:
    """What a model computes of rows.

    Parameters
    ----------
    model : ModelProto
    inputs : sequence of (name, shape of a sample, NumPy dtype, batch size or None)
    output : str
        The tensor to compute.
    """

    def __init__(
        self,
        model: Any,
        inputs: Sequence[tuple[str, tuple[int, ...], Any, int | None]],
        output: str,
    ) -> None:
        self._runtime = Runtime(model, output)
        self._inputs = inputs
        sizes = [n for name, _, _, n in inputs if self._runtime.has(name) and n is not None]
        self._fixed = sizes[0] if sizes else None

    def run(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the tensor for rows (N, F): (N, O), its other axes made one."""
        step = self._fixed or max(1, len(rows))
        results = []
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            padded = np.resize(part, (step, rows.shape[1])) if self._fixed else part
            results.append(self._run(padded)[: len(part)])
        return np.concatenate(results) if results else self._run(rows)

    def _run(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = side_by_side(rows, (shape for _, shape, _, _ in self._inputs))
        feeds = {
            name: part.astype(dtype)
            for part, (name, _, dtype, _) in zip(parts, self._inputs, strict=True)
        }
        (found,) = self._runtime.compute(feeds)
        if found.shape[:1] not in ((1,), (len(rows),)):
            raise DocumentError(
                "invalid_document",
                "the first axis of the output is not the batch",
                expected=len(rows),
                actual=str(found.shape),
            )
        return np.broadcast_to(found, (len(rows), *found.shape[1:])).reshape(len(rows), -1)
