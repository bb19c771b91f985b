"""Two documents that differ are told apart by the very numbers, with the inputs they are for."""

import json

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.verification.summary import verification_summary

RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.uniform(20, 60, 200), RNG.integers(0, 10, 200), RNG.normal(size=200)])


def document(names=("age", "region", "income")):
    rng = np.random.default_rng(1)
    b = im.ModelBuilder()
    x = b.input(list(names))
    table = {key: rng.normal(size=2) for key in range(10)}
    known = b.map_transform(x, 1, table, [0.0, 0.0])
    moved = b.add_elementwise(b.copy_masked(x, [2, 0]), [0.5, -40.0])
    h = b.dense(b.concatenate([moved, known]), rng.normal(size=(3, 4)) / 9, None, "TANH")
    return b.build(output=b.dense(h, rng.normal(size=(1, 3)), [0.1], "SIGMOID"))


def weights_changed(info):
    info.weights[0][1, 2] += 0.25
    info.weights[0][2, 0] += 0.5


def bias_changed(info):
    info.bias[1][0] += 0.5


def parameter_changed(info):
    info.parameters[0][1] += 2.0


def map_changed(info):
    info.maps[0][7] = info.maps[0][7] + np.float32([0, 1])


def key_dropped(info):
    del info.maps[0][3]


def activation_changed(info):
    place = next(i for i, item in enumerate(info.instructions) if item.TYPE == "DOT")
    item = info.instructions[place]
    info.instructions[place] = im.Dot(item.input, item.output, item.weights, "SIGMOID")


def default_changed(info):
    item = info.instructions[0]
    changed = item.to_dict() | {"default": [0.0, 0.75]}
    del changed["type"]
    info.instructions[0] = im.MapTransform(**changed)


# What was changed, and the place, the input and the count that are told.
CHANGES = [
    (weights_changed, "weights[0][1][2]", "region", 2),
    (bias_changed, "bias[1][0]", "", 1),
    (parameter_changed, "parameters[0][1]", "age", 1),
    (map_changed, 'maps[0]["7"][1]', "region", 1),
    (key_dropped, 'maps[0]["3"][0]', "region", 2),
    (activation_changed, "activation", "", 0),
]


@pytest.mark.parametrize(("change", "place", "name", "count"), CHANGES)
def test_the_numbers_that_differ_are_named(change, place, name, count):
    other = document()
    change(other)
    found = im.verify(other, ROWS, against=document())
    assert not found.same
    (told,) = found.divergence.changes
    assert (told.place, told.input, told.count) == (place, name, count)
    assert told.instruction == found.divergence.instruction
    assert told in found.changes
    assert place in str(found.divergence)
    assert told.actual != told.expected
    assert (told.actual is None) == (change is key_dropped)


def test_the_first_number_and_the_largest_difference_are_told():
    other = document()
    weights_changed(other)
    (told,) = im.verify(other, ROWS, against=document()).divergence.changes
    assert told.size == 12
    assert (told.largest_place, told.largest_input) == ("weights[0][2][0]", "income")
    assert told.largest_actual - told.largest_expected == pytest.approx(0.5)
    assert str(told).startswith("2 of 12 numbers of weights[0] differ: first weights[0][1][2] ")


def test_another_document_with_the_same_outputs_is_told(tmp_path, capsys):
    other = document()
    default_changed(other)
    found = im.verify(other, ROWS, against=document())
    assert found.same
    assert found.digest != found.digest_against
    (told,) = found.changes
    assert (told.name, told.place, told.actual, told.expected) == (
        "default",
        "default[1]",
        0.75,
        0.0,
    )
    document().save(tmp_path / "a.json")
    other.save(tmp_path / "b.json")
    np.save(tmp_path / "rows.npy", ROWS.astype(np.float32))
    command = ["verify", *map(str, (tmp_path / "b.json", "--against", tmp_path / "a.json"))]
    assert main([*command, "--data", str(tmp_path / "rows.npy")]) == 0
    said = capsys.readouterr().out
    assert "The same outputs, but not the same document (digest " in said
    assert "default[1] is 0.75 instead of 0" in said
    assert main([*command, "--data", str(tmp_path / "rows.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"][0]["place"] == "default[1]"


def test_a_document_that_differs_in_what_is_not_computed_is_told_so():
    from instmodel.verification.summary import verification_summary

    other = document()
    other.metadata = {"trained": "yesterday"}
    found = im.verify(other, ROWS, against=document())
    assert (found.changes, found.difference) == ([], "")
    finding = verification_summary(found, "b.json", 6).finding
    assert "nothing that is computed" in finding
    same = im.verify(document(), ROWS, against=document())
    assert same.digest == same.digest_against
    assert verification_summary(same, "a.json", 6).finding == ""
    assert im.verify(document(), ROWS).digest_against == ""


def test_inputs_in_another_order_are_not_compared_number_by_number():
    found = im.verify(document(), ROWS, against=document(("income", "region", "age")))
    assert not found.same
    assert found.divergence.changes == found.changes == []
    assert found.difference == "the inputs are in another order there"


def shorter(info):
    last = info.instructions[-1]
    info.instructions[-1] = im.Dot(last.input, last.output, last.weights)
    info.instructions.append(im.Activate(last.output, "SIGMOID"))


def read_elsewhere(info):
    info.instructions[1] = im.CopyMasked(0, info.instructions[1].output, [0, 2])


def test_instructions_that_are_others_are_told():
    info = document()
    shorter(info)
    place = len(info.instructions) - 1
    found = im.verify(info, ROWS, against=document())
    assert found.difference == f"instruction {place} (ACTIVATION) is only in the model"
    assert im.verify(document(), ROWS, against=info).difference == (
        f"instruction {place} (ACTIVATION) is only in the other model"
    )
    info = document()
    read_elsewhere(info)
    (told,) = im.verify(info, ROWS, against=document()).divergence.changes
    assert (told.place, told.actual, told.expected) == ("indexes[0]", 0, 2)


def test_that_more_changes_than_are_told_may_be_there_is_said():
    def moved(last):
        b = im.ModelBuilder()
        x = b.input(1)
        for _ in range(60):
            x = b.add_elementwise(x, [last])
            x = b.add_elementwise(x, [-last])
        return b.build(output=x)

    found = im.verify(moved(1.0), np.float32([[0.5]]), against=moved(2.0))
    assert found.same
    assert len(found.changes) == 50
    told = verification_summary(found, "a", 6).finding
    assert "at least 50 of its constants and settings differ" in told
