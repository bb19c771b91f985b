"""What a value was made of: questions that importers ask about expressions.

Some operations have instructions only in the company of others, such as the Erf of a GELU.
"""

from __future__ import annotations

import numpy as np

from instmodel.importers.expressions import Value, bare, ordered, rearrange, reshape


def is_opaque(x: Value, name: str) -> bool:
    """Whether x was made by `opaque` under this name."""
    return x.kind == "opaque" and x.data[0] == name


def without_opaque(x: Value, name: str) -> Value:
    """Return x as if the opaque value of this name in it were its input."""
    inner = bare(x)
    if is_opaque(inner, name):
        return reshape(inner.inputs[0], x.shape)
    if inner.kind == "rearrange" and is_opaque(inner.inputs[0], name):
        return rearrange(inner.inputs[0].inputs[0], inner.data.reshape(x.shape))
    return x


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


def looked_up(output: Value, leaf: Value) -> dict[int, list[int]]:
    """Return the keys of the tables in which numbers of `leaf` are looked up, by position."""
    found: dict[int, list[int]] = {}
    for node in ordered(bare(output)):
        if node.kind == "lookup":
            (x,), position = node.inputs, node.data[0]
            if x.kind == "rearrange":
                x, position = x.inputs[0], int(x.data[position])
            if x is leaf:
                found[position] = list(node.data[1])
    return found
