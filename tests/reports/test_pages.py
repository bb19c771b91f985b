"""The pages of verify and compare, opened in a browser: no errors, and the computed figures."""

import html
import json
import re

import numpy as np
import pytest

import instmodel as im
from instmodel.cli import main
from instmodel.reports.pages import write_comparison, write_verification

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(800, 4)).astype(np.float32)
UGLY = '<img src=x onerror="throw 1">&'


def network(change=0.0):
    rng = np.random.default_rng(1)
    b = im.ModelBuilder()
    h = b.dense(b.input(["a", "b", "c", UGLY]), rng.normal(size=(5, 4)), None, "TANH")
    w = rng.normal(size=(1, 5))
    w[0, 2] += change
    return b.build(output=b.dense(h, w, None, "SIGMOID"))


MODEL = im.InstructionModel(network())


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network().save("old.json")
    network(0.5).save("new.json")
    truth = RNG.random(800) < im.InstructionModel(network()).predict(ROWS)[:, 0]
    np.save("data.npy", ROWS)
    np.save("labelled.npy", np.column_stack([ROWS, truth]).astype(np.float32))
    return tmp_path


def cells(browser, table):
    """Return the rows of a table as text."""
    from selenium.webdriver.common.by import By

    rows = browser.find_elements(By.CSS_SELECTOR, f"#{table} tbody tr")
    return [[c.text for c in row.find_elements(By.TAG_NAME, "td")] for row in rows]


def opened(browser, path):
    browser.get(path.resolve().as_uri())
    problems = [entry["message"] for entry in browser.get_log("browser")]
    assert problems == []
    assert browser.execute_script("return document.images.length") == 0
    return browser


def number(value):
    return f"{value:.6g}"


def test_the_page_of_a_verification_shows_what_was_computed(files, browser):
    arguments = ["verify", "new.json", "--data", "data.npy", "--against", "old.json"]
    assert main([*arguments, "--report", "page.html", "--worst", "4"]) == 1
    found = im.verify("new.json", ROWS, against="old.json", worst=4)
    page = opened(browser, files / "page.html")
    (row,) = cells(page, "outputs")
    output = found.outputs[0]
    assert row[1:3] == [f"{output.max_absolute:.3g}", f"{output.mean_absolute:.3g}"]
    assert row[5] == f"{output.max_ulp:.3g}"
    assert row[7] == str(output.different)
    shown = [int(row[0]) for row in cells(page, "worst")]
    assert shown == [1 + worst.row for worst in found.worst]  # rows of files count from 1
    assert str(found.rows_different) in page.find_element("id", "verdict").text
    text = page.find_element("tag name", "body").text
    assert "First difference: instruction 1 (DOT)" in text
    bars = page.execute_script(
        "return [...document.querySelectorAll('figure rect title')].map(t => t.textContent)"
    )
    drawn = sum(int(float(b.split()[1])) for b in bars if b.startswith("rows:"))
    assert drawn == 800
    assert sum(int(float(b.split()[1])) for b in bars if b.startswith("model:")) == 800
    assert len(page.find_elements("css selector", "svg g.box")) == 3
    assert "▶ 1 DOT SIGMOID" in page.find_element("css selector", "svg g.marked").text
    assert f"a={ROWS[found.worst[0].row, 0]:.7g}, b=" in cells(page, "worst")[0][-1]


