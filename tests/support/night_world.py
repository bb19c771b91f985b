"""What happens in the nights of `support.night`: days, files and models, drawn from a seed."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import io
import random

import numpy as np
import pyarrow as pa
from pyarrow import parquet

import instmodel as im

FEATURES = ("f0", "f1", "f2", "f3")
# What the models expect of f0, which grows a little every day.
EXPECTED = im.FeatureSignature(min=-3, max=3, edges=[-0.7, 0.0, 0.7], shares=[0.25] * 4)


# ------------------------------------------------------------------------------------------- plan


@dataclasses.dataclass
class Day:
    """What happens on a day.

    Attributes
    ----------
    number : int
        From 0.
    version : int
        Of the model that is in use: 0 or 1.
    kills : list of float
        When runs are killed before one comes through, in durations of a run.
    bad : bool
        Whether the file of this day arrives truncated, and is repaired on the next one.
    changed, removed : int or None
        The number of an earlier day whose file changes or goes.
    together : bool
        Whether two runs start at once.
    """

    number: int
    version: int
    kills: list[float] = dataclasses.field(default_factory=list)
    bad: bool = False
    changed: int | None = None
    removed: int | None = None
    together: bool = False

    @property
    def name(self) -> str:
        """Its date."""
        return f"{datetime.date(2026, 9, 1) + datetime.timedelta(self.number)}"


def plan(days: int, seed: int) -> list[Day]:
    """Return what happens on so many days; the new model comes in the middle, the last is quiet."""
    chance = random.Random(seed)
    season = [Day(number, int(number >= days // 2)) for number in range(days)]
    for day in season[:-1]:
        if chance.random() < 0.4:
            day.kills = [chance.uniform(0.5, 1.1) for _ in range(chance.randint(1, 3))]
    for day in chance.sample(season[1:-1], max(1, days // 10)):
        day.bad = True
    for day in chance.sample(season[2:-1], max(2, days // 6)):
        day.together = True
    whole = [day for day in season if not day.bad]
    gone: set[int] = set()
    for day in chance.sample(whole[2:], max(1, days // 10)):
        day.removed = chance.choice([n for n in range(day.number) if n not in gone])
        gone.add(day.removed)
    for day in chance.sample(whole[2:], max(1, days // 6)):
        there = [n for n in range(day.number) if n not in gone]
        day.changed = chance.choice(there) if there else None
    return season


# ------------------------------------------------------------------------------------------ files


class Store:
    """A folder on this machine or in a store, as other programs see it."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        self.files, self.root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self.files.makedirs(self.root, exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        """Make or replace a file."""
        path = f"{self.root}/{name}"
        self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(path, content)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.files.rm_file(f"{self.root}/{name}")

    def read(self, name: str) -> bytes:
        """Return what a file holds."""
        return self.files.cat_file(f"{self.root}/{name}")

    def contents(self) -> dict[str, bytes]:
        """Return all files, hidden ones, too."""
        self.files.invalidate_cache()
        paths = self.files.find(self.root)
        return {path[len(self.root) + 1 :]: self.files.cat_file(path) for path in paths}


def as_parquet(table: pa.Table) -> bytes:
    """Return a table as the bytes of a file."""
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def as_csv(table: pa.Table) -> bytes:
    """Return a table as the bytes of a compressed file; float32 numbers come back as they were.

    Compressed, so that a truncated file is none: of plain CSV, the last row would be a bad one.
    """
    columns = [
        ["" if value is None else str(np.float32(value) if name in FEATURES else value)
         for value in table[name].to_pylist()]
        for name in table.column_names
    ]  # fmt: skip
    lines = [",".join(table.column_names), *map(",".join, zip(*columns, strict=True))]
    return gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)


WRITERS = {"parquet": as_parquet, "csv.gz": as_csv}


def model(seed: int) -> im.InstructionModel:
    """Return one of two networks."""
    rng = np.random.default_rng(seed)
    b = im.ModelBuilder()
    x = b.input(list(FEATURES))
    h = b.dense(x, rng.normal(size=(8, 4)), rng.normal(size=8), "TANH")
    info = b.build(
        output=b.dense(h, rng.normal(size=(1, 8)), None, "SIGMOID"),
        metadata={"version": f"{seed + 1}.0"},
        signature=im.Signature({"f0": EXPECTED}, rows=1000),
    )
    return im.InstructionModel(info)
