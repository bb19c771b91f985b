"""Limits hold or they do not; what cannot be judged is an error, and NaN never passes."""

import math

import numpy as np
import pytest
from support.table_models import identity

import instmodel as im
from instmodel.verification.limits import Limit, judge, limits_of, read_limit

NAN = float("nan")
FIGURES = {
    "rows": 200,
    "flips": 3,
    "psi": 0.05,
    "task": None,
    "note": "text",
    "same": True,
    "old_metrics": {"roc_auc": 0.75, "f1": 0.5, "matrix": [[1]]},
    "new_metrics": {"roc_auc": 0.8, "f1": 0.25, "matrix": [[1]], "only_new": 1.0},
    "outputs": [{"ulp": 1.0}, {"ulp": 5.0}],
    "old": {"quantiles": [0.1, 0.2, 0.9], "std": NAN},
    "groups": [
        {"value": "north", "rows": 100, "flips": 1, "new_metrics": {"roc_auc": 0.9}},
        {"value": None, "rows": 10, "flips": 2, "new_metrics": {}},
    ],
    "groupings": [
        {
            "column": "shop",
            "groups": [{"value": 1, "rows": 100, "flips": 1}],
            "other_groups": {"values": 7, "rows": 50, "flips": 5},
        },
        {"column": "day", "groups": [{"value": "x", "rows": 9, "flips": 0}], "other_groups": None},
    ],
    "coverage": {"rows": 9, "states": 80, "reached": 60},
    "none": [],
}


def outcome(figure, kind, bound):
    (found,) = judge(FIGURES, limits_of({kind: {figure: bound}})).outcomes
    return found


@pytest.mark.parametrize(
    ("figure", "kind", "bound", "value", "place", "holds"),
    [
        ("psi", "max", 0.05, 0.05, "", True),
        ("psi", "max", 0.0499, 0.05, "", False),
        ("psi", "min", 0.05, 0.05, "", True),
        ("psi", "min", 0.0501, 0.05, "", False),
        ("flips", "max", 3, 3, "", True),
        ("flips", "max", "1.5%", 0.015, "", True),
        ("flips", "max", "1.49%", 0.015, "", False),
        ("new_metrics.roc_auc", "min", 0.8, 0.8, "", True),
        ("change.f1", "min", -0.25, -0.25, "", True),
        ("change.f1", "min", 0, -0.25, "", False),
        ("outputs.ulp", "max", 4, 5, "outputs[1]", False),
        ("outputs.ulp", "min", 1, 1, "outputs[0]", True),
        ("outputs.0.ulp", "max", 4, 1, "outputs[0]", True),
        ("old.quantiles", "max", 0.8, 0.9, "old.quantiles[2]", False),
        ("old.quantiles.1", "max", 0.8, 0.2, "old.quantiles[1]", True),
        ("groups.flips", "max", "10%", 0.2, "groups[null]", False),
        ("groups.flips", "max", "20%", 0.2, "groups[null]", True),
        *(
            ("groupings.groups.flips", "max", bound, 0.1, place, bound == "10%")
            for place in ["groupings[shop].groups[the 7 others]"]
            for bound in ("10%", "9%")
        ),
        ("groupings.1.groups.flips", "max", 0, 0, "groupings[1].groups[x]", True),
        ("coverage.reached", "min", "75%", 0.75, "", True),
        ("coverage.reached", "min", "76%", 0.75, "", False),
    ],
)
def test_a_figure_at_its_bound_holds_and_beyond_it_does_not(
    figure, kind, bound, value, place, holds
):
    found = outcome(figure, kind, bound)
    assert found.value == pytest.approx(value)
    assert (found.place, found.holds) == (place, holds)


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("figure", ["old.std", "groups.new_metrics.roc_auc"])
def test_nan_and_a_figure_that_one_group_lacks_never_pass(figure, kind):
    found = outcome(figure, kind, 0.5)
    assert math.isnan(found.value)
    assert not found.holds


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ("psy", "no such figure; did you mean 'psi'?"),
        ("new_metrics.auc", "expected one of roc_auc, f1"),
        ("groups.flipps", "did you mean 'flips'"),
        ("change.only_new", "expected one of roc_auc, f1"),
        ("task", "was not computed"),
        ("none.flips", "was not computed"),
        ("outputs.7.ulp", "was not computed"),
        (f"outputs.{'9' * 5000}.ulp", "was not computed"),
        ("note", "no number"),
        ("same", "no number"),
        ("new_metrics", "no number"),
        ("psi.x", "was not computed"),
        ("", "no such figure"),
    ],
)
def test_what_is_no_figure_is_an_error(figure, said):
    with pytest.raises(im.InputError, match="unknown_figure") as caught:
        outcome(figure, "max", 1)
    assert said in str(caught.value)
    assert caught.value.field == figure


