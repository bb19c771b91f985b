"""`inspect` shows what a model holds, and nothing else than that."""

import json

import pytest
from support import documents
from support.commands import fails, identity, with_validation, write
from support.paths import SHIPPED

import instmodel as im
from instmodel.cli import main


def test_inspect_shows_every_part(capsys):
    assert main(["inspect", str(SHIPPED / "breast_cancer_network.json")]) == 0
    said = capsys.readouterr().out
    for part in (
        "inputs            30",
        "weights, biases   616, 25",
        "parameters        60",
        "memory per row    55 floats, 220 bytes",
        "worst fractal dimension",
        "ADD_ELEMENTWISE",
        "activation=SIGMOID",
    ):
        assert part in said


def test_inspect_as_json(capsys):
    path = SHIPPED / "breast_cancer_network.json"
    assert main(["inspect", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    model = im.load(path)
    assert facts["required_memory"] == model.required_memory
    assert [b["offset"] for b in facts["buffers"]] == list(model.buffer_offsets)
    assert [b["role"] for b in facts["buffers"]] == ["input", "", "", "output"]
    assert [i["type"] for i in facts["instructions"]][-1] == "DOT"
    assert facts["execution_graph"]["roots"] == [0]
    assert facts["execution_graph"]["children"] == [[1], [2], [3], [4], []]
    assert facts["counts"]["weights"] == 30 * 16 + 16 * 8 + 8


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_inspect_shows_every_kind_of_instruction(capsys, options):
    document = documents.everything()
    assert main(["inspect", write("m.json", json.dumps(document)), *options]) == 0
    said = capsys.readouterr().out
    for item in document["instructions"]:
        assert item["type"] in said
    if options:
        assert json.loads(said)["instructions"][7]["default"] == [0.5, -0.5]


def test_inspect_works_on_a_model_that_fails_its_validation(capsys):
    assert main(["inspect", with_validation(identity(size=2), [[1, 2]], [[1, 3]])]) == 0
    assert "validation cases  1" in capsys.readouterr().out


def test_inspect_does_not_list_millions_of_edges(capsys):
    copy = {"type": "COPY", "input": 0, "output": 1, "internal_index": 0}
    copies = [copy] * 400 + [copy | {"input": 1, "output": 2}] * 400
    document = {"feature_size": 1, "buffer_sizes": [1, 1, 1], "instructions": copies}
    model = write("m.json", json.dumps(document | {"weights": [], "bias": []}))
    assert main(["inspect", model]) == 0
    said = capsys.readouterr().out
    assert "edges             160000, too many to list" in said
    assert len(said) < 100_000
    assert "[too_many_edges]" in fails(capsys, "inspect", model, "--graph", "m.svg")


def test_names_cannot_take_over_the_terminal(capsys):
    names = ["\x1b2J evil", "line\nbreak", "é"]
    model = write("m.json", json.dumps(identity(names, 3)))
    assert main(["inspect", model]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b2J evil" in said
    assert "line\\nbreak" in said
    assert "é" in said
    write("t.csv", "x\n1\n")
    assert "\x1b" not in fails(capsys, "score", model, "t.csv", "-o", "o.csv")


def test_what_is_odd_about_a_model_is_told_in_one_line(capsys):
    document = identity(size=1) | {"features": ["a", "b"], "feature_size": 2}
    model = write("odd.json", json.dumps(document))
    assert main(["inspect", model]) == 0
    said = capsys.readouterr().err
    assert said.startswith("instmodel: warning: instruction 0 (DOT) overwrites input values")
    assert said.count("\n") == 1


def test_inspect_shows_the_state(capsys):
    document = documents.recurrent()
    document["state"].append({"buffer": 3})
    model = write("m.json", json.dumps(document))
    assert main(["inspect", model]) == 0
    said = capsys.readouterr().out
    assert "state             4 floats a sequence, buffers 1, 3" in said
    assert "before the first step" in said
    assert "parameters 0" in said
    assert "zeros" in said
    assert main(["inspect", model, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["state"] == [{"buffer": 1, "initial": 0}, {"buffer": 3}]
    assert facts["state_size"] == 4
    assert [b["role"] for b in facts["buffers"]] == ["input", "state", "", "state, output"]


def test_inspect_shows_text_categories(capsys):
    texts = {"a": ["red", "a\nb", "c", "d", "e"], "b": {"values": [], "unknown": -1}}
    model = write("m.json", json.dumps({**documents.dense(), "categories": texts}))
    assert main(["inspect", model]) == 0
    shown = capsys.readouterr().out
    assert "'red', 'a\\nb', 'c', 'd', … (5)  error" in shown
    assert "-1" in shown
    assert main(["inspect", model, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["features"]
    assert (first["categories"], first["unknown"]) == (texts["a"], "error")
    assert (second["categories"], second["unknown"]) == ([], -1.0)
