"""What a model is made of, as plain data."""

from __future__ import annotations

from typing import Any

from instmodel.base.features import Feature
from instmodel.document.graph import MOST_EDGES
from instmodel.model import InstructionModel


def model_facts(model: InstructionModel) -> dict[str, Any]:
    """Return what ``instmodel inspect`` shows, in the form that its ``--json`` prints.

    ``execution_graph.children`` is None where the graph has more edges than anybody can look at.
    """
    document = model.structure
    cases = document.validation_data
    graph = model.execution_graph
    sizes, offsets = model.buffer_sizes, model.buffer_offsets
    roles = [["input"] * (offset < model.feature_size) for offset in offsets]
    for buffer in document.state_buffers:
        roles[buffer].append("state")
    roles[-1].append("output")
    return {
        "digest": model.digest,
        "features": [_feature(feature) for feature in model.named_features],
        "feature_size": model.feature_size,
        "output_size": model.output_size,
        "output_index_start": model.output_index_start,
        "required_memory": model.required_memory,
        "memory_bytes": 4 * model.required_memory,
        "buffers": [
            {"index": i, "size": sizes[i], "offset": offsets[i], "role": ", ".join(roles[i])}
            for i in range(len(sizes))
        ],
        "state": [item.to_dict() for item in document.state],
        "state_size": model.state_size,
        "instructions": [item.to_dict() for item in model.instructions],
        "counts": {
            "weights": sum(rows * cols for rows, cols in document.weight_shapes),
            "biases": sum(document.bias_sizes),
            "parameters": sum(item.size for item in document.parameters),
            "map_values": sum(value.size for item in document.maps for value in item.values()),
            "validation_cases": len(cases.inputs) if cases else 0,
        },
        "execution_graph": {
            "roots": list(graph.roots),
            "edges": graph.edge_count,
            "children": [list(node.children) for node in graph.nodes]
            if graph.edge_count <= MOST_EDGES
            else None,
            "parallelizable": model.is_parallelizable,
        },
        "signature": None if document.signature is None else document.signature.to_json(),
        "metadata": document.metadata,
    }


def _feature(feature: Feature) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": feature.name,
        "size": feature.size,
        "is_array": feature.is_array,
    }
    if feature.categories is not None:
        facts["categories"] = list(feature.categories.values)
        facts["unknown"] = feature.categories.unknown
    return facts
