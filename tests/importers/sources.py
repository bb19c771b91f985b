"""What the tests of the importers share: how close is the same, and rows to compare on."""

import contextlib

import numpy as np

import instmodel as im

ROWS = 10_000
TOLERANCE = 1e-5


def assert_same(info: im.InstructionModelInfo, rows: np.ndarray, expected: np.ndarray) -> None:
    """Compare within 1e-5 of the largest output of a column, or of 1 where that is less."""
    expected = np.asarray(expected, np.float64).reshape(len(rows), -1)
    actual = im.InstructionModel(info).predict(rows)
    assert actual.shape == expected.shape
    assert np.array_equal(np.isnan(actual), np.isnan(expected))
    scale = np.maximum(1.0, np.nanmax(np.abs(expected), axis=0))
    error = np.nanmax(np.abs(actual - expected) / scale)
    assert error <= TOLERANCE, error
    # A source that ignores its input would make any importer look right.
    assert np.nanstd(expected, axis=0).max() > 0
    with contextlib.suppress(ImportError):
        import onnxruntime  # noqa: F401

        _assert_same_in_onnx_runtime(info, rows, expected / scale, scale)


def _assert_same_in_onnx_runtime(info, rows, expected, scale):
    from instmodel.exporters.onnx import to_onnx
    from instmodel.importers.onnx import run_onnx

    outputs = run_onnx(to_onnx(info), rows) / scale
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=TOLERANCE)
