"""Pages fit a phone and A4 paper: nothing is cut off, and no picture lies on two sheets."""

import base64
import io
import unicodedata

import numpy as np
import pytest

import instmodel as im
from instmodel.reports.graph import write_graph

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

from instmodel.reports.pages import write_comparison, write_verification

PHONE = 390
# CSS pixels between margins of 15 mm on A4.
PAPER_WIDTH, PAPER_HEIGHT = 180 / 25.4 * 96, 267 / 25.4 * 96
LONG = "/a/folder/" + "of_a_long_name_without_a_break" * 3 + "model.instmodel"

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(900, 12)).astype(np.float32) * 1e4


def classifier(seed, outputs, width=8, depth=16):
    """Return a graph that is wider than a phone, and longer than a sheet."""
    rng = np.random.default_rng(seed)
    b = im.ModelBuilder()
    x = b.input([f"f{i}" for i in range(12)])
    h = b.add_buffers(*(b.dense(x, rng.normal(size=(6, 12)), None, "TANH") for _ in range(width)))
    for _ in range(depth):
        h = b.dense(h, rng.normal(size=(6, 6)), None, "TANH")
    last = "SIGMOID" if outputs == 1 else "SOFTMAX"
    return im.InstructionModel(
        b.build(output=b.dense(h, rng.normal(size=(outputs, 6)), None, last))
    )


def verification(path):
    model = classifier(0, 20)
    write_verification(path, im.verify(model, ROWS, against=classifier(1, 20)), model, LONG)


def comparison(path, outputs):
    table = {f"f{i}": column for i, column in enumerate(ROWS.T)}
    table["truth"] = RNG.integers(0, max(2, outputs), len(ROWS))
    table["group"] = [f"group {i} & its <long> name, ünïcode" for i in RNG.integers(0, 60, 900)]
    old, new = classifier(0, outputs), classifier(1, outputs)
    table["region"] = RNG.choice(["north", "south"], len(ROWS))
    found = im.compare(
        *(old, new, table),
        labels="truth",
        by=["group", "region"],
        reference={f"f{i}": column for i, column in enumerate(ROWS[:300].T)},
        importance=True,
        dependence=2,
    )
    write_comparison(path, found, new, LONG, LONG)


PAGES = {
    "verification": verification,
    "comparison of two classes": lambda path: comparison(path, 1),
    "comparison of twenty classes": lambda path: comparison(path, 20),
    "graph": lambda path: write_graph(classifier(0, 1), path, LONG),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, write in PAGES.items():
        write(folder / f"{name}.html")
    return folder


@pytest.fixture
def screen(browser):
    """Return a function that opens a page on a screen of some width, or as it is printed."""

    def show(path, width, media="screen"):
        size = {"width": round(width), "height": 800, "deviceScaleFactor": 1}
        mobile = {"mobile": media == "screen"}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size | mobile)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
        browser.get(path.as_uri())
        assert browser.execute_script("return window.innerWidth") == round(width)
        return browser

    yield show
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


# What reaches beyond the right edge of the screen, and cannot be scrolled to.
CUT_OFF = """
return [...document.body.querySelectorAll("*")].filter(e => {
    if (e.getBoundingClientRect().right <= document.documentElement.clientWidth + 1) return false;
    for (let p = e.parentElement; p; p = p.parentElement)
        if (getComputedStyle(p).overflowX === "auto") return false;
    return true;
}).map(e => e.outerHTML.slice(0, 100))
"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(pages, screen, name):
    page = screen(pages / f"{name}.html", PHONE)
    assert page.execute_script("return document.documentElement.scrollWidth") == PHONE
    assert page.execute_script(CUT_OFF) == []
    # Text is not shrunk with its picture until nobody can read it.
    sizes = page.execute_script(
        "return [...document.querySelectorAll('svg')].map(s => s.getScreenCTM().a * "
        "parseFloat(s.getAttribute('font-size')))"
    )
    assert min(sizes) >= 9
    wide = "document.body.insertAdjacentHTML('beforeend', '<p style=width:800px>x</p>')"
    page.execute_script(wide)
    assert len(page.execute_script(CUT_OFF)) == 1


@pytest.mark.parametrize("name", PAGES)
def test_a_printed_page_is_no_wider_than_its_paper(pages, screen, name):
    page = screen(pages / f"{name}.html", PAPER_WIDTH, "print")
    assert page.execute_script("return document.documentElement.scrollWidth") <= PAPER_WIDTH + 1
    assert page.execute_script(CUT_OFF) == []
    heights = page.execute_script(
        "return [...document.querySelectorAll('figure')].map(f => f.getBoundingClientRect().height)"
    )
    assert len(heights) >= 2
    assert max(heights) <= PAPER_HEIGHT


def squeezed(text):
    """Return text without white space and ligatures, which differ between a page and its PDF."""
    return "".join(unicodedata.normalize("NFKC", text).split())


@pytest.mark.parametrize("name", PAGES)
def test_all_that_a_page_says_is_printed_and_no_picture_is_split(pages, screen, name):
    pypdf = pytest.importorskip("pypdf")
    page = screen(pages / f"{name}.html", PAPER_WIDTH, "print")
    paper = {"paperWidth": 210 / 25.4, "paperHeight": 297 / 25.4, "printBackground": True}
    data = page.execute_cdp_cmd("Page.printToPDF", paper)["data"]
    sheets = pypdf.PdfReader(io.BytesIO(base64.b64decode(data))).pages
    for sheet in sheets:
        assert [float(side) / 72 * 25.4 for side in sheet.mediabox[2:]] == pytest.approx(
            [210, 297], abs=0.5
        )
    texts = [squeezed(sheet.extract_text()) for sheet in sheets]

    said = page.execute_script(
        "return [...document.querySelectorAll('h1, h2, p, th, td, figcaption')]"
        ".map(e => e.textContent)"
    )
    assert len(said) >= 2
    missing = [text for text in said if squeezed(text) not in "".join(texts)]
    assert missing == []
    figures = page.execute_script(
        "return [...document.querySelectorAll('figure')].map(f => "
        "[...f.querySelectorAll('text, figcaption, h2')].map(t => t.textContent))"
    )
    for labels in figures:
        assert any(all(squeezed(label) in text for label in labels) for text in texts)
