"""A Spark job: read Parquet, score on the cluster, write Parquet by decision.

    pip install '.[spark]' && python examples/spark_job.py FOLDER

Needs Java 17. It starts two local executors as processes of their own; on a cluster, `spark-submit`
says where to run, and the package must be installed on the workers.
"""

import argparse
import os
import sys
from importlib import resources

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

import instmodel as im
from instmodel.engines import spark as engine


def main(folder: str) -> None:
    """Score the shipped breast cancer data a hundred times over."""
    examples = resources.files("instmodel") / "examples"
    model = im.load(str(examples / "breast_cancer_network.json"))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    try:
        data = session.read.csv(str(examples / "breast_cancer.csv"), header=True, inferSchema=True)
        copies = session.range(100).withColumnRenamed("id", "copy").repartition(8)
        rows = copies.crossJoin(f.broadcast(data))
        scored = engine.score(rows, model, keep=["copy", "target"], outputs=["p"])
        scored = scored.withColumn(
            "decision", f.when(f.col("p") > 0.5, "benign").otherwise("check")
        )
        scored.write.partitionBy("decision").parquet(folder)
        right = (f.col("p") > 0.5) == (f.col("target") > 0.5)
        written = session.read.parquet(folder)
        count, share = written.agg(f.count("*"), f.avg(right.cast("double"))).first()
        print(f"{folder}: {count} rows, {share:.4f} right")
    finally:
        session.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A Spark job on two executors.")
    parser.add_argument("folder", metavar="FOLDER", help="where to write; must not be there yet")
    target = parser.parse_args().folder
    if os.path.exists(target):  # Spark would refuse it, too, but only after it has started
        parser.error(f"{target} is there already")
    main(target)
