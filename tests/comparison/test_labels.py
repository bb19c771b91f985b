"""Labels of any kind, and what is decided: neither is guessed where it makes a difference."""

import csv

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.comparison.summary import comparison_summary

pytest.importorskip("sklearn")

from sklearn import metrics

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(600, 3)).astype(np.float32)


def network(outputs=1, seed=0, last="SIGMOID", classes=None):
    b = im.ModelBuilder()
    weights = np.random.default_rng(seed).normal(size=(outputs, 3))
    info = b.build(output=b.dense(b.input(list("abc")), weights, None, last))
    info.metadata = None if classes is None else {"classes": classes}
    return info


OLD, NEW = network(seed=1), network(seed=2)
SCORE = im.InstructionModel(NEW).predict(ROWS)[:, 0].astype(float)
TRUTH = RNG.random(600) < SCORE
CLASSES = RNG.integers(0, 3, 600)


def table(labels, **columns):
    return {**dict(zip("abc", ROWS.T, strict=True)), "y": labels, **columns}


def compare(labels, old=OLD, new=NEW, **arguments):
    return im.compare(old, new, table(labels), labels="y", **arguments)


EXPECTED = metrics.roc_auc_score(TRUTH, SCORE)
EXPECTED_OLD = metrics.roc_auc_score(TRUTH, im.InstructionModel(OLD).predict(ROWS)[:, 0])
WORDS = np.where(TRUTH, "bad", "good")


def write_csv(path, columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


@pytest.mark.parametrize(
    ("labels", "arguments", "names"),
    [
        (WORDS, {"positive": "bad"}, ["good", "bad"]),
        (WORDS, {"classes": ["good", "bad"]}, ["good", "bad"]),
        (TRUTH, {}, None),
        (TRUTH.astype(int), {}, None),
        (TRUTH.astype(float), {"positive": 1}, ["0", "1"]),
        (TRUTH + 1, {"positive": "2"}, ["1", "2"]),
        (np.where(TRUTH, 7.5, -1), {"classes": [-1, 7.5]}, ["-1", "7.5"]),
        (TRUTH, {"classes": ["False", "True"]}, ["False", "True"]),
        (TRUTH.astype(int), {"classes": ["good", "bad"]}, ["good", "bad"]),
        (TRUTH, {"positive": "True"}, ["False", "True"]),
    ],
)
@pytest.mark.parametrize("where", ["memory", "CSV"])
def test_labels_of_two_classes(tmp_path, where, labels, arguments, names):
    data = table(labels)
    if where == "CSV":
        if labels.dtype == bool and not arguments:
            return  # a file without types does not say that True is 1
        write_csv(tmp_path / "data.csv", data)
        data = tmp_path / "data.csv"
    found = im.compare(OLD, NEW, data, labels="y", batch_rows=70, **arguments)
    assert found.new_metrics["roc_auc"] == pytest.approx(EXPECTED)
    assert (found.task, found.classes) == ("binary", names)


def test_a_model_knows_its_classes():
    named = network(seed=2, classes=["good", "bad"])
    assert compare(WORDS, new=named).new_metrics["roc_auc"] == pytest.approx(EXPECTED)
    flipped = np.where(TRUTH, "good", "bad")
    assert compare(flipped, new=named).new_metrics["roc_auc"] == pytest.approx(1 - EXPECTED)


def test_labels_are_names_of_classes_before_they_are_numbers():
    words = np.array(["mid", "low", "high"])
    classes = ["mid", "low", "high"]
    old, new = (network(3, seed, "SOFTMAX", classes) for seed in (1, 2))
    found = compare(words[CLASSES], old, new)
    chosen = im.InstructionModel(new).predict(ROWS).argmax(axis=1)
    assert found.new_metrics["accuracy"] == metrics.accuracy_score(CLASSES, chosen)
    assert found.classes == classes
    years = [2024, 2025, 2026]
    old, new = (network(3, seed, "SOFTMAX", years) for seed in (1, 2))
    found = compare(np.array(years)[CLASSES], old, new)
    assert found.new_metrics["accuracy"] == metrics.accuracy_score(CLASSES, chosen)


def test_labels_that_are_values_are_no_classes():
    """A model that knows its classes may be compared with values that look like them."""
    old, new = (network(seed=seed, classes=[1, 2]) for seed in (1, 2))
    values = 1.0 + TRUTH
    found = compare(values, old, new, task="regression")
    assert found.new_metrics["mae"] == pytest.approx(metrics.mean_absolute_error(values, SCORE))
    assert compare(values, old, new).new_metrics["roc_auc"] == pytest.approx(EXPECTED)


def test_of_several_outputs_that_of_the_positive_class_is_judged():
    old, new = (network(2, seed, "SOFTMAX", ["bad", "good"]) for seed in (1, 2))
    found = compare(WORDS, old, new, positive="bad")
    score = im.InstructionModel(new).predict(ROWS)[:, 0]
    assert (found.output, found.task) == (0, "binary")
    assert found.new_metrics["roc_auc"] == pytest.approx(metrics.roc_auc_score(TRUTH, score))


@pytest.mark.parametrize(
    ("labels", "arguments", "said"),
    [
        (WORDS, {}, "labels are text"),
        (np.append(WORDS[1:], "maybe"), {"positive": "bad"}, "more than two kinds"),
        (WORDS, {"positive": "BAD"}, "no row has the label 'BAD'; did you mean 'bad'"),
        (np.full(600, "x"), {"positive": "bad"}, "no row has the label 'bad'"),
        (WORDS, {"classes": ["good", "evil"]}, "none of the classes.*'bad'"),
        (WORDS, {"new": network(seed=2, classes=["good", "evil"])}, "none of the classes"),
        (TRUTH + 1, {"classes": ["good", "evil"]}, "none of the classes"),
        (WORDS, {"new": network(classes=["bad", "good"]), "positive": "bad"}, "not that of the"),
        (WORDS, {"new": network(classes=["b", "g"]), "positive": "bad"}, "no class of the models"),
        (WORDS, {"old": network(classes=["a", "b"]), "new": network(classes=["b", "a"])}, "other"),
    ],
)
def test_labels_that_fit_nothing_are_an_error(labels, arguments, said):
    with pytest.raises(im.InstModelError, match=said) as caught:
        compare(labels, **arguments)
    assert caught.value.code == "invalid_label"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"classes": ["a"]}, "classes"),
        ({"classes": "ab"}, "classes"),
        ({"classes": ["a", "a"]}, "classes"),
        ({"classes": [None, "a"]}, "classes"),
        ({"positive": 1, "task": "regression"}, "positive"),
        ({"positive": 1, "labels": None}, "positive"),
    ],
)
def test_arguments_that_contradict_are_an_error(arguments, field):
    with pytest.raises(im.InstModelError) as caught:
        im.compare(OLD, NEW, table(TRUTH), **({"labels": "y"} | arguments))
    assert (caught.value.code, caught.value.field) == ("invalid_type", field)


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf"), ""])
def test_rows_without_a_label_are_counted_whatever_the_labels_are(tmp_path, missing):
    labels = [*WORDS[:-3].tolist(), missing, missing, missing]
    columns = table(["" if label is None else label for label in labels])
    write_csv(tmp_path / "data.csv", columns)
    tables = [tmp_path / "data.csv"] if missing == "" else [table(labels), tmp_path / "data.csv"]
    for data in tables:
        with pytest.raises(im.InstModelError, match="3 of 600 rows have no finite label"):
            im.compare(OLD, NEW, data, labels="y", positive="bad", batch_rows=100)


