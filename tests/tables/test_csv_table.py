"""CSV for jobs: what Python's csv module reads, wherever blocks end, and rows that are none."""

import contextlib
import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.table_models import identity

import instmodel as im
from instmodel import jobs
from instmodel.tables import csv_blocks
from instmodel.tables.columns import column_categories
from instmodel.tables.csv_file import CsvReader
from instmodel.tables.csv_options import CsvOptions
from instmodel.tables.inputs import single
from instmodel.tables.readers import open_reader
from instmodel.tables.scoring import binding_of, fill_rows

pa = pytest.importorskip("pyarrow")

AB = identity(["a", "b"])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows_of(data, options=None, block=1 << 20):
    """Read bytes in blocks of some size: the rows, and what is wrong by row, counted from 1."""
    Path("t.csv").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "_BLOCK", block)
        reader = open_reader(single("t.csv", options))
        try:
            rows, wrong = [], {}
            for part in reader.batches(reader.schema.names, 3):
                for row, cell in part.chunk([], 0).faults.items():
                    wrong[len(rows) + row + 1] = cell
                rows += [tuple(row.values()) for row in part.batch.to_pylist()]
            return rows, wrong
        finally:
            reader.close()


CELLS = st.one_of(
    st.text("ab\"\n\r,;\t |'é€", max_size=6),
    st.sampled_from(["", "NA", '"', '""', "\n\n", "\r\n", "1.5", " ", "x" * 100]),
)
WRITTEN = {
    "delimiter": st.sampled_from(",;\t|"),
    "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
    "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
}
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "gb18030"])


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=8),
    written=st.fixed_dictionaries(WRITTEN),
    encoding=ENCODINGS,
    block=st.integers(1, 40),
    ended=st.booleans(),
)
def test_rows_are_those_of_the_csv_module(tmp_path_factory, rows, written, encoding, block, ended):
    width = 3
    if written["quoting"] == csv.QUOTE_MINIMAL:  # Python has quotes around its own line end alone
        for bare in {"\r", "\n"} - set(written["lineterminator"]):
            rows = [[cell.replace(bare, "") for cell in row] for row in rows]
    file = io.StringIO(newline="")
    csv.writer(file, **written).writerows([["a", "b", "c"], *rows])
    text = file.getvalue()
    text = text if ended else text.removesuffix(written["lineterminator"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        found, wrong = rows_of(
            text.encode(encoding), CsvOptions(written["delimiter"], encoding=encoding), block
        )
    assert wrong.keys() == {at for at, row in enumerate(rows, 1) if len(row) != width}
    for at, row in enumerate(rows, 1):
        if at in wrong:
            assert found[at - 1] == (None,) * width
            assert (wrong[at].expected, wrong[at].actual) == ("3 cells", str(len(row)))
        else:
            assert [cell or "" for cell in found[at - 1]] == row
    assert len(found) == len(rows)


LINES = st.sampled_from(['1,"2",3', "4,5,6", "", " ", "\t", "1,2", "1,2,3,4", '1,"\n\n",3', '"",,'])


@given(
    lines=st.lists(LINES, max_size=12),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    block=st.integers(1, 30),
)
@example(["", "1,2", ""], "\n", 1)
def test_rows_that_are_none_keep_their_places(tmp_path_factory, lines, end, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        found, wrong = rows_of(end.join(["a,b,c", *lines, ""]).encode(), None, block)
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    assert len(found) == len(lines)
    line = 2
    for at, text in enumerate(lines, 1):
        blank = not text.strip()
        if blank or text in ("1,2", "1,2,3,4"):
            message = "the line is blank" if blank else "the row has the wrong length"
            assert (wrong.pop(at)[1], found[at - 1]) == (message, (None,) * 3), (at, line)
        else:
            row = next(csv.reader(io.StringIO(text, newline="")))
            assert [cell or "" for cell in found[at - 1]] == row
        line += 1 + text.count("\n")
    assert not wrong


def test_what_is_wrong_names_row_and_line():
    data = b'a,b\n1,"\n"\n\n2\n3,4,5\n6,\xe9\n7,"\n\xe9"\n8,9\n'
    for block in (1, 7, 1 << 20):
        found, wrong = rows_of(data, block=block)
        assert found == [("1", "\n"), *[(None, None)] * 5, ("8", "9")]
        assert {row: (cell.message.split(";")[0], cell.line) for row, cell in wrong.items()} == {
            2: ("the line is blank", 4),
            3: ("the row has the wrong length", 5),
            4: ("the row has the wrong length", 6),
            5: ("the text is not UTF-8", 7),
            6: ("the text is not UTF-8", 8),
        }


@pytest.mark.parametrize("block", [1, 10, 1 << 20])
@pytest.mark.parametrize(
    ("text", "row", "line", "said"),
    [
        ('a,b,c\n1,2,"x\n3,4,y\n', 1, 2, "a quote is not closed"),
        ('a,b,c\n1,2,3\n"\n",5,6\n7,8,"', 3, 5, "a quote is not closed"),
        ('a,b,c\n1,2,"say ""hi"" x\n3,"foo",4\n5,6,7', 1, 2, "the quote is not doubled"),
        ('a,b,c\n1,2,3\n\n1,"5" pipe",4\n5,6,7', 3, 4, "the quote is not doubled in its cell"),
        ('a,b,c\n1,"5" pipe,4\n5,6,7', 1, 2, "the quote is not doubled in its cell"),
    ],
)
def test_a_quote_that_makes_no_sense_ends_the_work_at_its_row(text, row, line, said, block):
    with pytest.raises(im.InputError, match=said) as caught:
        rows_of(text.encode(), block=block)
    assert (caught.value.code, caught.value.row, caught.value.line) == ("invalid_table", row, line)


def test_what_is_wrong_before_a_quote_that_makes_no_sense_comes_first():
    Path("t.csv").write_text('a,b\n1,2\n3,x\n5,"6\n')
    for block in (1, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_blocks, "_BLOCK", block)
            for how, row in (("error", 2), ("skip", 3)):
                with pytest.raises(im.InputError) as caught:
                    jobs.run(jobs.Job(AB, "t.csv", "out.parquet", on_bad_row=how))
                assert caught.value.row == row


def test_quotes_inside_of_a_cell_without_quotes_are_text():
    text = b'a,b\n5" pipe,"x"\ny"",a"b"c\n"""q""",""\n'
    for block in (1, 5, 1 << 20):
        found, wrong = rows_of(text, block=block)
        assert found == [('5" pipe', "x"), ('y""', 'a"b"c'), ('"q"', "")]
        assert wrong == {}


def test_a_row_may_be_longer_than_a_block_but_not_without_end(monkeypatch):
    text = "a,b\n" + "x" * 500 + ',"' + "\ny" * 500 + '"\n1,2\n'
    assert rows_of(text.encode(), block=16)[0] == [("x" * 500, "\ny" * 500), ("1", "2")]
    monkeypatch.setattr(csv_blocks, "_LONGEST", 400)
    with pytest.raises(im.InputError, match="too long") as caught:
        rows_of(b"a,b\n1,2\n3,4\n" + text.encode(), block=16)
    assert (caught.value.row, caught.value.line) == (4, 5)
    with pytest.raises(im.InputError, match="too long"):
        rows_of(b"a" * 10_000, block=16)


def test_a_header_may_have_lines_and_a_mark():
    assert rows_of(b'\xef\xbb\xbf"a\n1",b\r\n\r\n1,2\r\n', block=2)[0] == [(None, None), ("1", "2")]
    with pytest.raises(im.InputError, match="the file has no header"):
        rows_of(b"\n1,2\n")


# --------------------------------------------------------------------------- the two ways to read


def coloured():
    """A model whose outputs are a number and the number of a colour."""
    builder = im.ModelBuilder()
    x = builder.input(["a", "c"], {"c": ["red", "1", "é"]})
    return im.InstructionModel(builder.build(output=builder.copy_masked(x, [0, 1])))


COLOURED = coloured()
NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False).map(str),
    st.sampled_from(["1,5", "1.5", "-2e3", "", "x", "inf", " 7 ", "1e39", "1_0", "1.234,5"]),
)
COLOURS = st.sampled_from(["red", "1", "é", "red ", "", "blue"])
NOTES = st.sampled_from(["", "n", 'a "b"', "x;y", "x,y", "two\nlines", "é"])


def plain_outcome(source):
    reader = CsvReader(source, ["a", "c"], 2, categories=column_categories(COLOURED.named_features))
    with contextlib.closing(reader):
        try:
            return np.concatenate([np.empty((0, 2)), *reader.batches()]).tolist()
        except im.InputError as error:
            return error.row, error.line if error.column is None else None, error.column


def job_outcome(source):
    with contextlib.closing(open_reader(source)) as reader:
        names = reader.schema.names
        slots = binding_of(COLOURED, "error").slots(names)
        values = [np.empty((0, 2))]
        row = 1
        for rows in reader.batches(names, 3):
            block = np.empty((rows.count, 2), np.float32)
            bad = fill_rows(rows.chunk(slots, row), 0, rows.count, block)
            if bad:
                first = min(bad)
                return row + first, bad[first][1].line, bad[first][0]
            values.append(block)
            row += rows.count
        return np.concatenate(values).tolist()


@given(
    rows=st.lists(st.tuples(NOTES, NUMBERS, COLOURS), min_size=1, max_size=6),
    cut=st.integers(0, 20),
    bad_byte=st.booleans(),
    delimiter=st.sampled_from(",;\t"),
    decimal=st.sampled_from(".,"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-16"]),
)
def test_both_ways_to_read_csv_have_one_meaning(
    tmp_path_factory, rows, cut, bad_byte, delimiter, decimal, quoting, encoding
):
    assume(delimiter != decimal)
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow(["note", "a", "c"])
    # One row may be too short, or end the file where it is cut.
    writer.writerows([row[:2] if at + 1 == cut else row for at, row in enumerate(rows)])
    data = file.getvalue().encode(encoding)
    path = tmp_path_factory.getbasetemp() / "both.csv"
    path.write_bytes(data + b"\xff\xff,1,red\n" if bad_byte and encoding == "utf-8" else data)
    source = single(path, CsvOptions(delimiter, encoding=encoding, decimal=decimal))
    assert plain_outcome(source) == job_outcome(source)


# ------------------------------------------------------------------------------------------ options


def test_spellings_of_null_count_where_no_quotes_are():
    options = CsvOptions(null_values=["NA", "-"])
    text = b'a,b\nNA,"NA"\n-,"-"\n,""\n'
    assert rows_of(text, options)[0] == [(None, "NA"), (None, "-"), (None, "")]
    assert rows_of(b'a\nNA\n"NA"\n""\n1\n', options)[0] == [(None,), ("NA",), (None,), ("1",)]


def scores(path, **options):
    jobs.run(jobs.Job(AB, path, "out.parquet", csv=CsvOptions(**options), on_bad_row="null"))
    import pyarrow.parquet as pq

    return [tuple(row.values()) for row in pq.read_table("out.parquet").to_pylist()]


def test_a_decimal_comma():
    Path("t.csv").write_text("a;b\n1,5;-2,25e2\n3;inf\n1.5;1\n1.234,5;1\n1,2,3;1\n1_0;1\n")
    bad = (None, None)
    expected = [(1.5, -225.0), (3.0, np.inf), bad, bad, bad, bad]
    assert scores("t.csv", delimiter=";", decimal=",") == expected
    with pytest.raises(im.InputError, match=r"--decimal.* \(expected a number, got '1\.5'\)"):
        jobs.run(jobs.Job(AB, "t.csv", "out.parquet", csv=CsvOptions(";", decimal=",")))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"delimiter": ""}, "delimiter"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"delimiter": "x"}, "delimiter"),
        ({"delimiter": '"'}, "delimiter"),
        ({"delimiter": "\n"}, "delimiter"),
        ({"delimiter": "."}, "delimiter"),
        ({"delimiter": "§"}, "delimiter"),
        ({"delimiter": 5}, "delimiter"),
        ({"decimal": ","}, "delimiter"),
        ({"decimal": "x"}, "decimal"),
        ({"encoding": "utf-99"}, "encoding"),
        ({"encoding": "hex"}, "encoding"),
        ({"encoding": None}, "encoding"),
        ({"null_values": [1]}, "null_values"),
    ],
)
def test_options_that_make_no_sense(options, field):
    with pytest.raises(im.InputError) as caught:
        CsvOptions(**options).check()
    assert caught.value.field == field
