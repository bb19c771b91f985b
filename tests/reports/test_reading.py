"""What helps a person to read a page: order, units, what is of what, and room for it."""

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.comparison.summary import comparison_summary
from instmodel.reports.comparison_charts import comparison_charts
from instmodel.reports.pages import write_comparison, write_verification
from instmodel.verification.summary import first

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(1200, 3)).astype(np.float32)


def linear(change=0.0, activation="SIGMOID", steps=1):
    b = im.ModelBuilder()
    h = b.input(["a", "b", "c"])
    for _ in range(steps - 1):
        h = b.dense(h, np.eye(3), None, None)
    return b.build(output=b.dense(h, [[1.0, -1.0, 0.5 + change]], None, activation))


def table(**columns):
    return {name: ROWS[:, i] for i, name in enumerate("abc")} | columns


def compared(new=0.3, activation="SIGMOID", **kwargs):
    return im.compare(linear(0, activation), linear(new, activation), **kwargs)


def tables(found):
    return {item.id: item for item in comparison_summary(found, "old", "new", 3).tables}


MONTHS = [f"2025-{i + 1:02}-01" for i in range(12)]


@pytest.mark.parametrize(
    "values",
    [
        [f"2025-{i + 1:02}-01" for i in range(12)],
        [f"2025-01-01{end}" for end in ("Z", "T01Z", "T01:30Z", "T02Z")],
        [2, 10, 100, 1000],
        [-0.5, 0.25, 3.0],
    ],
)
def test_dates_and_numbers_are_in_order_and_text_is_by_size(values):
    values = [*values, None]
    sizes = np.arange(1, len(values) + 1)
    places = RNG.choice(len(values), 1200, p=sizes / sizes.sum())
    found = compared(data=table(group=[values[i] for i in places]), by="group")
    names = [row[0].removesuffix(" *") for row in tables(found)["groups"].rows]
    assert names == [
        *(f"{value:g}" if isinstance(value, float) else str(value) for value in values[:-1]),
        "(null)",
    ]
    text = compared(data=table(group=[f"x{values[i]}" for i in places]), by="group")
    rows = [row[1] for row in tables(text)["groups"].rows]
    assert rows == sorted(rows, reverse=True)


def test_a_chart_says_how_many_groups_it_shows():
    months = [MONTHS[i] for i in RNG.integers(0, 12, 1200)]
    truth = RNG.integers(0, 2, 1200)
    found = compared(data=table(month=months, truth=truth), labels="truth", by="month")
    captions = [chart.caption for chart in comparison_charts(found)]
    assert "Decided for 1 by month, the 10 largest of 12" in captions
    few = compared(data=table(month=["a", "b"] * 600), by="month")
    assert "Decided for 1 by month" in [chart.caption for chart in comparison_charts(few)]
    (chart,) = [c for c in comparison_charts(found) if c.caption.startswith("Decided for 1 by")]
    places = [chart.svg.index(month) for month in MONTHS if month in chart.svg]
    assert len(places) == 10
    assert places == sorted(places)


def test_instants_of_a_time_zone_are_told_in_utc():
    pd = pytest.importorskip("pandas")
    times = pd.Series(["2025-03-01T00:30+02:00", "2025-06-01T12:00+02:00"] * 600)
    when = pd.to_datetime(times).dt.tz_convert("Europe/Berlin")
    found = compared(data=pd.DataFrame(table()).assign(when=when), by="when")
    summary = comparison_summary(found, "old", "new", 3)
    names = [row[0] for row in tables(found)["groups"].rows]
    assert names == ["2025-02-28T22:30Z", "2025-06-01T10:00Z"]
    assert "Instants with a Z are in UTC, whatever their time zone in the data." in summary.notes
    plain = compared(data=table(when=["2025-03-01", "2025-06-01"] * 600), by="when")
    assert not any("UTC" in note for note in comparison_summary(plain, "o", "n", 3).notes)


def test_what_labels_say_of_groups_is_in_tables_that_fit():
    data = table(group=["a", "b"] * 600, truth=RNG.integers(0, 2, 1200))
    found = tables(compared(data=data, labels="truth", by="group"))
    assert found["group-labels"].columns[1:] == [
        *("Observed rate", "Mean score, old", "Mean score, new", "ROC AUC, old", "ROC AUC, new"),
    ]
    sides = ("False positive rate", "False negative rate")
    assert found["group-errors"].columns[1:] == [f"{x}, {y}" for x in sides for y in ("old", "new")]


def test_differences_of_percentages_are_in_percentage_points():
    data = table(truth=RNG.integers(0, 2, 1200))
    found = compared(data=data, labels="truth")
    rows = {row[0]: row for row in tables(found)["metrics"].rows}
    change = found.new_metrics["accuracy"] - found.old_metrics["accuracy"]
    assert rows["Accuracy"][3] == f"{100 * change:+.2f} pp"
    assert not rows["Log loss"][3].endswith("pp")


