"""Pictures of a model's graph: every instruction and every edge is in them."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from support.strategies import documents

import instmodel as im
from instmodel.cli import main
from instmodel.reports.graph import boxes, graph_mermaid, graph_svg, memory_svg

EXAMPLE = "instmodel/examples/breast_cancer_network.json"
SVG = "{http://www.w3.org/2000/svg}"


@settings(max_examples=60)
@given(documents())
def test_pictures_hold_every_instruction_and_edge(document):
    info = im.InstructionModelInfo.from_dict(document)
    model = im.InstructionModel(info)
    nodes = model.execution_graph.nodes
    found = boxes(model)
    assert len(found) == len(info.instructions) + 1
    edges = {(i + 1, child + 1) for i, node in enumerate(nodes) for child in node.children}
    drawn = {(parent, i) for i, box in enumerate(found) for parent in box.parents}
    assert edges == {edge for edge in drawn if edge[0] != 0}
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
