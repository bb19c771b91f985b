"""Jobs count what their model's signature does not expect, or refuse it."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest

import instmodel as im
from instmodel import jobs
from instmodel.cli import main

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SIGNATURE = im.Signature(
    {
        "age": im.FeatureSignature(
            min=18, max=99, nulls="never", edges=[40], shares=[0.5, 0.5], null_share=0.0
        ),
        "shop": im.FeatureSignature(kind="code", codes=[1, 2]),
        "colour": im.FeatureSignature(kind="text"),
    },
    rows=4,
)
ROWS = {
    "age": [20, 50, 17, None, 30, 60],
    "shop": [1, 2, 1, 2, 3, 1],
    "colour": ["red", "blue", "red", "red", "red", "pink"],
}
UNEXPECTED = [2, 3, 4, 5]  # by row of ROWS, from 0


def model(signature=SIGNATURE):
    builder = im.ModelBuilder()
    texts = {"colour": im.Categories(["red", "blue"], 0.0)}
    x = builder.input(["age", "shop", "colour"], texts)
    return im.InstructionModel(builder.build(output=builder.reduce_sum(x), signature=signature))


@pytest.fixture
def table(tmp_path):
    pq.write_table(pa.table(ROWS), tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def run(table, **options):
    output = table.with_name("out.parquet")
    result = jobs.run(jobs.Job(model(), table, output, **{"nulls": 0.0, **options}))
    return result, pq.read_table(output)["score"].to_pylist()


PLAIN = [21.0, 53.0, 18.0, 2.0, 33.0, 61.0]


@pytest.mark.parametrize("check", [None, "count"])
def test_what_is_not_expected_is_counted_and_scored_as_ever(table, check):
    result, scores = run(table, check_inputs=check)
    assert scores == PLAIN
    assert result.bad_rows == 0
    found = {item.name: item for item in result.inputs.features}
    age = found["age"]
    assert (age.out_of_range, age.nulls, age.unexpected_nulls) == (1, 1, 1)
    assert (found["shop"].unknown, found["shop"].out_of_range) == (1, 0)
    assert (found["colour"].unknown, found["colour"].nulls) == (1, 0)
    old, new = np.array([0.5, 0.5, 1e-6]), np.array([3, 2, 1]) / 6
    assert found["age"].psi == pytest.approx(np.sum((new - old) * np.log(new / old)))
    plain = result.inputs.to_dict()
    assert plain["rows"] == 6
    assert "bins" not in plain["features"][0]
    assert len(result.inputs.to_dict(bins=True)["features"][0]["bins"]) == 3


def test_it_can_be_left_out(table):
    result, scores = run(table, check_inputs="off")
    assert scores == PLAIN
    assert result.inputs is None
    assert (
        jobs.run(jobs.Job(model(None), table, table.with_name("o.csv"), nulls=0.0)).inputs is None
    )


def test_a_row_that_is_not_expected_gets_a_null(table):
    bad = table.with_name("bad.csv")
    result, scores = run(table, check_inputs="null", bad_rows=bad)
    assert scores == [None if row in UNEXPECTED else PLAIN[row] for row in range(6)]
    assert result.bad_rows == 4
    listed = [
        (line["row"], line["column"], line["reason"])
        for line in csv.DictReader(bad.read_text().splitlines())
    ]
    assert [(row, column) for row, column, _ in listed] == [
        ("3", "age"),
        ("4", "age"),
        ("5", "shop"),
        ("6", "colour"),
    ]
    reasons = [reason.partition("(got ")[2] for _, _, reason in listed]
    code = "[unexpected_value]"
    assert reasons == [f"{got}) {code}" for got in ("17", "null", "3", "unknown text")]
    assert result.inputs.features[0].out_of_range == 1


def test_a_row_that_is_not_expected_is_left_out_as_bad_rows_are(table):
    result, scores = run(table, check_inputs="null", on_bad_row="skip")
    assert scores == PLAIN[:2]
    assert result.bad_rows == 4


@pytest.mark.parametrize("on_bad_row", ["error", "null", "skip"])
def test_the_first_row_that_is_not_expected_ends_the_job(table, on_bad_row):
    with pytest.raises(im.InputError) as caught:
        run(table, check_inputs="error", on_bad_row=on_bad_row)
    error = caught.value
    assert (error.code, error.column, error.row) == ("unexpected_value", "age", 3)
    assert str(error.file).endswith("in.parquet")
    assert not table.with_name("out.parquet").exists()


def test_rows_that_are_bad_anyway_stay_what_they_are(table):
    with pytest.raises(im.InputError) as caught:
        run(table, check_inputs="null", nulls="error")
    assert (caught.value.code, caught.value.row) == ("null_value", 4)
    result, scores = run(table, check_inputs="count", nulls="error", on_bad_row="null")
    assert scores == [None if row == 3 else PLAIN[row] for row in range(6)]
    assert result.inputs.features[0].nulls == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_counts_do_not_depend_on_batches_and_threads(table, threads):
    rng = np.random.default_rng(0)
    pick = rng.integers(0, 6, 5000)
    pq.write_table(pa.table(ROWS).take(pick), table)
    whole, _ = run(table, threads=1)
    parts, _ = run(table, threads=threads, batch_rows=7)
    assert parts.inputs == whole.inputs
    counts = np.bincount(pick, minlength=6)
    assert whole.inputs.features[0].out_of_range == counts[2]
    assert whole.inputs.features[1].unknown == counts[4]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "arrow"])
def test_every_format_is_counted(table, ending, tmp_path):
    jobs.run(jobs.Job(model(None), table, tmp_path / f"rows.{ending}", keep=["*"], nulls=0.0))
    result = jobs.run(jobs.Job(model(), tmp_path / f"rows.{ending}", tmp_path / "o.csv", nulls=0.0))
    expected, _ = run(table)
    assert result.inputs == expected.inputs


def test_a_folder_is_counted_as_a_whole(table, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    for name in "ab":
        pq.write_table(pa.table(ROWS), folder / f"{name}.parquet")
    result = jobs.run(jobs.Job(model(), folder, tmp_path / "scores", nulls=0.0))
    assert result.inputs.rows == 12
    assert result.inputs.features[0].out_of_range == 2


def test_what_is_checked_decides_what_a_folder_can_go_on_with(table, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    pq.write_table(pa.table(ROWS), folder / "a.parquet")
    options = {"nulls": 0.0, "incremental": True}
    jobs.run(jobs.Job(model(), folder, tmp_path / "scores", **options))
    jobs.run(jobs.Job(model(), folder, tmp_path / "scores", check_inputs="off", **options))
    with pytest.raises(im.InputError) as caught:
        jobs.run(jobs.Job(model(), folder, tmp_path / "scores", check_inputs="null", **options))
    assert caught.value.code == "resume_mismatch"


def test_what_no_signature_can_be_asked(table):
    job = jobs.Job(model(None), table, table.with_name("out.csv"), check_inputs="count")
    with pytest.raises(im.InputError) as caught:
        jobs.run(job)
    assert (caught.value.code, caught.value.field) == ("missing_signature", "check_inputs")
    with pytest.raises(im.InputError) as caught:
        jobs.run(jobs.Job(model(), table, table.with_name("out.csv"), check_inputs="warn"))
    assert caught.value.field == "check_inputs"


def test_metrics_tell_each_feature(table):
    metrics = table.with_name("m.prom")
    result, _ = run(table, metrics=metrics)
    lines = metrics.read_text().splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    psi = round(result.inputs.features[0].psi, 9)
    labels = 'job_name="m",feature="age"'
    assert samples[f"instmodel_input_values{{{labels}}}"] == "6"
    assert samples[f"instmodel_input_out_of_range{{{labels}}}"] == "1"
    assert samples[f"instmodel_input_null{{{labels}}}"] == "1"
    assert float(samples[f"instmodel_input_psi{{{labels}}}"]) == psi
    assert samples['instmodel_input_unknown{job_name="m",feature="colour"}'] == "1"
    assert samples['instmodel_input_psi{job_name="m",feature="shop"}'] == "NaN"
    run(table, metrics=metrics, check_inputs="off")
    assert "instmodel_input" not in metrics.read_text()


def test_the_command_tells_what_was_not_expected(table, tmp_path, capsys):
    model().info.save(tmp_path / "m.json")
    arguments = ["score", str(tmp_path / "m.json"), str(table), "-o", str(tmp_path / "o.csv")]
    assert main([*arguments, "--nulls", "0"]) == 0
    out = capsys.readouterr().out
    assert "inputs: values out of range: age 1\n" in out
    assert "inputs: unknown codes or texts: shop 1, colour 1\n" in out
    assert "inputs: nulls that are never expected: age 1\n" in out
    assert main([*arguments, "--nulls", "0", "--check-inputs", "error"]) == 2
    assert "row 3" in capsys.readouterr().err
    assert main([*arguments, "--nulls", "0", "--check-inputs", "off"]) == 0
    assert "inputs:" not in capsys.readouterr().out


def test_csv_and_npy_files_are_counted_without_a_job(tmp_path, capsys):
    model().info.save(tmp_path / "m.json")
    (tmp_path / "in.csv").write_text("age,shop,colour\n20,1,red\n17,2,pink\nnan,3,blue\n50,1,red\n")

    def told(name, *options):
        arguments = ["score", str(tmp_path / "m.json"), str(tmp_path / name)]
        assert main([*arguments, "-o", str(tmp_path / "out.csv"), *options]) == 0
        notes = capsys.readouterr().out.splitlines()[1:]
        cells = (tmp_path / "out.csv").read_text().splitlines()[1:]
        return notes, [str(float(cell)) for cell in cells]

    plain, scores = told("in.csv")
    assert "inputs: unknown codes or texts: shop 1, colour 1" in plain
    assert "inputs: values out of range: age 1" in plain
    assert (plain, scores) == told("in.csv", "--check-inputs", "count")
    assert told("in.csv", "--check-inputs", "off") == ([], scores)
    numbers = [[20, 1, 0], [17, 2, 2**25], [np.nan, 3, 1], [50, 1, 0]]
    np.save(tmp_path / "in.npy", np.array(numbers, np.float32))
    assert told("in.npy") == (plain, ["21.0", "33554452.0", "nan", "51.0"])


def test_rows_that_are_none_hold_no_nulls(tmp_path):
    (tmp_path / "rows.csv").write_text("age,shop,colour\n20,1,red\n30,1\n40,2,red,8\n50,2,blue\n")
    job = jobs.Job(model(), tmp_path / "rows.csv", tmp_path / "o.csv", on_bad_row="skip")
    result = jobs.run(job)
    assert result.bad_rows == 2
    for feature in result.inputs.features:
        assert (feature.values, feature.invalid) == (4, 2)
        assert (feature.nulls, feature.unknown, feature.out_of_range) == (0, 0, 0)


def incremental(folder, **options):
    job = jobs.Job(model(), folder / "in", folder / "out", nulls=0.0, incremental=True, **options)
    return jobs.run(job)


def kept_samples(path):
    return [line for line in path.read_text().splitlines() if re.search("_(input|added)_", line)]


def test_what_a_run_that_failed_had_counted_is_told_by_the_one_that_goes_on(tmp_path):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table(ROWS), tmp_path / "in/1.parquet")
    (tmp_path / "in/2.parquet").write_bytes(b"PAR1, cut short")
    places = {"metrics": tmp_path / "m.prom", "bad_rows": tmp_path / "bad.csv"}
    options = {"check_inputs": "null", **places}
    with pytest.raises(im.InstModelError):
        incremental(tmp_path, **options)
    fine = {"age": [20], "shop": [1], "colour": ["red"]}
    pq.write_table(pa.table(fine), tmp_path / "in/2.parquet")
    result = incremental(tmp_path, **options)
    assert (result.reused_parts, result.added_parts) == (1, 2)
    assert (result.added_rows, result.added_bad_rows) == (7, len(UNEXPECTED))
    assert result.inputs.rows == 7
    assert [feature.out_of_range for feature in result.inputs.features] == [1, 0, 0]
    assert [feature.unknown for feature in result.inputs.features] == [0, 1, 1]

    # A run that has nothing to do takes nothing of it back.
    lines = kept_samples(places["metrics"])
    assert 'instmodel_last_added_rows{job_name="m"} 7' in lines
    assert f'instmodel_last_added_bad_rows{{job_name="m"}} {len(UNEXPECTED)}' in lines
    listed = places["bad_rows"].read_text()
    assert len(listed.splitlines()) == 1 + len(UNEXPECTED)
    result = incremental(tmp_path, **options)
    assert (result.added_rows, result.added_bad_rows, result.added_parts) == (0, 0, 0)
    assert places["bad_rows"].read_text() == listed
    assert kept_samples(places["metrics"]) == lines


@pytest.mark.parametrize("state", [None, {}, {"rows": 1}, 3])
def test_notes_of_counts_that_are_none_add_nothing(state):
    tally = jobs.Job(model(), "in", "out").tally()
    tally.look(np.array([[20, 1, 0]], np.float32))
    before = tally.state()
    for broken in (state, {**before, "reached": [[1]]}, {**before, "unknown": ["x"] * 3}):
        assert not tally.add_state(broken)
    assert tally.state() == before
    assert tally.add_state(before)
    assert tally.rows == 2


def test_few_rows_are_no_shift(tmp_path, capsys):
    model().info.save(tmp_path / "m.json")
    for rows, says in ((499, False), (500, True)):
        young = {"age": [20.0] * rows, "shop": [1] * rows, "colour": ["red"] * rows}
        pq.write_table(pa.table(young), tmp_path / "in.parquet")
        arguments = ["score", str(tmp_path / "m.json"), str(tmp_path / "in.parquet")]
        assert main([*arguments, "-o", str(tmp_path / "out.csv")]) == 0
        assert ("population stability index" in capsys.readouterr().out) == says
