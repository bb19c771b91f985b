"""Known outputs that a model must reproduce."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel._engine import Engine
from instmodel.base import arrays, values
from instmodel.base.features import Feature
from instmodel.base.tolerance import Tolerance, absolute_errors
from instmodel.compiled import ragged, sequences
from instmodel.document.structure import ValidationData
from instmodel.document.validate import check_cases
from instmodel.errors import ValidationDataError


def largest_error(
    engine: Engine,
    features: Sequence[Feature],
    inputs: Any,
    expected_outputs: Any,
    tolerance: Tolerance,
) -> float:
    """Compare what `engine` computes with what it should; see `InstructionModel.validate`."""
    arrays.check_columns(inputs, features)
    inputs = _cases(inputs, engine.feature_size, "inputs")
    data = ValidationData(inputs, _cases(expected_outputs, engine.output_size, "expected_outputs"))
    check_cases(data, engine.feature_size, engine.output_size, engine.state_size > 0)
    if engine.state_size:
        return _largest_error_of_steps(engine, data, tolerance)
    if not data.inputs:
        return 0.0
    expected = np.stack(data.expected_outputs)
    # As they were given: rounded to float32, keys of maps would no longer tell what they were.
    given = np.stack([values.numbers(row, "inputs") for row in inputs])
    # Not what a subclass makes of it, whose own constructor has yet to go on.
    actual = Engine.predict(engine, given)
    return _compared(actual, expected, tolerance, lambda row: f"[{row}]")


def _largest_error_of_steps(engine: Engine, data: ValidationData, tolerance: Tolerance) -> float:
    size = engine.feature_size
    rows = [np.reshape(steps, (-1, size)) for steps in data.inputs]
    given = ragged.read_sequences(rows, None, None, size)
    if not given.rows.size:
        return 0.0
    actual = np.concatenate(sequences.predict_sequences(engine, given, None, False, None, None))
    expected = np.concatenate([steps for steps in data.expected_outputs if len(steps)])

    def place(row: int) -> str:
        sequence = int(np.searchsorted(given.starts + given.lengths, row, "right"))
        return f"[{sequence}][{row - given.starts[sequence]}]"

    return _compared(actual, expected, tolerance, place)


def _compared(
    actual: NDArray[np.float32],
    expected: NDArray[np.float32],
    tolerance: Tolerance,
    place: Callable[[int], str],
) -> float:
    """Return the largest error of rows, (N, O); `place` says where a row stands."""
    errors = absolute_errors(actual, expected)
    excess = tolerance.excess(actual, expected)
    row, column = (int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
    if excess[row, column] > 1:
        raise ValidationDataError(
            "validation_mismatch",
            f"the model does not reproduce its validation data: off by "
            f"{errors[row, column]:.3g}, more than {tolerance}",
            field=f"validation_data.expected_outputs{place(row)}[{column}]",
            expected=float(expected[row, column]),
            actual=float(actual[row, column]),
        )
    return float(errors.max())


def _cases(x: Any, size: int, name: str) -> Any:
    """Return cases as `ValidationData` takes them: lists as they are, all else as (N, size)."""
    if isinstance(x, (list, tuple)):
        return x
    array = arrays.real_array(x, name)
    if array.dtype == bool:
        array = arrays.as_float32(array)
    return array[:, np.newaxis] if array.ndim == 1 and size == 1 else array
