"""What all commands share: errors in one line, exit codes, closed streams, help."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import GOOD, command, fails, identity, write
from support.paths import ROOT, SHIPPED

import instmodel as im
from instmodel import cli
from instmodel.cli import main


def test_errors_are_one_line_and_a_code(capsys, unnamed):
    write("t.csv", GOOD)
    write("broken.json", '{"features": [')
    write("t.txt", GOOD)
    Path("folder").mkdir()
    for arguments, why in [
        (["score", unnamed, "nofolder", "-o", "sc3"], "nofolder: No such file or directory"),
        ([], "required: COMMAND"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["scor"], "did you mean 'score'? (see instmodel --help)"),
        (["record", "chekc", "r.json"], "did you mean 'check'? (see instmodel record --help)"),
        (
            ["score", unnamed, "t.csv", "-o", "o.csv", "--keeep", "id"],
            "--keeep id; did you mean '--keep'? (see instmodel score --help)",
        ),
        (
            ["score", unnamed, "t.csv", "-o", "o.csv", "--keeep=id"],
            "--keeep=id; did you mean '--keep'?",
        ),
        (["inspect", unnamed, "t.csv"], "arguments: t.csv (see instmodel inspect --help)"),
        (
            ["score", unnamed, "t.csv", "-o", "no/dir/o.csv"],
            "the folder no/dir is not there",
        ),
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


def test_an_error_in_a_model_file_names_the_file(capsys):
    Path("broken.json").write_text('{"feature_size": 1')
    assert main(["inspect", "broken.json"]) == 2
    assert capsys.readouterr().err.startswith("instmodel: error: broken.json, ")
    with pytest.raises(im.InstModelError) as caught:
        im.load("broken.json")
    assert caught.value.file == "broken.json"


@pytest.mark.parametrize("data", [b"\x08\x0a\xff", b"ccopy_reg\n_reconstructor\np0\n", b"text"])
def test_a_file_of_another_library_is_told_where_to_go(capsys, data):
    Path("m.sav").write_bytes(data)
    for line in (["inspect", "m.sav"], ["verify", "m.sav"], ["convert", "m.sav", "m.json"]):
        assert "imports files that end in .onnx, .keras" in fails(capsys, *line)


def test_a_damaged_or_empty_document_is_no_other_librarys_file(capsys):
    for text, why in (('{"features": ', "nor valid JSON: Expecting"), ("", "it is empty")):
        Path("m.json").write_text(text)
        said = fails(capsys, "inspect", "m.json")
        assert why in said
        assert "convert" not in said


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


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), ("2>/dev/full", 0)])
def test_closed_streams_change_nothing_else(closed, code):
    model = SHIPPED / "digits_softmax.json"
    command = f'"{sys.executable}" -m instmodel verify "{model}" {closed}'
    assert subprocess.run(command, shell=True).returncode == code
    missing = f'"{sys.executable}" -m instmodel verify /no/such/model {closed}'
    assert subprocess.run(missing, shell=True, stderr=subprocess.DEVNULL).returncode == 2


def test_scores_that_nobody_can_get_are_an_error():
    files = [SHIPPED / "digits_softmax.json", SHIPPED / "digits.csv"]
    for job in ("", " --keep target"):
        run = f'"{sys.executable}" -m instmodel score "{files[0]}" "{files[1]}" -o -{job} >&-'
        done = subprocess.run(run, shell=True, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 2
        assert done.stderr == "instmodel: error: standard output: Bad file descriptor\n"


HUGE = "9" * 30


@pytest.mark.parametrize(
    "option", ["--threads", "--batch-rows", "--limit=max_weight_count", "--atol", "--rtol"]
)
@pytest.mark.parametrize("also", [[], ["--nulls", "nan"]])
def test_numbers_beyond_what_a_machine_counts_are_no_surprise(unnamed, capsys, option, also):
    if also:  # a job
        pytest.importorskip("pyarrow")
    write("t.csv", GOOD)
    job = ["score", unnamed, "t.csv", "-o", "s.csv", *also]
    code = main([*job, f"{option}={HUGE}"])
    assert code == (0 if option in ("--atol", "--rtol") else 2)
    assert "unexpected" not in capsys.readouterr().err
    assert main([*job, "--threads", str(sys.maxsize)]) == 0


@pytest.mark.parametrize("module", ["instmodel", "numpy", "instmodel.cli.verify"])
def test_who_stops_the_program_while_it_is_imported_gets_no_traceback(module):
    code = f"""
import signal, sys

class Stop:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Stop())
from instmodel_program import main
sys.exit(main())
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr.splitlines() == [b"instmodel: error: stopped"]


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


def test_the_package_runs_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "instmodel", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"instmodel {im.__version__}\n"


@pytest.mark.parametrize("command", ["inspect", "verify", "score", "bench", "profile", "compare"])
def test_the_command_line_raises_limits(command, capsys):
    """A model beyond a limit is refused by the name of the limit, which raises it."""
    document = identity(["a", "b", "c"], 3)
    document["buffer_sizes"] = [3, 1_000_001, 3]
    document["instructions"] = [
        {"type": "COPY", "input": 0, "output": 1, "internal_index": 0},
        {"type": "COPY_MASKED", "input": 1, "output": 2, "indexes": [0, 1, 2]},
    ]
    document |= {"weights": [], "bias": []}
    document["validation_data"] = {"inputs": [[1, 2, 3]], "expected_outputs": [[1, 2, 3]]}
    model = write("large.json", json.dumps(document))
    write("in.csv", GOOD)
    arguments = {
        "score": ["in.csv", "-o", "out.csv"],
        "compare": [model, "--data", "in.csv"],
        "verify": ["--data", "in.csv"],
        "bench": ["--seconds", "0.01", "--rows", "2"],
        "profile": ["--seconds", "0.01", "--data", "in.csv"],
    }.get(command, [])
    if command == "compare":
        pytest.importorskip("sklearn")
    assert main([command, model, *arguments]) == 2
    assert "Limits.max_buffer_size" in capsys.readouterr().err
    raised = ["--limit", "max_buffer_size=1000009"]
    assert main([command, model, *arguments, *raised]) == 0


@pytest.mark.parametrize("text", ["max_rows=3", "max_buffer_size", "max_buffer_size=0", "=4"])
def test_a_limit_is_a_name_and_a_number(text, capsys):
    assert "--limit" in fails(capsys, "inspect", "m.json", "--limit", text)
