"""`score`: which columns it takes, and what it makes of their cells."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from support.commands import GOOD, fails, identity, read, write
from support.paths import SHIPPED

import instmodel as im
from instmodel.cli import main


def test_scores_are_those_of_predict():
    model = SHIPPED / "breast_cancer_network.json"
    assert main(["score", str(model), str(SHIPPED / "breast_cancer.csv"), "-o", "out.csv"]) == 0
    rows = np.loadtxt(SHIPPED / "breast_cancer.csv", delimiter=",", skiprows=1)[:, :30]
    assert np.array_equal(read("out.csv"), im.load(model).predict(rows))
    assert Path("out.csv").read_text().splitlines()[0] == "score"


def test_columns_are_matched_by_name_in_any_order(named):
    write("t.csv", "emb[2],note,b,emb[0],a,emb[1]\n5,x,2,3,1,4\n50,y,20,30,10,40\n")
    assert main(["score", named, "t.csv", "-o", "out.csv"]) == 0
    assert read("out.csv").tolist() == [[1, 2, 3, 4, 5], [10, 20, 30, 40, 50]]
    header = "output_0,output_1,output_2,output_3,output_4"
    assert Path("out.csv").read_text().splitlines()[0] == header


def test_a_missing_column_is_named_with_the_closest_one(named, capsys):
    write("t.csv", "A,b,emb[0],emb[1],emb_2\n1,2,3,4,5\n")
    said = fails(capsys, "score", named, "t.csv", "-o", "out.csv")
    assert "columns 'a', 'emb[2]': missing; did you mean 'A' for 'a'?" in said
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("x1,y1", "the columns are 'x1', 'y1'"),
        ("a;b;emb[0]", "`instmodel score --delimiter ';'`"),
        ("1.5,2.5", "numbers where the column names should be"),
    ],
)
def test_a_missing_column_says_what_may_be_wrong(named, capsys, header, hint):
    write("t.csv", header + "\n1,2\n")
    assert hint in fails(capsys, "score", named, "t.csv", "-o", "out.csv")


def test_repeated_columns_matter_only_where_they_are_needed(named, capsys):
    write("t.csv", "a,b,emb[0],emb[1],emb[2],z,z\n1,2,3,4,5,6,7\n")
    assert main(["score", named, "t.csv", "-o", "out.csv"]) == 0
    write("t.csv", "a,b,emb[0],emb[1],emb[2],b\n1,2,3,4,5,6\n")
    said = fails(capsys, "score", named, "t.csv", "-o", "out.csv")
    assert "column 'b': there 2 times" in said


def test_repeated_feature_names_are_an_error_for_csv_only(capsys):
    model = write("m.json", json.dumps(identity(["a", "a"], 2)))
    write("t.csv", "a,b\n1,2\n")
    assert "'a' more than once" in fails(capsys, "score", model, "t.csv", "-o", "out.csv")
    np.save("t.npy", np.array([[1.0, 2.0]]))
    assert main(["score", model, "t.npy", "-o", "out.csv"]) == 0
    assert read("out.csv").tolist() == [[1, 2]]


BAD_CELLS = [
    ("a,b,c\n1,2,3\n4,x,6\n", "row 2 (line 3), column 'b': the cell is not a number", "'x'"),
    ("a,b,c\n1,2,3\n4,5,\n", "row 2 (line 3), column 'c': the cell is empty", "''"),
    ("a,b,c\n1, ,3\n", "row 1 (line 2), column 'b': the cell is empty", "' '"),
    ("a,b,c\n1,1_000,3\n", "row 1 (line 2), column 'b': the cell is not a number", "'1_000'"),
    ("a,b,c\n1,0x10,3\n", "row 1 (line 2), column 'b': the cell is not a number", "'0x10'"),
    ("a,b,c\n1,2,-1e39\n", "row 1 (line 2), column 'c': the cell is too large", "'-1e39'"),
    (
        "a,b,c\n1,2,3\n4,5\n",
        "row 2 (line 3): the row has the wrong length",
        "expected 3 cells, got 2",
    ),
    ("a,b,c\n1,5,2,3\n", "row 1 (line 2): the row has the wrong length", "expected 3 cells, got 4"),
    ("a,b,c\n1,2,3\n\n4,5,6\n", "row 2 (line 3): the line is blank", "a row"),
    ('a,b,c\n1,2,3\n4,"5,6\n', "row 2 (line 3): ", ""),
    ('a,b,c\n1,2,3\n4,"5"5,6\n', "row 2 (line 3): ", ""),
    ('a,b,c\n"1\n",2,3\n4,5,y\n', "row 2 (line 4), column 'c'", "'y'"),
    ("1,2,3\n4,5,z\n", "row 2 (line 2), column 3", "'z'"),
    ("1,b,3\n4,5,6\n", "line 1: a first line is either a header or a row", "'b' among numbers"),
    ("a,b\n1,2\n", "must be exactly its inputs", "expected 3 columns, got 2"),
    ("", "line 1: the line is empty", ""),
    ("\n1,2,3\n", "line 1: the line is empty", ""),
    (GOOD.encode("utf-16"), "line 1: the text is not UTF-8; `encoding`", ""),
    (b"\xe9,b,c\n1,2,3\n", "line 1: the text is not UTF-8", ""),
    (b"a,b,c\n1,2,3\n4,\xe9,6\n", "row 2 (line 3): the text is not UTF-8", ""),
]


@pytest.mark.parametrize("batch", [[], ["--batch-rows", "1"], ["--batch-rows", "2"]])
@pytest.mark.parametrize(("text", "place", "came"), BAD_CELLS)
def test_bad_tables_are_errors_that_say_where(unnamed, capsys, text, place, came, batch):
    write("t.csv", text)
    write("out.csv", "old")
    said = fails(capsys, "score", unnamed, "t.csv", "-o", "out.csv", *batch)
    assert said.startswith(("instmodel: error: t.csv: ", "instmodel: error: t.csv, "))
    assert place in said
    assert came in said
    assert Path("out.csv").read_text() == "old"


@pytest.mark.parametrize("first", [",,", "NA,NA,NA", "1O,2,3", "null,null,null", "1.5.2,a,b"])
def test_a_bad_first_row_is_not_taken_for_a_header(first, capsys):
    model = write("m.json", json.dumps(identity(size=3)))
    table = write("t.csv", f"{first}\n1,2,3\n")
    assert main(["score", str(model), str(table), "-o", "o.csv"]) == 2
    assert "first line" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["1e39", "1e400", "-1e999"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_numbers_too_large_for_float32_are_errors_however_large(number, quote, capsys):
    model = write("m.json", json.dumps(identity(size=1)))
    table = write("t.csv", f"1\n{quote}{number}{quote}\n")
    assert main(["score", str(model), str(table), "-o", "o.csv"]) == 2
    assert "too large for float32" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "1,2,3\n4,5,6\n",
        "1,2,3\n4,5,6",
        "a,b,c\r\n1,2,3\r\n4,5,6\r\n",
        "a,b,c\n1,2,3\n4,5,6\n\n \n\n",
        '"a","b,\n?",c\n"1", 2 ,3e0\n+4.0,"5",6\n',
        "\ufeffa,b,c\n1,2,3\n4,5,6\n",
    ],
    ids=range(7),
)
@pytest.mark.parametrize("batch", [[], ["--batch-rows", "1"]])
def test_tables_as_other_programs_write_them(unnamed, text, batch):
    write("t.csv", text)
    assert main(["score", unnamed, "t.csv", "-o", "out.csv", *batch]) == 0
    assert read("out.csv").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_what_an_unneeded_column_holds_does_not_matter():
    model = write("m.json", json.dumps(identity(["x"], 1)))
    write("t.csv", 'note,x,empty\n"two\nlines, quoted",1,\né#,2,\n')
    assert main(["score", model, "t.csv", "-o", "out.csv", "--batch-rows", "1"]) == 0
    assert Path("out.csv").read_text() == "score\n1.0\n2.0\n"


def test_a_quoted_line_break_never_makes_two_rows():
    model = write("m.json", json.dumps(identity(["x"], 1)))
    write("t.csv", 'note,x\n"looks like a row,2\n",5\n')
    assert main(["score", model, "t.csv", "-o", "out.csv"]) == 0
    assert Path("out.csv").read_text() == "score\n5.0\n"


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_line_is_no_row_in_a_single_column_either(capsys, blank):
    model = write("m.json", json.dumps(identity(["x"], 1)))
    write("t.csv", f"x\n1\n{blank}\n2\n")
    assert "row 2 (line 3): the line is blank" in fails(
        capsys, "score", model, "t.csv", "-o", "out.csv"
    )
    write("t.csv", f"x\n1\n{blank}\n{blank}")
    assert main(["score", model, "t.csv", "-o", "out.csv"]) == 0
    assert Path("out.csv").read_text() == "score\n1.0\n"


def test_no_rows_give_no_scores(unnamed):
    write("t.csv", "a,b,c\n")
    np.save("t.npy", np.zeros((0, 3)))
    for table in ("t.csv", "t.npy"):
        assert main(["score", unnamed, table, "-o", "out.npy"]) == 0
        assert np.load("out.npy").shape == (0, 3)
        assert main(["score", unnamed, table, "-o", "out.csv"]) == 0
        assert Path("out.csv").read_text() == "output_0,output_1,output_2\n"


def test_missing_values_stay_missing(unnamed):
    write("t.csv", "nan,1,inf\n")
    assert main(["score", unnamed, "t.csv", "-o", "out.npy"]) == 0
    assert np.isnan(np.load("out.npy")[0, 0])


def test_scores_in_csv_are_the_shortest_that_round_trip(unnamed):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, (1000, 3), dtype=np.uint32)
    rows = bits.view(np.float32)
    rows[~np.isfinite(rows) | (np.abs(rows) < 1e-37)] = 0.1
    np.save("t.npy", rows)
    assert main(["score", unnamed, "t.npy", "-o", "out.csv"]) == 0
    # Identity weights: 0·x + 1·y + 0·z is y, however large the others are.
    assert np.array_equal(read("out.csv").view(np.uint32), rows.view(np.uint32))
    assert "0.1," in Path("out.csv").read_text()


@pytest.mark.parametrize("ending", [".csv", ".npy"])
def test_batches_and_threads_do_not_change_a_byte(ending):
    model, table = SHIPPED / "digits_softmax.json", SHIPPED / "digits.csv"
    outputs = set()
    for options in ([], ["--batch-rows", "1"], ["--batch-rows", "100"], ["--threads", "3"]):
        assert main(["score", str(model), str(table), "-o", "out" + ending, *options]) == 0
        outputs.add(Path("out" + ending).read_bytes())
    assert len(outputs) == 1


@pytest.mark.parametrize(
    "dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", "<i8", ">i2", "u1", "?", np.longdouble]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_kind_of_number(unnamed, dtype, order):
    rows = np.arange(60).reshape(20, 3).astype(dtype)
    np.save("t.npy", np.asarray(rows, order=order))
    assert main(["score", unnamed, "t.npy", "-o", "out.npy", "--batch-rows", "7"]) == 0
    out = np.load("out.npy")
    assert out.dtype == np.float32
    assert np.array_equal(out, rows.astype(np.float32))


def test_bad_npy_files(unnamed, capsys):
    def said(array=None, raw=None):
        if raw is None:
            np.save("t.npy", array, allow_pickle=True)
        else:
            write("t.npy", raw)
        return fails(capsys, "score", unnamed, "t.npy", "-o", "out.npy")

    assert "wrong shape (expected (rows, 3), got (2, 4))" in said(np.zeros((2, 4)))
    assert "wrong shape" in said(np.zeros(3))
    assert "wrong type" in said(np.zeros((2, 3), complex))
    assert "wrong type" in said(np.full((2, 3), "x"))
    assert "wrong type" in said(np.full((2, 3), None))
    assert "wrong type" in said(np.zeros(2, [("a", "f4")]))
    assert "not an NPY file" in said(raw=b"")
    assert "not an NPY file" in said(raw=b"PK\x03\x04" + bytes(100))
    assert "row 2, column 3: too large" in said(np.array([[1, 2, 3], [1, 2, 1e300]]))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, 3)))
    assert "cut short (expected 96 bytes of values, got 95)" in said(raw=buffer.getvalue()[:-1])


@pytest.mark.parametrize("output", ["out.csv", "out.npy"])
def test_names_that_are_not_looked_at_are_told_once(named, unnamed, capsys, output):
    def said(model, source):
        assert main(["score", model, source, "-o", output, "--batch-rows", "1"]) == 0
        return capsys.readouterr().err

    write("t.csv", GOOD)
    assert said(unnamed, "t.csv") == (
        "instmodel: warning: the model does not name its features: "
        "the columns 'a', 'b', 'c' count by their position\n"
    )
    write("rows.csv", GOOD.partition("\n")[2])
    np.save("rows.npy", np.ones((2, 3)))
    write("named.csv", "a,b,emb[0],emb[1],emb[2]\n1,2,3,4,5\n")
    for model, source in ((unnamed, "rows.csv"), (unnamed, "rows.npy"), (named, "named.csv")):
        assert said(model, source) == ""


def test_rules_for_nulls_in_one_option_are_told_apart(named, capsys):
    pytest.importorskip("pyarrow")
    write("t.csv", "a,b,emb[0],emb[1],emb[2]\n,,3,4,5\n")
    said = fails(capsys, "score", named, "t.csv", "-o", "out.csv", "--nulls", "a=nan,b=nan")
    assert "'a=nan,b'; `--nulls` is given once for each column" in said
