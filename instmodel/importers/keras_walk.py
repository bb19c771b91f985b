"""From Keras's graph to expressions: layer by layer, and through the `call` of what is one's own.

Design
------
A. Every symbolic tensor knows the node that made it: an operation and its arguments. The walker
   goes back from the outputs to the tensors that are known, and then forward.
B. What has no handler, a layer of one's own or one that Keras makes of `keras.ops`, is followed:
   its `call` runs on symbolic tensors, as the functional API of Keras runs it. They hold no
   numbers, so no `call` can decide by them.
C. A `call` that needs the size of the batch gets `BATCH_SIZE`; a constant that it makes of that
   many equal rows is a row for each sample.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keras_layers import LAYERS, has_known_activation
from instmodel.importers.keras_ops import CALCULATIONS
from instmodel.importers.keras_products import PRODUCTS
from instmodel.importers.keras_recurrent import RECURRENT, check_steps, has_steps, recurrent_layer
from instmodel.importers.keras_shapes import SHAPES

OPERATIONS = CALCULATIONS | PRODUCTS | SHAPES
_LAYERS = LAYERS | dict.fromkeys(RECURRENT, recurrent_layer)

# Prime and unusual: a shape with it names the batch.
BATCH_SIZE = 1021

# What Keras computes a model or a layer with, besides `call`.
_NOT_ONES_OWN = ("__call__", "predict", "predict_step", "predict_on_batch", "make_predict_function")


def _each_step(layer: Any) -> Callable[..., Any]:
    """Return what TimeDistributed computes; its own `call` moves the batch."""
    import keras

    def call(x: Any) -> Any:
        steps = range(x.shape[1])
        return keras.ops.stack([layer.layer(x[:, step]) for step in steps], axis=1)

    return call


# Layers whose mask is one more argument; that need none for scoring; and those without a handler
# that look at none.
_MASKED = ("Softmax", "GlobalAveragePooling1D")
_WITHOUT_MASKS = ("BatchNormalization",)
_ELEMENTWISE = ("LayerNormalization", "RMSNormalization", "UnitNormalization", "EinsumDense")
_MASKS = ("mask", "query_mask", "value_mask", "key_mask")

_CALLS: dict[str, Callable[[Any], Callable[..., Any]]] = {"TimeDistributed": _each_step}


def graph_of(model: Any) -> Any:
    """Return the functional model that says what a model computes, or None if only `call` does."""
    if getattr(model, "inputs", None) is None or "call" in vars(model):
        return None
    if not type(model).call.__module__.startswith("keras."):
        return None
    # A sequential model keeps its graph in a functional one.
    return getattr(model, "_functional", None) or model


def _is_own(operation: Any) -> bool:
    """Whether an operation may compute something else than what Keras's class of its name does."""
    return not type(operation).__module__.startswith("keras.") or "call" in vars(operation)


