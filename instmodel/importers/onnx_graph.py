"""ONNX graphs as expressions: a handler for each node, and what comes of one."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from instmodel.base.limits import DEFAULT_LIMITS
from instmodel.errors import DocumentError, InputError, StructureError, UnsupportedModelError
from instmodel.importers import expressions as ex
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Value
from instmodel.importers.onnx_choices import CHOICE_OPERATORS
from instmodel.importers.onnx_constants import Shapes, folded, is_folded
from instmodel.importers.onnx_context import Node, Notes, Refused
from instmodel.importers.onnx_file import Runtime, Session, load_model, needed_nodes, tensor_array
from instmodel.importers.onnx_inputs import GraphInput, is_recurrent, states_among
from instmodel.importers.onnx_ml import ML_OPERATORS
from instmodel.importers.onnx_moved import FixedSteps, Moved
from instmodel.importers.onnx_moved import run as run_moved
from instmodel.importers.onnx_norms import NORM_OPERATORS
from instmodel.importers.onnx_ops import OPERATORS
from instmodel.importers.onnx_properties import Properties, StepStates
from instmodel.importers.onnx_recurrent import MISPLACED, RECURRENT_OPERATORS
from instmodel.importers.onnx_sequences import SequenceSession, StepSession
from instmodel.importers.onnx_shapes import SHAPE_OPERATORS
from instmodel.importers.operands import Operand, one_row

_MAIN, _ML = ("", "ai.onnx"), "ai.onnx.ml"
# All numbers of all values of the graph together: a hostile graph must not fill the memory.
_BUDGET = 4 * DEFAULT_LIMITS.max_weight_count
# All numbers that constants are computed from: nor must it take hours.
_CONSTANT_WORK = 4 * _BUDGET


@dataclass(frozen=True)
class Translation:
    """A tensor of a graph as an expression.

    Attributes
    ----------
    output : Value
        Of a sample, or of a step of a sequence.
    inputs : list of (name, Value)
        The inputs of the graph that are features.
    found : operand, or Moved
        The tensor with its axes.
    time : int or None
        Which axis of the inputs the steps are, in a recurrent graph.
    held : set of str
        Inputs that are states: the model keeps them itself. Those of a recurrent node are zeros
        before the first step.
    count : int
        How many steps the graph takes, 0 where the inputs say it, or may have any number.
    """

    output: Value
    inputs: list[tuple[str, Value]]
    found: Any
    time: int | None
    held: frozenset[str]
    count: int

    @property
    def is_recurrent(self) -> bool:
        """Whether the graph has steps, or is one."""
        return self.time is not None or bool(self.held)

    @property
    def metadata(self) -> dict[str, Any]:
        """What a document says of a graph with steps: which it returns, and where it starts."""
        if self.time is None:
            return {}
        every = isinstance(self.found, Moved) and self.found.time is not None
        said: dict[str, Any] = {"source_returns": "every step" if every else "the last step"}
        if self.held:
            said["start_as_zeros"] = sorted(self.held)
        return said


class OnnxGraph:
    """A loaded ONNX model: its inputs and outputs, as an importer needs them.

    Parameters
    ----------
    model : path-like, bytes or ModelProto

    Raises
    ------
    InstModelError
        See `from_onnx`.
    """

    def __init__(self, model: Any) -> None:
        self._model = load_model(model)
        self._graph = self._model.graph
        self._constants = {item.name: item for item in self._graph.initializer}
        given = [item for item in self._graph.input if item.name not in self._constants]
        self._inputs = [GraphInput(item) for item in given]
        self._shapes = Shapes(self._model)
        self._opsets = {item.domain: item.version for item in self._model.opset_import}
        self.properties = Properties(self._model)
        self._step = self._one_step()

    def session(self, output: str) -> Session:
        """Return ONNX Runtime, for one tensor of a model of rows."""
        findings = Findings("ONNX")
        described = [
            (item.name, item.shape([0], findings), item.dtype, item.sizes[0] or None)
            for item in self._inputs
        ]
        return Session(self._model, described, output)

    def sequence_session(self, output: str, found: Translation) -> SequenceSession | StepSession:
        """Return ONNX Runtime, for one tensor of a model of sequences, which `found` tells of."""
        kinds: tuple[list[GraphInput], list[GraphInput]] = ([], [])
        for item in self._inputs:
            kinds[item.name in found.held].append(item)
        if found.time is None:
            assert self._step is not None
            runtime = Runtime(self._model, output, self._step.output)
            return StepSession(runtime, kinds[0], self._step)
        runtime = Runtime(self._model, output)
        return SequenceSession(runtime, *kinds, found.time, found.found, found.count)

    def whole_inputs(self) -> list[bool]:
        """Return for each input whether it takes whole numbers."""
        return [item.is_whole for item in self._inputs]

    def choose_output(self, name: str | None = None) -> str:
        """Return the name of the tensor to compute."""
        known = {text for node in self._graph.node for text in node.output if text}
        if name is not None:
            if name not in known:
                raise InputError(
                    "invalid_type", "no such tensor", field="output", actual=repr(name)
                )
            return self._scores(name)
        outputs = [item.name for item in self._graph.output]
        if self._step is not None:
            outputs = [name for name in outputs if name != self._step.output]
        if len(outputs) > 1:
            labels = {node.output[0] for node in self._graph.node if node.op_type in _CLASSIFIERS}
            types = {i.name: i.type.tensor_type.elem_type for i in self._graph.output}
            # 0: no tensor, as the dictionaries of a ZipMap
            outputs = [n for n in outputs if n not in labels and types[n] in (0, 1, 11)]
        if len(outputs) != 1 or outputs[0] not in known:
            raise InputError(
                "ambiguous_output",
                "choose one tensor with output=",
                expected="one output of numbers",
                actual=", ".join(str(item.name) for item in self._graph.output),
            )
        return self._scores(outputs[0])

    def _scores(self, name: str) -> str:
        """Return what a ZipMap makes dictionaries of."""
        for node in self._graph.node:
            if name in node.output and node.op_type == "ZipMap" and node.input:
                return str(node.input[0])
        return name

    def translate(self, output: str) -> Translation:
        """Return the expression of a tensor, and the inputs of the graph.

        Raises
        ------
        UnsupportedModelError
        """
        if self._step is not None:
            return self._translate_step(output, self._step)
        nodes = needed_nodes(self._graph, output)
        if not is_recurrent(nodes):
            return self._translate(output, nodes, {})[0]
        states = states_among(self._inputs, nodes)
        held = {item.name: item.zeros() for item in self._inputs if item.name in states}
        # Which axis the steps are, a graph does not say; recurrent nodes take them in one place.
        errors: list[UnsupportedModelError] = []
        for time in (1, 0):
            try:
                try:
                    return self._translate(output, nodes, held, time)[0]
                except FixedSteps as found:
                    return self._translate(output, nodes, held, time, found.count)[0]
            except UnsupportedModelError as error:
                errors.append(error)
        raise min(errors, key=_distance)

    def _one_step(self) -> StepStates | None:
        """Return the states of a graph that is one step, if it has what its properties say."""
        states = self.properties.states()
        if states is None:
            return None
        sizes = {item.name: item.sizes[1:] for item in self._inputs}.get(states.input)
        computed = {name for node in self._graph.node for name in node.output}
        return states if sizes == [sum(states.sizes)] and states.output in computed else None

    def _translate_step(self, output: str, step: StepStates) -> Translation:
        leaf = step.leaf()
        nodes = needed_nodes(self._graph, output, step.output)
        found, known = self._translate(output, nodes, {step.input: leaf})
        after = known[step.output]
        if not isinstance(after, Value) or after.shape != leaf.shape:
            raise DocumentError(
                "invalid_document", "the states after a step are not such as before", field="state"
            )
        step.keep(leaf, after)
        return found

    def _translate(
        self,
        output: str,
        nodes: Sequence[Any],
        held: Mapping[str, Operand],
        time: int | None = None,
        count: int = 0,
    ) -> tuple[Translation, Mapping[str, Any]]:
        """Return the expression of a tensor, and all others that were met.

        Parameters
        ----------
        output : str
        nodes : sequence of NodeProto
            Those that are needed.
        held : mapping of str to operand
            What stands for the inputs that are states.
        time : int, optional
            Which axis of the inputs the steps are.
        count : int
            How many steps there are, if nodes say it and the inputs do not.
        """
        findings = Findings("ONNX")
        known: dict[str, Any] = {}  # operands, or `Moved`; None: follows what is refused
        leaves = self._leaves(known, findings, held, time, count)
        findings.check()
        notes: Notes = {}
        budget, work = _BUDGET, _CONSTANT_WORK
        for index, node in enumerate(nodes):
            place = f"node {node.name or index!r} ({node.op_type})"
            results: Any = None
            try:
                results = self._run_handler(node, known, notes, place)
            except Refused as refused:
                findings.add(place, refused)
                results = refused.instead
            except ex.Unsupported as reason:
                findings.add(place, reason)
            named = _named(node, results, place) if results is not None else self._stand_ins(node)
            known |= named
            budget -= sum(math.prod(item.shape) for item in named.values() if item is not None)
            if budget < 0:
                raise StructureError(
                    "buffer_limit_exceeded",
                    f"{place}: the tensors of the graph together are too large",
                    expected=f"at most {_BUDGET} numbers",
                )
            if all(isinstance(item, np.ndarray) for item in named.values()):
                work -= sum(math.prod(known[name].shape) for name in node.input if name)
            if work < 0:
                raise StructureError(
                    "buffer_limit_exceeded",
                    f"{place}: the constants of the graph take too long to compute",
                    expected=f"at most {_CONSTANT_WORK} numbers that they are computed from",
                )
        found = known.get(output)
        value = found
        if found is not None and not isinstance(found, Value):
            with findings.at("output"):
                if isinstance(found, Moved):
                    if time is None:
                        raise ex.Unsupported("its first axis is not the batch")
                    value = found.value
                else:
                    value = one_row(found)
        findings.check(value if isinstance(value, Value) else None)
        assert isinstance(value, Value)
        return Translation(value, leaves, found, time, frozenset(held), count), known

    def _leaves(
        self,
        known: dict[str, Any],
        findings: Findings,
        held: Mapping[str, Operand],
        time: int | None,
        count: int,
    ) -> list[tuple[str, Value]]:
        """Return the inputs of the graph, and note what they are as operands: `known` OUT."""
        leaves = []
        for item in self._inputs:
            with findings.at(f"input {item.name!r}"):
                if item.name in held:
                    known[item.name] = held[item.name]
                    continue
                leaf, known[item.name] = (
                    item.row(findings) if time is None else item.step(findings, time, count)
                )
                leaves.append((item.name, leaf))
        return leaves

    def _run_handler(self, node: Any, known: dict[str, Any], notes: Notes, place: str) -> Any:
        domain = "" if node.domain in _MAIN else node.domain
        handler = _HANDLERS.get(domain, {}).get(node.op_type)
        fixed = not domain and is_folded(node.op_type) and self._all_constant(node, known)
        if handler is None and not fixed:
            raise ex.Unsupported(
                f"no instructions for {node.domain}:{node.op_type}".replace(" :", " ")
            )
        inputs: list[Operand | None] = []
        for name in node.input:
            if name in self._constants and name not in known:
                known[name] = tensor_array(self._constants[name])
            if name and name not in known:
                raise DocumentError(
                    "invalid_document", f"{place}: nothing before it computes {name!r}"
                )
            if name and known[name] is None:
                return None  # the reason is noted already
            inputs.append(known[name] if name else None)
        version = self._opsets.get(node.domain, self._opsets.get("", 1))
        try:
            if fixed:
                return folded(node, [x for x in inputs if not isinstance(x, Value)], version)
            assert handler is not None
            seen = Node(node.op_type, version, inputs, _attributes(node), notes, len(node.output))
            moved = any(isinstance(item, Moved) for item in inputs)
            moved = moved and node.op_type not in RECURRENT_OPERATORS
            return run_moved(seen, handler) if moved else handler(seen)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if isinstance(error, StructureError | DocumentError):
                raise
            raise ex.Unsupported(f"not what the operator takes: {error}") from None

    def _all_constant(self, node: Any, known: dict[str, Any]) -> bool:
        return all(
            isinstance(known[name], np.ndarray) if name in known else name in self._constants
            for name in node.input
            if name
        )

    def _stand_ins(self, node: Any) -> dict[str, Operand | None]:
        """Return what stands in for the outputs of a node that was refused, or follows one."""
        found: dict[str, Operand | None] = {}
        for name in node.output:
            found[name] = None
            with contextlib.suppress(ex.Unsupported):
                found[name] = self._shapes.stand_in(name)
        return found


_HANDLERS: dict[str, dict[str, Any]] = {
    "": OPERATORS | CHOICE_OPERATORS | NORM_OPERATORS | SHAPE_OPERATORS | RECURRENT_OPERATORS,
    _ML: ML_OPERATORS,
}
_CLASSIFIERS = ("LinearClassifier", "TreeEnsembleClassifier", "SVMClassifier", "ArgMax")


def _distance(error: UnsupportedModelError) -> tuple[int, int]:
    """Return how far a guess at the axes was off: nodes that have them elsewhere, all pieces."""
    return sum(MISPLACED in piece for piece in error.pieces), len(error.pieces)


def _named(node: Any, results: Any, place: str) -> dict[str, Operand | None]:
    """Return the outputs of a node by name: what its handler returned."""
    listed = results if isinstance(results, list) else [results]
    missing = [
        ex.opaque((1,), [], f"{place}: no instructions for the output {name!r}")
        for name in node.output[len(listed) :]
    ]
    # NumPy makes scalars of arrays without axes.
    operands = [np.asarray(r) if isinstance(r, np.generic) else r for r in [*listed, *missing]]
    return dict(zip(node.output, operands, strict=False))


def _attributes(node: Any) -> dict[str, Any]:
    import onnx.helper

    found: dict[str, Any] = {}
    for item in node.attribute:
        if item.type == onnx.AttributeProto.TENSOR:
            found[item.name] = tensor_array(item.t)
        elif item.type in _PLAIN:
            found[item.name] = onnx.helper.get_attribute_value(item)
        else:
            raise ex.Unsupported(f"the attribute {item.name!r} holds no numbers")
    return found


_PLAIN = (1, 2, 3, 6, 7, 8)  # float, int, string, and lists of them
