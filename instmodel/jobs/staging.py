"""The work on an output folder, before it is there.

Design
------
A. Work goes on in a hidden neighbour of the output, ``.NAME.instmodel-part``, by one run at a time.
   The folder `parts` in it holds parts at their final places; nothing else ever lies there, so that
   it can become the output by a single step.
B. The folder `work` holds what a run notes: what the job is, and for each finished part an entry
   and its bad rows. The entry is written last, and each file appears whole or not at all. So what
   has an entry is whole, whenever the run is killed.
C. When every part is there, a commit is written: from then on the output *will be* what it says.
   The steps after that (move the parts to their places, remove those of sources that are gone,
   write the manifest, remove this folder) can be done again from any point, and the next run does.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from instmodel.errors import InputError
from instmodel.jobs.manifest import Manifest, Part, read_json, stamps, stays_below, write_json
from instmodel.stores import Location, Lock


@dataclass(frozen=True)
class Commit:
    """The last steps of a run.

    Attributes
    ----------
    manifest : Manifest
        Of the output as it will be.
    how : {"new", "swap", "parts"}
        Whether the folder of all parts becomes the output, or takes the place of one that is there,
        or parts of one that stays are moved and removed.
    moved, removed : sequence of str
        These parts.
    """

    manifest: Manifest
    how: str
    moved: Sequence[str] = ()
    removed: Sequence[str] = ()

    @property
    def added(self) -> list[Part]:
        """The parts that the output had not, or had of another run."""
        if self.how != "parts":
            return [*self.manifest.parts]
        return [part for part in self.manifest.parts if part.part in set(self.moved)]

    def as_json(self) -> dict[str, Any]:
        """Return what the file holds."""
        steps = {"how": self.how, "moved": [*self.moved], "removed": [*self.removed]}
        return steps | {"manifest": self.manifest.as_json()}

    @classmethod
    def from_json(cls, found: Any) -> Commit | None:
        """Return a commit; None for what is none."""
        with contextlib.suppress(KeyError, TypeError):
            manifest = Manifest.from_json(found["manifest"])
            steps = [*found["moved"], *found["removed"]]
            if manifest is not None and all(map(stays_below, steps)):
                return cls(manifest, found["how"], found["moved"], found["removed"])
        return None


class Staging:
    """The folder that holds the work on an output folder."""

    def __init__(self, output: Location, root: Location, lock: Lock) -> None:
        self._output = output
        self._root = root
        self._lock = lock
        self._parts = root / "parts"
        self._work = root / "work"
        self._entries = self._work / "parts"
        self._commit = self._work / "commit.json"

    @classmethod
    @contextlib.contextmanager
    def locked(cls, output: Location) -> Iterator[Staging]:
        """Work on an output that no other run works on meanwhile.

        Raises
        ------
        InputError
            ``output_busy``: another run does.
        """
        root = output.parent / f".{output.name}.instmodel-part"
        with root.locked() as lock:
            try:
                yield cls(output, root, lock)
            finally:
                if not root.files(hidden=True):
                    root.remove_tree()

    def recover(self, go_on: bool) -> list[Part]:
        """End what a killed run had committed.

        Parameters
        ----------
        go_on : bool
            Whether to keep what it did, even if the output is still what it was before.

        Returns
        -------
        list of Part
            What the output has by that; empty if there was nothing to end.
        """
        commit = Commit.from_json(read_json(self._commit))
        if commit is not None and (go_on or self._is_under_way(commit)):
            # In a store, a killed run may have left some parts of a folder that was not there.
            self._finish(commit, replace=commit.how == "swap" or self._output.local is None)
            return commit.added
        if not go_on:
            self._clear()
        return []

    def _is_under_way(self, commit: Commit) -> bool:
        """Tell whether the output may have changed already: here, a folder moves in one step."""
        if commit.how == "parts" or self._output.local is None or not self._has_parts(commit):
            return True
        # Where the system exchanges no folders, the old one is moved away first.
        return commit.how == "swap" and not self._output.exists()

    def _has_parts(self, commit: Commit) -> bool:
        """Tell whether the parts to publish are here; else, that is what they took the place of."""
        here = stamps(self._parts)
        return all(here.get(entry.part) == entry.stamp for entry in commit.added)

    # ------------------------------------------------------------------------------------- parts

    def begin(self, job: dict[str, Any], anew: bool) -> None:
        """Say what the job is; with `anew`, the work of another one makes place for it.

        Raises
        ------
        InputError
            ``resume_mismatch``: what is there is the work of another one.
        """
        place = self._work / "job.json"
        before = read_json(place)
        if anew and before not in (None, job):
            self._clear()
            before = None
        self._entries.make_folder()
        if before is None:
            write_json(place, job)
        elif before != job:
            raise InputError(
                "resume_mismatch",
                "another job left its work there: run that one again, or this one without --resume",
                file=str(self._root),
            )

    def finished(self) -> Iterator[Part]:
        """Yield the finished parts."""
        here = stamps(self._parts)
        for place in self._entries.files():
            if place.name.endswith(".json"):
                with contextlib.suppress(KeyError, TypeError):
                    entry = Part.from_json(read_json(place))
                    if here.get(entry.part) == entry.stamp:
                        yield entry

    @contextlib.contextmanager
    def writing(self, part: str) -> Iterator[BinaryIO]:
        """Write a part."""
        target = self._parts / part
        target.parent.make_folder()
        with target.replacing() as file:
            yield file

    def stamp(self, part: str) -> dict[str, Any]:
        """Return what changes when the file of a part does."""
        return (self._parts / part).stamp()

    def add(self, entry: Part, bad_rows: BinaryIO, inputs: Any) -> None:
        """Note that a part is finished, which of its rows are bad, and what was counted, if any."""
        self._lock.check()
        if inputs is not None:
            write_json(self._note(entry.part, ".inputs"), inputs)
        if entry.bad_rows:
            with self._note(entry.part, ".csv").replacing() as file:
                shutil.copyfileobj(bad_rows, file)
        write_json(self._note(entry.part, ".json"), asdict(entry))

    def bad_rows(self, part: str) -> BinaryIO:
        """Open the list of a part's bad rows, of which there are some."""
        return self._note(part, ".csv").open()

    def inputs(self, part: str) -> Any:
        """Return what was counted of a part's inputs; None if nothing was."""
        return read_json(self._note(part, ".inputs"))

    def _note(self, part: str, ending: str) -> Location:
        # A name of its own length: that of the part may be as long as names can be.
        return self._entries / (hashlib.sha256(part.encode()).hexdigest()[:32] + ending)

    # ------------------------------------------------------------------------------------ commit

    def commit(self, commit: Commit) -> None:
        """Make the output what it is to be."""
        if commit.how != "parts":
            self._remove_others({entry.part for entry in commit.manifest.parts})
        self._lock.check()
        if not self._has_parts(commit):
            raise InputError(
                "output_busy", "another run, or somebody, changed the parts", file=str(self._root)
            )
        write_json(self._commit, commit.as_json())
        self._finish(commit, replace=commit.how == "swap")

    def _remove_others(self, parts: set[str]) -> None:
        """Remove what a killed run left, and the parts of sources that are gone."""
        for file in self._parts.files(hidden=True):
            if file.relative_to(self._parts) not in parts:
                file.remove()
        self._parts.prune()

    def _finish(self, commit: Commit, replace: bool) -> None:
        if commit.how == "parts":
            self._parts.move(commit.moved, self._output)
            for name in commit.removed:
                (self._output / name).remove()
            self._output.prune()
        elif self._has_parts(commit):
            self._parts.publish(self._output, replace)
        commit.manifest.write(self._output)
        self._clear()

    def _clear(self) -> None:
        """Remove all work; the folder itself is locked."""
        self._parts.remove_tree()
        self._work.remove_tree()
        for file in self._root.files(hidden=True):  # of a folder that was replaced in two steps
            file.remove()
        self._root.prune()
