"""Known outputs that a model must reproduce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from instmodel._engine import Engine
from instmodel.base import arrays, values
from instmodel.base.features import Feature
from instmodel.base.tolerance import Tolerance, absolute_errors
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
    if not data.inputs:
        return 0.0
    expected = np.stack(data.expected_outputs)
    # As they were given: rounded to float32, keys of maps would no longer tell what they were.
    given = np.stack([values.numbers(row, "inputs") for row in inputs])
    # Not what a subclass makes of it, whose own constructor has yet to go on.
    actual = Engine.predict(engine, given)
    errors = absolute_errors(actual, expected)
    excess = tolerance.excess(actual, expected)
    row, column = (int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
    if excess[row, column] > 1:
        raise ValidationDataError(
            "validation_mismatch",
            f"the model does not reproduce its validation data: off by "
            f"{errors[row, column]:.3g}, more than {tolerance}",
            field=f"validation_data.expected_outputs[{row}][{column}]",
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
