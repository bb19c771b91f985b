"""What every place of files can do."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self


class Lock(Protocol):
    """Is held by the run that works in a folder."""

    def check(self) -> None:
        """Raise an `InputError` if another run has taken the folder over."""


class Location(ABC):
    """A file or a folder, which may be there or not; its `str` shows no credentials."""

    @property
    @abstractmethod
    def local(self) -> Path | None:
        """Its path on this machine; None for what lies in a store."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of the path."""

    @property
    @abstractmethod
    def parent(self) -> Self:
        """The folder that it lies in."""

    @abstractmethod
    def __truediv__(self, below: str) -> Self:
        """Return what lies at a path below this folder, with slashes."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the path or the URL, as messages show it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    @abstractmethod
    def is_same(self, other: Location) -> bool:
        """Tell whether both are one file or folder."""

    @abstractmethod
    def is_inside(self, folder: Location) -> bool:
        """Tell whether it lies below `folder`."""

    @abstractmethod
    def exists(self) -> bool:
        """Tell whether something is there."""

    @abstractmethod
    def is_folder(self) -> bool:
        """Tell whether a folder is there."""

    @abstractmethod
    def files(self, hidden: bool = False) -> list[Self]:
        """Return every file below this folder, in the order of their names, also through links.

        Parameters
        ----------
        hidden : bool
            Also those whose name, or the name of a folder above them, begins with ``.`` or ``_``.
            Then a link counts as a file: who removes what is here leaves what lies elsewhere.
        """

    @abstractmethod
    def relative_to(self, folder: Location) -> str:
        """Return the path below `folder`, with slashes."""

    @abstractmethod
    def stamp(self) -> dict[str, Any]:
        """Return what changes when somebody replaces the file, as JSON: its ``size`` and more."""

    @abstractmethod
    def open(self, buffering: int = -1) -> BinaryIO:
        """Open the file for reading; it can be sought.

        A file that is replaced while it is read is an `OSError` at the latest when it is closed:
        its rows would be of both.

        Parameters
        ----------
        buffering : int
            Bytes that are read together, by default as many as suit the store where a file is read
            from its start to its end; 0 reads what is asked for.
        """

    def read_bytes(self) -> bytes:
        """Return what is in the file."""
        with self.open() as file:
            return file.read()

    @abstractmethod
    def check_writable(self) -> None:
        """Raise an `OSError` if nothing could be written here, as far as is known before."""

    @abstractmethod
    def replacing(self) -> AbstractContextManager[BinaryIO]:
        """Open a file that is here, whole, when the block ends without an error.

        Otherwise, or if the program is killed, what was here before stays. The file can be sought
        and read.
        """

    def taking_turns(self) -> AbstractContextManager[None]:
        """Wait until nobody else on this machine who asked for the same changes the file.

        For what is read and then written with something added. In a store, nobody waits.
        """
        return contextlib.nullcontext()

    @abstractmethod
    def make_folder(self) -> None:
        """Make this folder and those above it, where folders are made."""

    @abstractmethod
    def remove(self) -> None:
        """Remove the file; nothing happens where none is."""

    @abstractmethod
    def remove_tree(self) -> None:
        """Remove the folder and all below it; nothing happens where none is."""

    @abstractmethod
    def publish(self, target: Location, replace: bool = False) -> None:
        """Give the files of this folder their final place.

        On this machine the folder is renamed, or changes places with what was there, in one step
        where the system can (Linux). In a store its files, but not the hidden ones, are copied
        there one after the other, then what was there before is removed. What remains of this
        folder is the caller's to remove.

        Parameters
        ----------
        target : Location
            In the same store.
        replace : bool
            Whether something may be there, which then is gone.

        Raises
        ------
        FileExistsError
            Something is there.
        """

    @abstractmethod
    def move(self, names: Collection[str], target: Location) -> None:
        """Give some files of this folder their places below another one.

        Each appears whole, in the place of what was there; other files stay as they are. In a store
        they are copied. Names of files that are not here are passed over.

        Parameters
        ----------
        names : collection of str
            Paths below this folder.
        target : Location
            In the same store.
        """

    @abstractmethod
    def prune(self) -> None:
        """Remove the folders below this one that hold nothing, where folders are made."""

    @abstractmethod
    def locked(self) -> AbstractContextManager[Lock]:
        """Let no other run work in this folder; it is made if it is not there.

        Raises
        ------
        InputError
            ``output_busy``: another run is working in it.
        """
