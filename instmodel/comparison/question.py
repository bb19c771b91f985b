"""What is asked of a comparison: arguments that must suit the models and each other."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from instmodel.base import arguments
from instmodel.base.values import describe, integer_argument
from instmodel.comparison.classes import Classes
from instmodel.comparison.labels import meant, place_of, some
from instmodel.comparison.metrics import TASKS
from instmodel.errors import InputError


def columns_of(by: Any) -> list[str | int]:
    """Return the columns that rows are grouped by: none, one or several."""
    if by is None:
        return []
    return [by] if isinstance(by, str) or not isinstance(by, Sequence) else list(by)


def checked_task(
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


def checked_classes(classes: Any, outputs: int) -> list[Any]:
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


def check_two_classes(task: str, names: Sequence[str] | None) -> None:
    """Raise if labels of more than two classes are held against one output."""
    if task == "binary" and names is not None and len(names) > 2:
        raise InputError(
            "invalid_label",
            "a threshold, or the task binary, asks for labels of two classes; of several, the "
            "largest output decides, and neither is needed",
            expected="two classes",
            actual=some(names),
        )


def checked_output(output: Any, count: int, classes: Classes, positive: Any) -> int:
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
