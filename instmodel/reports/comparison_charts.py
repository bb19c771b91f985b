"""The pictures of a comparison."""

from __future__ import annotations

from instmodel.comparison.findings import Comparison
from instmodel.comparison.tables import loss_of
from instmodel.reports.charts import bars, lines, rows, ticks
from instmodel.reports.picture import Picture

# Classes and inputs with pictures, as far as anyone would look at them.
_MOST_CLASSES = 6
_MOST_INPUTS = 10
_GAIN_AXES = ("share of the rows, highest scores first", "share of class 1")
# What people take for a shift that matters, and for a large one.
_PSI_MARKS = ((0.1, "0.1"), (0.25, "0.25"))


def comparison_charts(found: Comparison) -> list[Picture]:
    """Return the pictures of all that was asked for."""
    return [
        _scores(found),
        *_two_classes(found),
        *_classes(found),
        *_shifts(found),
        *_importance(found),
        *_dependence(found),
    ]


def _scores(found: Comparison) -> Picture:
    title = "Distribution of the scores"
    low = min(found.old.least, found.new.least)
    high = max(found.old.greatest, found.new.greatest)
    pair = [("old", found.old.histogram), ("new", found.new.histogram)]
    mark = None
    if found.threshold is not None and low < found.threshold < high:
        place = (found.threshold - low) / (high - low) * len(found.old.histogram)
        mark = (place, f"threshold {found.threshold:g}")
    positions = score_ticks(low, high, len(found.old.histogram))
    return Picture(bars(pair, positions, title, ("score", "rows"), mark), title)


def score_ticks(low: float, high: float, bins: int) -> list[tuple[float, str]]:
    """Return round scores, and where they are among so many bins from `low` to `high`."""
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return [(bins / 2, f"{low:.4g}")]  # bins around the only score
    return [((tick - low) / (high - low) * bins, f"{tick:.6g}") for tick in ticks(low, high)]


def _two_classes(found: Comparison) -> list[Picture]:
    sides = (("old", found.old_metrics), ("new", found.new_metrics))
    charts = []
    for curve, caption, labels in (
        ("roc", "ROC curve", ("false positive rate", "true positive rate")),
        (
            "gain",
            "Cumulative gains",
            ("share of the rows, highest scores first", "share of class 1"),
        ),
        ("calibration", "Calibration", ("mean score", "observed rate")),
    ):
        drawn = [
            (f"{side} (AUC {m['roc_auc']:.4f})" if curve == "roc" else side, m[curve])
            for side, m in sides
            if curve in m
        ]
        if drawn:
            dots = curve == "calibration"
            charts.append(Picture(lines(drawn, caption, labels, diagonal=True, dots=dots), caption))
    return charts


def _classes(found: Comparison) -> list[Picture]:
    """Return the curves of the classes with the most rows, each against the rest."""
    pairs = list(
        zip(
            found.old_metrics.get("by_class", ()),
            found.new_metrics.get("by_class", ()),
            strict=True,
        )
    )
    pairs.sort(key=lambda pair: -pair[0]["rows"])
    charts = []
    for old, new in pairs[:_MOST_CLASSES]:
        place = old["class"]
        name = found.classes[place] if found.classes else str(place)
        for curve, caption, labels in (
            ("roc", f"ROC curve of class {name}", ("false positive rate", "true positive rate")),
            ("calibration", f"Calibration of class {name}", ("mean score", "observed rate")),
        ):
            drawn = [
                (f"{side} (AUC {m['roc_auc']:.4f})" if curve == "roc" else side, m[curve])
                for side, m in (("old", old), ("new", new))
                if curve in m
            ]
            if drawn:
                dots = curve == "calibration"
                picture = lines(drawn, caption, labels, diagonal=True, dots=dots)
                charts.append(Picture(picture, caption))
    return charts


def _shifts(found: Comparison) -> list[Picture]:
    if not found.input_psi:
        return []
    most = found.input_psi[:_MOST_INPUTS]
    title = "Inputs that shift most since the reference"
    names = [item.name for item in most]
    indexes = [("PSI", [item.psi for item in most])]
    marks = [mark for mark in _PSI_MARKS if mark[0] <= max(0.1, *indexes[0][1])]
    return [Picture(rows(names, indexes, title, "population stability index", marks), title)]


def _importance(found: Comparison) -> list[Picture]:
    if found.importance is None:
        return []
    most = found.importance.inputs[:_MOST_INPUTS]
    title = "Importance of the inputs"
    sides = [("old", [item.old for item in most]), ("new", [item.new for item in most])]
    names = [item.name for item in most]
    return [Picture(rows(names, sides, title, loss_of(found.importance.measure)), title)]


def _dependence(found: Comparison) -> list[Picture]:
    charts = []
    for item in found.dependence:
        title = f"Mean score by {item.name}"
        means = [*item.old, *item.new]
        ends = (item.grid[0], item.grid[-1]), (min(means), max(means))
        pair = [
            ("old", list(zip(item.grid, item.old, strict=True))),
            ("new", list(zip(item.grid, item.new, strict=True))),
        ]
        charts.append(
            Picture(lines(pair, title, (item.name, "mean score"), ends, dots=True), title)
        )
    return charts