class Walker:
    """Applies handlers to the operations of a model, also of models inside of it."""

    def __init__(self, keras: Any, findings: Findings, sequences: Sequence[Value] = ()) -> None:
        self._keras = keras
        self._tree = keras.tree
        self._findings = findings
        self._weights: list[Any] = []
        self._sequences = sequences  # inputs that have one step of many

    def model(self, model: Any, arguments: Any, place: str = "") -> Any:
        """Return what a model makes of its inputs, in the structure of its outputs.

        Parameters
        ----------
        model : keras.Model
        arguments : nested structure of Value
            What the model is called with.
        place : str
            Where it stands in the model around it.
        """
        self._check_methods(model)
        graph = graph_of(model)
        if graph is None:
            dtype = model.input_dtype
            symbolic = self._tree.map_structure(lambda x: self._tensor(x, dtype), arguments)
            return self._traced(model, [symbolic], {}, self._tree.flatten(arguments), place)
        known = {
            id(tensor): x
            for tensor, x in zip(graph.inputs, self._tree.flatten(arguments), strict=True)
        }
        self._follow(graph.outputs, known, place)
        return self._tree.map_structure(lambda tensor: known[id(tensor)], graph._outputs_struct)

    def _follow(self, outputs: Sequence[Any], known: dict[int, Any], place: str) -> list[Any]:
        """Compute all that `outputs` need, IN/OUT into `known`; return the nodes."""
        nodes = _ordered(outputs, known)
        for node in nodes:
            results = self._tree.flatten(self._result(node, known, place))
            for tensor, value in zip(node.outputs, results, strict=True):
                known[id(tensor)] = value
        return nodes

    def _result(self, node: Any, known: Mapping[int, Any], place: str) -> Any:
        operation = node.operation
        inside = f"{place}.{operation.name}" if place else str(operation.name)
        is_layer = isinstance(operation, self._keras.layers.Layer)
        kind = type(operation).__name__
        with self._findings.at(f"{'layer' if is_layer else 'operation'} {inside!r} ({kind})"):
            positional, named = self._filled(node, known)
            if is_layer:
                _check_call(node, named, self._tree)
            check_steps(node, bool(self._sequences))
            if isinstance(operation, self._keras.Model) and graph_of(operation) is not None:
                return self.model(operation, positional[0], inside)
            return self._applied(node, known, positional, named, inside)
        return [_placeholder(tensor) for tensor in node.outputs]

    def _filled(self, node: Any, known: Mapping[int, Any]) -> tuple[Any, Any]:
        """Return the arguments of a node, with values and arrays in the place of tensors."""

        def filled(x: Any) -> Any:
            if isinstance(x, self._keras.KerasTensor):
                return known[id(x)]
            if isinstance(x, self._keras.Variable):
                return np.asarray(self._keras.ops.convert_to_numpy(x))
            if not self._keras.ops.is_tensor(x) and not isinstance(x, np.ndarray):
                return x
            return _one_for_all(np.asarray(self._keras.ops.convert_to_numpy(x)))

        arguments = (node.arguments.args, node.arguments.kwargs)
        positional, named = self._tree.map_structure(filled, arguments)
        return positional, named

    def _applied(
        self, node: Any, known: Mapping[int, Any], positional: Any, named: Any, inside: str
    ) -> Any:
        operation, kind = node.operation, type(node.operation).__name__
        is_layer = isinstance(operation, self._keras.layers.Layer)
        flat = self._tree.flatten((positional, named))
        if not is_layer and not any(isinstance(x, Value) for x in flat):
            return self._computed(operation, positional, named)
        own = _is_own(operation)
        handler = None if own else (_LAYERS if is_layer else OPERATIONS).get(kind)
        if is_layer and getattr(operation, "quantization_mode", None):
            raise Unsupported(f"quantized to {operation.quantization_mode}")
        if handler is not None and (not is_layer or has_known_activation(operation)):
            try:
                return handler(operation, *positional, **named)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise Unsupported(f"not the arguments that are known: {error}") from None
        if not own and not is_layer:
            raise Unsupported("no instructions for it")
        self._check_methods(operation)
        arguments = node.arguments
        one_step = kind in _CALLS  # which goes through the steps that there are
        tensors, others = self._tree.map_structure(
            lambda x: self._again(x, known, one_step), (arguments.args, arguments.kwargs)
        )
        rest = {name: x for name, x in others.items() if name in named}
        given = [x for x in self._tree.flatten((positional, named)) if isinstance(x, Value)]
        return self._traced(operation, tensors, rest, given, inside)

    def _computed(self, operation: Any, positional: Any, named: Any) -> Any:
        """Return what an operation makes of constants."""
        try:
            with self._keras.StatelessScope():
                result = operation.call(*positional, **named)
        except Exception as error:  # of the backend
            raise Unsupported(f"not to be computed: {error}") from None
        as_array = self._keras.ops.convert_to_numpy
        return self._tree.map_structure(lambda x: _one_for_all(np.asarray(as_array(x))), result)

    def _again(self, x: Any, known: Mapping[int, Any], one_step: bool) -> Any:
        """Return a new tensor like a symbolic one, of the shape that its value has."""
        if not isinstance(x, self._keras.KerasTensor):
            return x
        return self._tensor(known[id(x)], x.dtype, self._has_steps(x) and not one_step)

    def _has_steps(self, tensor: Any) -> bool:
        return bool(self._sequences) and has_steps(tensor)

    def _tensor(self, value: Value, dtype: str, steps: bool = False) -> Any:
        if steps or any(value is item for item in self._sequences):
            return self._keras.KerasTensor((None, None, *value.shape[1:]), dtype)
        return self._keras.KerasTensor((None, *value.shape), dtype)

    def _check_methods(self, operation: Any) -> None:
        for name in _NOT_ONES_OWN:
            found = inspect.getattr_static(operation, name, None)
            module = getattr(found, "__module__", None) or "keras."
            if not module.startswith(("keras.", "torch.")):
                raise Unsupported(f"its own {name}")

    def _traced(
        self, operation: Any, positional: Any, named: Any, values: Sequence[Value], place: str
    ) -> Any:
        """Return what the `call` of an operation makes of values.

        Parameters
        ----------
        operation : keras.Operation
        positional, named : nested structure of KerasTensor
            What it is called with.
        values : sequence of Value
            In the place of these tensors, in their order.
        place : str
        """
        special = None if _is_own(operation) else _CALLS.get(type(operation).__name__)
        call = operation.call if special is None else special(operation)
        if "training" in inspect.signature(call).parameters:
            named = {**named, "training": False}
        inputs, constants, outputs = self._tried(operation, call, positional, named)
        known = {id(tensor): value for tensor, value in zip(inputs, values, strict=True)}
        known |= constants
        nodes = self._follow(self._symbolic(outputs), known, place)
        _forget(nodes)
        return self._tree.map_structure(lambda x: self._returned(x, known), outputs)

    def _tried(self, operation: Any, call: Any, positional: Any, named: Any) -> tuple[Any, ...]:
        """Return symbolic inputs, constants and outputs of a call that could be followed."""
        constants: dict[int, Any] = {}
        other = self._with_symbolic_weights(operation, call, constants)
        reason: Exception | None = None
        for item, batch in ((call, None), (call, BATCH_SIZE), (other, BATCH_SIZE)):
            try:
                return self._called(item, positional, named, batch, constants)
            except Exception as error:  # what a call of one's own raises may be anything
                reason = reason or error
        raise Unsupported(_why_not(operation, reason)) from None

    def _called(
        self, call: Any, positional: Any, named: Any, batch: int | None, constants: Any
    ) -> tuple[Any, ...]:
        def sized(x: Any) -> Any:
            if not isinstance(x, self._keras.KerasTensor):
                return x
            return self._keras.KerasTensor((batch, *x.shape[1:]), x.dtype)

        arguments = self._tree.map_structure(sized, (positional, named))
        with self._keras.StatelessScope():  # the call changes no variable
            outputs = call(*arguments[0], **arguments[1])
        return self._symbolic(arguments), constants, outputs

    def _with_symbolic_weights(self, operation: Any, call: Any, constants: dict[int, Any]) -> Any:
        """Return a call that finds symbolic tensors in the place of the variables of its layer.

        Those may stand on either side of an operator; ``variable * tensor`` would ask for numbers.
        What they hold goes into `constants`, by their id.
        """
        if getattr(call, "__self__", None) is not operation:
            return call

        def symbolic(x: Any) -> Any:
            if not isinstance(x, self._keras.Variable):
                return x
            tensor = self._keras.KerasTensor(x.shape, x.dtype)
            self._weights.append(tensor)  # an id is good as long as its tensor lives
            constants[id(tensor)] = np.asarray(self._keras.ops.convert_to_numpy(x))
            return tensor

        class Symbolic(type(operation)):  # type: ignore[misc]  # a class that is known now
            def __getattribute__(self, name: str) -> Any:
                found: Any = super().__getattribute__(name)
                return [symbolic(x) for x in found] if isinstance(found, list) else symbolic(found)

        double: Any = object.__new__(Symbolic)
        object.__setattr__(double, "__dict__", vars(operation))
        return call.__func__.__get__(double)

    def _symbolic(self, structure: Any) -> list[Any]:
        return [x for x in self._tree.flatten(structure) if isinstance(x, self._keras.KerasTensor)]

    def _returned(self, x: Any, known: Mapping[int, Any]) -> Any:
        if isinstance(x, self._keras.KerasTensor):
            return known[id(x)]
        if x is None:
            raise Unsupported("it returns None")
        rows = _one_for_all(np.asarray(self._keras.ops.convert_to_numpy(x)))
        if not rows.ndim or len(rows) != 1:
            raise Unsupported("it returns a constant")
        return ex.constant(rows[0])


