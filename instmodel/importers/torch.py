"""Import PyTorch modules, through ``torch.export``."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.base.extras import require as require_package
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError
from instmodel.importers import common
from instmodel.importers import expressions as ex
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.operands import BATCH, one_row
from instmodel.importers.torch_ops import OPERATORS


def from_torch(
    module: Any,
    example_inputs: Any = None,
    *,
    features: Sequence[str] | None = None,
    sample: ArrayLike | None = None,
) -> InstructionModelInfo:
    """Turn a PyTorch module into a model document.

    Parameters
    ----------
    module : torch.nn.Module or torch.export.ExportedProgram
        A module is exported in evaluation mode; it stays as it is.
    example_inputs : tensor or tuple of tensors
        What the module takes, the batch first; not needed for an exported program.
    features : sequence of str, optional
        Names of the features of all inputs together.
    sample : array_like of shape (N, F), optional
        Rows on which the import is compared with the module, and of which a few become the model's
        validation data. Several inputs stand side by side.

    Raises
    ------
    InstModelError
        ``unsupported_model`` with every operator that has no instructions; ``import_mismatch`` when
        the module computes something else; ``missing_package``.
    """
    torch = require_package("torch", "torch")
    program, run = _exported(torch, module, example_inputs)
    findings = Findings("PyTorch")
    walker = _Walker(torch, program, findings)
    result = walker.output()
    findings.check(result)
    if result is None:
        raise AssertionError("no output, and no reason")
    names = features
    if names is None:
        names = common.feature_names([(item.name, item.leaf) for item in walker.inputs])
    leaves = [item.leaf for item in walker.inputs]
    whole = [not item.dtype.is_floating_point for item in walker.inputs]
    info = common.build(result, leaves, names, {"imported_from": "PyTorch"})

    def run_rows(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        with torch.no_grad():
            outputs = run(*_tensors(torch, rows, walker.inputs))
        doubles: NDArray[np.float64] = outputs.reshape(len(rows), -1).double().numpy()
        return doubles

    return common.compared(info, result, leaves, sample, run_rows, whole)


def _exported(torch: Any, module: Any, example_inputs: Any) -> tuple[Any, Any]:
    """Return the exported program, and what to call for its outputs."""
    if isinstance(module, torch.export.ExportedProgram):
        _check_batch(torch, module)
        return module, module.module()
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            "invalid_type",
            "nothing to import",
            field="module",
            expected="a torch.nn.Module or an ExportedProgram",
            actual=type(module).__name__,
        )
    inputs = _two_rows(torch, example_inputs)
    still = copy.deepcopy(module).eval().cpu()
    shapes = torch.export.ShapesCollection()
    for tensor in inputs:
        shapes[tensor] = {0: torch.export.Dim.AUTO}
    try:
        program = torch.export.export(still, inputs, dynamic_shapes=shapes)
    except Exception as error:  # Dynamo's family of errors is its own
        sentence = str(error).strip().split("\n")[0]
        findings = Findings("PyTorch")
        findings.add("", f"torch.export cannot follow the module: {sentence}")
        findings.check()
        raise AssertionError from error
    return program, still


def _two_rows(torch: Any, example_inputs: Any) -> tuple[Any, ...]:
    """Return a batch of the first row, twice: of one row, the export would learn that it is one."""
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    tensors = isinstance(example_inputs, tuple | list) and len(example_inputs) > 0
    if not tensors or not all(isinstance(x, torch.Tensor) for x in example_inputs):
        raise InputError(
            "invalid_type",
            "needs example inputs",
            field="example_inputs",
            expected="a tensor, or a tuple of them",
            actual=type(example_inputs).__name__,
        )
    if any(not x.ndim or not len(x) for x in example_inputs):
        raise InputError(
            "invalid_type",
            "the first axis is the batch, never empty",
            field="example_inputs",
        )
    return tuple(torch.cat([x[:1], x[:1]]).cpu() for x in example_inputs)


def _check_batch(torch: Any, program: Any) -> None:
    """Refuse a program that runs a fixed number of rows only: nothing could be compared with it."""
    findings = Findings("PyTorch")
    inputs = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in inputs:
            example = node.meta.get("val")
            fixed = isinstance(example, torch.Tensor) and example.ndim
            if fixed and isinstance(example.shape[0], int):
                findings.add(
                    f"input {node.name!r}",
                    f"the batch is fixed at {example.shape[0]}: export with a dynamic batch, "
                    "dynamic_shapes=({0: torch.export.Dim.AUTO},)",
                )
    findings.check()


class _Input(NamedTuple):
    """An input of a program, and its sample as the expression knows it."""

    name: str
    leaf: Value
    shape: tuple[int, ...]  # of a sample
    dtype: Any


class _Walker:
    """Follows the graph of an exported program.

    Attributes
    ----------
    inputs : list of _Input
    """

    def __init__(self, torch: Any, program: Any, findings: Findings) -> None:
        self._torch = torch
        self._findings = findings
        self._known: dict[Any, Any] = {}
        self._failed: set[Any] = set()  # nodes that follow something unsupported
        self._nodes = list(program.graph.nodes)
        self.inputs: list[_Input] = []
        signature = program.graph_signature
        constants = {**program.state_dict, **program.constants}
        fixed = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        for node in self._nodes:
            if node.op == "placeholder" and node.name in fixed:
                tensor = constants[fixed[node.name]]
                self._known[node] = tensor.detach().cpu().numpy()
            elif node.op == "placeholder":
                self._add_input(node)

    def _add_input(self, node: Any) -> None:
        with self._findings.at(f"input {node.name!r}"):
            example = node.meta.get("val")
            if not isinstance(example, self._torch.Tensor) or not example.ndim:
                raise Unsupported("not a tensor with a batch axis")
            shape = example.shape[1:]
            if not all(isinstance(size, int) for size in shape):
                raise Unsupported("only the batch may have any size")
            whole = not example.dtype.is_floating_point
            leaf = ex.source(math.prod(shape), whole)
            self.inputs.append(_Input(node.name, leaf, tuple(shape), example.dtype))
            self._known[node] = ex.reshape(leaf, shape)
            return
        self._failed.add(node)

    def output(self) -> Value | None:
        """Return the expression of the output, or None with findings."""
        result = None
        for node in self._nodes:
            if node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                outputs = node.args[0]
                if len(outputs) != 1:
                    raise InputError(
                        "ambiguous_output", "the module has several outputs", actual=len(outputs)
                    )
                result = self._known.get(outputs[0])
        if isinstance(result, np.ndarray):
            with self._findings.at("output"):
                return one_row(result)
        return result

    def _call(self, node: Any) -> None:
        name = str(node.target)
        place = _place(node)
        needed = {part for part in node.all_input_nodes if part in self._failed}
        with self._findings.at(place):
            if "getitem" in name:
                if not needed:
                    self._known[node] = self._known[node.args[0]][node.args[1]]
                    return
            elif name.startswith("aten.sym_size"):
                size = node.meta["val"]
                self._known[node] = size if isinstance(size, int) else BATCH
                return
            elif "_assert" in name:
                return
            else:
                operator = name.removeprefix("aten.").split(".")[0]
                operator = operator if operator in OPERATORS else operator.removesuffix("_")
                if operator not in OPERATORS:
                    raise Unsupported(f"no instructions for {name}")
                if not needed:
                    self._known[node] = self._result(OPERATORS[operator], node)
                    return
        self._failed.add(node)

    def _result(self, handler: Any, node: Any) -> Any:
        try:
            return handler(*self._resolved(node.args), **self._resolved(dict(node.kwargs)))
        except (TypeError, IndexError) as error:
            raise Unsupported(f"not the arguments that are known: {error}") from None

    def _resolved(self, item: Any) -> Any:
        if isinstance(item, self._torch.fx.Node):
            return self._known[item]
        if isinstance(item, list | tuple):
            return [self._resolved(part) for part in item]
        if isinstance(item, dict):
            return {key: self._resolved(part) for key, part in item.items()}
        return item


def _place(node: Any) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    inside = stack[-1][0] if stack else ""
    return f"{inside or 'module'}, {node.name}"


def _tensors(torch: Any, rows: NDArray[np.float32], inputs: Sequence[_Input]) -> list[Any]:
    parts = common.side_by_side(rows, (item.shape for item in inputs))
    return [
        torch.from_numpy(np.ascontiguousarray(part)).to(item.dtype)
        for part, item in zip(parts, inputs, strict=True)
    ]
