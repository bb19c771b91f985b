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
from instmodel.importers.torch_choices import CHOICES
from instmodel.importers.torch_ops import OPERATORS as CALCULATIONS
from instmodel.importers.torch_outputs import Choice, chosen_outputs, joined, output_nodes
from instmodel.importers.torch_shapes import SHAPE_OPERATORS

OPERATORS = CALCULATIONS | CHOICES | SHAPE_OPERATORS


def from_torch(
    module: Any,
    example_inputs: Any = None,
    *,
    features: Sequence[str] | None = None,
    output: Choice = None,
    sample: ArrayLike | None = None,
) -> InstructionModelInfo:
    """Turn a PyTorch module into a model document.

    Parameters
    ----------
    module : torch.nn.Module or torch.export.ExportedProgram
        A module is exported in evaluation mode; it stays as it is. Numbers of 16 bits become
        float32, in which the model then computes.
    example_inputs : tensor or tuple of tensors
        What the module takes, the batch first; not needed for an exported program.
    features : sequence of str, optional
        Names of the features of all inputs together.
    output : str, int or sequence of them, optional
        Which outputs the model is to compute, side by side, where the module returns several: keys
        of its dictionary, or positions in its tuple.
    sample : array_like of shape (N, F), optional
        Rows on which the import is compared with the module, and of which a few become the model's
        validation data. Several inputs stand side by side.

    Raises
    ------
    InstModelError
        ``unsupported_model`` with every operator that has no instructions; ``import_mismatch`` when
        the module computes something else; ``ambiguous_output`` when it has several outputs and
        none is chosen; ``missing_package``.
    """
    torch = require_package("torch", "torch")
    program, run = _exported(torch, module, example_inputs)
    findings = Findings("PyTorch")
    places = chosen_outputs(torch, program, output)
    walker = _Walker(torch, program, findings)
    result = walker.output(places)
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
        # Programs may be exported for two rows and more.
        some = rows if len(rows) > 1 else np.repeat(rows, 2, axis=0)
        with torch.no_grad():
            outputs = run(*_tensors(torch, some, walker.inputs))
        doubles: NDArray[np.float64] = joined(torch, outputs, places, len(some)).numpy()
        return doubles[: len(rows)]

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
    narrow = (torch.bfloat16, torch.float16)
    if any(x.dtype in narrow for x in (*still.parameters(), *still.buffers(), *inputs)):
        still = still.float()
        inputs = tuple(x.float() if x.dtype.is_floating_point else x for x in inputs)
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
                tensor = constants[fixed[node.name]].detach().cpu()
                narrow = tensor.dtype in (torch.bfloat16, torch.float16)
                self._known[node] = (tensor.float() if narrow else tensor).numpy()
            elif node.op == "placeholder":
                self._add_input(node)
        self._results = output_nodes(torch, program)

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
        self._known[node] = self._placeholder(node.meta.get("val"))

    def output(self, places: Sequence[int]) -> Value | None:
        """Return the expression of the chosen outputs, side by side, or None with findings."""
        needed = self._needed([self._results[place] for place in places])
        for node in self._nodes:
            if node.op == "call_function" and node in needed:
                self._call(node)
        with self._findings.at("output"):
            results = [self._known[self._results[place]] for place in places]
            values = [x if isinstance(x, Value) else one_row(np.asarray(x)) for x in results]
            return ex.concatenate([ex.reshape(x, (x.size,)) for x in values])
        return None

    def _needed(self, nodes: list[Any]) -> set[Any]:
        found: set[Any] = set()
        while nodes:
            node = nodes.pop()
            if node not in found:
                found.add(node)
                nodes.extend(node.all_input_nodes)
        return found

    def _call(self, node: Any) -> None:
        name = str(node.target)
        with self._findings.at(_place(node)):
            if "getitem" in name:
                self._known[node] = self._known[node.args[0]][node.args[1]]
            elif name.startswith("aten.sym_size"):
                size = node.meta["val"]
                self._known[node] = size if isinstance(size, int) else BATCH
            else:
                self._known[node] = self._result(name, node)
            return
        self._known[node] = self._placeholder(node.meta.get("val"))

    def _placeholder(self, example: Any) -> Any:
        """Return what stands for a refused result, to find out what else is in the way."""
        if isinstance(example, list | tuple):
            return [self._placeholder(part) for part in example]
        if not isinstance(example, self._torch.Tensor) or not example.ndim:
            return ex.unknown(())
        sizes = [size if isinstance(size, int) else 1 for size in example.shape[1:]]
        return ex.unknown(sizes, not example.dtype.is_floating_point)

    def _result(self, name: str, node: Any) -> Any:
        arguments, named = self._resolved(node.args), self._resolved(dict(node.kwargs))
        if name.startswith("aten.") and all(map(self._is_constant, node.all_input_nodes)):
            return self._computed(node.target, arguments, named)
        operator = name.removeprefix("aten.").split(".")[0]
        operator = operator if operator in OPERATORS else operator.removesuffix("_")
        if operator not in OPERATORS:
            raise Unsupported(f"no instructions for {name}")
        try:
            return OPERATORS[operator](*arguments, **named)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise Unsupported(f"not the arguments that are known: {error}") from None

    def _is_constant(self, node: Any) -> bool:
        known = self._known[node]
        if isinstance(known, int):
            return isinstance(node.meta["val"], int)  # else the size of the batch
        return isinstance(known, np.ndarray)

    def _computed(self, target: Any, arguments: Any, named: Any) -> Any:
        """Return what an operator makes of constants."""
        tensors = self._torch.utils._pytree.tree_map(self._as_tensor, (arguments, named))
        with self._torch.no_grad():
            result = target(*tensors[0], **tensors[1])
        if isinstance(result, list | tuple):
            return [part.numpy() for part in result]
        return result.numpy() if isinstance(result, self._torch.Tensor) else result

    def _as_tensor(self, item: Any) -> Any:
        return self._torch.from_numpy(item.copy()) if isinstance(item, np.ndarray) else item

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