def test_values_are_the_same_numbers_in_any_table(tmp_path):
    value = (ROWS.sum(axis=1) * 1.7).astype(np.float64)
    write_csv(tmp_path / "data.csv", table([repr(float(x)) for x in value]))
    for data in (table(value), table(value.tolist()), tmp_path / "data.csv"):
        found = im.compare(OLD, NEW, data, labels="y", batch_rows=100)
        assert found.new_metrics["mae"] == metrics.mean_absolute_error(value, SCORE)
    with pytest.raises(im.InstModelError, match="no finite label"):
        compare([10**400] * 600)


def test_the_command_line_takes_text(tmp_path, capsys):
    OLD.save(tmp_path / "old.json")
    NEW.save(tmp_path / "new.json")
    write_csv(tmp_path / "data.csv", table(WORDS))
    files = [str(tmp_path / name) for name in ("old.json", "new.json", "data.csv")]
    command = ["compare", *files[:2], "--data", files[2], "--labels", "y"]
    for more in (["--positive", "bad"], ["--classes", "good,bad"]):
        assert main([*command, *more]) == 0
        shown = capsys.readouterr().out
        assert "Labels: good is 0, bad is 1." in shown
        assert f"{EXPECTED:.4f}" in shown
    assert main(command) == 2
    assert "say which is positive" in capsys.readouterr().err


# ------------------------------------------------------------------- what models say of themselves


NAMED = {
    "old": network(seed=1, classes=["good", "bad"]),
    "new": network(seed=2, classes=["good", "bad"]),
}


def imported(output, classes=None, seed=1, outputs=1):
    info = network(outputs, seed, "SIGMOID" if outputs == 1 else "SOFTMAX")
    info.metadata = {"output": output} | ({} if classes is None else {"classes": classes})
    return info


