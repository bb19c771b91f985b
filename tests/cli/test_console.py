"""Tables and progress bars, with rich and without it."""

import sys

import pytest

from instmodel.cli import console


def test_tables_are_aligned():
    assert console.table(["name", "n"], [["a", 1], ["bbbbb", 20]]) == (
        "name    n\n-----  --\na       1\nbbbbb  20\n"
    )


def test_no_heading_moves_the_cursor():
    assert console.table(["\x1b[2J"], [["x"]]).splitlines()[0] == "\\x1b[2J"


def test_styled_tables_take_names_literally_and_need_no_rich(monkeypatch):
    rows = [["[red]x", 1], ["emb[3]", 2]]
    pytest.importorskip("rich")
    styled = console.table(["name", "n"], rows, styled=True)
    assert "[red]x" in styled
    assert "emb[3]" in styled
    for name in list(sys.modules):
        if name == "rich" or name.startswith("rich."):
            monkeypatch.setitem(sys.modules, name, None)
    assert console.table(["n"], [[1]], styled=True) == console.table(["n"], [[1]])


def test_progress_is_quiet_without_a_terminal_or_rich(monkeypatch, capsys):
    with console.progress("x") as advance:
        advance(0.5, 10)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for name in ("rich", "rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, name, None)
    with console.progress("x") as advance:
        advance(0.5, 10)
    assert capsys.readouterr().err == ""


def test_progress_shows_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with console.progress("[red]label") as advance:
        advance(1.0, 10)
    assert "[red]label" in capsys.readouterr().err
