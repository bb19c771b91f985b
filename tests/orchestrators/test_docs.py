"""The snippets of docs/orchestrators.md, run by the packages that they are for.

Those that are not installed are skipped: Airflow and Prefect in .ci/run, where they would take
minutes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT
from support.table_models import network

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

PAGE = (ROOT / "docs" / "orchestrators.md").read_text("utf-8")
MODEL = network(3)


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def snippet(title):
    """The program below a heading, with a folder of the test for /data."""
    _, _, after = PAGE.partition(f"\n## {title}\n")
    text = re.search(r"^```python\n(.*?)^```$", after, re.DOTALL | re.MULTILINE)[1]
    return text.replace("/data/", f"{Path.cwd()}/data/")


@pytest.fixture(autouse=True)
def customers(tmp_path, monkeypatch):
    """Two days of customers, and the scores that they should get."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    MODEL.info.save("data/model.json")
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for day in (0, 1):
        folder = Path(f"data/customers/day=2026-11-2{day}")
        folder.mkdir(parents=True)
        columns = dict(zip(MODEL.features, rows[10 * day : 10 * day + 10].T, strict=True))
        table = pa.table({"id": np.arange(10 * day, 10 * day + 10), **columns})
        parquet.write_table(table, folder / "part-0.parquet")
    return dict(enumerate(MODEL.predict(rows)[:, 0].tolist()))


def scored(table):
    return dict(zip(table["id"].to_pylist(), table["score"].to_pylist(), strict=True))


def run(program, **environment):
    """Run a program as its own process; what the packages ask of the network is off."""
    scripts = Path("scripts")
    scripts.mkdir(exist_ok=True)
    command = scripts / "instmodel"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m instmodel "$@"\n')
    command.chmod(0o755)
    here = str(scripts.absolute())
    paths = os.pathsep.join([here, os.path.dirname(sys.executable), os.environ["PATH"]])
    quiet = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    found = subprocess.run(
        program,
        env=os.environ
        | {"PATH": paths, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(Path.cwd())}
        | quiet
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def python(code, **environment):
    return run([sys.executable, "-c", code], **environment)


# A model whose store does not answer the first time.
FLAKY = """
import json, pathlib, scoring
load, asked = scoring.im.load, []
def flaky(path):
    asked.append(path)
    if len(asked) == 1:
        raise OSError("no answer")
    return load(path)
scoring.im.load = flaky
"""


@needs("dagster")
def test_dagster_shows_what_was_scored_and_retries_what_may_pass(customers):
    Path("scoring.py").write_text(snippet("Dagster").replace("delay=300", "delay=0"))
    ask = f"""{FLAKY}
import dagster
result = dagster.materialize([scoring.scores], raise_on_error=False)
events = [event.materialization.metadata for event in result.get_asset_materialization_events()]
shown = [{{key: item.value for key, item in metadata.items()}} for metadata in events]
print(json.dumps([result.success, shown, len(asked)]))
"""
    success, (shown,), asked = json.loads(python(ask).splitlines()[-1])
    assert (success, asked) == (True, 2)
    assert shown["dagster/row_count"] == shown["scored_rows"] == 20
    assert shown["model_digest"] == MODEL.digest
    assert scored(parquet.read_table("data/scores")) == customers
    assert json.loads(python(ask).splitlines()[-1])[1][0]["scored_rows"] == 0

    Path("data/customers/day=2026-11-20/part-0.parquet").write_bytes(b"no Parquet file")
    assert json.loads(python(ask).splitlines()[-1]) == [False, [], 2]
    assert scored(parquet.read_table("data/scores")) == customers


@needs("prefect")
def test_prefect_hands_on_the_result_and_retries_what_may_pass(customers):
    Path("scoring.py").write_text(snippet("Prefect").replace("seconds=300", "seconds=0"))
    ask = f"""{FLAKY}
from prefect.testing.utilities import prefect_test_harness
with prefect_test_harness(server_startup_timeout=200):
    outcome = scoring.scoring()
    pathlib.Path("data/customers/day=2026-11-20/part-0.parquet").write_bytes(b"no Parquet file")
    try:
        scoring.scoring()
    except scoring.im.InstModelError as error:
        print(json.dumps([outcome, error.code, len(asked)]))
"""
    lines = python(ask, PREFECT_HOME=str(Path("prefect").absolute())).splitlines()
    shown = next(line for line in reversed(lines) if line.startswith("[{"))
    outcome, code, asked = json.loads(shown)
    assert (outcome["rows"], code, asked) == (20, "invalid_table", 3)
    assert scored(parquet.read_table("data/scores")) == customers


@needs("dbt")
def test_dbt_makes_a_table_of_scores(customers):
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("dbt.adapters.duckdb")
    Path("models").mkdir()
    Path("models/scores.py").write_text(snippet("dbt"))
    Path("models/customers.sql").write_text(
        f"select * from read_parquet('{Path.cwd()}/data/customers/*/*.parquet')"
    )
    Path("dbt_project.yml").write_text("{name: shop, profile: shop, version: '1.0'}")
    Path("profiles.yml").write_text(
        "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb}}}"
    )
    code = "import sys; from dbt.cli.main import cli; sys.exit(cli(['run', '--profiles-dir', '.']))"
    python(code, DBT_SEND_ANONYMOUS_USAGE_STATS="false")
    with duckdb.connect("shop.duckdb") as connection:
        assert dict(connection.sql("SELECT id, score FROM scores").fetchall()) == customers


@needs("airflow")
def test_airflow_hands_the_result_to_the_next_task(customers):
    Path("dags").mkdir()
    Path("dags/scoring.py").write_text(snippet("Airflow"))
    settings = {
        "AIRFLOW_HOME": str(Path("airflow").absolute()),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path("dags").absolute()),
    }
    run([sys.executable, "-m", "airflow", "db", "migrate"], **settings)
    ask = """
import sys
sys.path.insert(0, "dags")
import scoring
done = scoring.scoring().test()
print(*sorted(f"{task.task_id}={task.state}" for task in done.get_task_instances()))
"""
    assert python(ask, **settings).splitlines()[-1] == "check=success score=success"
    assert scored(parquet.read_table("data/scores")) == customers


def test_the_page_has_a_program_for_each():
    titles = ["Airflow", "Dagster", "Prefect", "dbt"]
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == titles
    for title in titles:
        compile(snippet(title), title, "exec")
