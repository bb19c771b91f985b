"""Dask: in this process, and on two workers of which one is killed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from support.processes import KillOne
from support.table_models import identity, labelled, network

import instmodel as im

pd = pytest.importorskip("pandas")
dd = pytest.importorskip("dask.dataframe")

from instmodel.engines import dask as engine  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own, of its dependencies


def frame(rows=20_000):
    rng = np.random.default_rng(3)
    values = {f"f{i}": rng.normal(size=rows).astype(np.float32) for i in range(29, -1, -1)}
    return pd.DataFrame({"note": "x", "id": np.arange(rows)} | values)


def test_partitions_give_what_predict_table_gives():
    rows, model = frame(), network()
    scored = engine.score(dd.from_pandas(rows, npartitions=7), model, keep=["id"])
    assert list(scored.columns) == ["id", "score"]
    found = scored.compute(scheduler="threads")
    assert found.dtypes.to_dict() == {"id": np.dtype("int64"), "score": np.dtype("float32")}
    assert found["id"].tolist() == rows["id"].tolist()
    assert found.index.equals(rows.index)
    assert np.array_equal(found["score"].to_numpy(), model.predict_table(rows)[:, 0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"on_bad_row": "skip"}, [(0, 1.0), (2, 3.0)]),
        ({"on_bad_row": "null"}, [(0, 1.0), (1, None), (2, 3.0)]),
        ({"nulls": 9}, [(0, 1.0), (1, 9.0), (2, 3.0)]),
    ],
)
def test_bad_rows(options, expected):
    rows = pd.DataFrame({"id": [0, 1, 2], "a": [1.0, np.nan, 3.0]})
    scored = engine.score(dd.from_pandas(rows, npartitions=2), identity(["a"]), ["id"], **options)
    found = scored.compute(scheduler="sync")
    got = [
        (i, None if np.isnan(s) else s) for i, s in zip(found["id"], found["score"], strict=True)
    ]
    assert got == expected


def test_errors_come_early_or_name_the_row():
    rows = dd.from_pandas(pd.DataFrame({"a": [1.0, np.nan]}), npartitions=1)
    with pytest.raises(im.InstModelError, match="did you mean 'a'"):
        engine.score(rows, identity(["aa"]))
    with pytest.raises(im.InstModelError, match="not a Dask data frame"):
        engine.score(pd.DataFrame({"a": [1.0]}), identity(["a"]))
    with pytest.raises(im.InstModelError, match="column 'a', row 1: the value is null"):
        engine.score(rows, identity(["a"])).compute(scheduler="sync")


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_killed_worker_loses_no_row():
    distributed = pytest.importorskip("distributed")
    rows, model = frame(), network()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        scored = engine.score(dd.from_pandas(rows, npartitions=40), model, keep=["id"])
        future = client.compute(scored.map_partitions(slowly, meta=scored._meta))

        def some_are_done():
            states = client.run_on_scheduler(done_tasks)
            return states > 4

        with KillOne("spawn_main", some_are_done) as killer:
            found = future.result(timeout=120)
        assert killer.killed
    assert found["id"].tolist() == rows["id"].tolist()
    assert np.array_equal(found["score"].to_numpy(), model.predict_table(rows)[:, 0])


def slowly(part):
    import time

    time.sleep(0.1)
    return part


def done_tasks(dask_scheduler):
    return sum(task.state == "memory" for task in dask_scheduler.tasks.values())


@pytest.mark.parametrize("kind", ["category", "str"])
def test_text_of_categories(kind):
    rows = pd.DataFrame({"colour": pd.Series(["green", "red", "red"]).astype(kind), "age": 1})
    scored = engine.score(dd.from_pandas(rows, npartitions=2), labelled())
    assert scored.compute(scheduler="sync")["output_0"].tolist() == [1, 0, 0]
