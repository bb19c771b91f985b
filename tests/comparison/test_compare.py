"""`compare` counts what it says, and its metrics are those of scikit-learn."""

import csv
import json
import tracemalloc

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main

pytest.importorskip("sklearn")

from scipy import stats
from sklearn import metrics

from instmodel.comparison import gathering
from instmodel.signatures.population import population_stability_index
from instmodel.tables.sample import Sample

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(2000, 3)).astype(np.float32)
CODES = RNG.integers(0, 4, 2000)
WEIGHTS = np.array([[1.0, -2.0, 0.5]])


def logistic(shift=0.0, names="abc"):
    b = im.ModelBuilder()
    return b.build(output=b.dense(b.input(list(names)), WEIGHTS + shift, [0.1], "SIGMOID"))


def softmax(shift=0.0, classes=3):
    b = im.ModelBuilder()
    w = np.random.default_rng(1).normal(size=(classes, 3)) + shift
    return b.build(output=b.dense(b.input(list("abc")), w, None, "SOFTMAX"))


def linear(shift=0.0):
    b = im.ModelBuilder()
    return b.build(output=b.dense(b.input(list("abc")), WEIGHTS + shift))


OLD, NEW = logistic(), logistic([[0.3, 0.1, -0.4]])
TRUTH = (RNG.random(2000) < im.InstructionModel(OLD).predict(ROWS)[:, 0]).astype(float)


def scores(info, rows=ROWS):
    return im.InstructionModel(info).predict(rows).astype(float)


def data(*columns):
    return np.column_stack([ROWS, *columns])


def test_moves_and_decisions_are_counted():
    found = im.compare(OLD, NEW, ROWS, threshold=0.4, batch_rows=300)
    a, b = scores(OLD)[:, 0], scores(NEW)[:, 0]
    assert found.rows == found.sampled_rows == 2000
    assert found.flips == np.sum((a >= 0.4) != (b >= 0.4))
    assert found.flips_up == np.sum((a < 0.4) & (b >= 0.4))
    assert found.flips == found.flips_up + found.flips_down
    assert found.largest_move == np.abs(b - a).max()
    assert found.mean_move == pytest.approx(np.abs(b - a).mean())
    assert found.rank_correlation == pytest.approx(stats.spearmanr(a, b).statistic)
    order = np.argsort(-np.abs(b - a))[:10]
    assert [mover.row for mover in found.movers] == order.tolist()
    assert found.movers[0].inputs == ROWS[order[0]].tolist()
    assert found.new.mean == pytest.approx(b.mean())
    assert found.old.quantiles[3] == np.median(a)
    assert sum(found.old.histogram) == sum(found.new.histogram) == 2000


def test_metrics_of_two_classes_are_scikit_learns():
    found = im.compare(OLD, NEW, data(TRUTH), labels=3)
    assert found.task == "binary"
    for info, got in ((OLD, found.old_metrics), (NEW, found.new_metrics)):
        score = scores(info)[:, 0]
        chosen = score >= 0.5
        assert got["accuracy"] == metrics.accuracy_score(TRUTH, chosen)
        assert got["f1"] == metrics.f1_score(TRUTH, chosen)
        assert got["roc_auc"] == metrics.roc_auc_score(TRUTH, score)
        assert got["log_loss"] == metrics.log_loss(TRUTH, score)
        assert got["brier"] == pytest.approx(metrics.brier_score_loss(TRUTH, score))
        assert got["confusion_matrix"] == metrics.confusion_matrix(TRUTH, chosen).tolist()
        assert len(got["calibration"]) == 10


def test_metrics_of_many_classes_are_scikit_learns():
    old, new = softmax(), softmax([[0.5], [0.0], [-0.5]])
    truth = scores(old).argmax(axis=1)
    truth[::7] = 1
    found = im.compare(old, new, data(truth), labels="truth")
    assert found.task == "multiclass"
    score = scores(new)
    got = found.new_metrics
    assert got["accuracy"] == metrics.accuracy_score(truth, score.argmax(axis=1))
    assert got["recall"] == metrics.recall_score(truth, score.argmax(axis=1), average="macro")
    assert got["roc_auc"] == metrics.roc_auc_score(
        truth, score / score.sum(axis=1, keepdims=True), multi_class="ovr"
    )
    assert found.flips == np.sum(scores(old).argmax(axis=1) != score.argmax(axis=1))


def test_of_outputs_of_which_the_largest_decides_all_must_be_finite():
    b = im.ModelBuilder()
    x = b.input(list("abc"))
    info = b.build(output=b.copy_masked(x, [0, 1, 2]))
    rows = ROWS.copy()
    rows[7, 0] = np.nan  # the largest for argmax, and not the output that is looked at
    with pytest.raises(im.InputError, match="not finite") as caught:
        im.compare(info, info, rows)
    assert (caught.value.code, caught.value.row) == ("non_finite_value", 7)
    assert im.compare(info, info, rows, task="binary", threshold=0.5).flips == 0


