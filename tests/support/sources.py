"""What the tests of the importers share: how close is the same, and rows to compare on."""

import contextlib
from importlib.util import find_spec

import numpy as np

import instmodel as im

ROWS = 10_000
TOLERANCE = 1e-5


def assert_same(info: im.InstructionModelInfo, rows: np.ndarray, expected: np.ndarray) -> None:
    """Compare what was imported with its source; where ONNX is there, its round trip, too.

    Parameters
    ----------
    info : InstructionModelInfo
    rows : (N, F)
    expected : (N, ...)
        Outputs of the source.
    """
    expected = np.asarray(expected, np.float64).reshape(len(rows), -1)
    # A source that ignores its input would make any importer look right.
    assert np.nanstd(expected, axis=0).max() > 0
    assert_near(im.InstructionModel(info).predict(rows), expected)
    if find_spec("onnx") and find_spec("onnxruntime"):
        assert_round_trip(info, rows, expected)


def assert_round_trip(info: im.InstructionModelInfo, rows: np.ndarray, expected: np.ndarray):
    """Compare with the source what ONNX Runtime makes of the exported model, and its import."""
    from instmodel.exporters.onnx import to_onnx
    from instmodel.importers.onnx import from_onnx, run_onnx

    exported = to_onnx(info)
    assert_near(run_onnx(exported, rows), expected)
    assert_near(im.InstructionModel(from_onnx(exported)).predict(rows), expected)


def assert_near(actual: np.ndarray, expected: np.ndarray) -> None:
    """Compare (N, O) within 1e-5 of the largest output of a column, or of 1 where that is less."""
    assert actual.shape == expected.shape
    assert np.array_equal(np.isnan(actual), np.isnan(expected))
    scale = np.maximum(1.0, np.nanmax(np.abs(expected), axis=0))
    error = np.nanmax(np.abs(actual - expected) / scale)
    assert error <= TOLERANCE, error


def source_of_each_row(estimator, method: str, rows: np.ndarray, outputs: int) -> np.ndarray:
    """Return what a scikit-learn estimator computes row by row, NaN for rows that it refuses."""
    from instmodel.importers.sklearn import source_outputs

    computed = np.full((len(rows), outputs), np.nan)
    for row, result in zip(rows, computed, strict=True):
        with contextlib.suppress(ValueError, IndexError):
            result[:] = source_outputs(estimator, method, row[None], outputs)[0]
    return computed


def outputs_or_nan(estimator, method: str, rows: np.ndarray, outputs: int) -> np.ndarray:
    """Return what a scikit-learn estimator computes, NaN for rows that it refuses: fast."""
    from instmodel.importers.sklearn import source_outputs

    try:
        return source_outputs(estimator, method, rows, outputs)
    except (ValueError, IndexError):
        if len(rows) == 1:
            return np.full((1, outputs), np.nan)
    halves = np.array_split(rows, 2)
    return np.concatenate([outputs_or_nan(estimator, method, half, outputs) for half in halves])


def rows_around(x: np.ndarray, count: int = 1000) -> np.ndarray:
    """Return rows of the training data mixed anew, with some numbers that are not like it."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.choice(column, count) for column in np.asarray(x, float).T])
    odd = np.choose(
        rng.integers(0, 6, rows.shape),
        [np.full(rows.shape, np.nan), 0 * rows, -rows, 3 * rows, rows - 0.5, 100 * rows],
    )
    return np.where(rng.random(rows.shape) < 0.03, odd, rows).astype(np.float32)