def test_the_page_of_a_comparison_shows_what_was_computed(files, browser):
    arguments = ["compare", "old.json", "new.json", "--data", "labelled.npy", "--labels", "4"]
    assert main([*arguments, "--report", "page.html"]) == 0
    found = im.compare("old.json", "new.json", "labelled.npy", labels=4)
    page = opened(browser, files / "page.html")
    metrics = {row[0]: row[1:3] for row in cells(page, "metrics")}
    for name, key in (("Log loss", "log_loss"), ("F1", "f1"), ("KS", "ks"), ("Gini", "gini")):
        assert metrics[name] == [number(m[key]) for m in (found.old_metrics, found.new_metrics)]
    for shown, side in zip(metrics["ROC AUC"], (found.old_metrics, found.new_metrics), strict=True):
        low, high = side["intervals"]["roc_auc"]
        assert shown == f"{side['roc_auc']:.4f} ({low:.4f} … {high:.4f})"
    moves = dict(cells(page, "moves"))
    assert page.find_element("id", "verdict").text.startswith(f"{found.flips} of 800 decisions")
    assert moves["Population stability index"] == number(found.psi)
    assert [int(row[0]) for row in cells(page, "movers")] == [1 + m.row for m in found.movers]
    matrix = [[int(cell) for cell in row[1:]] for row in cells(page, "confusion-new")]
    assert matrix == found.new_metrics["confusion_matrix"]
    points = page.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('.charts figure')].map(f => "
        "[f.querySelector('figcaption').textContent, "
        "[...f.querySelectorAll('polyline')].map(p => p.points.length)]))"
    )
    both = (found.old_metrics, found.new_metrics)
    assert points == {
        "Distribution of the scores": [],
        "ROC curve": [len(m["roc"]) for m in both],
        "Cumulative gains": [len(m["gain"]) for m in both],
        "Calibration": [10, 10],
    }
    # A chart of shares is square.
    square = page.execute_script(
        "const l = [...document.querySelectorAll('.charts figure')][1].querySelectorAll('line');"
        "const d = [...l].find(e => e.getAttribute('stroke') === '#999');"
        "return [d.getBBox().width, d.getBBox().height]"
    )
    assert square[0] == square[1]


def test_the_page_of_a_comparison_shows_groups_of_any_text(files, browser):
    values = [UGLY, "süd, west", None, "\x1b[2J", ""]
    regions = [values[i % 5] for i in range(800)]
    columns = {name: ROWS[:, i] for i, name in enumerate(["a", "b", "c", UGLY])}
    found = im.compare("old.json", "new.json", columns | {"region": regions}, by="region")
    write_comparison("page.html", found, MODEL, "old", "new")
    shown = {row[0]: row[1:] for row in cells(opened(browser, files / "page.html"), "groups")}
    assert set(shown) == {UGLY, "süd, west", "(null)", "\\x1b[2J", '""'}
    for group in found.groups:
        name = {None: "(null)", "": '""', "\x1b[2J": "\\x1b[2J"}.get(group.value, group.value)
        means = [number(group.old_mean), number(group.new_mean)]
        assert shown[name][:4] == [str(group.rows), *means, str(group.flips)]
        low, high = group.old_positive_interval
        rate = f"{100 * group.old_positive_rate:.1f} % ({100 * low:.1f} … {100 * high:.1f})"
        assert shown[name][4] == rate


@pytest.mark.parametrize(
    "command",
    [
        ["verify", "new.json", "--against", "old.json", "--data", "data.npy"],
        ["compare", "old.json", "new.json", "--data", "labelled.npy", "--labels", "4"],
    ],
)
def test_a_terminal_and_a_page_say_the_same(files, capsys, command):
    main([*command, "--report", "page.html"])
    said = capsys.readouterr().out.splitlines()
    page = (files / "page.html").read_text()
    title, verdict = texts(page, "h1") + texts(page, "p")[:1]
    assert f"{title}: {verdict}" == said[0]
    assert set(texts(page, "p")[1:]) <= set(said)
    graph = next(
        i for i, title in enumerate(texts(page, "h2")) if re.match("The (new )?model", title)
    )
    assert [line for line in said if line in texts(page, "h2")] == texts(page, "h2")[:graph]
    rows = [texts(row, "td") for row in re.findall("<tr>(.*)</tr>", page) if "<td" in row]
    assert len(rows) >= 6
    told = [re.split("  +", line.strip()) for line in said]
    assert [row for row in rows if row not in told] == []


def texts(page, tag):
    """Return what elements without markup inside say."""
    return [html.unescape(text) for text in re.findall(f"<{tag}(?: [^>]*)?>([^<]*)</{tag}>", page)]


def classes(page):
    return re.search('<p class="([^"]*)" id="verdict">', page.read_text())[1]


