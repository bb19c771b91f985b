"""The pictures of a comparison."""

from __future__ import annotations

import math

import numpy as np

from instmodel.comparison.findings import Comparison
from instmodel.comparison.groups import Group, Grouping
from instmodel.comparison.metrics import NAMES, Figures
from instmodel.comparison.tables import group_name, loss_of, ordered
from instmodel.reports.charts import bars, lines, psi_rows, rows, ticks
from instmodel.reports.picture import Picture

# Classes and inputs with pictures, as far as anyone would look at them.
_MOST_CLASSES = 6
_MOST_INPUTS = 10
_MOST_GROUPS = 10
# What curves of the metrics are called, and their axes.
_CURVES = {
    "roc": ("ROC curve", ("false positive rate", "true positive rate")),
    "gain": ("Cumulative gains", ("share of the rows, highest scores first", "share of class 1")),
    "calibration": ("Calibration", ("mean score", "observed rate")),
}
_GROUP_RATES = {
    "positive_rate": "Decided for 1",
    "approval_rate": "Approved",
    "false_positive_rate": NAMES["false_positive_rate"],
    "false_negative_rate": NAMES["false_negative_rate"],
}


def comparison_charts(found: Comparison) -> list[Picture]:
    """Return the pictures of all that was asked for."""
    return [
        _scores(found),
        *_two_classes(found),
        *_classes(found),
        *_values(found),
        *(chart for by in found.groupings for chart in _groups(by)),
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
    old, new = found.old_metrics, found.new_metrics
    return [chart for curve in _CURVES for chart in _curve(curve, "", old, new)]


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
        for curve in _CURVES:
            charts += _curve(curve, f" of class {name}", old, new)
    return charts


def _values(found: Comparison) -> list[Picture]:
    """Return what labels that are values are, where the scores are low and where they are high."""
    sides = [("old", found.old_metrics), ("new", found.new_metrics)]
    curves = [(side, figures["mean_labels"]) for side, figures in sides if "mean_labels" in figures]
    if not curves:
        return []
    numbers = [number for _, curve in curves for point in curve for number in point]
    ends = (min(numbers), max(numbers))
    title = "Label by score, tenths of the rows"
    labels = ("mean score", "mean label")
    picture = lines(curves, title, labels, (ends, ends), diagonal=True, dots=True)
    return [Picture(picture, title)]


def _curve(curve: str, whose: str, old: Figures, new: Figures) -> list[Picture]:
    """Return the picture of one of `_CURVES`, if either model has the curve."""
    caption, labels = _CURVES[curve]
    drawn = [
        (f"{side} (AUC {figures['roc_auc']:.4f})" if curve == "roc" else side, figures[curve])
        for side, figures in (("old", old), ("new", new))
        if curve in figures
    ]
    if not drawn:
        return []
    picture = lines(drawn, caption + whose, labels, diagonal=True, dots=curve == "calibration")
    return [Picture(picture, caption + whose)]


def _groups(by: Grouping) -> list[Picture]:
    """Return the rates of the largest groups, with their intervals."""
    charts = []
    others = by.other_groups.values if by.other_groups else 0
    told = dict(_GROUP_RATES)
    if _rate(by.groups[0], "approval_rate"):
        del told["positive_rate"]
    for name, what in told.items():
        # A group without rows of a class has no rate of the errors in it.
        known = [group for group in by.groups if _rate(group, name)]
        if not known:
            continue
        drawn = ordered(known[:_MOST_GROUPS])
        title = f"{what} by {by.column}"
        if len(known) + others > len(drawn):
            title += f", the {len(drawn)} largest of {len(known) + others}"
        rates = [rate for group in drawn if (rate := _rate(group, name))]
        sides = [(side, [rate[side][0] for rate in rates]) for side in ("old", "new")]
        ranges = [[rate[side][1] for rate in rates] for side in ("old", "new")]
        labels = [group_name(group) for group in drawn]
        picture = rows(labels, sides, title, "share, and 95 % intervals", (), ranges)
        charts.append(Picture(picture, title))
    return charts


def _rate(group: Group, name: str) -> dict[str, tuple[float, list[float]]] | None:
    """Return a rate of both models and its interval, if the group has one."""
    if name in ("positive_rate", "approval_rate"):
        kind = name.removesuffix("_rate")
        if getattr(group, f"old_{name}") is None:
            return None
        return {
            side: (getattr(group, f"{side}_{name}"), getattr(group, f"{side}_{kind}_interval"))
            for side in ("old", "new")
        }
    if name not in group.old_metrics:
        return None
    sides = {"old": group.old_metrics, "new": group.new_metrics}
    return {side: (found[name], found["intervals"][name]) for side, found in sides.items()}


def _shifts(found: Comparison) -> list[Picture]:
    if not found.input_psi:
        return []
    most = found.input_psi[:_MOST_INPUTS]
    title = "Inputs that shift most"
    return [Picture(psi_rows([(item.name, item.psi) for item in most], title), title)]


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
        sides = [("old", item.old), ("new", item.new)]
        texts = [text for text in item.texts if text is not None]
        if texts and len(texts) == len(item.grid):
            charts.append(Picture(rows(texts, sides, title, "mean score"), title))
            continue
        curves = [(side, _finite(item.grid, means)) for side, means in sides]
        points = np.array([point for _, curve in curves for point in curve])
        if len(points):
            (left, low), (right, high) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
            ends = (left, right), (low, high)
            picture = lines(curves, title, (item.name, "mean score"), ends, dots=True)
            charts.append(Picture(picture, title))
    return charts


def _finite(grid: list[float], means: list[float]) -> list[tuple[float, float]]:
    """Return the points of a curve; rows that need not exist may have no finite mean score."""
    return [
        (value, mean)
        for value, mean in zip(grid, means, strict=True)
        if math.isfinite(value) and math.isfinite(mean)
    ]
