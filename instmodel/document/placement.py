"""Which buffer holds each value of a model that is being built.

Inputs come first, then state buffers, the output last. A step that works in place takes over the
buffer of its input when nothing needs the old value any more. What a state is to be in the next
step is made where the state is kept, once the old value has been read for the last time; where that
is not possible, it is copied there after everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from instmodel.document.instruction_base import Instruction
from instmodel.document.instructions import Copy


class Writes(Enum):
    """Which buffers a step can write its result to."""

    PART = auto()  # new ones alone: some of their zeros stay
    WHOLE = auto()  # all but those that it reads
    ELEMENTWISE = auto()  # all
    IN_PLACE = auto()  # all; into the one of its first input, it need not copy


# Makes the instructions of a step, from the buffers of its inputs and of its output.
Emit = Callable[[list[int], int], list[Instruction]]


@dataclass(frozen=True, slots=True)
class Step:
    """A few instructions that make one value of others."""

    inputs: list[int]  # numbers of values
    output: int
    emit: Emit
    writes: Writes


class Placement(NamedTuple):
    """The buffers and instructions of a document, and the buffer of each state in order."""

    buffer_sizes: list[int]
    instructions: list[Instruction]
    state_buffers: list[int]


def place(
    steps: Sequence[Step],
    sizes: Sequence[int],
    inputs: Sequence[int],
    following: Mapping[int, int],
    output: int,
) -> Placement:
    """Give every value a buffer.

    Parameters
    ----------
    steps : sequence of Step
    sizes : sequence of int
        Size of each value.
    inputs : sequence of int
        The values that the features fill.
    following : mapping of int to int
        For each state, the value that it is in the next step.
    output : int
        A result of a step.
    """
    buffers = _Buffers(steps, sizes, inputs, following, output)
    placed = [
        (step, [buffers.of[value] for value in step.inputs], buffers.place(step, at))
        for at, step in enumerate(steps)
    ]
    left = _copies(
        {
            buffers.of[state]: buffers.of[value]
            for state, value in following.items()
            if buffers.of[state] != buffers.of[value]
        },
        buffers.sizes,
    )
    final = buffers.of[output]
    order = [buffer for buffer in range(len(buffers.sizes)) if buffer != final] + [final]
    renumbered = {buffer: place for place, buffer in enumerate(order)}
    instructions = [
        item
        for step, sources, target in placed
        for item in step.emit([renumbered[buffer] for buffer in sources], renumbered[target])
    ]
    instructions += [
        Copy(input=renumbered[source], output=renumbered[target], internal_index=0)
        for source, target in left
    ]
    return Placement(
        buffer_sizes=[buffers.sizes[buffer] for buffer in order],
        instructions=instructions,
        state_buffers=[renumbered[buffers.of[state]] for state in following],
    )


def _copies(sources: dict[int, int], sizes: list[int]) -> list[tuple[int, int]]:
    """Return the copies, from and to, that give each buffer what its source held before them all.

    Parameters
    ----------
    sources : dict of int to int
        By buffer; used up.
    sizes : list of int
        Size of each buffer. States that change places need one more.
    """
    copies = []
    while sources:
        ready = sources.keys() - sources.values()
        if ready:
            copies += [(sources.pop(target), target) for target in sorted(ready)]
        else:
            blocked = min(sources)
            copies.append((blocked, len(sizes)))
            sources = {
                target: len(sizes) if source == blocked else source
                for target, source in sources.items()
            }
            sizes.append(sizes[blocked])
    return copies


class _Buffers:
    """The buffers of values, given to one step after the other.

    Attributes
    ----------
    of : dict of int to int
        By value.
    sizes : list of int
    """

    def __init__(
        self,
        steps: Sequence[Step],
        sizes: Sequence[int],
        inputs: Sequence[int],
        following: Mapping[int, int],
        output: int,
    ) -> None:
        given = (*inputs, *following)
        self.of = {value: buffer for buffer, value in enumerate(given)}
        self.sizes = [sizes[value] for value in given]
        self._value_sizes, self._input_count, self._output = sizes, len(inputs), output
        self._end = len(steps)
        self._last_use = {step.output: at for at, step in enumerate(steps)}
        self._last_use |= {value: at for at, step in enumerate(steps) for value in step.inputs}
        self._last_use |= dict.fromkeys((output, *following.values()), self._end)
        # The value that each state buffer holds, and the one that it is to hold in the end.
        self._held = {self.of[state]: state for state in following}
        self._homes = self._find_homes(steps, following)

    def place(self, step: Step, at: int) -> int:
        """Return the buffer of the result of the next step."""
        buffer = self._old_buffer(step, at)
        if buffer is None:
            buffer = len(self.sizes)
            self.sizes.append(self._value_sizes[step.output])
        elif buffer in self._held:
            self._held[buffer] = step.output
        self.of[step.output] = buffer
        return buffer

    def _old_buffer(self, step: Step, at: int) -> int | None:
        home = self._homes.get(step.output)
        if step.writes is Writes.IN_PLACE and self._last_use[step.inputs[0]] == at:
            buffer = self.of[step.inputs[0]]
            if buffer in self._held:
                # Read later, or what overwrites it would be taken for a mistake.
                fits = buffer == home or at < self._last_use[step.output] < self._end
            else:
                fits = buffer >= self._input_count or step.output != self._output
            if fits:
                return buffer
        if home is None or step.writes is Writes.PART:
            return None
        last_use = self._last_use.get(self._held[home], -1)
        may_be_read = step.writes is not Writes.WHOLE
        return home if last_use < at or (last_use == at and may_be_read) else None

    def _find_homes(self, steps: Sequence[Step], following: Mapping[int, int]) -> dict[int, int]:
        """Return the state buffers of the values that end up there, changed in place or not."""
        homes = {}
        made = {step.output: (at, step) for at, step in enumerate(steps)}
        for state, value in following.items():
            while value in made and value not in homes:
                homes[value] = self.of[state]
                at, step = made[value]
                if step.writes is not Writes.IN_PLACE or self._last_use[step.inputs[0]] != at:
                    break
                value = step.inputs[0]
        return homes
