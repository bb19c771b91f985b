"""Pictures of a model's graph: every instruction and every edge is in them."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from support.documents import build, recurrent
from support.strategies import documents, recurrent_documents

import instmodel as im
from instmodel.cli import main
from instmodel.reports.graph import boxes, graph_mermaid, graph_svg, memory_svg

EXAMPLE = "instmodel/examples/breast_cancer_network.json"
SVG = "{http://www.w3.org/2000/svg}"


@settings(max_examples=60)
@given(documents() | recurrent_documents())
def test_pictures_hold_every_instruction_and_edge(document):
    info = im.InstructionModelInfo.from_dict(document)
    model = im.InstructionModel(info)
    nodes = model.execution_graph.nodes
    found = boxes(model)
    first = 1 + len(info.state)
    assert len(found) == first + len(info.instructions)
    edges = {(i + first, child + first) for i, node in enumerate(nodes) for child in node.children}
    drawn = {(parent, i) for i, box in enumerate(found) for parent in box.parents}
    assert edges == {edge for edge in drawn if edge[0] >= first}
    assert all(box.depth > found[parent].depth for box in found for parent in box.parents)

    picture = ElementTree.fromstring(graph_svg(model))
    assert len(picture.findall(f"{SVG}g")) == len(found)
    assert len(picture.findall(f"{SVG}line")) == len(drawn)
    places = {
        (r.get("x"), r.get("y")) for r in picture.iter(f"{SVG}rect")
    }  # no box lies on another
    assert len(places) == len(found)
    assert graph_mermaid(model).count("-->") == len(drawn)
    assert len(ElementTree.fromstring(memory_svg(model))) == len(info.buffer_sizes)


def test_an_edge_leads_from_the_input_past_the_first_layer():
    b = im.ModelBuilder()
    x = b.input(4)
    hidden = b.dense(x, np.eye(4, dtype=np.float32), None, "RELU")
    found = boxes(im.InstructionModel(b.build(output=b.add_buffers(hidden, x))))
    assert [box.parents for box in found] == [[], [0], [0, 1]]


def test_a_state_is_a_box_of_its_own_and_what_the_next_step_finds_has_its_mark():
    model = build(recurrent())
    found = boxes(model)
    assert [box.kind for box in found[:3]] == ["input", "state", "instruction"]
    assert (found[1].title, found[1].subtitle) == (
        "↺ state: buffer 1",
        "3 values, at first parameters 0",
    )
    # COPY of the input, COPY of the state, DOT into the state, DOT of what that made.
    assert [box.parents for box in found[2:]] == [[0], [1], [2, 3], [4]]
    assert [box.kept for box in found[2:]] == [False, False, True, False]
    assert found[4].subtitle == "buffer 1: 3 values ↺ next step"
    assert 'n1(["↺ state: buffer 1<br/>' in graph_mermaid(model)
    told = [t.text for t in ElementTree.fromstring(memory_svg(model)).iter(f"{SVG}title")]
    assert told[1] == "buffer 1: 3 floats from 2 on, a state"
    picture = ElementTree.fromstring(graph_svg(model, 2))
    (group,) = [g for g in picture.iter(f"{SVG}g") if "marked" in g.get("class")]
    assert next(group.iter(f"{SVG}text")).text == "▶ 2 DOT TANH"
    assert "a state of 3 values" in model._repr_html_()


def test_all_that_wrote_a_part_of_a_state_has_its_mark():
    b = im.ModelBuilder()
    x, line = b.input(1), b.state(3)
    moved = b.concatenate([x, b.copy_masked(line, [0, 1])])
    b.set_state(line, moved)
    found = boxes(im.InstructionModel(b.build(output=moved)))
    assert [box.title for box in found if box.kept] == ["1 COPY", "2 COPY"]


def named():
    b = im.ModelBuilder()
    x = b.input(["age", "region", "vector[3]"])
    known = b.map_transform(x, 1, {1: [0.5]}, [0.0])
    scaled = b.mul_elementwise(b.copy_masked(x, [0, 3]), [2.0, 2.0])
    return im.InstructionModel(b.build(output=b.dense(b.concatenate([known, scaled]), [[1, 2, 3]])))


def test_boxes_name_the_features_whose_values_they_hold():
    found = boxes(named())
    assert found[0].names == ["age", "region", "vector[3]"]
    assert [box.names for box in found[1:4]] == [["region"], ["age", "vector"], ["age", "vector"]]
    assert found[-1].names == []
    texts = [t.text for t in ElementTree.fromstring(graph_svg(named())).iter(f"{SVG}text")]
    assert "age, region, vector[3]" in texts
    assert texts.count("age, vector") >= 2


def test_many_names_are_cut_where_their_box_ends():
    b = im.ModelBuilder()
    names = [f"the feature of the number {i}" for i in range(500)]
    x = b.input([*names, "a" * 900])
    svg = graph_svg(im.InstructionModel(b.build(output=b.dense(x, np.ones((1, 501))))))
    texts = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert max(map(len, texts)) < 80
    assert any(text.endswith(" more") for text in texts)
    assert len(texts) < 14


def test_an_instruction_is_marked():
    picture = ElementTree.fromstring(graph_svg(named(), 1))
    (group,) = [g for g in picture.iter(f"{SVG}g") if "marked" in g.get("class")]
    assert next(group.iter(f"{SVG}text")).text == "▶ 1 COPY_MASKED"


def test_wide_rows_go_on_below():
    b = im.ModelBuilder()
    x = b.input(2)
    parts = [b.dense(x, np.ones((2, 2))) for _ in range(20)]
    model = im.InstructionModel(b.build(output=b.add_buffers(*parts)))
    picture = ElementTree.fromstring(graph_svg(model))
    assert float(picture.get("width")) < 1440


def test_one_value_is_no_plural():
    b = im.ModelBuilder()
    info = b.build(output=b.dense(b.input(1), np.ones((2, 1)), None))
    found = boxes(im.InstructionModel(info))
    assert [box.subtitle for box in found] == [
        "1 value",
        "buffer 1: 2 values",
    ]


@pytest.mark.parametrize("ending", ["svg", "html", "mmd"])
def test_inspect_draws_into_a_file(tmp_path, capsys, ending):
    target = tmp_path / f"model.{ending}"
    assert main(["inspect", EXAMPLE, "--graph", str(target)]) == 0
    text = target.read_text()
    for title in ("0 ADD_ELEMENTWISE", "DOT RELU", "DOT SIGMOID", "input"):
        assert title in text
    assert main(["inspect", EXAMPLE, "--graph", str(tmp_path / "model.png")]) == 2
    assert ".svg, .html, .mmd" in capsys.readouterr().err


def test_notebooks_show_models_and_documents():
    info = im.InstructionModelInfo.load(EXAMPLE)
    for shown in (info, im.InstructionModel(info)):
        assert "<svg" in shown._repr_html_()
        assert "30 inputs, 1 output, " in shown._repr_html_()
    info.weights[0] = np.zeros((1, 1), np.float32)
    assert info._repr_html_() is None
