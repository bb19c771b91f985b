"""The command line: what it computes, what it says, and what it leaves behind."""

import contextlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import documents
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import instmodel as im
from instmodel import cli, console
from instmodel.cli import main
from instmodel.tables.csv_file import CsvReader

EXAMPLES = Path(im.__file__).parent / "examples"
LINUX = sys.platform == "linux"


def identity(features=None, size=None):
    """A model whose scores are its inputs, so that a mixed-up column shows."""
    document = {
        "buffer_sizes": [size, size],
        "instructions": [{"type": "DOT", "input": 0, "output": 1, "weights": 0}],
        "weights": [np.eye(size).tolist()],
        "bias": [[0.0] * size],
    }
    return {"features": features} | document if features else {"feature_size": size} | document


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def named():
    """`a`, `b` and the array `emb` of three."""
    return write("named.json", json.dumps(identity(["a", "b", "emb[3]"], 5)))


@pytest.fixture
def unnamed():
    return write("unnamed.json", json.dumps(identity(size=3)))


def write(name, text):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def read(name):
    return np.loadtxt(name, delimiter=",", skiprows=1, ndmin=2, dtype=np.float32)


def leftovers():
    return [path.name for path in Path().iterdir() if path.name.endswith(".tmp")]


def fails(capsys, *arguments, code=2):
    """Run, and return the one line that tells why it failed."""
    assert main([str(a) for a in arguments]) == code
    said = capsys.readouterr().err
    assert said.startswith("instmodel: error: ")
    assert said.count("\n") == 1
    assert said.endswith("\n")
    assert "Traceback" not in said
    assert leftovers() == []
    return said


def command(*arguments, **options):
    """The arguments of `subprocess` for the command line as its own process."""
    code = "import sys; from instmodel.cli import main; sys.exit(main())"
    return {"args": [sys.executable, "-c", code, *map(str, arguments)], **options}


# ------------------------------------------------------------------------------------------- score


def test_scores_are_those_of_predict():
    model = EXAMPLES / "breast_cancer_network.json"
    assert main(["score", str(model), str(EXAMPLES / "breast_cancer.csv"), "-o", "out.csv"]) == 0
    rows = np.loadtxt(EXAMPLES / "breast_cancer.csv", delimiter=",", skiprows=1)[:, :30]
    assert np.array_equal(read("out.csv"), im.load(model).predict(rows))
    assert Path("out.csv").read_text().splitlines()[0] == "score"


def test_columns_are_matched_by_name_in_any_order(named):
    write("t.csv", "emb[2],note,b,emb[0],a,emb[1]\n5,x,2,3,1,4\n50,y,20,30,10,40\n")
    assert main(["score", named, "t.csv", "-o", "out.csv"]) == 0
    assert read("out.csv").tolist() == [[1, 2, 3, 4, 5], [10, 20, 30, 40, 50]]
    header = "output_0,output_1,output_2,output_3,output_4"
    assert Path("out.csv").read_text().splitlines()[0] == header


def test_a_file_of_another_library_is_told_where_to_go(capsys):
    Path("m.onnx").write_bytes(b"\x08\x0a\xff")
    assert "`instmodel convert` imports .onnx" in fails(capsys, "inspect", "m.onnx")


def test_a_missing_column_is_named_with_the_closest_one(named, capsys):
    write("t.csv", "A,b,emb[0],emb[1],emb_2\n1,2,3,4,5\n")
    said = fails(capsys, "score", named, "t.csv", "-o", "out.csv")
    assert "column 'a': missing (and 1 more); did you mean 'A'?" in said
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("x1,y1", "the columns are 'x1', 'y1'"),
        ("a;b;emb[0]", "separated by commas"),
        ("1.5,2.5", "the first line holds numbers"),
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


