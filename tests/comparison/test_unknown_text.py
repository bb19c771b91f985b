"""Text that no category knows is counted, told and limited, and never shown as a number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im
from instmodel.cli import main
from instmodel.tables.unknown_text import WatchedCategories

TEXTS = ["red", "grün", "red", "green", "grün", "teal"]


def model(unknown="nan", texts=("red", "green"), weight=1.0):
    b = im.ModelBuilder()
    age = b.copy_masked(b.input(["age", "colour"]), [0])
    info = b.build(output=b.dense(age, [[weight]]))
    info.categories = {"colour": im.Categories(list(texts), unknown)}
    return im.InstructionModel(info)


def table(texts=TEXTS):
    return {"age": np.linspace(0, 1, len(texts)), "colour": texts}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{i / 10},{text}" for i, text in enumerate(TEXTS)]
    Path("t.csv").write_text("\n".join(["age,colour", *rows]) + "\n", "utf-8")
    model().info.save("m.json")


@pytest.mark.parametrize("unknown", ["nan", -1, 0])
@pytest.mark.parametrize("batch_rows", [None, 2])
def test_unknown_text_is_counted(unknown, batch_rows):
    for data in (table(), table(np.array(TEXTS))):
        found = im.verify(model(unknown), data, batch_rows=batch_rows)
        (item,) = found.to_dict()["unknown_texts"]
        assert item.pop("example") == "grün"
        assert item == {"name": "colour", "rows": 6, "unknown_rows": 3, "unknown_values": 3}
        assert found.same


def test_the_models_get_what_their_documents_say():
    seen = []
    im.verify(model(-1), table(), against=lambda x: seen.append(x) or x[:, :1])
    assert seen[0][:, 1].tolist() == [0, -1, 0, 1, -1, -1]


def test_features_that_refuse_unknown_text_have_none():
    found = im.verify(model("error"), table(["red", "green"]))
    assert [(item.unknown_rows, item.example) for item in found.unknown_texts] == [(0, None)]


def test_it_can_be_limited():
    found = im.verify(model(), table())
    assert not found.judge({"max": {"unknown_texts.unknown_rows": 0}}).holds
    assert found.judge({"max": {"unknown_texts.unknown_rows": "50%"}}).holds
    bare = im.verify(identity(["a"]), [[1.0]])
    with pytest.raises(im.InputError, match="text categories"):
        bare.judge({"max": {"unknown_texts.unknown_rows": 0}})


def test_more_texts_than_are_remembered_count_all_the_same():
    texts = [f"text {i}" for i in range(2500)]
    categories = WatchedCategories(["red"])
    numbers = [categories.codes.get(text) for text in ["red", *texts]]
    assert len(set(numbers)) == 1002
    assert np.array_equal(np.float32(numbers), numbers)
    assert categories.unknown_text(numbers[7]) == "text 6"
    assert categories.unknown_text(numbers[-1]) == "unknown text"
    assert im.verify(model(), table(texts)).unknown_texts[0].unknown_rows == 2500


def test_it_is_told_in_the_terminal(files, capsys):
    said = "Unknown text: colour has text that is no category in 3 of 6 rows, such as 'grün'."
    assert main(["verify", "m.json", "--data", "t.csv"]) == 0
    assert said in capsys.readouterr().out
    pytest.importorskip("sklearn")
    assert main(["compare", "m.json", "m.json", "--data", "t.csv"]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("unknown", ["nan", 0])
def test_a_comparison_counts_and_shows_it(unknown):
    pytest.importorskip("sklearn")
    old = model(unknown, ["red", "green", "blue"])
    texts, before = TEXTS * 40, (["red", "green"] * 120)
    found = im.compare(old, model(unknown, ["green"]), table(texts), reference=table(before))
    assert [(item.unknown_rows, item.example) for item in found.unknown_texts] == [(120, "grün")]
    (shift,) = (item for item in found.input_psi if item.name == "colour")
    shares = {part.text: (part.old_share, part.new_share) for part in shift.bins}
    assert shares["unknown text"] == (0, 0.5)
    assert shift.new_missing == 0
    assert not any(part.missing for part in shift.bins)


def test_a_row_that_moves_shows_its_text():
    pytest.importorskip("sklearn")
    new = model(-2, ["green"], weight=2.0)
    found = im.compare(model(-1), new, table(["red", "teal", "green", "grün"]))
    movers = {mover.row: mover for mover in found.movers}
    assert movers[3].texts == {"colour": "grün"}
    assert movers[3].inputs == [1.0, -1.0]
