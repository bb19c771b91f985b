"""Inputs against what a model expects: figures, groups, limits, the command and its page."""

from __future__ import annotations

import json

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.signatures.population import population_stability_index

RNG = np.random.default_rng(3)


def model_of(signature=None):
    builder = im.ModelBuilder()
    x = builder.input(["age", "shop", "colour"], {"colour": ["red", "blue"]})
    looked_up = builder.map_transform(x, 1, {1: [0.5], 2: [1.0]}, [0.0])
    total = builder.add_buffers(builder.reduce_sum(x), looked_up)
    return im.InstructionModel(builder.build(output=total, signature=signature))


def table(rows=4000, shift=0.0):
    return {
        "age": RNG.normal(40 + shift, 10, rows).astype(np.float32),
        "shop": RNG.choice([1, 2, 5], rows, p=[0.5, 0.3, 0.2]),
        "colour": RNG.choice(["red", "blue"], rows),
        "day": np.datetime64("2026-03-01T12:00:00") + np.arange(rows) // (rows // 4 or 1) * 86400,
    }


TRAINED = table()
PLAIN = model_of()
MODEL = model_of(im.Signature.from_data(PLAIN, TRAINED))


def by_name(found):
    return {item.name: item for item in found.features}


def test_the_data_that_it_was_made_from_does_not_drift():
    found = im.drift(MODEL, TRAINED)
    assert (found.rows, found.expected_rows, found.against) == (4000, 4000, "signature")
    assert found.largest_psi == pytest.approx(0, abs=1e-12)
    assert {item.name for item in found.features} == {"age", "shop", "colour"}
    for item in found.features:
        assert (item.out_of_range, item.nulls, item.unknown, item.invalid) == (0, 0, 0, 0)


def test_what_shifts_comes_first():
    new = table(shift=8.0)
    found = im.drift(MODEL, new)
    assert found.features[0].name == "age"
    expected = population_stability_index(
        TRAINED["age"].astype(np.float64), new["age"].astype(np.float64)
    )
    assert found.largest_psi == found.features[0].psi == pytest.approx(expected)
    low, high = TRAINED["age"].min(), TRAINED["age"].max()
    outside = np.count_nonzero((new["age"] < low) | (new["age"] > high))
    assert found.features[0].out_of_range == outside


def test_what_is_odd_is_counted_and_no_error():
    odd = {"age": [40.0, None, float("nan")], "shop": [1, 7, None], "colour": ["red", "pink", None]}
    found = by_name(im.drift(MODEL, odd))
    assert (found["age"].nulls, found["age"].unexpected_nulls) == (2, 2)
    assert (found["shop"].unknown, found["shop"].nulls) == (1, 1)
    assert (found["colour"].unknown, found["colour"].nulls) == (1, 1)


def test_a_reference_takes_the_place_of_the_signature():
    new = table(shift=3.0)
    against = im.drift(PLAIN, new, reference=TRAINED)
    assert against.against == "reference"
    assert against.features == im.drift(MODEL, new).features
    assert im.drift(MODEL, new, reference=new).largest_psi == pytest.approx(0, abs=1e-12)


def test_groups_are_counted_on_their_own():
    new = table(shift=2.0)
    found = im.drift(MODEL, new, by="colour", batch_rows=333)
    assert [(group.value, group.rows) for group in found.groups] == [
        (name, np.count_nonzero(new["colour"] == name)) for name in ("blue", "red")
    ]
    for group in found.groups:
        part = {name: column[new["colour"] == group.value] for name, column in new.items()}
        alone = by_name(im.drift(MODEL, part))
        for item in group.features:
            assert item.bins == []
            assert item.psi == alone[item.name].psi
            assert item.out_of_range == alone[item.name].out_of_range
        assert group.largest_psi == max(item.psi for item in group.features)


@pytest.mark.parametrize(
    ("period", "names"),
    [
        ("day", [f"2026-03-0{day}" for day in (1, 2, 3, 4)]),
        ("hour", [f"2026-03-0{day}T12" for day in (1, 2, 3, 4)]),
        ("month", ["2026-03"]),
    ],
)
def test_instants_are_grouped_by_their_period(period, names):
    pandas = pytest.importorskip("pandas")
    new = table()
    found = im.drift(MODEL, pandas.DataFrame(new), by="day", period=period)
    assert [group.value for group in found.groups] == names
    assert sum(group.rows for group in found.groups) == 4000


def test_hours_of_midnight_are_those_of_the_day():
    moments = np.array(["2026-03-01T00:00:00", "2026-03-01T00:30:00", "2026-03-02", "NaT"], "M8[s]")
    new = {name: column[:4] for name, column in TRAINED.items()} | {"day": moments}
    found = im.drift(MODEL, new, by="day", period="hour")
    names = ["2026-03-01T00", "2026-03-02T00", None]
    assert [group.value for group in found.groups] == names


def test_limits_hold_it():
    found = im.drift(
        MODEL, {"age": [40.0] * 99 + [900.0], "shop": [1] * 100, "colour": ["red"] * 100}
    )
    holds = {"max": {"features.out_of_range": "1%", "features.unknown": 0}}
    assert found.judge(holds).holds
    verdict = found.judge({"max": {"largest_psi": 0.25, "features.out_of_range": "0.5%"}})
    assert [(one.holds, one.value) for one in verdict.outcomes] == [
        (False, found.largest_psi),
        (False, 0.01),
    ]
    assert verdict.outcomes[1].place == "features[age]"
    none = im.drift(MODEL, TRAINED).judge({"max": {"features.unknown": 0}}).outcomes[0]
    assert (none.value, none.place) == (0, "")  # not the first input, which has as few as others


