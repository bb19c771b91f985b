"""Ray Data with a pool of two actors, of which one is killed."""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import pytest
from support.processes import KillOne
from support.table_models import identity, labelled, network

import instmodel as im

pa = pytest.importorskip("pyarrow")
ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from instmodel.engines import ray as engine  # noqa: E402

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of its dependencies
]


@pytest.fixture(scope="module")
def cluster():
    ray.init(
        num_cpus=4,  # not processors: how many tasks and actors may be there
        include_dashboard=False,
        object_store_memory=200_000_000,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def table(rows=60_000):
    rng = np.random.default_rng(4)
    values = {f"f{i}": rng.normal(size=rows).astype(np.float32) for i in range(29, -1, -1)}
    return pa.table({"id": np.arange(rows), "note": ["x"] * rows} | values)


def check(dataset, rows, model):
    found = pa.Table.from_pandas(dataset.to_pandas()).sort_by("id")
    assert found["id"].to_pylist() == rows["id"].to_pylist()
    assert found["score"].type == pa.float32()
    assert np.array_equal(found["score"].to_numpy(), model.predict_table(rows)[:, 0])


def test_actors_give_what_predict_table_gives(cluster):
    rows, model = table(), network()
    dataset = ray.data.from_arrow(rows).repartition(6)
    check(engine.score(dataset, model, keep=["id"], actors=2, batch_rows=5_000), rows, model)


def test_a_killed_actor_loses_no_row(cluster, tmp_path):
    rows, model = table(), network()
    begun = tmp_path / "begun"

    def slowly(batch):
        begun.touch()
        time.sleep(0.2)
        return batch

    dataset = ray.data.from_arrow(rows).repartition(30)
    scored = engine.score(dataset, model, keep=["id"], actors=2, batch_rows=2_000)
    with KillOne("MapWorker", begun.exists) as killer:
        check(scored.map_batches(slowly, batch_format="pyarrow"), rows, model)
    assert killer.killed


def test_bad_rows(cluster):
    rows = pa.table({"id": [0, 1, 2], "a": [1.0, None, 3.0]})
    dataset = ray.data.from_arrow(rows)
    skipped = engine.score(dataset, identity(["a"]), ["id"], on_bad_row="skip").take_all()
    assert skipped == [{"id": 0, "score": 1.0}, {"id": 2, "score": 3.0}]
    with pytest.raises(Exception, match="row 1: the value is null"):
        engine.score(dataset, identity(["a"])).take_all()


def test_a_pool_by_default(cluster):
    rows = pa.table({"a": [1.0]})
    scored = engine.score(ray.data.from_arrow(rows), identity(["a"]), outputs=["p"])
    assert scored.take_all() == [{"p": 1.0}]
    assert isinstance(identity(["a"]), im.InstructionModel)


def test_text_of_categories(cluster):
    rows = [{"colour": "green", "age": 1}, {"colour": "red", "age": 2}]
    scored = engine.score(ray.data.from_items(rows), labelled(), keep=["age"], actors=1)
    assert sorted((row["age"], row["output_0"]) for row in scored.take_all()) == [(1, 1), (2, 0)]
