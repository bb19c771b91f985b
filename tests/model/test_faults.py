"""What happens when the system fails: no memory, no disk, fork at a bad moment, a long life."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from support.paths import TESTS

ALL = bool(os.environ.get("FAULTS_ALL"))  # what tests/fuzz/run.sh sets: every case
FORKS = 2000 if ALL else 200
GLIBC = platform.libc_ver()[0] == "glibc"
SHIM = TESTS / "fuzz" / "faults.c"

PRELUDE = """
    import ctypes, gc, io, os, sys, threading
    import numpy as np
    import instmodel as im
    from instmodel.compiled import parallel
    from support.documents import dense, everything, network
    parallel._WORK_WORTH_A_THREAD = 1  # share out the smallest job
    info = im.InstructionModelInfo.from_dict(everything())
    x = np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)
    expected = im.InstructionModel(info).predict(x)
    def bits(array):
        return np.asarray(array).view(np.uint32)
    def check(result):
        assert np.array_equal(bits(result), bits(expected))
    """


def script(text, *arguments, timeout=250, **environment):
    """Run a Python script in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(text), *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """Compile the library that lets calls fail."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not GLIBC or compiler is None:
        pytest.skip("needs glibc and a C compiler")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return str(library)


# ---------------------------------------------------------------------------------------- no memory

# What runs while the n-th allocation fails; `path` is a file of the model. Predictions come out.
MEMORY = {
    "load": "im.load(path).predict(x)",
    "load mapped": "im.load(path, mmap=True).predict(x)",
    "load JSON": "im.load(path + '.json').predict(x)",
    "predict": "model.predict(x)",
    "predict one": "model.predict(x[0])",
    "predict of another type": "model.predict(x.astype(float))",
    "predict_parallel": "model.predict_parallel(x, im.PredictConfig(threads=3))",
    "save": "(info.to_bytes(), info.to_json(), info.digest())",
}
# What CPython, NumPy and OpenSSL say instead of MemoryError when they cannot allocate.
FOREIGN = (
    "error return without exception set",
    "NULL object passed",
    "returned NULL without setting an exception",
    "can't allocate",
    "digital envelope",
)

EVERY_ALLOCATION = """
    path, step = sys.argv[1], int(sys.argv[2])
    info.save(path)
    info.save(path + ".json")
    wanted = None
    def new():
        return im.InstructionModel(info)  # without an idle workspace
    def work(model):
        return WORK
    def right(result):
        if not isinstance(result, tuple):
            result = bits(result).tolist()
        assert wanted in (None, result)
        return result
    wanted = right(work(new()))
    right(work(new()))  # what is imported or cached on first use is not what this is about
    ARMING
    failed = foreign = clean = n = 0
    while True:
        n += step
        model = new()
        gc.collect()
        result = None
        arm(n)
        try:
            result = work(model)
        except MemoryError:
            failed += 1
        except (SystemError, RuntimeError, ValueError) as error:
            known = any(text in str(error) for text in FOREIGN_TEXTS)
            disarm(n)
            if not known:
                raise
            foreign += 1
        finally:
            reached = disarm(n)
        clean = clean + 1 if result is not None else 0
        if result is not None:
            right(result)
            del result
        # Whatever happened, everything works again: the same model and a new one.
        right(work(model))
        right(work(new()))
        if not reached or clean == 40:
            break
    print(failed, foreign, n)
    """


# The n-th call of the C library's allocator: NumPy's data, the engine's tiles, large objects.
C_ARMING = """
    library = ctypes.CDLL(None)
    library.faults_memory_left.restype = ctypes.c_long
    def arm(n):
        library.faults_arm(ctypes.c_long(n), ctypes.c_long(0))
    def disarm(n):
        left = library.faults_memory_left()
        library.faults_arm(ctypes.c_long(0), ctypes.c_long(0))
        return left <= 0
    """

# The n-th allocation of a Python object or of PyMem, small ones too; the hook says no more.
PYTHON_ARMING = """
    import _testcapi
    def arm(n):
        _testcapi.set_nomemory(n, n + 1)
    def disarm(n):
        _testcapi.remove_mem_hooks()
        return True  # the hook does not tell; forty calls in a row that work are the end
    """


def every_allocation(what, arming):
    code = EVERY_ALLOCATION.replace("WORK", MEMORY[what]).replace("ARMING", arming.strip())
    return code.replace("FOREIGN_TEXTS", repr(FOREIGN))


# NumPy 1 itself ends the process when it finds no memory for the buffers of `any`, `min` or a cast.
NUMPY_1 = pytest.mark.skipif(np.__version__ < "2", reason="NumPy 1 does not survive this")


@NUMPY_1
@pytest.mark.parametrize("what", MEMORY)
def test_any_allocation_of_the_c_library_may_fail(what, shim, tmp_path):
    code = every_allocation(what, C_ARMING)
    output = script(code, str(tmp_path / "m.instmodel"), "1", LD_PRELOAD=shim)
    failed, foreign, tried = map(int, output.split())
    assert 0 < failed <= tried < 20_000
    assert foreign <= tried // 2


@NUMPY_1
@pytest.mark.parametrize("what", [name for name in MEMORY if name != "predict_parallel"])
def test_any_allocation_of_python_may_fail(what, tmp_path):
    # Without predict_parallel: a worker of concurrent.futures that cannot allocate is lost, and
    # whoever waits for it waits for ever. Its own allocations fail in the test above.
    pytest.importorskip("_testcapi", reason="this Python has no allocator that fails on demand")
    code = every_allocation(what, PYTHON_ARMING)
    step = 1 if ALL or what.startswith("predict") else 23
    output = script(code, str(tmp_path / "m.instmodel"), str(step), timeout=1000)
    assert int(output.split()[0]) > 0


# ------------------------------------------------------------------------------------------ no disk

EVERY_CALL = """
    from pathlib import Path
    folder = Path(sys.argv[1])
    library = ctypes.CDLL(None)
    def arm(n):
        library.faults_arm(ctypes.c_long(0), ctypes.c_long(n))
    old = im.InstructionModelInfo.from_dict(dense())
    def content(path):
        return im.InstructionModelInfo.load(path).digest()
    path = folder / sys.argv[2]
    old.save(path)
    info.save(path)
    im.load(path), im.load(path, mmap=True)
    outcomes = []
    n = 0
    while True:
        n += 1
        old.save(path)
        arm(n)
        try:
            ACTION
        except (OSError, im.InstModelError) as error:
            library.faults_arm(ctypes.c_long(0), ctypes.c_long(0))
            assert str(error), "the error says nothing"
            assert isinstance(error, im.InstModelError) or error.errno, error
            assert content(path) == old.digest(), "the old file is gone"
            outcomes.append(type(error).__name__)
        else:
            calls = library.faults_io_calls()
            library.faults_arm(ctypes.c_long(0), ctypes.c_long(0))
            assert content(path) == (info if SAVES else old).digest()
            outcomes.append("done")
        assert os.listdir(folder) == [path.name], "a temporary file was left"
        if outcomes[-1] == "done" and calls < n:
            break
    print(len(outcomes) - outcomes.count("done"), n)
    """


@pytest.mark.parametrize("name", ["m.instmodel", "m.json"])
@pytest.mark.parametrize(
    "action", ["info.save(path)", "im.load(path)", "im.load(path, mmap=True)"], ids=lambda a: a[3:]
)
def test_any_system_call_may_fail(action, name, shim, tmp_path):
    code = EVERY_CALL.replace("ACTION", action).replace("SAVES", str("save" in action))
    failed, tried = map(int, script(code, str(tmp_path), name, LD_PRELOAD=shim).split())
    assert failed >= (3 if "save" in action else 2)
    assert tried < 100


# ------------------------------------------------------------------------------- fork and long life


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forks_during_parallel_runs_do_not_hang():
    output = script(
        """
        import signal, time, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork with threads running
        model = im.InstructionModel(info)
        config = im.PredictConfig(threads=3)
        # Python cannot fork while another thread imports, and the first run imports.
        check(model.predict_parallel(x, config))
        stop = threading.Event()
        def keep_busy():
            while not stop.is_set():
                check(model.predict_parallel(x, config))
        threads = [threading.Thread(target=keep_busy) for _ in range(2)]
        for thread in threads:
            thread.start()
        states = []
        for _ in range(int(sys.argv[1])):
            child = os.fork()
            if not child:
                signal.alarm(60)  # ends a child that hangs
                status = 1
                try:
                    check(model.predict_parallel(x, config))
                    status = 0
                finally:
                    os._exit(status)
            states.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop.set()
        for thread in threads:
            thread.join()
        check(model.predict_parallel(x, config))
        print(states.count(0))
        """,
        str(FORKS),
    )
    assert output == str(FORKS)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
@pytest.mark.parametrize(
    "work",
    [
        "check(im.load(path).predict(x))",
        "check(im.load(path, mmap=True).predict(x))",
        "check(im.load(path + '.json').predict(x))",
        "check(im.load(path).predict_parallel(x, im.PredictConfig(threads=3)))",
        "for wrong in (data[:-1], broken, b'{' + data, text[:-1]): refused(read, wrong)",
        "model.predict(x); model.predict(x[0]); model.predict_single(x[0])",
        "model.predict(x.astype(float)); model.predict(x.tolist())",
        "model.predict_parallel(x, im.PredictConfig(threads=3)).get_result(0)",
        "build(document).predict(x[0])",
        "pickle.loads(pickle.dumps(model))",
        "refused(model.predict, x[:, :3]); refused(model.predict, 'x'); refused(build, {})",
        "refused(build, {**document, 'weights': [[[1.0]]]}); model.predict_with_buffer(buffer)",
        "[model.execution_graph.nodes, model.info, build(document).execution_graph.nodes]",
    ],
)
def test_memory_stays_flat(work, tmp_path):
    rounds = 100_000 if ALL else 1500
    output = script(
        f"""
        import pickle
        from support.documents import build
        path = sys.argv[1]
        info.save(path)
        info.save(path + ".json")
        document = everything()
        model = build(document)
        buffer = np.zeros(model.required_memory, np.float32)
        read = im.InstructionModelInfo.from_bytes
        data, text = info.to_bytes(), info.to_json().encode()
        broken = bytearray(data)
        broken[len(data) // 2] ^= 1
        broken = bytes(broken)
        def refused(call, argument):
            try:
                call(argument)
            except im.InstModelError:
                return
            raise AssertionError
        def pages():
            gc.collect()
            return int(open("/proc/self/statm").read().split()[1])
        def run(times):
            for _ in range(times):
                {work}
        run(300)
        before = pages()
        run({rounds})
        print((pages() - before) * os.sysconf("SC_PAGESIZE"))
        """,
        str(tmp_path / "m.instmodel"),
        timeout=3000,
    )
    # One lost model, file or array in each round would be kilobytes a round. A table that the C
    # library or NumPy 1.26 enlarges once is some hundred kilobytes.
    assert int(output) < 500 * 1500
