"""Models that travel to other processes."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from support.documents import build, recurrent
from support.table_models import identity, network

import instmodel as im
from instmodel.engines import portable
from instmodel.engines.portable import Scoring
from instmodel.tables.options import ScoreOptions


def test_a_process_builds_a_model_once(monkeypatch):
    scoring = Scoring.of(network(), ScoreOptions())
    first = scoring.model()
    monkeypatch.setattr(portable, "InstructionModel", None)
    copy = pickle.loads(pickle.dumps(scoring))
    assert copy == scoring
    assert copy.model() is first


def test_another_process_builds_the_same_model():
    scoring = Scoring.of(network(), ScoreOptions(keep=["f1"], nulls={"f2": 0}))
    code = (
        "import pickle, sys; s = pickle.load(sys.stdin.buffer); "
        "print(s.model().info.digest(), s.digest, s.columns([*s.model().columns, 'more']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(scoring), capture_output=True, check=True
    )
    digest = network().info.digest()
    assert done.stdout.decode().split()[:2] == [digest, digest]
    assert len(pickle.dumps(scoring)) < 10_000


def test_models_are_forgotten_one_day():
    scorings = [Scoring.of(network(3, seed), ScoreOptions()) for seed in range(20)]
    models = [scoring.model() for scoring in scorings]
    assert scorings[-1].model() is models[-1]
    assert scorings[0].model() is not models[0]


def test_limits_travel():
    model = im.InstructionModel(network().info, limits=im.Limits(max_buffer_size=48))
    scoring = Scoring.of(model, ScoreOptions())
    assert pickle.loads(pickle.dumps(scoring)).limits == im.Limits(max_buffer_size=48)


def test_only_the_columns_that_are_needed():
    scoring = Scoring.of(identity(["b", "emb[2]"]), ScoreOptions("id"))
    assert scoring.columns(["x", "id", "emb", "b"]) == ["id", "emb", "b"]
    with pytest.raises(im.InstModelError, match="did you mean 'idd'"):
        scoring.columns(["idd", "emb", "b"])


def test_options_are_refused_before_anything_travels():
    with pytest.raises(im.InstModelError, match="load the model first"):
        Scoring.of("model.json", ScoreOptions())
    for options, says in [
        ({"on_bad_row": "drop"}, "'error' or 'null' or 'skip'"),
        ({"keep": [1]}, "names of columns"),
    ]:
        with pytest.raises(im.InstModelError, match=says):
            ScoreOptions(**options)


def test_types_are_refused_without_a_row():
    pa = pytest.importorskip("pyarrow")
    scoring = Scoring.of(identity(["a"]), ScoreOptions(["id"]))
    scoring.check_types(pa.schema({"id": pa.string(), "a": pa.int8()}))
    with pytest.raises(im.InstModelError, match=r"column 'a'.*expected numbers, got string"):
        scoring.check_types(pa.schema({"id": pa.string(), "a": pa.string()}))


def test_a_recurrent_model_does_not_travel():
    with pytest.raises(im.InputError) as caught:
        Scoring.of(build(recurrent()), ScoreOptions())
    assert caught.value.code == "needs_sequences"