def _check_call(node: Any, named: dict[str, Any], tree: Any) -> None:
    """Take out of the arguments of a layer, IN/OUT, what says how it runs; refuse other masks."""
    if named.pop("training", None):
        raise Unsupported("training=True")
    kind = type(node.operation).__name__
    if kind in _MASKED and not _is_own(node.operation):
        return
    masks = [named.pop(name) for name in list(named) if name in _MASKS]
    given = any(part is not None for part in tree.flatten(masks))
    # Layers inside of one's own see the masks that its tensors carry.
    carried = any(getattr(x, "_keras_mask", None) is not None for x in node.arguments.keras_tensors)
    if carried and (kind not in LAYERS or _is_own(node.operation)):
        given = _is_own(node.operation) or kind not in _ELEMENTWISE
    if given and kind not in _WITHOUT_MASKS:
        raise Unsupported("a mask")


def _ordered(outputs: Sequence[Any], known: Mapping[int, Any]) -> list[Any]:
    """Return the nodes that `outputs` need, those before that others need; without recursion."""
    order: list[Any] = []
    seen: set[int] = set()
    stack = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, ready = stack.pop()
        if id(tensor) in known:
            continue
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((tensor, True))
            stack.extend((x, False) for x in reversed(node.arguments.keras_tensors))
    return order


