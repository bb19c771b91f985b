"""Import Keras 3 models, whatever backend Keras runs on."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from instmodel.base.extras import require as require_package
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import DocumentError, InputError, InstModelError
from instmodel.importers import common
from instmodel.importers import expressions as ex
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keras_layers import LAYERS, OPERATIONS


def from_keras(
    model: Any, *, features: Sequence[str] | None = None, sample: ArrayLike | None = None
) -> InstructionModelInfo:
    """Turn a Keras 3 model into a model document.

    Parameters
    ----------
    model : keras.Model
        A functional or sequential model that is built.
    features : sequence of str, optional
        Names of the features of all inputs together.
    sample : array_like of shape (N, F), optional
        Rows on which the import is compared with the model, and of which a few become the
        document's validation data. Several inputs stand side by side.

    Raises
    ------
    InstModelError
        ``unsupported_model`` with every layer that has no instructions; ``import_mismatch`` when
        the model computes something else; ``missing_package``.
    """
    keras = _keras()
    if not _has_graph(keras, model) or not model.built:
        raise InputError(
            "invalid_type",
            "nothing to import",
            field="model",
            expected="a functional or sequential keras.Model that is built",
            actual=type(model).__name__,
        )
    findings = Findings("Keras")
    inputs = _inputs(model, findings)
    findings.check()
    leaves = [leaf for _, leaf, _, _ in inputs]
    arguments = [ex.reshape(leaf, shape) for _, leaf, shape, _ in inputs]
    result = _Walker(keras, findings).model(model, arguments, "")
    if isinstance(result, list):
        raise InputError("ambiguous_output", "the model has several outputs", actual=len(result))
    findings.check(result)
    names = features
    if names is None:
        names = common.feature_names([(name, leaf) for name, leaf, _, _ in inputs])
    info = common.build(result, leaves, names, {"imported_from": "Keras", "model": model.name})
    return common.compared(info, result, leaves, sample, lambda rows: source_outputs(model, rows))


def load_keras(path: str | os.PathLike[str]) -> InstructionModelInfo:
    """Import a ``.keras`` file; in Keras's safe mode, which refuses code inside of it."""
    keras = _keras()
    os.stat(path)  # a missing file is an OSError here, too
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # of Keras, of its backend, of zip and HDF5
        raise DocumentError("invalid_document", f"Keras does not load it: {error}") from None
    return from_keras(model)


def _keras() -> Any:
    try:
        return require_package("keras", "keras")
    except InstModelError as error:
        missing = error.__cause__
        if not isinstance(missing, ImportError) or (missing.name or "keras") == "keras":
            raise
        raise InstModelError(
            "missing_package",
            "Keras needs its backend: install it, or name one that is there in KERAS_BACKEND "
            "(tensorflow, jax or torch)",
            actual=missing,
        ) from missing


def source_outputs(model: Any, rows: ArrayLike) -> Any:
    """Return what the model computes for rows (N, F), several inputs side by side: (N, O)."""
    table = np.asarray(rows, np.float32)
    inputs = _inputs(model, Findings("Keras"))
    parts = common.side_by_side(table, (shape for _, _, shape, _ in inputs))
    tensors = [part.astype(dtype) for part, (*_, dtype) in zip(parts, inputs, strict=True)]
    outputs = model.predict(tensors if len(tensors) > 1 else tensors[0], batch_size=1024, verbose=0)
    return np.asarray(outputs, np.float64).reshape(len(table), -1)


def _inputs(model: Any, findings: Findings) -> list[tuple[str, Value, tuple[int, ...], str]]:
    """Return name, leaf, shape of a sample and dtype of each input."""
    found = []
    for tensor in model.inputs:
        shape = tuple(tensor.shape[1:])
        if None in shape:
            findings.add(f"input {tensor.name!r}", "only the batch may have any size")
            continue
        with findings.at(f"input {tensor.name!r}"):
            found.append((tensor.name, ex.source(math.prod(shape)), shape, str(tensor.dtype)))
    return found


def _has_graph(keras: Any, model: Any) -> bool:
    # What a subclass of Model computes is Python code, unless it was made of inputs and outputs.
    return isinstance(model, keras.Model) and hasattr(model, "inputs")


class _Walker:
    """Applies handlers to the layers of a model, also of models inside of it."""

    def __init__(self, keras: Any, findings: Findings) -> None:
        self._keras = keras
        self._findings = findings

    def model(self, model: Any, arguments: Sequence[Value], place: str) -> Any:
        """Return what a model makes of its inputs."""
        if isinstance(model, self._keras.Sequential):
            result: Any = arguments[0]
            for layer in model.layers:
                result = self._operation(layer, place)(result)
            return result
        values = {id(tensor): x for tensor, x in zip(model.inputs, arguments, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                # Puts our values in the place of the symbolic tensors.
                positional, named = node.arguments.fill_in(values)
                outputs = self._operation(node.operation, place)(*positional, **named)
                listed = outputs if isinstance(outputs, list) else [outputs]
                for tensor, value in zip(node.outputs, listed, strict=False):
                    values[id(tensor)] = value
        results = [values[id(tensor)] for tensor in model.outputs]
        return results if len(results) > 1 else results[0]

    def _operation(self, operation: Any, place: str) -> Any:
        """Return a function of values that does what a layer or operation does."""
        kind = type(operation).__name__
        inside = f"{place}.{operation.name}" if place else str(operation.name)
        is_layer = isinstance(operation, self._keras.layers.Layer)

        def apply(*positional: Any, **named: Any) -> Any:
            named.pop("mask", None)
            training = named.pop("training", None)
            if _has_graph(self._keras, operation):
                x: Any = positional[0]
                return self.model(operation, x if isinstance(x, list) else [x], inside)
            with self._findings.at(f"layer {inside!r} ({kind})"):
                handler = (LAYERS if is_layer else OPERATIONS).get(kind)
                if handler is None or not type(operation).__module__.startswith("keras."):
                    raise Unsupported("no instructions for it")
                if training:
                    raise Unsupported("training=True")
                try:
                    return handler(operation, *positional, **named)
                except (TypeError, IndexError, AttributeError) as error:
                    raise Unsupported(f"not the arguments that are known: {error}") from None
            return self._placeholder(operation, positional)

        return apply

    def _placeholder(self, operation: Any, positional: Sequence[Any]) -> Any:
        """Return a value of the right shape after what has no instructions, to go on with."""
        output = getattr(operation, "output", None)  # symbolic, of the first call
        shape = getattr(output, "shape", (None, 1))[1:]
        return ex.reshape(ex.source(math.prod(shape)), shape)
