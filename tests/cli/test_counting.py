"""What a person reads counts rows of files from 1, and what is in memory from 0."""

import json
import re

import numpy as np
import pytest
from support.commands import identity, with_validation, write

import instmodel as im
from instmodel.cli import main
from instmodel.reports.pages import write_comparison, write_verification

AB = {"features": ["a", "b"]} | {k: v for k, v in identity(size=2).items() if k != "feature_size"}
OTHER = AB | {"weights": [[[1.0, 0.0], [1.0, 1.0]]]}  # differs where a is not 0
ROWS = np.array([[0.0, 1.0], [0.0, 2.0], [5.0, 3.0]])


@pytest.fixture
def files():
    np.save("rows.npy", ROWS)
    write("rows.csv", "a,b\n0,1\n0,2\n5,3\n")
    return write("old.json", json.dumps(AB)), write("new.json", json.dumps(OTHER))


def shown(text, title):
    """Return the title of a table of rows, and the number of the only row in it."""
    heading, _, below = text.partition(title)[2].partition("\n")
    return heading, int(below.splitlines()[2].split()[0])


@pytest.mark.parametrize("data", ["rows.csv", "rows.npy"])
def test_rows_of_files_are_shown_from_1(files, data, capsys):
    old, new = files
    assert main(["verify", old, "--data", data, "--against", new]) == 1
    assert shown(capsys.readouterr().out, "The worst rows") == (", counted from 1", 3)
    pytest.importorskip("sklearn")
    assert main(["compare", old, new, "--data", data]) == 0
    assert shown(capsys.readouterr().out, "The rows that move most") == (", counted from 1", 3)


def test_validation_data_is_shown_from_0_like_everything_in_a_document(capsys):
    model = with_validation(AB, ROWS.tolist(), [[0, 1], [0, 2], [5, 4]])
    assert main(["verify", model, "--atol", "0.1"]) == 1
    assert shown(capsys.readouterr().out, "The worst rows") == (", counted from 0", 2)


def test_what_programs_get_is_an_index_and_where_people_begin(files, capsys):
    old, new = files
    main(["verify", old, "--data", "rows.csv", "--against", new, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["worst"][0]["row"], found["first_row"]) == (2, 1)
    for data, first in ((ROWS, 0), ("rows.csv", 1), ("rows.npy", 1)):
        verified = im.verify(old, data, against=new)
        assert (verified.worst[0].row, verified.first_row) == (2, first)


@pytest.mark.parametrize(("data", "first"), [(ROWS, 0), ("rows.csv", 1)])
def test_pages_count_as_the_data_does(files, data, first):
    pytest.importorskip("jinja2")
    pytest.importorskip("sklearn")
    old, new = files
    model = im.load(new)
    write_verification("verified.html", im.verify(old, data, against=new), model, old)
    write_comparison("compared.html", im.compare(old, new, data), model, old, new)
    for page, table in (("verified.html", "worst"), ("compared.html", "movers")):
        with open(page, encoding="utf-8") as file:
            text = file.read()
        assert f", counted from {first}</h2>" in text
        row = re.search(rf'id="{table}".*?<tbody>.*?<td[^>]*>(\d+)</td>', text, re.DOTALL)
        assert int(row[1]) == first + 2
