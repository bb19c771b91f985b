"""Operands of the operators of an exported PyTorch program.

Design
------
A. A tensor is what it is for a batch of one sample, with all its axes: attention layers turn the
   batch, merge it with their heads and part it again, and no operator here needs to know.
B. An *operand* is a NumPy array for what is constant, and a `Value` for what a sample has. A number
   that depends on the size of the batch is a `Count`; tensors may have it as a size, not as a
   factor.
C. That samples do not mix is seen in the shapes that the export knows; see `torch_graph`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value

Operand = Value | NDArray[Any]


class Count(int):
    """A number that depends on the size of the batch: what it is for one sample."""


@functools.cache
def parameters_of(target: Any) -> dict[str, Any]:
    """Return the parameters of an operator, and their default values, None of those without."""
    from torch.fx.operator_schemas import get_signature_for_torch_op

    (signature,) = get_signature_for_torch_op(target)
    parameters = signature.parameters.values()
    return {x.name: None if x.default is x.empty else x.default for x in parameters}


def value_of(x: Any) -> Value:
    """Return an operand, or a plain number, as a value."""
    if isinstance(x, Count):
        raise Unsupported("the size of the batch in the place of a number")
    return x if isinstance(x, Value) else ex.constant(x)


def array_of(x: Any) -> NDArray[Any]:
    """Return an operand that must be constant."""
    if isinstance(x, Value) and not x.is_constant:
        raise Unsupported("a tensor that is not constant, in the place of weights")
    return np.asarray(x.data if isinstance(x, Value) else x)


def axes_of(dims: Any, rank: int) -> list[int]:
    """Return which axes are meant: all of them by None and by an empty list."""
    listed: Sequence[int] = [dims] if isinstance(dims, int) else list(dims or [])
    return sorted({dim % rank for dim in listed}) if listed else list(range(rank))
