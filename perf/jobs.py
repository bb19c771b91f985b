"""What a job costs beyond reading and writing: ``python -m perf.jobs``.

Needs the extra ``arrow``, Linux, and 3 GB of disk under ``--folder``. Each run is a process of its
own; the jobs and what they are compared with take turns, and a ratio is the median of the rounds'.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from perf.rounds import alternate, median_ratio
from perf.tables import FEATURES, network

# Of JSON lines fewer rows do: they are far slower than Parquet.
JSON_ROWS = 200_000

# Reads what the job reads and writes as many columns as it does, in batches of the same size.
_COPY = """
import sys
import pyarrow.parquet as pq
source, target, columns = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
file = pq.ParquetFile(source, pre_buffer={buffer})
with pq.ParquetWriter(target, file.schema_arrow.empty_table().select(columns).schema) as writer:
    for batch in file.iter_batches(1 << 20):
        writer.write_batch(batch.select(columns))
"""


def make(path: str, rows: int) -> None:
    """Write random float32 columns, 1,000,000 rows a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    names = [f"f{i}" for i in range(FEATURES)]
    with pq.ParquetWriter(path, pa.schema([(name, pa.float32()) for name in names])) as writer:
        for start in range(0, rows, 1_000_000):
            count = min(1_000_000, rows - start)
            values = {name: rng.standard_normal(count, np.float32) for name in names}
            writer.write_table(pa.table(values))


def timed(*command: str) -> tuple[float, int]:
    """Run a command; return its seconds, and its peak of resident memory in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {command}")
    return time.perf_counter() - start, 1024 * usage.ru_maxrss


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        model, out = str(folder / "model.instmodel"), str(folder / "out.parquet")
        network().info.save(model)
        told = str(folder / "told.instmodel")
        whole, half = str(folder / "whole.parquet"), str(folder / "half.parquet")
        few, lines = str(folder / "few.parquet"), str(folder / "few.jsonl")
        for path, rows in ((whole, args.rows), (half, args.rows // 2), (few, JSON_ROWS)):
            # In another process: a child's peak of memory counts what its parent had.
            code = f"from perf import jobs; jobs.make({path!r}, {rows})"
            subprocess.run([sys.executable, "-c", code], check=True)
        timed(sys.executable, "-m", "instmodel", "signature", model, few, "-o", told)
        every = ",".join(f"f{i}" for i in range(FEATURES))

        def job(source: str, *options: str, model: str = model) -> tuple[float, int]:
            command = (sys.executable, "-m", "instmodel", "score", model, source, "-o", out)
            return timed(*command, *options)

        # A job is also what makes JSON lines of Parquet.
        timed(sys.executable, "-m", "instmodel", "score", model, few, "-o", lines, "--keep", every)

        def copy(columns: str, buffer: bool) -> tuple[float, int]:
            return timed(sys.executable, "-c", _COPY.format(buffer=buffer), whole, out, columns)

        turns = {
            "30 columns read, 1 written": lambda: min(copy("f0", True), copy("f0", False)),
            "job": lambda: job(whole),
            "job, inputs counted": lambda: job(whole, model=told),
            "30 columns read and written": lambda: min(copy(every, True), copy(every, False)),
            "job, all columns kept": lambda: job(whole, "--keep", every),
            "job, half the rows": lambda: job(half),
            f"job, {JSON_ROWS} rows of JSON": lambda: job(lines),
        }
        found = alternate(turns, args.rounds)
    print(f"{args.rows} rows × {FEATURES} float32 columns, to Parquet")
    for label, results in found.items():
        seconds = sorted(result[0] for result in results)[len(results) // 2]
        peak = max(result[1] for result in results)
        print(f"  {label:30} {seconds:7.2f} s  {peak / 1e6:7.0f} MB")
    seconds = {label: [result[0] for result in results] for label, results in found.items()}
    for ours, base in (
        ("job", "30 columns read, 1 written"),
        ("job, inputs counted", "30 columns read, 1 written"),
        ("job, all columns kept", "30 columns read and written"),
    ):
        ratio = median_ratio(seconds[ours], seconds[base])
        print(f"  {ours}: {ratio:.2f} of the same without a model")


if __name__ == "__main__":
    main()