def test_the_sample_of_many_outputs_has_fewer_rows(monkeypatch):
    monkeypatch.setattr(gathering, "_MOST_SCORES", 7000)
    found = im.compare(softmax(), softmax(0.1), data(TRUTH), labels="truth")
    assert (found.rows, found.sampled_rows) == (2000, 1000)  # twice three scores, and the label
    assert found.flips == im.compare(softmax(), softmax(0.1), ROWS).flips


def test_two_classes_may_have_an_output_each():
    old, new = softmax(classes=2), softmax([[0.5], [-0.5]], classes=2)
    found = im.compare(old, new, data(TRUTH), labels="truth")
    assert found.task == "multiclass"
    score = scores(new)
    got = found.new_metrics
    assert got["accuracy"] == metrics.accuracy_score(TRUTH, score.argmax(axis=1))
    assert got["roc_auc"] == metrics.roc_auc_score(TRUTH, score[:, 1] / score.sum(axis=1))


@pytest.mark.parametrize("output", [0, 1])
def test_labels_of_one_output_of_several_are_compared_with_that_output(output):
    old, new = softmax(), softmax([[0.5], [0.0], [-0.5]])
    score = scores(new)[:, output]
    found = im.compare(old, new, data(TRUTH), labels="truth", task="binary", output=output)
    assert found.new_metrics["roc_auc"] == metrics.roc_auc_score(TRUTH, score)
    found = im.compare(old, new, data(TRUTH), labels="truth", task="regression", output=output)
    assert found.new_metrics["mae"] == metrics.mean_absolute_error(TRUTH, score)


def test_metrics_of_values_are_scikit_learns():
    truth = (ROWS @ WEIGHTS[0] + RNG.normal(size=2000)).astype(np.float32)
    found = im.compare(linear(), linear(0.2), data(truth), labels=3, tolerance=0.5)
    assert found.task == "regression"
    value = scores(linear(0.2))[:, 0]
    got = found.new_metrics
    assert got["mae"] == pytest.approx(metrics.mean_absolute_error(truth, value))
    assert got["rmse"] == pytest.approx(np.sqrt(metrics.mean_squared_error(truth, value)))
    assert got["r2"] == pytest.approx(metrics.r2_score(truth, value))
    assert got["mape"] == pytest.approx(metrics.mean_absolute_percentage_error(truth, value))
    assert got["share_within_tolerance"] == np.mean(np.abs(truth - value) <= 0.5)


def test_the_stability_index_is_that_of_its_formula():
    old, new = RNG.normal(size=10_000), RNG.normal(0.3, 1.2, size=10_000)
    edges = np.quantile(old, np.arange(1, 10) / 10)
    q = np.histogram(new, [-np.inf, *edges, np.inf])[0] / 10_000
    expected = np.sum((q - 0.1) * np.log(q / 0.1))
    assert population_stability_index(old, new) == pytest.approx(expected, rel=1e-3)
    assert population_stability_index(old, old) == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(population_stability_index(np.zeros(10), np.ones(10)))


def test_features_are_matched_by_name():
    twin = logistic(names="cab")
    twin.weights[0] = WEIGHTS[:, [2, 0, 1]].astype(np.float32)
    assert im.compare(OLD, twin, ROWS).largest_move < 1e-6
    assert np.isnan(im.compare(OLD, OLD, ROWS[:1]).rank_correlation)


@pytest.mark.parametrize("score", [0.0, 1e-40, 1e7, 1e30])
def test_scores_that_are_all_the_same_have_a_distribution(score):
    found = im.compare(linear(), linear(), np.full((5, 3), [score, 0, 0], np.float32))
    assert sum(found.old.histogram) == sum(found.new.histogram) == 5


def test_a_sample_keeps_few_rows_in_their_order():
    sample = Sample(1000, 2)
    rows = np.arange(1400.0).reshape(700, 2)
    for part in np.split(rows, [0, 1, 4, 4, 90, 101, 650]):
        sample.add(part)
    assert np.array_equal(sample.rows, rows)
    assert sample.complete


def test_a_sample_is_uniform_and_bounded():
    sample = Sample(1000, 1)
    for part in np.split(np.arange(50_000.0), 37 * np.arange(1, 1000)):
        sample.add(part[:, None])
    kept = sample.rows[:, 0]
    assert not sample.complete
    assert (len(kept), sample.seen, len(np.unique(kept))) == (1000, 50_000, 1000)
    assert stats.kstest(kept / 50_000, "uniform").pvalue > 0.01


