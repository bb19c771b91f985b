"""What scoring costs inside Spark: ``python -m perf.spark``.

Needs the extra ``spark``, Java and Linux. Two executors as processes of their own read Parquet and
either score it or return a constant, both through ``mapInArrow``; they take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from instmodel.engines import spark as engine
from perf.jobs import make
from perf.rounds import alternate, median_ratio
from perf.tables import network


def constant(batches: Iterator[Any]) -> Iterator[Any]:
    """Return one float for each row."""
    import pyarrow as pa

    for batch in batches:
        yield pa.record_batch({"score": pa.repeat(pa.scalar(0.5, pa.float32()), batch.num_rows)})


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    model = network()
    with tempfile.TemporaryDirectory() as folder:
        for part in range(8):
            make(f"{folder}/{part}.parquet", args.rows // 8)
        session = (
            SparkSession.builder.master("local-cluster[2,1,1024]")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.executorEnv.PYTHONPATH", os.pathsep.join(sys.path))
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("OFF")
        data = session.read.parquet(folder)
        jobs = {
            "a constant": data.mapInArrow(constant, "score float"),
            "scores": engine.score(data, model),
        }

        def run(name: str) -> float:
            start = time.perf_counter()
            jobs[name].write.format("noop").mode("overwrite").save()
            return time.perf_counter() - start

        for name in jobs:
            run(name)
        found = alternate({name: (lambda name=name: run(name)) for name in jobs}, args.rounds)
        session.stop()
    print(f"\n{args.rows} rows × 30 float32 columns on two executors, one core each")
    for name, seconds in found.items():
        print(f"  {name:12} {sorted(seconds)[len(seconds) // 2]:6.2f} s")
    print(f"  rate: {median_ratio(found['a constant'], found['scores']):.2f} of that of a constant")


if __name__ == "__main__":
    main()