@pytest.mark.parametrize(
    "limits",
    [
        *({"max": {"psi": bad}} for bad in (NAN, math.inf, "0.1", "-1%", "101%", "%", "x%", None)),
        *({"max": {"psi": bad}} for bad in (True, [1], 10**400, 1j, "nan%")),
        *({"maximum": {"psi": 1}}, {"max": 1}, {"psi": 1}),
        *({}, {"max": {}}, {"min": {}, "max": {"groups": {}}}, {"groups": {"min_rows": 5}}),
        *(
            {"max": {"psi": 1}, "groups": bad}
            for bad in (5, {"rows": 5}, {"min_rows": "5%"}, {"min_rows": True})
        ),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limits):
    with pytest.raises(im.InputError, match="invalid_limit"):
        limits_of(limits)


@pytest.mark.parametrize("limits", [5, [1], True, [("psi", 1)]])
def test_limits_of_another_type_are_refused(limits):
    with pytest.raises(im.InstModelError, match="invalid_type"):
        limits_of(limits)


def test_a_share_is_of_counts_alone():
    for figure in ("outputs.ulp", "old.quantiles.0"):
        with pytest.raises(im.InputError, match="a share is of a count"):
            outcome(figure, "max", "1%")


def test_a_figure_that_is_a_share_gets_a_number():
    with pytest.raises(im.InputError, match=r"of this figure write 0\.7"):
        outcome("psi", "min", "70%")


@pytest.mark.parametrize("figure", ["flips", "groupings.groups.flips", "coverage.reached"])
def test_a_bound_of_a_count_that_must_be_meant_as_a_share_is_refused(figure):
    with pytest.raises(im.InputError, match="for a share write '5%'"):
        outcome(figure, "max", 0.05)


@pytest.mark.parametrize(
    ("figure", "option"),
    [
        ("flips", "--threshold"),
        ("groupings.groups.flips", "--threshold"),
        ("groupings.groups.new_metrics.roc_auc", "--labels"),
        ("new_metrics.roc_auc", "--labels"),
        ("change.roc_auc", "--labels"),
        ("auc_gain.value", "--labels"),
        ("new_approval_rate", "--approve"),
        ("groups.flips", "--by"),
        ("input_psi.psi", "--reference"),
        ("reference.new_psi", "--reference"),
        ("importance.inputs.new", "--importance"),
        ("dependence.old", "--dependence"),
        ("coverage.reached", "--no-coverage"),
    ],
)
def test_a_figure_that_was_not_computed_names_what_it_needs(figure, option):
    bare = dict.fromkeys(("flips", "auc_gain", "new_approval_rate", "reference", "importance"))
    bare |= {"coverage": None, "old_metrics": {}, "new_metrics": {}, "groups": []}
    bare |= {"input_psi": [], "dependence": []}
    group = {"value": 1, "rows": 9, "flips": None, "old_metrics": {}, "new_metrics": {}}
    bare["groupings"] = [{"groups": [group], "other_groups": None}]
    with pytest.raises(im.InputError, match=f"was not computed; it needs .*{option}"):
        judge(bare, limits_of({"max": {figure: 1}}))


def test_groups_may_be_too_small_for_a_limit():
    limits = {"max": {"groups.flips": "10%", "psi": 1}, "groups": {"min_rows": 11}}
    verdict = judge(FIGURES, limits_of(limits))
    assert [(item.place, item.value) for item in verdict.outcomes] == [
        ("groups[north]", 0.01),
        ("", 0.05),
    ]
    assert str(verdict.outcomes[0].limit) == "≤ 10 % of rows (groups of 11 rows or more)"
    assert [item["min_rows"] for item in verdict.to_list()] == [11, 0]
    limits["groups"]["min_rows"] = 10
    assert not judge(FIGURES, limits_of(limits)).holds
    limits["groups"]["min_rows"] = 101
    with pytest.raises(im.InputError, match="no group has 101 rows or more"):
        judge(FIGURES, limits_of(limits))


def test_a_bound_says_what_it_is_a_share_of():
    assert str(read_limit("flips", "max", "0.5%")) == "≤ 0.5 % of rows"
    assert str(read_limit("coverage.reached", "min", "90%")) == "≥ 90 % of states"
    assert str(read_limit("psi", "max", "0.1")) == "≤ 0.1"


def test_a_file_says_the_same_as_a_mapping(tmp_path):
    file = tmp_path / "limits.toml"
    file.write_text(
        '[max]\npsi = 0.1\nflips = "0.5%"\n[min]\nnew_metrics.roc_auc = 0.8\n"change.roc_auc" = 0\n'
    )
    assert limits_of(file) == [
        Limit("psi", "max", 0.1),
        Limit("flips", "max", 0.005, share=True),
        Limit("new_metrics.roc_auc", "min", 0.8),
        Limit("change.roc_auc", "min", 0.0),
    ]
    assert limits_of(str(file)) == limits_of(limits_of(file))
    endless = (
        f"[max]\npsi = {'9' * 5000}",
        f"[max]\npsi = {'[' * 5000}",
        f"[max]\na{'.a' * 5000} = 1",
    )
    for text in ("max = ", "[max]\npsi = inf\n", "\ufeffx", *endless):
        file.write_text(text)
        with pytest.raises(im.InputError, match="invalid_limit") as caught:
            limits_of(file)
        assert caught.value.file == str(file)
    file.write_bytes(b"\xff")
    with pytest.raises(im.InputError, match="invalid_limit"):
        limits_of(file)


def test_text_of_a_command_line_is_a_number_or_a_share():
    assert read_limit("flips", "max", "120") == Limit("flips", "max", 120.0)
    assert read_limit("flips", "max", "0.5%") == Limit("flips", "max", 0.005, True)
    for text in ("", "x", "nan", "inf", "%", "-1%"):
        with pytest.raises(im.InputError, match="invalid_limit"):
            read_limit("flips", "max", text)


def test_without_limits_nobody_has_said_anything():
    assert judge(FIGURES, []).holds is None


def test_a_verification_is_held_to_its_tolerance_unless_more_rows_may_differ():
    model, rows = identity(["a", "b"]), np.array([[1.0, 2.0], [3.0, 4.0]])
    found = im.verify(model, rows, expected=[[1, 2], [3, 5]])
    assert not found.judge().holds
    assert not found.judge({"max": {"outputs.max_ulp": 1e9}}).holds
    assert not found.judge({"min": {"rows_different": 0}}).holds
    assert found.judge({"max": {"rows_different": "50%"}}).holds
    assert im.verify(model, rows, expected=rows).judge().holds
