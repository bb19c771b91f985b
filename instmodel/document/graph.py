"""Who reads what whom wrote: the execution graph, unused computation, and gaps.

One pass over the instructions follows the last writers of every buffer. A *full* write replaces
them, a *partial* one (copies, maps) adds to them, and an in-place instruction reads its buffer
before it becomes the only writer.

A state buffer holds what the step before left in it, which counts as written: what reads it before
anything wrote it in this step waits for nothing. Its last writer counts as read, by the next step.

The input is no instruction's result. What overwrites it unread is most likely a mistake, but no
error: a model of one buffer that works in place may do it on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from instmodel.document.instruction_base import Instruction
from instmodel.errors import StructureError

MOST_EDGES = 100_000
"""A graph of more edges is neither listed nor drawn; only a hostile document has so many."""


class _Writers(NamedTuple):
    """The last writers of a buffer, newest first, as a list that shares its tail.

    Sharing keeps the pass linear: a hostile document of n copies and n readers has n² edges, which
    are only made when somebody asks for them.
    """

    writer: int
    older: _Writers | None
    length: int

    def walk(self) -> Iterator[int]:
        node: _Writers | None = self
        while node is not None:
            yield node.writer
            node = node.older


@dataclass(slots=True)
class GraphNode:
    """One instruction of the execution graph.

    Attributes
    ----------
    instruction : int
        Its index in the document.
    parents, children : list of int
        The instructions whose results it reads, and those that read its result.
    """

    instruction: int
    parents: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)


class ExecutionGraph:
    """The data flow between the instructions of a model.

    Attributes
    ----------
    roots : list of int
        Instructions that read nothing another instruction wrote.
    is_parallelizable : bool
        More than one root, or a node with more than one child.
    edge_count : int
        How many edges `nodes` holds: up to a quarter of the square of the number of instructions.
    """

    def __init__(self, sources: Sequence[tuple[_Writers, ...]]) -> None:
        self._sources = sources
        self.roots = [index for index, writers in enumerate(sources) if not writers]
        # An instruction writes one buffer, so no writer is in two groups of a reader.
        self.edge_count = sum(group.length for groups in sources for group in groups)
        self.is_parallelizable = len(self.roots) > 1 or self._some_node_branches()

    @cached_property
    def nodes(self) -> list[GraphNode]:
        """One `GraphNode` per instruction, in order."""
        nodes = [GraphNode(index) for index in range(len(self._sources))]
        for node, groups in zip(nodes, self._sources, strict=True):
            node.parents = sorted({writer for group in groups for writer in group.walk()})
            for parent in node.parents:
                nodes[parent].children.append(node.instruction)
        return nodes

    def _some_node_branches(self) -> bool:
        # Linear: a group that is walked a second time ends the walk at once.
        has_child = [False] * len(self._sources)
        for groups in self._sources:
            parents = set[int]()
            for group in groups:
                for writer in group.walk():
                    if writer in parents:
                        continue
                    if has_child[writer]:
                        return True
                    parents.add(writer)
                    has_child[writer] = True
        return False


class Ranges:
    """The parts of a buffer that something has written."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[tuple[int, int]] = []  # half-open, unordered

    def add(self, start: int, stop: int) -> None:
        """Add start … stop - 1."""
        self._parts.append((start, stop))

    def fill(self, size: int) -> list[tuple[int, int]]:
        """Add all of 0 … size - 1; return what was missing, as ascending half-open ranges."""
        missing, end = [], 0
        # Each part is looked at once: they are one when this is done.
        for start, stop in sorted(self._parts):
            if start > end:
                missing.append((end, start))
            end = max(end, stop)
        if end < size:
            missing.append((end, size))
        self._parts = [(0, size)]
        return missing


class Gap(NamedTuple):
    """A range of a buffer that something may read before anything wrote it; it reads as 0."""

    buffer: int
    start: int
    stop: int


class LostInput(NamedTuple):
    """Input values that an instruction overwrites before any has read their buffer."""

    instruction: int
    buffer: int
    start: int
    stop: int


class Trace(NamedTuple):
    """What `trace` finds.

    Attributes
    ----------
    graph : ExecutionGraph
    gaps : list of Gap
        What must be zeroed before each run, buffer by buffer.
    lost : list of LostInput
        In the order of the instructions.
    """

    graph: ExecutionGraph
    gaps: list[Gap]
    lost: list[LostInput]


def trace(
    instructions: Sequence[Instruction],
    sizes: Sequence[int],
    input_buffers: int,
    state_buffers: Sequence[int] = (),
) -> Trace:
    """Follow readers and writers through a checked list of instructions.

    Parameters
    ----------
    instructions : sequence of Instruction
    sizes : sequence of int
        Size of each buffer.
    input_buffers : int
        How many of the first buffers the input fills.
    state_buffers : sequence of int

    Raises
    ------
    StructureError
        ``unused_computation``: an instruction overwrites what nothing has read.
    """
    writers: list[_Writers | None] = [None] * len(sizes)
    unread = [False] * len(sizes)
    written = [Ranges() for _ in sizes]
    gaps: list[Gap] = []
    lost: list[LostInput] = []
    unread_inputs = set(range(input_buffers))
    sources: list[tuple[_Writers, ...]] = []

    def zero_the_rest(buffer: int) -> None:
        gaps.extend(Gap(buffer, *part) for part in written[buffer].fill(sizes[buffer]))

    for buffer in (*range(input_buffers), *state_buffers):
        written[buffer].add(0, sizes[buffer])
    for index, item in enumerate(instructions):
        found = (writers[buffer] for buffer in item.reads())
        sources.append(tuple(group for group in found if group is not None))
        for buffer in item.reads():
            unread[buffer] = False
            unread_inputs.discard(buffer)
            zero_the_rest(buffer)
        target, start, stop, partial = item.write(sizes)
        if unread[target] and not partial:
            last = writers[target]
            assert last is not None  # something wrote it: that is what is unread
            raise StructureError(
                "unused_computation",
                f"overwrites the result of instruction {last.writer}, which nothing has read",
                instruction=index,
                instruction_type=item.TYPE,
                field="input" if item.IN_PLACE else "output",
                actual=f"buffer {target}",
            )
        if target in unread_inputs:
            lost.append(LostInput(index, target, start, stop))
            if not partial:
                unread_inputs.discard(target)
        older = writers[target] if partial else None
        writers[target] = _Writers(index, older, older.length + 1 if older else 1)
        unread[target] = True
        written[target].add(start, stop)
    for buffer in range(len(sizes)):
        zero_the_rest(buffer)
    return Trace(ExecutionGraph(sources), sorted(gaps), lost)