def test_numbers_are_classes_with_names_only_if_somebody_says_which():
    models = [imported("predict_proba", ["bad", "good"], seed) for seed in (1, 2)]
    with pytest.raises(
        im.InstModelError, match=r"expected 'bad', 'good', got '[01]', '[01]'"
    ) as caught:
        compare(TRUTH.astype(int), *models)
    assert "--classes" in caught.value.message
    found = compare(TRUTH, *models, classes=["bad", "good"])
    assert found.new_metrics["roc_auc"] == pytest.approx(EXPECTED)
    assert found.classes == ["bad", "good"]
    # The flag of a bank: 1 is bad, and the score is that of good.
    found = compare(~TRUTH, *models, classes=["good", "bad"])
    assert found.new_metrics["roc_auc"] == pytest.approx(EXPECTED)
    assert found.classes == ["bad (label 1)", "good (label 0)"]
    found = compare((~TRUTH).astype(int), *models, classes=["good", "bad"], positive="good")
    assert found.new_metrics["roc_auc"] == pytest.approx(EXPECTED)
    assert found.classes == ["bad", "good"]


@pytest.mark.parametrize("classes", [["good", "bad"], ["bad", "fine"]])
def test_classes_that_contradict_the_models_are_an_error(classes):
    models = [imported("predict_proba", ["bad", "good"], seed) for seed in (1, 2)]
    for arguments in ({}, {"positive": "good"}):
        with pytest.raises(im.InstModelError, match="'bad', 'good'") as caught:
            compare(WORDS, *models, classes=classes, **arguments)
        assert caught.value.code == "invalid_label"


@pytest.mark.parametrize("labels", [TRUTH + 1, 2 * TRUTH - 1, np.arange(600) % 60 + 18])
@pytest.mark.parametrize("classes", [[0, 1], None])
def test_a_classifier_has_no_values_for_labels_unless_somebody_says_so(labels, classes):
    models = [imported("predict_proba", classes, seed) for seed in (1, 2)]
    with pytest.raises(
        im.InstModelError, match=r"two classes apart.*expected 0 or 1, got"
    ) as caught:
        compare(labels, *models)
    assert caught.value.code == "invalid_label"
    assert compare(labels, *models, task="regression").task == "regression"
    if len(np.unique(labels)) == 2:
        found = compare(labels, *models, positive=labels.max())
        assert found.new_metrics["roc_auc"] == pytest.approx(EXPECTED)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (["bad", "good"], [0, 1], "'bad', 'good'.*0, 1"),
        ([0, 1], [1, 0], "0, 1.*1, 0"),
        (["bad", "good"], ["good", "bad"], "'bad', 'good'.*'good', 'bad'"),
    ],
)
def test_models_of_different_classes_are_not_compared(old, new, said):
    models = [imported("predict_proba", old), imported("predict_proba", new, 2)]
    with pytest.raises(im.InstModelError, match=said) as caught:
        im.compare(*models, ROWS)
    assert caught.value.code == "invalid_label"
    assert ("--classes" in caught.value.message) == (old == ["bad", "good"] and new == [0, 1])


def test_classes_name_those_that_a_model_only_numbers():
    models = [imported("predict_proba", ["good", "bad"]), imported("predict_proba", [0, 1], 2)]
    found = compare(WORDS, *models, classes=["good", "bad"])
    assert found.new_metrics["roc_auc"] == pytest.approx(EXPECTED)
    with pytest.raises(im.InstModelError, match="other classes"):
        compare(WORDS, *models, classes=["bad", "good"])


def test_a_classifier_and_a_regressor_are_not_compared_unless_somebody_says_of_what():
    models = [imported("predict_proba", [0, 1]), imported("predict", seed=2)]
    with pytest.raises(im.InstModelError, match=r"predict_proba of the classes 0, 1.*got predict"):
        im.compare(*models, ROWS)
    found = compare(TRUTH, *models, task="binary")
    assert found.new_metrics["roc_auc"] == pytest.approx(EXPECTED)


def test_the_way_out_is_named_where_the_score_is_that_of_the_other_label():
    with pytest.raises(
        im.InstModelError, match=r"--positive bad\), and approve 'above' for 'below'"
    ):
        compare(WORDS, **NAMED, positive="good")
    with pytest.raises(im.InstModelError, match=r"did you mean 'bad'\?"):
        compare(WORDS, **NAMED, positive=" Bad")


def test_the_positive_label_of_numbered_classes_is_that_of_the_score():
    models = [imported("predict_proba", [0, 1], seed) for seed in (1, 2)]
    with pytest.raises(im.InstModelError, match="not that of the positive label"):
        compare(TRUTH, *models, positive=0)
    assert compare(TRUTH, *models, positive=1).new_metrics["roc_auc"] == pytest.approx(EXPECTED)
    assert compare(WORDS, *models, positive="bad").classes == ["good", "bad"]
    assert compare(TRUTH, *models).classes is None
    models = [imported("predict_proba", [0, 1], seed, outputs=2) for seed in (1, 2)]
    assert compare(TRUTH, *models, positive=0).output == 0


