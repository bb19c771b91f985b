"""Import ONNX models."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.base.categories import CATEGORIES_KEY, Categories, by_feature, size_of
from instmodel.base.features import FEATURES_KEY, parse_feature_names
from instmodel.base.limits import DEFAULT_LIMITS
from instmodel.document.schema import InstructionModelInfo
from instmodel.document.signature import SIGNATURE_KEY, Signature, read_signature
from instmodel.errors import DocumentError, InputError, StructureError
from instmodel.importers import common
from instmodel.importers import expressions as ex
from instmodel.importers.common import Findings
from instmodel.importers.expressions import Value
from instmodel.importers.onnx_choices import CHOICE_OPERATORS
from instmodel.importers.onnx_constants import Shapes, folded, is_folded
from instmodel.importers.onnx_context import Node, Notes
from instmodel.importers.onnx_file import Session, load_model, needed_nodes, tensor_array
from instmodel.importers.onnx_ml import ML_OPERATORS
from instmodel.importers.onnx_moved import Moved
from instmodel.importers.onnx_moved import run as run_moved
from instmodel.importers.onnx_norms import NORM_OPERATORS
from instmodel.importers.onnx_ops import OPERATORS
from instmodel.importers.onnx_shapes import SHAPE_OPERATORS
from instmodel.importers.operands import Operand, one_row

_T = TypeVar("_T")
_MAIN, _ML = ("", "ai.onnx"), "ai.onnx.ml"
_INPUT_TYPES = {1: np.float32, 11: np.float64, 6: np.int32, 7: np.int64}
# All numbers of all values of the graph together: a hostile graph must not fill the memory.
_BUDGET = 4 * DEFAULT_LIMITS.max_weight_count
# All numbers that constants are computed from: nor must it take hours.
_CONSTANT_WORK = 4 * _BUDGET


def from_onnx(
    model: Any,
    *,
    features: Sequence[str] | None = None,
    output: str | None = None,
    sample: ArrayLike | None = None,
) -> InstructionModelInfo:
    """Turn an ONNX model into a model document.

    Parameters
    ----------
    model : path-like, bytes or ModelProto
        The first axis of every input is the batch. Data in other files is refused.
    features : sequence of str, optional
        Names of the features of all inputs together.
    output : str, optional
        The tensor that the model is to compute; by default the only output, or the scores where a
        classifier has labels and scores.
    sample : array_like of shape (N, F), optional
        Rows on which the import is compared with ONNX Runtime, and of which a few become the
        model's validation data. Several inputs stand side by side.

    Returns
    -------
    InstructionModelInfo
        Its features are named like the inputs unless `features` names them: ``x[4]`` for an input
        of four numbers.

    Raises
    ------
    InstModelError
        ``unsupported_model`` with every node that has no instructions; ``invalid_document``,
        ``external_data``, ``weight_limit_exceeded`` for files that are broken or hostile;
        ``import_mismatch`` when ONNX Runtime computes something else; ``missing_package``.
    OSError
        The file cannot be read.
    """
    graph = OnnxGraph(model)
    chosen = graph.choose_output(output)
    result, inputs = graph.translate(chosen)
    leaves = [leaf for _, leaf in inputs]
    metadata = {"imported_from": "ONNX", "output": chosen}
    written = graph.features(inputs)
    names = written if features is None else features
    info = common.build(result, leaves, names, metadata)
    info.categories = graph.categories(written or [], names or [])
    info.signature = graph.signature(written or [], names or [])
    run = graph.session(chosen).run
    return common.compared(info, result, leaves, sample, run, graph.whole_inputs())


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
        self._inputs = [i for i in self._graph.input if i.name not in self._constants]
        self._shapes = Shapes(self._model)
        self._opsets = {item.domain: item.version for item in self._model.opset_import}

    def session(self, output: str) -> Session:
        """Return ONNX Runtime, for one tensor of the model."""
        described = []
        for item in self._inputs:
            batch, *shape = _dimensions(item, Findings("ONNX"))
            dtype = _INPUT_TYPES[item.type.tensor_type.elem_type]
            described.append((item.name, tuple(shape), dtype, batch if batch > 0 else None))
        return Session(self._model, described, output)

    def whole_inputs(self) -> list[bool]:
        """Return for each input whether it takes whole numbers."""
        types = [item.type.tensor_type.elem_type for item in self._inputs]
        return [np.issubdtype(_INPUT_TYPES.get(kind, np.float32), np.integer) for kind in types]

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

    def translate(self, output: str) -> tuple[Value, list[tuple[str, Value]]]:
        """Return the expression of a tensor, and the inputs of the graph.

        Raises
        ------
        UnsupportedModelError
        """
        findings = Findings("ONNX")
        known: dict[str, Any] = {}  # operands, or `Moved`; None: follows what is refused
        leaves = self._leaves(known, findings)
        findings.check()
        notes: Notes = {}
        budget, work = _BUDGET, _CONSTANT_WORK
        for index, node in enumerate(needed_nodes(self._graph, output)):
            place = f"node {node.name or index!r} ({node.op_type})"
            results: Any = None
            with findings.at(place):
                results = self._run_handler(node, known, notes, place)
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
        if found is not None and not isinstance(found, Value):
            with findings.at("output"):
                if isinstance(found, Moved):
                    raise ex.Unsupported("its first axis is not the batch")
                found = one_row(found)
        findings.check(found if isinstance(found, Value) else None)
        assert isinstance(found, Value)
        return found, leaves

    def _leaves(self, known: dict[str, Any], findings: Findings) -> list[tuple[str, Value]]:
        """Return the inputs of the graph, and note what they are as operands: `known` OUT."""
        leaves = []
        for item, whole in zip(self._inputs, self.whole_inputs(), strict=True):
            _, *shape = _dimensions(item, findings)
            with findings.at(f"input {item.name!r}"):
                leaf = ex.source(math.prod(shape), whole)
                leaves.append((item.name, leaf))
                known[item.name] = ex.reshape(leaf, shape)
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

    def features(self, leaves: list[tuple[str, Value]]) -> list[str] | None:
        """Return the features: as this package's exporter wrote them, or of the inputs' names."""
        names = self._property(FEATURES_KEY)
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names or None
        return common.feature_names(leaves)

    def categories(self, written: Sequence[str], names: Sequence[str]) -> dict[str, Categories]:
        """Return the text categories that this package's exporter wrote, by the new names.

        Parameters
        ----------
        written, names : sequence of str
            The features as the file names them, and as the document does.
        """
        found = self._property(CATEGORIES_KEY) or {}
        DEFAULT_LIMITS.check_categories(*size_of(found))
        return _renamed(by_feature(found), written, names)

    def signature(self, written: Sequence[str], names: Sequence[str]) -> Signature | None:
        """Return the signature that this package's exporter wrote; see `categories`."""
        found = self._property(SIGNATURE_KEY)
        if found is None:
            return None
        signature = read_signature(found)
        return Signature(_renamed(signature.features, written, names), signature.rows)

    def _property(self, key: str) -> Any:
        """Return what the model keeps as JSON under a key, None if that is nothing."""
        written = {item.key: item.value for item in self._model.metadata_props}.get(key)
        try:
            return None if written is None else json.loads(written)
        except (ValueError, RecursionError):
            return None


