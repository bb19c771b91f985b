"""Whatever an argument of a table or a job is, what goes wrong is one of our errors."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import io
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im
from instmodel import jobs

pa = pytest.importorskip("pyarrow")

AB = identity(["a", "b"])
BATCH = pa.record_batch({"a": [1.0], "b": [2.0]})
ODD = [
    *(None, True, -1, 0, 2.5, float("nan"), 1j, "x", b"x", object(), object, range(3)),
    *([], [1], [None], [["a"]], (1,), {}, {"a": 1}, {1: 2}, {"ab"}),
    *(np.zeros(3), np.array("x"), np.array(object()), np.zeros(2, [("a", "f4"), ("b", "U1")])),
    *(pa.array([1]), pa.table({"a": [1], "b": [[1]]}), Path("none.csv")),
]
TABLES = [
    *({"a": 5, "b": 5}, {"a": {}, "b": {}}, {"a": "xy", "b": "zz"}, {"a": [{}], "b": [1]}),
    *({"a": [Decimal("sNaN")], "b": [1]}, {"a": iter([1]), "b": [1]}, [{"a": 1, "b": 2}, 5]),
    {"a": [datetime.date(2020, 1, 1)], "b": [1]},
]
every = pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:20])


@pytest.fixture(autouse=True)
def _files():
    Path("t.csv").write_text("a,b\n1,2\n")


def attempt(use, *arguments, **options):
    with contextlib.suppress(im.InstModelError, OSError):  # an OSError is of a file, as everywhere
        use(*arguments, **options)


def score_batches(batches, **options):
    list(AB.score_batches(batches, **options))


def job(**changed):
    jobs.run(jobs.Job(**{"model": AB, "input": "t.csv", "output": "out.parquet"} | changed))


@pytest.mark.parametrize("odd", ODD + TABLES, ids=lambda odd: ascii(odd)[:20])
@pytest.mark.parametrize("model", [AB, identity(["emb[2]"]), identity(2)], ids=str)
@pytest.mark.filterwarnings("ignore:the model does not name its features")
def test_tables(model, odd):
    attempt(model.predict_table, odd)
    attempt(model.predict_one, odd)
    attempt(score_batches, odd)


@every
def test_options_of_tables(odd):
    attempt(AB.predict_table, {"a": [1.0], "b": [None]}, nulls=odd)
    attempt(AB.predict_one, {"a": 1.0, "b": None}, nulls=odd)
    for name in ("keep", "outputs", "nulls", "on_bad_row"):
        attempt(score_batches, [BATCH], **{name: odd})


NAMES = [field.name for field in dataclasses.fields(jobs.Job)]


@every
@pytest.mark.parametrize("name", NAMES)
def test_options_of_jobs(name, odd):
    attempt(job, **{name: odd})
    if name != "output":
        with open("stream", "wb") as stream:
            attempt(job, **{"output": stream, name: odd})


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"keep": 5}, "invalid_type", "keep"),
        ({"keep": [1]}, "invalid_type", "keep"),
        ({"outputs": 5}, "invalid_outputs", "outputs"),
        ({"on_bad_row": ["skip"]}, "invalid_type", "on_bad_row"),
        ({"format": "xml"}, "invalid_table", "format"),
        ({"format": ["csv"]}, "invalid_table", "format"),
        ({"csv": {"delimiter": ";"}}, "invalid_type", "csv"),
        ({"batch_rows": 0}, "invalid_type", "batch_rows"),
        ({"threads": 0}, "invalid_thread_count", "threads"),
        ({"input": b"t.csv"}, "invalid_type", "input"),
        ({"input": io.StringIO("a")}, "invalid_type", "input"),
        ({"output": io.StringIO()}, "invalid_type", "output"),
        ({"output": b"out.parquet"}, "invalid_type", "output"),
        ({"bad_rows": b"bad.csv"}, "invalid_type", "bad_rows"),
    ],
)
def test_the_option_at_fault_is_named(changed, code, field):
    with pytest.raises(im.InputError) as caught:
        job(**changed)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert not Path("out.parquet").exists()