@pytest.mark.parametrize(("threshold", "said"), [(0.9999999, True), (0.5, False), (0.0, True)])
def test_a_threshold_that_tells_no_scores_apart_is_pointed_at(threshold, said):
    found = compare(TRUTH, threshold=threshold)
    notes = comparison_summary(found, "old", "new", 3).notes
    assert any("same side of the threshold" in note for note in notes) == said


def test_labels_of_several_classes_are_named_where_two_are_expected():
    names = ["high", "low", "mid"]
    models = [network(3, seed, "SOFTMAX", names) for seed in (1, 2)]
    with pytest.raises(im.InstModelError, match="'high', 'low', 'mid'"):
        compare(np.array(names)[CLASSES], *models, output=1, threshold=0.3)


def test_a_model_that_ranks_worse_than_chance_is_pointed_at(tmp_path, capsys):
    OLD.save(tmp_path / "old.json")
    NEW.save(tmp_path / "new.json")
    write_csv(tmp_path / "data.csv", table((~TRUTH).astype(int)))
    files = [str(tmp_path / name) for name in ("old.json", "new.json", "data.csv")]
    assert main(["compare", *files[:2], "--data", files[2], "--labels", "y"]) == 0
    shown = capsys.readouterr().out
    assert "ROC AUC of the new model is below 0.5" in shown
    assert ("ROC AUC of the old model" in shown) == (EXPECTED_OLD > 0.5)


# -------------------------------------------------------------------------------------- decisions


def linear(seed):
    return network(seed=seed, last=None)


def test_values_are_no_decisions():
    value = ROWS.sum(axis=1)
    found = compare(value, linear(1), linear(2))
    assert (found.task, found.decision, found.threshold) == ("regression", None, None)
    assert (found.flips, found.flips_up, found.flips_down) == (None, None, None)
    assert "accuracy" not in found.new_metrics


def test_neither_are_scores_that_are_no_probabilities():
    found = compare(TRUTH, linear(1), linear(2))
    assert (found.task, found.decision, found.flips) == ("binary", None, None)
    assert "confusion_matrix" not in found.new_metrics
    assert "roc_auc" in found.new_metrics
    assert im.compare(linear(1), linear(2), ROWS).decision is None


def test_probabilities_that_are_values_are_no_decisions():
    assert compare(SCORE * 0.7, OLD, NEW).flips is None
    assert compare(TRUTH, OLD, NEW, task="regression").flips is None


@pytest.mark.parametrize("task", [None, "binary", "regression"])
def test_a_threshold_that_somebody_names_decides(task):
    old, new = (im.InstructionModel(linear(seed)).predict(ROWS)[:, 0] for seed in (1, 2))
    found = compare(TRUTH, linear(1), linear(2), threshold=-0.3, task=task)
    assert (found.decision, found.threshold) == ("threshold", -0.3)
    assert found.flips == np.sum((old >= -0.3) != (new >= -0.3))


def test_of_several_outputs_the_largest_decides_or_one_with_a_threshold():
    old, new = (network(2, seed, "SOFTMAX") for seed in (1, 2))
    a, b = (im.InstructionModel(info).predict(ROWS) for info in (old, new))
    found = compare(TRUTH, old, new)
    assert (found.decision, found.threshold, found.task) == ("largest", None, "multiclass")
    assert found.flips == np.sum(a.argmax(axis=1) != b.argmax(axis=1))
    found = compare(TRUTH, old, new, threshold=0.8)
    assert (found.decision, found.task, found.output) == ("threshold", "binary", 1)
    assert found.flips == np.sum((a[:, 1] >= 0.8) != (b[:, 1] >= 0.8))
    assert found.new_metrics["accuracy"] == metrics.accuracy_score(TRUTH, b[:, 1] >= 0.8)
    with pytest.raises(im.InstModelError, match="largest output") as caught:
        compare(TRUTH, old, new, threshold=0.8, task="multiclass")
    assert caught.value.field == "threshold"


@pytest.mark.parametrize("threshold", [20, -0.1, 1.0001])
def test_no_probability_has_a_threshold_outside_of_0_and_1(threshold):
    with pytest.raises(im.InstModelError, match="from 0 to 1") as caught:
        compare(TRUTH, threshold=threshold)
    assert (caught.value.code, caught.value.field) == ("invalid_type", "threshold")
    assert compare(TRUTH, threshold=1).flips == 0
    assert compare(TRUTH, linear(1), linear(2), threshold=20).flips == 0
