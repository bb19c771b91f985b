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
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from instmodel.base.atomic import replacing, sync_folder
from instmodel.errors import InputError
from instmodel.jobs.manifest import Manifest, Part, read_json, stamp, write_json


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

    def as_json(self) -> dict[str, Any]:
        """Return what the file holds."""
        steps = {"how": self.how, "moved": [*self.moved], "removed": [*self.removed]}
        return steps | {"manifest": self.manifest.as_json()}

    @classmethod
    def from_json(cls, found: Any) -> Commit | None:
        """Return a commit; None for what is none."""
        with contextlib.suppress(KeyError, TypeError):
            manifest = Manifest.from_json(found["manifest"])
            if manifest is not None:
                return cls(manifest, found["how"], found["moved"], found["removed"])
        return None


class Staging:
    """The folder that holds the work on an output folder."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._root = output.parent / f".{output.name}.instmodel-part"
        self._parts = self._root / "parts"
        self._work = self._root / "work"

    @classmethod
    @contextlib.contextmanager
    def locked(cls, output: Path) -> Iterator[Staging]:
        """Work on an output that no other run works on meanwhile.

        Raises
        ------
        InputError
            ``output_exists``: another run does.
        """
        staging = cls(output)
        with _locked(staging._root):
            try:
                yield staging
            finally:
                with contextlib.suppress(OSError):  # there is work left
                    staging._root.rmdir()

    def recover(self, go_on: bool) -> bool:
        """End what a killed run had committed.

        Parameters
        ----------
        go_on : bool
            Whether to keep what it did, even if the output is still what it was before.

        Returns
        -------
        bool
            Whether there was something to end.
        """
        commit = Commit.from_json(read_json(self._commit))
        if commit is not None and (go_on or self._is_under_way(commit)):
            self._finish(commit)
            return True
        if not go_on:
            self._clear()
        return False

    # ------------------------------------------------------------------------------------- parts

    def begin(self, job: dict[str, Any]) -> None:
        """Say what the job is.

        Raises
        ------
        InputError
            ``resume_mismatch``: what is there is the work of another one.
        """
        self._entries.mkdir(parents=True, exist_ok=True)
        self._parts.mkdir(exist_ok=True)
        place = self._work / "job.json"
        if place.exists() and read_json(place) != job:
            raise InputError(
                "resume_mismatch",
                "another job left its work there: run that one again, or this one without --resume",
                file=self._root,
            )
        write_json(place, job)

    def finished(self) -> Iterator[Part]:
        """Yield the finished parts."""
        for place in self._entries.glob("*.json"):
            with contextlib.suppress(TypeError):
                entry = Part(**read_json(place))
                if stamp(self._parts / entry.part) == entry.stamp:
                    yield entry

    @contextlib.contextmanager
    def writing(self, part: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """Write a part and the list of its bad rows."""
        target = self._parts / part
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._note(part, ".csv")) as bad, replacing(target) as file:
            yield file, bad

    def stamp(self, part: str) -> dict[str, Any]:
        """Return what changes when the file of a part does."""
        found = stamp(self._parts / part)
        assert found is not None
        return found

    def add(self, entry: Part) -> None:
        """Note that a part is finished."""
        write_json(self._note(entry.part, ".json"), asdict(entry))

    def bad_rows(self, part: str) -> BinaryIO:
        """Open the list of a part's bad rows."""
        return open(self._note(part, ".csv"), "rb")

    def _note(self, part: str, ending: str) -> Path:
        # A name of its own length: that of the part may be as long as names can be.
        return self._entries / (hashlib.sha256(part.encode()).hexdigest()[:32] + ending)

    @property
    def _entries(self) -> Path:
        return self._work / "parts"

    # ------------------------------------------------------------------------------------ commit

    @property
    def _commit(self) -> Path:
        return self._work / "commit.json"

    def commit(self, commit: Commit) -> None:
        """Make the output what it is to be."""
        if commit.how != "parts":
            _remove_others(self._parts, {entry.part for entry in commit.manifest.parts})
        write_json(self._commit, commit.as_json())
        self._finish(commit)

    def _finish(self, commit: Commit) -> None:
        if commit.how == "parts":
            self._move_parts(commit)
        elif not self._is_under_way(commit):
            _publish(self._parts, self._output, commit.how == "swap")
        commit.manifest.write(self._output)
        self._clear()

    def _clear(self) -> None:
        """Leave an empty folder: it is locked."""
        for folder in (self._parts, self._work):
            if folder.exists():
                shutil.rmtree(folder)

    def _is_under_way(self, commit: Commit) -> bool:
        """Tell whether the output may have changed already."""
        # When the whole folder has moved, there is none, or the one that it took the place of.
        return commit.how == "parts" or any(
            stamp(self._parts / entry.part) != entry.stamp for entry in commit.manifest.parts
        )

    def _move_parts(self, commit: Commit) -> None:
        for name in commit.moved:
            if (self._parts / name).exists():
                target = self._output / name
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(self._parts / name, target)
                sync_folder(target.parent)
        for name in commit.removed:
            (self._output / name).unlink(missing_ok=True)
        _remove_empty(self._output)


def _remove_others(folder: Path, parts: set[str]) -> None:
    """Remove what a killed run left, and the parts of sources that are gone."""
    for path in list(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in parts:
            path.unlink()
    _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()


def _publish(folder: Path, output: Path, replace: bool) -> None:
    if replace and output.exists():
        os.rename(output, folder.with_name("work") / "before")
    os.rename(folder, output)
    sync_folder(output.parent)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let no other run work in a folder; the system unlocks it whatever happens."""
    try:
        import fcntl
    except ImportError:  # not POSIX
        folder.mkdir(exist_ok=True)
        yield
        return
    while True:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    "output_exists", "another run is working on this", file=folder
                ) from None
            if not os.fstat(descriptor).st_nlink:
                continue  # the other one removed it before it was locked
            yield
            return
        finally:
            os.close(descriptor)