def _renamed(
    items: Mapping[str, _T], written: Sequence[str], names: Sequence[str]
) -> dict[str, _T]:
    """Return what is told of features by their new names."""
    old, new = parse_feature_names(written), parse_feature_names(names)
    renamed = {a.name: b.name for a, b in zip(old, new, strict=False)}
    return {renamed.get(name, name): item for name, item in items.items()}


_HANDLERS: dict[str, dict[str, Any]] = {
    "": OPERATORS | CHOICE_OPERATORS | NORM_OPERATORS | SHAPE_OPERATORS,
    _ML: ML_OPERATORS,
}
_CLASSIFIERS = ("LinearClassifier", "TreeEnsembleClassifier", "SVMClassifier", "ArgMax")


def _dimensions(item: Any, findings: Findings) -> tuple[int, ...]:
    """Return the shape of an input; a batch of any size is 0."""
    tensor = item.type.tensor_type
    place = f"input {item.name!r}"
    if tensor.elem_type not in _INPUT_TYPES:
        findings.add(place, "no tensor of floats or integers")
    sizes = [int(d.dim_value) for d in tensor.shape.dim]
    if not sizes:
        findings.add(place, "no batch axis")
        return (0, 1)
    if any(size < 1 for size in sizes[1:]) or sizes[0] < 0:
        findings.add(place, f"only the batch may have any size, not the axes {sizes[1:]}")
        return (0, 1)
    return (max(0, sizes[0]), *sizes[1:])


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


def run_onnx(model: Any, rows: NDArray[np.float32], output: str | None = None) -> NDArray[Any]:
    """Run an ONNX model with ONNX Runtime on rows (N, F), several inputs side by side: (N, O)."""
    graph = OnnxGraph(model)
    return graph.session(graph.choose_output(output)).run(rows)
