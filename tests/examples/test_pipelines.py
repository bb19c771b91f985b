"""The pipelines in examples/, each run as its users would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.paths import EXAMPLES, SHIPPED

import instmodel as im

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="only the package is here")


def run(name, *arguments, folder):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def breast_cancer():
    rows = np.loadtxt(SHIPPED / "breast_cancer.csv", delimiter=",", skiprows=1)
    return rows[:, :-1], rows[:, -1]


def test_an_etl_step_with_polars(tmp_path):
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    said = run("etl_polars.py", "scores.parquet", folder=tmp_path)
    found = pl.read_parquet(tmp_path / "scores.parquet")
    x, _ = breast_cancer()
    model = im.load(SHIPPED / "breast_cancer_network.json")
    column = model.columns.index("mean area")
    patients = np.arange(len(x))
    gaps = patients % 7 == 3
    x[gaps, column] = np.median(x[~gaps, column])
    assert found["patient"].to_list() == patients.tolist()
    assert np.array_equal(found["benign"].to_numpy(), model.predict(x)[:, 0])
    assert f"569 rows, {int((found['benign'] > 0.5).sum())} benign" in said


def test_a_batch_job_of_a_feature_store(tmp_path):
    ds = pytest.importorskip("pyarrow.dataset")
    pytest.importorskip("duckdb")
    said = run("feature_store_batch.py", tmp_path, folder=tmp_path)
    scores = ds.dataset(tmp_path / "scores", partitioning="hive").to_table()
    assert len(list((tmp_path / "scores").iterdir())) == len(set(scores["day"].to_pylist())) == 5

    # The same join in plain Python: the last row of the user's that is not after the event.
    sys.path.insert(0, str(EXAMPLES))
    try:
        from feature_store_batch import make_model
    finally:
        sys.path.remove(str(EXAMPLES))
    model = make_model()
    tables = {
        name: ds.dataset(tmp_path / "store" / f"{name}.parquet").to_table().to_pylist()
        for name in ("events", "profile", "activity")
    }
    known = {name: {user: [] for user in range(500)} for name in ("profile", "activity")}
    for name, users in known.items():
        for row in sorted(tables[name], key=lambda row: row["at"]):
            users[row["user_id"]].append(row)
    expected = {}
    for event in tables["events"][:2000]:
        rows = {}
        for users in known.values():
            for row in users[event["user_id"]]:
                if row["at"] <= event["at"]:
                    rows.update(row)
        complete = {"age", "income", "emb"} <= rows.keys()
        expected[event["event_id"]] = float(model.predict_one(rows)[0]) if complete else None
    found = dict(zip(scores["event_id"].to_pylist(), scores["score"].to_pylist(), strict=True))
    assert {event: found[event] for event in expected} == expected
    assert None in expected.values()
    assert len(found) == 20_000
    assert f"20000 events, {scores['score'].null_count} without a score" in said


def test_a_spark_job(tmp_path):
    pytest.importorskip("pyspark")
    ds = pytest.importorskip("pyarrow.dataset")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    said = run("spark_job.py", tmp_path / "scores", folder=tmp_path)
    found = ds.dataset(tmp_path / "scores", partitioning="hive").to_table()
    x, benign = breast_cancer()
    expected = im.load(SHIPPED / "breast_cancer_network.json").predict(x)[:, 0]
    assert sorted(found["p"].to_pylist()) == sorted(np.tile(expected, 100).tolist())
    assert set(found["decision"].to_pylist()) == {"benign", "check"}
    share = np.mean((expected > 0.5) == (benign > 0.5))
    assert f"56900 rows, {share:.4f} right" in said
