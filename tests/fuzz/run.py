"""Load hostile files, and run what was accepted on hostile inputs.

``python tests/fuzz/run.py N [--seed S] [--kind json|binary]`` tries N mutants. Anything but a model
that keeps its promises or an `InstModelError` is a *crasher*: another exception, a signal, a
sanitizer's report, a hang, memory out of proportion. Crashers are saved in ``tests/fuzz/corpus/``
and the exit status is 1.

The mutants run in a child process. It notes the number of the mutant in shared memory before it
touches it, so the parent can name the culprit whatever happens to the child.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import json
import mmap
import os
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import mutate  # noqa: E402
import numpy as np  # noqa: E402

import instmodel as im  # noqa: E402
from instmodel import reference  # noqa: E402
from instmodel.compiled import parallel  # noqa: E402

CORPUS = HERE / "corpus"
LIMITS = im.Limits(max_buffer_size=2000, max_weight_count=20_000, max_header_size=1 << 16)
# A worker adds this much at the most to what it starts with; the limits allow a tenth of it.
MEMORY = 1 << 30
HANG = 20.0  # seconds for one mutant

HOSTILE = np.array(
    [
        *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, 1e-3, 88.0, -88.0, 1e10, -1e30, 3.4028235e38),
        *(np.nan, -np.nan, np.inf, -np.inf, 1e-40, -1e-45, 2147483520.0, 2147483648.0, -2147483648),
        *(-3e9, 16777216.0, 8388607.5, 4.5, -2.5, -3.4028235e38, 1.1754944e-38),
    ],
    np.float32,
)


def exercise(data: bytes, number: int = 0) -> str:
    """Load a file and run its model; return "accepted" or the code of the error.

    Anything else that happens is a defect. `number` varies how the file is loaded.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"maps\[.*float32 cannot hold", UserWarning)
            model = _load(data, number)
    except im.InstModelError as error:
        return _checked_code(error)
    run(model, number)
    if number % 4 == 0:
        keeps_its_content(model)
    return "accepted"


def _checked_code(error: im.InstModelError) -> str:
    text = str(error)
    assert text.endswith(f"[{error.code}]"), text
    assert text.isprintable(), "the message could play tricks on a terminal"
    assert len(text) < 1500, "the message repeats the file"
    return error.code


def _load(data: bytes, number: int) -> im.InstructionModel:
    if number % 8:
        info = im.InstructionModelInfo.from_bytes(data, limits=LIMITS)
        return im.InstructionModel(info, limits=LIMITS)
    with tempfile.NamedTemporaryFile(dir=_memory_folder()) as file:
        file.write(data)
        file.flush()
        return im.load(file.name, mmap=number % 16 == 0, limits=LIMITS)


def _memory_folder() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def run(model: im.InstructionModel, number: int) -> None:
    """Run a model in every way, and compare the ways: they promise the same bits."""
    (run_sequences if model.is_recurrent else run_rows)(model, number)


def run_sequences(model: im.InstructionModel, number: int) -> None:
    rng = np.random.default_rng(number)
    lengths = rng.integers(0, 6, 21)
    x = HOSTILE[rng.integers(len(HOSTILE), size=(21, 5, model.feature_size))]
    ends = model.initial_state(21)
    whole = model.predict_sequences(x, lengths, state=ends, threads=1 + number % 2)
    state = model.initial_state(21)
    for t in range(5):
        going = np.flatnonzero(lengths > t)
        now = state[going]
        same_bits(model.step(x[going, t], now), whole[going, t])
        state[going] = now
    same_bits(state, ends)
    # One step more of one sequence, in its unified buffer.
    buffer = np.full(model.required_memory, np.nan, np.float32)
    buffer[: model.feature_size] = x[0, 0]
    places = reference.state_columns(model.info)
    buffer[places] = state[0]
    model.predict_with_buffer(buffer)
    same_bits(model.step(x[0, 0], state[0]), buffer[model.output_index_start :])
    same_bits(buffer[places], state[0])


def run_rows(model: im.InstructionModel, number: int) -> None:
    features = model.feature_size
    rng = np.random.default_rng(number)
    x = HOSTILE[rng.integers(len(HOSTILE), size=(50, features))]
    whole = model.predict(x)
    assert whole.shape == (50, model.output_size)
    for count in (0, 1, 17):
        same_bits(model.predict(x[:count]), whole[:count])
    if number % 4 == 2:
        # A type that is looked at for keys of maps.
        same_bits(model.predict(x.astype(np.float64)), whole)
    if number % 8 == 1:
        # A full tile: what leaves it leaves the memory that was asked for.
        full = np.resize(x, (model.tile_samples, features))
        same_bits(model.predict(full)[:50], whole[: len(full)])
    start = model.output_index_start
    config = im.PredictConfig(threads=2, buffer_slice=(0, model.required_memory))
    everything = np.asarray(model.predict_parallel(x, config))
    same_bits(everything[:, start:], whole)
    buffer = np.full(model.required_memory, np.nan, np.float32)
    buffer[:features] = x[17]
    model.predict_with_buffer(buffer)
    same_bits(buffer, everything[17])


