"""Eight threads load, predict with and free one shared model: for ThreadSanitizer (run.sh)."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent)]

import numpy as np  # noqa: E402
from support.documents import everything, network  # noqa: E402

import instmodel as im  # noqa: E402
from instmodel.compiled import parallel  # noqa: E402

THREADS = 8
ROUNDS = 30


def work(path: str, shared: list, x: np.ndarray, start: threading.Barrier, failed: list) -> None:
    try:
        for turn in range(ROUNDS):
            start.wait()
            # Whoever comes first puts a new model there; everyone uses it, the last one frees it.
            if turn % 3 == 0:
                shared[0] = im.load(path, mmap=turn % 2 == 0)
            model = shared[0]
            expected = model.predict(x)
            config = im.PredictConfig(threads=1 + turn % 4)
            for part in (1, 5, 40, len(x)):
                assert np.array_equal(model.predict(x[:part]), expected[:part])
                assert np.array_equal(model.predict_parallel(x[:part], config), expected[:part])
            buffer = np.zeros(model.required_memory, np.float32)
            buffer[: model.feature_size] = x[0]
            model.predict_with_buffer(buffer)
            # No thread holds on to the model when the next one is loaded.
            start.wait()
            shared[0] = im.load(path)
            del model
    except BaseException as error:
        failed.append(error)
        start.abort()
        raise


def main() -> int:
    parallel._WORK_WORTH_A_THREAD = 1  # share out the smallest job
    for document in (everything(), network([40, 60, 3], ["TANH", "SOFTMAX"])):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "m.instmodel"))
            info = im.InstructionModelInfo.from_dict(document)
            info.save(path)
            shared, failed = [im.load(path)], []
            rng = np.random.default_rng(0)
            x = rng.normal(size=(300, shared[0].feature_size)).astype(np.float32)
            start = threading.Barrier(THREADS)
            threads = [
                threading.Thread(target=work, args=(path, shared, x, start, failed))
                for _ in range(THREADS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if failed:
                return 1
    sys.stdout.write(f"instmodel from {Path(im.__file__).parent}: {THREADS} threads agree\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
