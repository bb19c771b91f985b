"""State: buffers that keep their values from one step of a sequence to the next.

A model with state is *recurrent*: the rows of a sequence are its steps, and what a state buffer
holds after the last instruction of one step is what the next step finds in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from instmodel.base import values
from instmodel.document.instruction_base import Instruction, Shapes, buffer_size, pick, require
from instmodel.errors import DocumentError, InstModelError

# Where formats that hold one step of a model, and properties of it, say what its states are.
STATE_KEY = "instmodel.state"


@dataclass(frozen=True)
class StateBuffer:
    """A buffer that keeps its values from one step of a sequence to the next.

    Parameters
    ----------
    buffer : int
        Which buffer; none of those that the features fill.
    initial : int, optional
        The parameters that it holds before the first step of a sequence; zeros without.

    Raises
    ------
    InstModelError
        ``invalid_type``.
    """

    buffer: int
    initial: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "buffer", values.integer(self.buffer, "buffer"))
        if self.initial is not None:
            object.__setattr__(self, "initial", values.integer(self.initial, "initial"))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        document = {"buffer": self.buffer}
        if self.initial is not None:
            document["initial"] = self.initial
        return document

    def renumbered(self, places: Mapping[int, int]) -> StateBuffer:
        """Return the same with the new index of its parameters, by the old one."""
        return self if self.initial is None else replace(self, initial=places[self.initial])


def read_state(items: Any, unknown: str = "error") -> list[StateBuffer]:
    """Return the state buffers of a document; each may be a mapping.

    Raises
    ------
    InstModelError
        ``invalid_type``, ``unknown_field``, ``missing_field``, with the place.
    """
    found = values.sequence(items, "state", "state buffers")
    return [_state_buffer(item, f"state[{index}]", unknown) for index, item in enumerate(found)]


def _state_buffer(item: Any, place: str, unknown: str) -> StateBuffer:
    if isinstance(item, StateBuffer):
        return item
    if not isinstance(item, Mapping):
        raise values.wrong_type(item, place, "an object")
    given = values.known_only(item, [part.name for part in fields(StateBuffer)], place, unknown)
    if "buffer" not in given:
        raise DocumentError("missing_field", "a required key is missing", field=f"{place}.buffer")
    try:
        return StateBuffer(**given)
    except InstModelError as error:
        raise error.inside(place) from None


def check_sizes(state: Sequence[StateBuffer], shapes: Shapes) -> None:
    """Check that state buffers exist, and have as many initial values as they hold.

    Raises
    ------
    StructureError
        The first rule that is broken, with its code and place.
    """
    for index, item in enumerate(state):
        place = f"state[{index}]"
        size = buffer_size(shapes, item.buffer, f"{place}.buffer")
        if item.initial is None:
            continue
        place = f"{place}.initial"
        given = pick(shapes.parameters, item.initial, "parameters_index_out_of_bounds", place)
        require(
            given == size,
            "parameters_size_mismatch",
            "the initial values must be as many as the buffer holds",
            place,
            size,
            given,
        )


def check_use(
    state: Sequence[StateBuffer],
    sizes: Sequence[int],
    instructions: Sequence[Instruction],
    input_buffers: int,
) -> None:
    """Check that each state buffer is one of its own, written and read.

    Parameters
    ----------
    state : sequence of StateBuffer
        Of which `check_sizes` found no fault.
    sizes : sequence of int
        Size of each buffer.
    instructions : sequence of Instruction
    input_buffers : int
        How many of the first buffers the input fills.

    Raises
    ------
    StructureError
        The first rule that is broken, with its code and place.
    """
    written = {item.write(sizes).buffer for item in instructions}
    read = {buffer for item in instructions for buffer in item.reads()}
    read.add(len(sizes) - 1)  # the output is read by the caller
    seen = set[int]()
    for index, item in enumerate(state):
        for holds, code, message in (
            (item.buffer not in seen, "repeated_state", "the buffer is in the list twice"),
            (item.buffer >= input_buffers, "state_in_input", "the input fills this buffer anew"),
            (item.buffer in written, "unwritten_state", "no instruction writes this buffer"),
            (item.buffer in read, "unused_state", "nothing reads this buffer"),
        ):
            require(holds, code, message, f"state[{index}].buffer", actual=f"buffer {item.buffer}")
        seen.add(item.buffer)
