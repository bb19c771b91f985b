"""Figures of scores against labels. scikit-learn computes them; here is which, and on what."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require
from instmodel.errors import InputError

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Figures = dict[str, Any]
BothFigures = tuple[Figures, Figures]  # of the old model, of the new one

TASKS = ("binary", "multiclass", "regression")
CALIBRATION_BINS = 10
# Figures that are more than a number.
CURVES = ("confusion_matrix", "roc", "calibration")
# The first figure of a task: what a table of groups shows.
LEADING = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mae"}


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
    task : {"binary", "multiclass", "regression"}, optional
        By default what labels and outputs suggest.
    threshold, tolerance : float
    """

    def __init__(
        self,
        labels: Floats,
        old: Floats,
        new: Floats,
        column: int,
        task: str | None,
        threshold: float,
        tolerance: float,
    ) -> None:
        self.task = task or task_of(labels, old.shape[1])
        judged = slice(None) if self.task == "multiclass" else slice(column, column + 1)
        self._labels = labels
        self._old, self._new = old[:, judged], new[:, judged]
        self._threshold, self._tolerance = threshold, tolerance

    def figures(self, rows: Any = slice(None)) -> BothFigures:
        """Return all figures, of some rows or all."""
        return self._of(self._old, rows), self._of(self._new, rows)

    def numbers(self, rows: Any = slice(None)) -> BothFigures:
        """Return the figures that are a number."""
        old, new = self.figures(rows)
        return plain_numbers(old), plain_numbers(new)

    def _of(self, scores: Floats, rows: Any) -> Figures:
        return label_metrics(
            self._labels[rows], scores[rows], self.task, self._threshold, self._tolerance
        )


def plain_numbers(figures: Figures) -> Figures:
    """Return the figures that are a number."""
    return {name: figure for name, figure in figures.items() if name not in CURVES}


def task_of(labels: Floats, outputs: int) -> str:
    """Return the task that labels of such values and so many outputs suggest."""
    if outputs > 1:
        return "multiclass"
    return "binary" if set(np.unique(labels)) <= {0.0, 1.0} else "regression"


def label_metrics(
    labels: Floats, scores: Floats, task: str, threshold: float, tolerance: float
) -> Figures:
    """Return the figures of one model.

    Parameters
    ----------
    labels : (N,)
        Finite: 0 and 1, the number of the class, or the true value.
    scores : (N, O)
        Finite: one output; for "multiclass" one for each class.
    task : {"binary", "multiclass", "regression"}
    threshold : float
        A score of at least this is a decision for 1.
    tolerance : float
        For "regression", an absolute error of at most this counts as close.

    Returns
    -------
    dict
        Numbers by name; for classes also "confusion_matrix" (rows are the true classes), and for
        "binary" the curves "calibration" and "roc" as lists of points.
    """
    if task == "regression":
        return _of_values(labels, scores[:, 0], tolerance)
    if task == "binary":
        return _of_two_classes(labels, scores[:, 0], threshold)
    return _of_classes(labels, scores)


def _of_values(labels: Floats, score: Floats, tolerance: float) -> Figures:
    sk = require("sklearn.metrics", "report")
    return {
        "mae": float(sk.mean_absolute_error(labels, score)),
        "rmse": float(sk.root_mean_squared_error(labels, score)),
        "mape": float(sk.mean_absolute_percentage_error(labels, score)),
        # Of one row, scikit-learn would warn that there is none.
        "r2": float(sk.r2_score(labels, score)) if len(labels) > 1 else float("nan"),
        "share_within_tolerance": float(np.mean(np.abs(labels - score) <= tolerance)),
    }


def _of_two_classes(labels: Floats, score: Floats, threshold: float) -> Figures:
    if not set(np.unique(labels)) <= {0.0, 1.0}:
        raise _invalid_label(labels, "labels of two classes must be 0 and 1", "0 or 1")
    truth = labels.astype(int)
    decided = (score >= threshold).astype(int)
    return _of_decisions(truth, decided, [0, 1], "binary") | _of_one_score(truth, score)


def _of_classes(labels: Floats, scores: Floats) -> Figures:
    classes = list(range(scores.shape[1]))
    truth = labels.astype(int)
    if truth.min() < 0 or truth.max() >= len(classes) or np.any(truth != labels):
        raise _invalid_label(
            labels, "labels must be the numbers of the classes", f"0 … {len(classes) - 1}"
        )
    found = _of_decisions(truth, scores.argmax(axis=1), classes, "macro")
    if _are_probabilities(scores):
        sk = require("sklearn.metrics", "report")
        exact = scores / scores.sum(axis=1, keepdims=True)  # 1 in float64, too
        found["log_loss"] = float(sk.log_loss(truth, exact, labels=classes))
        if len(np.unique(truth)) == len(classes):
            ranked = exact[:, 1] if len(classes) == 2 else exact  # two classes are one score
            found["roc_auc"] = float(sk.roc_auc_score(truth, ranked, multi_class="ovr"))
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


def _of_one_score(truth: Classes, score: Floats) -> Figures:
    """Return what rests on the score of class 1, as far as truth and scores allow."""
    sk = require("sklearn.metrics", "report")
    found: Figures = {}
    if len(np.unique(truth)) == 2:
        found["roc_auc"] = float(sk.roc_auc_score(truth, score))
        false, true, _ = sk.roc_curve(truth, score)
        few = np.unique(np.linspace(0, len(false) - 1, min(100, len(false))).astype(int))
        found["roc"] = [[float(false[i]), float(true[i])] for i in few]
    if score.min() >= 0 and score.max() <= 1:
        found["log_loss"] = float(sk.log_loss(truth, score, labels=[0, 1]))
        found["brier"] = float(np.mean((score - truth) ** 2))
        calibration = require("sklearn.calibration", "report").calibration_curve
        share, mean = calibration(truth, score, n_bins=CALIBRATION_BINS, strategy="quantile")
        found["calibration"] = [[float(m), float(s)] for m, s in zip(mean, share, strict=True)]
    return found


def _are_probabilities(scores: Floats) -> bool:
    near = np.allclose(scores.sum(axis=1), 1.0, atol=1e-4)
    return bool(near and scores.min() >= 0 and scores.max() <= 1)
