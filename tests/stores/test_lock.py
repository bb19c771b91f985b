"""Locks in stores: never two, and none that a dead process holds."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from instmodel.errors import InputError
from instmodel.stores import location, remote_lock

pytest.importorskip("fsspec")


@pytest.fixture
def folder(request):
    yield location(f"memory://locks/{request.node.name}/work")
    location(f"memory://locks/{request.node.name}").remove_tree()


def leave(folder, **changes):
    """Put the lock of another process there."""
    holder = remote_lock._me() | {"time": time.time()} | changes
    lock = folder.parent / f"{folder.name}.lock/other.json"
    with lock.replacing() as file:
        file.write(json.dumps(holder).encode())
    return lock


def take(folder):
    with folder.locked() as lock:
        lock.check()


def test_a_lock_of_a_process_that_is_gone_is_taken_over_at_once(folder):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    lock = leave(folder, process=done.pid, started="1")
    take(folder)
    assert not lock.exists()


def test_a_lock_of_another_process_with_the_same_number_is_dead(folder):
    leave(folder, started="1")
    take(folder)


def test_a_lock_of_another_machine_holds_while_it_is_renewed(folder):
    lock = leave(folder, machine="other 1 2", process=7)
    with pytest.raises(InputError, match=r"another run .*process 7 of other") as caught:
        take(folder)
    assert caught.value.code == "output_busy"
    assert lock.exists()
    leave(folder, machine="other 1 2", time=time.time() - remote_lock.STALE - 60)
    take(folder)
    assert not lock.exists()


def test_a_lock_that_a_living_process_failed_to_remove_does_not_hold_for_ever(folder):
    lock = leave(folder)
    with pytest.raises(InputError, match="another run"):
        take(folder)
    leave(folder, time=time.time() - remote_lock.STALE - 60)
    take(folder)
    assert not lock.exists()


def test_what_nobody_can_read_holds(folder):
    lock = leave(folder)
    with lock.replacing() as file:
        file.write(b"?")
    with pytest.raises(InputError, match="another run"):
        take(folder)


def test_a_lock_is_renewed_while_it_is_held(folder, monkeypatch):
    monkeypatch.setattr(remote_lock, "RENEWED", 0.01)
    place = folder.parent / f"{folder.name}.lock"
    with folder.locked():
        first = place.files()[0].read_bytes()
        while place.files()[0].read_bytes() == first:  # the test's own limit ends this
            time.sleep(0.01)
    assert place.files() == []


def test_a_run_whose_lock_was_taken_is_told(folder):
    with folder.locked() as lock:
        (folder.parent / f"{folder.name}.lock").remove_tree()
        with pytest.raises(InputError, match="another run"):
            lock.check()


def test_two_never_hold_a_lock(folder, monkeypatch):
    monkeypatch.setattr(remote_lock, "_TRIES", 50)
    inside, most, done = [], [], []

    def work():
        for _ in range(3):
            try:
                with folder.locked():
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.01)
                    inside.pop()
                    done.append(1)
            except InputError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done
    assert set(most) == {1}


CODE = """
import sys, time
from instmodel.stores import location
with location(sys.argv[1]).locked():
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others cannot tell that a process is gone")
def test_the_lock_of_a_killed_run_in_a_bucket_is_taken_over(bucket):
    folder = location(bucket) / "work"
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"process {holder.pid} of"):
            take(folder)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    take(folder)
    assert location(bucket).files(hidden=True) == []
