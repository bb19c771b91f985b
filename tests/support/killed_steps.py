"""Kill a job before each change that it makes to files.

``python -m support.killed_steps replaced 0 1`` goes through all of them, from the first one on.
Each job runs in a fork of this process, which has imported everything and starts no thread. An
audit hook counts the changes of names and the files that are opened for writing, and ends the
process at one of them as SIGKILL does. Then the job runs once more and must come through.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

import instmodel as im
from instmodel import jobs
from support.table_models import identity

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "shutil.rmtree"}
KILLED = 137


def main(scenario, first, stride):
    """Go through every so many steps of one of `SCENARIOS`, and print how many there are."""
    warnings.simplefilter("ignore")
    identity(["a"]).info.save("../model.json")
    builder = im.ModelBuilder()
    negative = builder.mul_elementwise(builder.input(["a"]), [-1.0])
    builder.build(output=negative).save("../negative.json")
    prepare, options, again, model = SCENARIOS[scenario]
    prepare()
    shutil.copytree(".", "../before", symlinks=True)
    expected = expected_scores(model, options)
    step = first
    while not run(model, options, killed_at=step):
        check_what_readers_see(options)
        assert run(model, again)
        found = scores()
        assert found == expected, (step, found)
        check_manifest(step)
        left = [path.name for path in Path().iterdir() if "instmodel" in path.name]
        assert left == [".out.instmodel.json"], (step, left)
        restore()
        step += stride
    sys.stdout.write(f"{step}\n")


def run(model, options, killed_at=-1):
    """Run the job in a fork, killed at a step; tell whether it came through."""
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event, arguments):
            nonlocal seen
            opened = event == "open" and isinstance(arguments[2], int)
            if event in CHANGES or (opened and arguments[2] & os.O_ACCMODE):
                if seen == killed_at:
                    os._exit(KILLED)
                seen += 1

        os.fsync = lambda descriptor: None  # no power fails here, and it takes most of the time
        sys.addaudithook(hook)
        try:
            jobs.run(jobs.Job(im.load(model), "data", "out", threads=1, **options))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED), status
    return status == 0


def expected_scores(model, options):
    run(model, options)
    found = scores()
    restore()
    return found


def restore():
    here = Path().resolve()
    for path in here.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree("../before", here, symlinks=True, dirs_exist_ok=True)


def scores():
    return {
        path.relative_to("out").as_posix(): parquet.read_table(path)["score"].to_pylist()
        for path in sorted(Path("out").rglob("*"))
        if path.is_file()
    }


def check_what_readers_see(options):
    """There is nothing but whole parts; of a folder that is replaced, all old or all new ones."""
    found = scores()
    if options.get("overwrite") and found:
        signs = {value > 0 for values in found.values() for value in values}
        assert len(signs) == 1, found


def check_manifest(step):
    manifest = json.loads(Path(".out.instmodel.json").read_text())
    sizes = {part["part"]: part["stamp"]["size"] for part in manifest["parts"]}
    there = {name: Path("out", name).stat().st_size for name in scores()}
    assert sizes == there, step
    sources = {part["source"]["name"] for part in manifest["parts"]}
    assert sources == {
        path.relative_to("data").as_posix() for path in Path("data").rglob("*.parquet")
    }


def write(path, values):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({"a": [float(value) for value in values]}), path)


def fresh():
    """Make the input."""
    for number in range(3):
        write(f"data/key={number}/part.parquet", range(1, number + 3))


def changed():
    """Make the input, score it, and change it: a file more, one less, another one."""
    fresh()
    run("../model.json", {})
    write("data/key=1/part.parquet", [7])
    write("data/key=9/part.parquet", [9])
    shutil.rmtree("data/key=2")


SCENARIOS = {
    "new": (fresh, {}, {"resume": True}, "../model.json"),
    "incremental": (changed, {"incremental": True}, {"incremental": True}, "../model.json"),
    "rescored": (
        changed,
        {"incremental": True, "model_change": "rescore"},
        {"incremental": True, "model_change": "rescore"},
        "../negative.json",
    ),
    "replaced": (changed, {"overwrite": True}, {"overwrite": True}, "../negative.json"),
    "resumed": (
        changed,
        {"overwrite": True, "resume": True},
        {"overwrite": True, "resume": True},
        "../negative.json",
    ),
}

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
