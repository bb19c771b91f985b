"""ATen operators that only move numbers, as expressions.

PyTorch itself says what they do: it runs them on the positions of the numbers. So a slice, a roll
and a stack are one mechanism, and it is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.torch_operands import Operand, parameters_of, value_of

# Operators, without their overloads.
MOVING = frozenset(
    (
        *("_unsafe_view", "alias", "as_strided", "broadcast_to", "cat", "chunk", "clone"),
        *("column_stack", "concat", "concatenate", "constant_pad_nd", "contiguous", "copy"),
        *("detach", "detach_", "diag_embed", "diagonal", "dstack", "expand", "expand_as"),
        *("flatten", "flip", "fliplr", "gather", "hstack", "index", "index_put", "index_select"),
        *("lift_fresh_copy", "masked_select", "mT", "movedim", "moveaxis", "narrow"),
        *("numpy_T", "pad", "permute", "pixel_shuffle", "ravel", "repeat"),
        *("repeat_interleave", "reshape", "reshape_as", "roll", "rot90", "scatter", "select"),
        *("select_scatter", "slice", "slice_scatter", "split", "split_with_sizes", "squeeze"),
        *("stack", "swapaxes", "swapdims", "t", "take", "take_along_dim", "tensor_split"),
        *("tile", "transpose", "tril", "triu", "unbind", "unflatten", "unfold"),
        *("unsafe_chunk", "unsafe_split", "unsqueeze", "view", "view_as", "vstack"),
    )
)
# Parameters that say where numbers go, and are no numbers that move.
_PLACES = ("index", "indices", "mask", "repeats")


def moved(torch: Any, target: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
    """Return what a moving operator makes of operands: a `Value`, or a list of them.

    Position 0 stands for what fills the places that no number moves to.
    """
    numbers: list[Value] = [ex.constant(np.zeros(1))]
    count = 1

    def positions(x: Any) -> Any:
        nonlocal count
        if isinstance(x, list | tuple):
            return [positions(part) for part in x]
        if not isinstance(x, Value | np.ndarray):
            return x
        value = value_of(x)
        numbers.append(ex.reshape(value, (-1,)))
        places = ex.positions_of(value) + count
        count += value.size
        return torch.from_numpy(np.asarray(places))

    def prepared(name: str, x: Any) -> Any:
        if name == "reduce":
            raise Unsupported(f"reduce={x!r}, which does more than move numbers")
        if name == "value":
            numbers[0] = ex.constant(np.full(1, 0.0 if x is None else float(x)))
            return 0
        if name == "other":  # of which only the shape is asked
            return torch.zeros(x.shape)
        return _as_places(torch, x) if name in _PLACES else positions(x)

    pairs = zip(parameters_of(target), arguments, strict=False)
    given = [prepared(name, x) for name, x in pairs]
    done = target(*given, **{name: prepared(name, x) for name, x in named.items()})
    parts = list(done) if isinstance(done, list | tuple) else [done]
    found = [_taken(numbers, part.numpy()) for part in parts]
    return found if isinstance(done, list | tuple) else found[0]


def _as_places(torch: Any, x: Any) -> Any:
    """Return an operand that says where numbers go, as PyTorch takes it."""
    if isinstance(x, list | tuple):
        return [_as_places(torch, part) for part in x]
    if isinstance(x, Value):
        if not x.is_constant:
            raise Unsupported("an index that is not constant")
        x = x.data
    return torch.from_numpy(np.array(x)) if isinstance(x, np.ndarray | np.generic) else x


def _taken(numbers: list[Value], positions: Any) -> Operand:
    """Return the numbers, behind each other, at some positions."""
    filled = positions.size and positions.min() == 0
    parts = numbers if filled else numbers[1:]
    return ex.rearrange(ex.concatenate(parts), positions - (not filled))