def keeps_its_content(model: im.InstructionModel) -> None:
    """Write the model in both formats and read it back: to the bit the same, and one digest."""
    info = model.info
    data = info.to_bytes()
    again = im.InstructionModelInfo.from_bytes(data, limits=LIMITS)
    assert again.to_bytes() == data
    assert again.digest() == info.digest() == data[32:64].hex()
    cases = info.validation_data
    rows = [*cases.inputs, *cases.expected_outputs] if cases else []
    # JSON has no NaN; a binary file may also hold it among its validation cases.
    if not info.allow_non_finite and all(np.isfinite(row).all() for row in rows):
        twin = im.InstructionModelInfo.from_json(info.to_json(), limits=LIMITS)
        assert twin.digest() == info.digest()


def same_bits(a: np.ndarray, b: np.ndarray) -> None:
    assert np.array_equal(a.view(np.uint32), b.view(np.uint32)), "two ways, two results"


# ------------------------------------------------------------------------------------- the campaign


class _Shared:
    """What the worker tells its parent: the mutant it is at, and whether it is done."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)

    def put(self, number: int, done: int = 0) -> None:
        struct.pack_into("<qq", self._memory, 0, number, done)

    def get(self) -> tuple[int, int]:
        return struct.unpack_from("<qq", self._memory)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def save(data: bytes, kind: str, why: str) -> Path:
    """Keep a crasher, under a name that says what it is."""
    CORPUS.mkdir(exist_ok=True)
    suffix = "json" if kind == "json" else "instmodel"
    path = CORPUS / f"{why}-{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"
    path.write_bytes(data)
    return path


def _limit_memory(extra: int) -> None:
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + extra, size + extra))


def _work(kind: str, seed: int, numbers: range, shared: _Shared, tally: Path, memory: int) -> int:
    """Try mutants; the worker's body. Returns the number of crashers."""
    if memory:
        _limit_memory(memory)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "instruction .* overwrites input values")
    unraisable: list[str] = []  # what a function that cannot raise would only print
    sys.unraisablehook = lambda hook: unraisable.append(repr(hook.exc_value))
    counts: collections.Counter[str] = collections.Counter()
    crashers = 0
    for number in numbers:
        shared.put(number)
        data = mutate.mutant(kind, seed, number)
        # One in eight shares even the smallest job out to threads.
        parallel._WORK_WORTH_A_THREAD = 1 if number % 8 == 0 else 5_000_000
        try:
            counts[exercise(data, number)] += 1
            assert not unraisable, unraisable.pop()
        except BaseException as error:
            crashers += 1
            counts["CRASHER"] += 1
            path = save(data, kind, type(error).__name__)
            say(f"crasher {number}: {type(error).__name__}, saved as {path}")
            traceback.print_exc()
            if isinstance(error, KeyboardInterrupt):
                break
    tally.write_text(json.dumps(counts))
    shared.put(numbers.stop, 1)
    return crashers


def campaign(kind: str, count: int, seed: int, memory: int = MEMORY, hang: float = HANG):
    """Try `count` mutants; return how many gave which result, and the number of crashers."""
    total: collections.Counter[str] = collections.Counter()
    crashers, first = 0, 0
    mutate.binaries()  # before the fork, and before memory is limited
    while first < count:
        shared = _Shared()
        shared.put(first)
        handle, name = tempfile.mkstemp()
        os.close(handle)
        child = os.fork()
        if not child:
            status = 3
            try:
                numbers = range(first, count)
                status = min(_work(kind, seed, numbers, shared, Path(name), memory), 1)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        why = _watch(child, shared, hang)
        at, done = shared.get()
        with contextlib.suppress(ValueError):
            total.update(json.loads(Path(name).read_text()))
        os.unlink(name)
        if done:
            break
        # The worker did not live to tell; what it counted before is lost.
        crashers += 1
        path = save(mutate.mutant(kind, seed, at), kind, why)
        say(f"crasher {at}: {why}, saved as {path}")
        total["not counted"] += at - first
        first = at + 1
    return total, crashers + total["CRASHER"]


def _watch(child: int, shared: _Shared, hang: float) -> str:
    """Wait for the worker; end it when one mutant takes too long."""
    last, since = shared.get(), time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return f"signal{-code}" if code < 0 else f"exit{code}"
        now = shared.get()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > hang:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return "hang"
        time.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="mutants of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=mutate.KINDS, action="append")
    parser.add_argument("--memory", type=int, default=MEMORY, help="bytes; 0: no limit")
    parser.add_argument("--hang", type=float, default=HANG, help="seconds for one mutant")
    parser.add_argument("--corpus", type=Path, help="where crashers go")
    arguments = parser.parse_args()
    if arguments.corpus:
        globals()["CORPUS"] = arguments.corpus
    say(f"instmodel from {Path(im.__file__).parent}, {im.runtime_info()['isa']}")
    failed = 0
    for kind in arguments.kind or mutate.KINDS:
        begin = time.monotonic()
        counts, crashers = campaign(
            kind, arguments.count, arguments.seed, arguments.memory, arguments.hang
        )
        failed += crashers
        took = time.monotonic() - begin
        say(f"{kind}: {arguments.count} mutants, seed {arguments.seed}, {took:.1f} s")
        say(f"  accepted {counts['accepted']}, crashers {crashers}")
        refused = {code: n for code, n in counts.most_common() if code != "accepted"}
        say(f"  {json.dumps(refused)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
