"""A record says what was run on what, can be signed, and shows what changed since."""

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.table_models import identity

import instmodel as im
from instmodel.verification.canonical import canonical
from instmodel.verification.record import (
    FORMAT,
    Recorder,
    canonical_bytes,
    check_record,
    digest,
    read_record,
    write_record,
)

AB = identity(["a", "b"])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    AB.info.save("model.json")
    np.save("rows.npy", np.arange(6.0).reshape(3, 2))


def written(path="record.json", files=None, **options):
    recorder = Recorder(files or {"model": "model.json", "data": "rows.npy"}, ["instmodel", "x"])
    found = im.verify("model.json", "rows.npy")
    return recorder.write(path, found, **options)


def test_a_record_holds_what_a_reader_needs():
    limits = {"max": {"outputs.max_ulp": 1}}
    record = written(limits=limits, models={"model": AB}, options={"atol": 0}, signers=["J. Doe"])
    assert record == json.loads(Path("record.json").read_text()) == read_record("record.json")
    assert record["kind"] == "verification"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["time"])
    assert record["command"] == ["instmodel", "x"]
    assert record["versions"]["instmodel"] == im.__version__
    assert record["versions"]["instruction_set"] == im.runtime_info()["isa"]
    assert record["files"]["data"] == {
        "path": "rows.npy",
        "bytes": Path("rows.npy").stat().st_size,
        "sha256": hashlib.sha256(Path("rows.npy").read_bytes()).hexdigest(),
    }
    assert record["models"] == {"model": AB.digest}
    assert record["options"] == {"atol": 0}
    assert [limit["figure"] for limit in record["limits"]] == ["rows_different", "outputs.max_ulp"]
    assert record["holds"] is True
    assert record["figures"]["rows"] == 3
    assert record["signatures"] == [{"name": "J. Doe", "date": "", "signature": ""}]
    assert check_record("record.json") == []


def test_a_record_says_how_its_figures_were_made_though_nobody_repeats_it():
    recorder = Recorder({"model": "model.json"})
    rows = np.arange(6.0).reshape(3, 2)
    rules = {"atol": np.float32(0.5), "against": lambda x: x, "threads": 1}
    found = im.verify(Path("model.json"), rows, worst=3, **rules)
    record = recorder.write("record.json", found)
    asked = {"model": "model.json", "data": "<ndarray in memory>", "expected": None, "worst": 3}
    asked |= {"atol": 0.5, "rtol": 1e-5, "against": "<function in memory>"}
    assert record["options"] == asked | {"coverage": True, "nulls": None}
    assert "options" not in record["figures"]
    assert found.to_dict()["options"] == record["options"]
    found = im.verify("model.json", "rows.npy", nulls=None, expected=None)
    assert recorder.record(found)["options"]["data"] == "rows.npy"


def test_a_record_of_a_comparison_holds_the_columns_it_was_asked_for():
    pytest.importorskip("sklearn")
    rows = np.column_stack([np.linspace(0, 1, 40), np.ones(40), np.arange(40) % 2, np.ones(40)])
    found = im.compare("model.json", AB, rows, labels="y", by=["g"], output=0, threshold=0.25)
    options = Recorder({}).record(found)["options"]
    assert (options["labels"], options["by"], options["threshold"]) == ("y", ["g"], 0.25)
    assert options["new"] == "<InstructionModel in memory>"
    assert "progress" not in options


def test_names_and_dates_are_no_part_of_what_is_signed():
    record = written()
    before = canonical_bytes(record)
    record["signatures"] = [{"name": "Jane", "date": "2026-11-21", "signature": "RWQ…"}]
    write_record("record.json", record)
    assert canonical_bytes(read_record("record.json")) == before
    assert check_record("record.json") == []
    assert hashlib.sha256(before).hexdigest() == record["sha256"]


def test_another_figure_is_noticed():
    record = written()
    record["figures"]["rows"] = 4
    write_record("record.json", record)
    assert check_record("record.json") == ["the record: its content is not what was written"]
    record["sha256"] = digest(record)  # which is why one signs
    write_record("record.json", record)
    assert check_record("record.json") == []


def test_changed_and_missing_files_are_named():
    written()
    np.save("rows.npy", np.zeros((1, 2)))
    Path("model.json").unlink()
    assert check_record("record.json") == [
        "model: model.json: No such file or directory",
        "data: rows.npy has changed",
    ]


