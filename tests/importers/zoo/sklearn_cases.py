"""How a scikit-learn estimator becomes a case of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from importers.zoo.sklearn_data import complete_credit
from sklearn import multioutput, neural_network
from sklearn import preprocessing as pre
from sklearn.pipeline import make_pipeline
from support.zoo import Case, Source

import instmodel as im

Data = Callable[[], tuple[pd.DataFrame, np.ndarray]]
METHODS = ("predict_proba", "decision_function", "predict", "transform")


def fitted(estimator: Any, frame: pd.DataFrame, y: np.ndarray | None) -> Source:
    """Return the source that an estimator becomes when it learns from a table.

    Rows hold numbers in the place of text: its place in the alphabet, as encoders have it.
    """
    estimator.fit(frame, y)
    method = next(name for name in METHODS if hasattr(estimator, name))
    texts = {
        name: dict(enumerate(sorted(frame[name].dropna().unique())))
        for name in frame
        if not pd.api.types.is_numeric_dtype(frame[name])
    }
    numbers = frame.copy()
    for name, known in texts.items():
        numbers[name] = frame[name].map({text: number for number, text in known.items()})

    def scores(rows: np.ndarray) -> np.ndarray:
        table = pd.DataFrame(rows.astype(float), columns=frame.columns)
        for name, known in texts.items():
            cells = [np.nan if np.isnan(x) else known.get(x, "?") for x in table[name]]
            table[name] = pd.Series(cells, dtype=object)
        found = getattr(estimator, method)(table)
        if isinstance(found, list):  # an array a label
            found = np.hstack([one[:, 1:] if one.shape[1] == 2 else one for one in found])
        found = np.asarray(found.toarray() if hasattr(found, "toarray") else found, float)
        pair = method == "predict_proba" and found.shape[1] == 2
        return found[:, 1:] if pair and not _has_labels(estimator) else found

    return Source(
        numbers.to_numpy(np.float32), scores, lambda: im.importers.from_sklearn(estimator)
    )


def _has_labels(estimator: Any) -> bool:
    """Whether two probabilities are of two labels, not of two classes."""
    return isinstance(estimator, neural_network.MLPClassifier | multioutput.ClassifierChain)


def case(
    name: str,
    kind: str,
    make: Callable[[], Any],
    data: Data = complete_credit,
    *refused: str,
    reach: float = 300.0,
) -> Case:
    return Case(name, kind, lambda: fitted(make(), *data()), refused, reach)


def scaled(*steps: Any) -> Any:
    return make_pipeline(pre.StandardScaler(), *steps)
