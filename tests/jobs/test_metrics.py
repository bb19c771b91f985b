"""Files of metrics, which several runs may write."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from instmodel.jobs.metrics import Metrics


@pytest.mark.parametrize("path", ["m.prom", "metrics/m.prom"])
def test_runs_that_end_at_once_are_all_counted(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()
    with ThreadPoolExecutor(4) as pool:
        saves = [pool.submit(Metrics(rows=2).save, path, {}, nth % 2 == 0) for nth in range(100)]
        for save in saves:
            save.result()
    text = Path(path).read_text()
    assert re.findall(r"runs_total.* (\d+)$", text, re.MULTILINE) == ["50", "50"]
    assert re.findall(r"^instmodel_rows_total.* (\d+)$", text, re.MULTILINE) == ["200"]
    assert sorted(str(path) for path in Path().rglob("*")) == sorted({"metrics", path})
