"""What `compare --by` says of each group: rates, intervals, and which groups are small."""

import tracemalloc

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.comparison.intervals import auc_interval, share_interval
from instmodel.comparison.summary import comparison_summary

pytest.importorskip("sklearn")

from sklearn import metrics

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(2000, 3)).astype(np.float32)
REGION = RNG.choice(["north", "south", "island"], 2000, p=[0.5, 0.47, 0.03])
SEX = RNG.choice(["f", "m"], 2000)


def logistic(shift=0.0, last="SIGMOID"):
    b = im.ModelBuilder()
    weights = np.array([[1.0, -2.0, 0.5]]) + shift
    return b.build(output=b.dense(b.input(list("abc")), weights, [0.1], last))


OLD, NEW = logistic(), logistic([[0.3, 0.1, -0.4]])
A, B = (im.InstructionModel(info).predict(ROWS)[:, 0].astype(float) for info in (OLD, NEW))
TRUTH = (RNG.random(2000) < A).astype(int)


def table(**columns):
    return {**dict(zip("abc", ROWS.T, strict=True)), "y": TRUTH, **columns}


def test_groups_have_rates_and_their_intervals():
    found = im.compare(OLD, NEW, table(r=REGION), labels="y", by="r", threshold=0.4)
    assert [group.value for group in found.groups] == ["north", "south", "island"]
    for group in found.groups:
        part = group.value == REGION
        for score, rate, interval, figures in (
            (A, group.old_positive_rate, group.old_positive_interval, group.old_metrics),
            (B, group.new_positive_rate, group.new_positive_interval, group.new_metrics),
        ):
            chosen, truth = score[part] >= 0.4, TRUTH[part]
            tn, fp, fn, tp = metrics.confusion_matrix(truth, chosen).ravel()
            assert rate == chosen.mean() == figures["positive_rate"]
            assert interval == share_interval(chosen.sum(), part.sum())
            assert figures["false_positive_rate"] == fp / (fp + tn)
            assert figures["false_negative_rate"] == fn / (fn + tp)
            assert figures["intervals"]["false_positive_rate"] == share_interval(fp, fp + tn)
            assert figures["intervals"]["roc_auc"] == auc_interval(truth, score[part])
            assert figures["observed_rate"] == truth.mean()
            assert figures["mean_score"] == pytest.approx(score[part].mean())
            assert not {"roc", "bands", "gain", "calibration"} & set(figures)
        assert group.small == (group.value == "island")


def test_rates_of_all_rows_are_counted_even_if_few_are_sampled():
    found = im.compare(OLD, NEW, table(r=REGION), labels="y", by="r", most_rows=100)
    for group in found.groups:
        part = group.value == REGION
        assert (group.rows, group.old_positive_rate) == (part.sum(), (A[part] >= 0.5).mean())


@pytest.mark.parametrize("order", [["r", "s", "a", "b", "c", "y"], ["a", "b", "y", "c", "s", "r"]])
def test_columns_of_text_may_stand_anywhere_in_a_file(tmp_path, order):
    columns = table(r=REGION, s=SEX)
    rows = zip(*(columns[name] for name in order), strict=True)
    lines = [",".join(order), *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "data.csv").write_text("\n".join(lines) + "\n")
    found = im.compare(OLD, NEW, tmp_path / "data.csv", labels="y", by=["r", "s"], batch_rows=300)
    plain = im.compare(OLD, NEW, columns, labels="y", by=["r", "s"])
    assert found.groupings == plain.groupings


@pytest.mark.parametrize("side", ["above", "below"])
def test_who_is_approved_is_counted_on_the_side_that_was_named(side):
    found = im.compare(OLD, NEW, table(r=REGION), by="r", approve=side, most_rows=100)
    approved = (A >= 0.5) == (side == "above"), (B >= 0.5) == (side == "above")
    assert [found.old_approval_rate, found.new_approval_rate] == [x.mean() for x in approved]
    for group in found.groups:
        part = group.value == REGION
        assert group.new_approval_rate == approved[1][part].mean()
        assert group.old_approval_interval == share_interval(approved[0][part].sum(), part.sum())
    shown = {t.id: t for t in comparison_summary(found, "old", "new", 3).tables}
    assert "approved, old" in shown["groups"].columns
    assert shown["moves"].rows[-1] == ["Approved, new", f"{100 * approved[1].mean():.1f} %"]
    assert im.compare(OLD, NEW, ROWS).old_approval_rate is None
    with pytest.raises(im.InstModelError):
        im.compare(OLD, NEW, ROWS, approve="maybe")


