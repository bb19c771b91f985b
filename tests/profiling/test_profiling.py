"""Profiles: the parts add up, and the model computes what it always does."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from support.documents import build, everything, network, recurrent
from support.paths import CSRC
from support.strategies import samples

import instmodel as im
from instmodel import _profiler, _scan
from instmodel.cli import main
from instmodel.profiling import profile
from instmodel.profiling.measure import Step
from instmodel.profiling.picture import draw


@pytest.fixture(scope="module")
def model():
    return build(everything())


@pytest.mark.parametrize("document", [everything(), network([20, 1, 2], ["RELU", None])])
@pytest.mark.parametrize("rows", [1, 5, 17, 1000])
def test_the_clock_changes_no_result(document, rows):
    model = build(document)
    x = samples(rows, model.feature_size, 0)
    results = np.empty((rows, 2), np.float32)
    times = np.zeros(2 + len(model.info.instructions), np.int64)
    _profiler.profile_rows(model, x, results, times)
    np.testing.assert_array_equal(results.view(np.uint32), model.predict(x).view(np.uint32))
    assert (times >= 0).all()
    assert times.sum() > 0


def test_the_loop_that_is_profiled_is_the_engines():
    called = re.findall(r"kernels\.(\w+)\(", (CSRC.parent / "_profiler.pyx").read_text())
    assert called == ["peak"]  # no kernel of a model


def test_every_instruction_is_a_step(model):
    found = profile(model, seconds=1e-3)
    types = [item.TYPE for item in model.info.instructions]
    assert [step.type for step in found.steps] == ["read rows", *types, "write results"]
    assert [step.index for step in found.steps] == [None, *range(len(types)), None]
    assert found.seconds == pytest.approx(sum(step.seconds for step in found.steps))
    assert found.peak_flops > 1e6
    assert found.read_bandwidth > 1e6
    assert found.isa == im.runtime_info()["isa"]


def test_a_first_instruction_that_reads_the_rows_is_the_first_step():
    model = build(network([20, 1, 2], ["RELU", None]))
    steps = profile(model, seconds=1e-3).steps
    assert [step.type for step in steps] == ["DOT", "DOT", "write results"]


def test_operations_and_bytes_of_a_dense_layer():
    model = build(network([10, 4], ["RELU"]))
    first, dense, last = profile(model, samples(3, 10, 0), seconds=1e-3).steps
    assert (first.flops, first.bytes) == (0, 80)
    assert dense == Step(0, "DOT", dense.seconds, 2 * 40, 4 * (10 + 4 + 40 / model.tile_samples))
    assert (last.flops, last.bytes) == (0, 32)


def test_steps_of_sequences():
    model = build(recurrent())
    x = samples(12, 2, 0).reshape(2, 6, 2)
    for given, count in (
        ({}, model.tile_samples * 64),
        ({"x": x}, 12),
        ({"x": x, "lengths": [6, 1]}, 7),
        ({"x": x[0], "offsets": [0, 2, 6]}, 6),
        ({"x": [x[0], x[1, :3]]}, 9),
    ):
        found = profile(model, seconds=1e-3, **given)
        assert found.rows == count
        types = [item.TYPE for item in model.info.instructions]
        assert [step.type for step in found.steps] == ["read rows", *types, "write results"]
    with pytest.raises(im.InputError) as caught:
        profile(model, [])
    assert caught.value.code == "no_rows"


def test_the_profiler_computes_every_step():
    model = build(recurrent())
    x = samples(900, 2, 0).reshape(300, 3, 2)
    results = np.empty((900, 1), np.float32)
    starts, lengths = np.arange(300) * 3, np.full(300, 3)
    shared = _scan.SharedSequences(
        model, x.reshape(900, 2), starts, lengths, results, False, None, None, None, 1
    )
    times = np.zeros(2 + len(model.info.instructions), np.int64)
    _profiler.profile_sequences(model, shared, times)
    np.testing.assert_array_equal(results.reshape(300, 3, 1), model.predict_sequences(x))
    assert times.sum() > 0


def test_rows_of_any_kind(model):
    x = samples(9, 6, 0).astype(np.float64)[::-2]
    assert profile(model, x, seconds=1e-3).rows == 5


@pytest.mark.parametrize(
    ("x", "code"),
    [(np.empty((0, 6)), "no_rows"), (np.empty((3, 5)), "input_size_mismatch")],
)
def test_rows_that_do_not_fit(model, x, code):
    with pytest.raises(im.InstModelError) as caught:
        profile(model, x)
    assert caught.value.code == code


def test_what_is_no_model(model):
    for wrong in (None, model.info):
        with pytest.raises(im.InstModelError) as caught:
            profile(wrong)
        assert (caught.value.code, caught.value.field) == ("invalid_type", "model")


def test_arrays_that_do_not_fit_the_engine(model):
    x, times = samples(3, 6, 0), np.zeros(2 + len(model.info.instructions), np.int64)
    with pytest.raises(ValueError, match="fit the engine"):
        _profiler.profile_rows(model, x, np.empty((2, 2), np.float32), times)
    with pytest.raises(ValueError, match="fit the engine"):
        _profiler.profile_rows(model, x, np.empty((3, 2), np.float32), times[1:])
    with pytest.raises(ValueError, match="fit the engine"):
        _profiler.profile_rows(model, x[:0], np.empty((0, 2), np.float32), times)


# ------------------------------------------------------------------------------------ command line


@pytest.fixture
def path(tmp_path, model):
    model.info.save(tmp_path / "m.json")
    return str(tmp_path / "m.json")


def test_the_table(capsys, path):
    assert main(["profile", path, "--seconds", "0.001"]) == 0
    out = capsys.readouterr().out
    assert "read rows" in out
    assert "ATTENTION" in out
    assert "GFLOPS" in out


def test_json_with_rows_of_a_file(capsys, path, tmp_path):
    np.save(tmp_path / "x.npy", samples(7, 6, 0))
    data = str(tmp_path / "x.npy")
    assert main(["profile", path, "--data", data, "--seconds", "0.001", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 7
    assert found["steps"][0]["type"] == "read rows"


def test_a_file_without_rows(capsys, path, tmp_path):
    np.save(tmp_path / "x.npy", np.empty((0, 6), np.float32))
    assert main(["profile", path, "--data", str(tmp_path / "x.npy")]) == 2
    assert "no rows" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "x", "1e9"])
def test_seconds_that_make_no_sense(capsys, path, seconds):
    assert main(["profile", path, "--seconds", seconds]) == 2
    assert "seconds" in capsys.readouterr().err


def test_the_picture(path, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "p.svg"
    assert main(["profile", path, "--seconds", "0.001", "--picture", str(picture)]) == 0
    assert capsys.readouterr().out.endswith(f"\npicture: {picture}\n")
    drawn = picture.read_text(encoding="utf-8")
    kinds = {item["type"] for item in everything()["instructions"]}
    steps = len(profile(im.load(path), seconds=0.001).steps)
    assert drawn.count('id="patch_') > 2 + len(everything()["instructions"]) + len(kinds)
    told = re.findall("<!-- (.*?) -->", drawn)
    assert all(any(re.fullmatch(rf"{kind} [\d.]+%", text) for text in told) for kind in kinds)
    assert sum(bool(re.fullmatch(r".* ns, [\d.]+%", text)) for text in told) == steps


def test_a_picture_of_many_steps_names_the_longest(tmp_path):
    pytest.importorskip("matplotlib")
    document = network([4] * 41, ["TANH"] * 40)
    model = im.InstructionModel(im.InstructionModelInfo.from_dict(document))
    found = profile(model, seconds=0.001)
    draw(found, tmp_path / "p.svg")
    told = re.findall("<!-- (.*?) -->", (tmp_path / "p.svg").read_text(encoding="utf-8"))
    assert f"{len(found.steps) - 20} others" in told


def test_without_matplotlib(capsys, path, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert main(["profile", path, "--seconds", "0.001", "--picture", str(tmp_path / "p.svg")]) == 2
    assert "instmodel-inference[report]" in capsys.readouterr().err


def test_pictures_of_other_formats_are_refused_before_measuring(path, tmp_path, capsys):
    picture = tmp_path / "p.txt"
    assert main(["profile", path, "--seconds", "3600", "--picture", str(picture)]) == 2
    assert "does not end in .svg or .png or .pdf" in capsys.readouterr().err
    found = profile(im.load(path), seconds=0.001)
    with pytest.raises(im.InstModelError, match="invalid_document"):
        draw(found, picture)
    assert not picture.exists()
