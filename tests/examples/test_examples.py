"""What the package ships and what the README says: models, data, the demo, the snippets."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT, SHIPPED

import instmodel as im
from instmodel.cli import main
from instmodel.cli.demo_models import DEMOS, run_demos

README = (ROOT / "README.md").read_text(encoding="utf-8")

# As instmodel/examples/README.md tells: rows, accuracy of all rows, of the rows held out.
TOLD = {
    "breast_cancer_logistic": (569, 0.9877, 0.9718),
    "breast_cancer_network": (569, 0.9877, 0.9577),
    "digits_softmax": (1797, 0.9911, 0.9644),
}


@pytest.fixture(scope="module")
def results():
    return {result.name: result for result in run_demos()}


@pytest.mark.parametrize(("name", "data"), DEMOS)
def test_shipped_models_reproduce_scikit_learn(name, data):
    assert main(["verify", str(SHIPPED / f"{name}.json")]) == 0
    info = im.InstructionModelInfo.load(SHIPPED / f"{name}.json")
    assert len(info.validation_data.inputs) == 8
    # The cases are rows of the shipped data, from its first to its last.
    rows = np.loadtxt(SHIPPED / f"{data}.csv", delimiter=",", skiprows=1, dtype=np.float32)
    picked = rows[np.linspace(0, len(rows) - 1, 8).astype(int), :-1]
    assert np.array_equal(np.stack(info.validation_data.inputs), picked)
    header = (SHIPPED / f"{data}.csv").read_text().splitlines()[0].split(",")
    assert header == [*info.features, "target"]


@pytest.mark.parametrize("name", TOLD)
def test_accuracies_are_those_that_are_told(results, name):
    rows, accuracy, held_out = TOLD[name]
    result = results[name]
    assert len(result.scores) == rows
    assert round(result.accuracy, 4) == accuracy
    assert round(result.held_out_accuracy, 4) == held_out
    assert result.largest_error < 1e-5
    row = f"| `{name}` | {accuracy:.4f} | {held_out:.4f} |"
    assert row in (SHIPPED / "README.md").read_text(encoding="utf-8")


def test_the_demo_verifies_scores_and_writes(tmp_path, monkeypatch, capsys, results):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    said = capsys.readouterr().out
    for name, data in DEMOS:
        assert re.search(rf"^{name} +{TOLD[name][0]} ", said, re.MULTILINE)
        assert f"{results[name].accuracy:.4f}" in said
        written = tmp_path / f"instmodel-demo-{name}.csv"
        assert written.name in said
        # The same bytes as `score` writes.
        arguments = [str(SHIPPED / f"{name}.json"), str(SHIPPED / f"{data}.csv"), "-o", "out.csv"]
        assert main(["score", *arguments]) == 0
        assert written.read_bytes() == Path("out.csv").read_bytes()
    assert len(list(tmp_path.glob("instmodel-demo-*.csv"))) == len(DEMOS)


def test_the_demo_writes_into_a_new_folder(tmp_path):
    assert main(["demo", "-o", str(tmp_path / "a" / "b")]) == 0
    assert len(list((tmp_path / "a" / "b").iterdir())) == len(DEMOS)


def test_the_training_script_knows_where_the_data_is_from():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    for name, data in (
        ("breast_cancer", datasets.load_breast_cancer()),
        ("digits", datasets.load_digits()),
    ):
        rows = np.loadtxt(SHIPPED / f"{name}.csv", delimiter=",", skiprows=1)
        assert np.array_equal(rows[:, :-1], data.data)
        assert np.array_equal(rows[:, -1], data.target)


# ------------------------------------------------------------------------------------- the README


def test_readme_snippets_run_in_order(tmp_path, monkeypatch):
    # They name files from the repository root, and write beside them.
    (tmp_path / "instmodel").mkdir()
    (tmp_path / "instmodel" / "examples").symlink_to(SHIPPED)
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert len(snippets) >= 5
    names = {}
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), names)
    assert (tmp_path / "my_model.json").exists()
    assert names["error_code"] == "input_size_mismatch"


def test_readme_has_exactly_the_two_ways_in():
    venv = "python3 -m venv .venv && .venv/bin/pip install "
    lines = [line for line in README.splitlines() if "python3 -m venv" in line]
    assert lines == [
        venv + ". && .venv/bin/instmodel demo",
        venv + "-e '.[test]' && .venv/bin/pytest",
    ]


def test_readme_json_is_a_model():
    text = re.search(r"^```json\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)[1]
    info = im.InstructionModelInfo.from_json(text)
    assert im.InstructionModel(info).feature_size == 2


PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
    *(ROOT / "examples" / "README.md", SHIPPED / "README.md"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: "-".join(page.parts[-2:]))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for path, heading in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text):
        target = page.resolve().parent / path if path else page
        assert target.exists(), path
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in anchors, f"{path}#{heading}"
