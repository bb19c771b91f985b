"""Import PyTorch modules, through ``torch.export``."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require as require_package
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError
from instmodel.importers import common
from instmodel.importers.common import Findings
from instmodel.importers.sequences import compared_sequences
from instmodel.importers.torch_graph import (
    Input,
    Walker,
    is_in_place,
    is_known,
    is_open,
    needed,
    operator_name,
)
from instmodel.importers.torch_outputs import Choice, chosen_outputs, joined, output_nodes
from instmodel.importers.torch_recurrent import CELLS, as_operators
from instmodel.importers.torch_runs import step_runs
from instmodel.importers.torch_steps import StepWalker

# An input: its position, or its name in the exported program.
Place = str | int
# One operator in the terms of others, these in the terms of more.
_MOST_ROUNDS = 4


def from_torch(
    module: Any,
    example_inputs: Any = None,
    *,
    features: Sequence[str] | None = None,
    output: Choice = None,
    sample: Any = None,
    sequences: bool = False,
    states: Mapping[Place, str | int] | None = None,
) -> InstructionModelInfo:
    """Turn a PyTorch module into a model document.

    Parameters
    ----------
    module : torch.nn.Module or torch.export.ExportedProgram
        A module is exported in evaluation mode; it stays as it is. Numbers of 16 bits become
        float32, in which the model then computes.
    example_inputs : tensor or tuple of tensors
        What the module takes, the batch first; not needed for an exported program. Tuples may hold
        tuples. With `sequences`, the first two axes are batch and steps, either first.
    features : sequence of str, optional
        Names of the features of all inputs together; with `sequences`, those of one step.
    output : str, int or sequence of them, optional
        Which outputs the model is to compute, side by side, where the module returns several: keys
        of its dictionary, or positions in its tuple.
    sample : array_like of shape (N, F), optional
        Rows on which the import is compared with the module, and of which a few become the model's
        validation data. Several inputs stand side by side. For a recurrent model a list of
        sequences, (T, F) each.
    sequences : bool
        Whether the module takes sequences of any number of steps through `nn.RNN`, `nn.GRU` or
        `nn.LSTM`. The model then is recurrent, and computes one step; without, recurrent layers
        are written out for as many steps as the example has.
    states : mapping of (int or str) to (int or str), optional
        For each input that is a state, by its position or its name, the output that it is in the
        next step. The model then is recurrent and keeps it, from zeros on.

    Raises
    ------
    InstModelError
        ``unsupported_model`` with every operator that has no instructions; ``import_mismatch`` when
        the module computes something else; ``ambiguous_output`` when it has several outputs and
        none is chosen; ``missing_package``.
    """
    torch = require_package("torch", "torch")
    program, call = _exported(torch, module, example_inputs, sequences)
    findings = Findings("PyTorch")
    becomes = _positions(torch, program, states or {})
    places = chosen_outputs(torch, program, output, set(becomes.values()))
    recurrent = sequences or bool(becomes)
    simpler = _simplified(torch, program, CELLS if recurrent else ())
    walker = (
        StepWalker(torch, simpler, findings, becomes, sequences)
        if recurrent
        else Walker(torch, simpler, findings)
    )
    result = walker.output(places)
    findings.check(result)
    if result is None:
        raise AssertionError("no output, and no reason")
    names = features
    if names is None:
        names = common.feature_names([(item.name, item.leaf) for item in walker.inputs])
    leaves = [item.leaf for item in walker.inputs]
    info = common.build(result, leaves, names, {"imported_from": "PyTorch"})
    if isinstance(walker, StepWalker):
        run = step_runs(torch, call, walker, places, sequences)
        fixed = walker.fixed_columns()
        return compared_sequences(info, result, leaves, sample, run, last=run.last, fixed=fixed)
    whole = [not item.dtype.is_floating_point for item in walker.inputs]

    def run_rows(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        # Programs may be exported for two rows and more.
        some = rows if len(rows) > 1 else np.repeat(rows, 2, axis=0)
        with torch.no_grad():
            outputs = call(_tensors(torch, some, walker.inputs))
        doubles: NDArray[np.float64] = joined(torch, outputs, places, len(some)).numpy()
        return doubles[: len(rows)]

    return common.compared(info, result, leaves, sample, run_rows, whole)


def _positions(torch: Any, program: Any, states: Mapping[Place, str | int]) -> dict[int, int]:
    """Return which output each input that is a state becomes, both by position."""
    names = list(program.graph_signature.user_inputs)
    found = {}
    for taken, returned in states.items():
        place = names.index(taken) if taken in names else taken
        if isinstance(place, str) or not 0 <= place < len(names):
            raise InputError(
                "invalid_type",
                "no such input",
                field="states",
                expected=", ".join(map(repr, names)),
                actual=repr(taken),
            )
        found[place], *others = chosen_outputs(torch, program, returned)
        if others:
            raise InputError(
                "invalid_type",
                "a state is one tensor",
                field="states",
                expected="the position of one output",
                actual=repr(returned),
            )
    return found


def _exported(
    torch: Any, module: Any, example_inputs: Any, sequences: bool
) -> tuple[Any, Callable[[list[Any]], Any]]:
    """Return the exported program, and what to call with its tensors in a list."""
    if isinstance(module, torch.export.ExportedProgram):
        if sequences:
            raise InputError(
                "invalid_type",
                "an exported program, which has a fixed number of steps",
                field="module",
                expected="the torch.nn.Module itself, for sequences of any length",
                actual=type(module).__name__,
            )
        _check_batch(torch, module)
        runnable = module.module()
        return module, lambda tensors: runnable(*tensors)
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            "invalid_type",
            "nothing to import",
            field="module",
            expected="a torch.nn.Module or an ExportedProgram",
            actual=type(module).__name__,
        )
    if any(base.__module__.split(".")[0] == "keras" for base in type(module).__mro__):
        raise InputError(
            "invalid_type",
            "a Keras model, whose backend is PyTorch",
            field="module",
            expected="a module of PyTorch's own; from_keras imports this one",
            actual=type(module).__name__,
        )
    inputs = _two_rows(torch, example_inputs, sequences)
    tree = torch.utils._pytree
    still = _copied(torch, module).eval().cpu()
    narrow = (torch.bfloat16, torch.float16)
    flat, structure = tree.tree_flatten(inputs)
    if any(x.dtype in narrow for x in (*still.parameters(), *still.buffers(), *flat)):
        still = still.float()
        flat = [x.float() if x.dtype.is_floating_point else x for x in flat]
        inputs = tree.tree_unflatten(flat, structure)
    export = functools.partial(_program, torch, still, inputs, sequences)
    try:
        with as_operators(torch) if sequences else contextlib.nullcontext():
            program = export(strict=False)
            if _is_fixed(torch, program, sequences):  # as len(x) does, of which Dynamo knows more
                program = export(strict=True)
    except Exception as error:  # Dynamo's family of errors is its own
        sentence = str(error).strip().split("\n")[0]
        findings = Findings("PyTorch")
        findings.add("", f"torch.export cannot follow the module: {sentence}")
        findings.check()
        raise AssertionError from error
    return program, lambda tensors: still(*tree.tree_unflatten(tensors, structure))


def _simplified(torch: Any, program: Any, known: Collection[str]) -> Any:
    """Return the program with the operators that have no instructions in PyTorch's own terms.

    Nothing changes in place any more, either. There are instructions for those of the names that
    are `known`, too.
    """
    for _ in range(_MOST_ROUNDS):
        nodes = [node for node in program.graph.nodes if node.op == "call_function"]
        wanted = needed([node for node in output_nodes(torch, program) if node is not None])
        targets = {node.target for node in nodes if node in wanted}
        unknown = {
            target
            for target in targets
            if not is_known(operator_name(target)) and operator_name(target) not in known
        }
        changes = any(map(is_in_place, nodes))
        table = torch.export.default_decompositions() if unknown else {}
        simpler = {target: table[target] for target in unknown if target in table}
        if not simpler and not changes:
            break
        program = program.run_decompositions(simpler)
    return program


def _program(torch: Any, module: Any, inputs: Any, sequences: bool, *, strict: bool) -> Any:
    shapes = torch.export.ShapesCollection()
    for tensor in torch.utils._pytree.tree_leaves(inputs):
        axes = range(min(tensor.ndim, 2 if sequences else 1))
        shapes[tensor] = dict.fromkeys(axes, torch.export.Dim.AUTO)
    return torch.export.export(module, inputs, dynamic_shapes=shapes, strict=strict)


def _copied(torch: Any, module: Any) -> Any:
    """Return a copy, in which no layer computes its weights before each call."""
    computed = (
        value
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    )
    replaced = {id(tensor): tensor.detach().clone() for tensor in computed}
    try:
        still = copy.deepcopy(module, replaced)
    except Exception as error:  # of whatever the module holds, a lock or a file
        raise InputError(
            "invalid_type",
            f"the module cannot be copied, to be exported in evaluation mode: {error}",
            field="module",
            actual=type(module).__name__,
        ) from error
    for part in still.modules():
        for key, hook in list(part._forward_pre_hooks.items()):
            if type(hook).__name__ == "WeightNorm":
                hook.remove(part)
                del part._forward_pre_hooks[key]
    return still


def _two_rows(torch: Any, example_inputs: Any, sequences: bool) -> Any:
    """Return a batch of the first row, twice: of one row, the export would learn that it is one.

    Of sequences, whatever axis may be the batch or the steps is of size 2 at least.
    """
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    tree = torch.utils._pytree
    leaves = tree.tree_leaves(example_inputs)
    listed = isinstance(example_inputs, tuple | list) and len(leaves) > 0
    if not listed or not all(isinstance(x, torch.Tensor) for x in leaves):
        raise InputError(
            "invalid_type",
            "needs example inputs",
            field="example_inputs",
            expected="a tensor, or a tuple of them",
            actual=type(example_inputs).__name__,
        )
    if any(not x.ndim or not len(x) or (sequences and not x.numel()) for x in leaves):
        raise InputError(
            "invalid_type",
            "the first axis is the batch, never empty",
            field="example_inputs",
        )

    def widened(x: Any) -> Any:
        if not sequences:
            return torch.cat([x[:1], x[:1]]).cpu()
        # A table of floats is no sequence: its columns are features.
        axes = range(1 if x.ndim < 3 and x.dtype.is_floating_point else min(x.ndim, 2))
        for axis in axes:
            x = torch.cat([x, x], axis) if x.shape[axis] == 1 else x
        return x.cpu().clone()  # the export takes one tensor in two places for one input

    return tree.tree_map(widened, tuple(example_inputs))


def _check_batch(torch: Any, program: Any) -> None:
    """Refuse a program that runs a fixed number of rows only: nothing could be compared with it."""
    findings = Findings("PyTorch")
    for name, rows in _fixed_batch(torch, program).items():
        findings.add(
            f"input {name!r}",
            f"the batch is fixed at {rows}: export with a dynamic batch, "
            "dynamic_shapes=({0: torch.export.Dim.AUTO},)",
        )
    findings.check()


def _fixed_batch(torch: Any, program: Any) -> dict[str, int]:
    """Return how many rows inputs have that take no other number."""
    inputs = set(program.graph_signature.user_inputs)
    examples = {
        node.name: node.meta.get("val")
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in inputs
    }
    return {
        name: int(example.shape[0])
        for name, example in examples.items()
        if isinstance(example, torch.Tensor) and example.ndim and not is_open(example.shape[0])
    }


def _is_fixed(torch: Any, program: Any, sequences: bool) -> bool:
    """Whether the export took the size of the batch, or of all sequences, for a fixed number."""
    if not sequences:
        return bool(_fixed_batch(torch, program))
    examples = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"]
    tensors = [x for x in examples if isinstance(x, torch.Tensor)]
    return not any(sum(map(is_open, x.shape)) == 2 for x in tensors)


def _tensors(torch: Any, rows: NDArray[np.float32], inputs: Sequence[Input]) -> list[Any]:
    parts = common.side_by_side(rows, (item.shape for item in inputs))
    return [
        torch.from_numpy(np.ascontiguousarray(part)).to(item.dtype)
        for part, item in zip(parts, inputs, strict=True)
    ]
