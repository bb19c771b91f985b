"""Sessions of Spark that need no network, and write into a folder alone."""

from __future__ import annotations

import os
import sys


def builder(master, folder):
    """Return what makes a session; its workers are this interpreter and see what it sees."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    return (
        SparkSession.builder.master(master)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.local.dir", str(folder))
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.executorEnv.PYTHONPATH", os.pathsep.join(sys.path))
    )
