"""Limits and records on the command line, and the walk of docs/verify.md through them."""

import hashlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import fails, identity, leftovers, write
from support.paths import ROOT

from instmodel.cli import main

ROWS = "a,b,y\n1,2,3\n4,5,7\n"


@pytest.fixture
def model():
    write("rows.csv", ROWS)
    write("short.csv", "a,b\n1,2\n")
    return write("model.json", json.dumps(identity(["a", "b"], 2)))


def verify(model, *rest):
    expected = ["--expected", "a,y"]  # the second output is another one in both rows
    return main(["verify", model, "--data", "rows.csv", *expected, *rest])


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ([], 1),
        (["--max-different", "2"], 0),
        (["--max-different", "1"], 1),
        (["--max-different", "100%"], 0),
        (["--max-different", "99%"], 1),
        (["--max-different", "2", "--max-ulp", "1"], 1),
        (["--max-different", "2", "--limits", "limits.toml"], 0),
        (["--limits", "limits.toml"], 1),
    ],
)
def test_the_exit_code_says_whether_all_limits_hold(model, limits, code, capsys):
    write("limits.toml", "[max]\noutputs.0.max_ulp = 0\n")
    assert verify(model, *limits) == code
    said = capsys.readouterr().out
    assert ("BROKEN" in said) == (bool(limits) and code == 1)
    assert (("limits hold" in said) or ("the limit holds" in said)) == (code == 0)
    assert verify(model, *limits, "--json") == code
    assert json.loads(capsys.readouterr().out)["holds"] == (code == 0)


def test_limits_that_cannot_be_judged_are_errors(model, capsys):
    data = ["verify", model, "--data", "short.csv"]
    assert "[invalid_limit]" in fails(capsys, *data, "--max-ulp", "x")
    write("limits.toml", "[max]\nflips = 1\n")
    assert "[unknown_figure]" in fails(capsys, *data, "--limits", "limits.toml")
    assert "No such file" in fails(capsys, *data, "--limits", "none.toml")
    write("limits.toml", "# none yet\n")
    assert "there is no limit" in fails(capsys, *data, "--limits", "limits.toml")
    assert "for a share write '5%'" in fails(capsys, *data, "--max-different", "0.05")


def test_what_the_data_reaches_can_be_limited(model, capsys):
    data = ["verify", model, "--data", "short.csv"]
    assert main([*data, "--min-coverage", "0%"]) == 0
    assert main([*data, "--min-coverage", "100%"]) == 1  # one row: nothing varied
    capsys.readouterr()
    said = fails(capsys, *data, "--min-coverage", "1", "--no-coverage")
    assert "not computed" in said


def test_limits_are_not_lost_where_only_validation_data_is_run(model, capsys):
    assert "no validation data" in fails(capsys, "verify", model, "--max-ulp", "0")


def test_a_record_is_checked(model, capsys):
    assert verify(model, "--record", "record.json", "--signer", "J. Doe") == 1
    assert capsys.readouterr().out.endswith("\nrecord: record.json\n")
    record = json.loads(Path("record.json").read_text())
    assert record["command"][:3] == ["instmodel", "verify", "model.json"]
    assert set(record["files"]) == {"model", "data"}
    assert record["options"]["expected"] == "a,y"
    assert record["signatures"][0]["name"] == "J. Doe"
    assert record["holds"] is False
    assert main(["record", "check", "record.json"]) == 0
    assert "as recorded" in capsys.readouterr().out
    write("rows.csv", ROWS + "7,8,9\n")
    assert main(["record", "check", "record.json"]) == 1
    assert capsys.readouterr().out == "CHANGED: data: rows.csv has changed\n"
    assert "[invalid_record]" in fails(capsys, "record", "check", model)
    assert "No such file" in fails(capsys, "record", "check", "none.json")
    assert leftovers() == []


def test_a_record_does_not_replace_what_is_read(model, capsys):
    assert "is also the model" in fails(
        capsys, "verify", model, "--data", "rows.csv", "--record", model
    )


def test_who_signs_needs_something_to_sign(model, capsys):
    for data in ([], ["--data", "short.csv"]):
        assert "a record or a page" in fails(capsys, "verify", model, *data, "--signer", "J. Doe")


def test_bytes_that_nobody_can_get_are_an_error(model, capsys):
    verify(model, "--record", "record.json")
    run = f'"{sys.executable}" -m instmodel record bytes record.json >&-'
    done = subprocess.run(run, shell=True, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "instmodel: error: standard output: Bad file descriptor\n"


def test_the_bytes_of_a_record_are_those_of_its_digest(model, capsysbinary):
    verify(model, "--record", "record.json")
    capsysbinary.readouterr()
    assert main(["record", "bytes", "record.json"]) == 0
    written = capsysbinary.readouterr().out
    record = json.loads(Path("record.json").read_text())
    assert hashlib.sha256(written).hexdigest() == record["sha256"]


def test_the_walk_of_the_page_runs_as_it_stands(capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("jinja2")
    page = (ROOT / "docs" / "verify.md").read_text("utf-8")
    walk = page[page.index("\n## To sign off") : page.index("\n## How large")]
    names, ran = {}, []
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", walk, re.DOTALL | re.MULTILINE):
        if language == "python":
            exec(compile(text, "docs/verify.md", "exec"), names)
        elif language == "toml":
            Path("limits.toml").write_text(text, "utf-8")
        else:
            for line in text.replace("\\\n", " ").splitlines():
                command, _, comment = line.partition("#")
                words = shlex.split(command.partition(">")[0])
                if words[:1] == ["instmodel"]:
                    code = re.search(r"exit code (\d)", comment)
                    assert main(words[1:]) == (int(code[1]) if code else 0), line
                    ran.append(words[1])
    assert ran == ["compare", "record", "compare", "verify", "record"]
    shown = Path("page.html").read_text("utf-8")
    assert "all 7 limits hold" in shown
    assert "J. Doe, model risk" in shown


def test_no_name_of_a_column_moves_the_cursor(capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("jinja2")
    write("model.json", json.dumps(identity(["a"], 1)))
    write("rows.csv", "a,x\x1b[2J\n0.1,1\n0.2,2\n")
    options = ["--data", "rows.csv", "--by", "x\x1b[2J", "--report", "page.html"]
    assert main(["compare", "model.json", "model.json", *options]) == 0
    assert "By x\\x1b[2J" in capsys.readouterr().out
    page = Path("page.html").read_text()
    assert "Decided for 1 by x\\x1b[2J" in page
    assert "\x1b" not in page