def _forget(nodes: Sequence[Any]) -> None:
    """Take nodes of our own out of the layers that they were made of."""
    for node in nodes:
        inbound = node.operation._inbound_nodes
        inbound[:] = [other for other in inbound if other is not node]
        for tensor in node.arguments.keras_tensors:
            maker = tensor._keras_history.operation
            if maker is not None:
                outbound = maker._outbound_nodes
                outbound[:] = [other for other in outbound if other is not node]


def _one_for_all(array: Any) -> Any:
    """Return a constant of `BATCH_SIZE` equal rows as one of one row."""
    if array.ndim and len(array) == BATCH_SIZE and np.all(array == array[:1]):
        return array[:1]
    return array


def _placeholder(tensor: Any) -> Value:
    """Return what stands for a refused result, to find out what else is in the way."""
    return ex.unknown([size or 1 for size in tensor.shape[1:]], "int" in str(tensor.dtype))


def _why_not(operation: Any, error: Exception | None) -> str:
    if type(operation).__module__.startswith("keras.") and type(operation).__name__ != "Lambda":
        return "no instructions for it"
    return f"its call cannot be followed: {told(error)}"


def told(error: Exception | None) -> str:
    """Return the sentence of an error of Keras, which stands between two other paragraphs."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    marked = [line for line in lines if line.startswith("\x1b[1m")]
    sentence = (marked or lines or [type(error).__name__])[0]
    return sentence.removeprefix("\x1b[1m").removesuffix("\x1b[0m")
