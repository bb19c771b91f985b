"""From the graph of an exported PyTorch program to an expression.

Design
------
A. The graph is followed for a batch of one sample; see `torch_operands`.
B. The export knows which sizes are the batch's. What depends on the sample keeps one such axis all
   the way: an operator after which there is none, or two, has mixed samples. Those that mix them
   and keep the axis say so in their `dim`.
C. What is refused leaves something of the right shape, to find out what else is in the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.torch_choices import CHOICES, converted, numbers_of, truth_of
from instmodel.importers.torch_functions import FUNCTIONS
from instmodel.importers.torch_lookups import LOOKUPS
from instmodel.importers.torch_moves import MOVING, moved
from instmodel.importers.torch_operands import Count, parameters_of, value_of
from instmodel.importers.torch_outputs import output_nodes
from instmodel.importers.torch_products import PRODUCTS
from instmodel.importers.torch_reductions import REDUCTIONS

OPERATORS: dict[str, Callable[..., Any]] = FUNCTIONS | PRODUCTS | REDUCTIONS | LOOKUPS | CHOICES
_CONVERSIONS = frozenset(
    ("to", "_to_copy", "type_as", "float", "double", "half", "bfloat16", "long", "int", "bool")
)
_SIZES = ("sym_size", "sym_numel")
# What has the same number everywhere, as long as its shape says.
FILLS = {
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), 0),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), 1),
    **dict.fromkeys(("full", "full_like", "new_full")),
}
# Operators that keep the batch's axis where it is, although their `dim` names it.
_HARMLESS = MOVING - {"flip", "roll", "index_select", "gather", "take_along_dim", "narrow"}
# Operators that give each sample its own row only if the batch is the first axis.
_BATCH_FIRST = frozenset(
    ("batch_norm", "group_norm", "instance_norm", "conv1d", "avg_pool1d", "max_pool1d")
) | {"adaptive_avg_pool1d", "adaptive_max_pool1d"}
# Operators that mix the numbers of the last two axes.
_INNER_AXES = frozenset(("tril", "triu", "scaled_dot_product_attention"))
# Operators whose other results are of no use here.
_FIRST_COUNTS = frozenset(
    ("embedding_bag", "native_dropout", "native_layer_norm", "_native_batch_norm_legit_no_training")
)
# Operators whose result counts the samples.
_COUNTING = frozenset(["arange", "linspace", "logspace", "eye"])

# What a handler raises for arguments that it does not expect.
_FAILURES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class Input(NamedTuple):
    """An input of a program, and its sample as the expression knows it."""

    name: str
    leaf: Value
    shape: tuple[int, ...]  # of a sample, or of a step
    dtype: Any


def operator_name(target: Any) -> str:
    """Return the name of an ATen operator without its overload, '' of anything else."""
    name = str(target)
    if not name.startswith("aten."):
        return ""
    base = name.removeprefix("aten.").split(".")[0]
    return base if is_known(base) or not is_known(base.removesuffix("_")) else base[:-1]


def is_known(name: str) -> bool:
    """Whether there are instructions for an operator of this name."""
    known = name in OPERATORS or name in MOVING or name in _CONVERSIONS or name in FILLS
    return known or name in _SIZES


def is_open(size: Any) -> bool:
    """Whether a size of the export may be any number."""
    return not isinstance(size, int) and bool(size.node.expr.free_symbols)


def is_in_place(node: Any) -> bool:
    """Whether a node changes one of its arguments."""
    base = str(node.target).removeprefix("aten.").split(".")[0]
    return base.endswith("_") and not base.endswith("__") and base != "detach_"


def needed(nodes: Sequence[Any]) -> set[Any]:
    """Return the nodes that some nodes need, these among them."""
    found: set[Any] = set()
    rest = list(nodes)
    while rest:
        node = rest.pop()
        if node not in found:
            found.add(node)
            rest.extend(node.all_input_nodes)
    return found


class Walker:
    """Follows the graph of an exported program.

    Attributes
    ----------
    inputs : list of Input
    """

    def __init__(self, torch: Any, program: Any, findings: Findings) -> None:
        self._torch = torch
        self._findings = findings
        self._known: dict[Any, Any] = {}
        self._nodes = list(program.graph.nodes)
        self._rows: set[str] = set()  # how the export writes the size of the batch
        self.inputs: list[Input] = []
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
            self._rows.add(str(example.shape[self._batch_of(example)]))
            shape = tuple(int(size) for size in example.shape if not is_open(size))
            leaf = ex.source(math.prod(shape), not example.dtype.is_floating_point)
            self.inputs.append(Input(node.name, leaf, shape, example.dtype))
            tensor = ex.reshape(leaf, for_one_sample(example))
            truth = example.dtype == self._torch.bool
            self._known[node] = truth_of(tensor) if truth else tensor
            return
        self._known[node] = self._stand_in(node)

    def _batch_of(self, example: Any) -> int:
        """Return which axis of an input counts the samples."""
        if not is_open(example.shape[0]):
            raise Unsupported(f"the module takes batches of {example.shape[0]} rows only")
        if not all(isinstance(size, int) for size in example.shape[1:]):
            raise Unsupported("only the batch may have any size")
        return 0

    def output(self, places: Sequence[int]) -> Value | None:
        """Return the expression of the chosen outputs, side by side, or None with findings."""
        chosen = [self._results[place] for place in places]
        self._follow(chosen)
        with self._findings.at("output"):
            for node in chosen:
                self._check_rows(node)
            values = [value_of(self._known[node]) for node in chosen]
            return ex.concatenate([ex.reshape(x, (x.size,)) for x in values])
        return None

    def _follow(self, results: Sequence[Any]) -> None:
        """Compute all nodes that some need, unless that is done."""
        wanted = needed(results)
        for node in self._nodes:
            if node.op == "call_function" and node in wanted and node not in self._known:
                self._call(node)

    def _check_rows(self, node: Any) -> None:
        sizes = list(node.meta["val"].shape)
        if self._batch_axes(node.meta["val"]) != [0] or str(sizes[0]) not in self._rows:
            shape = ", ".join(map(str, sizes))
            raise Unsupported(f"an output of shape ({shape}), whose rows are not the samples'")

    def _call(self, node: Any) -> None:
        with self._findings.at(_place(node)):
            self._known[node] = self._result(node)
            return
        self._known[node] = self._stand_in(node)

    def _stand_in(self, node: Any) -> Any:
        """Return what stands for a refused result."""
        example = node.meta.get("val")
        if isinstance(example, list | tuple):
            return [self._unknown(part) for part in example]
        return self._unknown(example)

    def _unknown(self, example: Any) -> Value:
        if not isinstance(example, self._torch.Tensor):
            return ex.unknown(())
        return ex.unknown(for_one_sample(example), not example.dtype.is_floating_point)

    def _result(self, node: Any) -> Any:
        """Return what a node computes."""
        arguments, named = self._resolved(node.args), self._resolved(dict(node.kwargs))
        example = node.meta.get("val")
        if "getitem" in str(node.target):
            return arguments[0][arguments[1]]
        if not str(node.target).startswith("aten."):
            return self._number(node.target, arguments, example)
        name = operator_name(node.target)
        if name in _SIZES:
            return int(example) if isinstance(example, int) else Count(_at_one(example))
        if self._torch.Tag.nondeterministic_seeded in node.target.tags and name not in OPERATORS:
            raise Unsupported(f"random numbers of {node.target}")
        self._check_batch(name, node, example)
        if name in FILLS and isinstance(example, self._torch.Tensor):
            return self._filled(name, arguments, named, example)
        try:
            done = self._made(name, node, arguments, named)
        except _FAILURES as error:
            raise Unsupported(f"not the arguments that are known: {error}") from None
        return self._in_shape(done, example)

    def _made(self, name: str, node: Any, arguments: Any, named: Any) -> Any:
        """Return what an operator makes of its arguments."""
        if not any(isinstance(self._known[item], Value) for item in node.all_input_nodes):
            return self._computed(node.target, arguments, named)
        if name in _CONVERSIONS:
            return converted(arguments[0], str(node.meta["val"].dtype).removeprefix("torch."))
        if name in OPERATORS:
            done = OPERATORS[name](*arguments, **named)
            if done is not NotImplemented:
                return done
        if name not in MOVING:
            raise Unsupported(f"no instructions for {node.target}")
        return moved(self._torch, node.target, arguments, named)

    def _number(self, target: Any, arguments: Any, example: Any) -> Any:
        """Return what Python makes of sizes."""
        if not all(isinstance(x, int | float) for x in arguments):
            raise Unsupported(f"no instructions for {target}")
        done = target(*arguments)
        return done if isinstance(example, int | float | bool) else Count(done)

    def _filled(self, name: str, arguments: Any, named: Any, example: Any) -> Any:
        """Return what has the same number everywhere."""
        fill = FILLS[name]
        if fill is None:
            fill = named.get("fill_value", arguments[-1])
        if isinstance(fill, Count | Value):
            raise Unsupported("a constant of what is not constant")
        made = self._torch.full(for_one_sample(example), fill, dtype=example.dtype)
        return made.numpy()

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

    def _in_shape(self, done: Any, example: Any) -> Any:
        """Return a result in the shape that the export knows: PyTorch drops axes of size 1."""
        if isinstance(done, list | tuple):
            return [self._in_shape(x, part) for x, part in zip(done, example, strict=False)]
        known = isinstance(example, self._torch.Tensor) and isinstance(done, Value)
        if not known or done.kind == "unknown":
            return done
        done = done if example.dtype == self._torch.bool else numbers_of(done)
        if self._has_other_sizes(example):
            return done
        return ex.reshape(done, for_one_sample(example))

    def _has_other_sizes(self, example: Any) -> bool:
        """Whether the export does not know a size: of what a constant mask selects."""
        sizes = [size for size in example.shape if not isinstance(size, int)]
        return not all(map(self._counts_rows, sizes))

    def _check_batch(self, name: str, node: Any, example: Any) -> None:
        """Refuse what mixes samples."""
        counts = any(isinstance(x, Count) for x in self._resolved(list(node.args)))
        pooled = all("embedding_bag" in str(user.target) for user in node.users)
        if name in _COUNTING and counts and not pooled:
            raise Unsupported("numbers that count the samples")
        tensors = [item.meta.get("val") for item in node.all_input_nodes]
        own = [axes for axes in map(self._batch_axes, tensors) if axes]
        if not own:
            return
        results = example if isinstance(example, list | tuple) else [example]
        made = [len(self._batch_axes(x)) for x in results if isinstance(x, self._torch.Tensor)]
        made = made[:1] if name in _FIRST_COUNTS else made
        if any(count != 1 for count in made):
            raise Unsupported("an operation along the batch" if 0 in made else "pairs of samples")
        rank = tensors[0].ndim if isinstance(tensors[0], self._torch.Tensor) else 0
        inner = name in _INNER_AXES and not rank - 2 > own[0][0]
        flat = name == "roll" and not dims_of(node)
        if inner or flat or (name in _BATCH_FIRST and own[0] != [0]):
            raise Unsupported("an operation along the batch")
        if name == "slice":
            self._check_slice(node)
        elif name not in _HARMLESS and any(dim % rank in own[0] for dim in dims_of(node)):
            raise Unsupported("an operation along the batch")

    def _check_slice(self, node: Any) -> None:
        given, defaults = list(node.args), [None, 0, None, None, 1]
        x, dim, start, end, step = given + defaults[len(given) :]
        if dim % x.meta["val"].ndim in self._batch_axes(x.meta["val"]):
            start, end = self._resolved([start, end])
            whole = isinstance(end, Count) or end is None or end >= 2**31
            if step != 1 or not whole or (start and not isinstance(start, Count)):
                raise Unsupported("some rows of the batch")

    def _batch_axes(self, example: Any) -> list[int]:
        if not isinstance(example, self._torch.Tensor):
            return []
        return [axis for axis, size in enumerate(example.shape) if self._counts_rows(size)]

    def _counts_rows(self, size: Any) -> bool:
        if isinstance(size, int):
            return False
        return any(str(symbol) in self._rows for symbol in size.node.expr.free_symbols)

    def _resolved(self, item: Any) -> Any:
        if isinstance(item, self._torch.fx.Node):
            return self._known[item]
        if isinstance(item, list | tuple):
            return [self._resolved(part) for part in item]
        if isinstance(item, dict):
            return {key: self._resolved(part) for key, part in item.items()}
        return item


def dims_of(node: Any) -> list[int]:
    """Return the axes that an operator names."""
    named = parameters_of(node.target) | dict(
        zip(parameters_of(node.target), node.args, strict=False)
    )
    dims = {**named, **node.kwargs}.get("dim", named.get("dims"))
    return [dims] if isinstance(dims, int) else list(dims or [])


def for_one_sample(example: Any) -> tuple[int, ...]:
    """Return the shape that a tensor of the export has for one sample."""
    return tuple(size if isinstance(size, int) else _at_one(size) for size in example.shape)


def _at_one(size: Any) -> int:
    expression = size.node.expr
    value = expression.subs(dict.fromkeys(expression.free_symbols, 1))
    if not value.is_Integer:
        raise Unsupported(f"the size {expression}")
    return int(value)


def _place(node: Any) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    inside = stack[-1][0] if stack else ""
    return f"{inside or 'module'}, {node.name}"