def test_an_index_that_is_not_known_is_no_limit():
    model = model_of(im.Signature({"age": im.FeatureSignature(min=0)}))
    found = im.drift(model, TRAINED)
    assert found.largest_psi is None
    with pytest.raises(im.InputError) as caught:
        found.judge({"max": {"largest_psi": 1}})
    assert caught.value.code == "unknown_figure"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"model": PLAIN}, "missing_signature"),
        ({"model": "m.json"}, "invalid_type"),
        ({"data": {name: column[:0] for name, column in TRAINED.items()}}, "no_rows"),
        ({"period": "day"}, "missing_field"),
        ({"by": "day", "period": "week"}, "invalid_type"),
        ({"by": "shop", "period": "day"}, "invalid_cell"),
        ({"by": "age"}, "too_many_groups"),
        ({"by": "age", "data": {**TRAINED, "age": [[1]] * 4000}}, "invalid_cell"),
    ],
    ids=str,
)
def test_what_cannot_be_asked(arguments, code):
    with pytest.raises(im.InputError) as caught:
        im.drift(**{"model": MODEL, "data": TRAINED, **arguments})
    assert caught.value.code == code


# ------------------------------------------------------------------------------------- the commands


@pytest.fixture
def files(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    PLAIN.info.save(tmp_path / "m.json")
    MODEL.info.save(tmp_path / "s.instmodel")
    parquet.write_table(arrow.table(TRAINED), tmp_path / "train.parquet")
    parquet.write_table(arrow.table(table(shift=8.0)), tmp_path / "new.parquet")
    return tmp_path


def test_the_command_signs_a_model(files, capsys):
    written = str(files / "s.json")
    assert (
        main(["signature", str(files / "m.json"), str(files / "train.parquet"), "-o", written]) == 0
    )
    first = capsys.readouterr().out
    assert "a signature of 3 inputs, made from 4000 rows" in first
    assert "1, 2, 5 (3)" in first
    assert im.load(written).signature == MODEL.signature
    assert main(["signature", written, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == MODEL.signature.to_json()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["m.json"], "missing_signature"),
        (["m.json", "train.parquet"], "missing_field"),
        (["m.json", "-o", "x.json"], "missing_field"),
        (["m.json", "train.parquet", "-o", "m.json"], "invalid_table"),
    ],
    ids=str,
)
def test_what_the_command_refuses(files, arguments, code, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["signature", *arguments]) == 2
    assert f"[{code}]" in capsys.readouterr().err


def test_the_command_writes_models_only(files, capsys):
    target = files / "s.onnx"
    command = ["signature", str(files / "m.json"), str(files / "train.parquet"), "-o", str(target)]
    assert main(command) == 2
    assert "does not end in .json or .instmodel" in capsys.readouterr().err
    assert not target.exists()


def test_the_command_tells_what_drifts(files, capsys):
    arguments = ["drift", str(files / "s.instmodel"), str(files / "new.parquet")]
    assert main([*arguments, "--by", "day", "--period", "day"]) == 0
    out = capsys.readouterr().out
    assert "1 of 3 inputs shifts by 0.1 or more; most of all age, by " in out
    assert "large shift" in out
    assert "Where age shifts" in out
    assert out.count("2026-03-0") == 5  # a line each, and which shifts most
    assert main([*arguments, "--max-psi", "0.25"]) == 1
    assert main([*arguments, "--max-psi", "9", "--max-nulls", "0"]) == 0
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["features"][0]["name"] == "age"
    assert sum(part["psi"] for part in found["features"][0]["bins"]) == pytest.approx(
        found["largest_psi"]
    )
    plain = ["drift", str(files / "m.json"), str(files / "new.parquet")]
    assert main([*plain, "--reference", str(files / "train.parquet"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["features"] == found["features"]


def test_csv_is_counted_as_any_other_table(files, capsys):
    text = "age,shop,colour\n40,1,red\n,2,blue\n40,,red\n40,1,\n"
    (files / "new.csv").write_text(text)
    arguments = ["drift", str(files / "s.instmodel"), str(files / "new.csv"), "--json"]
    assert main(arguments) == 0
    found = {item["name"]: item for item in json.loads(capsys.readouterr().out)["features"]}
    assert [found[name]["nulls"] for name in ("age", "shop", "colour")] == [1, 1, 1]


def test_the_page_shows_what_shifts_and_when(files):
    pytest.importorskip("jinja2")
    page, record = files / "p.html", files / "r.json"
    arguments = ["drift", str(files / "s.instmodel"), str(files / "new.parquet"), "--by", "day"]
    arguments += ["--period", "day", "--max-psi", "0.25"]
    assert main([*arguments, "--report", str(page), "--record", str(record)]) == 1
    text = page.read_text(encoding="utf-8")
    for caption in (
        "Inputs that shift most",
        "Largest index by day",
        "age by day",
        "shop: share of",
    ):
        assert f"<figcaption>{caption}" in text
    assert "2026-03-01" in text
    assert json.loads(record.read_text())["kind"] == "drift"
    assert main(["record", "check", str(record)]) == 0
    assert "<dt>Options</dt><dd>by day, period day, max_psi 0.25</dd>" in text  # no atol


def test_a_reference_is_what_is_told(files, capsys):
    reference = str(files / "train.parquet")
    arguments = ["drift", str(files / "s.instmodel"), str(files / "new.parquet")]
    assert main([*arguments, "--reference", reference]) == 0
    title = capsys.readouterr().out.partition("\n")[0]
    assert f"new.parquet against the reference {reference}: " in title
