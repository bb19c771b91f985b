"""What a model is made of, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any

from instmodel.base.features import parse_feature_names
from instmodel.document.graph import MOST_EDGES
from instmodel.document.schema import InstructionModelInfo
from instmodel.model import InstructionModel


def model_facts(info: InstructionModelInfo) -> dict[str, Any]:
    """Return what ``instmodel inspect`` shows, in the form that its ``--json`` prints.

    ``execution_graph.children`` is None where the graph has more edges than anybody can look at.

    Raises
    ------
    InstModelError
        The document breaks a rule; its validation data is not run.
    """
    model = InstructionModel(info, validate=False)
    graph = model.execution_graph
    sizes, offsets = model.buffer_sizes, model.buffer_offsets
    roles = [["input"] * (offset < model.feature_size) for offset in offsets]
    roles[-1].append("output")
    return {
        "digest": info.digest(),
        "features": [dataclasses.asdict(f) for f in parse_feature_names(info.features or [])],
        "feature_size": model.feature_size,
        "output_size": model.output_size,
        "output_index_start": model.output_index_start,
        "required_memory": model.required_memory,
        "memory_bytes": 4 * model.required_memory,
        "buffers": [
            {"index": i, "size": sizes[i], "offset": offsets[i], "role": ", ".join(roles[i])}
            for i in range(len(sizes))
        ],
        "instructions": [item.to_dict() for item in info.instructions],
        "counts": {
            "weights": sum(item.size for item in info.weights),
            "biases": sum(item.size for item in info.bias),
            "parameters": sum(item.size for item in info.parameters),
            "map_values": sum(value.size for item in info.maps for value in item.values()),
            "validation_cases": len(info.validation_data.inputs) if info.validation_data else 0,
        },
        "execution_graph": {
            "roots": list(graph.roots),
            "edges": graph.edge_count,
            "children": [list(node.children) for node in graph.nodes]
            if graph.edge_count <= MOST_EDGES
            else None,
            "parallelizable": model.is_parallelizable,
        },
        "metadata": info.metadata,
    }
