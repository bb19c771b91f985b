"""What a value was made of: questions that importers ask about expressions.

Some operations have instructions only in the company of others, such as the Erf of a GELU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from instmodel.importers.expressions import MOVES, Value, bare, ordered


def is_opaque(x: Value, name: str) -> bool:
    """Whether x was made by `opaque` under this name."""
    return x.kind == "opaque" and x.data[0] == name


def under_moves(x: Value, change: Callable[[Value], Value]) -> Value:
    """Return x with other values in the place of those that it only moves."""
    made: dict[int, Value] = {}
    for node in ordered(x, MOVES):
        if node.kind in MOVES:
            made[id(node)] = replace(node, inputs=tuple(bare(made[id(p)]) for p in node.inputs))
        else:
            made[id(node)] = change(node)
    return made[id(x)]


def replaced(x: Value, change: Callable[[Value], Value]) -> Value:
    """Return x with other values in the place of any that it needs."""
    made: dict[int, Value] = {}
    for node in ordered(x):
        parts = tuple(bare(made[id(part)]) for part in node.inputs)
        same = all(a is b for a, b in zip(parts, node.inputs, strict=True))
        made[id(node)] = change(node if same else replace(node, inputs=parts))
    return made[id(x)]


def obstacles(output: Value) -> list[str]:
    """Return the reasons of all opaque values that `output` needs."""
    return [node.data[1] for node in ordered(bare(output)) if node.kind == "opaque"]


def same_numbers(a: Value, b: Value) -> bool:
    """Whether two values are the same, apart from their shapes."""
    return bare(a) is bare(b)


def factor_of(x: Value) -> tuple[Value, float]:
    """Return (v, c) with x = c · v, as far as x is a value times one number."""
    flat = bare(x)
    if flat.kind == "multiply_constant" and np.all(flat.data == flat.data[0]):
        return flat.inputs[0], float(flat.data[0])
    return flat, 1.0


def summand_of(x: Value) -> tuple[Value, float]:
    """Return (v, c) with x = v + c, as far as x is a value plus one number."""
    flat = bare(x)
    if flat.kind == "add_constant" and np.all(flat.data == flat.data[0]):
        return flat.inputs[0], float(flat.data[0])
    return flat, 0.0


def spreads_nan(output: Value, x: Value) -> bool:
    """Whether NaN anywhere in x makes every number of `output` NaN."""
    start = id(bare(x))
    some = {start}  # nodes in which some number becomes NaN
    every = {start} if x.size == 1 else set[int]()  # and those in which each does
    for node in ordered(bare(output)):
        parts = node.inputs
        function = node.data if node.kind == "activation" else None
        if node.kind == "lookup" or function in ("SQRT", "LOG", "LOG10"):
            continue  # these make numbers of NaN
        has_some = any(id(part) in some for part in parts)
        if node.kind == "rearrange" and id(parts[0]) not in every:
            has_some = has_some and len(np.unique(node.data)) == parts[0].size
        mixes = node.kind in ("dense", "reduce_sum") or function == "SOFTMAX" or node.size == 1
        if node.kind == "concatenate":
            has_every = all(id(part) in every for part in parts)
        else:
            has_every = any(id(part) in every for part in parts)
        if has_every or (has_some and mixes):
            every.add(id(node))
        if has_every or has_some:
            some.add(id(node))
    return id(bare(output)) in every


def looked_up(output: Value, leaf: Value) -> dict[int, NDArray[np.float64]]:
    """Return which numbers of `leaf` lead to keys of all tables that they reach, by position.

    Of a number that loses its fraction on the way, those with a fraction are among them.
    """
    found: dict[int, NDArray[np.float64]] = {}
    for node in ordered(bare(output)):
        if node.kind == "lookup":
            place, numbers = _back_to_leaf(node)
            if place is not None and place[0] is leaf:
                known = found.get(place[1], numbers)
                found[place[1]] = np.intersect1d(known, numbers)
    return found


def _back_to_leaf(node: Value) -> tuple[tuple[Value, int] | None, NDArray[np.float64]]:
    """Return the number of a leaf that a lookup takes, and its values that lead to keys."""
    x, (position, table, _) = node.inputs[0], node.data
    numbers = np.array(list(table), np.float64)
    while x.kind != "input":
        match x.kind:
            case "reshape" | "clip":
                pass
            case "rearrange":
                position = int(x.data[position])
            case "concatenate":
                starts = np.cumsum([0, *(part.size for part in x.inputs)])
                part = int(np.searchsorted(starts, position, "right")) - 1
                x, position = x.inputs[part], position - int(starts[part])
                continue
            case "add_constant":
                numbers = numbers - x.data[position]
            case "multiply_constant" if x.data[position]:
                numbers = numbers / x.data[position]
            case "truncated":
                numbers = np.concatenate([numbers, numbers + np.where(numbers < 0, -0.7, 0.7)])
            case "lookup" if x.size == 1:
                position, inner, _ = x.data
                keys = {float(value[0]): float(key) for key, value in inner.items()}
                numbers = np.array([keys[n] for n in numbers.tolist() if n in keys])
            case _:
                return None, numbers
        x = x.inputs[0]
    return (x, position), numbers
