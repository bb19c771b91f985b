"""How far two computations of the same numbers may be apart."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base.values import describe
from instmodel.errors import InputError

DEFAULT_ATOL = DEFAULT_RTOL = 1e-5


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Two numbers are the same if |a - b| ≤ atol + rtol · |b|, or both are NaN, or equal.

    Parameters
    ----------
    atol, rtol : float
        Numbers of 0 or more. `atol` may be infinite: only NaN and infinities then differ.

    Raises
    ------
    InputError
        ``invalid_type``.
    """

    atol: float = DEFAULT_ATOL
    rtol: float = DEFAULT_RTOL

    def __post_init__(self) -> None:
        for field, value in (("atol", self.atol), ("rtol", self.rtol)):
            number = _float(value)
            if not (0 <= number < math.inf or (field == "atol" and number == math.inf)):
                raise InputError(
                    "invalid_type",
                    "no tolerance",
                    field=field,
                    expected="a number of 0 or more",
                    actual=describe(value),
                )
            object.__setattr__(self, field, number)

    def __str__(self) -> str:
        return f"{self.atol:g} + {self.rtol:g}·|expected|"

    def excess(self, a: Any, b: Any) -> NDArray[np.float64]:
        """Return |a - b| as a multiple of what is allowed; infinite for NaN against a number."""
        with np.errstate(all="ignore"):  # a signalling NaN is a NaN like others
            a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
            error = np.abs(a - b)
            allowed = self.atol + self.rtol * np.abs(b)
            excess = np.where(error > 0, error / allowed, 0.0)
        excess = np.where(np.isfinite(a) & np.isfinite(b), excess, np.inf)
        return np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, excess)


def _float(value: Any) -> float:
    """Return a number as Python's own, with which no sum overflows at float32; NaN for others."""
    if isinstance(value, Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    return math.nan


def absolute_errors(a: Any, b: Any) -> NDArray[np.float64]:
    """Return |a - b|; equal infinities and two NaN differ by 0, one NaN by infinity."""
    with np.errstate(invalid="ignore"):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        errors = np.abs(a - b)
    errors = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, errors)
    return np.nan_to_num(errors, nan=np.inf, posinf=np.inf)
