"""Reports of data that is hardly any, says nothing, or has gaps: a page, or an error and none."""

import json

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 4)).astype(np.float32)
TRUTH = RNG.integers(0, 2, 60).astype(np.float32)
# NaN in an input makes scores NaN.
GAPS = np.where(np.arange(60)[:, None] % 7 == 0, np.float32("nan"), ROWS)


def network(change=0.0, scale=1.0, outputs=1):
    weights = scale * np.random.default_rng(1).normal(size=(outputs, 4))
    weights[0, 0] += change
    b = im.ModelBuilder()
    activation = "SIGMOID" if outputs == 1 else "SOFTMAX"
    return b.build(output=b.dense(b.input(4), weights, None, activation))


def run(folder, command, models, rows):
    """Return the exit code of a command, and the page that it wrote, if any."""
    for name, model in models.items():
        model.save(folder / name)
    np.save(folder / "rows.npy", rows)
    page = folder / "page.html"
    rest = ["--data", str(folder / "rows.npy"), "--report", str(page)]
    code = main([*command, *rest])
    return code, page.read_text() if page.exists() else None


VERIFIED = {
    "one row": (ROWS[:1], {}),
    "constant scores": (ROWS, {"scale": 0.0}),
    "gaps": (GAPS, {}),
    "nothing but gaps": (np.full((3, 4), np.nan, np.float32), {}),
}


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("name", VERIFIED)
def test_a_verification_of_odd_rows_is_a_page(tmp_path, name, changed):
    rows, options = VERIFIED[name]
    models = {"a.json": network(**options), "b.json": network(0.5 * changed, **options)}
    command = ["verify", str(tmp_path / "a.json"), "--against", str(tmp_path / "b.json")]
    code, page = run(tmp_path, command, models, rows)
    differs = changed and name != "nothing but gaps"
    assert code == differs
    assert ('class="verdict different"' in page) == differs
    assert f" {len(rows)} rows (tolerance" in page
    # Rows that are equal to the bit are no worst rows.
    assert ('id="worst"' in page) == differs


COMPARED = {
    "one row": (ROWS[:1], TRUTH[:1], {}),
    "constant scores": (ROWS, TRUTH, {"scale": 0.0}),
    "labels of class 1 alone": (ROWS, np.ones(60), {}),
    "labels of class 0 alone": (ROWS, np.zeros(60), {}),
    "labels of one of three classes": (ROWS, np.full(60, 2), {"outputs": 3}),
    "one row of three classes": (ROWS[:1], [1], {"outputs": 3}),
    "labels that are values": (ROWS, RNG.normal(size=60), {}),
    "one row and its value": (ROWS[:1], [0.3], {}),
    "labels that are one value": (ROWS, np.full(60, 7.5), {}),
}


@pytest.mark.parametrize("name", COMPARED)
def test_a_comparison_of_odd_rows_is_a_page(tmp_path, capsys, name):
    rows, truth, options = COMPARED[name]
    models = {"a.json": network(**options), "b.json": network(0.5, **options)}
    table = np.column_stack([rows, truth]).astype(np.float32)
    command = ["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--labels", "truth"]
    code, page = run(tmp_path, [*command, "--json"], models, table)
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    kind = found["task"]
    if kind == "regression":  # decides nothing
        assert found["flips"] is found["threshold"] is None
        assert f"{len(rows)} scores move by" in page
    else:
        assert f"{found['flips']} of {len(rows)} decisions flip" in page
    classes = "multiclass" if "three" in name else "binary"
    assert kind == ("regression" if "value" in name else classes)
    if kind != "regression":
        chosen = found["new_metrics"]["confusion_matrix"]
        assert np.sum(chosen) == len(rows)
        assert np.trace(chosen) / len(rows) == found["new_metrics"]["accuracy"]
        # One class has no ROC curve.
        assert ("roc_auc" in found["new_metrics"]) == (name == "constant scores")
    assert "ROC curve" not in page or name == "constant scores"


@pytest.mark.parametrize(
    ("command", "rows", "said"),
    [
        ("verify", ROWS[:0], "no rows"),
        ("compare", np.column_stack([ROWS, TRUTH])[:0], "no rows"),
        ("compare", np.column_stack([ROWS, GAPS[:, 0]]), "9 of 60 rows have no finite label"),
        ("compare", np.column_stack([GAPS, TRUTH]), "not finite"),
    ],
)
def test_what_cannot_be_reported_is_an_error_without_a_page(tmp_path, capsys, command, rows, said):
    models = {"a.json": network(), "b.json": network(0.5)}
    names = [str(tmp_path / name) for name in models]
    line = ["verify", names[0]] if command == "verify" else ["compare", *names, "--labels", "4"]
    assert run(tmp_path, line, models, rows.astype(np.float32)) == (2, None)
    assert said in capsys.readouterr().err


def test_a_curve_ends_where_a_model_has_no_finite_score(tmp_path):
    b = im.ModelBuilder()
    total = b.dense(b.input(["a", "b"]), np.array([[1, 1]]), None)
    info = b.build(output=b.activation(total, "RECIPROCAL"))
    rows = np.float32([[0, 1], [-1, 3], [2, 2], [-3, 0]])  # -1 + 1 and -3 + 3 have no reciprocal
    code, page = run(
        *(tmp_path, ["compare", *[str(tmp_path / "a.json")] * 2, "--dependence", "2"]),
        *({"a.json": info}, rows),
    )
    assert code == 0
    assert page.count("Mean score by") == 4  # a caption, and for who cannot see, of both inputs
    assert not {"nan", "inf"} & {part.split('"')[0] for part in page.split('cy="')}
