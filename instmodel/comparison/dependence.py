"""How the mean score follows one input while the others stay: partial dependence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instmodel.comparison.importance import Importance
from instmodel.comparison.pair import Pair

MOST_ROWS = 1000
_POINTS = 20
# Where scikit-learn ends its curves, too: outliers are no part of the picture.
_ENDS = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Dependence:
    """How the mean score follows one input.

    Attributes
    ----------
    name : str
    rows : int
        A random part of the data.
    grid : list of float
        Values of the input that occur, from its quantile of 5 % to that of 95 %.
    old, new : list of float
        The mean scores of all these rows with that value.
    texts : list of str or None
        What the values stand for, if they are those of categories.
    """

    name: str
    rows: int
    grid: list[float]
    old: list[float]
    new: list[float]
    texts: list[str | None]


def partial_dependence(
    pair: Pair, rows: NDArray[np.float32], importance: Importance, inputs: int, column: int
) -> list[Dependence]:
    """Return how the score follows the inputs that matter most.

    Parameters
    ----------
    pair : Pair
    rows : (N, F)
    importance : Importance
    inputs : int
        How many; array features are passed over.
    column : int
        The output that is looked at.
    """
    places = {name: place.start for name, place in pair.features if place.stop - place.start == 1}
    named = [item.name for item in importance.inputs if item.name in places]
    found = []
    for name in named[:inputs]:
        values = rows[:, places[name]]
        if np.isnan(values).all():
            continue
        # Values between those that occur may mean nothing, such as half a category.
        marks = np.nanquantile(values, np.linspace(*_ENDS, _POINTS), method="inverted_cdf")
        grid = np.unique(marks)
        changed = rows.copy()
        means = []
        for value in grid:
            changed[:, places[name]] = value
            means.append([float(side[:, column].mean()) for side in pair.scores(changed)])
        old, new = map(list, zip(*means, strict=True))
        texts = [pair.text(places[name], value) for value in grid.tolist()]
        found.append(Dependence(name, len(rows), grid.tolist(), old, new, texts))
    return found
