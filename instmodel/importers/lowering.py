"""From expressions to instructions: what a dense layer can take over, it takes over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from instmodel.document.builder import BufferHandle, ModelBuilder
from instmodel.importers.expressions import Value, bare, floats, ordered
from instmodel.importers.recurrence import states_of


def lower(output: Value, inputs: Sequence[Value], builder: ModelBuilder, names: Any) -> Any:
    """Add the instructions that compute `output`, and return its buffer handle.

    The states that it needs are kept from step to step.

    Parameters
    ----------
    output : Value
    inputs : sequence of Value
        The leaves, in the order of the model's inputs.
    builder : ModelBuilder
        Empty; gets the inputs and the instructions.
    names : sequence of (list of str or int)
        What `ModelBuilder.input` takes for each of `inputs`.
    """
    states = states_of(output)
    root = Value((), "root", (bare(output), *(item.data.after for item in states)))
    order = ordered(root)[:-1]
    uses = Counter(id(part) for node in (*order, root) for part in node.inputs)
    handles = {
        id(leaf): builder.input(name) for leaf, name in zip(inputs, names, strict=True)
    }  # by node
    handles |= {id(item): builder.state(item.size, item.data.initial) for item in states}
    fused: dict[int, Value] = {}
    for node in order:
        alone = tuple(uses[id(part)] == 1 for part in node.inputs)
        parts = tuple(fused[id(part)] for part in node.inputs)
        fused[id(node)] = _fuse(node, parts, alone)
    results = tuple(fused[id(item)] for item in root.inputs)
    for node in ordered(replace(root, inputs=results))[:-1]:
        if id(node) not in handles:
            handles[id(node)] = _emit(builder, node, [handles[id(p)] for p in node.inputs])
    for item, after in zip(states, results[1:], strict=True):
        builder.set_state(handles[id(item)], handles[id(after)])
    return handles[id(results[0])]


def _fuse(node: Value, parts: tuple[Value, ...], alone: tuple[bool, ...]) -> Value:
    """Return the node over its fused `parts`; `alone`: nothing else needs that part."""
    if not parts:
        return node
    first = parts[0]
    if first.kind == "dense" and alone[0] and first.data[2] is None:
        weights, bias, _ = first.data
        if node.kind == "activation":
            return replace(first, data=(weights, bias, node.data))
        if node.kind == "add_constant":
            return replace(first, data=(weights, bias + node.data, None))
        if node.kind == "multiply_constant":
            scaled = (weights * node.data[:, None], bias * node.data, None)
            return replace(first, data=scaled)
    if node.kind == first.kind == "add" and alone[0]:
        return replace(node, inputs=(*first.inputs, *parts[1:]))
    if node.kind == first.kind == "multiply" and alone[0]:
        return replace(node, inputs=(*first.inputs, *parts[1:]))
    if node.kind == "multiply" and len(parts) == 2:
        for gate, other, single in zip(parts, parts[::-1], alone, strict=True):
            if gate.kind == "dense" and gate.data[2] == "SOFTMAX" and single:
                inputs = (other, gate.inputs[0])
                return replace(node, kind="attention", inputs=inputs, data=gate.data[:2])
    return replace(node, inputs=parts)


def _emit(builder: ModelBuilder, node: Value, parts: list[BufferHandle]) -> BufferHandle:
    data = node.data
    match node.kind:
        case "constant":
            return builder.constant(floats(node).reshape(-1))
        case "dense":
            return builder.dense(parts[0], *data)
        case "attention":
            return builder.attention(*parts, *data)
        case "activation":
            return builder.activation(parts[0], data)
        case "add_constant":
            return builder.add_elementwise(parts[0], data)
        case "multiply_constant":
            return builder.mul_elementwise(parts[0], data)
        case "clip":
            return builder.clip_elementwise(parts[0], *data)
        case "add":
            return builder.add_buffers(*parts)
        case "multiply":
            return builder.multiply_buffers(*parts)
        case "add_heads":
            return builder.add_heads(*parts)
        case "multiply_heads":
            return builder.multiply_heads(*parts)
        case "reduce_sum":
            return builder.reduce_sum(parts[0])
        case "rearrange":
            return builder.copy_masked(parts[0], data.tolist())
        case "concatenate":
            return builder.concatenate(parts)
        case "truncated":
            limits = [0.5] * node.size
            limited = builder.clip_elementwise(parts[0], [-0.5] * node.size, limits)
            return builder.add_buffers(builder.mul_elementwise(limited, [-1.0] * node.size), *parts)
        case "lookup":
            return builder.map_transform(parts[0], *data)
    raise AssertionError(node.kind)
