"""Files of tables in every format, and scoring them on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
arrow_csv = pytest.importorskip("pyarrow.csv")
arrow_json = pytest.importorskip("pyarrow.json")
parquet = pytest.importorskip("pyarrow.parquet")

FORMATS = [".parquet", ".csv", ".arrow", ".jsonl"]


def save(table, path):
    """Write a table in the format of a name, and return the name."""
    ending = Path(path).suffix
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if ending == ".parquet":
        parquet.write_table(table, path)
    elif ending == ".csv":
        arrow_csv.write_csv(table, path)
    elif ending == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        lines = [json.dumps(row, default=str) for row in table.to_pylist()]
        Path(path).write_text("".join(line + "\n" for line in lines))
    return str(path)


def read(path):
    """Read a table in the format of a name."""
    ending = Path(path).suffix
    if ending == ".parquet":
        return parquet.read_table(path)
    if ending == ".csv":
        return arrow_csv.read_csv(path)
    if ending == ".arrow":
        with pa.ipc.open_file(path) as file:
            return file.read_all()
    return arrow_json.read_json(path)


def table(rows=2_500):
    """Random numbers in the columns b and a, and names of the rows in `id`."""
    rng = np.random.default_rng(rows)
    return pa.table(
        {
            "id": [f"r{row}" for row in range(rows)],
            "b": rng.normal(size=rows).astype(np.float32),
            "a": rng.normal(size=rows).astype(np.float32),
        }
    )


def score(*arguments):
    """Run `instmodel score`, and return its exit code."""
    return main(["score", *map(str, arguments)])


def fails(capsys, *arguments):
    """Score in vain, and return what is said about that."""
    assert score(*arguments) == 2
    assert [path.name for path in Path().rglob("*.tmp")] == []
    return capsys.readouterr().err
