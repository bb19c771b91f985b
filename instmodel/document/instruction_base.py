"""What every row of the instruction table is made of: fields, ranges, rules and the lowered form.

`instmodel.document.instructions` is the table itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from instmodel.base import values
from instmodel.errors import DocumentError, StructureError

Places = NDArray[np.intp]  # (n,), in a buffer

# --------------------------------------------------------------------------- what the table speaks


class Write(NamedTuple):
    """A range of a buffer that an instruction writes.

    `partial` writers (copies, maps) add to what earlier writers left; the others replace it.
    """

    buffer: int
    start: int
    stop: int
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Shapes:
    """The sizes that an instruction's rules compare.

    Attributes
    ----------
    buffers : sequence of int
        Size of each buffer.
    weights : sequence of (rows, cols)
    bias, parameters : sequence of int
        Length of each vector.
    maps : sequence of int or None
        Length of each map's values; None where the map is empty.
    """

    buffers: Sequence[int]
    weights: Sequence[tuple[int, int]]
    bias: Sequence[int]
    parameters: Sequence[int]
    maps: Sequence[int | None]


class Op(NamedTuple):
    """One instruction as the kernels see it: the words of ``im_op`` in ``csrc/kernels.h``.

    Offsets count floats: `input`, `output` in the unified buffer, `constants` in the packed weights
    for a dense layer and in the other constants else, `more` as an instruction says. `operands`
    points into the operand list.
    """

    opcode: int
    activation: int = 0
    input: int = 0
    output: int = 0
    input_size: int = 0
    output_size: int = 0
    constants: int = 0
    more: int = 0
    operands: int = 0
    operand_count: int = 0


class Lowering(Protocol):
    """What `Instruction.lower` needs; `instmodel.compiled.program` provides it."""

    def offset(self, buffer: int) -> int:
        """Return where a buffer starts in the unified buffer."""

    def size(self, buffer: int) -> int:
        """Return a buffer's size."""

    def panels(self, weights: int) -> int:
        """Return where the packed weights and bias of a dense layer start."""

    def parameters(self, index: int) -> int:
        """Return where a parameter vector starts."""

    def constants(self, vector: Any) -> int:
        """Store a vector, and return where it starts."""

    def filled(self, value: float, size: int) -> int:
        """Return where `size` times the same value start; all who ask share them."""

    def operands(self, items: Sequence[int]) -> int:
        """Store a list of integers, and return where it starts."""


# ------------------------------------------------------------------------------- kinds of fields