GOOD = "a,b,c\n1,2,3\n4,5,6\n"
BAD_CELLS = [
    ("a,b,c\n1,2,3\n4,x,6\n", "row 2 (line 3), column 'b': the cell is not a number", "'x'"),
    ("a,b,c\n1,2,3\n4,5,\n", "row 2 (line 3), column 'c': the cell is empty", "''"),
    ("a,b,c\n1, ,3\n", "row 1 (line 2), column 'b': the cell is empty", "' '"),
    ("a,b,c\n1,1_000,3\n", "row 1 (line 2), column 'b': the cell is not a number", "'1_000'"),
    ("a,b,c\n1,0x10,3\n", "row 1 (line 2), column 'b': the cell is not a number", "'0x10'"),
    ("a,b,c\n1,2,-1e39\n", "row 1 (line 2), column 'c': the cell is too large", "'-1e39'"),
    ("a,b,c\n1,2,3\n4,5\n", "row 2 (line 3) has the wrong length", "expected 3 cells, got 2"),
    ("a,b,c\n1,5,2,3\n", "row 1 (line 2) has the wrong length", "expected 3 cells, got 4"),
    ("a,b,c\n1,2,3\n\n4,5,6\n", "line 3 is blank", ""),
    ('a,b,c\n1,2,3\n4,"5,6\n', "the row in line 3", ""),
    ('a,b,c\n1,2,3\n4,"5"5,6\n', "the row in line 3", ""),
    ('a,b,c\n"1\n",2,3\n4,5,y\n', "row 2 (line 4), column 'c'", "'y'"),
    ("1,2,3\n4,5,z\n", "row 2 (line 2), column 3", "'z'"),
    ("1,b,3\n4,5,6\n", "neither a header nor a row of numbers", "'b' among numbers"),
    ("a,b\n1,2\n", "must be exactly its inputs", "expected 3 columns, got 2"),
    ("", "the first line is empty", ""),
    ("\n1,2,3\n", "the first line is empty", ""),
    (GOOD.encode("utf-16"), "the text is UTF-16", ""),
]


@pytest.mark.parametrize("batch", [[], ["--batch-rows", "1"], ["--batch-rows", "2"]])
@pytest.mark.parametrize(("text", "place", "came"), BAD_CELLS)
def test_bad_tables_are_errors_that_say_where(unnamed, capsys, text, place, came, batch):
    write("t.csv", text)
    write("out.csv", "old")
    said = fails(capsys, "score", unnamed, "t.csv", "-o", "out.csv", *batch)
    assert said.startswith("instmodel: error: t.csv: ")
    assert place in said
    assert came in said
    assert Path("out.csv").read_text() == "old"


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
        b"\xe9,b,c\n1,2,3\n4,5,6\n",
    ],
    ids=range(8),
)
@pytest.mark.parametrize("batch", [[], ["--batch-rows", "1"]])
def test_tables_as_other_programs_write_them(unnamed, text, batch):
    write("t.csv", text)
    assert main(["score", unnamed, "t.csv", "-o", "out.csv", *batch]) == 0
    assert read("out.csv").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_what_an_unneeded_column_holds_does_not_matter():
    model = write("m.json", json.dumps(identity(["x"], 1)))
    write("t.csv", b'note,x,empty\n"two\nlines, quoted",1,\n\xff\xfe#,2,\n')
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
    assert "line 3 is blank" in fails(capsys, "score", model, "t.csv", "-o", "out.csv")
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
    model, table = EXAMPLES / "digits_softmax.json", EXAMPLES / "digits.csv"
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


def test_dash_writes_csv_to_standard_output(unnamed):
    write("t.csv", GOOD)
    done = subprocess.run(
        **command("score", unnamed, "t.csv", "-o", "-"), capture_output=True, text=True, check=True
    )
    assert done.stdout == "output_0,output_1,output_2\n1.0,2.0,3.0\n4.0,5.0,6.0\n"
    assert done.stderr == ""


# ---------------------------------------------------------------------------- plain = exact parsing

