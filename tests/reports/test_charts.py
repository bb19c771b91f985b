"""Charts draw what they are given, between round numbers."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import instmodel as im
from instmodel.reports.charts import bars, lines, psi_rows, rows, ticks

SVG = "{http://www.w3.org/2000/svg}"
UGLY = '<img src=x onerror="throw 1">&'


def texts(picture):
    return ["".join(text.itertext()) for text in ElementTree.fromstring(picture).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 437, [0, 100, 200, 300, 400]),
        (-3, 3, [-2, 0, 2]),
        (0.31, 0.34, [0.31, 0.32, 0.33, 0.34]),
        (18, 79, [20, 40, 60]),
        (5, 5, [5]),
    ],
)
def test_axes_have_round_numbers(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_the_numbers_of_an_axis_lie_on_it(a, b):
    low, high = sorted([a, b])
    assume(high - low > 1e-9 * max(abs(low), abs(high)))
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    margin = 1e-6 * (high - low)
    assert all(low - margin <= tick <= high + margin for tick in found)


def test_bars_hold_their_heights_and_a_threshold():
    picture = bars([("old", [1, 0, 3])], [(0, "a")], "t", ("score", "rows"), (1.5, UGLY))
    root = ElementTree.fromstring(picture)
    heights = [float(rect.get("height")) for rect in root.iter(f"{SVG}rect")]
    assert heights[1] == pytest.approx(3 * heights[0], abs=0.2)
    assert {"score", "rows", "a", UGLY} <= set(texts(picture))


def test_curves_lie_where_their_points_are():
    picture = lines([("old", [(0, 0), (0.5, 1), (1, 1)])], "t", ("x", "y"), diagonal=True)
    (curve,) = ElementTree.fromstring(picture).iter(f"{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in curve.get("points").split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y1 == y2 < y0
    assert x2 - x0 == pytest.approx(y0 - y2)  # two axes of shares are as long


def test_names_beside_bars_are_cut_short_and_escaped():
    names = [UGLY, "long " * 20, "none"]
    picture = rows(names, [("old", [1.0, -1.0, float("nan")])], "t", "x", [(0.5, "half")])
    root = ElementTree.fromstring(picture)
    assert len(list(root.iter(f"{SVG}rect"))) == 2  # NaN has no bar
    assert any(text.startswith("long long") and text.endswith("…") for text in texts(picture))
    assert "nan" not in picture


def test_intervals_stay_in_the_picture():
    picture = rows(["a"], [("old", [0.5]), ("new", [0.6])], "t", "x", (), [[(0.2, 0.9)]] * 2)
    ends = [float(line.get("x2")) for line in ElementTree.fromstring(picture).iter(f"{SVG}line")]
    assert max(ends) <= 400


def test_the_pictures_of_a_comparison_are_of_what_was_asked_for():
    pytest.importorskip("sklearn")
    from instmodel.reports.comparison_charts import comparison_charts

    rng = np.random.default_rng(0)
    table = {name: rng.normal(size=500) for name in "ab"}
    table |= {"y": rng.choice(["good", "bad"], 500), "r": rng.choice(["n", UGLY], 500)}
    b = im.ModelBuilder()
    info = b.build(output=b.dense(b.input(["a", "b"]), np.array([[1, -1]]), None, "SIGMOID"))
    found = im.compare(
        *(info, info, table),
        labels="y",
        positive="bad",
        by="r",
        reference=table,
        dependence=1,
        approve="below",
    )
    captions = [picture.caption for picture in comparison_charts(found)]
    assert captions[:4] == [
        *("Distribution of the scores", "ROC curve", "Cumulative gains", "Calibration")
    ]
    assert captions[4:7] == [
        *("Approved by r", "False positive rate by r", "False negative rate by r")
    ]
    assert captions[7:9] == ["Inputs that shift most", "Importance of the inputs"]
    assert captions[9].startswith("Mean score by ")
    for picture in comparison_charts(found):
        ElementTree.fromstring(picture.svg)
    plain = comparison_charts(im.compare(info, info, {name: table[name] for name in "ab"}))
    assert [picture.caption for picture in plain] == ["Distribution of the scores"]


@pytest.mark.parametrize("largest", [0.05, 0.3, 1.0, 3.0, 40.0])
def test_the_labels_of_marks_do_not_overlap(largest):
    root = ElementTree.fromstring(psi_rows([("income", largest), ("age", 0.01)], "t"))
    labels = [text for text in root.iter(f"{SVG}text") if float(text.get("y")) == 27]
    assert [label.text for label in labels] == ["0.1", "0.25"][: len(labels)]
    ends = []
    for label in labels:
        x, width = float(label.get("x")), 7 * len(label.text)
        left = x - width if label.get("text-anchor") == "end" else x
        ends += [left, left + width]
    assert ends == sorted(ends)
    assert ends[-1] < 400
