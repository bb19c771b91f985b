"""How well a score puts the rows of class 1 before the others: ROC AUC, KS, lift, bands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require
from instmodel.signatures.population import Bins

Floats = NDArray[np.float64]

# The share of the rows, those with the highest scores, that `lift` is of.
TOP = 0.1
# Points of a curve: enough to draw it.
_MOST_POINTS = 100


def ranking_figures(truth: NDArray[np.int64], score: Floats) -> dict[str, Any]:
    """Return what rests on the order of the scores alone; nothing if there is one class only.

    Returns
    -------
    dict
        "roc_auc"; "gini", 2 · ROC AUC - 1; "ks", the largest distance between the distributions of
        the two classes; "lift", the rate of class 1 among the tenth with the highest scores,
        divided by that of all; the curves "roc" (false and true positive rate) and "gain" (share
        of the rows from the highest score down, and of class 1 among them); "bands".
    """
    if len(np.unique(truth)) < 2:
        return {}
    sk = require("sklearn.metrics", "report")
    area = float(sk.roc_auc_score(truth, score))
    false, true, _ = sk.roc_curve(truth, score)
    rate = float(truth.mean())
    taken = true * rate + false * (1 - rate)
    # Between rows of the same score, whose order is nobody's, the curve is straight.
    top = float(np.interp(TOP, taken, true))
    return {
        "roc_auc": area,
        "gini": 2 * area - 1,
        "ks": float(np.abs(true - false).max()),
        "lift": top / TOP,
        "roc": _points(false, true),
        "gain": _points(taken, true),
        "bands": bands(truth, score),
    }


def roc(truth: NDArray[Any], score: Floats) -> list[list[float]]:
    """Return points of the ROC curve."""
    false, true, _ = require("sklearn.metrics", "report").roc_curve(truth, score)
    return _points(false, true)


def _points(x: Floats, y: Floats) -> list[list[float]]:
    few = np.unique(np.linspace(0, len(x) - 1, min(_MOST_POINTS, len(x))).astype(int))
    return [[float(x[i]), float(y[i])] for i in few]


def bands(truth: NDArray[np.int64], score: Floats) -> list[dict[str, Any]]:
    """Return the rows in bands of the score, the highest first, a tenth in each.

    Equal scores share a band, as in `Bins`.

    Returns
    -------
    list of dict
        "low", "high" (as of a `PsiBin`), "rows", "positives", "rate"; "lift", the rate divided by
        that of all; "share" and "gain", the parts of the rows and of the positives down to the end
        of the band; "cumulative_lift".
    """
    bins = Bins(score)
    places = bins.of(score)
    rows = np.bincount(places, minlength=len(bins))
    positives = np.bincount(places, truth, minlength=len(bins))
    overall = float(truth.mean())
    found = []
    taken = gained = 0.0
    for place in range(len(bins) - 1, -1, -1):
        if not rows[place]:
            continue
        taken += rows[place] / len(score)
        gained += positives[place] / truth.sum()
        low, high = bins.ends(place)
        rate = float(positives[place] / rows[place])
        found.append(
            {
                "low": low,
                "high": high,
                "rows": int(rows[place]),
                "positives": int(positives[place]),
                "rate": rate,
                "lift": rate / overall,
                "share": float(taken),
                "gain": float(gained),
                "cumulative_lift": float(gained / taken),
            }
        )
    return found
