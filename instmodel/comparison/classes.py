"""What the outputs of two models stand for: by their metadata, and by what somebody says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from instmodel.comparison.labels import same_class, same_classes, some
from instmodel.errors import InputError


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes that two models tell apart.

    Attributes
    ----------
    names : list or None
        In the order of the outputs; of one output two, the second of which its score is of. None
        where nobody named or numbered them.
    said : list or None
        The names of the labels 0, 1 …, if somebody said so.
    known : bool
        Whether a model says that it tells classes apart.
    """

    names: list[Any] | None
    said: list[Any] | None = None
    known: bool = False

    @property
    def labels(self) -> list[Any] | None:
        """What labels must be among; classes that are only numbered may have labels of any name."""
        numbered = self.names is not None and self.said is None and _numbered(self.names)
        return None if numbered else self.names


def classes_of(old: Any, new: Any, said: list[Any] | None, task: str | None) -> Classes:
    """Return the classes of two models.

    Classes that a model calls by their numbers are those that `said` names, in its order.

    Raises
    ------
    InputError
        ``invalid_label``: the models are of different classes or one of none, or `said` names
        others.
    """
    if task == "regression":
        return Classes(None)
    written = [_written(model) for model in (old, new)]
    if task is None and _kinds(old, new) == {"classes", "values"}:
        raise InputError(
            "invalid_label",
            "one model tells classes apart, the other one makes values; task=… (--task) says "
            "what the labels are",
            expected=_meaning(old),
            actual=_meaning(new),
        )
    named = [said if said and names and _numbered(names) else names for names in written]
    mine, theirs = named
    if mine and theirs and not same_classes(mine, theirs):
        others = {*map(str, mine)} != {*map(str, theirs)}  # no name puts 1, 0 in order
        numbered = not said and others and (_numbered(mine) or _numbered(theirs))
        way = "; classes=… (--classes) says what 0, 1 … are called" if numbered else ""
        raise InputError(
            "invalid_label",
            f"the outputs of the models are those of other classes{way}",
            expected=some(mine),
            actual=some(theirs),
        )
    names = mine or theirs or said
    if said and names and not all(any(same_class(a, b) for b in names) for a in said):
        raise InputError(
            "invalid_label",
            "the models have classes of other names",
            field="classes",
            expected=some(names),
            actual=some(said),
        )
    return Classes(names, said, "classes" in _kinds(old, new))


def _numbered(names: Sequence[Any]) -> bool:
    """Whether classes are called by their numbers, which says nothing of what they are."""
    return same_classes(names, range(len(names)))


def _written(model: Any) -> list[Any] | None:
    """Return the classes that an importer wrote into a model, if they fit its outputs."""
    names = _metadata(model).get("classes")
    if not isinstance(names, list) or not all(isinstance(c, str | int | float) for c in names):
        return None
    return names if len(names) == max(2, model.output_size) else None


def _kinds(*models: Any) -> set[str | None]:
    return {_kind(model) for model in models}


def _kind(model: Any) -> str | None:
    """Return whether a model makes scores of "classes" or "values", if its metadata tell."""
    output = _metadata(model).get("output")
    if _written(model) or output in ("predict_proba", "decision_function"):
        return "classes"
    return "values" if output == "predict" else None


def _meaning(model: Any) -> str:
    classes, output = _written(model), _metadata(model).get("output")
    names = f" of the classes {some(classes)}" if classes else ""
    return f"{output or 'scores'}{names}"


def _metadata(model: Any) -> dict[str, Any]:
    metadata = model.structure.metadata
    return metadata if isinstance(metadata, dict) else {}
