"""`score`: where the output goes, and what is left behind when it does not get there."""

import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.commands import GOOD, LINUX, command, fails, leftovers, write

from instmodel import cli
from instmodel.cli import main


@pytest.mark.parametrize("options", [[], ["--format", "csv"]])
def test_dash_writes_csv_to_standard_output(unnamed, options):
    write("t.csv", GOOD)
    arguments = command("score", unnamed, "t.csv", "-o", "-", *options)
    done = subprocess.run(**arguments, capture_output=True, text=True, check=True)
    assert done.stdout == "output_0,output_1,output_2\n1.0,2.0,3.0\n4.0,5.0,6.0\n"
    assert done.stderr == (
        "instmodel: warning: the model does not name its features: "
        "the columns 'a', 'b', 'c' count by their position\n"
    )


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
        ("missing/out.csv", "missing/out.csv: the folder missing is not there"),
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


def has_begun(process):
    """Whether a process has opened its output, under a temporary name or, on Linux, under none."""
    nameless = []
    for link in Path(f"/proc/{process.pid}/fd").glob("*"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            nameless.append(re.fullmatch(r"(.*)/#\d+ \(deleted\)", os.readlink(link)))
    return leftovers() or any(found and found[1] == os.path.realpath(".") for found in nameless)


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
                wait_for(process, lambda: has_begun(process))
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


def test_ctrl_c_ends_with_130_and_cleans_up(capsys, monkeypatch, unnamed):
    def interrupted(*_):
        raise KeyboardInterrupt

    write("t.csv", GOOD)
    monkeypatch.setattr(cli.score, "_predict", interrupted)
    assert fails(capsys, "score", unnamed, "t.csv", "-o", "o.csv", code=130)
    assert not Path("o.csv").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_does_not_cut_the_cleaning_up_short(capsys, monkeypatch, unnamed, number):
    unlink = os.unlink

    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)

    def interrupted_again(path):
        signal.raise_signal(number)
        unlink(path)

    write("t.csv", GOOD)
    monkeypatch.setattr(cli.score, "_predict", interrupted)
    monkeypatch.setattr(os, "unlink", interrupted_again)
    assert "stopped" in fails(capsys, "score", unnamed, "t.csv", "-o", "o.csv", code=130)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


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
