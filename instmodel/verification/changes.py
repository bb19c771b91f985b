"""What an instruction has in one document and not in another: constants and settings, by place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instmodel.document.instruction_base import Instruction
from instmodel.document.schema import InstructionModelInfo
from instmodel.verification.origins import Origins, input_origins

# Changes of two documents that are told.
MOST_CHANGES = 50


@dataclass(frozen=True, slots=True)
class Change:
    """Numbers of one constant, or of one setting, that are others in the other document.

    Attributes
    ----------
    instruction : int
    type : str
    name : str
        ``weights[1]``, ``bias[1]``, ``parameters[0]``, ``maps[2]``, or a setting such as
        ``default``, ``indexes`` or ``activation``.
    count, size : int
        How many numbers differ, and how many there are; 0 and 0 where the shapes differ.
    place : str
        The first that differs: ``weights[1][3][5]``, ``maps[0]["12"][3]``.
    input : str
        The input that this number is for, if it is for one.
    actual, expected : float, str or None
        It, in the model and in the other; None for a key that is not in the map.
    largest_place, largest_input : str
        The same of the number that differs most.
    largest_actual, largest_expected : float, str or None
    """

    instruction: int
    type: str
    name: str
    count: int
    size: int
    place: str
    input: str
    actual: float | str | None
    expected: float | str | None
    largest_place: str
    largest_input: str
    largest_actual: float | str | None
    largest_expected: float | str | None

    def __str__(self) -> str:
        text = _entry(self.place, self.input, self.actual, self.expected)
        if self.count <= 1:
            return text
        text = f"{self.count} of {self.size} numbers of {self.name} differ: first {text}"
        if self.largest_place != self.place:
            largest = (self.largest_place, self.largest_input)
            most = _entry(*largest, self.largest_actual, self.largest_expected)
            text += f"; most {most}"
        return text


def _entry(place: str, name: str, actual: Any, expected: Any) -> str:
    column = f" (input {name})" if name else ""
    return f"{place}{column} is {_shown(actual)} instead of {_shown(expected)}"


def _shown(value: Any) -> str:
    if value is None:
        return "absent"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


class _Numbers(NamedTuple):
    """Numbers of both documents, side by side, as far as their shapes agree."""

    name: str
    actual: NDArray[Any]
    expected: NDArray[Any]
    places: Any  # of the index of a number: its place as text
    inputs: Any  # of the same: the position of the input that it is for, or -1


def instruction_changes(
    info: InstructionModelInfo,
    other: InstructionModelInfo,
    index: int,
    origins: Origins,
    names: Sequence[str],
) -> list[Change]:
    """Return what two instructions of one type have in different ways.

    Parameters
    ----------
    info, other : InstructionModelInfo
    index : int
        Of the instruction, in both.
    origins : list of (size,) int
        The input that each value of each buffer comes from, before the instruction.
    names : sequence of str
        What a person calls each input.
    """
    item, twin = info.instructions[index], other.instructions[index]
    found = []
    for part in fields(item):
        a, b = getattr(item, part.name), getattr(twin, part.name)
        role = part.metadata["role"]
        if role and a is not None and b is not None:
            numbers = [*_constants(role, info, other, item, (a, b), origins)]
        elif a == b:
            continue
        elif isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            numbers = [_vector(part.name, np.array(a), np.array(b), np.full(len(a), -1))]
        else:
            found.append(_whole(index, item, part.name, a, b))
            continue
        for one in numbers:
            if one.actual.shape != one.expected.shape:
                shapes = ("×".join(map(str, x.shape)) for x in (one.actual, one.expected))
                found.append(_whole(index, item, f"the shape of {one.name}", *shapes))
            elif np.any(one.actual != one.expected):
                found.append(_change(index, item, one, names))
    return found


def _constants(
    role: str,
    info: InstructionModelInfo,
    other: InstructionModelInfo,
    item: Instruction,
    indexes: tuple[int, int],
    origins: Origins,
) -> Iterator[_Numbers]:
    a, b = indexes
    target = item.write(info.buffer_sizes).buffer
    if role == "weights":
        columns = origins[getattr(item, "key", item.reads()[0])]
        yield _Numbers(
            f"weights[{a}]",
            info.weights[a],
            other.weights[b],
            lambda at: f"weights[{a}][{at[0]}][{at[1]}]",
            lambda at: columns[at[1]],
        )
        none = np.full(len(info.bias[a]), -1)
        yield _vector(f"bias[{a}]", info.bias[a], other.bias[b], none)
    elif role == "parameters":
        vectors = (info.parameters[a], other.parameters[b])
        yield _vector(f"parameters[{a}]", *vectors, origins[target])
    else:
        yield _tables(f"maps[{a}]", info.maps[a], other.maps[b], item, origins)


def _vector(name: str, actual: Any, expected: Any, inputs: Any) -> _Numbers:
    return _Numbers(
        name,
        np.asarray(actual),
        np.asarray(expected),
        lambda at: f"{name}[{at[0]}]",
        lambda at: inputs[at[0]],
    )


def _tables(
    name: str,
    table: Mapping[int, Any],
    twin: Mapping[int, Any],
    item: Instruction,
    origins: Origins,
) -> _Numbers:
    """Return the rows of two maps side by side; NaN, which no map holds, where a key is absent."""
    keys = sorted(table.keys() | twin.keys())
    width = max((len(row) for rows in (table, twin) for row in rows.values()), default=1)
    absent = np.full(width, np.nan)
    sides = [
        np.array([rows.get(key, absent) for key in keys], np.float64).reshape(len(keys), -1)
        for rows in (table, twin)
    ]
    missing = [np.isnan(side) for side in sides]
    sides[0][missing[0] & missing[1]] = sides[1][missing[0] & missing[1]] = 0.0
    buffer, place = item.looked_up() or (0, 0)
    return _Numbers(
        name,
        sides[0],
        sides[1],
        lambda at: f'{name}["{keys[at[0]]}"][{at[1]}]',
        lambda at: origins[buffer][place],
    )


def _change(index: int, item: Instruction, one: _Numbers, names: Sequence[str]) -> Change:
    different = np.argwhere(one.actual != one.expected)
    a, b = (side.astype(np.float64)[tuple(different.T)] for side in (one.actual, one.expected))
    distance = np.nan_to_num(np.abs(a - b), nan=np.inf)

    def entry(which: int) -> tuple[str, str, float | None, float | None]:
        at = different[which].tolist()
        origin = int(one.inputs(at))
        sides = (None if np.isnan(x[which]) else float(x[which]) for x in (a, b))
        return (one.places(at), names[origin] if origin >= 0 else "", *sides)

    return Change(
        index,
        item.TYPE,
        one.name,
        len(different),
        one.actual.size,
        *entry(0),
        *entry(int(np.argmax(distance))),
    )


def _whole(index: int, item: Instruction, name: str, a: Any, b: Any) -> Change:
    """Return the change of a setting that is one, or has another length."""
    x, y = (None if x is None else str(list(x) if isinstance(x, tuple) else x) for x in (a, b))
    return Change(index, item.TYPE, name, 0, 0, name, "", x, y, name, "", x, y)


def document_changes(
    info: InstructionModelInfo, other: InstructionModelInfo, names: Sequence[str]
) -> tuple[list[Change], str]:
    """Return what the instructions of two documents have in different ways, and why no more.

    Parameters
    ----------
    info, other : InstructionModelInfo
        With the same features in the same order.
    names : sequence of str
        What a person calls each input.

    Returns
    -------
    list of Change
        At most 50.
    str
        From where on the instructions themselves are others; empty where they are not.
    """
    found: list[Change] = []
    steps = input_origins(info.instructions, info.buffer_sizes, len(names))
    for index, origins in enumerate(steps):
        difference = structure_difference(info, other, index)
        if difference:
            return found, difference
        found += instruction_changes(info, other, index, origins, names)
        if len(found) >= MOST_CHANGES:
            return found[:MOST_CHANGES], ""
    return found, structure_difference(info, other, len(info.instructions))


def structure_difference(
    info: InstructionModelInfo, other: InstructionModelInfo, index: int
) -> str:
    """Return in what way an instruction is another one; empty where it is of one kind in both.

    Two of one kind have the same type, and read and write the same places of equal buffers.
    """
    pair = [part.instructions[index : index + 1] for part in (info, other)]
    if not pair[0] and not pair[1]:
        return ""
    if not pair[0] or not pair[1]:
        kind, where = (pair[1] or pair[0])[0].TYPE, "the other model" if pair[1] else "the model"
        return f"instruction {index} ({kind}) is only in {where}"
    (a,), (b,) = pair
    place = f"instruction {index} ({a.TYPE})"
    if a.TYPE != b.TYPE:
        return f"{place} is another one: {b.TYPE} in the other model"
    if a.reads() != b.reads():
        return f"{place} reads {_buffers(a.reads())} instead of {_buffers(b.reads())}"
    write, twin = a.write(info.buffer_sizes), b.write(other.buffer_sizes)
    if write.buffer != twin.buffer:
        return f"{place} writes buffer {write.buffer} instead of buffer {twin.buffer}"
    for buffer in dict.fromkeys((*a.reads(), write.buffer)):
        sizes = info.buffer_sizes[buffer], other.buffer_sizes[buffer]
        if sizes[0] != sizes[1]:
            return f"{place}: buffer {buffer} has {sizes[0]} values instead of {sizes[1]}"
    if write != twin:
        return (
            f"{place} writes values {write.start} … {write.stop - 1} of buffer {write.buffer} "
            f"instead of {twin.start} … {twin.stop - 1}"
        )
    return ""


def _buffers(indexes: Sequence[int]) -> str:
    word = "buffer" if len(indexes) == 1 else "buffers"
    return f"{word} {', '.join(map(str, indexes))}"
