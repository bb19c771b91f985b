"""The execution graph and unused computation, on models small enough to draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.documents import build, dense, engine_cases, everything, refused, trainer_exports

import instmodel as im
from instmodel.document.graph import Ranges
from instmodel.reports.facts import model_facts
from instmodel.reports.graph import graph_svg

A, B, C, D = range(4)  # four buffers of two values; A is the input


def copy(source, target):
    return {"type": "COPY", "input": source, "output": target, "internal_index": 0}


def masked(source, target):
    return {"type": "COPY_MASKED", "input": source, "output": target, "indexes": [1]}


def mapped(source, target):
    return {
        "type": "MAP_TRANSFORM",
        "input": source,
        "output": target,
        "internal_input_index": 0,
        "internal_output_index": 0,
        "map": 0,
        "size": 1,
        "default": [0.0],
    }


def add(*sources, to):
    return {"type": "ADD_ELEMENTWISE_BUFFERS", "input": list(sources), "output": to}


def dot(source, target):
    return {"type": "DOT", "input": source, "output": target, "weights": 0}


def relu(buffer):
    return {"type": "ACTIVATION", "input": buffer, "activation": "RELU"}


def model_of(*instructions):
    kinds = {item["type"] for item in instructions}
    return {
        "feature_size": 2,
        "buffer_sizes": [2, 2, 2, 2],
        "instructions": list(instructions),
        "weights": [[[1.0, 0.0], [0.0, 1.0]]] if "DOT" in kinds else [],
        "bias": [[0.0, 0.0]] if "DOT" in kinds else [],
        "maps": [{}] if "MAP_TRANSFORM" in kinds else [],
    }


# name: (instructions, children of each, parallelizable)
GRAPHS = {
    "a chain": ([dot(A, B), relu(B), dot(B, C), dot(C, D)], [[1], [2], [3], []], False),
    "two roots": ([dot(A, B), dot(A, C), add(B, C, to=D)], [[2], [2], []], True),
    "a branch": ([dot(A, B), dot(B, C), dot(B, D)], [[1, 2], [], []], True),
    "one instruction": ([dot(A, D)], [[]], False),
    "in place on the input": ([relu(A), dot(A, B), dot(B, D)], [[1], [2], []], False),
    "in place separates readers": (
        [dot(A, B), dot(B, C), relu(B), dot(B, D)],
        [[1, 2], [], [3], []],
        True,
    ),
    "two copies write one buffer": (
        [copy(A, B), copy(A, B), dot(B, D)],
        [[2], [2], []],
        True,
    ),
    "every kind of partial writer": (
        [masked(A, B), mapped(A, B), copy(A, B), dot(B, D)],
        [[3], [3], [3], []],
        True,
    ),
    "a copy after a dense layer adds to it": (
        [dot(A, B), masked(A, B), dot(B, D)],
        [[2], [2], []],
        True,
    ),
    "a dense layer replaces what was read": (
        [dot(A, B), dot(B, C), dot(A, B), add(B, C, to=D)],
        [[1], [3], [3], []],
        True,
    ),
    "one buffer read twice is one edge": ([dot(A, B), add(B, B, to=D)], [[1], []], False),
    "an output among the inputs": ([dot(A, B), add(B, A, to=B), dot(B, D)], [[1], [2], []], False),
    "a copy onto itself": ([dot(A, B), copy(B, B), dot(B, D)], [[1, 2], [2], []], True),
    "a write that nothing reads": ([dot(A, B), dot(A, D)], [[], []], True),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graph(name):
    instructions, children, parallelizable = GRAPHS[name]
    model = build(model_of(*instructions))
    graph = model.execution_graph
    assert [node.children for node in graph.nodes] == children
    assert graph.edge_count == sum(map(len, children))
    readers = {child for some in children for child in some}
    assert graph.roots == [i for i in range(len(instructions)) if i not in readers]
    assert model.is_parallelizable is parallelizable
    assert graph.is_parallelizable is parallelizable


# name: (instructions, the one that overwrites what nothing has read)
UNUSED = {
    "dense after dense": ([dot(A, B), dot(A, B), dot(B, D)], 1),
    "dense after a copy": ([copy(A, B), dot(A, B), dot(B, D)], 1),
    "dense after a masked copy": ([masked(A, B), dot(A, B), dot(B, D)], 1),
    "dense after a map": ([mapped(A, B), dot(A, B), dot(B, D)], 1),
    "sum after dense": ([dot(A, B), add(A, A, to=B), dot(B, D)], 1),
    "dense after an in-place change": ([dot(A, B), dot(B, C), relu(B), dot(A, B)], 3),
    "dense after a copy that came after a reader": (
        [dot(A, B), dot(B, D), masked(A, B), dot(A, B)],
        3,
    ),
}


@pytest.mark.parametrize("name", UNUSED)
def test_unused_computation(name):
    instructions, at = UNUSED[name]
    error = refused(model_of(*instructions))
    assert error.code == "unused_computation"
    assert error.instruction == at
    assert error.instruction_type == instructions[at]["type"]


USED = {
    "copies add to what is there": [dot(A, B), copy(A, B), masked(A, B), mapped(A, B), dot(B, D)],
    "an in-place change reads first": [dot(A, B), relu(B), relu(B), dot(B, D)],
    "an output among the inputs is read first": [dot(A, B), add(B, B, to=B), dot(B, D)],
    "the input may be overwritten unread": [copy(B, C), dot(B, A), dot(A, D)],
    "the last result need not be read": [dot(A, B), dot(A, C), dot(A, D)],
    "read, then overwritten": [dot(A, B), dot(B, C), dot(A, B), add(B, C, to=D)],
}


@pytest.mark.parametrize("name", USED)
def test_computation_that_is_used(name):
    build(model_of(*USED[name]))


def test_graph_of_everything():
    graph = build(everything()).execution_graph
    assert graph.roots == [0, 5, 7]
    assert [node.children for node in graph.nodes] == [
        *([1], [2], [3], [4], [6, 10], [9, 11], [8], [8, 9]),
        *([10], [10], [11, 13], [12], [14], [15], [15], []),
    ]
    assert graph.nodes[10].parents == [4, 8, 9]


def test_a_graph_of_many_instructions_is_made_without_recursion():
    count = 5000
    document = {
        "feature_size": 1,
        "buffer_sizes": [1],
        "instructions": [{"type": "ACTIVATION", "input": 0, "activation": "INVERSE"}] * count,
        "weights": [],
        "bias": [],
    }
    model = build(document)
    assert model.predict([0.25]).tolist() == [0.25]
    assert len(model.execution_graph.nodes) == count
    assert model.is_parallelizable is False


def test_a_hostile_document_of_copies_and_readers_is_no_burden():
    # 2,000 writers of one buffer and 2,000 readers: four million edges, if anybody asked for them.
    count = 2000
    document = model_of(*[copy(A, B)] * count, *[copy(B, C)] * count)
    model = build(document)
    assert model.is_parallelizable is True
    assert model.execution_graph.roots == list(range(count))
    assert model.execution_graph.edge_count == count**2
    graph = model_facts(model)["execution_graph"]
    assert (graph["edges"], graph["children"]) == (count**2, None)
    with pytest.raises(im.InstModelError) as caught:
        graph_svg(model)
    assert (caught.value.code, caught.value.actual) == ("too_many_edges", count**2)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)), st.integers(20, 30))
def test_filling_finds_what_was_not_written(parts, size):
    written = Ranges()
    for start, stop in parts:
        written.add(start, stop)
    missing = {i for start, stop in written.fill(size) for i in range(start, stop)}
    assert missing == set(range(size)) - {i for part in parts for i in range(*part)}
    assert written.fill(size) == []


def test_the_graph_is_public():
    graph = build(dense()).execution_graph
    assert isinstance(graph, im.ExecutionGraph)
    assert isinstance(graph.nodes[0], im.GraphNode)
    assert graph.roots == [0]
    assert np.size(graph.nodes[0].children) == 1


# --------------------------------------------------------------------------- inputs that are lost


def lossy(*instructions, **parts):
    """Two input buffers, `a` and `b[2]`, and an output of two values."""
    kinds = {item["type"] for item in instructions}
    return {
        "features": ["a", "b[2]"],
        "buffer_sizes": [1, 2, 2],
        "instructions": list(instructions),
        "weights": [[[1.0], [1.0]]] if "DOT" in kinds else [],
        "bias": [[0.0, 0.0]] if "DOT" in kinds else [],
        "maps": [{}] if "MAP_TRANSFORM" in kinds else [],
        **parts,
    }


LOST = {
    "written fully": ([dot(0, 1), copy(1, 2)], "instruction 0 (DOT)", "'b[0]', 'b[1]'"),
    "written in part": ([mapped(0, 1), copy(1, 2)], "instruction 0 (MAP_TRANSFORM)", "'b[0]'"),
    "written later": ([dot(0, 2), relu(0), copy(0, 1)], "instruction 2 (COPY)", "'b[0]'"),
    "the output": ([add(1, 1, to=2), copy(0, 0)], None, None),
    "read first": ([copy(1, 2), copy(0, 1), copy(1, 2)], None, None),
    "changed in place": ([relu(1), copy(1, 2)], None, None),
    "written by what reads it": ([add(1, 1, to=1), copy(1, 2)], None, None),
    "read by nothing": ([copy(0, 2)], None, None),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("instructions", "what", "names"), LOST.values(), ids=LOST)
def test_inputs_that_are_overwritten_unread_are_told(instructions, what, names, tmp_path):
    info = im.InstructionModelInfo.from_dict(lossy(*instructions))
    info.save(tmp_path / "model.json")
    makers = [lambda: im.InstructionModel(info), lambda: im.load(tmp_path / "model.json")]
    for make in makers:
        if what is None:
            make()
            continue
        with pytest.warns(UserWarning, match=r"before any instruction has read them") as caught:
            model = make()
        assert len(caught) == 1
        assert caught[0].filename == __file__  # the line that made the model
        assert str(caught[0].message).startswith(what)
        assert str(caught[0].message).endswith(f": {names}")
        # It is true: whatever stands there, the score is the same.
        for name in names.split(", "):
            row = np.array([0.5, 1.5, 2.5], np.float32)
            other = row.copy()
            other[model.columns.index(name.strip("'"))] = 99
            assert model.predict(row).tolist() == model.predict(other).tolist()


@pytest.mark.filterwarnings("error")
def test_inputs_without_names_are_told_by_number():
    document = lossy(dot(0, 1), copy(1, 2), features=None, feature_size=3)
    with pytest.warns(UserWarning, match=": 1, 2$"):
        build(document)


@pytest.mark.filterwarnings("error")
def test_no_golden_model_loses_an_input():
    for case in (*engine_cases(), *trainer_exports()):
        build(case["model"])
