"""Pages of `instmodel verify` and `compare`: one file each, with everything in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instmodel.base.atomic import replacing
from instmodel.base.extras import require
from instmodel.comparison.comparing import Comparison
from instmodel.comparison.metrics import CURVES
from instmodel.comparison.moves import QUANTILES
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import printable
from instmodel.reports.charts import bars, lines
from instmodel.reports.graph import graph_svg, memory_svg
from instmodel.verification.differences import DECADES
from instmodel.verification.verifying import Verification

# Pictures for each output, as far as anyone would look at them.
_MOST_OUTPUTS = 8
_MOST_INPUTS = 12
# Columns of a confusion matrix that fit a page, and the cells that stand for a larger one.
_MOST_CLASSES = 15
_MOST_CONFUSED = 15


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page; `id` finds it in the page. The columns `text` may break their lines."""

    id: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    text: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG element and what it shows."""

    svg: str
    caption: str


def write_verification(
    path: str | os.PathLike[str], found: Verification, info: InstructionModelInfo, name: str
) -> None:
    """Write the page of a verification: verdict, figures, worst rows, errors, scores, the model."""
    verdict = (
        f"the same within {found.tolerance}"
        if found.same
        else f"different in {found.rows_different} of {found.rows} rows"
    )
    paragraphs = [f"{found.rows} rows against {printable(found.against)}."]
    if found.divergence is not None:
        paragraphs.append(f"First difference: {found.divergence}")
    elif found.note:
        paragraphs.append(f"No instruction is at fault: {found.note}")
    for side, seconds in (("model", found.seconds), ("other side", found.seconds_against)):
        if seconds:
            paragraphs.append(f"The {side} computed {found.rows / seconds:,.0f} rows a second.")
    figures = [
        [
            o.index,
            *(
                _number(x)
                for x in (
                    *(o.max_absolute, o.mean_absolute, o.max_relative, o.mean_relative),
                    *(o.max_ulp, o.mean_ulp),
                )
            ),
            *(o.different, o.nan_mismatches, o.infinity_mismatches),
        ]
        for o in found.outputs
    ]
    columns = [
        *("output", "max abs", "mean abs", "max rel", "mean rel", "max ULP", "mean ULP"),
        *("different", "NaN", "infinite"),
    ]
    worst = [
        [row.row, _number(row.excess), *map(_some, (row.actual, row.expected, row.inputs))]
        for row in found.worst
    ]
    charts = []
    ticks = [(0.5, "0"), *((i + 2.0, f"1e{d}") for i, d in enumerate(DECADES) if d % 4 == 0)]
    for index, counts in enumerate(found.histogram[:_MOST_OUTPUTS]):
        title = f"output {index}: rows by absolute error"
        charts.append(Picture(bars([("rows", counts)], ticks, title), title))
    for index, scores in enumerate(found.scores[:_MOST_OUTPUTS]):
        title = f"output {index}: distribution of the scores"
        ends = _ends(scores.low, scores.high, len(scores.actual))
        pair = [("model", scores.actual), ("other", scores.expected)]
        charts.append(Picture(bars(pair, ends, title), title))
    _write(
        path,
        title=f"{printable(name)}: verification",
        verdict=verdict,
        alarm=not found.same,
        paragraphs=paragraphs,
        tables=[
            Table("outputs", "Outputs", columns, figures),
            Table(
                "worst",
                "The worst rows, counted from 0",
                ["row", "× tolerance", "model", "other", "inputs"],
                worst,
                ["inputs"] if len(found.outputs) == 1 else ["model", "other", "inputs"],
            ),
        ],
        charts=charts,
        graphs=[
            Picture(graph_svg(info), "The model"),
            Picture(memory_svg(info), "Its memory: inputs yellow, output green"),
        ],
    )


def write_comparison(
    path: str | os.PathLike[str],
    found: Comparison,
    new_info: InstructionModelInfo,
    old_name: str,
    new_name: str,
) -> None:
    """Write the page of a comparison: scores, decisions, metrics, curves, movers, the new model."""
    share = 100 * found.flips / found.rows
    paragraphs = [f"{found.rows} rows, output {found.output}, threshold {found.threshold:g}."]
    if found.sampled_rows < found.rows:
        paragraphs.append(
            f"Quantiles, PSI, correlation and metrics are of {found.sampled_rows} rows."
        )
    names = ["mean", "std", "least", "greatest", *(f"{100 * q:g} %" for q in QUANTILES)]
    columns = [
        [side.mean, side.std, side.least, side.greatest, *side.quantiles]
        for side in (found.old, found.new)
    ]
    three = ["", "old", "new", "difference"]
    tables = [
        Table("scores", "Scores", three, _pairs(names, *columns)),
        Table(
            "moves",
            "Moves",
            ["", ""],
            [
                ["population stability index", _number(found.psi)],
                ["rank correlation", _number(found.rank_correlation)],
                ["mean move", _number(found.mean_move)],
                ["largest move", _number(found.largest_move)],
                ["flips", found.flips],
                ["flips up", found.flips_up],
                ["flips down", found.flips_down],
            ],
        ),
    ]
    title = "distribution of the scores"
    low = min(found.old.least, found.new.least)
    high = max(found.old.greatest, found.new.greatest)
    pair = [("old", found.old.histogram), ("new", found.new.histogram)]
    charts = [Picture(bars(pair, _ends(low, high, len(found.old.histogram)), title), title)]
    both = {"old": found.old_metrics, "new": found.new_metrics}
    if found.task:
        common = [name for name in found.old_metrics if name not in CURVES]
        values = [[m.get(name, float("nan")) for name in common] for m in both.values()]
        tables.append(
            Table("metrics", f"Against the labels ({found.task})", three, _pairs(common, *values))
        )
        for side, metrics in both.items():
            if "confusion_matrix" in metrics:
                tables.append(_confusion(side, metrics["confusion_matrix"]))
        for curve, caption, labels in (
            ("roc", "ROC curve", ("false positive rate", "true")),
            ("calibration", "calibration", ("mean score", "share")),
        ):
            drawn = [(side, m[curve]) for side, m in both.items() if curve in m]
            if drawn:
                charts.append(Picture(lines(drawn, caption, labels), caption))
    if found.groups:
        heads, groups = found.group_table()
        rows = [[printable(value), *figures] for value, *figures in groups]
        tables.append(Table("groups", "By group", heads, rows, ["value"]))
    movers = [[m.row, _number(m.old), _number(m.new), _some(m.inputs)] for m in found.movers]
    heads = ["row", "old", "new", "inputs"]
    tables.append(
        Table("movers", "The rows that move most, counted from 0", heads, movers, ["inputs"])
    )
    _write(
        path,
        title=f"{printable(old_name)} → {printable(new_name)}",
        verdict=f"{found.flips} of {found.rows} decisions flip ({share:.3g} %)",
        alarm=False,
        paragraphs=paragraphs,
        tables=tables,
        charts=charts,
        graphs=[
            Picture(graph_svg(new_info), "The new model"),
            Picture(memory_svg(new_info), "Its memory: inputs yellow, output green"),
        ],
    )


def _confusion(side: str, matrix: Sequence[Sequence[int]]) -> Table:
    """Return a confusion matrix; of many classes, which no page holds, what is confused most."""
    if len(matrix) <= _MOST_CLASSES:
        heads = ["true \\ decided", *map(str, range(len(matrix)))]
        rows = [[i, *row] for i, row in enumerate(matrix)]
        return Table(f"confusion-{side}", f"Confusion matrix, {side}", heads, rows)
    wrong = [
        [truth, decided, count]
        for truth, row in enumerate(matrix)
        for decided, count in enumerate(row)
        if count and truth != decided
    ]
    wrong.sort(key=lambda cell: -cell[2])
    title = f"What is confused most, {side}"
    return Table(f"confusion-{side}", title, ["true", "decided", "rows"], wrong[:_MOST_CONFUSED])


def _write(path: str | os.PathLike[str], **parts: Any) -> None:
    jinja = require("jinja2", "report")
    markup = require("markupsafe", "report").Markup
    # Our own SVG; every text inside of it is escaped where it is made.
    for pictures in (parts["charts"], parts["graphs"]):
        pictures[:] = [{"svg": markup(p.svg), "caption": p.caption} for p in pictures]
    source = Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8")
    parts["tables"] = [table for table in parts["tables"] if table.rows]
    page = jinja.Environment(autoescape=True).from_string(source).render(**parts)
    with replacing(path) as file:
        file.write(page.encode())


def _number(value: float) -> str:
    return f"{value:.6g}"


def _some(numbers: Sequence[float]) -> str:
    shown = ", ".join(f"{x:.7g}" for x in numbers[:_MOST_INPUTS])
    return shown + (" …" if len(numbers) > _MOST_INPUTS else "")


def _ends(low: float, high: float, bins: int) -> list[tuple[float, str]]:
    return [(bins * 0.06, f"{low:.4g}"), (bins * 0.94, f"{high:.4g}")]


def _pairs(names: Sequence[str], old: Sequence[float], new: Sequence[float]) -> list[list[str]]:
    return [
        [name, _number(a), _number(b), f"{b - a:+.3g}"]
        for name, a, b in zip(names, old, new, strict=True)
    ]
