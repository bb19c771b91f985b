"""Find figures by their path in what was found, and say why one is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from instmodel.base import values
from instmodel.errors import InputError

# What a figure needs that was not computed, by the part of its path at which there is nothing.
_NEEDS = {
    **dict.fromkeys(("flips", "flips_up", "flips_down"), "a threshold (`--threshold`)"),
    **dict.fromkeys(("old_metrics", "new_metrics", "change"), "labels (`--labels`)"),
    "auc_gain": "labels of two classes (`--labels`)",
    **dict.fromkeys(("old_approval_rate", "new_approval_rate"), "`--approve` and a threshold"),
    **dict.fromkeys(("groups", "groupings"), "groups (`--by`)"),
    "other_groups": "more groups than have lines of their own (`--by`)",
    **dict.fromkeys(("reference", "input_psi"), "another table (`--reference`)"),
    "importance": "`--importance`",
    "dependence": "`--dependence`",
    "coverage": "a run without `--no-coverage`",
    "unknown_texts": "a feature with text categories",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A value behind a path: its place, and the object that it stands in."""

    place: str
    value: Any
    beside: Mapping[str, Any]


def find(
    value: Any, path: list[str], place: str, beside: Mapping[str, Any], min_rows: int
) -> Iterator[Found]:
    """Yield what is at a path; None where it is not there."""
    if isinstance(value, list | tuple):
        if path and path[0].isdecimal():
            index = int(path[0][:20])  # more digits than any list is long
            item = value[index] if index < len(value) else None
            yield from find(item, path[1:], f"{place}[{index}]", {}, min_rows)
        else:
            is_of_groups = place.rpartition(".")[2] == "groups"
            for index, item in enumerate(value):
                if not is_of_groups or item["rows"] >= min_rows:
                    below = f"{place}[{_name(item, index)}]"
                    yield from find(item, path, below, {}, min_rows)
    elif not path:
        yield Found(place, value, beside)
    elif isinstance(value, Mapping):
        children = _children(value)
        below = f"{place}.{path[0]}" if place else path[0]
        yield from find(children.get(path[0]), path[1:], below, children, min_rows)
    else:
        yield Found(place, None, beside)


def _children(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object with what limits find in it beside what stands there.

    That is what is new minus old among its metrics, and the groups that are shown together as one
    more group: no row escapes a limit on groups.
    """
    found = dict(value)
    if {"old_metrics", "new_metrics"} <= value.keys():
        old, new = value["old_metrics"], value["new_metrics"]
        found["change"] = {n: new[n] - old[n] for n in new if _both_numbers(new, old, n)}
    others = value.get("other_groups")
    if others is not None:
        together = {**others, "value": f"the {others['values']} others"}
        found["groups"] = [*value["groups"], together]
    return found


def _both_numbers(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    return all(
        isinstance(side.get(name), int | float) and not isinstance(side[name], bool)
        for side in (one, other)
    )


def _name(item: Any, index: int) -> str:
    """Return what a person calls an element of a list."""
    for key in ("value", "column", "name"):
        if isinstance(item, Mapping) and key in item:
            return "null" if item[key] is None else str(item[key])
    return str(index)


def not_found(figures: Mapping[str, Any], figure: str) -> InputError:
    """Return the error that says how far the path leads, and what is there."""
    value: Any = figures
    needed = ""
    for name in figure.split("."):
        while isinstance(value, list | tuple) and value and not name.isdecimal():
            value = value[0]
        if not isinstance(value, Mapping):
            break
        children = _children(value)
        if children and name not in children:
            return InputError(
                "unknown_figure",
                f"no such figure{values.hint(name, sorted(children))}",
                field=figure,
                expected="one of " + ", ".join(children),
                actual=repr(name),
            )
        value = children.get(name)
        if value is None or value in ({}, []):
            needed = _NEEDS.get(name, "")
            break
    return InputError(
        "unknown_figure",
        "the figure was not computed" + (f"; it needs {needed}" if needed else ""),
        field=figure,
    )