NUMBERS = st.one_of(
    st.floats(width=32).map(str),
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(
        ["", " ", "1_0", "١", "1e400", "-0", ".5", "5.", "1e", "nan", "-inf", "infinity"]
    ),
    st.text("0123456789+-.eE_ naifx", max_size=6),
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_quoting_cells_changes_no_value_and_no_error(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "cells.csv"

    def outcome(cell):
        path.write_text("a,b\n" + "".join(f"{cell(x)},{cell(y)}\n" for x, y in rows))
        reader = CsvReader(path, ["b", "a"], 2)
        try:
            return [batch.tobytes() for batch in reader.batches()]
        except im.InstModelError as error:
            return error.code, error.actual
        finally:
            reader.close()

    assert outcome(str) == outcome('"{}"'.format)


# ----------------------------------------------------------------------------- what is left behind


def test_the_output_may_not_be_the_input_or_the_model(unnamed, capsys):
    write("t.csv", GOOD)
    os.link("t.csv", "other.csv")
    os.symlink("t.csv", "link.csv")
    for output in ("t.csv", "./t.csv", "other.csv", "link.csv"):
        said = fails(capsys, "score", unnamed, "t.csv", "-o", output)
        assert "the output is also the input" in said
    os.link(unnamed, "model.csv")
    said = fails(capsys, "score", unnamed, "t.csv", "-o", "model.csv")
    assert "the output is also the model" in said
    assert Path("t.csv").read_text() == GOOD


def test_a_replaced_file_keeps_its_mode_and_links_stay(unnamed):
    write("t.csv", GOOD)
    write("real.csv", "old")
    os.chmod("real.csv", 0o640)
    os.symlink("real.csv", "out.csv")
    assert main(["score", unnamed, "t.csv", "-o", "out.csv"]) == 0
    assert Path("out.csv").is_symlink()
    assert Path("real.csv").read_text().startswith("output_0")
    assert stat.S_IMODE(Path("real.csv").stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_mode(unnamed):
    write("t.csv", GOOD)
    previous = os.umask(0o027)
    try:
        assert main(["score", unnamed, "t.csv", "-o", "out.csv"]) == 0
    finally:
        os.umask(previous)
    assert stat.S_IMODE(Path("out.csv").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("missing/out.csv", "missing/out.csv: No such file or directory"),
        ("folder.csv", "folder.csv: Is a directory"),
        ("pipe.csv", "pipe.csv: Not a regular file"),
        ("out.txt", "out.txt: the name must end in .csv, .npy, .parquet, .arrow or .jsonl"),
        ("out", "out: the name must end in .csv, .npy, .parquet, .arrow or .jsonl"),
        ("x" * 252 + ".csv", "File name too long"),
    ],
)
def test_outputs_that_cannot_be_written(unnamed, capsys, output, why):
    write("t.csv", GOOD)
    Path("folder.csv").mkdir()
    os.mkfifo("pipe.csv")
    assert why in fails(capsys, "score", unnamed, "t.csv", "-o", output)
    assert stat.S_ISFIFO(Path("pipe.csv").stat().st_mode)


@pytest.mark.skipif(not LINUX or os.geteuid() == 0, reason="root may write everywhere")
def test_outputs_without_permission(unnamed, capsys):
    write("t.csv", GOOD)
    write("out.csv", "old")
    os.chmod("out.csv", 0o400)
    said = fails(capsys, "score", unnamed, "t.csv", "-o", "out.csv")
    assert "out.csv: Permission denied" in said


@pytest.mark.skipif(not LINUX, reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("ending", [".csv", ".npy"])
def test_a_full_disk_leaves_the_old_output(unnamed, ending):
    import resource

    np.save("t.npy", np.zeros((10000, 3), np.float32))
    write("out" + ending, "old")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    done = subprocess.run(
        **command("score", unnamed, "t.npy", "-o", "out" + ending),
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )
    assert done.returncode == 2
    assert done.stderr == f"instmodel: error: out{ending}: File too large\n"
    assert Path("out" + ending).read_text() == "old"
    assert leftovers() == []


def wait_for(process, condition):
    while not (found := condition()):
        assert process.poll() is None, "it ended too early"
        time.sleep(0.001)
    return found


@contextlib.contextmanager
def scoring_from_a_pipe(model, first_rows):
    """Score a table that comes through a pipe and never ends; output is `out.csv`.

    Yields the process as soon as it has begun to write.
    """
    os.mkfifo("t.csv")

    def pipe():
        try:  # fails while nobody reads
            return os.fdopen(os.open("t.csv", os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError:
            return None

    arguments = command("score", model, "t.csv", "-o", "out.csv")
    with subprocess.Popen(**arguments, stderr=subprocess.PIPE, text=True) as process:
        try:
            with wait_for(process, pipe) as table:
                os.set_blocking(table.fileno(), True)
                table.write(first_rows)
                table.flush()
                wait_for(process, leftovers)
                yield process
        finally:
            process.kill()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
@pytest.mark.parametrize("old", [None, "old"])
def test_a_killed_run_leaves_the_old_output_or_none(unnamed, old):
    if old is not None:
        write("out.csv", old)
    with scoring_from_a_pipe(unnamed, GOOD + "7,8,9\n" * 200_000) as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert (Path("out.csv").read_text() if Path("out.csv").exists() else None) == old


def test_a_run_killed_at_any_moment_leaves_the_old_output_or_the_new(unnamed):
    np.save("t.npy", np.ones((3000, 3), np.float32))
    arguments = ["score", unnamed, "t.npy", "-o", "out.npy", "--batch-rows", "10"]
    assert main(arguments) == 0
    new = Path("out.npy").read_bytes()
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(8):
        write("out.npy", b"old")
        process = subprocess.Popen(**command(*arguments), stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.wait()
        seen.add(Path("out.npy").read_bytes())
    assert seen <= {b"old", new}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_stopped_run_cleans_up(unnamed, number, code):
    write("out.csv", "old")
    with scoring_from_a_pipe(unnamed, GOOD) as process:
        process.send_signal(number)
        assert process.communicate()[1] == "instmodel: error: stopped\n"
    assert process.returncode == code
    assert Path("out.csv").read_text() == "old"
    assert leftovers() == []


@pytest.mark.skipif(not LINUX, reason="reads /proc")
@pytest.mark.parametrize("ending", [".csv", ".npy"])
def test_memory_does_not_grow_with_the_table(unnamed, ending):
    def peak(rows):
        """Return the most memory that scoring so many rows took, in bytes."""
        if ending == ".npy":
            np.save("t.npy", np.ones((rows, 3)))
        else:
            write("t.csv", "0.123456789012345,0.123456789012345,0.123456789012345\n" * rows)
        code = (
            "import sys; from instmodel.cli import main; code = main(); "
            "print([x for x in open('/proc/self/status') if x.startswith('VmHWM')][0].split()[1]); "
            "sys.exit(code)"
        )
        arguments = ["score", unnamed, "t" + ending, "-o", "out" + ending, "--threads", "1"]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        return 1024 * int(done.stdout.split()[-1])

    # Both are more than two batches, so both need all that is ever needed.
    small, large = (200_000, 600_000) if ending == ".csv" else (800_000, 2_400_000)
    grown = -peak(small) + peak(large)
    assert Path("t" + ending).stat().st_size > 30_000_000
    assert grown < 8_000_000


# --------------------------------------------------------------------------- errors and exit codes


def test_errors_are_one_line_and_a_code(capsys, unnamed):
    write("t.csv", GOOD)
    write("broken.json", '{"features": [')
    Path("folder").mkdir()
    for arguments, why in [
        ([], "required: COMMAND"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["score"], "required: MODEL, INPUT, -o/--output"),
        (["score", unnamed, "t.csv", "-o", "o.csv", "--threads", "0"], "'0' is not a whole number"),
        (["score", unnamed, "t.csv", "-o", "o.csv", "--batch-rows", "x"], "'x' is not a whole"),
        (["score", "none.json", "t.csv", "-o", "o.csv"], "none.json: No such file or directory"),
        (["score", unnamed, "none.csv", "-o", "o.csv"], "none.csv: No such file or directory"),
        (["score", unnamed, "t.txt", "-o", "o.csv"], "t.txt: the name must end in .csv, "),
        (["inspect", "none.json"], "none.json: No such file or directory"),
        (["inspect", "folder"], "folder: Is a directory"),
        (["inspect", "broken.json"], "[invalid_document]"),
        (["verify", "broken.json"], "[invalid_document]"),
        (["verify", "t.csv"], "[invalid_document]"),
        (["demo", "-o", "t.csv"], "t.csv: File exists"),
    ]:
        assert why in fails(capsys, *arguments)


def test_debug_shows_the_traceback_before_or_after_the_command(capsys):
    for arguments in (["--debug", "inspect", "none"], ["inspect", "none", "--debug"]):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert "Traceback" in said
        assert said.endswith("instmodel: error: none: No such file or directory\n")


def test_unexpected_errors_are_one_line_too(capsys, monkeypatch, unnamed):
    def broken(*_):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(cli.inspect, "model_facts", broken)
    assert "unexpected RuntimeError: two lines" in fails(capsys, "inspect", unnamed)


def test_ctrl_c_ends_with_130_and_cleans_up(capsys, monkeypatch, unnamed):
    def interrupted(*_):
        raise KeyboardInterrupt

    write("t.csv", GOOD)
    monkeypatch.setattr(cli.score, "_predict", interrupted)
    assert fails(capsys, "score", unnamed, "t.csv", "-o", "o.csv", code=130)
    assert not Path("o.csv").exists()


def test_memory_errors_are_readable(capsys, monkeypatch, unnamed):
    def hungry(*_):
        raise MemoryError

    monkeypatch.setattr(cli.inspect, "model_facts", hungry)
    assert "out of memory" in fails(capsys, "inspect", unnamed)


def test_a_reader_that_goes_away_is_no_error(unnamed):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            **command("inspect", unnamed), stdout=writer, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output_is_one_line(unnamed):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            **command("inspect", unnamed), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "instmodel: error: No space left on device\n"


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"instmodel {im.__version__}\n"
    assert main(["score", "--help"]) == 0
    assert "--batch-rows" in capsys.readouterr().out


def test_the_installed_program_runs():
    program = Path(sys.executable).with_name("instmodel")
    if not program.exists():
        pytest.skip("the package is not installed in this environment")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"instmodel {im.__version__}\n"


# ------------------------------------------------------------------------------------------ verify


def with_validation(document, inputs, outputs):
    data = {"inputs": inputs, "expected_outputs": outputs}
    return write("v.json", json.dumps(document | {"validation_data": data}))


def test_verify_says_same(capsys):
    model = with_validation(identity(size=2), [[1, 2], [3, 4]], [[1, 2], [3, 4.000001]])
    assert main(["verify", model]) == 0
    said = capsys.readouterr().out
    assert "2 cases, largest error 9.54e-07, tolerance 1e-05: same" in said


@pytest.mark.parametrize("features", [{"feature_size": 2}, {"features": []}])
def test_verify_says_how_different(capsys, features):
    document = {k: v for k, v in identity(size=2).items() if k != "feature_size"} | features
    model = with_validation(document, [[1, 2], [3, 4]], [[1, 2.25], [3, 4.5]])
    assert main(["verify", model]) == 1
    assert "2 cases, largest error 0.5, tolerance 1e-05: DIFFERENT" in capsys.readouterr().out


def test_verify_needs_validation_data(capsys, unnamed):
    assert "no validation data" in fails(capsys, "verify", unnamed)
    assert "no validation data" in fails(
        capsys, "verify", with_validation(identity(size=1), [], [])
    )


def test_validation_data_of_the_wrong_size_is_an_error_not_a_difference(capsys):
    for inputs, outputs, code in [
        ([[1]], [[1, 2]], "validation_input_size_mismatch"),
        ([[1, 2]], [[1]], "validation_output_size_mismatch"),
        ([[1, 2]], [[1, 2], [3, 4]], "validation_count_mismatch"),
    ]:
        model = with_validation(identity(size=2), inputs, outputs)
        assert f"[{code}]" in fails(capsys, "verify", model)


def test_a_model_that_fails_its_validation_scores_nothing(capsys):
    model = with_validation(identity(size=2), [[1, 2]], [[1, 3]])
    write("t.csv", "1,2\n")
    assert "[validation_mismatch]" in fails(capsys, "score", model, "t.csv", "-o", "o.csv")
    assert not Path("o.csv").exists()


# ----------------------------------------------------------------------------------------- inspect


def test_inspect_shows_every_part(capsys):
    assert main(["inspect", str(EXAMPLES / "breast_cancer_network.json")]) == 0
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
    path = EXAMPLES / "breast_cancer_network.json"
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


def test_binary_models_are_as_good_as_json(capsys):
    info = im.InstructionModelInfo.load(EXAMPLES / "digits_softmax.json")
    info.save("m.instmodel")
    for model, out in ((EXAMPLES / "digits_softmax.json", "a.csv"), ("m.instmodel", "b.csv")):
        assert main(["score", str(model), str(EXAMPLES / "digits.csv"), "-o", out]) == 0
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    assert main(["verify", "m.instmodel"]) == 0
    assert main(["inspect", "m.instmodel", "--json"]) == 0


def test_inspect_works_on_a_model_that_fails_its_validation(capsys):
    assert main(["inspect", with_validation(identity(size=2), [[1, 2]], [[1, 3]])]) == 0
    assert "validation cases  1" in capsys.readouterr().out


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


# ----------------------------------------------------------------------------------------- console


def test_tables_are_aligned():
    assert console.table(["name", "n"], [["a", 1], ["bbbbb", 20]]) == (
        "name    n\n-----  --\na       1\nbbbbb  20\n"
    )


def test_styled_tables_take_names_literally_and_need_no_rich(monkeypatch):
    rows = [["[red]x", 1], ["emb[3]", 2]]
    pytest.importorskip("rich")
    styled = console.table(["name", "n"], rows, styled=True)
    assert "[red]x" in styled
    assert "emb[3]" in styled
    for name in list(sys.modules):
        if name == "rich" or name.startswith("rich."):
            monkeypatch.setitem(sys.modules, name, None)
    assert console.table(["n"], [[1]], styled=True) == console.table(["n"], [[1]])


def test_progress_is_quiet_without_a_terminal_or_rich(monkeypatch, capsys):
    with console.progress("x") as advance:
        advance(0.5, 10)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for name in ("rich", "rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, name, None)
    with console.progress("x") as advance:
        advance(0.5, 10)
    assert capsys.readouterr().err == ""


def test_progress_shows_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with console.progress("[red]label") as advance:
        advance(1.0, 10)
    assert "[red]label" in capsys.readouterr().err


def test_convert_is_lossless_both_ways(capsys):
    source = EXAMPLES / "breast_cancer_network.json"
    assert main(["convert", str(source), "m.instmodel"]) == 0
    assert main(["convert", "m.instmodel", "back.json"]) == 0
    digests = {line.split()[-1] for line in capsys.readouterr().out.splitlines()}
    info = im.InstructionModelInfo.load(source)
    assert digests == {info.digest()}
    assert im.InstructionModelInfo.load("back.json").to_dict() == info.to_dict()
    for model in (source, "m.instmodel", "back.json"):
        assert main(["inspect", str(model)]) == 0
        assert info.digest() in capsys.readouterr().out


@pytest.mark.parametrize("target", ["m.pt", "m", "m.json.gz"])
def test_convert_wants_a_format_it_knows(target, capsys):
    assert main(["convert", str(EXAMPLES / "breast_cancer_network.json"), target]) == 2
    assert "must end in .json, .instmodel or .onnx" in capsys.readouterr().err
    assert not Path(target).exists()


def test_convert_does_not_pass_on_a_broken_model(capsys):
    broken = with_validation(identity(size=2), [[1, 2]], [[1, 3]])
    assert main(["convert", broken, "m.instmodel"]) == 2
    assert "validation_mismatch" in capsys.readouterr().err
    assert not Path("m.instmodel").exists()


def test_an_error_in_a_model_file_names_the_file(capsys):
    Path("broken.json").write_text('{"feature_size": 1')
    assert main(["inspect", "broken.json"]) == 2
    assert capsys.readouterr().err.startswith("instmodel: error: broken.json, ")
    with pytest.raises(im.InstModelError) as caught:
        im.load("broken.json")
    assert caught.value.file == "broken.json"


def test_the_package_runs_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "instmodel", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"instmodel {im.__version__}\n"


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


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), ("2>/dev/full", 0)])
def test_closed_streams_change_nothing_else(closed, code):
    model = EXAMPLES / "digits_softmax.json"
    command = f'"{sys.executable}" -m instmodel verify "{model}" {closed}'
    assert subprocess.run(command, shell=True).returncode == code
    missing = f'"{sys.executable}" -m instmodel verify /no/such/model {closed}'
    assert subprocess.run(missing, shell=True, stderr=subprocess.DEVNULL).returncode == 2
