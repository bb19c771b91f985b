"""What the log of a Delta table says of a run: what it committed, and what became of its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from instmodel.errors import InputError
from instmodel.stores import Location

# What a commit says about its run, by what must be the same where the run is repeated.
SAME = {
    "input": "instmodel.input",
    "model": "instmodel.model",
    "options": "instmodel.options",
}


def check_repeated(
    root: Location, newest: int, run_id: str, app_id: str, told: Mapping[str, str | None]
) -> None:
    """Refuse to take a run for one that the table has, if its rows may not be those of the table.

    The commits are read from the newest one back to that of the run, which is as far as it matters.

    Parameters
    ----------
    root : Location
    newest : int
        The version of the table.
    run_id : str
    app_id : str
        What the log calls the run, which it has.
    told : mapping
        What the run would say about itself by the names of `SAME`; None is not known.

    Raises
    ------
    InputError
        ``output_exists``: the run that is there was another one, rows were removed since, or the
        log no longer tells.
    """
    removals: list[str] = []
    for version in range(newest, -1, -1):
        actions = _actions(root, version)
        if actions is None:
            break
        infos = [action["commitInfo"] for action in actions if "commitInfo" in action]
        info = infos[0] if infos else {}
        if any(action.get("txn", {}).get("appId") == app_id for action in actions):
            why = [_difference(name, told[key], info.get(key)) for name, key in SAME.items()]
            if removals:
                why.append(f"rows were removed or rewritten since ({', '.join(removals[::-1])})")
            found = [text for text in why if text]
            if found:
                raise _refused(root, run_id, f"was committed in version {version}", found)
            return
        # Compaction, too, removes files, and says that their rows stay.
        removed = [action["remove"] for action in actions if "remove" in action]
        if any(file.get("dataChange") is not False for file in removed):
            removals.append(f"version {version}: {info.get('operation', 'unknown')}")
    gone = "the log no longer has that commit, which would tell of what"
    raise _refused(root, run_id, "was committed", [gone])


def _actions(root: Location, version: int) -> list[dict[str, Any]] | None:
    """Return what a commit did; None if the log does not have it."""
    try:
        text = (root / "_delta_log" / f"{version:020}.json").read_bytes()
    except FileNotFoundError:
        return None
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _difference(name: str, ours: str | None, theirs: str | None) -> str | None:
    if ours is None:
        return f"the {name} does not tell whether it is the same"
    return None if ours == theirs else f"not with the same {name}"


def _refused(root: Location, run_id: str, what: str, why: list[str]) -> InputError:
    return InputError(
        "output_exists",
        f"the run {run_id} {what}, but {'; '.join(why)}",
        file=str(root),
        expected="another run id (`--run-id`) for another run",
    )
