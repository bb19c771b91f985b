"""Whatever an argument of `verify` or `compare` is, what goes wrong is one of our errors."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im

AB = identity(["a", "b"])
ROWS = np.array([[1.0, 2.0], [3.0, 4.0]])
ODD = [
    *(None, True, -1, 0, 2.5, float("nan"), 1j, "x", b"x", object(), range(3), 10**400),
    *([], [1], [None], [["a"]], {}, {"a": 1}, np.zeros(3), np.array("x")),
]
every = pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:20])


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("a,b,c\n1,2,3\n3,4,5\n")


def attempt(use, *arguments, **options):
    with contextlib.suppress(im.InstModelError, OSError):
        use(*arguments, **options)


@every
@pytest.mark.parametrize(
    "name", ["model", "against", "expected", "atol", "rtol", "worst", "threads", "batch_rows"]
)
def test_verify(name, odd):
    for data in ("t.csv", ROWS):
        attempt(im.verify, **{"model": AB, "data": data, name: odd})


@every
@pytest.mark.parametrize(
    "name",
    [
        *("old", "labels", "by", "output", "threshold", "tolerance", "task", "movers"),
        *("most_rows", "threads", "batch_rows", "classes", "reference", "dependence", "approve"),
    ],
)
def test_compare(name, odd):
    pytest.importorskip("sklearn")
    for data in ("t.csv", {"a": ROWS[:, 0], "b": ROWS[:, 1]}):
        attempt(im.compare, **{"old": AB, "new": AB, "data": data, name: odd})


@every
@pytest.mark.parametrize("name", ["positive", "classes", "task"])
def test_compare_with_labels(name, odd):
    pytest.importorskip("sklearn")
    data = {"a": ROWS[:, 0], "b": ROWS[:, 1], "c": ["x", "y"]}
    attempt(im.compare, **{"old": AB, "new": AB, "data": data, "labels": "c", name: odd})


@pytest.mark.parametrize(
    ("use", "changed"),
    [
        (im.verify, {"worst": 2.5}),
        (im.verify, {"worst": -1}),
        (im.verify, {"batch_rows": 0}),
        (im.verify, {"expected": 5}),
        (im.compare, {"output": 0.0}),
        (im.compare, {"threshold": "x"}),
        (im.compare, {"tolerance": None}),
        (im.compare, {"tolerance": -1}),
        (im.compare, {"tolerance": float("nan")}),
        (im.compare, {"task": ["binary"]}),
        (im.compare, {"movers": -1}),
        (im.compare, {"most_rows": 0}),
        (im.compare, {"dependence": -1}),
        (im.compare, {"classes": ["a"]}),
        (im.compare, {"approve": "left"}),
    ],
)
def test_the_argument_at_fault_is_named(use, changed):
    models = (AB,) if use is im.verify else (AB, AB)
    if use is im.compare:
        pytest.importorskip("sklearn")
    with pytest.raises(im.InstModelError) as caught:
        use(*models, "t.csv", **changed)
    assert (caught.value.code, caught.value.field) == ("invalid_type", *changed)
