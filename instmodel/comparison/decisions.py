"""What scores decide: whether at a threshold, by the largest output, or nothing at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arguments
from instmodel.errors import InputError

Floats = NDArray[np.float64]

DEFAULT_THRESHOLD = 0.5
# What `Comparison.decision` is, if anything is decided.
AT_THRESHOLD, LARGEST = "threshold", "largest"
# On which side of the threshold an applicant is approved.
APPROVALS = ("above", "below")


@dataclass(frozen=True, slots=True)
class Decision:
    """How scores (N, O) become decisions.

    Attributes
    ----------
    kind : {"threshold", "largest"} or None
    column : int
        The output that is held against the threshold.
    threshold : float
    asked : bool
        Whether somebody named the threshold; if not, it is one for probabilities alone.
    approve : {"above", "below"}, optional
    """

    kind: str | None
    column: int
    threshold: float = DEFAULT_THRESHOLD
    asked: bool = False
    approve: str | None = None

    def of(self, scores: Floats) -> NDArray[Any]:
        """Return what scores (N, O) decide: whether 1, or for which output."""
        if self.kind == LARGEST:
            return np.asarray(scores.argmax(axis=1))
        if self.kind is None:
            return np.zeros(len(scores), bool)
        chosen: NDArray[np.bool_] = scores[:, self.column] >= self.threshold
        return chosen

    def approved(self, chosen: int, rows: int) -> int | None:
        """Return how many rows are approved, if `chosen` of them reach the threshold."""
        if self.kind != AT_THRESHOLD or self.approve is None:
            return None
        return chosen if self.approve == "above" else rows - chosen

    def settled(self, task: str | None, least: float, greatest: float) -> Decision:
        """Return what is left of it once all scores, and what the labels are, are known.

        A threshold that nobody named is one for probabilities: values have none, and neither have
        log-odds.

        Raises
        ------
        InputError
            ``missing_field``: nothing is left that would approve. ``invalid_type``: a threshold
            that no probability has.
        """
        probabilities = least >= 0 and greatest <= 1
        if self.asked and probabilities and not 0 <= self.threshold <= 1:
            raise InputError(
                "invalid_type",
                f"all scores lie between {least:.4g} and {greatest:.4g}, as probabilities do",
                field="threshold",
                expected="a threshold from 0 to 1",
                actual=self.threshold,
            )
        if self.kind != AT_THRESHOLD or self.asked:
            return self
        if task == "regression" or not probabilities:
            _refuse_approval(self.approve)
            return Decision(None, self.column)
        return self


def decision_of(
    outputs: int,
    column: int,
    threshold: float | None,
    task: str | None,
    approve: str | None = None,
) -> Decision:
    """Return the decision of models with so many outputs, as far as the arguments tell.

    Raises
    ------
    InputError
        ``non_finite_value``, ``invalid_type`` for a threshold of classes, or ``missing_field`` for
        approval without one.
    """
    if approve is not None:
        arguments.choice(approve, "approve", APPROVALS)
    if threshold is not None:
        if not math.isfinite(arguments.real(threshold, "threshold")):
            raise InputError(
                "non_finite_value", "a threshold is a number", field="threshold", actual=threshold
            )
        if task == "multiclass":
            raise InputError(
                "invalid_type",
                "of several classes, the one with the largest output is decided for",
                field="threshold",
                expected="no threshold, or the task binary, which looks at one output",
                actual=threshold,
            )
        return Decision(AT_THRESHOLD, column, threshold, asked=True, approve=approve)
    if task != "regression" and (outputs == 1 or task == "binary"):
        return Decision(AT_THRESHOLD, column, approve=approve)
    _refuse_approval(approve)
    return Decision(None if task == "regression" else LARGEST, column)


def _refuse_approval(approve: str | None) -> None:
    if approve is not None:
        raise InputError(
            "missing_field",
            "what is approved asks for a threshold; values, log-odds and several classes have none "
            "unless it is given",
            field="threshold",
        )