def test_values_have_a_plot_of_labels_by_scores_and_a_tolerance():
    truth = ROWS @ [1.0, -1.0, 0.5] + 3
    found = compared(
        activation=None, data=table(truth=truth), labels="truth", task="regression", tolerance=2.5
    )
    points = np.array(found.old_metrics["mean_labels"])
    assert points.shape == (10, 2)
    np.testing.assert_allclose(points[:, 1], points[:, 0] + 3, rtol=1e-5)
    assert "Label by score, tenths of the rows" in [c.caption for c in comparison_charts(found)]
    summary = comparison_summary(found, "old", "new", 3)
    assert "Within the tolerance: the score is at most 2.5 off the label." in summary.notes
    rows = {row[0]: row for row in tables(found)["metrics"].rows}
    assert rows["Within the tolerance"][1] == "0.0 %"
    constant = compared(0.0, None, data=table(truth=truth), labels="truth", task="regression")
    assert len(constant.new_metrics["mean_labels"]) == 10


def test_an_input_that_is_missing_is_no_number():
    assert first([1, np.nan, np.nan], 3, ["a", "b", "c"], {"a": "north"}) == (
        "a=north, b=missing, c=missing"
    )
    assert first([np.nan], 1) == "nan"


def test_verify_shows_text_as_text_and_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    known, other = linear(activation=None), linear(0.3, None)
    for document in (known, other):
        document.categories = {"b": im.Categories(["north", "south"])}
    known.save("known.json")
    other.save("other.json")
    (tmp_path / "rows.csv").write_text("a,b,c\n1,south,2\n3,,1\n")
    main(
        [
            "verify",
            "known.json",
            "--against",
            "other.json",
            "--data",
            "rows.csv",
            "--nulls",
            "nan",
            "--report",
            "page.html",
        ]
    )
    shown = [capsys.readouterr().out, (tmp_path / "page.html").read_text()]
    assert all("a=1, b=south, c=2" in text for text in shown)
    found = im.verify("known.json", "rows.csv", against=lambda x: np.ones((len(x), 1)), nulls="nan")
    write_verification("page.html", found, im.InstructionModel(known), "known")
    assert "a=3, b=missing, c=1" in (tmp_path / "page.html").read_text()


def test_a_page_begins_with_when_and_of_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    linear().save("old.json")
    np.save("rows.npy", ROWS)
    main(
        [
            "compare",
            "old.json",
            "old.json",
            "--data",
            "rows.npy",
            "--reference",
            "rows.npy",
            "--report",
            "page.html",
        ]
    )
    top = (tmp_path / "page.html").read_text().split('id="verdict"')[0]
    assert " UTC; data: rows.npy; reference: rows.npy</div>" in top


@pytest.fixture
def sized(browser):
    """Return a function that opens a page on a screen of some size."""

    def show(path, width, height):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(path.as_uri())
        return browser

    yield show
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


BOX = "return document.querySelector('.full ~ .scroll').getBoundingClientRect().height"


def test_a_tall_graph_opens_as_a_whole_and_scrolls_in_its_box_on_a_phone(tmp_path, sized):
    model = im.InstructionModel(linear(steps=90))
    write_verification(tmp_path / "page.html", im.verify(model, ROWS), model, "model")
    page = sized(tmp_path / "page.html", 1440, 900)
    assert page.execute_script(BOX) <= 0.81 * 900
    page.execute_script("document.querySelector('.full').click()")
    assert page.execute_script(BOX) > 5000
    page = sized(tmp_path / "page.html", 390, 800)
    assert page.execute_script(BOX) <= 0.81 * 800


def test_old_and_new_stand_side_by_side_and_groups_need_no_scroll_bar(tmp_path, sized):
    data = table(region=["Northern Counties", "South"] * 600, truth=RNG.integers(0, 2, 1200))
    found = compared(data=data, labels="truth", by="region")
    new = im.InstructionModel(linear(0.3))
    verdict = found.judge({"max": {"groupings.groups.flips": "1%"}})
    write_comparison(tmp_path / "page.html", found, new, "old", "new", verdict)
    page = sized(tmp_path / "page.html", 1440, 900)
    tops = page.execute_script(
        "return ['old', 'new'].map(s => document.getElementById('confusion-' + s)"
        ".getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1]
    scrolled = page.execute_script(
        "return [...document.querySelectorAll('.scroll')].filter(e => e.querySelector('table') && "
        "e.scrollWidth > e.clientWidth + 1).map(e => e.querySelector('table').id)"
    )
    assert not [id for id in scrolled if id.startswith("group")]
    page = sized(tmp_path / "page.html", 390, 800)
    right = page.execute_script(
        "return document.querySelector('#limits tbody td:nth-child(3)')"
        ".getBoundingClientRect().right"
    )
    assert right <= 390
