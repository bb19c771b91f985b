"""What is asked of a comparison: arguments that must suit the models and each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instmodel.base import arguments
from instmodel.base.values import describe, integer_argument
from instmodel.comparison.classes import Classes, classes_of
from instmodel.comparison.decisions import Decision, decision_of
from instmodel.comparison.labels import Labels, meant, place_of, some
from instmodel.comparison.metrics import TASKS, task_of
from instmodel.comparison.moves import Moves
from instmodel.comparison.pair import Pair
from instmodel.errors import InputError


@dataclass(frozen=True)
class Question:
    """What is asked, as far as the arguments and the models tell it.

    Attributes
    ----------
    outputs : int
        Of either model.
    column : int
        The output that is looked at.
    decision : Decision
    task : {"binary", "multiclass", "regression"} or None
    known : bool
        Whether a model says that it tells classes apart.
    labels : Labels or None
    by : list of str or int
        The columns that rows are grouped by.
    keys : list of str or int
        The columns beside the inputs: that of the labels, if there are any, then `by`.
    tolerance : float
    movers, dependence, most_rows : int
    """

    outputs: int
    column: int
    decision: Decision
    task: str | None
    known: bool
    labels: Labels | None
    by: list[str | int]
    keys: list[str | int]
    tolerance: float
    movers: int
    dependence: int
    most_rows: int

    @classmethod
    def of(
        cls,
        pair: Pair,
        *,
        labels: str | int | None,
        positive: str | float | None,
        classes: Sequence[str | float] | None,
        by: str | int | Sequence[str | int] | None,
        output: int | None,
        threshold: float | None,
        approve: str | None,
        tolerance: float,
        task: str | None,
        movers: int,
        dependence: int,
        most_rows: int,
    ) -> Question:
        """Return what the arguments of `compare` ask, if they make sense."""
        said = None if classes is None else _checked_classes(classes, pair.outputs)
        asked, task = task, _checked_task(task, pair.outputs, labels, positive, threshold)
        told = classes_of(pair.old, pair.new, said, asked)
        column = _checked_output(output, pair.outputs, told, positive)
        named = _columns_of(by)
        truths = None
        if labels is not None:
            truths = Labels(str(labels), told.labels, told.said, positive)
        return cls(
            outputs=pair.outputs,
            column=column,
            decision=decision_of(pair.outputs, column, threshold, task, approve),
            task=task,
            known=told.known,
            labels=truths,
            by=named,
            keys=named if labels is None else [labels, *named],
            tolerance=arguments.real(tolerance, "tolerance", least=0),
            movers=arguments.count(movers, "movers", least=0),
            dependence=arguments.count(dependence, "dependence", least=0),
            most_rows=arguments.count(most_rows, "most_rows"),
        )

    def settled(
        self, truth: NDArray[np.float64] | None, names: Sequence[str] | None, moves: Moves
    ) -> tuple[str | None, Decision]:
        """Return the task and the decision, now that all labels and scores are known.

        Parameters
        ----------
        truth : (N,), optional
            The labels.
        names : sequence of str, optional
            The names of their classes.
        moves : Moves
            Of all rows.
        """
        task = self.task
        if truth is not None:
            task = task or task_of(truth, self.outputs, self.known)
            _check_two_classes(task, names)
        return task, self.decision.settled(task, min(moves.least), max(moves.greatest))


def _columns_of(by: Any) -> list[str | int]:
    """Return the columns that rows are grouped by: none, one or several."""
    if by is None:
        return []
    return [by] if isinstance(by, str) or not isinstance(by, Sequence) else list(by)


def _checked_task(
    task: str | None, outputs: int, labels: Any, positive: Any, threshold: float | None
) -> str | None:
    """Return what the labels are, as far as the arguments tell."""
    if task is not None:
        arguments.choice(task, "task", TASKS)
    if task == "multiclass" and outputs == 1:
        raise InputError(
            "invalid_type",
            "one output tells no classes apart",
            field="task",
            expected="binary or regression",
            actual=task,
        )
    if positive is not None:
        if not isinstance(positive, str | Real):
            raise InputError(
                "invalid_type",
                "not a label",
                field="positive",
                expected="a text or a number",
                actual=describe(positive),
            )
        if labels is None or task not in (None, "binary"):
            raise InputError(
                "invalid_type",
                "which label is positive asks for labels of two classes",
                field="positive",
                expected="labels, and no other task than binary",
                actual=positive,
            )
        return "binary"
    # Somebody who names a threshold looks at one output.
    return "binary" if task is None and threshold is not None and outputs > 1 else task


def _checked_classes(classes: Any, outputs: int) -> list[Any]:
    """Return the names of the classes, one for each output, or two for one output."""
    names = list(classes) if isinstance(classes, list | tuple) else []
    fit = all(isinstance(name, str | Real) for name in names)
    if not fit or len({*map(str, names)}) != len(names) or len(names) != max(2, outputs):
        raise InputError(
            "invalid_type",
            "not the names of the classes, in the order of the outputs",
            field="classes",
            expected=f"{max(2, outputs)} different names",
            actual=str(classes)[:60],
        )
    return names


def _check_two_classes(task: str, names: Sequence[str] | None) -> None:
    """Raise if labels of more than two classes are held against one output."""
    if task == "binary" and names is not None and len(names) > 2:
        raise InputError(
            "invalid_label",
            "a threshold, or the task binary, asks for labels of two classes; of several, the "
            "largest output decides, and neither is needed",
            expected="two classes",
            actual=some(names),
        )


def _checked_output(output: Any, count: int, classes: Classes, positive: Any) -> int:
    """Return which of so many outputs is looked at."""
    place = None
    if positive is not None and classes.names:
        place = place_of(positive, classes.names)
        if place is None and classes.labels:
            raise InputError(
                "invalid_label",
                f"the positive label is no class of the models{meant(positive, classes.names)}; "
                "--classes names the labels 0, 1 …, if they are numbers",
                field="positive",
                expected=" or ".join(map(repr, classes.names)),
                actual=positive,
            )
        if count == 1 and place == 0:
            score = classes.names[1]
            raise InputError(
                "invalid_label",
                f"the score is not that of the positive label: use positive={score!r} "
                f"(--positive {score}), and approve 'above' for 'below', 'below' for 'above'",
                field="positive",
                expected=repr(score),
                actual=positive,
            )
    if output is None:
        return count - 1 if place is None else min(place, count - 1)
    if not -count <= integer_argument(output, "output") < count:
        raise InputError(
            "result_index_out_of_bounds",
            "no such output",
            field="output",
            expected=f"0 … {count - 1}",
            actual=output,
        )
    return int(output) % count