def test_each_file_of_a_folder_counts():
    for name in ("b", "a", "_hidden"):
        Path("rows").mkdir(exist_ok=True)
        Path("rows", name).write_text(name)
    written(files={"data": "rows"})
    assert list(read_record("record.json")["files"]["data"]["files"]) == ["a", "b"]
    Path("rows/_hidden").unlink()
    assert check_record("record.json") == []
    Path("rows/a").unlink()
    Path("rows/b").write_text("B")
    Path("rows/c").write_text("c")
    assert check_record("record.json") == [
        "data: rows/a is gone",
        "data: rows/b has changed",
        "data: rows/c is new",
    ]


def test_a_folder_with_everything_can_be_moved(tmp_path, monkeypatch):
    Path("out").mkdir()
    absolute = tmp_path / "rows.npy"
    record = written("out/record.json", {"model": "model.json", "data": absolute})
    assert record["files"]["model"]["path"] == "../model.json"
    assert record["files"]["data"]["path"] == absolute.as_posix()
    monkeypatch.chdir("/")
    assert check_record(tmp_path / "out/record.json") == []


def test_a_record_behind_a_link_finds_its_files():
    Path("deep/er").mkdir(parents=True)
    Path("link").symlink_to("deep/er")
    written("link/record.json")
    assert check_record("link/record.json") == check_record("deep/er/record.json") == []


@pytest.mark.parametrize("change", ["content", "time"])
def test_a_file_that_changes_meanwhile_is_an_error(change):
    recorder = Recorder({"data": "rows.npy"})
    found = im.verify("model.json", "rows.npy")
    if change == "content":
        np.save("rows.npy", np.zeros((4, 2)))
    else:
        os.utime("rows.npy", (1, 1))
    with pytest.raises(im.InputError, match="changed_file"):
        recorder.write("record.json", found)
    assert not Path("record.json").exists()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"format": "instmodel-record-2", "files": {}}', "\xff"),
        *('{"format": "instmodel-record-1"}', '{"format": "instmodel-record-1", "files": []}'),
        '{"format": "instmodel-record-1", "files": {}, "files": {}}',
        '{"format": "instmodel-record-1", "files": {}, "x": NaN}',
        '{"format": "instmodel-record-1", "files": {}, "x": 9007199254740993}',
        '{"format": "instmodel-record-1", "files": {}, "x": "\\ud800"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_record_is_an_error(text):
    Path("record.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(im.InputError, match="invalid_record") as caught:
        check_record("record.json")
    assert caught.value.file == "record.json"


def test_a_name_that_is_no_utf_8_is_written_all_the_same():
    # As the command line gives bytes that are none.
    assert written(signers=["J. \udcff"])["signatures"][0]["name"] == r"J. \udcff"
    assert check_record("record.json") == []


@pytest.mark.parametrize(
    "entry", [1, {}, {"path": 5}, {"path": "rows.npy"}, {"path": ""}, {"path": "a\0b"}]
)
def test_an_entry_that_names_no_digest_is_not_as_recorded(entry):
    record = {"format": "instmodel-record-1", "files": {"data": entry}}
    record["sha256"] = digest(record)
    write_record("record.json", record)
    assert len(check_record("record.json")) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_no_file_that_could_be_read_again():
    written()
    Path("rows.npy").unlink()
    os.mkfifo("rows.npy")
    assert check_record("record.json") == ["data: rows.npy: Not a regular file"]
    with pytest.raises(OSError, match="Not a regular file"):
        Recorder({"data": "rows.npy"})


# The examples of RFC 8785, appendix B.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize("bits", NUMBERS)
def test_numbers_are_written_as_the_rfc_says(bits):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number).decode() == NUMBERS[bits]


def test_keys_and_text_are_written_as_the_rfc_says():
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}
    keys = list(json.loads(canonical(value)))
    assert keys == ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    text = '\u20ac$\x0f\nA\'B"\\\\"/'
    assert canonical(np.float64(0.5)) == b"0.5"  # a float whose repr is another
    assert canonical([text, None, True, {}]) == (
        b'["\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/",null,true,{}]'
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_comes_back(number):
    assert json.loads(canonical(number), parse_int=float) == number
    Path("record.json").write_bytes(canonical({"format": FORMAT, "files": {}, "x": number}))
    assert read_record("record.json")["x"] == number


def test_another_program_makes_the_same_bytes():
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    record = written()
    script = (
        "const s=v=>v===null||typeof v!=='object'?JSON.stringify(v):Array.isArray(v)?"
        "'['+v.map(s).join(',')+']':'{'+Object.keys(v).sort().map(k=>JSON.stringify(k)+':'+s(v[k]))"
        ".join(',')+'}';const r=JSON.parse(require('fs').readFileSync('record.json'));"
        "delete r.sha256;delete r.signatures;process.stdout.write(s(r))"
    )
    done = subprocess.run([node, "-e", script], capture_output=True, check=True)
    assert done.stdout == canonical_bytes(record)