def _optional(convert: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda value, name: None if value is None else convert(value, name)


def floats(value: Any, name: str) -> tuple[float, ...]:
    """Return a list of numbers as a tuple, each rounded to float32."""
    return tuple(values.vector(value, name).tolist())


def checked_field(
    convert: Callable[[Any, str], Any], role: str = "", default: Any = MISSING
) -> Any:
    """Declare a field: how its value is checked, and which list of the document it points into.

    Parameters
    ----------
    convert : callable
        Takes the value and the name of the field; returns the value or raises.
    role : {"", "weights", "parameters", "maps"}
    default : optional
        A field with a default may be absent.
    """
    return field(metadata={"convert": convert, "role": role}, default=default)


def buffer_field() -> Any:
    """Declare the index of a buffer."""
    return checked_field(values.integer)


def index_field(role: str = "") -> Any:
    """Declare an index, into the list named by `role` if any."""
    return checked_field(values.integer, role)


def optional_parameters_field() -> Any:
    """Declare an index into ``parameters`` that may be absent."""
    return checked_field(_optional(values.integer), "parameters", default=None)


@dataclass(frozen=True)
class Instruction:
    """Base of the table. Making one checks the types of its fields (``invalid_type`` …)."""

    TYPE: ClassVar[str]
    OPCODE: ClassVar[int]
    IN_PLACE: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for item in fields(self):
            convert = item.metadata["convert"]
            try:
                value = convert(getattr(self, item.name), item.name)
            except DocumentError as error:
                raise error.at(None, self.TYPE) from None
            object.__setattr__(self, item.name, value)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        document: dict[str, Any] = {"type": self.TYPE}
        for part in fields(self):
            value = getattr(self, part.name)
            if value is not None:
                plain = list(value) if isinstance(value, tuple) else value
                document[part.name] = str(plain) if isinstance(plain, str) else plain
        return document

    def reads(self) -> tuple[int, ...]:
        """Return the buffers that are read, in order, without repeats: those of `input`."""
        given = vars(self)["input"]
        return (given,) if isinstance(given, int) else tuple(dict.fromkeys(given))

    def write(self, sizes: Sequence[int]) -> Write:
        """Return the range that is written: all of `output`, or of `input` when in place."""
        buffer = vars(self)["input" if self.IN_PLACE else "output"]
        return Write(buffer, 0, sizes[buffer])

    def sources(self, places: Places) -> Places | None:
        """Return where in the input the values for these places of the output come from, unchanged.

        None: the instruction computes them.
        """
        return None

    def looked_up(self) -> tuple[int, int] | None:
        """Return the buffer, and the place in it, of the value that is looked up in a map."""
        return None

    def uses(self, role: str) -> list[int]:
        """Return the indexes this instruction uses of ``weights``, ``parameters`` or ``maps``."""
        found = (getattr(self, item.name) for item in fields(self) if item.metadata["role"] == role)
        return [index for index in found if index is not None]

    def renumbered(self, places: Mapping[str, Mapping[int, int]]) -> Self:
        """Return the instruction with other indexes of constants.

        Parameters
        ----------
        places : mapping of role to mapping of old index to new
            The roles are ``weights``, ``parameters`` and ``maps``.
        """
        changes = {
            part.name: places[role][index]
            for part in fields(self)
            if (role := part.metadata["role"]) and (index := getattr(self, part.name)) is not None
        }
        return replace(self, **changes)

    def products(self, sizes: Sequence[int]) -> int:
        """Return how many products of weights and values a sample takes: those of dense layers."""
        return 0

    def check(self, shapes: Shapes) -> None:
        """Raise a `StructureError` unless every index and size fits the model."""
        raise NotImplementedError

    def lower(self, into: Lowering) -> Op:
        """Return the instruction for the kernels. Only called after `check`."""
        raise NotImplementedError

    def _op(self, into: Lowering, source: int, target: int, /, **words: int) -> Op:
        """Return an `Op` from one whole buffer to another; `words` replaces and adds to that."""
        op = Op(
            self.OPCODE,
            input=into.offset(source),
            output=into.offset(target),
            input_size=into.size(source),
            output_size=into.size(target),
        )
        return op._replace(**words)


# ----------------------------------------------------------------------------------- shared rules


def require(
    holds: bool, code: str, message: str, name: str, expected: Any = None, actual: Any = None
) -> None:
    """Raise a `StructureError` for the field `name` unless the rule holds."""
    if not holds:
        raise StructureError(code, message, field=name, expected=expected, actual=actual)


def pick(items: Sequence[Any], index: int, code: str, name: str) -> Any:
    """Return ``items[index]``; a negative index is out of bounds, too."""
    require(
        0 <= index < len(items),
        code,
        "no such index",
        name,
        f"0 ≤ index < {len(items)}",
        index,
    )
    return items[index]


def buffer_size(shapes: Shapes, index: int, name: str) -> int:
    """Return the size of a buffer that must exist."""
    size: int = pick(shapes.buffers, index, "buffer_index_out_of_bounds", name)
    return size


def require_distinct(first: int, second: int, name: str) -> None:
    """Require the output to be another buffer than the input."""
    require(
        first != second,
        "same_input_output",
        "the output must be another buffer than the input",
        name,
        actual=f"buffer {first} for both",
    )


def require_same_size(size: int, expected: int, name: str) -> None:
    """Require a buffer to have the size of another."""
    require(
        size == expected,
        "input_buffer_size_mismatch",
        "buffers must have the same size",
        name,
        expected,
        size,
    )


def require_inside(start: int, count: int, size: int, code: str, name: str) -> None:
    """Require a range of `count` ≥ 1 values from `start` on to lie inside a buffer."""
    require(
        start >= 0 and count >= 1 and start + count <= size,
        code,
        "outside of the buffer",
        name,
        f"a range of at least 1 inside 0 … {size}",
        f"{start} … {start + count}",
    )


def check_dense(shapes: Shapes, weights: int, rows: int, cols: int) -> None:
    """Check a dense layer's weights and bias against its output and input size."""
    shape = pick(shapes.weights, weights, "weights_index_out_of_bounds", "weights")
    place = f"weights[{weights}]"
    require(
        shape[0] == rows,
        "weights_row_size_mismatch",
        "the weights need one row per output value",
        place,
        rows,
        shape[0],
    )
    require(
        shape[1] == cols,
        "weights_column_size_mismatch",
        "the weights need one column per input value",
        place,
        cols,
        shape[1],
    )
    require(
        shapes.bias[weights] == rows,
        "bias_output_size_mismatch",
        "the bias needs one value per output value",
        f"bias[{weights}]",
        rows,
        shapes.bias[weights],
    )
