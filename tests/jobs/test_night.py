"""Nights in an orchestrator: whatever happens, every row is scored once, by the right model."""

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

import pyarrow as pa
from pyarrow import dataset
from support import prometheus
from support.night import Orchestrator, live
from support.night_world import Day, Store, plan

COLUMNS = ["id", "score", "model_digest", "model_version", "day"]


def check(night):
    """Compare the output with what was scored when, as other programs read it."""
    expected = night.expected()
    assert len(set(expected["id"].to_pylist())) == len(expected)
    for read in (by_pyarrow, by_pandas, by_polars):
        found = read(night.store).select(COLUMNS).cast(expected.schema).sort_by("id")
        for name in COLUMNS:
            assert found[name].to_pylist() == expected[name].to_pylist(), (read.__name__, name)
    check_manifest(night)
    check_metrics(night)


def by_pyarrow(store):
    files = dataset.dataset(
        f"{store.root}/out", filesystem=store.files, partitioning="hive", format="parquet"
    )
    return files.to_table()


def by_pandas(store):
    pandas = pytest.importorskip("pandas")
    return pa.Table.from_pandas(pandas.read_parquet(f"{store.url}/out"), preserve_index=False)


def by_polars(store):
    polars = pytest.importorskip("polars")
    options = {"aws_allow_http": "true"} if "://" in store.url else None
    frame = polars.read_parquet(
        f"{store.url}/out/",
        hive_partitioning=True,
        try_parse_hive_dates=False,
        storage_options=options,
    )
    return frame.to_arrow()


def check_manifest(night):
    manifest = night.manifest()
    parts = {part["source"]["name"]: part for part in manifest["parts"]}
    assert sorted(f"data/{name}" for name in parts) == sorted(night.files)
    for name, file in night.files.items():
        part = parts[name.removeprefix("data/")]
        assert (part["rows"], part["bad_rows"]) == (len(file.rows), file.bad_rows)
        assert part["model"] == night.models[file.version].digest
        assert part["model_version"] == f"{file.version + 1}.0"
    assert manifest["rows"] == sum(len(file.rows) for file in night.files.values())
    assert manifest["bad_rows"] == sum(file.bad_rows for file in night.files.values())
    # Nothing else is left.
    names = {*night.files, *(f"out/{part['part']}" for part in parts.values())}
    assert set(night.store.contents()) == names | {".out.instmodel.json"}
    times = {part["part"]: part["scored_at"] for part in parts.values()}
    for name, at in times.items():
        told = pa.parquet.read_table(pa.BufferReader(night.store.read(f"out/{name}")))["scored_at"]
        assert {time.isoformat(timespec="microseconds") for time in told.to_pylist()} == {at}


def check_metrics(night):
    found, counts = night.samples(), night.counts
    assert found['instmodel_runs_total{result="ok"}'] == counts.ok
    assert found['instmodel_runs_total{result="error"}'] == counts.error
    assert found["instmodel_rows_total"] == counts.rows
    assert found["instmodel_bad_rows_total"] == counts.bad_rows
    assert found["instmodel_last_success_timestamp_seconds"] >= counts.last_success
    assert found['instmodel_input_values{feature="f0"}'] == len(counts.last)
    assert found['instmodel_input_out_of_range{feature="f0"}'] == counts.out_of_range
    assert found['instmodel_input_psi{feature="f0"}'] == pytest.approx(counts.psi, abs=1e-8)


def check_scraped(night, monitor):
    """Compare what Prometheus has with what happened."""
    counts = night.counts
    for query, value in {
        'instmodel_runs_total{result="ok"}': counts.ok,
        'instmodel_runs_total{result="error"}': counts.error,
        "instmodel_rows_total": counts.rows,
        "instmodel_bad_rows_total": counts.bad_rows,
        'instmodel_input_values{feature="f0"}': len(counts.last),
        'instmodel_input_out_of_range{feature="f0"}': counts.out_of_range,
        f'abs(instmodel_input_psi{{feature="f0"}} - {counts.psi}) < bool 1e-8': 1,
        f'instmodel_model_info{{digest="{night.models[1].digest}",version="2.0"}}': 1,
        "instmodel_last_run_success": 1,
        # It failed when a file was bad, and the last success stayed where it was.
        "min_over_time(instmodel_last_run_success[1d])": 0,
        "time() - instmodel_last_success_timestamp_seconds < bool 600": 1,
        f"instmodel_last_success_timestamp_seconds >= bool {counts.last_success}": 1,
    }.items():
        monitor.wait(query, value)


def scraped(monitor):
    """Return what waits until Prometheus has the metrics of the last run."""
    name = "instmodel_last_run_timestamp_seconds"
    return lambda night: monitor.wait(f'{name}{{job_name="night"}}', night.samples()[name])


def test_nights_on_this_machine(tmp_path):
    night = Orchestrator(Store(f"{tmp_path}/store"), tmp_path, "csv.gz", seed=1)
    live(night, plan(6, seed=1))
    check(night)


def test_nights_in_a_store(tmp_path, bucket):
    season = [
        Day(0, 0),
        Day(1, 0, bad=True),
        Day(2, 1, kills=[0.9], changed=0, together=True),
        Day(3, 1, removed=0),
    ]
    night = Orchestrator(Store(bucket), tmp_path, "parquet", seed=1)
    live(night, season)
    check(night)


@pytest.mark.skipif(not prometheus.INSTALLED, reason="needs a node exporter and Prometheus")
def test_prometheus_shows_what_happened(tmp_path):
    night = Orchestrator(Store(f"{tmp_path}/store"), tmp_path, "parquet", seed=1)
    with prometheus.monitoring(night.metrics.parent, tmp_path) as monitor:
        live(night, [Day(0, 0), Day(1, 0, bad=True), Day(2, 1)], after=scraped(monitor))
        check_scraped(night, monitor)


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["csv.gz", "parquet"])
def test_sixty_nights_on_this_machine(tmp_path, kind, seed):
    night = Orchestrator(Store(f"{tmp_path}/store"), tmp_path, kind, seed)
    live(night, plan(60, seed))
    check(night)
    assert night.killed_at_work


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not prometheus.INSTALLED, reason="needs a node exporter and Prometheus")
def test_sixty_nights_in_a_store(tmp_path, bucket):
    night = Orchestrator(Store(bucket), tmp_path, "parquet", seed=1)
    with prometheus.monitoring(night.metrics.parent, tmp_path) as monitor:
        live(night, plan(60, seed=1), after=scraped(monitor))
        check(night)
        check_scraped(night, monitor)
    assert night.killed_at_work
