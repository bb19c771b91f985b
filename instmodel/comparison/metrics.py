"""Figures of scores against labels. scikit-learn computes them; here is which, and on what."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require
from instmodel.comparison.intervals import auc_interval, share_interval
from instmodel.comparison.ranking import ranking_figures, roc
from instmodel.errors import InputError

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Figures = dict[str, Any]
BothFigures = tuple[Figures, Figures]  # of the old model, of the new one

TASKS = ("binary", "multiclass", "regression")
CALIBRATION_BINS = 10
# What people call the figures.
NAMES = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "positive_rate": "Decided for 1",
    "false_positive_rate": "False positive rate",
    "false_negative_rate": "False negative rate",
    "roc_auc": "ROC AUC",
    "gini": "Gini",
    "ks": "KS",
    "lift": "Lift of the top 10 %",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "mean_score": "Mean score",
    "observed_rate": "Observed rate",
    "mae": "MAE",
    "rmse": "RMSE",
    "mape": "MAPE",
    "r2": "R²",
    "share_within_tolerance": "Within the tolerance",
    "mean_label": "Mean label",
}
# Classes with curves of their own, those with the most rows; the others have numbers.
_MOST_CURVES = 10


class AgainstLabels:
    """The figures of two models against labels, see `label_metrics`.

    Parameters
    ----------
    labels : (N,)
        Finite.
    old, new : (N, O)
        The scores of the models.
    column : int
        The output that is judged, but for "multiclass", which takes all.
    task : {"binary", "multiclass", "regression"}
    threshold : float or None
    tolerance : float
    """

    def __init__(
        self,
        labels: Floats,
        old: Floats,
        new: Floats,
        column: int,
        task: str,
        threshold: float | None,
        tolerance: float,
    ) -> None:
        self._task = task
        judged = slice(None) if task == "multiclass" else slice(column, column + 1)
        self._labels = labels
        self._old, self._new = old[:, judged], new[:, judged]
        self._threshold, self._tolerance = threshold, tolerance

    def figures(self, rows: Any = slice(None)) -> BothFigures:
        """Return all figures, of some rows or all."""
        return self._of(self._old, rows), self._of(self._new, rows)

    def numbers(self, rows: Any = slice(None)) -> BothFigures:
        """Return the figures that are a number, and the intervals of these."""
        old, new = self.figures(rows)
        return _without_curves(old), _without_curves(new)

    def _of(self, scores: Floats, rows: Any) -> Figures:
        return label_metrics(
            self._labels[rows], scores[rows], self._task, self._threshold, self._tolerance
        )


def plain_numbers(figures: Figures) -> Figures:
    """Return the figures that are a number."""
    return {name: figure for name, figure in figures.items() if isinstance(figure, float)}


def _without_curves(figures: Figures) -> Figures:
    beside = {name: figures[name] for name in ("rows", "positives", "intervals") if name in figures}
    return plain_numbers(figures) | beside


def task_of(labels: Floats, outputs: int, classes: bool) -> str:
    """Return the task that labels of such values and so many outputs suggest.

    Raises
    ------
    InputError
        ``invalid_label``: the models are known to tell two `classes` apart, and labels are values.
    """
    if outputs > 1:
        return "multiclass"
    if np.isin(labels, (0, 1)).all():
        return "binary"
    if classes:
        raise _invalid_label(
            labels,
            "by their metadata the models tell two classes apart; say which label is positive "
            "(--positive), or that labels are values (--task regression)",
            "0 or 1",
        )
    return "regression"


def label_metrics(
    labels: Floats, scores: Floats, task: str, threshold: float | None, tolerance: float
) -> Figures:
    """Return the figures of one model.

    Parameters
    ----------
    labels : (N,)
        Finite: 0 and 1, the number of the class, or the true value.
    scores : (N, O)
        Finite: one output; for "multiclass" one for each class.
    task : {"binary", "multiclass", "regression"}
    threshold : float or None
        A score of at least this is a decision for 1; without it, none is made.
    tolerance : float
        For "regression", an absolute error of at most this counts as close.

    Returns
    -------
    dict
        Numbers by name, those that the rows define: without rows of class 1, say, there is no
        "recall", and with a label of 0 no "mape". For classes also "confusion_matrix" (rows are the
        true classes). For "regression" also "mean_labels", points (mean score, mean label) of a
        tenth of the rows each. For "binary" also what `ranking_figures` gives, the curve
        "calibration" as a list of points, the counts "rows" and "positives", and "intervals", from
        where to where a number lies with 95 % confidence. For "multiclass" also "by_class", each
        against the rest.
    """
    if task == "regression":
        return _of_values(labels, scores[:, 0], tolerance)
    if task == "binary":
        return _of_two_classes(labels, scores[:, 0], threshold)
    return _of_classes(labels, scores)


def _of_values(labels: Floats, score: Floats, tolerance: float) -> Figures:
    sk = require("sklearn.metrics", "report")
    found: Figures = {
        "mae": float(sk.mean_absolute_error(labels, score)),
        "rmse": float(sk.root_mean_squared_error(labels, score)),
        # Of one row, scikit-learn would warn that there is none.
        "r2": float(sk.r2_score(labels, score)) if len(labels) > 1 else float("nan"),
        "share_within_tolerance": float(np.mean(np.abs(labels - score) <= tolerance)),
        "mean_score": float(score.mean()),
        "mean_label": float(labels.mean()),
    }
    found["mean_labels"] = _mean_labels(labels, score)
    if labels.all():  # an error is no share of a label that is 0
        found["mape"] = float(sk.mean_absolute_percentage_error(labels, score))
    return found


def _mean_labels(labels: Floats, score: Floats) -> list[list[float]]:
    """Return points (mean score, mean label) of tenths of the rows; equal scores share one."""
    ends = np.unique(np.quantile(score, np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS))
    bins = np.searchsorted(ends, score)
    counts = np.bincount(bins)
    points = [np.bincount(bins, values)[counts > 0] for values in (score, labels)]
    means: list[list[float]] = (np.stack(points, axis=1) / counts[counts > 0, None]).tolist()
    return means


def _of_two_classes(labels: Floats, score: Floats, threshold: float | None) -> Figures:
    if not np.isin(labels, (0, 1)).all():
        raise _invalid_label(labels, "labels of two classes must be 0 and 1", "0 or 1")
    truth = labels.astype(int)
    found: Figures = {}
    intervals = {"observed_rate": share_interval(truth.sum(), len(truth))}
    if threshold is not None:
        decided = (score >= threshold).astype(int)
        found |= _of_decisions(truth, decided, [0, 1], "binary")
        (tn, fp), (fn, tp) = found["confusion_matrix"]
        # No share of no rows: what scikit-learn calls 0 would look like a bad model.
        for name, rows in (("precision", fp + tp), ("recall", fn + tp), ("f1", fp + fn + tp)):
            if not rows:
                del found[name]
        for name, count, rows in (
            ("accuracy", tn + tp, len(truth)),
            ("positive_rate", fp + tp, len(truth)),
            ("false_positive_rate", fp, fp + tn),
            ("false_negative_rate", fn, fn + tp),
        ):
            if rows:
                found[name] = count / rows
                intervals[name] = share_interval(count, rows)
    found |= ranking_figures(truth, score)
    if "roc_auc" in found:
        intervals["roc_auc"] = auc_interval(truth, score)
    if score.min() >= 0 and score.max() <= 1:
        sk = require("sklearn.metrics", "report")
        found["log_loss"] = float(sk.log_loss(truth, score, labels=[0, 1]))
        found["brier"] = float(np.mean((score - truth) ** 2))
        found["calibration"] = _calibration(truth, score)
    found |= {"mean_score": float(score.mean()), "observed_rate": float(truth.mean())}
    return found | {"rows": len(truth), "positives": int(truth.sum()), "intervals": intervals}


def _of_classes(labels: Floats, scores: Floats) -> Figures:
    classes = list(range(scores.shape[1]))
    truth = labels.astype(int)
    if truth.min() < 0 or truth.max() >= len(classes) or np.any(truth != labels):
        raise _invalid_label(
            labels, "labels must be the numbers of the classes", f"0 … {len(classes) - 1}"
        )
    decided = scores.argmax(axis=1)
    found = _of_decisions(truth, decided, classes, "macro")
    probable = are_probabilities(scores)
    if probable:
        sk = require("sklearn.metrics", "report")
        scores = scores / scores.sum(axis=1, keepdims=True)  # 1 in float64, too
        found["log_loss"] = float(sk.log_loss(truth, scores, labels=classes))
        if len(np.unique(truth)) == len(classes):
            ranked = scores[:, 1] if len(classes) == 2 else scores  # two classes are one score
            found["roc_auc"] = float(sk.roc_auc_score(truth, ranked, multi_class="ovr"))
    right = np.sum(decided == truth)
    found["intervals"] = {"accuracy": share_interval(right, len(truth))}
    found["by_class"] = _by_class(truth, decided, scores, probable)
    return found


def _by_class(
    truth: Classes, decided: Classes, scores: Floats, probable: bool
) -> list[dict[str, Any]]:
    """Return figures of each class against the rest, "class" being its number."""
    counts = np.bincount(truth, minlength=scores.shape[1])
    drawn = set(np.argsort(-counts, kind="stable")[:_MOST_CURVES].tolist())
    sk = require("sklearn.metrics", "report")
    found = []
    for number, rows in enumerate(counts.tolist()):
        own, score = (truth == number).astype(int), scores[:, number]
        right = int(np.sum(own & (decided == number)))
        chosen = int(np.sum(decided == number))
        figures: dict[str, Any] = {"class": number, "rows": rows, "decided": chosen}
        if chosen:
            figures["precision"] = right / chosen
        if rows:
            figures["recall"] = right / rows
        if 0 < rows < len(truth):
            figures["roc_auc"] = float(sk.roc_auc_score(own, score))
            if number in drawn:
                figures["roc"] = roc(own, score)
        if probable:
            figures |= {"mean_score": float(score.mean()), "observed_rate": float(own.mean())}
            if rows and number in drawn:
                figures["calibration"] = _calibration(own, score)
        found.append(figures)
    return found


def _invalid_label(labels: Floats, message: str, expected: str) -> InputError:
    actual = f"{labels.min():g} … {labels.max():g}"
    return InputError("invalid_label", message, expected=expected, actual=actual)


def _of_decisions(truth: Classes, decided: Classes, classes: list[int], average: str) -> Figures:
    sk = require("sklearn.metrics", "report")
    how: dict[str, Any] = {"average": average, "zero_division": 0.0}
    return {
        "accuracy": float(sk.accuracy_score(truth, decided)),
        "precision": float(sk.precision_score(truth, decided, **how)),
        "recall": float(sk.recall_score(truth, decided, **how)),
        "f1": float(sk.f1_score(truth, decided, **how)),
        "confusion_matrix": sk.confusion_matrix(truth, decided, labels=classes).tolist(),
    }


def _calibration(truth: Classes, score: Floats) -> list[list[float]]:
    """Return points (mean score, share of class 1) of a tenth of the rows each."""
    curve = require("sklearn.calibration", "report").calibration_curve
    share, mean = curve(truth, score, n_bins=CALIBRATION_BINS, strategy="quantile")
    return [[float(m), float(s)] for m, s in zip(mean, share, strict=True)]


def are_probabilities(scores: Floats) -> bool:
    """Whether scores (N, O) are those of classes that exclude each other."""
    near = np.allclose(scores.sum(axis=1), 1.0, atol=1e-4)
    return bool(near and scores.min() >= 0 and scores.max() <= 1)
