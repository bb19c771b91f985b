"""Folders in stores: what holds of those on this machine holds there."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys

import pytest
from support.table_models import identity

import instmodel as im
from instmodel.cli import main
from instmodel.stores import location

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("fsspec")


@pytest.fixture(params=["memory", "s3"])
def place(request, tmp_path, monkeypatch):
    """A folder in a store, and a model that is a file of this machine."""
    monkeypatch.chdir(tmp_path)
    save_models()
    if request.param == "s3":
        yield location(request.getfixturevalue("bucket")) / "tables"
        return
    memory = pytest.importorskip("fsspec").filesystem("memory")
    yield location("memory://bucket/tables")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def save_models():
    identity(["a"]).info.save("model.json")
    builder = im.ModelBuilder()
    negative = builder.mul_elementwise(builder.input(["a"]), [-1.0])
    builder.build(output=negative).save("negative.json")


def write(place, values):
    place.parent.make_folder()
    with place.replacing() as file:
        parquet.write_table(pa.table({"a": values}), file)


def fill(place):
    for key, values in (("a", [1.0]), ("b", [2.0, 3.0]), ("c", [4.0])):
        write(place / f"in/key={key}/part.parquet", values)


def score(place, *options, model="model.json"):
    return main(["score", model, str(place / "in"), "-o", str(place / "out"), *options])


def scores(place):
    out = place / "out"
    return {
        file.relative_to(out): parquet.read_table(io.BytesIO(file.read_bytes()))[
            "score"
        ].to_pylist()
        for file in out.files(hidden=True)
    }


def manifest(place):
    return json.loads((place / ".out.instmodel.json").read_bytes())


def rest(place):
    """Return what lies beside input and output."""
    names = [file.relative_to(place) for file in place.files(hidden=True)]
    return [name for name in names if not name.startswith(("in/", "out/"))]


def test_a_folder_becomes_a_folder(place):
    fill(place)
    assert score(place, "--bad-rows", str(place / "bad.csv")) == 0
    assert scores(place) == {
        "key=a/part.parquet": [1.0],
        "key=b/part.parquet": [2.0, 3.0],
        "key=c/part.parquet": [4.0],
    }
    assert rest(place) == [".out.instmodel.json", "bad.csv"]
    assert manifest(place)["rows"] == 4


def test_an_incremental_folder(place, capsys):
    fill(place)
    assert score(place, "--incremental") == 0
    write(place / "in/key=a/part.parquet", [7.0])
    write(place / "in/key=d/part.parquet", [8.0])
    (place / "in/key=c/part.parquet").remove()
    capsys.readouterr()
    assert score(place, "--incremental") == 0
    assert "(1 of 3 parts were there, 1 removed)" in capsys.readouterr().out
    assert list(scores(place).values()) == [[7.0], [2.0, 3.0], [8.0]]
    assert rest(place) == [".out.instmodel.json"]
    assert score(place, "--incremental") == 0
    assert "nothing to score: all 3 parts, 4 rows, were there: " in capsys.readouterr().out


def test_a_folder_is_replaced(place):
    fill(place)
    assert score(place) == 0
    (place / "in/key=a/part.parquet").remove()
    assert score(place) == 2
    assert score(place, "--overwrite", model="negative.json") == 0
    assert list(scores(place).values()) == [[-2.0, -3.0], [-4.0]]
    assert rest(place) == [".out.instmodel.json"]


def test_a_run_that_failed_is_resumed(place, capsys):
    fill(place)
    write(place / "in/key=c/part.parquet", ["text"])
    assert score(place) == 2
    assert not (place / "out").exists()
    write(place / "in/key=c/part.parquet", [9.0])
    assert score(place, "--resume") == 0
    assert "(2 of 3 parts were there)" in capsys.readouterr().out
    assert rest(place) == [".out.instmodel.json"]


def test_two_runs_never_mix(place, capsys):
    fill(place)
    with (place / ".out.instmodel-part").locked():
        assert score(place, "--incremental") == 2
    assert "another run is working on this" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_an_output_that_is_a_whole_bucket_is_refused(bucket, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    identity(["a"]).info.save("model.json")
    fill(location(tmp_path))
    assert main(["score", "model.json", "in", "-o", bucket]) == 2
    assert "have no place beside it" in capsys.readouterr().err
    assert location(bucket).files(hidden=True) == []


# ------------------------------------------------------------------------------------------- kills

SCENARIOS = {
    "new": (["--resume"], "model.json"),
    "incremental": (["--incremental"], "model.json"),
    "rescored": (["--incremental", "--model-change", "rescore"], "negative.json"),
    "replaced": (["--overwrite"], "negative.json"),
}
WRITES = ("PUT", "POST", "DELETE")


def prepare(place, scenario):
    """Make the input; where something is to be there, score it and change the input."""
    fill(place)
    if scenario != "new":
        assert score(place) == 0
        write(place / "in/key=a/part.parquet", [7.0])
        write(place / "in/key=d/part.parquet", [8.0])
        (place / "in/key=c/part.parquet").remove()


def killed(proxy, place, options, model, at):
    """Run a job in a process that is killed before a change of the store; tell whether it was."""
    code = "import sys; from instmodel.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "score", model]
    command += [str(place / "in"), "-o", str(place / "out"), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = 0

    def before(method, path):
        nonlocal seen
        if method in WRITES:
            seen += 1
            if seen > at:
                process.kill()
                return 503  # and whatever else was under way at the same moment
        return None

    proxy.before = before
    _, said = process.communicate()
    proxy.before = lambda method, path: None
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


def check_kills(bucket, proxy, scenario, first, stride):
    options, model = SCENARIOS[scenario]
    sign = -1.0 if model == "negative.json" else 1.0
    wanted = [[1.0], [2.0, 3.0], [4.0]] if scenario == "new" else [[7.0], [2.0, 3.0], [8.0]]
    step = first
    while True:
        place = location(bucket) / f"{step}"
        prepare(place, scenario)
        if not killed(proxy, place, options, model, step):
            break
        scores(place)  # every part that is there is whole
        assert score(place, *options, model=model) == 0, step
        assert list(scores(place).values()) == [[sign * a for a in part] for part in wanted], step
        assert rest(place) == [".out.instmodel.json"], step
        sources = [part["source"]["name"] for part in manifest(place)["parts"]]
        assert sources == [file.relative_to(place / "in") for file in (place / "in").files()], step
        step += stride
    assert step > 10


@pytest.fixture
def _models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_models()


@pytest.mark.usefixtures("_models")
@pytest.mark.parametrize("scenario", ["incremental", "replaced"])
def test_killed_before_a_change_of_the_store(bucket, proxy, scenario):
    check_kills(bucket, proxy, scenario, 4, 11)


@pytest.mark.usefixtures("_models")
@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_before_every_change_of_the_store(bucket, proxy, scenario):
    check_kills(bucket, proxy, scenario, 0, 1)
