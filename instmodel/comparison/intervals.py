"""95 % confidence intervals: of shares, of ROC AUC, and of the difference of two of these."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require

Floats = NDArray[np.float64]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better one ROC AUC is than another of the same rows.

    Attributes
    ----------
    value, low, high : float
        New - old, and its interval; NaN where one class has fewer than two rows.
    p_value : float
        Of the hypothesis that both are the same; NaN if the scores leave no doubt.
    """

    value: float
    low: float
    high: float
    p_value: float


def share_interval(count: int, rows: int) -> list[float]:
    """Return Wilson's interval of the share `count` / `rows`; of no rows, anything."""
    if not rows:
        return [0.0, 1.0]
    test = require("scipy.stats", "report").binomtest(int(count), int(rows))
    found = test.proportion_ci(CONFIDENCE, method="wilson")
    return [float(found.low), float(found.high)]


def auc_interval(truth: NDArray[Any], score: Floats) -> list[float]:
    """Return the interval of a ROC AUC, by DeLong's variance; NaN where that tells nothing."""
    (value,), ((variance,),) = delong(truth, score[None])
    if value in (0.0, 1.0):  # its variance is 0 then, however few the rows are
        return [math.nan, math.nan]
    margin = _quantile() * math.sqrt(variance)
    return [float(max(value - margin, 0.0)), float(min(value + margin, 1.0))]


def auc_gain(truth: NDArray[Any], old: Floats, new: Floats) -> Gain:
    """Return by how much the ROC AUC grows, and how sure that is, by DeLong's test."""
    (before, after), covariance = delong(truth, np.stack([old, new]))
    gain = after - before
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    error = math.sqrt(max(variance, 0.0)) if not math.isnan(variance) else math.nan
    margin = _quantile() * error
    p_value = math.nan
    if error > 0:
        p_value = 2 * float(require("scipy.stats", "report").norm.sf(abs(gain) / error))
    return Gain(float(gain), float(gain - margin), float(gain + margin), p_value)


def delong(truth: NDArray[Any], scores: Floats) -> tuple[Floats, Floats]:
    """Return the ROC AUC of scores (K, N), and their covariance (K, K).

    The estimate of DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more
    correlated receiver operating characteristic curves", Biometrics 44 (1988), by ranks, as Sun
    and Xu do it, IEEE Signal Processing Letters 21 (2014). Equal scores count one half. The
    covariance is NaN with fewer than two rows of a class.

    Parameters
    ----------
    truth : (N,)
        0 and 1, both of which occur.
    scores : (K, N)
    """
    rank = require("scipy.stats", "report").rankdata
    chosen = truth == 1
    positive, negative = scores[:, chosen], scores[:, ~chosen]
    m, n = positive.shape[1], negative.shape[1]
    among_all = rank(scores, axis=1)
    # For each row, the share of the rows of the other class that it stands on the right side of.
    of_positive = (among_all[:, chosen] - rank(positive, axis=1)) / n
    of_negative = 1 - (among_all[:, ~chosen] - rank(negative, axis=1)) / m
    areas = of_positive.mean(axis=1)
    if min(m, n) < 2:
        return areas, np.full((len(scores), len(scores)), np.nan)
    covariance = np.cov(of_positive) / m + np.cov(of_negative) / n
    return areas, np.atleast_2d(covariance)


def _quantile() -> float:
    return float(require("scipy.stats", "report").norm.ppf(0.5 + CONFIDENCE / 2))
