"""Import Keras 3 models, whatever backend Keras runs on."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.base import arrays
from instmodel.base.categories import Categories
from instmodel.base.extras import require as require_package
from instmodel.base.features import parse_feature_names
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import DocumentError, InputError, InstModelError, ValidationDataError
from instmodel.importers import common
from instmodel.importers import expressions as ex
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Value
from instmodel.importers.keras_outputs import Choice, chosen_outputs
from instmodel.importers.keras_recurrent import has_steps
from instmodel.importers.keras_texts import TextInput
from instmodel.importers.keras_walk import Walker, graph_of, told
from instmodel.importers.keys import to_integers, without_conversions_of
from instmodel.importers.sequences import compared_sequences
from instmodel.importers.torch_choices import converted


def from_keras(
    model: Any,
    *,
    features: Sequence[str] | None = None,
    output: Choice = None,
    sample: Any = None,
) -> InstructionModelInfo:
    """Turn a Keras 3 model into a model document.

    Parameters
    ----------
    model : keras.Model
        Functional, sequential or of one's own class; built, so it knows the shapes of its inputs: a
        model of one's own class is, once it was called. One with an input of any number of steps,
        of shape (None, None, ...), becomes a recurrent model.
    features : sequence of str, optional
        Names of the features of all inputs together.
    output : str, int or sequence of them, optional
        Which outputs the model is to compute, side by side, where it has several: keys of its
        dictionary, names of the layers that make them, or positions.
    sample : array_like of shape (N, F), optional
        Rows on which the import is compared with the model, and of which a few become the
        document's validation data. Several inputs stand side by side; text may be text. For a
        recurrent model a list of sequences, (T, F) each.

    Raises
    ------
    InstModelError
        ``unsupported_model`` with every layer that has no instructions; ``import_mismatch`` when
        the model computes something else; ``ambiguous_output`` when it has several outputs and
        none is chosen; ``source_failed`` when Keras refuses the rows; ``missing_package``.
    """
    keras = _keras()
    if not isinstance(model, keras.Model) or not model.built or _structure(keras, model) is None:
        raise InputError(
            "invalid_type",
            "nothing to import",
            field="model",
            expected="a built keras.Model of one argument: call it once if its class is yours",
            actual=type(model).__name__,
        )
    findings = Findings("Keras")
    inputs = _inputs(keras, model, findings)
    _check_precision(model, findings)
    findings.check()
    leaves = [item.leaf for item in inputs]
    values = [item.value() for item in inputs]
    arguments = keras.tree.pack_sequence_as(_structure(keras, model), values)
    walker = Walker(
        keras, findings, [x for x, item in zip(values, inputs, strict=True) if item.has_steps]
    )
    returned = None
    with findings.at(f"model {model.name!r}"):
        returned = walker.model(model, arguments)
    if returned is None:
        findings.check()
    flat = keras.tree.flatten(returned)
    places = chosen_outputs(keras, model, returned, output)
    result = ex.concatenate([ex.reshape(flat[place], (flat[place].size,)) for place in places])
    result = without_conversions_of(result, [item.leaf for item in inputs if item.is_whole])
    findings.check(result)
    names = features
    if names is None:
        names = common.feature_names([(item.name, item.leaf) for item in inputs])
    texts = [item.texts for item in inputs]
    if names is None and any(text is not None for text in texts):  # categories need names
        names = common.feature_names([(f"x{place}", leaf) for place, leaf in enumerate(leaves)])
    info = common.build(result, leaves, names, {"imported_from": "Keras", "model": model.name})
    info.categories = _categories(inputs, names or [])
    whole = [item.is_whole or item.texts is not None for item in inputs]
    if any(item.has_steps for item in inputs):
        run_sequences = SequenceRuns(keras, model, inputs, places)
        fixed = np.repeat([not item.has_steps for item in inputs], [x.size for x in leaves])
        return compared_sequences(
            info,
            result,
            leaves,
            sample,
            _told(run_sequences),
            last=run_sequences.last,
            fixed=np.flatnonzero(fixed).tolist(),
            whole=whole,
        )
    if sample is not None and info.categories:
        arrays.check_columns(sample, parse_feature_names(names or []))
        sample = _with_numbers(sample, inputs)

    def run(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return source_outputs(model, rows, places, texts)

    return common.compared(info, result, leaves, sample, _told(run), whole)


def _told(
    run: Callable[[NDArray[np.float32]], NDArray[np.float64]],
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """Return a run whose errors say that they are Keras's."""

    def function(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        try:
            return run(rows)
        except Exception as error:  # of a layer or its backend
            raise ValidationDataError(
                "source_failed", f"Keras refuses rows to compare on: {told(error)}", field="sample"
            ) from error

    return function


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


def source_outputs(
    model: Any,
    rows: ArrayLike,
    places: Sequence[int] | None = None,
    texts: Sequence[TextInput | None] | None = None,
) -> NDArray[np.float64]:
    """Return what the model computes for rows (N, F), several inputs side by side: (N, O).

    `places` are the positions of the outputs among all that it returns, by default each of them.
    `texts` says for each input which text its numbers stand for, if it takes text.
    """
    keras = _keras()
    table = np.asarray(rows, np.float32)
    inputs = _inputs(keras, model, Findings("Keras"))
    parts = common.side_by_side(table, (item.shape for item in inputs))
    known = texts if texts is not None else [item.texts for item in inputs]
    tensors = [  # of one kind: Keras refuses arrays beside tensors
        keras.ops.convert_to_tensor(part if text is None else text.of(part), item.dtype)
        for part, item, text in zip(parts, inputs, known, strict=True)
    ]
    arguments = keras.tree.pack_sequence_as(_structure(keras, model), tensors)
    outputs = keras.tree.flatten(model(arguments, training=False))
    chosen = outputs if places is None else [outputs[place] for place in places]
    arrays = [np.asarray(keras.ops.convert_to_numpy(part), np.float64) for part in chosen]
    return np.concatenate([array.reshape(len(table), -1) for array in arrays], axis=1)


class SequenceRuns:
    """A model that takes sequences; one that keeps states between calls starts from zeros."""

    def __init__(
        self, keras: Any, model: Any, inputs: Sequence[_Input], places: Sequence[int]
    ) -> None:
        self._keras, self._model, self._places = keras, model, places
        self._inputs = inputs
        self._structure = _structure(keras, model)
        self._batch = next(
            (x.shape[0] for x in keras.tree.flatten(self._structure) if x.shape[0]), 0
        )
        layers = [part for part in model._flatten_layers() if getattr(part, "stateful", False)]
        self._states = [v for part in layers for v in keras.tree.flatten(part.states or [])]

        width = sum(item.leaf.size for item in inputs)
        two, three = (self._chosen(np.zeros((2, steps, width), np.float32)) for steps in (2, 3))
        # Of each output, whether it has every step.
        self._every = [
            a.ndim > 1 and (a.shape[1], b.shape[1]) == (2, 3)
            for a, b in zip(two, three, strict=True)
        ]
        self.last = not all(self._every)

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what it makes of sequences (N, T, F): (N, T, O), or (N, O) of the last step."""
        found = []
        for part, every in zip(self._chosen(rows), self._every, strict=True):
            chosen = part[:, -1] if every and self.last else part
            found.append(chosen.reshape(*chosen.shape[: 1 if self.last else 2], -1))
        return np.concatenate(found, axis=-1)

    def _chosen(self, rows: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        size = self._batch or len(rows)
        starts = range(0, len(rows), size)
        parts = [self._run(np.resize(rows[s : s + size], (size, *rows.shape[1:]))) for s in starts]
        return [np.concatenate(each)[: len(rows)] for each in zip(*parts, strict=True)]

    def _run(self, rows: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        count, steps, width = rows.shape
        ops = self._keras.ops
        parts = common.side_by_side(rows.reshape(-1, width), (item.shape for item in self._inputs))
        tensors = []
        for item, part in zip(self._inputs, parts, strict=True):
            by_step = part.reshape(count, steps, *item.shape)
            given: Any = by_step if item.has_steps else by_step[:, 0]
            if item.texts is not None:
                given = item.texts.of(given)
            tensors.append(ops.convert_to_tensor(given, item.dtype))
        zeros = [(state, ops.zeros(state.shape, state.dtype)) for state in self._states]
        with self._keras.StatelessScope(state_mapping=zeros):
            given = self._keras.tree.pack_sequence_as(self._structure, tensors)
            returned = self._keras.tree.flatten(self._model(given, training=False))
        return [
            np.asarray(ops.convert_to_numpy(returned[place]), np.float64) for place in self._places
        ]


class _Input(NamedTuple):
    """An input of a model, and its sample or step as the expression knows it."""

    name: str
    leaf: Value
    shape: tuple[int, ...]  # of a sample, or of a step
    dtype: str
    texts: TextInput | None
    has_steps: bool

    @property
    def is_whole(self) -> bool:
        """Whether the model takes integers."""
        return "int" in self.dtype

    def value(self) -> Value:
        """Return what the model finds in its input."""
        shape = (1, *self.shape) if self.has_steps else self.shape
        if self.texts is not None:
            return self.texts.value(self.leaf, shape)
        numbers = ex.reshape(self.leaf, shape)
        if self.is_whole:
            return to_integers(numbers)
        return converted(numbers, "bool") if self.dtype == "bool" else numbers


def _structure(keras: Any, model: Any) -> Any:
    """Return symbolic tensors like those that a model takes, in their structure, or None."""
    graph = graph_of(model)
    if graph is not None:
        return getattr(graph, "_inputs_struct", None)
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    if len(shapes) != 1:
        return None
    return _tensors(keras, next(iter(shapes.values())), model.input_dtype, "input")


def _tensors(keras: Any, shapes: Any, dtype: str, name: str) -> Any:
    """Return a symbolic tensor for each shape of a structure."""
    if isinstance(shapes, dict):
        return {key: _tensors(keras, part, dtype, str(key)) for key, part in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return keras.KerasTensor((None, *shapes[1:]), dtype, name=name)
    return [_tensors(keras, part, dtype, f"{name}_{i}") for i, part in enumerate(shapes)]


def _inputs(keras: Any, model: Any, findings: Findings) -> list[_Input]:
    found = []
    for tensor in keras.tree.flatten(_structure(keras, model)):
        steps = has_steps(tensor)
        shape = tuple(tensor.shape[2 if steps else 1 :])
        if None in shape:
            findings.add(f"input {tensor.name!r}", "only batch and steps may have any size")
            continue
        with findings.at(f"input {tensor.name!r}"):
            dtype = str(tensor.dtype)
            texts = TextInput() if dtype == "string" else None
            # A number that stands for a text is whole: nothing needs to drop its fraction.
            leaf = ex.source(math.prod(shape), whole=texts is not None)
            found.append(_Input(tensor.name, leaf, shape, dtype, texts, steps))
    return found


def _categories(inputs: Sequence[_Input], names: Sequence[str]) -> dict[str, Categories]:
    """Return the categories of the features that each input of text became."""
    of_column = [item.texts for item in inputs for _ in range(item.leaf.size)]
    found = {}
    start = 0
    for feature in parse_feature_names(names):
        texts = of_column[start]
        start += feature.size
        if texts is not None:
            found[feature.name] = texts.categories()
    return found


def _with_numbers(sample: Any, inputs: Sequence[_Input]) -> Any:
    """Return rows (N, F) with numbers in the place of text."""
    of_column = [item.texts for item in inputs for _ in range(item.leaf.size)]
    table = np.asarray(sample, object)
    if table.ndim != 2 or table.shape[1] != len(of_column):
        return sample  # refused where all samples are
    columns = [
        column if texts is None else texts.numbers(column)
        for column, texts in zip(table.T, of_column, strict=True)
    ]
    return np.array(columns, np.float64).T


def _check_precision(model: Any, findings: Findings) -> None:
    """Note what is computed in 16 bits: other numbers come out of it."""
    types = {layer.compute_dtype for layer in (model, *model._flatten_layers())}
    for dtype in sorted(types & {"float16", "bfloat16"}):
        findings.add("", f"layers that compute in {dtype}: give them the dtype policy float32")
