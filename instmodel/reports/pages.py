"""Pages of `instmodel verify`, `compare` and `drift`: one file each, with everything in it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instmodel.base.extras import require
from instmodel.comparison.findings import Comparison
from instmodel.comparison.summary import comparison_summary
from instmodel.errors import printable
from instmodel.model import InstructionModel
from instmodel.monitoring.drifting import Drift
from instmodel.monitoring.summary import drift_summary
from instmodel.reports.charts import bars
from instmodel.reports.comparison_charts import comparison_charts, score_ticks
from instmodel.reports.drift_charts import drift_charts
from instmodel.reports.graph import SWITCH, graph_figure, memory_svg
from instmodel.reports.picture import Picture
from instmodel.stores import location
from instmodel.verification.differences import DECADES
from instmodel.verification.limits import Verdict
from instmodel.verification.summary import Summary, Table, judged, verification_summary
from instmodel.verification.tracing import Divergence
from instmodel.verification.verifying import Verification

# Pictures for each output, as far as anyone would look at them.
_MOST_OUTPUTS = 8
# Values of a row that a table shows.
_VALUES = 12


def write_verification(
    path: str | os.PathLike[str],
    found: Verification,
    model: InstructionModel,
    name: str,
    verdict: Verdict | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write the page of a verification: what is told of it, errors, the model, the record.

    Parameters
    ----------
    verdict : Verdict, optional
        By default that of no further limits.
    record : mapping, optional
        See `instmodel.verification.record`.
    """
    charts = [*_error_charts(found), *_score_charts(found)]
    graphs = _graphs(model, "The model", found.divergence)
    summary = judged(verification_summary(found, name, _VALUES), verdict or found.judge())
    _write(path, summary, charts, graphs, record)


def _error_charts(found: Verification) -> list[Picture]:
    ticks = [(0.5, "0"), *((i + 2.0, f"1e{d}") for i, d in enumerate(DECADES) if d % 4 == 0)]
    charts = []
    for index, counts in enumerate(found.histogram[:_MOST_OUTPUTS]):
        title = f"Output {index}: rows by absolute error"
        labels = ("absolute error", "rows")
        charts.append(Picture(bars([("rows", counts)], ticks, title, labels), title))
    return charts


def _score_charts(found: Verification) -> list[Picture]:
    charts = []
    for index, scores in enumerate(found.scores[:_MOST_OUTPUTS]):
        title = f"Output {index}: distribution of the scores"
        positions = score_ticks(scores.low, scores.high, len(scores.actual))
        pair = [("model", scores.actual), ("other", scores.expected)]
        charts.append(Picture(bars(pair, positions, title, ("score", "rows")), title))
    return charts


def write_comparison(
    path: str | os.PathLike[str],
    found: Comparison,
    new: InstructionModel,
    old_name: str,
    new_name: str,
    verdict: Verdict | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write the page of a comparison: what is told of it, curves, the new model, the record.

    Parameters
    ----------
    verdict : Verdict, optional
        By default that of no limits.
    record : mapping, optional
        See `instmodel.verification.record`.
    """
    summary = comparison_summary(found, old_name, new_name, _VALUES)
    summary = judged(summary, verdict or found.judge())
    _write(path, summary, comparison_charts(found), _graphs(new, "The new model"), record)


def write_drift(
    path: str | os.PathLike[str],
    found: Drift,
    model: str,
    data: str,
    verdict: Verdict | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write the page of a drift: what is told of it, which inputs shift and where, the record.

    Parameters
    ----------
    model, data : str
        What they are called.
    verdict : Verdict, optional
        By default that of no limits.
    record : mapping, optional
        See `instmodel.verification.record`.
    """
    summary = judged(drift_summary(found, model, data), verdict or found.judge())
    _write(path, summary, drift_charts(found), [], record)


def _graphs(
    model: InstructionModel, caption: str, divergence: Divergence | None = None
) -> list[str]:
    """Return the figures of the model: its graph, and its memory."""
    marked = None
    if divergence is not None and divergence.instruction < len(model.instructions):
        marked = divergence.instruction
        caption += f"; red and ▶: instruction {marked}, the first that differs"
    memory = f'<div class="scroll">{memory_svg(model)}</div>'
    return [
        graph_figure(model, caption, marked),
        f"<figure><h2>Its memory: inputs yellow, output green</h2>{memory}</figure>",
    ]


def _side_by_side(tables: list[Table]) -> list[list[Table]]:
    """Return tables in lists of one, or of two: what is of the old model and of the new one."""
    found: list[list[Table]] = []
    for table in tables:
        of_new = table.id.endswith("-new")
        if of_new and found and found[-1][0].id == table.id.removesuffix("new") + "old":
            found[-1].append(table)
        else:
            found.append([table])
    return found


def _write(
    path: str | os.PathLike[str],
    summary: Summary,
    charts: list[Picture],
    graphs: list[str],
    record: Mapping[str, Any] | None,
) -> None:
    jinja = require("jinja2", "report")
    environment = jinja.Environment(autoescape=True)
    environment.filters["printable"] = printable
    environment.filters["command"] = shlex.join
    # Our own SVG; every text inside of it is escaped where it is made.
    environment.filters["drawn"] = require("markupsafe", "report").Markup
    source = Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8")
    template = environment.from_string(source)
    page = template.render(
        summary=summary,
        tables=_side_by_side(summary.tables),
        charts=charts,
        graphs=graphs,
        record=record,
        switch=SWITCH,
    )
    with location(path).replacing() as file:
        file.write(page.encode())