def test_memory_does_not_grow_with_the_data(tmp_path):
    peaks = []
    for name, times in (("small.npy", 20), ("large.npy", 200)):
        np.save(tmp_path / name, np.tile(data(TRUTH).astype(np.float32), (times, 1)))
        tracemalloc.start()
        found = im.compare(OLD, NEW, tmp_path / name, labels=3, most_rows=10_000, batch_rows=10_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (found.rows, found.sampled_rows) == (2000 * times, 10_000)
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"new": softmax()}, "output_size_mismatch"),
        ({"new": logistic(names="abd")}, "column_mismatch"),
        ({"output": 1}, "result_index_out_of_bounds"),
        ({"task": "guess"}, "invalid_type"),
        ({"task": "multiclass"}, "invalid_type"),
        ({"data": ROWS[:0]}, "no_rows"),
        ({"threshold": np.nan}, "non_finite_value"),
        ({"data": np.full((2, 3), np.nan)}, "non_finite_value"),
    ],
)
def test_what_cannot_be_compared_is_an_error(arguments, code):
    with pytest.raises(im.InstModelError) as caught:
        im.compare(**({"old": OLD, "new": NEW, "data": ROWS} | arguments))
    assert caught.value.code == code


def test_labels_that_are_no_classes_are_an_error():
    with pytest.raises(im.InstModelError) as caught:
        im.compare(softmax(), softmax(), data(np.full(2000, 3)), labels=3)
    assert caught.value.code == "invalid_label"
    for wrong in (2.0, 0.7):
        with pytest.raises(im.InstModelError) as caught:
            im.compare(OLD, NEW, data(np.full(2000, wrong)), labels=3, task="binary")
        assert caught.value.code == "invalid_label"


def test_rows_without_a_label_or_a_score_are_told():
    labels = TRUTH.copy()
    labels[[5, 7]] = np.nan
    with pytest.raises(im.InstModelError, match="2 of 2000 rows have no finite label") as caught:
        im.compare(OLD, NEW, dict(zip("abct", data(labels).T, strict=True)), labels="t")
    assert (caught.value.code, caught.value.column) == ("non_finite_value", "t")
    rows = ROWS.copy()
    rows[1234, 1] = np.nan
    with pytest.raises(im.InstModelError, match="old model") as caught:
        im.compare(OLD, NEW, rows, batch_rows=100)
    assert (caught.value.code, caught.value.row) == ("non_finite_value", 1234)


def test_a_row_that_does_not_move_is_no_mover(tmp_path, capsys):
    assert im.compare(OLD, OLD, ROWS).movers == []
    OLD.save(tmp_path / "old.json")
    np.save(tmp_path / "rows.npy", ROWS)
    old = str(tmp_path / "old.json")
    assert main(["compare", old, old, "--data", str(tmp_path / "rows.npy")]) == 0
    assert "No row moves." in capsys.readouterr().out


def test_a_row_of_many_inputs_is_cut_short_visibly(tmp_path, capsys):
    b = im.ModelBuilder()
    b.build(output=b.dense(b.input(7), np.ones((1, 7)), None)).save(tmp_path / "old.json")
    b = im.ModelBuilder()
    b.build(output=b.dense(b.input(7), np.zeros((1, 7)), None)).save(tmp_path / "new.json")
    np.save(tmp_path / "rows.npy", np.arange(1, 8, dtype=np.float32)[None])
    files = [str(tmp_path / name) for name in ("old.json", "new.json", "rows.npy")]
    assert main(["compare", files[0], files[1], "--data", files[2]]) == 0
    assert "input 4=5, input 5=6 …\n" in capsys.readouterr().out


def test_a_comparison_shows_itself_in_one_line():
    shown = repr(im.compare(OLD, NEW, data(TRUTH, CODES), labels=3, by=4))
    assert shown.startswith("Comparison(rows=2000, ")
    assert "task='binary'" in shown
    assert len(shown) < 500


def test_the_command_line_shows_and_prints_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    OLD.save("old.json")
    NEW.save("new.instmodel")
    with open("data.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["truth", *"cba", "code"])
        for row, truth, code in zip(ROWS.tolist(), TRUTH, CODES, strict=True):
            writer.writerow([truth, *row[::-1], code])
    arguments = ["compare", "old.json", "new.instmodel", "--data", "data.csv"]
    assert main([*arguments, "--labels", "truth", "--by", "code"]) == 0
    shown = capsys.readouterr().out
    assert "ROC AUC" in shown
    assert "By code, against the labels" in shown
    assert "Population stability index" in shown
    matrix = metrics.confusion_matrix(TRUTH, scores(NEW)[:, 0] >= 0.5)
    lines = shown.split("Confusion matrix, new\n")[1].splitlines()[2:4]
    assert [[int(cell) for cell in line.split()[1:]] for line in lines] == matrix.tolist()
    assert main([*arguments, "--labels", "truth", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    score = scores(NEW)[:, 0]
    assert found["new_metrics"]["roc_auc"] == metrics.roc_auc_score(TRUTH, score)
    assert main([*arguments, "--labels", "missing"]) == 2


def test_features_that_only_one_model_takes_are_named():
    with pytest.raises(im.InstModelError) as caught:
        im.compare(logistic(), logistic(names="axc"), ROWS)
    said = "the models take other features; only the first one takes b; only the second one takes x"
    assert caught.value.message == said
