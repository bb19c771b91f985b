"""Import ONNX models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instmodel.document.schema import InstructionModelInfo
from instmodel.importers import common
from instmodel.importers.onnx_graph import OnnxGraph
from instmodel.importers.onnx_sequences import SequenceSession, StepSession
from instmodel.importers.sequences import after_each_step, compared_sequences


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
        The first axis of every input is the batch; of a graph with recurrent nodes, the first two
        are the batch and the steps of sequences. Data in other files is refused.
    features : sequence of str, optional
        Names of the features of all inputs together.
    output : str, optional
        The tensor that the model is to compute; by default the only output, or the scores where a
        classifier has labels and scores.
    sample : array_like of shape (N, F), optional
        Rows on which the import is compared with ONNX Runtime, and of which a few become the
        model's validation data. Several inputs stand side by side. Of a recurrent graph, sequences
        of rows, (T, F) each.

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
    translation = graph.translate(chosen)
    result, inputs = translation.output, translation.inputs
    leaves = [leaf for _, leaf in inputs]
    metadata = {"imported_from": "ONNX", "output": chosen, **translation.metadata}
    written = graph.properties.features(inputs)
    names = written if features is None else features
    info = common.build(result, leaves, names, metadata)
    info.categories = graph.properties.categories(written or [], names or [])
    info.signature = graph.properties.signature(written or [], names or [])
    if translation.is_recurrent:
        session = graph.sequence_session(chosen, translation)
        last, count = session.last, session.count
        return compared_sequences(info, result, leaves, sample, session.run, last=last, count=count)
    run = graph.session(chosen).run
    return common.compared(info, result, leaves, sample, run, graph.whole_inputs())


def run_onnx(model: Any, rows: NDArray[np.float32], output: str | None = None) -> NDArray[Any]:
    """Run an ONNX model with ONNX Runtime on rows (N, F), several inputs side by side: (N, O)."""
    graph = OnnxGraph(model)
    return graph.session(graph.choose_output(output)).run(rows)


def run_onnx_sequences(
    model: Any, sequences: Sequence[ArrayLike], output: str | None = None
) -> list[NDArray[Any]]:
    """Run a recurrent ONNX model on sequences (T, F): what it computes after each step, (T, O).

    One that computes the last step alone is run on every beginning of a sequence; if it takes but
    one number of steps, it is NaN after all others.
    """
    session = _sequence_session(model, output)
    given = [np.asarray(sequence, np.float32) for sequence in sequences]
    return after_each_step(session.run, given, last=session.last, count=session.count)


def steps_taken(model: Any, output: str | None = None) -> int:
    """Return how many steps a recurrent ONNX model takes, 0 for any number."""
    return _sequence_session(model, output).count


def _sequence_session(model: Any, output: str | None) -> SequenceSession | StepSession:
    graph = OnnxGraph(model)
    chosen = graph.choose_output(output)
    return graph.sequence_session(chosen, graph.translate(chosen))
