"""Models as their users write them: each is imported and equal to its source, or refused.

`tests/importers/zoo` holds a module for each library with a list `CASES`. `test_zoo.py` runs every
case on 10,000 fresh rows, and docs/importers.md shows them in a table that is made of the cases:

    cd tests && python -m support.zoo

A case is short: a name as a user would say it, the kind of model (its row in the table), and a
function that makes the source. A case that is refused names each piece in the way, all of them.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

import instmodel as im
from instmodel.errors import InstModelError
from support.paths import ROOT

FRESH_ROWS, STRANGE_ROWS = 9_000, 1_000
SEQUENCES, LONGEST = 32, 300
TOLERANCE = 1e-5
# Larger outputs are not compared: EXP ends at e^88 = 1.65e38.
HELD = 1e38
# A column of so few different whole numbers holds categories.
MOST_CATEGORIES = 1_000

PAGE = ROOT / "docs" / "importers.md"
# The page is written by hand up to this heading.
HEADING = "\n## What was tried\n"
LIBRARIES = {
    "scikit-learn": "sklearn_models",
    "PyTorch": "torch_models",
    "Keras": "keras_models",
    "ONNX": "onnx_models",
}


@dataclass(frozen=True)
class Source:
    """A trained model, and how to score with it.

    Attributes
    ----------
    rows : (N, F) float32
        Rows such as it was trained on, a few hundred; whole numbers where it takes categories, NaN
        where it takes gaps.
    scores : callable
        Returns what the source computes for rows (M, F) float32: (M, O) or (M,). It raises an
        error if it refuses one of them: that row's outputs then are NaN.
    load : callable
        Imports it.
    whole : sequence of int
        Columns that cannot hold fractions: the source takes integers there.
    """

    rows: np.ndarray
    scores: Callable[[np.ndarray], np.ndarray]
    load: Callable[[], im.InstructionModelInfo]
    whole: Sequence[int] = ()


@dataclass(frozen=True)
class Recurrent:
    """A trained recurrent model, and what it computes step by step.

    Attributes
    ----------
    rows : (N, F) float32
        Steps such as it was trained on, a few hundred.
    scores : callable
        Returns what the source computes after each step of sequences, a list of (T, F) float32: a
        list of (T, O), NaN where that is not known.
    load : callable
        Imports it.
    count : callable
        Returns how many steps the source takes, 0 for any number.
    """

    rows: np.ndarray
    scores: Callable[[list[np.ndarray]], list[np.ndarray]]
    load: Callable[[], im.InstructionModelInfo]
    count: Callable[[], int] = lambda: 0


@dataclass(frozen=True)
class Case:
    """A model of the zoo.

    Attributes
    ----------
    name, kind : str
        In the table.
    make : callable
        Returns the `Source` or `Recurrent`; the same one whenever it is called.
    refused : tuple of str
        Empty for what is imported. Else a part of each piece that the error lists, or of the
        message if it is another error than ``unsupported_model``.
    reach : float
        How far beyond the usual rows the largest strange numbers lie, in spreads of their column:
        less for models that leave float32 there.
    """

    name: str
    kind: str
    make: Callable[[], Source | Recurrent]
    refused: tuple[str, ...] = ()
    reach: float = 300.0


def cases(library: str) -> list[Case]:
    """Return the cases of a library, which must be installed."""
    return list(importlib.import_module(f"importers.zoo.{LIBRARIES[library]}").CASES)


def hold(case: Case) -> None:
    """Import what a case makes and compare it with its source, or see that it is refused."""
    source = case.make()
    if case.refused:
        _hold_refused(case, source)
        return
    model = im.InstructionModel(source.load())
    rng = np.random.default_rng(1)
    if isinstance(source, Recurrent):
        _hold_sequences(model, source, rng)
        return
    usual = _fresh(source.rows, FRESH_ROWS, rng)
    strange = _strange(source.rows, _fresh(source.rows, STRANGE_ROWS, rng), case.reach, rng)
    strange[:, list(source.whole)] = np.rint(strange[:, list(source.whole)])
    expected = _scores(source, usual, model.output_size)
    # A source that ignores its input would make any importer look right.
    assert np.nanstd(expected, axis=0).max() > 0
    size = np.maximum(1.0, _largest(expected, axis=0))
    _assert_near(model, usual, expected, np.broadcast_to(size, expected.shape))
    expected = _scores(source, strange, model.output_size)
    # Errors of float32 grow with the numbers that a row has.
    spread = _largest(source.rows, axis=0)
    farther = _largest(strange / np.where(spread > 0, spread, 1.0), axis=1)[:, None]
    allowed = np.maximum(size * np.maximum(1.0, farther), _largest(expected, axis=1)[:, None])
    _assert_near(model, strange, expected, allowed)


def _hold_sequences(
    model: im.InstructionModel, source: Recurrent, rng: np.random.Generator
) -> None:
    """Compare every step of sequences of 1 to `LONGEST` steps."""
    lengths = np.exp(rng.uniform(0, np.log(LONGEST), SEQUENCES)).astype(int)
    lengths[:2] = 1, LONGEST
    lengths[:] = source.count() or lengths
    rows = _fresh(source.rows, int(lengths.sum()), rng)
    given = np.split(rows, np.cumsum(lengths)[:-1])
    expected = np.concatenate(source.scores(given)).astype(np.float64)
    actual = np.concatenate(model.predict_sequences(given)).astype(np.float64)
    known = ~np.isnan(expected).any(axis=1)
    assert known.sum() >= SEQUENCES
    assert np.std(expected[known], axis=0).max() > 0
    size = np.maximum(1.0, np.abs(expected[known]).max(axis=0))
    error = np.abs(actual - expected)[known] / size
    assert error.max() <= TOLERANCE, error.max()


def _hold_refused(case: Case, source: Source | Recurrent) -> None:
    try:
        source.load()
    except InstModelError as error:
        pieces = list(getattr(error, "pieces", None) or [str(error)])
    else:
        raise AssertionError(f"{case.name} is imported")
    unnamed = [part for part in case.refused if not any(part in piece for piece in pieces)]
    assert not unnamed, (unnamed, pieces)
    assert len(pieces) == len(case.refused), pieces


def _fresh(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return new rows: each number from some row, and moved a little if its column is no code."""
    drawn = rows[rng.integers(0, len(rows), (count, 1)), np.arange(rows.shape[1])]
    swapped = rows[rng.integers(0, len(rows), drawn.shape), np.arange(rows.shape[1])]
    drawn = np.where(rng.random(drawn.shape) < 0.2, swapped, drawn)
    nudge = 0.1 * np.nanstd(rows, axis=0) * rng.normal(size=drawn.shape)
    return np.where(_are_codes(rows), drawn, drawn + nudge).astype(np.float32)