def test_approval_without_a_threshold_is_an_error():
    b = im.ModelBuilder()
    x = b.input(3)
    values, classes = b.build(output=b.copy_masked(x, [0])), b.build(output=x)
    for model, options in ((values, {}), (values, {"task": "regression"}), (classes, {})):
        with pytest.raises(im.InputError, match="asks for a threshold") as caught:
            im.compare(model, model, ROWS, approve="above", **options)
        assert (caught.value.code, caught.value.field) == ("missing_field", "threshold")
        found = im.compare(model, model, ROWS, approve="above", threshold=0.0, **options)
        assert found.old_approval_rate == found.new_approval_rate > 0


def test_several_columns_have_a_table_each():
    found = im.compare(OLD, NEW, table(r=REGION, s=SEX), labels="y", by=["r", "s"])
    alone = [im.compare(OLD, NEW, table(r=REGION, s=SEX), labels="y", by=by) for by in "rs"]
    assert [by.column for by in found.groupings] == ["r", "s"]
    assert [by.groups for by in found.groupings] == [one.groups for one in alone]
    assert found.groups == found.groupings[0].groups
    tables = {t.id: t for t in comparison_summary(found, "old", "new", 3).tables}
    assert [tables[id].title for id in ("groups", "group-labels-1")] == [
        "By r",
        "By s, against the labels",
    ]
    assert [row[0] for row in tables["groups"].rows] == ["north", "south", "island *"]


def test_columns_of_an_array_follow_in_order():
    data = np.column_stack([ROWS, TRUTH, SEX == "m", REGION == "north"])
    found = im.compare(OLD, NEW, data, labels="y", by=["s", "r"])
    named = im.compare(
        *(OLD, NEW, table(s=SEX == "m", r=REGION == "north")), labels="y", by=["s", "r"]
    )
    assert found.groupings == named.groupings


def test_a_group_may_be_one_row_or_of_one_class():
    region = np.where(np.arange(2000) == 5, "alone", np.where(TRUTH == 1, "bad", "good"))
    found = im.compare(OLD, NEW, table(r=region), labels="y", by="r")
    groups = {group.value: group for group in found.groups}
    assert groups["alone"].rows == 1
    assert groups["alone"].small
    assert groups["alone"].old_positive_rate in (0, 1)
    for group in groups.values():
        assert "roc_auc" not in group.new_metrics
        assert group.small  # no group has both classes
    tables = {t.id: t for t in comparison_summary(found, "old", "new", 3).tables}
    assert "–" in tables["group-labels"].rows[0]


def test_without_a_threshold_groups_have_no_decisions():
    data = table(r=REGION) | {"y": ROWS.sum(axis=1)}
    found = im.compare(logistic(last=None), logistic(0.1, None), data, labels="y", by="r")
    for group in found.groups:
        assert (group.flips, group.old_positive_rate, group.old_positive_interval) == (None,) * 3
        assert group.new_metrics["rmse"] > 0
    tables = {t.id: t for t in comparison_summary(found, "old", "new", 3).tables}
    assert list(tables["groups"].columns) == ["value", "rows", "mean, old", "mean, new"]
    assert "MAE, old" in tables["group-labels"].columns


def test_the_command_line_takes_several_columns(tmp_path, capsys):
    OLD.save(tmp_path / "old.json")
    NEW.save(tmp_path / "new.json")
    columns = table(r=REGION, s=SEX)
    rows = "\n".join(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))
    (tmp_path / "data.csv").write_text(",".join(columns) + "\n" + rows + "\n")
    command = ["compare", str(tmp_path / "old.json"), str(tmp_path / "new.json")]
    command += ["--data", str(tmp_path / "data.csv"), "--labels", "y", "--by", "r", "--by", "s"]
    assert main([*command, "--reference", str(tmp_path / "data.csv"), "--dependence", "2"]) == 0
    shown = capsys.readouterr().out
    for title in ("By r", "By s, against the labels", "Gains by score band, new", "Importance: "):
        assert f"\n{title}" in shown
    assert "* Small: fewer than 100 rows or 10 of a class" in shown


def test_memory_does_not_grow_with_the_data_whatever_is_asked_for(tmp_path):
    peaks = []
    words = np.where(TRUTH == 1, "bad", "good")
    for name, times in (("small", 3), ("large", 24)):
        columns = {
            key: np.tile(column, times) for key, column in table(y=words, r=REGION, s=SEX).items()
        }
        path = tmp_path / f"{name}.csv"
        with open(path, "w") as file:
            file.write(",".join(columns) + "\n")
            file.writelines(",".join(map(str, row)) + "\n" for row in zip(*columns.values()))  # noqa: B905
        tracemalloc.start()
        found = im.compare(
            *(OLD, NEW, path),
            labels="y",
            positive="bad",
            by=["r", "s"],
            reference=path,
            dependence=1,
            most_rows=2000,
            batch_rows=1000,
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (found.rows, found.sampled_rows) == (2000 * times, 2000)
        assert (found.reference.rows, found.reference.data_rows) == (2000 * times, 2000)
    assert peaks[1] < 1.3 * peaks[0]
