"""A feature store's batch job: join features as they were known, score, write partitions.

    pip install '.[duckdb]' 'duckdb>=1.5' && python examples/feature_store_batch.py FOLDER

Two feature tables on Parquet change over time. For every event the job takes the values that were
known at its time, and no later ones (a point-in-time join), scores them, and writes one Parquet
file for each day. DuckDB does the join and streams Arrow batches; memory stays bounded.
"""

import argparse
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import instmodel as im

JOIN = """
    SELECT e.event_id, CAST(e.at AS DATE)::VARCHAR AS day, p.age, p.income, a.emb
    FROM read_parquet('{0}/events.parquet') e
    ASOF LEFT JOIN read_parquet('{0}/profile.parquet') p ON e.user_id = p.user_id AND e.at >= p.at
    ASOF LEFT JOIN read_parquet('{0}/activity.parquet') a ON e.user_id = a.user_id AND e.at >= a.at
"""


def make_store(folder: Path, users: int = 500, events: int = 20_000) -> None:
    """Write the tables of a small store: events, and two views of features with their times."""
    rng = np.random.default_rng(0)
    start = np.datetime64("2026-03-01T00:00:00", "us")

    def times(count: int, days: int) -> np.ndarray:
        return start + rng.integers(0, days * 86_400_000_000, count).astype("timedelta64[us]")

    count = 4 * users
    tables = {
        "events": {
            "event_id": np.arange(events),
            "user_id": rng.integers(0, users, events),
            "at": times(events, 5) + np.timedelta64(2, "D"),
        },
        "profile": {
            "user_id": np.arange(count) % users,
            "at": times(count, 6),
            "age": rng.integers(18, 90, count),
            "income": rng.lognormal(1, 0.5, count),
        },
        "activity": {
            "user_id": np.arange(count) % users,
            "at": times(count, 6),
            "emb": rng.normal(size=(count, 8)).astype(np.float32).tolist(),
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def make_model() -> im.InstructionModel:
    """Return a model of the store's features, as a trainer might have exported it."""
    rng = np.random.default_rng(1)
    b = im.ModelBuilder()
    x = b.input(["age", "income", "emb[8]"])
    h = b.dense(x, rng.normal(size=(16, 10)) / 10, np.zeros(16), "RELU")
    y = b.dense(h, rng.normal(size=(1, 16)), np.zeros(1), "SIGMOID")
    return im.InstructionModel(b.build(output=y))


def main(folder: str) -> None:
    """Make a store in a folder, and write the scores of its events beside it, by day."""
    store = Path(folder) / "store"
    make_store(store)
    with duckdb.connect() as connection:
        rows = connection.sql(JOIN.format(store))
        # A user may have no features yet: such events get no score.
        scored = make_model().score_batches(
            rows.to_arrow_reader(10_000), keep=["event_id", "day"], on_bad_row="null"
        )
        first = next(scored)
        batches = (batch for part in ([first], scored) for batch in part)
        ds.write_dataset(
            pa.RecordBatchReader.from_batches(first.schema, batches),
            Path(folder) / "scores",
            format="parquet",
            partitioning=["day"],
            partitioning_flavor="hive",
            existing_data_behavior="delete_matching",  # a second run replaces the days it has
        )
    found = ds.dataset(Path(folder) / "scores", partitioning="hive").to_table()
    print(f"{found.num_rows} events, {found['score'].null_count} without a score")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A feature store's batch job.")
    parser.add_argument("folder", metavar="FOLDER", help="where the store and the scores go")
    main(parser.parse_args().folder)
