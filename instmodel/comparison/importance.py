"""Which inputs matter: what becomes of the scores when an input is shuffled among the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instmodel.base.extras import require
from instmodel.comparison.metrics import are_probabilities
from instmodel.comparison.pair import Pair

Floats = NDArray[np.float64]

# What one permutation says depends on chance; more rows and repeats take time.
MOST_ROWS = 10_000
_REPEATS = 5


@dataclass(frozen=True, slots=True)
class InputImportance:
    """How much one input matters to both models.

    Attributes
    ----------
    name : str
        An array feature is one input.
    old, new : float
        The mean over five permutations of how much worse the measure becomes, or how far the score
        moves; NaN if a permutation leads to scores that are not finite.
    """

    name: str
    old: float
    new: float


@dataclass(frozen=True, slots=True)
class Importance:
    """How much the inputs matter.

    Attributes
    ----------
    measure : {"roc_auc", "log_loss", "accuracy", "rmse", "mean_absolute_change"}
        What becomes worse; the last one, without labels that tell, is how far the score moves.
    rows : int
        A random part of the data.
    inputs : list of InputImportance
        Those that matter most to either model first.
    """

    measure: str
    rows: int
    inputs: list[InputImportance]


# How much worse scores, (N, O) or (N, 1) of one output, are than others.
_Loss = Callable[[Floats, Floats], float]


def permutation_importance(
    pair: Pair, rows: NDArray[np.float32], truth: Floats | None, task: str | None, column: int
) -> Importance:
    """Return how much each input matters.

    The definition is that of scikit-learn's function of this name, which takes one model and one
    column at a time. Here both models see the same permutations, and the values of an array feature
    stay together.

    Parameters
    ----------
    pair : Pair
    rows : (N, F)
    truth : (N,), optional
        The labels as numbers.
    task : {"binary", "multiclass", "regression"} or None
    column : int
        The output that is judged, but for "multiclass", which takes all.
    """
    every = task == "multiclass" and truth is not None
    judged = slice(None) if every else slice(column, column + 1)
    before = [side[:, judged] for side in pair.scores(rows)]
    measure, loss = _measure(before, truth, task)
    rng = np.random.default_rng(0)
    found = []
    for name, place in pair.features:
        shuffled = rows.copy()
        losses = np.empty((_REPEATS, 2))
        for repeat in range(_REPEATS):
            shuffled[:, place] = rows[rng.permutation(len(rows)), place]
            after = [side[:, judged] for side in pair.scores(shuffled)]
            losses[repeat] = [
                loss(now, then) if np.isfinite(now).all() else np.nan
                for now, then in zip(after, before, strict=True)
            ]
        old, new = losses.mean(axis=0).tolist()
        found.append(InputImportance(name, old, new))
    found.sort(key=lambda item: -np.nan_to_num([item.old, item.new], nan=np.inf).max())
    return Importance(measure, len(rows), found)


def _measure(before: Sequence[Floats], truth: Floats | None, task: str | None) -> tuple[str, _Loss]:
    """Return what becomes worse, and its function, for the outputs that are judged."""
    sk = require("sklearn.metrics", "report")
    if truth is None or (task == "binary" and len(np.unique(truth)) < 2):
        return "mean_absolute_change", lambda now, then: float(np.abs(now - then).mean())
    if task == "binary":

        def area(scores: Floats) -> float:
            return float(sk.roc_auc_score(truth, scores[:, 0]))

        return "roc_auc", lambda now, then: area(then) - area(now)
    if task == "regression":

        def error(scores: Floats) -> float:
            return float(sk.root_mean_squared_error(truth, scores[:, 0]))

        return "rmse", lambda now, then: error(now) - error(then)
    if all(map(are_probabilities, before)):
        classes = list(range(before[0].shape[1]))

        def surprise(scores: Floats) -> float:
            exact = scores / scores.sum(axis=1, keepdims=True)  # 1 in float64, too
            return float(sk.log_loss(truth, exact, labels=classes))

        return "log_loss", lambda now, then: surprise(now) - surprise(then)

    def right(scores: Floats) -> float:
        return float(np.mean(scores.argmax(axis=1) == truth))

    return "accuracy", lambda now, then: right(then) - right(now)
