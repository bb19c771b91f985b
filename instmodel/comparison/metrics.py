"""Figures of scores against labels. scikit-learn computes them; here is which, and on what."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require
from instmodel.errors import InputError

Floats = NDArray[np.float64]

TASKS = ("binary", "multiclass", "regression")
CALIBRATION_BINS = 10
# Figures that are more than a number.
CURVES = ("confusion_matrix", "roc", "calibration")
# The first figure of a task: what a table of groups shows.
LEADING = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mae"}


def task_of(labels: Floats, outputs: int) -> str:
    """Return the task that labels of such values and so many outputs suggest."""
    if outputs > 1:
        return "multiclass"
    return "binary" if set(np.unique(labels)) <= {0.0, 1.0} else "regression"


def label_metrics(
    labels: Floats, scores: Floats, task: str, threshold: float, tolerance: float
) -> dict[str, Any]:
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
    sk = require("sklearn.metrics", "report")
    if task == "regression":
        value = scores[:, 0]
        return {
            "mae": float(sk.mean_absolute_error(labels, value)),
            "rmse": float(sk.root_mean_squared_error(labels, value)),
            "mape": float(sk.mean_absolute_percentage_error(labels, value)),
            # Of one row, scikit-learn would warn that there is none.
            "r2": float(sk.r2_score(labels, value)) if len(labels) > 1 else float("nan"),
            "share_within_tolerance": float(np.mean(np.abs(labels - value) <= tolerance)),
        }
    truth = labels.astype(int)
    if task == "binary":
        if not set(np.unique(labels)) <= {0.0, 1.0}:
            raise InputError(
                "invalid_label",
                "labels of two classes must be 0 and 1",
                expected="0 or 1",
                actual=f"{labels.min():g} … {labels.max():g}",
            )
        chosen, classes, average = (scores[:, 0] >= threshold).astype(int), [0, 1], "binary"
    else:
        classes, average = list(range(scores.shape[1])), "macro"
        chosen = scores.argmax(axis=1)
        if truth.min() < 0 or truth.max() >= len(classes) or np.any(truth != labels):
            raise InputError(
                "invalid_label",
                "labels must be the numbers of the classes",
                expected=f"0 … {len(classes) - 1}",
                actual=f"{labels.min():g} … {labels.max():g}",
            )
    few: dict[str, Any] = {"average": average, "zero_division": 0.0}
    found: dict[str, Any] = {
        "accuracy": float(sk.accuracy_score(truth, chosen)),
        "precision": float(sk.precision_score(truth, chosen, **few)),
        "recall": float(sk.recall_score(truth, chosen, **few)),
        "f1": float(sk.f1_score(truth, chosen, **few)),
        "confusion_matrix": sk.confusion_matrix(truth, chosen, labels=classes).tolist(),
    }
    if task == "binary":
        found |= _binary_curves(sk, truth, scores[:, 0])
    elif _are_probabilities(scores):
        exact = scores / scores.sum(axis=1, keepdims=True)  # 1 in float64, too
        found["log_loss"] = float(sk.log_loss(truth, exact, labels=classes))
        if len(np.unique(truth)) == len(classes):
            ranked = exact[:, 1] if len(classes) == 2 else exact  # two classes are one score
            found["roc_auc"] = float(sk.roc_auc_score(truth, ranked, multi_class="ovr"))
    return found


def _binary_curves(sk: Any, truth: NDArray[np.int64], score: Floats) -> dict[str, Any]:
    found: dict[str, Any] = {}
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