def _strange(
    rows: np.ndarray, usual: np.ndarray, reach: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the usual rows with a strange number in each, the last ones with several."""
    middle, spread = np.nanmedian(rows, axis=0), np.nanmax(rows, axis=0) - np.nanmin(rows, axis=0)
    spread = np.maximum(spread, np.abs(middle) * 1e-3 + 1e-3)
    least, most = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
    tries = [
        np.full_like(middle, np.nan),
        middle + spread,
        middle - 3 * spread,
        middle + reach * spread,
        middle - reach * spread,
        np.floor(middle) + 0.5,
        middle + 0.3,
        least - 1,
        least - 0.5,
        most + 1,
        most + 0.5,
        -1 - middle,
        np.zeros_like(middle),
        np.full_like(middle, 1e-30),
    ]
    table = np.array(tries)
    changed = rng.random(usual.shape) < 0.5
    changed[: len(usual) // 2] = False
    changed[np.arange(len(usual)), np.arange(len(usual)) % usual.shape[1]] = True
    kinds = np.where(
        np.arange(len(usual))[:, None] < len(usual) // 2,
        (np.arange(len(usual)) // usual.shape[1])[:, None] % len(table),
        rng.integers(0, len(table), usual.shape),
    )
    odd = table[kinds, np.arange(usual.shape[1])]
    result = np.where(changed, odd, usual).astype(np.float32)
    result[-1] = np.nan
    return result


def _are_codes(rows: np.ndarray) -> np.ndarray:
    known = np.where(np.isnan(rows), 0, rows)
    return np.array(
        [
            bool(np.all(column == np.rint(column)) and len(np.unique(column)) <= MOST_CATEGORIES)
            for column in known.T
        ]
    )


def _scores(source: Source, rows: np.ndarray, outputs: int) -> np.ndarray:
    """Return the outputs (N, O) of the source, NaN for rows that it refuses."""
    try:
        return np.asarray(source.scores(rows), np.float64).reshape(len(rows), outputs)
    except Exception:  # what a library raises for a bad row may be anything
        if len(rows) == 1:
            return np.full((1, outputs), np.nan)
    half = len(rows) // 2
    parts = [_scores(source, part, outputs) for part in (rows[:half], rows[half:])]
    return np.concatenate(parts)


def _assert_near(model, rows, expected, allowed) -> None:
    actual = model.predict(rows).astype(np.float64)
    held = ~(np.abs(expected) > HELD)
    assert np.array_equal(np.isnan(actual[held]), np.isnan(expected[held])), "NaN: " + _first(
        rows, expected, actual, held & (np.isnan(actual) != np.isnan(expected))
    )
    with np.errstate(invalid="ignore", over="ignore"):
        wrong = held & (np.abs(actual - expected) > TOLERANCE * allowed)
    assert not wrong.any(), _first(rows, expected, actual, wrong)


def _first(rows, expected, actual, wrong) -> str:
    """Say how many rows are wrong, and the first of them."""
    if not wrong.any():
        return ""
    row = int(np.flatnonzero(wrong.any(axis=1))[0])
    count = int(wrong.any(axis=1).sum())
    return f"{count} rows, first {rows[row]}: {expected[row]} expected, {actual[row]} computed"


def _largest(table: np.ndarray, axis: int) -> np.ndarray:
    return np.where(np.isfinite(table), np.abs(table), 0.0).max(axis=axis, initial=0.0)


def page() -> str:
    """Return the text of the page as it should be."""
    return PAGE.read_text("utf-8").partition(HEADING)[0] + HEADING + "".join(_tables())


def _tables() -> Iterator[str]:
    yield (
        "\nModels as their users write them. Each one that is imported agrees with its source on\n"
        "10,000 rows that it was not trained on, a thousand of them strange: NaN, unknown,\n"
        "fractional and negative categories, numbers far away and tiny ones. A recurrent one\n"
        "agrees after every step of sequences of 1 to 300 steps. In brackets stands what a\n"
        "refused one is refused for.\n"
    )
    for library in LIBRARIES:
        found = cases(library)
        refused = sum(bool(case.refused) for case in found)
        yield f"\n### {library}: {len(found) - refused} imported, {refused} refused\n\n"
        yield "| kind | imported | refused |\n| --- | --- | --- |\n"
        for kind in dict.fromkeys(case.kind for case in found):
            some = [case for case in found if case.kind == kind]
            imported = "; ".join(_shown(case) for case in some if not case.refused)
            others = "; ".join(
                f"{_shown(case)} ({_reasons(case)})" for case in some if case.refused
            )
            yield f"| {kind} | {_cell(imported)} | {_cell(others)} |\n"


def _shown(case: Case) -> str:
    return case.name.removeprefix(f"{case.kind}: ")


def _reasons(case: Case) -> str:
    """Return what is refused, each once; a name in brackets or quotes without them."""
    named = (re.sub(r"^[('](.*?)[)']", r"\1", part) for part in case.refused)
    return ", ".join(dict.fromkeys(named))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
