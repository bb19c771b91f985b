"""What the tests of scikit-learn share: a table, fitting without warnings, the comparison."""

import warnings

import numpy as np

from instmodel.importers import sklearn as importer
from support.sources import assert_same, outputs_or_nan, rows_around


def drawn_table():
    """Return a generator, rows (300, 4), scores of them, and two and three classes of the scores.

    The rows are float32 numbers, so that every model sees the same ones.
    """
    rng = np.random.default_rng(7)
    x = rng.normal(size=(300, 4)) * [1, 10, 0.1, 3] + [0, 50, 1, -3]
    x = x.astype(np.float32).astype(np.float64)
    score = x @ [1.0, 0.1, -5.0, 0.3] + rng.normal(size=300)
    two = (np.median(score) < score).astype(int)
    return rng, x, score, two, np.digitize(score, np.quantile(score, [0.33, 0.66]))


def fitted(estimator, x, y):
    """Fit without the warnings of networks that stop early, and the like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(x, y)


def assert_imported(estimator, x, y, options=None):
    """Fit and import an estimator, and compare both around the rows that it learned from."""
    info = importer.from_sklearn(fitted(estimator, x, y), **(options or {}))
    rows = rows_around(x)
    method, outputs = info.metadata["output"], info.buffer_sizes[-1]
    assert_same(info, rows, outputs_or_nan(estimator, method, rows, outputs))
    assert info.validation_data is not None