@pytest.mark.parametrize(
    ("limits", "banner"),
    [
        ([], "verdict open"),
        (["--max-psi", "9"], "verdict"),
        (["--max-psi", "0", "--max-flips", "100%"], "verdict different"),
    ],
)
def test_a_banner_is_green_only_if_limits_were_set_and_hold(files, limits, banner):
    compared = ["compare", "old.json", "new.json", "--data", "data.npy", "--report", "page.html"]
    main([*compared, *limits])
    page = files / "page.html"
    assert classes(page) == banner
    assert ("no limits set" in page.read_text()) == (not limits)
    assert ('id="limits"' in page.read_text()) == bool(limits)


def test_a_page_ends_with_the_record_and_room_to_sign(files, browser):
    compared = ["compare", "old.json", "new.json", "--data", "labelled.npy", "--labels", "4"]
    rest = ["--max-flips", "50%", "--report", "page.html", "--signer", f"J. Doe, {UGLY}"]
    assert main([*compared, *rest, "--record", "record.json"]) == 0
    record = json.loads((files / "record.json").read_text())
    page = opened(browser, files / "page.html")
    assert cells(page, "limits") == [
        ["flips", "holds", cells(page, "limits")[0][2], "≤ 50 % of rows", ""]
    ]
    shown = page.find_element("id", "record").text
    for known in record["files"].values():
        assert known["path"] in shown
        assert known["sha256"] in shown
    for text in (record["sha256"], record["time"], *record["models"].values(), "Signature", UGLY):
        assert text in shown
    assert main([*compared, "--report", "page.html"]) == 0  # a record that nobody has
    assert "canonical bytes" not in (files / "page.html").read_text()


def test_the_record_on_a_page_has_the_options_that_are_0(files):
    compared = ["compare", "old.json", "new.json", "--data", "data.npy", "--report", "page.html"]
    assert main([*compared, "--output", "0", "--threshold", "0"]) == 0
    options = (files / "page.html").read_text().split("<dt>Options</dt>")[1].split("</dd>")[0]
    assert "output 0, " in options
    assert "threshold 0.0" in options
    assert "importance" not in options
    assert "None" not in options


def test_of_a_folder_with_many_files_the_page_names_the_first(files):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (files / "rows").mkdir()
    for index in range(53):
        columns = {name: ROWS[index : index + 5, i] for i, name in enumerate(["a", "b", "c", UGLY])}
        pq.write_table(pa.table(columns), files / "rows" / f"part-{index:02}.parquet")
    options = ["--report", "page.html", "--record", "record.json"]
    assert main(["verify", "old.json", "--data", "rows", *options]) == 0
    page = (files / "page.html").read_text()
    assert "part-49.parquet, " in page
    assert "part-50.parquet" not in page
    assert "3 more files are in the record" in page
    assert len(json.loads((files / "record.json").read_text())["files"]["data"]["files"]) == 53


def test_a_command_says_where_its_page_is(files, capsys):
    assert main(["verify", "old.json", "--data", "data.npy", "--report", "page.html"]) == 0
    assert capsys.readouterr().out.endswith("\nreport: page.html\n")
    compared = ["compare", "old.json", "new.json", "--data", "data.npy", "--report", "page.html"]
    assert main(compared) == 0
    assert capsys.readouterr().out.endswith("\nreport: page.html\n")
    assert main([*compared, "--json"]) == 0
    assert "report:" not in capsys.readouterr().out


def test_a_page_needs_no_network(files):
    main(["verify", "old.json", "--data", "data.npy", "--report", "page.html"])
    text = (files / "page.html").read_text().replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text


def test_the_page_of_a_graph_has_no_errors(files, browser):
    main(["inspect", "old.json", "--graph", "graph.html"])
    assert len(opened(browser, files / "graph.html").find_elements("css selector", "g.box")) == 3


def test_names_cannot_put_markup_into_a_page(files):
    found = im.verify(network(), ROWS)
    write_verification("one.html", found, MODEL, UGLY)
    moved = im.compare(network(), network(0.1), ROWS)
    write_comparison("two.html", moved, MODEL, UGLY, UGLY)
    for page in ("one.html", "two.html"):
        assert "<img" not in (files / page).read_text()
