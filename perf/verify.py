"""What it costs to verify and to compare models on many rows: ``python -m perf.verify``.

Needs the extras ``onnx``, ``report`` and ``arrow``, Linux, and 4 GB of disk under ``--folder``. The
rows are those of the breast cancer data, drawn at random; each run is a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

import instmodel as im
from perf.jobs import timed

EXAMPLES = Path(im.__file__).parent / "examples"
REGIONS = ("north", "east", "south", "west", None)
CHUNK = 500_000


def make(folder: str, rows: int) -> None:
    """Write ``rows.npy`` (inputs), and ``labelled.npy`` and ``labelled.parquet`` (with the truth).

    The Parquet file also has a column of text, some of it null.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with (EXAMPLES / "breast_cancer.csv").open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        table = np.loadtxt(file, np.float32, delimiter=",")
    inputs = len(names) - 1
    rng = np.random.default_rng(0)
    plain = open_memmap(f"{folder}/rows.npy", "w+", np.float32, (rows, inputs))
    labelled = open_memmap(f"{folder}/labelled.npy", "w+", np.float32, (rows, inputs + 1))
    schema = pa.schema([*((name, pa.float32()) for name in names), ("region", pa.string())])
    with pq.ParquetWriter(f"{folder}/labelled.parquet", schema) as writer:
        for start in range(0, rows, CHUNK):
            count = min(CHUNK, rows - start)
            drawn = table[rng.integers(0, len(table), count)]
            plain[start : start + count] = drawn[:, :inputs]
            labelled[start : start + count] = drawn
            regions = pa.array(REGIONS).take(pa.array(rng.integers(0, len(REGIONS), count)))
            writer.write_table(pa.table([*map(pa.array, drawn.T), regions], schema=schema))


def main() -> None:
    """Make the data, run the commands, and print their seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        old, new = (str(EXAMPLES / f"breast_cancer_{n}.json") for n in ("logistic", "network"))
        onnx = f"{folder}/network.onnx"
        im.InstructionModelInfo.load(new).to_onnx(onnx)
        print(f"{'':40} {'rows':>10} {'seconds':>8} {'MB':>6}")
        for rows in (max(1, args.rows // 10), args.rows):
            # In another process: a child's peak of memory counts what its parent had.
            code = f"from perf import verify; verify.make({folder!r}, {rows})"
            subprocess.run([sys.executable, "-c", code], check=True)
            data = f"{folder}/labelled"
            verify = ("verify", new, "--data", f"{folder}/rows.npy")
            compare = ("compare", old, new, "--labels", "target", "--data")
            for title, command in {
                "verify against the reference, NPY": verify,
                "verify against ONNX Runtime, NPY": (*verify, "--against", onnx),
                "verify so, without coverage": (*verify, "--against", onnx, "--no-coverage"),
                "compare with labels, NPY": (*compare, f"{data}.npy"),
                "compare with labels, by text, Parquet": (
                    *(*compare, f"{data}.parquet", "--by", "region"),
                ),
            }.items():
                seconds, peak = timed(sys.executable, "-m", "instmodel", *command)
                print(f"{title:40} {rows:10} {seconds:8.1f} {peak / 1e6:6.0f}", flush=True)


if __name__ == "__main__":
    main()
